// SPDX-License-Identifier: GPL-2.0-only
/*
 * user.c - the front end of a vhost-user back end that does as it should: see backend.h
 *
 * No protocol features are negotiated: then a ring runs from when it has its kick.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../tools/door/proto.h"
#include "backend.h"

#define PATIENCE_MS 60000

int vg_user_connect(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int sock = kt_sys(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	uint64_t end = vg_ms() + PATIENCE_MS;

	kt_check(strlen(path) < sizeof(to.sun_path), "the path is too long: %s", path);
	strcpy(to.sun_path, path);
	while (connect(sock, (struct sockaddr *)&to, sizeof(to))) {
		kt_check(vg_ms() < end, "%s: %m", path);
		usleep(50000);
	}
	return sock;
}

static void tell(int sock, uint32_t request, const void *body, uint32_t size, const int *fds,
		 unsigned int nfd)
{
	struct vu_header head = { .request = request, .flags = VU_VERSION, .size = size };
	struct iovec iov[] = { { &head, sizeof(head) }, { (void *)body, size } };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(VU_FDS_MAX * sizeof(int))];
	} control = {};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = size ? 2 : 1 };

	if (nfd) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nfd * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(nfd * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, nfd * sizeof(int));
	}
	kt_check(kt_sys(sendmsg(sock, &msg, MSG_NOSIGNAL)) == (long)(sizeof(head) + size),
		 "a message was not taken as a whole");
}

static uint64_t ask(int sock, uint32_t request)
{
	struct {
		struct vu_header head;
		uint64_t number;
	} __attribute__((packed)) reply = {};

	tell(sock, request, NULL, 0, NULL, 0);
	kt_check(kt_sys(recv(sock, &reply, sizeof(reply), MSG_WAITALL)) == sizeof(reply) &&
			 reply.head.request == request,
		 "no answer to message %u", request);
	return reply.number;
}

static void tell_memory(int sock, const struct vg_mem *m)
{
	union vu_body body = {};
	int fd[VU_FDS_MAX];
	unsigned int i;

	kt_check(m->n <= VU_FDS_MAX, "too many regions");
	body.table.count = m->n;
	for (i = 0; i < m->n; i++) {
		body.table.regions[i] = (struct vu_region){
			.guest = m->r[i].gpa,
			.size = m->r[i].size,
			.user = (uintptr_t)m->r[i].va,
			.offset = m->r[i].gpa,
		};
		fd[i] = m->fd;
	}
	tell(sock, VU_SET_MEM_TABLE, &body, VU_TABLE_HEAD + m->n * sizeof(struct vu_region), fd,
	     m->n);
}

static void tell_ring(int sock, unsigned int index, const struct vg_ring *r)
{
	struct vhost_vring_state num = { .index = index, .num = r->num };
	struct vhost_vring_state base = { .index = index, .num = vg_ring_first(r) };
	struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = (uintptr_t)r->desc,
		.avail_user_addr = (uintptr_t)r->avail,
		.used_user_addr = (uintptr_t)r->used,
		.log_guest_addr = r->used_gpa,
	};
	uint64_t number = index;

	tell(sock, VU_SET_VRING_NUM, &num, sizeof(num), NULL, 0);
	tell(sock, VU_SET_VRING_BASE, &base, sizeof(base), NULL, 0);
	tell(sock, VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
	tell(sock, VU_SET_VRING_CALL, &number, sizeof(number), &r->call, 1);
	tell(sock, VU_SET_VRING_KICK, &number, sizeof(number), &r->kick, 1);
}

void vg_user_start(int sock, const struct vg_mem *m, uint64_t features, struct vg_ring *const *ring,
		   unsigned int n)
{
	uint64_t lacks;
	unsigned int i;

	tell(sock, VU_SET_OWNER, NULL, 0, NULL, 0);
	lacks = features & ~ask(sock, VU_GET_FEATURES);
	kt_check(!lacks, "the back end lacks features %#llx", (unsigned long long)lacks);
	tell(sock, VU_SET_FEATURES, &features, sizeof(features), NULL, 0);
	tell_memory(sock, m);
	for (i = 0; i < n; i++)
		tell_ring(sock, i, ring[i]);
	ask(sock, VU_GET_FEATURES);
}
