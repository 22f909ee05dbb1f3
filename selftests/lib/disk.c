// SPDX-License-Identifier: GPL-2.0-only
/*
 * disk.c - a virtio disk put together from memory, rings and a device: see vdisk.h
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vdisk.h"

#define HOLE	 8u /* bytes between segments, at the least */
#define CANARY	 0x5c
#define IOVA_OFF 0x4000000000ull

static const uint32_t plain[] = { sizeof(struct virtio_blk_outhdr), 1u << 30 };

const char *vd_path(void)
{
	const char *p = getenv("SHUNT_TEST_DISK");

	kt_check(p && *p, "SHUNT_TEST_DISK names no disk");
	return p;
}

void vd_get_config(int fd, struct virtio_blk_config *c)
{
	struct shunt_blk_config got;

	kt_sys(ioctl(fd, SHUNT_BLK_GET_CONFIG, &got));
	kt_check(got.len >= sizeof(*c) && got.len <= sizeof(got.config), "a configuration of %u",
		 got.len);
	memcpy(c, got.config, sizeof(*c));
}

void vd_defaults(struct vd_disk *d, const struct vd_opts *o)
{
	memset(d, 0, sizeof(*d));
	d->o = *o;
	d->queues = o->queues ? o->queues : 1;
	d->o.features = o->features ? o->features : VD_BASIC;
	d->o.num = o->num ? o->num : 128;
	d->o.depth = o->depth ? o->depth : 16;
	d->o.room = o->room ? o->room : 65536;
	d->o.align = o->align ? o->align : VD_SECTOR;
	d->o.regions = o->regions ? o->regions : 4;
	if (!d->o.cut) {
		d->o.cut = plain;
		d->o.ncut = ARRAY_SIZE(plain);
	}
	if (d->o.iotlb)
		d->o.features |= BIT(VIRTIO_F_ACCESS_PLATFORM);
	d->o.features |= vg_ring_features();
	d->backing = -1;
}

void vd_open(struct vd_disk *d, const struct vd_opts *o)
{
	struct shunt_blk_disk arg = { .serial = "serial of the test" };

	vd_defaults(d, o);
	d->backing = kt_sys(open(o->path ? o->path : vd_path(),
				 (o->open_flags ? o->open_flags : O_RDWR) | O_CLOEXEC));
	d->dev.fd = vg_open();
	arg.fd = d->backing;
	arg.flags = o->flags;
	arg.queues = d->queues;
	kt_sys(ioctl(d->dev.fd, SHUNT_BLK_SET_DISK, &arg));
	vd_get_config(d->dev.fd, &d->config);
	d->sectors = d->config.capacity;
}

static uint32_t room_size(const struct vd_opts *o)
{
	return o->room + (HOLE + o->align) * (VG_MAX_SEGS + 1) + 64;
}

void vd_queue_setup(struct vd_disk *d, unsigned int i, uint32_t base)
{
	struct vg_ring *r = &d->q[i].ring;
	uint64_t desc = (uintptr_t)r->desc, avail = (uintptr_t)r->avail, used = (uintptr_t)r->used;
	int fd = d->dev.fd;

	if (d->o.iotlb) {
		desc = r->desc_gpa + d->mem->iova_off;
		avail = r->avail_gpa + d->mem->iova_off;
		used = r->used_gpa + d->mem->iova_off;
	}
	kt_sys(vg_vring_state(fd, VHOST_SET_VRING_NUM, i, r->num));
	kt_sys(vg_vring_state(fd, VHOST_SET_VRING_BASE, i, base));
	kt_sys(vg_vring_addr(fd, i, d->dev.vring_flags, desc, avail, used,
			     r->used_gpa + (d->o.iotlb ? d->mem->iova_off : 0)));
	kt_sys(vg_vring_file(fd, VHOST_SET_VRING_KICK, i, r->kick));
	kt_sys(vg_vring_file(fd, VHOST_SET_VRING_CALL, i, r->call));
	kt_sys(vg_vring_file(fd, VHOST_SET_VRING_ERR, i, r->err));
	if (d->o.busyloop)
		kt_sys(vg_vring_state(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, i, d->o.busyloop));
}

