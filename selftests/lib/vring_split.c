// SPDX-License-Identifier: GPL-2.0-only
/*
 * vring_split.c - the split layout of a virtqueue, the driver's side (VIRTIO 1.2, 2.7)
 *
 * Descriptor table, available ring and used ring are allocated apart, each
 * with its own alignment and with a canary behind the used ring. In order, the
 * descriptors of the table are taken in the order of the table, round and round.
 */
#include <errno.h>
#include <string.h>

#include "vguest.h"

#define CANARY	     0xc5
#define CANARY_BYTES 16

static size_t avail_bytes(unsigned int num)
{
	return 2 * (3 + (size_t)num);
}

static volatile uint16_t *used_event(const struct vg_ring *r)
{
	return (volatile uint16_t *)&r->avail->ring[r->num];
}

static volatile uint16_t *avail_event(const struct vg_ring *r)
{
	return (volatile uint16_t *)&r->used->ring[r->num];
}

void vg_split_init(struct vg_ring *r)
{
	uint64_t used = vg_ring_used_bytes(r);

	r->desc_gpa = vg_alloc_ring(r->mem, 16 * (size_t)r->num, 16);
	r->avail_gpa = vg_alloc_ring(r->mem, avail_bytes(r->num), 2);
	if (r->mem->whole_elements)
		r->used_gpa = vg_alloc_ring(r->mem, 4 + used + CANARY_BYTES, 8) + 4;
	else
		r->used_gpa = vg_alloc_ring(r->mem, used + CANARY_BYTES, 4);
	r->desc = vg_va(r->mem, r->desc_gpa, 16 * (size_t)r->num);
	r->avail = vg_va(r->mem, r->avail_gpa, avail_bytes(r->num));
	r->used = vg_va(r->mem, r->used_gpa, used);
}

void vg_split_reset(struct vg_ring *r, uint32_t base)
{
	vg_fill(r->mem, r->desc_gpa, 0, 16 * (size_t)r->num);
	vg_fill(r->mem, r->avail_gpa, 0, avail_bytes(r->num));
	vg_fill(r->mem, r->used_gpa, 0, vg_ring_used_bytes(r));
	vg_fill(r->mem, r->used_gpa + vg_ring_used_bytes(r), CANARY, CANARY_BYTES);
	r->avail_idx = base;
	r->kicked_idx = base;
	r->last_used = base;
	r->avail->idx = base;
	r->used->idx = base;
	*used_event(r) = base - 1;
}

void vg_split_desc(struct vg_ring *r, unsigned int i, const struct vring_desc *d)
{
	r->desc[i].addr = d->addr;
	r->desc[i].len = d->len;
	r->desc[i].flags = d->flags;
	r->desc[i].next = d->next;
}

void vg_split_publish(struct vg_ring *r, uint16_t head)
{
	r->avail->ring[r->avail_idx % r->num] = head;
	r->avail_idx++;
	__atomic_store_n(&r->avail->idx, r->avail_idx, __ATOMIC_RELEASE);
}

uint16_t vg_split_used(const struct vg_ring *r)
{
	return __atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE);
}

static uint16_t take_desc(struct vg_ring *r)
{
	uint16_t d = r->free_head;

	r->free_head = r->in_order ? (d + 1u) % r->num : r->free_next[d];
	r->nfree--;
	return d;
}

void vg_split_add(struct vg_ring *r, struct vring_desc *d, unsigned int n)
{
	uint16_t head = take_desc(r), at = head;
	unsigned int i;

	for (i = 0; i < n; i++) {
		d[i].next = i + 1 < n ? take_desc(r) : 0;
		vg_split_desc(r, at, &d[i]);
		at = d[i].next;
	}
	vg_split_publish(r, head);
}

bool vg_split_want_kick(struct vg_ring *r)
{
	if (r->event_idx)
		return vring_need_event(*avail_event(r), r->avail_idx, r->kicked_idx);
	return !(r->used->flags & VRING_USED_F_NO_NOTIFY);
}

void vg_split_arm(struct vg_ring *r, bool on, unsigned int more)
{
	if (r->event_idx)
		*used_event(r) = r->last_used + (on ? more : 0xffffu);
	else
		r->avail->flags = on ? 0 : VRING_AVAIL_F_NO_INTERRUPT;
}

void vg_split_give(struct vg_ring *r, unsigned int head)
{
	unsigned int left = r->slot[head].ndesc;
	uint16_t at = head;

	if (r->in_order) {
		r->nfree += left;
		return;
	}
	while (left--) {
		uint16_t next = r->desc[at].next;

		r->free_next[at] = r->free_head;
		r->free_head = at;
		r->nfree++;
		at = next;
	}
}

bool vg_split_next(struct vg_ring *r)
{
	uint16_t idx = vg_split_used(r), ahead = idx - r->last_used, i = r->last_used % r->num;

	if (!ahead)
		return false;
	kt_check(ahead <= r->in_flight, "used index is %u ahead with %u chains in flight", ahead,
		 r->in_flight);
	kt_check(vg_filled(r->mem, r->used_gpa + vg_ring_used_bytes(r), CANARY, CANARY_BYTES),
		 "bytes behind the used ring were written");
	vg_ring_used(r, r->used->ring[i].id, r->used->ring[i].len, ahead);
	if (r->wrote) {
		vg_pages_add(r->wrote, r->used_gpa + 2, 2);
		vg_pages_add(r->wrote, r->used_gpa + 4 + 8 * i, 8);
	}
	return true;
}

void vg_split_endless_again(struct vg_ring *r)
{
	__atomic_store_n(&r->last_used, vg_split_used(r), __ATOMIC_RELAXED);
	r->avail_idx = r->last_used + r->num;
	__atomic_store_n(&r->avail->idx, r->avail_idx, __ATOMIC_RELEASE);
}
