// SPDX-License-Identifier: GPL-2.0-only
/*
 * vring.c - the driver's verbs on a virtqueue, for every layout: see vguest.h
 *
 * Barriers: publishing a chain is a store-release of the index (in the layout's
 * file); before the device's wish for a kick is read, and after our own wish
 * for a call is written, stands a full barrier. Those two pairs are what lost
 * kicks and lost calls are made of.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "vguest.h"

uint64_t vg_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

void vg_ring_init(struct vg_ring *r, struct vg_mem *m, unsigned int num, bool event_idx)
{
	memset(r, 0, sizeof(*r));
	r->layout = VG_SPLIT;
	r->mem = m;
	r->num = num;
	r->event_idx = event_idx;
	r->kick = kt_sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	r->call = kt_sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	r->err = kt_sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	r->slot = calloc(num, sizeof(*r->slot));
	r->free_next = calloc(num, sizeof(*r->free_next));
	kt_check(r->slot && r->free_next, "no memory");
	switch (r->layout) {
	case VG_SPLIT:
		vg_split_init(r);
		break;
	}
	vg_ring_reset(r, 0);
}

void vg_ring_reset(struct vg_ring *r, uint16_t base)
{
	unsigned int i;

	for (i = 0; i < r->num; i++) {
		r->slot[i].ndesc = 0;
		r->free_next[i] = i + 1;
	}
	r->free_head = 0;
	r->nfree = r->num;
	r->in_flight = 0;
	r->avail_idx = base;
	r->kicked_idx = base;
	r->last_used = base;
	switch (r->layout) {
	case VG_SPLIT:
		vg_split_reset(r, base);
		break;
	}
}

void vg_ring_free(struct vg_ring *r)
{
	close(r->kick);
	close(r->call);
	close(r->err);
	free(r->slot);
	free(r->free_next);
	memset(r, 0, sizeof(*r));
}

bool vg_ring_add(struct vg_ring *r, const struct vg_seg *seg, unsigned int nout, unsigned int nin,
		 bool indirect, void *cookie)
{
	kt_check(nout + nin > 0 && nout + nin <= VG_MAX_SEGS, "chain of %u segments", nout + nin);
	switch (r->layout) {
	case VG_SPLIT:
		return vg_split_add(r, seg, nout, nin, indirect, cookie);
	}
	return false;
}

void vg_ring_kick_always(struct vg_ring *r)
{
	uint64_t one = 1;

	r->kicked_idx = r->avail_idx;
	kt_sys(write(r->kick, &one, sizeof(one)));
	r->kicks++;
}

void vg_ring_kick(struct vg_ring *r)
{
	bool want = false;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	switch (r->layout) {
	case VG_SPLIT:
		want = vg_split_want_kick(r);
		break;
	}
	if (want)
		vg_ring_kick_always(r);
	r->kicked_idx = r->avail_idx;
}

bool vg_ring_pending(const struct vg_ring *r)
{
	switch (r->layout) {
	case VG_SPLIT:
		return vg_split_pending(r);
	}
	return false;
}

bool vg_ring_get(struct vg_ring *r, void **cookie, uint32_t *len)
{
	switch (r->layout) {
	case VG_SPLIT:
		return vg_split_get(r, cookie, len);
	}
	return false;
}

bool vg_ring_arm(struct vg_ring *r)
{
	switch (r->layout) {
	case VG_SPLIT:
		vg_split_arm(r, true);
		break;
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return vg_ring_pending(r);
}

void vg_ring_disarm(struct vg_ring *r)
{
	switch (r->layout) {
	case VG_SPLIT:
		vg_split_arm(r, false);
		break;
	}
}

static bool drain(int fd)
{
	uint64_t v;

	return read(fd, &v, sizeof(v)) == sizeof(v);
}

bool vg_ring_wait(struct vg_ring *r, int ms)
{
	uint64_t end = vg_ms() + ms;

	for (;;) {
		struct pollfd p = { .fd = r->call, .events = POLLIN };
		int64_t left;

		if (vg_ring_arm(r)) {
			drain(r->call);
			return true;
		}
		left = end - vg_ms();
		if (left <= 0)
			return false;
		if (kt_sys(poll(&p, 1, left)) == 1 && drain(r->call)) {
			r->calls++;
			if (vg_ring_pending(r))
				return true;
			continue;
		}
		kt_check(!vg_ring_pending(r), "a chain was used and no call came for it");
	}
}

bool vg_ring_erred(struct vg_ring *r, int ms)
{
	struct pollfd p = { .fd = r->err, .events = POLLIN };

	return kt_sys(poll(&p, 1, ms)) == 1 && drain(r->err);
}
