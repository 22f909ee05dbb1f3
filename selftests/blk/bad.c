// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad.c - what a hostile guest puts into the ring of a disk: it breaks its own queue, or
 * gets an error, and the next ring works
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vdisk.h"

#define NEXT  VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE

/**
 * struct bad - descriptors of one request
 * @at: address: 0 and up within a room of guest memory; or one that is none (OUTSIDE…)
 */
struct bad {
	const char *name;
	struct {
		uint64_t at;
		uint32_t len;
		uint16_t flags;
	} d[4];
	bool status; /* it is no error of the queue: it gets a status */
};

#define OUTSIDE (1ull << 62) /* no memory of the guest's */
#define AROUND	(~0ull - 7)  /* wraps around */

static const struct bad bads[] = {
	{ "no descriptor but the header", { { 0, 16, 0 } }, false },
	{ "no room for the header", { { 0, 15, NEXT }, { 4096, 513, WRITE } }, false },
	{ "nothing readable", { { 0, 513, WRITE } }, false },
	{ "nothing at all", { { 0, 0, 0 } }, false },
	{ "no status", { { 0, 16, NEXT }, { 4096, 512, 0 } }, false },
	{ "a status of no bytes",
	  { { 0, 16, NEXT }, { 4096, 512, NEXT }, { 8192, 0, WRITE } },
	  false },
	{ "a header that is not there", { { OUTSIDE, 16, NEXT }, { 4096, 513, WRITE } }, false },
	{ "data that is not there",
	  { { 0, 16, NEXT }, { OUTSIDE, 512, NEXT | WRITE }, { 4096, 1, WRITE } },
	  false },
	{ "a status that is not there", { { 0, 16, NEXT }, { OUTSIDE, 1, WRITE } }, false },
	{ "data that wraps around",
	  { { 0, 16, NEXT }, { AROUND, 4096, NEXT | WRITE }, { 4096, 1, WRITE } },
	  false },
	{ "the largest length there is",
	  { { 0, 16, NEXT }, { 4096, 0xffffffff, NEXT | WRITE }, { 4096, 1, WRITE } },
	  false },
	{ "readable behind writable",
	  { { 0, 16, NEXT }, { 4096, 512, NEXT | WRITE }, { 8192, 16, 0 } },
	  false },
	{ "a status alone: a read of nothing", { { 0, 16, NEXT }, { 4096, 1, WRITE } }, true },
	{ "header and status in the same place", { { 0, 16, NEXT }, { 0, 1, WRITE } }, true },
	{ "data over the header and the status",
	  { { 0, 16, NEXT }, { 0, 512, NEXT | WRITE }, { 256, 1, WRITE } },
	  true },
};

/* Put the request into the ring. */
static void put(struct vd_disk *d, const struct bad *b, uint64_t gpa)
{
	struct vg_ring *r = &d->q[0].ring;
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN };
	unsigned int i;

	vg_put(d->mem, gpa, &hdr, sizeof(hdr));
	for (i = 0; i < ARRAY_SIZE(b->d); i++) {
		uint64_t at = b->d[i].at >= OUTSIDE ? b->d[i].at : gpa + b->d[i].at;

		vg_desc(r, i, at, b->d[i].len, b->d[i].flags, i + 1);
		if (!(b->d[i].flags & NEXT))
			break;
	}
	vg_publish(r, 0);
	vg_ring_kick_always(r);
}

static void requests(long arg)
{
	struct vd_opts o = { 0 };
	struct vd_disk *d = vd_new(&o);
	struct vg_ring *r = &d->q[0].ring;
	const uint64_t gpa = d->q[0].room[0];
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(bads); i++) {
		const uint16_t used = vg_used_idx(r);

		put(d, &bads[i], gpa);
		if (bads[i].status) {
			uint64_t end = vg_ms() + VG_STALL_MS;

			while (vg_used_idx(r) == used && vg_ms() < end)
				usleep(1000);
			kt_check(vg_used_idx(r) != used, "%s: not returned", bads[i].name);
			kt_check(!vg_ring_erred(r, 0), "%s: the queue broke", bads[i].name);
		} else {
			kt_check(vg_ring_erred(r, VG_STALL_MS), "%s: no error", bads[i].name);
			kt_check(vg_used_idx(r) == used, "%s: it was used", bads[i].name);
		}
		vd_queue_anew(d, 0);
		vd_alive(d);
	}
	vd_free(d);
}