int vd_backend(struct vd_disk *d, unsigned int i, int fd)
{
	return vg_vring_file(d->dev.fd, VHOST_BLK_SET_BACKEND, i, fd);
}

void vd_queue_start(struct vd_disk *d, unsigned int i)
{
	kt_sys(vd_backend(d, i, d->backing));
}

uint32_t vd_queue_stop(struct vd_disk *d, unsigned int i)
{
	kt_sys(vd_backend(d, i, -1));
	return vg_get_base(d->dev.fd, i);
}

static void rooms_new(struct vd_disk *d, unsigned int i)
{
	struct vd_queue *q = &d->q[i];
	unsigned int k;

	q->room = calloc(d->o.depth, sizeof(*q->room));
	q->all = calloc(d->o.depth, sizeof(*q->all));
	kt_check(q->room && q->all, "no memory");
	for (k = 0; k < d->o.depth; k++)
		q->all[k] = vg_alloc(d->mem, room_size(&d->o), VG_PAGE);
	vd_queue_forget(d, i);
}

void vd_queue_forget(struct vd_disk *d, unsigned int i)
{
	struct vd_queue *q = &d->q[i];

	memcpy(q->room, q->all, d->o.depth * sizeof(*q->room));
	q->nroom = d->o.depth;
}

void vd_memory(struct vd_disk *d)
{
	uint64_t all = (uint64_t)(room_size(&d->o) + VG_PAGE) * d->o.depth * d->queues;
	unsigned int i;

	/* A region must hold its largest room, and be wasteful at its end. */
	all += (uint64_t)d->o.regions * room_size(&d->o) +
	       16ull * VG_MAX_SEGS * d->o.num * d->queues;
	d->mem = vg_mem_new(d->o.regions, all + (1u << 20), d->o.layout);
	d->mem->iova_off = d->o.iotlb ? IOVA_OFF : 0;
	d->mem->whole_elements = d->o.whole_elements;
	d->dev.mem = d->mem;
	d->dev.features = d->o.features;
	d->dev.tlb.version = d->o.iotlb;
	for (i = 0; i < d->queues; i++) {
		vg_ring_init(&d->q[i].ring, d->mem, d->o.num,
			     d->o.features & BIT(VIRTIO_RING_F_EVENT_IDX));
		rooms_new(d, i);
	}
}

void vd_setup(struct vd_disk *d)
{
	struct vg_dev *dev = &d->dev;
	unsigned int i;

	vd_memory(d);
	kt_sys(ioctl(dev->fd, VHOST_SET_OWNER));
	if (d->o.iotlb) {
		uint64_t be = d->o.iotlb == 2 ? BIT(VHOST_BACKEND_F_IOTLB_MSG_V2) : 0;

		kt_sys(fcntl(dev->fd, F_SETFL, O_NONBLOCK));
		kt_sys(ioctl(dev->fd, VHOST_SET_BACKEND_FEATURES, &be));
	}
	kt_sys(vg_set_features(dev->fd, d->o.features));
	kt_sys(vg_set_mem(dev->fd, d->mem));
	for (i = 0; i < d->queues; i++)
		vd_queue_setup(d, i, vg_ring_first(&d->q[i].ring));
	if (d->o.iotlb)
		vg_iotlb_start(dev);
}

struct vd_disk *vd_new(const struct vd_opts *o)
{
	struct vd_disk *d = calloc(1, sizeof(*d));
	unsigned int i;

	kt_check(d, "no memory");
	vd_open(d, o);
	vd_setup(d);
	for (i = 0; i < d->queues; i++)
		vd_queue_start(d, i);
	return d;
}

void vd_queue_anew(struct vd_disk *d, unsigned int i)
{
	struct vg_ring *r = &d->q[i].ring;

	kt_sys(vd_backend(d, i, -1));
	vg_ring_reset(r, vg_ring_first(r));
	vd_queue_setup(d, i, vg_ring_first(r));
	while (vg_ring_erred(r, 0))
		;
	vd_queue_start(d, i);
}

