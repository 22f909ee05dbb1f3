// SPDX-License-Identifier: GPL-2.0-only
/*
 * front.c - a front end for tests of the door: see front.h
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front.h"
#include "ktap.h"

void front_plug(struct front *front, unsigned int pairs, const struct kernel *kernel)
{
	struct failure why;

	for (unsigned int i = 0; i < pairs; i++)
		front->files[i] = FAKE_VHOST + (int)i;
	front->net.tap = &front->tap;
	front->net.mtu = 1500;
	front->door.backend = &door_net_backend;
	front->door.self = &front->net;
	front->door.kernel = kernel;
	front->door.files = front->files;
	front->door.file_count = pairs;
	front->door.ring_count = 2 * pairs;
	front->door.slots = FAKE_REGIONS;
	front->door.event = -1;
	kt_check(!door_net_init(&front->net, kernel, &why), "%s", why.text);
	kt_check(!door_init(&front->door, &why), "%s", why.text);
}

static void make_sockets(struct front *front)
{
	int pair[2];

	kt_sys(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	front->mine = pair[0];
	front->its = pair[1];
	message_init(&front->incoming);
}

void front_make(struct front *front, unsigned int pairs)
{
	memset(front, 0, sizeof(*front));
	fake_init(&front->fake);
	snprintf(front->tap.name, sizeof(front->tap.name), "tap-of-test");
	front->tap.queues = FAKE_FILES;
	for (unsigned int i = 0; i < FAKE_FILES; i++)
		front->tap.fds[i] = FAKE_TAP + (int)i;
	front_plug(front, pairs, &front->fake.kernel);
	make_sockets(front);
}

static void make_disk(struct front *front, unsigned int rings, bool switches)
{
	struct failure why;

	memset(front, 0, sizeof(*front));
	fake_init_disk(&front->fake);
	front->fake.switches = switches;
	front->door.writable = switches ? DOOR_BLK_WRITABLE : 0;
	front->files[0] = FAKE_VHOST;
	front->blk.disk = FAKE_DISK;
	front->door.backend = &door_blk_backend;
	front->door.self = &front->blk;
	front->door.kernel = &front->fake.kernel;
	front->door.files = front->files;
	front->door.file_count = 1;
	front->door.ring_count = rings;
	front->door.slots = FAKE_REGIONS;
	front->door.event = kt_sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	kt_check(!door_init(&front->door, &why), "%s", why.text);
	make_sockets(front);
}

void front_make_disk(struct front *front, unsigned int rings)
{
	make_disk(front, rings, false);
}

void front_make_switching(struct front *front, unsigned int rings)
{
	make_disk(front, rings, true);
}

void front_have_function(struct front *front, uint32_t kind)
{
	memset(front, 0, sizeof(*front));
	fake_vdpa_init(&front->function, kind);
	front->files[0] = front->vdpa.node = FAKE_NODE;
}

void front_plug_function(struct front *front, uint64_t withheld)
{
	struct failure why;

	kt_check(!door_vdpa_init(&front->vdpa, &front->function.kernel, &why), "%s", why.text);
	front->door.backend = front->vdpa.backend;
	front->door.self = &front->vdpa;
	front->door.kernel = &front->function.kernel;
	front->door.files = front->files;
	front->door.file_count = 1;
	front->door.ring_count = front->vdpa.ring_count;
	front->door.slots = FAKE_REGIONS;
	front->door.withheld = withheld;
	front->door.event = kt_sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	kt_check(!door_init(&front->door, &why), "%s", why.text);
	make_sockets(front);
}

void front_make_function(struct front *front, uint32_t kind, uint64_t withheld)
{
	front_have_function(front, kind);
	front_plug_function(front, withheld);
}

void front_send(struct front *front, uint32_t request, uint32_t flags, const void *body,
		uint32_t size, const int *fds, unsigned int fd_count)
{
	struct vu_header head = { request, flags, size };
	char control[CMSG_SPACE(64 * sizeof(int))] = { 0 };
	struct iovec parts[2] = { { &head, sizeof(head) }, { (void *)body, size } };
	struct msghdr header = { .msg_iov = parts, .msg_iovlen = 2 };

	if (fd_count) {
		struct cmsghdr *c;

		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
	}
	kt_check(sendmsg(front->mine, &header, MSG_NOSIGNAL) == (ssize_t)(sizeof(head) + size),
		 "sendmsg: %m");
}

enum status front_step(struct front *front)
{
	bool reply;

	front->why = (struct failure){ 0 };
	switch (wire_receive(front->its, &front->incoming, &front->why)) {
	case WIRE_MORE:
	case WIRE_END:
		kt_fail("no message came");
	case WIRE_BROKEN:
		front->status = front->why.status;
		break;
	case WIRE_MESSAGE:
		front->status = door_receive(&front->door, &front->incoming, &reply, &front->why);
		if (reply) {
			struct failure why;

			kt_check(!wire_reply(front->its, &front->incoming, &why), "%s", why.text);
		}
	}
	message_clear(&front->incoming);
	/* After a failure the next step is a reset, and until then old and new may be mixed. */
	if (!front->status && front->vdpa.node)
		fake_vdpa_check(&front->function);
	else if (!front->status)
		fake_check(&front->fake);
	return front->status;
}

