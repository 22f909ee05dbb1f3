// SPDX-License-Identifier: GPL-2.0-only
/*
 * vring_packed.c - the packed layout of a virtqueue, the driver's side (VIRTIO 1.2, 2.8)
 *
 * Descriptors are counted over all laps of the ring, from 0 or, for a ring that
 * starts in its second lap, from num: number t lies at t % num, and the wrap
 * counter there is 1 on even laps. AVAIL and USED of descriptor t are then
 *
 *	available	AVAIL = wrap, USED = !wrap
 *	used		AVAIL = wrap, USED = wrap
 *
 * and what was not yet made available there looks like one of the lap before.
 *
 * The device sees nothing but what it may count on: buffer IDs are scattered over
 * all 16 bits, and every descriptor of a chain but the last carries a wrong one.
 * What the device must not write is compared with a copy: every descriptor except
 * the first of a chain, or in order the first of all that were used together.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vguest.h"

#define AVAIL	     (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED	     (1u << VRING_PACKED_DESC_F_USED)
#define CANARY	     0xc7
#define CANARY_BYTES 16
#define EVENT_BYTES  sizeof(struct vring_packed_desc_event)

/* Slot to buffer ID and back, one to one in 16 bits: 40503 * 30599 is 1 there. */
static uint16_t id_of(unsigned int slot)
{
	return slot * 40503u + 0x1dea;
}

static uint16_t slot_of(uint16_t id)
{
	return (uint16_t)(id - 0x1dea) * 30599u;
}

static bool wrap(const struct vg_ring *r, uint64_t t)
{
	return !(t / r->num % 2);
}

uint16_t vg_packed_avail(const struct vg_ring *r, uint64_t t)
{
	return wrap(r, t) ? AVAIL : USED;
}

uint16_t vg_packed_spent(const struct vg_ring *r, uint64_t t)
{
	return wrap(r, t) ? AVAIL | USED : 0;
}

/* Each area has its canary; the driver's, which the device must not write, is one itself. */
static uint64_t canary_of(struct vg_ring *r, uint64_t *at, uint64_t bytes, uint64_t align)
{
	*at = vg_alloc_ring(r->mem, bytes + CANARY_BYTES, align);
	return *at + bytes;
}

void vg_packed_init(struct vg_ring *r)
{
	uint64_t ring = sizeof(*r->pdesc) * (uint64_t)r->num;

	canary_of(r, &r->desc_gpa, ring, 16);
	canary_of(r, &r->avail_gpa, EVENT_BYTES, 4);
	canary_of(r, &r->used_gpa, EVENT_BYTES, 4);
	r->pdesc = vg_va(r->mem, r->desc_gpa, ring);
	r->driver = vg_va(r->mem, r->avail_gpa, EVENT_BYTES);
	r->device = vg_va(r->mem, r->used_gpa, EVENT_BYTES);
	r->shadow = calloc(r->num, sizeof(*r->shadow));
	kt_check(r->shadow, "no memory");
}

/* Behind each of the three areas. */
static void canaries(const struct vg_ring *r, bool set)
{
	const uint64_t behind[] = {
		r->desc_gpa + sizeof(*r->pdesc) * (uint64_t)r->num,
		r->avail_gpa + EVENT_BYTES,
		r->used_gpa + EVENT_BYTES,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(behind); i++) {
		if (set)
			vg_fill(r->mem, behind[i], CANARY, CANARY_BYTES);
		else
			kt_check(vg_filled(r->mem, behind[i], CANARY, CANARY_BYTES),
				 "bytes behind area %u of the ring were written", i);
	}
}

void vg_packed_reset(struct vg_ring *r, uint32_t base)
{
	unsigned int pos = base & 0x7fff, i;
	uint64_t first = pos + (base & 0x8000 ? 0 : r->num);

	kt_check(pos < r->num && base >> 16 == (base & 0xffff), "base %#x for a ring of %u", base,
		 r->num);
	/* What stands before the base was used in this lap, the rest in the one before. */
	for (i = 0; i < r->num; i++)
		vg_packed_put(r, i, 0, 0, 0,
			      vg_packed_spent(r, first - pos + i + (i < pos ? 0 : r->num)));
	vg_fill(r->mem, r->avail_gpa, 0, EVENT_BYTES);
	vg_fill(r->mem, r->used_gpa, 0, EVENT_BYTES);
	canaries(r, true);
	r->avail_idx = 0;
	r->kicked_idx = 0;
	r->last_used = 0;
	r->at_avail = first;
	r->at_kick = first;
	r->at_used = first;
	r->raw = 0;
	vg_packed_arm(r, false, 0);
}

