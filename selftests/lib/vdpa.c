// SPDX-License-Identifier: GPL-2.0-only
/*
 * vdpa.c - the vhost-vdpa ABI of a virtio function: see vdpa.h
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vdpa.h"

/* As <linux/vhost_types.h> has them: numbers of bits, the first two being the bits themselves. */
#define BACKEND (BIT(VHOST_BACKEND_F_IOTLB_MSG_V2) | BIT(VHOST_BACKEND_F_IOTLB_BATCH))

int vf_open(void)
{
	int fd = vg_open();

	vf_own(fd);
	return fd;
}

void vf_own(int fd)
{
	uint64_t offered = 0, want = BACKEND;

	kt_sys(ioctl(fd, VHOST_SET_OWNER));
	kt_sys(ioctl(fd, VHOST_GET_BACKEND_FEATURES, &offered));
	kt_check(!(want & ~offered), "back-end features %#llx, wanted %#llx",
		 (unsigned long long)offered, (unsigned long long)want);
	kt_sys(ioctl(fd, VHOST_SET_BACKEND_FEATURES, &want));
}

uint32_t vf_id(int fd)
{
	uint32_t id = 0;

	kt_sys(ioctl(fd, VHOST_VDPA_GET_DEVICE_ID, &id));
	return id;
}

uint32_t vf_nvqs(int fd)
{
	uint32_t n = 0;

	kt_sys(ioctl(fd, VHOST_VDPA_GET_VQS_COUNT, &n));
	return n;
}

unsigned int vf_max(int fd)
{
	uint16_t num = 0;

	kt_sys(ioctl(fd, VHOST_VDPA_GET_VRING_NUM, &num));
	return num;
}

uint8_t vf_status(int fd)
{
	uint8_t status = 0xff;

	kt_sys(ioctl(fd, VHOST_VDPA_GET_STATUS, &status));
	return status;
}

int vf_set_status(int fd, uint8_t status)
{
	return ioctl(fd, VHOST_VDPA_SET_STATUS, &status);
}

static int config(int fd, unsigned long req, uint32_t off, void *buf, uint32_t len)
{
	/* The length may be a lie; what the kernel then reads or writes is ours. */
	uint32_t room = len < 4096 ? len : 4096;
	struct vhost_vdpa_config *c = calloc(1, sizeof(*c) + 4096);
	int r, e;

	kt_check(c, "no memory");
	c->off = off;
	c->len = len;
	if (buf && req == VHOST_VDPA_SET_CONFIG)
		memcpy(c->buf, buf, room);
	r = ioctl(fd, req, c);
	e = errno;
	if (!r && buf && req == VHOST_VDPA_GET_CONFIG)
		memcpy(buf, c->buf, room);
	free(c);
	errno = e;
	return r;
}

int vf_get_config(int fd, uint32_t off, void *buf, uint32_t len)
{
	return config(fd, VHOST_VDPA_GET_CONFIG, off, buf, len);
}

int vf_set_config(int fd, uint32_t off, const void *buf, uint32_t len)
{
	return config(fd, VHOST_VDPA_SET_CONFIG, off, (void *)buf, len);
}

int vf_msg(int fd, uint8_t type, uint64_t iova, uint64_t size, uint64_t uaddr, uint8_t perm)
{
	struct vg_dev d = { .fd = fd, .tlb = { .version = 2 } };

	return vg_iotlb_send(&d, type, iova, size, uaddr, perm);
}

int vf_enable(int fd, unsigned int index, unsigned int on)
{
	return vg_vring_state(fd, VHOST_VDPA_SET_VRING_ENABLE, index, on);
}

struct vhost_vdpa_iova_range vf_range(int fd)
{
	struct vhost_vdpa_iova_range r = { 1, 0 };

	kt_sys(ioctl(fd, VHOST_VDPA_GET_IOVA_RANGE, &r));
	return r;
}

void vf_map(int fd, const struct vg_mem *m, bool batch)
{
	unsigned int i;

	if (batch)
		kt_sys(vf_msg(fd, VHOST_IOTLB_BATCH_BEGIN, 0, 0, 0, 0));
	for (i = 0; i < m->n; i++)
		kt_sys(vf_msg(fd, VHOST_IOTLB_UPDATE, m->r[i].gpa + m->iova_off, m->r[i].size,
			      (uintptr_t)m->r[i].va, VHOST_ACCESS_RW));
	if (batch)
		kt_sys(vf_msg(fd, VHOST_IOTLB_BATCH_END, 0, 0, 0, 0));
}

void vf_unmap(int fd, const struct vg_mem *m)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		kt_sys(vf_msg(fd, VHOST_IOTLB_INVALIDATE, m->r[i].gpa + m->iova_off, m->r[i].size,
			      0, 0));
}

void vf_negotiate(int fd, uint64_t features)
{
	kt_sys(vf_set_status(fd, 0));
	kt_check(!vf_status(fd), "status %#x after a reset", vf_status(fd));
	kt_sys(vf_set_status(fd, VIRTIO_CONFIG_S_ACKNOWLEDGE));
	kt_sys(vf_set_status(fd, VF_STATUS1));
	kt_sys(vg_set_features(fd, features));
	kt_sys(vf_set_status(fd, VF_STATUS2));
	kt_check(vf_status(fd) == VF_STATUS2, "status %#x, not FEATURES_OK with features %#llx",
		 vf_status(fd), (unsigned long long)features);
}

void vf_ring_setup(int fd, unsigned int index, const struct vg_ring *r)
{
	uint64_t off = r->mem->iova_off;

	kt_sys(vg_vring_state(fd, VHOST_SET_VRING_NUM, index, r->num));
	kt_sys(vg_vring_addr(fd, index, 0, r->desc_gpa + off, r->avail_gpa + off, r->used_gpa + off,
			     0));
	kt_sys(vg_vring_state(fd, VHOST_SET_VRING_BASE, index, vg_ring_first(r)));
	kt_sys(vg_vring_file(fd, VHOST_SET_VRING_KICK, index, r->kick));
	kt_sys(vg_vring_file(fd, VHOST_SET_VRING_CALL, index, r->call));
}