void front_tell(struct front *front, uint32_t request, const void *body, uint32_t size, int fd)
{
	front_send(front, request, VU_VERSION, body, size, &fd, fd >= 0);
	kt_check(!front_step(front), "%s", front->why.text);
}

void front_number(struct front *front, uint32_t request, uint64_t number)
{
	front_tell(front, request, &number, sizeof(number), -1);
}

void front_ring(struct front *front, uint32_t request, unsigned int ring, unsigned int number)
{
	struct vhost_vring_state state = { ring, number };

	front_tell(front, request, &state, sizeof(state), -1);
}

uint32_t front_reply(struct front *front, union vu_body *body)
{
	struct vu_header head;

	kt_check(recv(front->mine, &head, sizeof(head), MSG_DONTWAIT) == sizeof(head), "no reply");
	kt_check(head.flags == (VU_VERSION | VU_REPLY), "flags %#x", head.flags);
	kt_check(head.size <= sizeof(*body), "size %u", head.size);
	kt_check(!head.size ||
			 recv(front->mine, body, head.size, MSG_DONTWAIT) == (ssize_t)head.size,
		 "half a reply");
	return head.size;
}

uint64_t front_ask(struct front *front, uint32_t request)
{
	union vu_body body;

	front_tell(front, request, NULL, 0, -1);
	kt_check(front_reply(front, &body) == sizeof(body.u64), "a reply of another size");
	return body.u64;
}

uint32_t front_get_config(struct front *front, uint32_t offset, uint32_t size, union vu_body *body)
{
	*body = (union vu_body){ .config = { .offset = offset, .size = size } };
	front_tell(front, VU_GET_CONFIG, body, VU_CONFIG_HEAD + size, -1);
	return front_reply(front, body);
}

uint64_t front_set_config(struct front *front, uint32_t offset, const uint8_t *bytes, uint32_t size,
			  uint32_t flags)
{
	union vu_body body = { .config = { .offset = offset, .size = size, .flags = flags } };

	memcpy(body.config.bytes, bytes, size);
	front_send(front, VU_SET_CONFIG, VU_VERSION | VU_NEED_REPLY, &body, VU_CONFIG_HEAD + size,
		   NULL, 0);
	kt_check(!front_step(front), "%s", front->why.text);
	front_reply(front, &body);
	return body.u64;
}

void front_greet(struct front *front, uint64_t without)
{
	uint64_t features = front_ask(front, VU_GET_FEATURES);
	uint64_t protocol = front_ask(front, VU_GET_PROTOCOL_FEATURES);

	front_number(front, VU_SET_PROTOCOL_FEATURES, protocol);
	front_tell(front, VU_SET_OWNER, NULL, 0, -1);
	front_number(front, VU_SET_FEATURES, features & ~without);
}

int front_file(unsigned long size)
{
	int fd = kt_sys(memfd_create("guest", MFD_CLOEXEC));

	kt_sys(ftruncate(fd, size));
	return fd;
}

