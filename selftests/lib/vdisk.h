/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vdisk.h - a guest's virtio disk, on vguest.h
 *
 * Theory of operation. A disk is put together from memory, rings and a device, as a
 * card is by net.c. A request has a room of guest memory: header, data and status, cut
 * into segments wherever the test wants, the readable ones apart from the writable
 * ones, with bytes between them that nobody may change.
 *
 * What the device serves is named by SHUNT_TEST_DISK, a block device or a file, which
 * selftests/run-blk makes; what it holds is the test's to overwrite.
 */
#ifndef VDISK_H
#define VDISK_H

#include <linux/virtio_blk.h>

#include "../../vhost/uapi/shunt.h"
#include "random.h"
#include "vguest.h"

#define VD_QUEUES 4
#define VD_SECTOR 512u

struct vd_opts {
	uint64_t features;   /* beside those of the rings; VD_BASIC when 0 */
	unsigned int queues; /* 1 when 0 */
	unsigned int num;    /* ring size, 128 when 0 */
	unsigned int depth;  /* rooms of each queue, 16 when 0 */
	uint32_t room;	     /* bytes of data in a room, 64 KiB when 0 */
	unsigned int align;  /* of data in guest memory, 512 when 0 */
	bool indirect;
	const uint32_t
		*cut; /* lengths of segments, over header, data and status; the last repeats */
	unsigned int ncut;
	unsigned int regions; /* memory regions, 4 when 0 */
	enum vg_layout layout;
	uint32_t flags; /* SHUNT_BLK_* */
	int open_flags; /* O_RDWR when 0 */
	unsigned int busyloop;
	const char *path;    /* of the disk; SHUNT_TEST_DISK when NULL */
	int iotlb;	     /* 0, or the version of the messages */
	bool whole_elements; /* see struct vg_mem */
};

#define VD_BASIC                                                      \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
	 BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_BLK_F_FLUSH))

/**
 * struct vd_io - one request
 * @type: VIRTIO_BLK_T_*
 * @sector: for the header
 * @out: data for the device, @out_len bytes; or NULL
 * @in: where data from the device goes, @in_len bytes; or NULL
 * @done: it was returned, with @status
 */
struct vd_io {
	uint32_t type;
	uint64_t sector;
	const void *out;
	size_t out_len;
	void *in;
	size_t in_len;
	/* state and results */
	uint8_t status;
	bool done;
	uint64_t gpa;	    /* of its room */
	uint64_t status_at; /* guest address of the status */
	struct vg_seg seg[VG_MAX_SEGS];
	unsigned int nout, nin;
	struct vd_io *next;
};

struct vd_queue {
	struct vg_ring ring;
	uint64_t *room, *all; /* free ones, and all of them */
	unsigned int nroom;
};

struct vd_disk {
	struct vd_opts o;
	int backing; /* the disk */
	struct vg_mem *mem;
	struct vg_dev dev;
	unsigned int queues;
	struct vd_queue q[VD_QUEUES];
	uint64_t sectors;
	struct virtio_blk_config config;
};

/* The path of the disk under test. */
const char *vd_path(void);
/* Bring up a disk, running. */
struct vd_disk *vd_new(const struct vd_opts *o);
/* The steps of it, for tests that leave some out: the device opened and told of its disk; */
void vd_open(struct vd_disk *d, const struct vd_opts *o);
/* owner, features, memory, rings; */
void vd_setup(struct vd_disk *d);
/* queue @i told of its ring, from @base, and started. */
void vd_queue_setup(struct vd_disk *d, unsigned int i, uint32_t base);
/* What is in flight in queue @i does not come back. */
void vd_queue_forget(struct vd_disk *d, unsigned int i);
int vd_backend(struct vd_disk *d, unsigned int i, int fd);
void vd_queue_start(struct vd_disk *d, unsigned int i);
/* Stop queue @i. Returns the base to go on from. */
uint32_t vd_queue_stop(struct vd_disk *d, unsigned int i);
/* Start queue @i over with nothing in it, whatever state it is in. */
void vd_queue_anew(struct vd_disk *d, unsigned int i);
void vd_free(struct vd_disk *d);
/* Close the device, and have another one for the same disk and memory. */
void vd_reopen(struct vd_disk *d);
/* The steps that need no device, for other kinds of it: options; memory and rings. */
void vd_defaults(struct vd_disk *d, const struct vd_opts *o);
void vd_memory(struct vd_disk *d);
/* SHUNT_BLK_GET_CONFIG; fails the case. */
void vd_get_config(int fd, struct virtio_blk_config *c);

/* Offer a request, without a kick; false when there is no room for it. */
bool vd_start(struct vd_disk *d, unsigned int q, struct vd_io *io);
/* Take one that was returned, its data copied and its room checked; NULL when there is none. */
struct vd_io *vd_reap(struct vd_disk *d, unsigned int q);
/* Wait until one was returned. */
struct vd_io *vd_wait(struct vd_disk *d, unsigned int q);
/* Offer one and wait for it. Returns its status. */
int vd_do(struct vd_disk *d, unsigned int q, struct vd_io *io);
int vd_read(struct vd_disk *d, unsigned int q, uint64_t sector, void *buf, size_t len);
int vd_write(struct vd_disk *d, unsigned int q, uint64_t sector, const void *buf, size_t len);
int vd_flush(struct vd_disk *d, unsigned int q);
/* Write, read back and compare a few sectors on each queue: the disk works. */
void vd_alive(struct vd_disk *d);
/* Bytes that follow from @seed. */
void vd_fill(void *buf, size_t len, uint64_t seed);

/* ---- diskload.c: many requests at once, checked ---- */

#define VD_CHUNK  8192u /* bytes of a request of a load */
#define VD_PLACES 64u	/* places on the disk, for each queue */

/* What each place on the disk holds; a request is for one place, one at a time. */
struct vd_place {
	uint64_t seed; /* 0: not known */
	bool busy;
	struct vd_io io;
	uint8_t buf[VD_CHUNK];
	uint64_t next; /* seed that is being written */
};

struct vd_load {
	struct vd_disk *d;
	struct vd_place *place; /* VD_PLACES for each queue */
	uint64_t random;
	unsigned int done; /* requests */
};

void vd_load_new(struct vd_load *l, struct vd_disk *d);
/* Offer what there is room for if @more, and take what is there; or @wait for one. */
void vd_load_turn(struct vd_load *l, bool more, bool wait);
/* @n requests and whatever is in flight then. */
void vd_load_run(struct vd_load *l, unsigned int n);
/* What was in flight does not come back: the queues have been started anew. */
void vd_load_forget(struct vd_load *l);
/* Read every place that is known. */
void vd_load_check(struct vd_load *l);

#endif