void vg_packed_put(struct vg_ring *r, uint64_t t, uint64_t addr, uint32_t len, uint16_t id,
		   uint16_t flags)
{
	unsigned int pos = t % r->num;

	r->shadow[pos] = (struct vring_packed_desc){ addr, len, id, flags };
	r->pdesc[pos].addr = addr;
	r->pdesc[pos].len = len;
	r->pdesc[pos].id = id;
	__atomic_store_n(&r->pdesc[pos].flags, flags, __ATOMIC_RELEASE);
}

/* A slot for the next chain. Its number is its ID, nothing of it is in the ring. */
static unsigned int take_slot(struct vg_ring *r)
{
	unsigned int slot = r->free_head;

	r->free_head = r->free_next[slot];
	return slot;
}

void vg_packed_add(struct vg_ring *r, const struct vring_desc *d, unsigned int n)
{
	uint16_t id = id_of(take_slot(r));
	uint64_t t = r->at_avail;
	unsigned int i;

	/* The first one last: with it the device sees them all. */
	for (i = n; i--;)
		vg_packed_put(r, t + i, d[i].addr, d[i].len, i + 1 < n ? ~id - i : id,
			      d[i].flags | vg_packed_avail(r, t + i));
	r->at_avail += n;
	r->nfree -= n;
	r->avail_idx++;
}

/* The numbers that a place with its wrap counter can mean lie 2 * num apart. */
static uint64_t place_of(const struct vg_ring *r, uint16_t off_wrap)
{
	unsigned int off = off_wrap & 0x7fff;

	kt_check(off < r->num, "the device's event is at %u of %u", off, r->num);
	return off + (off_wrap >> 15 ? 0 : r->num);
}

bool vg_packed_want_kick(struct vg_ring *r)
{
	uint32_t word = __atomic_load_n((uint32_t *)r->device, __ATOMIC_RELAXED);
	uint64_t laps = 2ull * r->num;

	switch (word >> 16) {
	case VRING_PACKED_EVENT_FLAG_ENABLE:
		return true;
	case VRING_PACKED_EVENT_FLAG_DISABLE:
		return false;
	case VRING_PACKED_EVENT_FLAG_DESC:
		kt_check(r->event_idx, "the device names an event without EVENT_IDX");
		return (place_of(r, word) + laps - r->at_kick % laps) % laps <
		       r->at_avail - r->at_kick;
	}
	kt_fail("the device's event flags are %#x", word >> 16);
}

void vg_packed_arm(struct vg_ring *r, bool on, unsigned int more)
{
	uint64_t t = r->at_used + more;

	if (!on) {
		r->driver->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	} else if (r->event_idx) {
		r->driver->off_wrap = t % r->num | wrap(r, t) << VRING_PACKED_EVENT_F_WRAP_CTR;
		__atomic_store_n(&r->driver->flags, VRING_PACKED_EVENT_FLAG_DESC, __ATOMIC_RELEASE);
	} else {
		r->driver->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	}
}

static bool is_spent(const struct vg_ring *r, uint64_t t)
{
	uint16_t flags = __atomic_load_n(&r->pdesc[t % r->num].flags, __ATOMIC_ACQUIRE);

	return (flags & (AVAIL | USED)) == vg_packed_spent(r, t);
}

uint16_t vg_packed_used(const struct vg_ring *r, uint64_t *at)
{
	uint16_t n = r->last_used + r->batch, left = r->avail_idx - n;
	uint64_t t = r->at_used;

	while (left && is_spent(r, t)) {
		unsigned int slot = slot_of(r->pdesc[t % r->num].id);

		/* Up to the one that is named; out of order that one is all there is. */
		for (; left; left--, n++) {
			unsigned int of = r->in_order ? r->order[n] : slot;
			bool last = of == slot || of >= r->num;

			t += of < r->num && r->slot[of].ndesc ? r->slot[of].ndesc : 1;
			if (last)
				break;
		}
		if (left) {
			left--;
			n++;
		}
	}
	if (at)
		*at = t;
	return n;
}

