// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotlb.c - the VMM as IOMMU: IOTLB messages of both versions, and the thread
 * that answers misses
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vguest.h"

int vg_iotlb_send(struct vg_dev *d, uint8_t type, uint64_t iova, uint64_t size, uint64_t uaddr,
		  uint8_t perm)
{
	struct vhost_iotlb_msg m = {
		.iova = iova,
		.size = size,
		.uaddr = uaddr,
		.perm = perm,
		.type = type,
	};
	ssize_t want, n;

	if (d->tlb.version == 2) {
		struct vhost_msg_v2 v2 = { .type = VHOST_IOTLB_MSG_V2, .iotlb = m };

		want = sizeof(v2);
		n = write(d->fd, &v2, sizeof(v2));
	} else {
		struct vhost_msg v1;

		memset(&v1, 0, sizeof(v1));
		v1.type = VHOST_IOTLB_MSG;
		v1.iotlb = m;
		want = sizeof(v1);
		n = write(d->fd, &v1, sizeof(v1));
	}
	if (n < 0)
		return -1;
	kt_check(n == want, "IOTLB message of %zd bytes taken as %zd", want, n);
	return 0;
}

int vg_iotlb_map(struct vg_dev *d, uint64_t gpa, uint64_t size, uint8_t perm)
{
	uint64_t end = (gpa + size + VG_PAGE - 1) & -(uint64_t)VG_PAGE;

	gpa &= -(uint64_t)VG_PAGE;
	return vg_iotlb_send(d, VHOST_IOTLB_UPDATE, gpa + d->mem->iova_off, end - gpa,
			     (uintptr_t)vg_va(d->mem, gpa, end - gpa), perm);
}

int vg_iotlb_unmap(struct vg_dev *d, uint64_t gpa, uint64_t size)
{
	return vg_iotlb_send(d, VHOST_IOTLB_INVALIDATE, gpa + d->mem->iova_off, size, 0, 0);
}

/* Map what holds @gpa: the region, or the aligned grain of it. */
static void answer(struct vg_dev *d, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < d->mem->n; i++) {
		struct vg_region *r = &d->mem->r[i];
		uint64_t start = r->gpa, end = r->gpa + r->size;

		if (gpa < start || gpa >= end)
			continue;
		if (d->tlb.grain) {
			start += (gpa - start) / d->tlb.grain * d->tlb.grain;
			if (end - start > d->tlb.grain)
				end = start + d->tlb.grain;
		}
		kt_sys(vg_iotlb_map(d, start, end - start, VHOST_ACCESS_RW));
		return;
	}
	kt_fail("the device asked for %#llx, which is not guest memory", (unsigned long long)gpa);
}

/* CVE-2018-1118, CVE-2024-0340: what is not a field of the message is zero. */
static void check_padding(const uint8_t *msg, size_t from, size_t to)
{
	for (; from < to; from++)
		kt_check(!msg[from], "byte %zu of an IOTLB message is %#x, not zero", from,
			 msg[from]);
}

static void take_message(struct vg_dev *d)
{
	uint8_t raw[sizeof(struct vhost_msg) + sizeof(struct vhost_msg_v2)];
	struct vhost_iotlb_msg m;
	uint32_t type;
	size_t at;
	ssize_t n;

	memset(raw, 0xee, sizeof(raw));
	n = read(d->fd, raw, sizeof(raw));
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == EBADFD))
		return;
	kt_check(n >= 0, "read of an IOTLB message: %m");
	memcpy(&type, raw, sizeof(type));
	if (d->tlb.version == 2) {
		kt_check(n == sizeof(struct vhost_msg_v2) && type == VHOST_IOTLB_MSG_V2,
			 "message of type %u and %zd bytes, wanted version 2", type, n);
		at = offsetof(struct vhost_msg_v2, iotlb);
	} else {
		kt_check(n == sizeof(struct vhost_msg) && type == VHOST_IOTLB_MSG,
			 "message of type %u and %zd bytes, wanted version 1", type, n);
		at = offsetof(struct vhost_msg, iotlb);
	}
	memcpy(&m, raw + at, sizeof(m));
	check_padding(raw, sizeof(type), at);
	check_padding(raw, at + offsetof(struct vhost_iotlb_msg, type) + 1, n);
	kt_check(m.type == VHOST_IOTLB_MISS, "IOTLB message of type %u", m.type);
	kt_check(!m.size && !m.uaddr, "a miss carries size %#llx and address %#llx",
		 (unsigned long long)m.size, (unsigned long long)m.uaddr);
	kt_check(m.perm && !(m.perm & ~VHOST_ACCESS_RW), "a miss asks for access %u", m.perm);
	__atomic_add_fetch(&d->tlb.misses, 1, __ATOMIC_RELAXED);
	if (d->tlb.hook && d->tlb.hook(d, m.iova, m.perm))
		return;
	answer(d, m.iova - d->mem->iova_off);
}

static void *miss_thread(void *arg)
{
	struct vg_dev *d = arg;

	for (;;) {
		struct pollfd p[2] = {
			{ .fd = d->fd, .events = POLLIN },
			{ .fd = d->tlb.stop, .events = POLLIN },
		};

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents)
			return NULL;
		if (p[0].revents)
			take_message(d);
	}
}

void vg_iotlb_start(struct vg_dev *d)
{
	d->tlb.stop = kt_sys(eventfd(0, EFD_CLOEXEC));
	kt_check(!pthread_create(&d->tlb.thread, NULL, miss_thread, d), "pthread_create");
	d->tlb.running = true;
}

void vg_iotlb_stop(struct vg_dev *d)
{
	uint64_t one = 1;

	if (!d->tlb.running)
		return;
	kt_sys(write(d->tlb.stop, &one, sizeof(one)));
	pthread_join(d->tlb.thread, NULL);
	close(d->tlb.stop);
	d->tlb.running = false;
}