/* Region N is at guest address 2N sizes, and elsewhere in the front end. */
static struct vu_region region(unsigned int n)
{
	return (struct vu_region){
		.guest = 2 * n * GUEST_SIZE,
		.size = GUEST_SIZE,
		.user = USER_BASE + 4 * n * GUEST_SIZE,
		.offset = 0,
	};
}

void front_memory(struct front *front, unsigned int first, unsigned int count)
{
	union vu_body body = { .table.count = count };
	int fds[VU_FDS_MAX] = { 0 };

	for (unsigned int i = 0; i < count; i++) {
		body.table.regions[i] = region(first + i);
		fds[i] = front_file(GUEST_SIZE);
	}
	front_send(front, VU_SET_MEM_TABLE, VU_VERSION, &body,
		   VU_TABLE_HEAD + count * sizeof(body.table.regions[0]), fds, count);
	for (unsigned int i = 0; i < count; i++)
		close(fds[i]);
	kt_check(!front_step(front), "%s", front->why.text);
}

void front_start(struct front *front, unsigned int ring, unsigned int num, unsigned int in)
{
	uint64_t at = region(in).user + ring * 0x10000;
	struct vhost_vring_addr addr = {
		.index = ring,
		.desc_user_addr = at,
		.avail_user_addr = at + 0x8000,
		.used_user_addr = at + 0xa000,
	};
	uint64_t number = ring;
	int event = kt_sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	front_ring(front, VU_SET_VRING_NUM, ring, num);
	front_ring(front, VU_SET_VRING_BASE, ring, 0);
	front_tell(front, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	front_tell(front, VU_SET_VRING_CALL, &number, sizeof(number), event);
	front_tell(front, VU_SET_VRING_KICK, &number, sizeof(number), event);
	close(event);
}

void front_running(struct front *front, unsigned int pairs, uint64_t without)
{
	front_make(front, pairs);
	front_greet(front, without);
	front_memory(front, 0, 2);
	for (unsigned int i = 0; i < 2 * pairs; i++) {
		front_ring(front, VU_SET_VRING_ENABLE, i, 1);
		front_start(front, i, 256, i % 2);
		kt_check(front->door.rings[i].running, "ring %u does not run", i);
	}
}

int front_get_region(struct front *front, unsigned int rings, uint32_t size, union vu_body *body)
{
	char control[CMSG_SPACE(2 * sizeof(int))];
	struct vu_header head;
	struct iovec parts[] = { { &head, sizeof(head) }, { body, sizeof(*body) } };
	struct msghdr header = { .msg_iov = parts,
				 .msg_iovlen = 2,
				 .msg_control = control,
				 .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int fd;

	*body = (union vu_body){ .inflight = { .num_queues = (uint16_t)rings, .queue_size = 128 } };
	front_tell(front, VU_GET_INFLIGHT_FD, body, size, -1);
	kt_check(recvmsg(front->mine, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) ==
				 (ssize_t)(sizeof(head) + size) &&
			 head.size == size,
		 "a reply of another size");
	c = CMSG_FIRSTHDR(&header);
	if (!c)
		return -1;
	kt_check(c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(fd)),
		 "not one descriptor");
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

enum status front_set_region(struct front *front, int fd, unsigned int rings, uint64_t size,
			     uint64_t offset)
{
	const union vu_body body = { .inflight = { .mmap_size = size,
						   .mmap_offset = offset,
						   .num_queues = (uint16_t)rings,
						   .queue_size = 128 } };

	front_send(front, VU_SET_INFLIGHT_FD, VU_VERSION, &body, sizeof(body.inflight), &fd,
		   fd >= 0);
	return front_step(front);
}

unsigned int front_open_files(void)
{
	unsigned int count = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

void front_end(struct front *front)
{
	struct failure why;

	kt_check(!door_reset(&front->door, &why), "%s", why.text);
	kt_check(front->vdpa.node ? fake_vdpa_is_new(&front->function) : fake_is_new(&front->fake),
		 "the kernel still has something");
	door_end(&front->door);
	if (front->door.event >= 0)
		close(front->door.event);
	close(front->mine);
	close(front->its);
}