/* Nothing but the first of the @n descriptors from number @t on may have been written. */
static void check_shadow(const struct vg_ring *r, uint64_t t, unsigned int n)
{
	unsigned int i;

	for (i = 1; i < n; i++)
		kt_check(!memcmp((void *)&r->pdesc[(t + i) % r->num], &r->shadow[(t + i) % r->num],
				 sizeof(*r->shadow)),
			 "descriptor %llu was written, %u behind a used one",
			 (unsigned long long)((t + i) % r->num), i);
}

bool vg_packed_next(struct vg_ring *r)
{
	unsigned int pos = r->at_used % r->num, n = 0, i;
	struct vring_packed_desc d;

	if (!is_spent(r, r->at_used))
		return false;
	kt_check(r->in_flight, "a descriptor was used with nothing in flight");
	d = *(struct vring_packed_desc *)&r->pdesc[pos];
	canaries(r, false);
	kt_check(!(d.flags & ~(AVAIL | USED | VRING_DESC_F_WRITE)),
		 "flags %#x of a used descriptor", d.flags);
	/* Without WRITE nothing was written, and the length means nothing (2.8.3, 2.8.4). */
	if (!(d.flags & VRING_DESC_F_WRITE) && !r->write_unsaid)
		d.len = 0;
	vg_ring_used(r, slot_of(d.id), d.len, r->in_flight);
	kt_check(!(d.flags & VRING_DESC_F_WRITE) || r->slot[r->batch_slot].in_len,
		 "a chain without writable bytes was used as written to");
	for (i = 1; i < r->batch; i++)
		n += r->slot[r->order[(uint16_t)(r->last_used + i - 1)]].ndesc;
	n += r->slot[r->batch_slot].ndesc;
	check_shadow(r, r->at_used, n);
	if (r->wrote)
		vg_pages_add(r->wrote, r->desc_gpa + sizeof(d) * pos, sizeof(d));
	r->at_used += n;
	return true;
}

void vg_packed_give(struct vg_ring *r, unsigned int slot)
{
	r->nfree += r->slot[slot].ndesc;
	r->free_next[slot] = r->free_head;
	r->free_head = slot;
}

void vg_packed_desc(struct vg_ring *r, unsigned int i, const struct vring_desc *d)
{
	uint64_t t = r->at_avail + i;

	/* Of the first one AVAIL and USED stay as they are until it is published. */
	vg_packed_put(r, t, d->addr, d->len, 0,
		      d->flags | (i ? vg_packed_avail(r, t) : vg_packed_spent(r, t + r->num)));
	if (!i)
		r->raw_flags = d->flags;
	if (r->raw <= i)
		r->raw = i + 1;
}

void vg_packed_publish(struct vg_ring *r)
{
	uint64_t t = r->at_avail;

	if (r->nfree >= r->raw && r->free_head < r->num) {
		unsigned int slot = take_slot(r);

		r->slot[slot].ndesc = r->raw;
		r->order[r->avail_idx] = slot;
		r->pdesc[(t + r->raw - 1) % r->num].id = id_of(slot);
		r->nfree -= r->raw;
	}
	r->at_avail += r->raw;
	r->avail_idx++;
	r->raw = 0;
	__atomic_store_n(&r->pdesc[t % r->num].flags, r->raw_flags | vg_packed_avail(r, t),
			 __ATOMIC_RELEASE);
}

/* Each chain is one descriptor, and its slot that of its place in the ring. */
void vg_packed_endless_again(struct vg_ring *r)
{
	uint64_t t = r->at_used, last;

	if (!is_spent(r, t))
		return;
	last = t + (slot_of(r->pdesc[t % r->num].id) + r->num - t % r->num) % r->num;
	kt_check(r->in_order || last == t, "descriptor %llu was used for %llu",
		 (unsigned long long)t, (unsigned long long)last);
	for (; t <= last; t++) {
		const struct vring_packed_desc *d = &r->shadow[t % r->num];

		vg_packed_put(r, t + r->num, d->addr, d->len, id_of(t % r->num),
			      (d->flags & ~(AVAIL | USED)) | vg_packed_avail(r, t + r->num));
	}
	r->avail_idx += t - r->at_used;
	__atomic_store_n(&r->last_used, r->avail_idx - r->num, __ATOMIC_RELAXED);
	r->at_used = t;
	r->at_avail = t + r->num;
}
