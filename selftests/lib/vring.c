// SPDX-License-Identifier: GPL-2.0-only
/*
 * vring.c - the driver's verbs on a virtqueue, for every layout: see vguest.h
 *
 * Barriers: publishing a chain is a store-release of what makes it available (in
 * the layout's file); before the device's wish for a kick is read, and after our
 * own wish for a call is written, stands a full barrier. Those two pairs are what
 * lost kicks and lost calls are made of.
 *
 * In order (VIRTIO 1.2, 2.7.9 and 2.8.8): one used element stands for all chains
 * from the last one that was used up to the one that it names; of those before
 * that one every writable byte counts as written.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "vguest.h"

static const char *const ring_names[] = { "split", "packed", "split-in-order", "packed-in-order" };

uint64_t vg_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

unsigned int vg_rings(void)
{
	const char *want = getenv("SHUNT_TEST_RING");
	unsigned int i;

	if (!want || !*want)
		return VG_ON_SPLIT;
	for (i = 0; i < ARRAY_SIZE(ring_names); i++)
		if (!strcmp(want, ring_names[i]))
			return 1u << i;
	kt_fail("SHUNT_TEST_RING=%s: no such rings", want);
}

bool vg_packed(void)
{
	return vg_rings() & VG_ON_ANY_PACKED;
}

static uint64_t features_of(unsigned int rings)
{
	return (rings & VG_ON_ANY_PACKED ? BIT(VIRTIO_F_RING_PACKED) : 0) |
	       (rings & VG_ON_ANY_IN_ORDER ? BIT(VIRTIO_F_IN_ORDER) : 0);
}

uint64_t vg_ring_features(void)
{
	return features_of(vg_rings());
}

int vg_rings_print(void)
{
	int fd = open(vg_path(), O_RDWR | O_CLOEXEC);
	uint64_t offered;
	unsigned int i;

	if (fd < 0) {
		fprintf(stderr, "%s: %s\n", vg_path(), strerror(errno));
		return 1;
	}
	offered = vg_features(fd);
	for (i = 0; i < ARRAY_SIZE(ring_names); i++)
		if (!(features_of(1u << i) & ~offered))
			puts(ring_names[i]);
	close(fd);
	return 0;
}

void vg_ring_init(struct vg_ring *r, struct vg_mem *m, unsigned int num, bool event_idx)
{
	memset(r, 0, sizeof(*r));
	r->layout = vg_packed() ? VG_PACKED : VG_SPLIT;
	r->in_order = vg_rings() & VG_ON_ANY_IN_ORDER;
	r->mem = m;
	r->num = num;
	r->event_idx = event_idx;
	r->kick = kt_sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	r->call = kt_sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	r->err = kt_sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	r->slot = calloc(num, sizeof(*r->slot));
	r->free_next = calloc(num, sizeof(*r->free_next));
	r->order = calloc(65536, sizeof(*r->order));
	kt_check(r->slot && r->free_next && r->order, "no memory");
	switch (r->layout) {
	case VG_SPLIT:
		vg_split_init(r);
		break;
	case VG_PACKED:
		vg_packed_init(r);
		break;
	}
	vg_ring_reset(r, vg_ring_first(r));
}

void vg_ring_reset(struct vg_ring *r, uint32_t base)
{
	unsigned int i;

	for (i = 0; i < r->num; i++) {
		r->slot[i].ndesc = 0;
		r->free_next[i] = i + 1;
	}
	r->free_head = 0;
	r->nfree = r->num;
	r->in_flight = 0;
	r->batch = 0;
	switch (r->layout) {
	case VG_SPLIT:
		vg_split_reset(r, base);
		break;
	case VG_PACKED:
		vg_packed_reset(r, base);
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
	free(r->order);
	free(r->shadow);
	memset(r, 0, sizeof(*r));
}

uint32_t vg_ring_base(const struct vg_ring *r, uint64_t n)
{
	uint32_t place;

	if (r->layout == VG_SPLIT)
		return n & 0xffff;
	/* Next available in the low half, next used in the high one: each with its wrap counter. */
	place = n % r->num | (n / r->num % 2 ? 0 : 0x8000);
	return place | place << 16;
}

uint32_t vg_ring_first(const struct vg_ring *r)
{
	return vg_ring_base(r, 0);
}

