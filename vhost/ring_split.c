// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_split.c - the split virtqueue, device side (VIRTIO 1.2, section 2.7)
 *
 * DOC: Barriers
 *
 * Each barrier here pairs with one that section 2.7 demands of the driver:
 *
 * ours                                   the driver's
 * -----------------------------------    ------------------------------------
 * A split_see(): load avail.idx, then    write of ring entries and
 *   smp_rmb, then entries, descriptors   descriptors before avail.idx
 *                                        (2.7.13.3)
 * B split_push(): used entries, then     load of used.idx before that of the
 *   smp_wmb, then used.idx               used entries (2.7.14)
 * C split_unsuppress(): write            write of avail.idx before the load
 *   avail_event or flags, then smp_mb,   of avail_event or flags
 *   then load avail.idx                  (2.7.13.4.1)
 * D split_need_signal(): used.idx, then  write of used_event or flags before
 *   smp_mb, then used_event or flags     the load of used.idx (2.7.14)
 *
 * C and D are store-then-load on both sides: only a full barrier keeps both
 * sides from each missing the other's write, and so a kick or an interrupt
 * from being lost.
 *
 * DOC: Bounds
 *
 * avail.idx: at most ring.num ahead of what was returned, or the driver broke
 * the ring; so no more than ring.num requests are ever in flight.
 * Heads and next: below ring.num, clamped with array_index_nospec().
 * A chain in the ring: at most ring.num descriptors; one more is a loop.
 * An indirect table: ring_table.c.
 * Descriptors: at most ring_batch.max_seg in a batch, empty ones included; so
 * whatever a driver makes of its ring, a fetch takes no longer than that.
 *
 * used.idx is read once, at the start, and then ours: what a driver writes there
 * later means nothing. It is never used as an index but modulo ring.num.
 *
 * DOC: What a hostile driver can achieve
 *
 * An error from split_fetch(), on which its queue stops; requests that name the
 * same memory twice, or in flight already: its own memory; a kick or an interrupt
 * too many or too few: its own. Nothing that another queue or the host sees.
 */
#include <linux/string.h>

#include "ring_access.h"

#define AVAIL_FLAGS offsetof(struct vring_avail, flags)
#define AVAIL_IDX offsetof(struct vring_avail, idx)
#define USED_FLAGS offsetof(struct vring_used, flags)
#define USED_IDX offsetof(struct vring_used, idx)

static u32 avail_entry(u32 slot)
{
	return sizeof(struct vring_avail) + slot * sizeof(__virtio16);
}

static u32 used_entry(u32 slot)
{
	return sizeof(struct vring_used) +
	       slot * sizeof(struct vring_used_elem);
}

/* Look at avail.idx. Barrier A. */
static int split_see(struct ring *r)
{
	u16 idx;
	int err = ring_load16(r, RING_DRIVER, AVAIL_IDX, &idx);

	if (unlikely(err))
		return err;
	if (unlikely((u16)(idx - r->next_avail) > r->num - r->in_flight))
		return -EINVAL;
	if (idx != r->avail_idx) {
		r->avail_idx = idx;
		smp_rmb();
	}
	return idx != r->next_avail;
}

/* The request that begins at descriptor @head. */
static __always_inline int add_chain(struct ring *r, struct ring_batch *b,
				     struct ring_req *req, u16 head)
{
	u32 slot = head, steps;

	req->id = head;
	req->slots = 1;
	req->seg = b->nr_seg;
	req->out = 0;
	req->in = 0;

	for (steps = 0; steps < r->num; steps++) {
		union ring_desc desc;
		u64 addr;
		u32 len;
		u16 flags;
		int err;

		if (unlikely(slot >= r->num))
			return -EINVAL;
		slot = array_index_nospec(slot, r->num);
		err = ring_load_desc(r, slot, &desc);
		if (unlikely(err))
			return err;

		addr = __virtio64_to_cpu(r->little_endian, desc.split.addr);
		len = __virtio32_to_cpu(r->little_endian, desc.split.len);
		flags = __virtio16_to_cpu(r->little_endian, desc.split.flags);
		if (flags & VRING_DESC_F_INDIRECT) {
			/* The last of its chain (2.7.5.3.1). */
			if (unlikely(!r->indirect ||
				     (flags & VRING_DESC_F_NEXT)))
				return -EINVAL;
			return ring_add_table(r, b, req, addr, len);
		}
		err = ring_add_seg(b, req, addr, len, flags);
		if (unlikely(err))
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		slot = __virtio16_to_cpu(r->little_endian, desc.split.next);
	}
	return -EINVAL; /* a loop */
}