/* A request that is bad comes behind good ones that are being served. */
static void behind_good_ones(long arg)
{
	struct vd_opts o = { .num = 256, .depth = 64 };
	struct vd_disk *d = vd_new(&o);
	struct vg_ring *r = &d->q[0].ring;
	static struct vd_io io[32];
	static uint8_t buf[32][65536];
	unsigned int round, i;

	(void)arg;
	for (round = 0; round < kt_scale(20, 4); round++) {
		d->q[0].nroom = o.depth;
		for (i = 0; i < 32; i++) {
			io[i] = (struct vd_io){ .type = VIRTIO_BLK_T_IN,
						.in = buf[i],
						.in_len = sizeof(buf[i]) };
			kt_check(vd_start(d, 0, &io[i]), "no room");
		}
		if (r->layout == VG_SPLIT) {
			/* Of a split ring the bad one takes a descriptor of its own. */
			vg_desc(r, r->num - 1, OUTSIDE, 16, 0, 0);
			vg_publish(r, r->num - 1);
		} else {
			vg_desc(r, 0, OUTSIDE, 16, 0, 0);
			vg_publish(r, 0);
		}
		vg_ring_kick_always(r);
		kt_check(vg_ring_erred(r, VG_STALL_MS), "no error");
		vd_queue_anew(d, 0);
		d->q[0].nroom = o.depth;
		vd_alive(d);
	}
	vd_free(d);
}

static uint64_t state;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Random chains with random headers, from a seed: whatever comes of it, the next ring works. */
static void random_requests(long seed)
{
	struct vd_opts o = { .num = 64, .depth = 8, .queues = 2 };
	struct vd_disk *d = vd_new(&o);
	static const uint32_t types[] = { 0, 1, 4, 8, 11, 13, 14, 0xffffffff };
	static const uint32_t lens[] = { 0, 1, 15, 16, 17, 512, 513, 4096, 65536, 0xffffffff };
	unsigned int round, i, n;

	state = seed;
	kt_note("seed %ld", seed);
	for (round = 0; round < kt_scale(400, 60); round++) {
		struct vg_ring *r = &d->q[0].ring;
		const uint64_t gpa = d->q[0].room[rnd() % o.depth];

		for (n = 0; n < 8; n++) {
			struct virtio_blk_outhdr hdr = {
				.type = types[rnd() % ARRAY_SIZE(types)],
				.sector = rnd() % 4 ? rnd() % 1000 : rnd(),
			};
			struct virtio_blk_discard_write_zeroes z = { rnd() % 5000, rnd() % 300,
								     rnd() % 4 };
			unsigned int segs = 1 + rnd() % 5;

			vg_put(d->mem, gpa, &hdr, sizeof(hdr));
			vg_put(d->mem, gpa + 16, &z, sizeof(z));
			for (i = 0; i < segs; i++) {
				uint64_t at = gpa + (i ? rnd() % 8192 : 0);
				uint32_t len = i ? lens[rnd() % ARRAY_SIZE(lens)] : 16;
				uint16_t flags = i + 1 < segs ? NEXT : 0;

				if (i > segs / 2 || rnd() % 9 == 0)
					flags |= WRITE;
				if (rnd() % 60 == 0)
					at = rnd();
				vg_desc(r, n * 8 + i, at, len, flags, n * 8 + i + 1);
			}
			vg_publish(r, n * 8);
		}
		vg_ring_kick_always(r);
		if (round % 3 == 0)
			usleep(rnd() % 3000);
		vd_queue_anew(d, 0);
		if (round % 20 == 0)
			vd_alive(d);
	}
	vd_alive(d);
	vd_free(d);
}

static const struct kt_case cases[] = {
	{ "requests that are none break the queue, others get a status", requests, 0 },
	{ "a bad request behind good ones", behind_good_ones, 0 },
	{ "random requests", random_requests, 20261123 },
	{ "other random requests", random_requests, 4711 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
