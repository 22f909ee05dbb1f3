// SPDX-License-Identifier: GPL-2.0-only
/*
 * diskload.c - a load for a disk that is checked: see struct vd_load
 */
#include <stdlib.h>
#include <string.h>

#include "vdisk.h"

void vd_load_new(struct vd_load *l, struct vd_disk *d)
{
	memset(l, 0, sizeof(*l));
	l->d = d;
	l->place = calloc(VD_PLACES * d->queues, sizeof(*l->place));
	kt_check(l->place, "no memory");
	l->random = 0x9e3779b97f4a7c15ull;
	kt_check(d->sectors >= VD_PLACES * VD_QUEUES * VD_CHUNK / VD_SECTOR,
		 "the disk is too small");
}

/* Begin with a request for a place that has none. False when there is no room. */
static bool begin(struct vd_load *l, unsigned int q)
{
	unsigned int i = vg_below(&l->random, VD_PLACES);
	struct vd_place *p = &l->place[q * VD_PLACES + i];

	if (p->busy)
		return l->d->q[q].nroom;
	memset(&p->io, 0, sizeof(p->io));
	p->io.sector = (uint64_t)(q * VD_PLACES + i) * VD_CHUNK / VD_SECTOR;
	if (!p->seed || vg_below(&l->random, 2)) {
		p->next = ++l->random;
		vd_fill(p->buf, VD_CHUNK, p->next);
		p->io.type = VIRTIO_BLK_T_OUT;
		p->io.out = p->buf;
		p->io.out_len = VD_CHUNK;
	} else {
		memset(p->buf, 0, VD_CHUNK);
		p->io.type = VIRTIO_BLK_T_IN;
		p->io.in = p->buf;
		p->io.in_len = VD_CHUNK;
	}
	p->busy = vd_start(l->d, q, &p->io);
	return p->busy;
}

static void end(struct vd_load *l, struct vd_io *io)
{
	struct vd_place *p = (void *)((char *)io - offsetof(struct vd_place, io));
	static uint8_t want[VD_CHUNK];

	kt_check(p->busy, "a request came back twice");
	kt_check(io->status == VIRTIO_BLK_S_OK, "type %u at %llu: status %u", io->type,
		 (unsigned long long)io->sector, io->status);
	if (io->type == VIRTIO_BLK_T_OUT) {
		p->seed = p->next;
	} else {
		vd_fill(want, VD_CHUNK, p->seed);
		kt_check(!memcmp(want, p->buf, VD_CHUNK), "read of sector %llu: other data",
			 (unsigned long long)io->sector);
	}
	p->busy = false;
	l->done++;
}

void vd_load_turn(struct vd_load *l, bool more, bool wait)
{
	unsigned int q, any = 0;
	struct vd_io *io;

	for (q = 0; q < l->d->queues; q++) {
		struct vg_ring *r = &l->d->q[q].ring;
		unsigned int tries = VD_PLACES;

		while (more && tries-- && begin(l, q))
			;
		vg_ring_kick(r);
		while ((io = vd_reap(l->d, q))) {
			end(l, io);
			any++;
		}
	}
	for (q = 0; wait && !any && q < l->d->queues; q++)
		if (l->d->q[q].ring.in_flight) {
			end(l, vd_wait(l->d, q));
			return;
		}
}

static bool in_flight(const struct vd_load *l)
{
	unsigned int q, n = 0;

	for (q = 0; q < l->d->queues; q++)
		n += l->d->q[q].ring.in_flight;
	return n;
}

void vd_load_run(struct vd_load *l, unsigned int n)
{
	const unsigned int until = l->done + n;

	while (l->done < until)
		vd_load_turn(l, true, true);
	while (in_flight(l))
		vd_load_turn(l, false, true);
}

void vd_load_forget(struct vd_load *l)
{
	unsigned int i;

	for (i = 0; i < VD_PLACES * l->d->queues; i++) {
		struct vd_place *p = &l->place[i];

		/* A write may have been done or not. */
		if (p->busy && p->io.type == VIRTIO_BLK_T_OUT)
			p->seed = 0;
		p->busy = false;
	}
}

void vd_load_check(struct vd_load *l)
{
	static uint8_t got[VD_CHUNK], want[VD_CHUNK];
	unsigned int i;

	for (i = 0; i < VD_PLACES * l->d->queues; i++) {
		if (!l->place[i].seed)
			continue;
		kt_check(vd_read(l->d, 0, (uint64_t)i * VD_CHUNK / VD_SECTOR, got, VD_CHUNK) == 0,
			 "read of place %u", i);
		vd_fill(want, VD_CHUNK, l->place[i].seed);
		kt_check(!memcmp(want, got, VD_CHUNK), "place %u: other data", i);
	}
}