int split_start(struct ring *r)
{
	int err = ring_load16(r, RING_DEVICE, USED_IDX, &r->next_used);

	if (err)
		return err;
	r->avail_idx = r->next_avail;
	r->in_flight = 0;
	r->unsignalled = RING_UNSIGNALLED_ALL;
	r->flags = 0;
	return ring_store16(r, RING_DEVICE, USED_FLAGS, r->flags);
}

int split_fetch(struct ring *r, struct ring_batch *b, u32 max)
{
	u16 next = r->next_avail;
	int err = 0;
	u32 n;

	b->nr_req = 0;
	b->nr_seg = 0;
	b->err = 0;
	b->full = false;
	max = min(max, b->max_req);
	if ((u16)(r->avail_idx - next) < max) {
		err = split_see(r);
		if (err <= 0)
			return err;
		max = min_t(u32, max, (u16)(r->avail_idx - next));
	}

	for (n = 0; n < max; n++, next++) {
		u32 nr_seg = b->nr_seg;
		u16 head;

		err = ring_load16(r, RING_DRIVER,
				  avail_entry(next & (r->num - 1)), &head);
		if (!err)
			err = add_chain(r, b, &b->req[n], head);
		if (unlikely(err)) {
			b->nr_seg = nr_seg;
			break;
		}
	}
	r->next_avail = next;
	r->in_flight += n;
	b->nr_req = n;
	if (!n)
		return err;
	/* Too many segments for what is left of this batch is no error. */
	b->full = err == -ENOBUFS;
	b->err = b->full ? 0 : err;
	return n;
}

int split_push(struct ring *r, const struct ring_done *done, u32 n)
{
	void *map = r->log ? NULL : r->map[RING_DEVICE];
	const bool little_endian = r->little_endian;
	const u32 mask = r->num - 1;
	u16 idx = r->next_used;
	u32 i, last;

	for (i = 0; i < n; i = last + 1) {
		u32 off = used_entry((idx + i) & mask);
		struct vring_used_elem elem;

		last = ring_last_of_run(r, done, i, n);
		elem.id = __cpu_to_virtio32(little_endian, done[last].id);
		elem.len = __cpu_to_virtio32(little_endian, done[last].len);
		if (likely(map)) {
			*(struct vring_used_elem *)(map + off) = elem;
		} else {
			int err = ring_copy_out(r, RING_DEVICE, off, &elem,
						sizeof(elem));

			if (err)
				return err;
		}
	}
	smp_wmb(); /* B */
	r->next_used = idx + n;
	r->in_flight -= n;
	r->unsignalled += n;
	return ring_store16(r, RING_DEVICE, USED_IDX, r->next_used);
}

int split_suppress(struct ring *r)
{
	/* With an event index the driver looks at nothing else (2.7.10). */
	if (r->event_idx || r->flags & VRING_USED_F_NO_NOTIFY)
		return 0;
	r->flags |= VRING_USED_F_NO_NOTIFY;
	return ring_store16(r, RING_DEVICE, USED_FLAGS, r->flags);
}

int split_unsuppress(struct ring *r)
{
	u16 seen = r->avail_idx;
	int err = 0;

	if (r->event_idx) {
		err = ring_store16(r, RING_DEVICE, used_entry(r->num), seen);
	} else if (r->flags & VRING_USED_F_NO_NOTIFY) {
		r->flags &= ~VRING_USED_F_NO_NOTIFY;
		err = ring_store16(r, RING_DEVICE, USED_FLAGS, r->flags);
	}
	if (unlikely(err))
		return err;
	smp_mb(); /* C */
	err = split_see(r);
	return err < 0 ? err : r->avail_idx != seen;
}

int split_pending(struct ring *r)
{
	if (r->avail_idx != r->next_avail)
		return 1;
	return split_see(r);
}

int split_need_signal(struct ring *r)
{
	u32 unsignalled = r->unsignalled;
	u16 flags, event;
	int err;

	smp_mb(); /* D */
	r->unsignalled = 0;

	if (r->notify_on_empty && r->avail_idx == r->next_avail)
		return 1;
	if (!r->event_idx) {
		err = ring_load16(r, RING_DRIVER, AVAIL_FLAGS, &flags);
		return err ? err : !(flags & VRING_AVAIL_F_NO_INTERRUPT);
	}
	err = ring_load16(r, RING_DRIVER, avail_entry(r->num), &event);
	if (err)
		return err;
	return unsignalled >= RING_UNSIGNALLED_ALL ||
	       vring_need_event(event, r->next_used,
				r->next_used - unsignalled);
}