uint32_t vg_ring_at(const struct vg_ring *r)
{
	uint64_t at = 0;

	switch (r->layout) {
	case VG_SPLIT:
		at = vg_split_used(r);
		break;
	case VG_PACKED:
		vg_packed_used(r, &at);
		break;
	}
	return vg_ring_base(r, at);
}

uint64_t vg_ring_used_bytes(const struct vg_ring *r)
{
	if (r->layout == VG_PACKED)
		return sizeof(*r->device);
	return 6 + sizeof(struct vring_used_elem) * (uint64_t)r->num;
}

/* Keep what is known of a chain that is about to be published. */
static void slot_take(struct vg_ring *r, unsigned int slot, unsigned int ndesc, uint32_t in_len,
		      void *cookie)
{
	struct vg_slot *s = &r->slot[slot];

	kt_check(slot < r->num && !s->ndesc, "slot %u is in flight already", slot);
	s->cookie = cookie;
	s->in_len = in_len;
	s->ndesc = ndesc;
	r->order[r->avail_idx] = slot;
	r->in_flight++;
}

bool vg_ring_add(struct vg_ring *r, const struct vg_seg *seg, unsigned int nout, unsigned int nin,
		 bool indirect, void *cookie)
{
	unsigned int n = nout + nin, slot = r->free_head, i;
	struct vring_desc d[VG_MAX_SEGS];
	uint32_t in_len = 0;

	kt_check(n > 0 && n <= VG_MAX_SEGS, "chain of %u segments", n);
	if (r->nfree < (indirect ? 1 : n))
		return false;
	for (i = 0; i < n; i++) {
		d[i] = (struct vring_desc){
			.addr = seg[i].gpa + r->mem->iova_off,
			.len = seg[i].len,
			.flags = (i >= nout ? VRING_DESC_F_WRITE : 0) |
				 (i + 1 < n ? VRING_DESC_F_NEXT : 0),
			.next = i + 1,
		};
		if (i >= nout)
			in_len += seg[i].len;
	}
	slot_take(r, slot, indirect ? 1 : n, in_len, cookie);
	if (indirect) {
		uint64_t *table = &r->slot[slot].table;

		if (!*table)
			*table = vg_alloc(r->mem, 16 * VG_MAX_SEGS, 16);
		vg_put_table(r, *table, d, n);
		d[0] = (struct vring_desc){ *table + r->mem->iova_off, 16 * n,
					    VRING_DESC_F_INDIRECT, 0 };
		n = 1;
	}
	switch (r->layout) {
	case VG_SPLIT:
		vg_split_add(r, d, n);
		break;
	case VG_PACKED:
		vg_packed_add(r, d, n);
		break;
	}
	return true;
}

void vg_ring_kick_always(struct vg_ring *r)
{
	uint64_t one = 1;

	r->kicked_idx = r->avail_idx;
	r->at_kick = r->at_avail;
	kt_sys(write(r->kick, &one, sizeof(one)));
	r->kicks++;
}

bool vg_ring_wants_kick(struct vg_ring *r)
{
	bool want = false;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	switch (r->layout) {
	case VG_SPLIT:
		want = vg_split_want_kick(r);
		break;
	case VG_PACKED:
		want = vg_packed_want_kick(r);
		break;
	}
	r->kicked_idx = r->avail_idx;
	r->at_kick = r->at_avail;
	return want;
}

void vg_ring_kick(struct vg_ring *r)
{
	if (vg_ring_wants_kick(r))
		vg_ring_kick_always(r);
}

uint16_t vg_used_idx(const struct vg_ring *r)
{
	switch (r->layout) {
	case VG_SPLIT:
		return vg_split_used(r);
	case VG_PACKED:
		return vg_packed_used(r, NULL);
	}
	return 0;
}

bool vg_ring_pending(const struct vg_ring *r)
{
	return r->batch || vg_used_idx(r) != r->last_used;
}

void vg_ring_used(struct vg_ring *r, unsigned int slot, uint32_t len, unsigned int most)
{
	const struct vg_slot *s = &r->slot[slot];

	kt_check(slot < r->num, "a used element names chain %u of %u", slot, r->num);
	kt_check(s->ndesc, "a used element names chain %u, which is not in flight", slot);
	kt_check(len <= s->in_len, "used length %u of a chain with %u writable bytes", len,
		 s->in_len);
	r->batch = 1;
	while (r->in_order && r->order[(uint16_t)(r->last_used + r->batch - 1)] != slot)
		kt_check(++r->batch <= most, "chain %u is used, not one of the next %u", slot,
			 most);
	r->elements++;
	r->batch_slot = slot;
	r->batch_len = len;
}

