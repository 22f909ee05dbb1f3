// SPDX-License-Identifier: GPL-2.0-only
/*
 * vring_split.c - the split layout of a virtqueue, the driver's side
 *
 * Descriptor table, available ring and used ring are allocated apart, each
 * with its own alignment and with a canary behind the used ring.
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

static size_t used_bytes(unsigned int num)
{
	return 6 + sizeof(struct vring_used_elem) * (size_t)num;
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
	r->desc_gpa = vg_alloc_ring(r->mem, 16 * (size_t)r->num, 16);
	r->avail_gpa = vg_alloc_ring(r->mem, avail_bytes(r->num), 2);
	r->used_gpa = vg_alloc_ring(r->mem, used_bytes(r->num) + CANARY_BYTES, 4);
	r->desc = vg_va(r->mem, r->desc_gpa, 16 * (size_t)r->num);
	r->avail = vg_va(r->mem, r->avail_gpa, avail_bytes(r->num));
	r->used = vg_va(r->mem, r->used_gpa, used_bytes(r->num));
}

void vg_split_reset(struct vg_ring *r, uint16_t base)
{
	vg_fill(r->mem, r->desc_gpa, 0, 16 * (size_t)r->num);
	vg_fill(r->mem, r->avail_gpa, 0, avail_bytes(r->num));
	vg_fill(r->mem, r->used_gpa, 0, used_bytes(r->num));
	vg_fill(r->mem, r->used_gpa + used_bytes(r->num), CANARY, CANARY_BYTES);
	r->avail->idx = base;
	r->used->idx = base;
	*used_event(r) = base - 1;
}

static uint64_t addr_of(const struct vg_ring *r, uint64_t gpa)
{
	return gpa + r->mem->iova_off;
}

void vg_desc(struct vg_ring *r, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags,
	     uint16_t next)
{
	r->desc[i].addr = addr;
	r->desc[i].len = len;
	r->desc[i].flags = flags;
	r->desc[i].next = next;
}

void vg_publish(struct vg_ring *r, uint16_t head)
{
	r->avail->ring[r->avail_idx % r->num] = head;
	r->avail_idx++;
	__atomic_store_n(&r->avail->idx, r->avail_idx, __ATOMIC_RELEASE);
}

uint16_t vg_used_idx(const struct vg_ring *r)
{
	return __atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE);
}

static uint16_t take_desc(struct vg_ring *r)
{
	uint16_t d = r->free_head;

	r->free_head = r->free_next[d];
	r->nfree--;
	return d;
}

static void seg_flags(const struct vg_seg *seg, unsigned int i, unsigned int nout, unsigned int n,
		      struct vring_desc *d, const struct vg_ring *r)
{
	d->addr = addr_of(r, seg[i].gpa);
	d->len = seg[i].len;
	d->flags = (i >= nout ? VRING_DESC_F_WRITE : 0) | (i + 1 < n ? VRING_DESC_F_NEXT : 0);
	d->next = 0;
}

bool vg_split_add(struct vg_ring *r, const struct vg_seg *seg, unsigned int nout, unsigned int nin,
		  bool indirect, void *cookie)
{
	unsigned int n = nout + nin, i;
	struct vg_slot *s;
	struct vring_desc d;
	uint16_t head, at;

	if (r->nfree < (indirect ? 1 : n))
		return false;
	head = take_desc(r);
	s = &r->slot[head];
	kt_check(!s->ndesc, "head %u is in flight already", head);
	s->cookie = cookie;
	s->in_len = 0;
	for (i = nout; i < n; i++)
		s->in_len += seg[i].len;
	if (indirect) {
		if (!s->table)
			s->table = vg_alloc(r->mem, 16 * VG_MAX_SEGS, 16);
		for (i = 0; i < n; i++) {
			seg_flags(seg, i, nout, n, &d, r);
			d.next = i + 1;
			vg_put(r->mem, s->table + 16 * i, &d, 16);
		}
		vg_desc(r, head, addr_of(r, s->table), 16 * n, VRING_DESC_F_INDIRECT, 0);
		s->ndesc = 1;
	} else {
		for (i = 0, at = head; i < n; i++) {
			uint16_t next = i + 1 < n ? take_desc(r) : 0;

			seg_flags(seg, i, nout, n, &d, r);
			vg_desc(r, at, d.addr, d.len, d.flags, next);
			at = next;
		}
		s->ndesc = n;
	}
	r->in_flight++;
	vg_publish(r, head);
	return true;
}

bool vg_split_want_kick(struct vg_ring *r)
{
	if (r->event_idx)
		return vring_need_event(*avail_event(r), r->avail_idx, r->kicked_idx);
	return !(r->used->flags & VRING_USED_F_NO_NOTIFY);
}

bool vg_split_pending(const struct vg_ring *r)
{
	return vg_used_idx(r) != r->last_used;
}

void vg_split_arm(struct vg_ring *r, bool on)
{
	if (r->event_idx)
		*used_event(r) = on ? r->last_used : r->last_used - 1;
	else
		r->avail->flags = on ? 0 : VRING_AVAIL_F_NO_INTERRUPT;
}

static void give_back(struct vg_ring *r, uint16_t head)
{
	unsigned int left = r->slot[head].ndesc;
	uint16_t at = head;

	while (left--) {
		uint16_t next = r->desc[at].next;

		r->free_next[at] = r->free_head;
		r->free_head = at;
		r->nfree++;
		at = next;
	}
}

bool vg_split_get(struct vg_ring *r, void **cookie, uint32_t *len)
{
	uint16_t idx = vg_used_idx(r), ahead = idx - r->last_used;
	uint32_t id, wrote;
	struct vg_slot *s;

	if (!ahead)
		return false;
	kt_check(ahead <= r->in_flight, "used index is %u ahead with %u chains in flight", ahead,
		 r->in_flight);
	kt_check(vg_filled(r->mem, r->used_gpa + used_bytes(r->num), CANARY, CANARY_BYTES),
		 "bytes behind the used ring were written");
	id = r->used->ring[r->last_used % r->num].id;
	wrote = r->used->ring[r->last_used % r->num].len;
	kt_check(id < r->num, "used element names head %u of %u", id, r->num);
	s = &r->slot[id];
	kt_check(s->ndesc, "used element names head %u, which is not in flight", id);
	kt_check(wrote <= s->in_len, "used length %u of a chain with %u writable bytes", wrote,
		 s->in_len);
	give_back(r, id);
	s->ndesc = 0;
	r->in_flight--;
	r->last_used++;
	if (cookie)
		*cookie = s->cookie;
	if (len)
		*len = wrote;
	return true;
}