void vd_reopen(struct vd_disk *d)
{
	struct shunt_blk_disk arg = { .fd = d->backing, .queues = d->queues };

	close(d->dev.fd);
	d->dev.fd = vg_open();
	kt_sys(ioctl(d->dev.fd, SHUNT_BLK_SET_DISK, &arg));
	kt_sys(ioctl(d->dev.fd, VHOST_SET_OWNER));
	kt_sys(vg_set_features(d->dev.fd, d->dev.features));
	kt_sys(vg_set_mem(d->dev.fd, d->mem));
}

void vd_free(struct vd_disk *d)
{
	unsigned int i;

	if (d->o.iotlb)
		vg_iotlb_stop(&d->dev);
	close(d->dev.fd);
	close(d->backing);
	for (i = 0; i < d->queues; i++) {
		vg_ring_free(&d->q[i].ring);
		free(d->q[i].room);
		free(d->q[i].all);
	}
	vg_mem_free(d->mem);
	free(d);
}

/* Place the next @len bytes of a request behind *@at, in segments of the lengths in @cut. */
static unsigned int place(const struct vd_opts *o, struct vd_io *io, uint64_t *at, size_t len,
			  const uint32_t *cut, unsigned int ncut)
{
	unsigned int n = 0;

	while (len) {
		struct vg_seg *s = &io->seg[io->nout + io->nin + n];
		uint32_t piece = cut[n < ncut ? n : ncut - 1];

		/* What is left over when the segments run out goes into the last. */
		if (piece > len || n == VG_MAX_SEGS / 2 - 1)
			piece = len;
		*at += HOLE;
		s->gpa = o->align > 1 ? (*at + o->align - 1) / o->align * o->align : *at | 1;
		s->len = piece;
		*at = s->gpa + piece;
		len -= piece;
		n++;
	}
	return n;
}

/* Lay a request out in its room: header and data for the device; data from it and status. */
static void lay_out(struct vd_disk *d, struct vd_io *io)
{
	const size_t head = sizeof(struct virtio_blk_outhdr);
	struct virtio_blk_outhdr hdr = { .type = io->type, .sector = io->sector };
	const uint32_t apart[] = { io->in_len ? io->in_len : 1, 1 };
	const struct vd_opts *o = &d->o;
	uint8_t *flat = malloc(head + io->out_len);
	const struct vg_seg *last;
	uint64_t at = io->gpa;
	size_t done = 0;
	unsigned int i;

	kt_check(flat, "no memory");
	io->nout = 0;
	io->nin = 0;
	io->nout = place(o, io, &at, head + io->out_len, o->cut, o->ncut);
	if (o->cut == plain)
		io->nin = place(o, io, &at, io->in_len + 1, apart, ARRAY_SIZE(apart));
	else
		io->nin = place(o, io, &at, io->in_len + 1, o->cut, o->ncut);
	kt_check(at < io->gpa + room_size(o), "the room is too small");
	last = &io->seg[io->nout + io->nin - 1];
	io->status_at = last->gpa + last->len - 1;

	vg_fill(d->mem, io->gpa, CANARY, room_size(o));
	vg_put(d->mem, io->status_at, &(uint8_t){ 0xee }, 1);
	memcpy(flat, &hdr, head);
	if (io->out_len)
		memcpy(flat + head, io->out, io->out_len);
	for (i = 0; i < io->nout; i++) {
		vg_put(d->mem, io->seg[i].gpa, flat + done, io->seg[i].len);
		done += io->seg[i].len;
	}
	free(flat);
}

bool vd_start(struct vd_disk *d, unsigned int i, struct vd_io *io)
{
	struct vd_queue *q = &d->q[i];

	kt_check(io->out_len <= d->o.room && io->in_len <= d->o.room, "no such room");
	if (!q->nroom)
		return false;
	io->gpa = q->room[q->nroom - 1];
	io->done = false;
	lay_out(d, io);
	if (!vg_ring_add(&q->ring, io->seg, io->nout, io->nin,
			 d->o.indirect && io->nout + io->nin > 1, io))
		return false;
	q->nroom--;
	return true;
}