bool vg_ring_get(struct vg_ring *r, void **cookie, uint32_t *len)
{
	struct vg_slot *s;
	unsigned int slot;
	bool any = r->batch;

	switch (r->layout) {
	case VG_SPLIT:
		any = any || vg_split_next(r);
		break;
	case VG_PACKED:
		any = any || vg_packed_next(r);
		break;
	}
	if (!any)
		return false;
	slot = r->batch > 1 ? r->order[r->last_used] : r->batch_slot;
	s = &r->slot[slot];
	if (cookie)
		*cookie = s->cookie;
	if (len)
		*len = r->batch > 1 ? s->in_len : r->batch_len;
	switch (r->layout) {
	case VG_SPLIT:
		vg_split_give(r, slot);
		break;
	case VG_PACKED:
		vg_packed_give(r, slot);
		break;
	}
	s->ndesc = 0;
	r->in_flight--;
	r->batch--;
	r->last_used++;
	return true;
}

static void arm(struct vg_ring *r, bool on, unsigned int more)
{
	switch (r->layout) {
	case VG_SPLIT:
		vg_split_arm(r, on, more);
		break;
	case VG_PACKED:
		vg_packed_arm(r, on, more);
		break;
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

bool vg_ring_arm(struct vg_ring *r)
{
	arm(r, true, 0);
	return vg_ring_pending(r);
}

void vg_ring_arm_at(struct vg_ring *r, unsigned int more)
{
	kt_check(r->event_idx, "there is no place to name without EVENT_IDX");
	arm(r, true, more);
}

void vg_ring_disarm(struct vg_ring *r)
{
	arm(r, false, 0);
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
		/* Between the use and its call the device may have lost the processor. */
		if (kt_sys(poll(&p, 1, left)) == 0 && vg_ring_pending(r))
			kt_check(kt_sys(poll(&p, 1, VG_STALL_MS)) == 1,
				 "a chain was used and no call came for it");
		if (!drain(r->call))
			continue;
		r->calls++;
		if (vg_ring_pending(r))
			return true;
	}
}

bool vg_ring_erred(struct vg_ring *r, int ms)
{
	struct pollfd p = { .fd = r->err, .events = POLLIN };

	return kt_sys(poll(&p, 1, ms)) == 1 && drain(r->err);
}

void vg_put_table(struct vg_ring *r, uint64_t gpa, const struct vring_desc *d, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++, gpa += sizeof(*d)) {
		/* Of a packed table's flags WRITE alone means something, its ID nothing. */
		struct vring_packed_desc p = { d[i].addr, d[i].len, 0xbad0 + i % 16, d[i].flags };

		vg_put(r->mem, gpa, r->layout == VG_PACKED ? (void *)&p : &d[i], sizeof(*d));
	}
}

void vg_desc(struct vg_ring *r, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags,
	     uint16_t next)
{
	struct vring_desc d = { addr, len, flags, next };

	switch (r->layout) {
	case VG_SPLIT:
		vg_split_desc(r, i, &d);
		break;
	case VG_PACKED:
		vg_packed_desc(r, i, &d);
		break;
	}
}

void vg_publish(struct vg_ring *r, uint16_t head)
{
	switch (r->layout) {
	case VG_SPLIT:
		vg_split_publish(r, head);
		break;
	case VG_PACKED:
		vg_packed_publish(r);
		break;
	}
}

void vg_endless(struct vg_ring *r, uint64_t gpa, uint32_t len, uint16_t flags)
{
	unsigned int i;

	for (i = 0; i < r->num; i++) {
		vg_desc(r, r->layout == VG_SPLIT ? i : 0, gpa, len, flags, 0);
		vg_publish(r, i);
	}
}

void vg_endless_again(struct vg_ring *r)
{
	switch (r->layout) {
	case VG_SPLIT:
		vg_split_endless_again(r);
		break;
	case VG_PACKED:
		vg_packed_endless_again(r);
		break;
	}
}