/* Take the data out of the writable segments, and look at what is around them. */
static void take(struct vd_disk *d, struct vd_io *io)
{
	const uint64_t end = io->gpa + room_size(&d->o);
	uint64_t at = io->gpa;
	size_t done = 0;
	unsigned int i;

	vg_get(d->mem, io->status_at, &io->status, 1);
	for (i = 0; i < io->nout + io->nin; i++) {
		const struct vg_seg *s = &io->seg[i];
		size_t n = s->len;

		kt_check(vg_filled(d->mem, at, CANARY, s->gpa - at),
			 "something was written in front of segment %u", i);
		at = s->gpa + s->len;
		if (i < io->nout)
			continue;
		if (n > io->in_len - done)
			n = io->in_len - done;
		if (n)
			vg_get(d->mem, s->gpa, (uint8_t *)io->in + done, n);
		done += n;
	}
	kt_check(vg_filled(d->mem, at, CANARY, end - at),
		 "something was written behind the last segment");
}

struct vd_io *vd_reap(struct vd_disk *d, unsigned int i)
{
	struct vd_queue *q = &d->q[i];
	struct vd_io *io;
	void *cookie;
	uint32_t len;

	if (!vg_ring_get(&q->ring, &cookie, &len))
		return NULL;
	io = cookie;
	kt_check(len >= 1, "a request was returned with nothing written, not even its status");
	take(d, io);
	kt_check(io->status <= VIRTIO_BLK_S_UNSUPP, "status %#x", io->status);
	q->room[q->nroom++] = io->gpa;
	io->done = true;
	return io;
}

struct vd_io *vd_wait(struct vd_disk *d, unsigned int i)
{
	if (!vg_ring_pending(&d->q[i].ring))
		kt_check(vg_ring_wait(&d->q[i].ring, VG_STALL_MS),
			 "no request was returned, of %u in flight", d->q[i].ring.in_flight);
	return vd_reap(d, i);
}

int vd_do(struct vd_disk *d, unsigned int i, struct vd_io *io)
{
	kt_check(vd_start(d, i, io), "no room for a request");
	vg_ring_kick(&d->q[i].ring);
	kt_check(vd_wait(d, i) == io, "another request was returned");
	return io->status;
}

int vd_read(struct vd_disk *d, unsigned int i, uint64_t sector, void *buf, size_t len)
{
	struct vd_io io = { .type = VIRTIO_BLK_T_IN, .sector = sector, .in = buf, .in_len = len };

	return vd_do(d, i, &io);
}

int vd_write(struct vd_disk *d, unsigned int i, uint64_t sector, const void *buf, size_t len)
{
	struct vd_io io = {
		.type = VIRTIO_BLK_T_OUT, .sector = sector, .out = buf, .out_len = len
	};

	return vd_do(d, i, &io);
}

int vd_flush(struct vd_disk *d, unsigned int i)
{
	struct vd_io io = { .type = VIRTIO_BLK_T_FLUSH };

	return vd_do(d, i, &io);
}

void vd_fill(void *buf, size_t len, uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;
	uint8_t *p = buf;

	for (; len; len--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		*p++ = x >> 32;
	}
}

void vd_alive(struct vd_disk *d)
{
	static uint8_t a[8 * VD_SECTOR], b[8 * VD_SECTOR];
	unsigned int i;

	for (i = 0; i < d->queues; i++) {
		vd_fill(a, sizeof(a), vg_ms() + i);
		kt_check(vd_write(d, i, 8 * i, a, sizeof(a)) == VIRTIO_BLK_S_OK, "write failed");
		kt_check(vd_read(d, i, 8 * i, b, sizeof(b)) == VIRTIO_BLK_S_OK, "read failed");
		kt_check(!memcmp(a, b, sizeof(a)), "read something else than was written");
	}
}
