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
static __always_inline int split_see(struct ring *r)
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

/* The request that begins at descriptor @slot. @plain: ring_is_plain(). */
static __always_inline int add_chain(struct ring *r, const bool plain,
				     struct ring_build *w, u32 slot)
{
	const bool little_endian = plain || r->little_endian;
	const u32 num = r->num;
	u32 steps;

	for (steps = 0; steps < num; steps++) {
		union ring_desc desc;
		u64 addr;
		u32 len;
		u16 flags;
		int err;

		if (unlikely(slot >= num))
			return -EINVAL;
		slot = array_index_nospec(slot, num);
		err = ring_load_desc(r, plain, slot, &desc);
		if (unlikely(err))
			return err;

		addr = __virtio64_to_cpu(little_endian, desc.split.addr);
		len = __virtio32_to_cpu(little_endian, desc.split.len);
		flags = __virtio16_to_cpu(little_endian, desc.split.flags);
		if (flags & VRING_DESC_F_INDIRECT)
			return ring_add_indirect(r, w, addr, len, flags);
		err = ring_add_seg(w, addr, len, flags);
		if (unlikely(err))
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		slot = __virtio16_to_cpu(little_endian, desc.split.next);
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
	err = ring_store16(r, RING_DEVICE, USED_FLAGS, r->flags);
	if (!err && r->event_idx)
		err = ring_store16(r, RING_DEVICE, used_entry(r->num),
				   r->next_avail);
	return err;
}

/*
 * Append requests of any kind until there are @max in the batch. @plain:
 * ring_is_plain().
 */
static __always_inline int fetch_any(struct ring *r, const bool plain,
				     struct ring_batch *b, u32 max)
{
	const struct vring_avail *avail = r->map[RING_DRIVER];
	struct ring_seg *first = b->seg + b->nr_seg;
	struct ring_build w = { .seg = first, .end = b->seg + b->max_seg };
	u32 n = b->nr_req;
	int err = 0;

	for (; n < max; n++) {
		struct ring_req *req = &b->req[n];
		const u32 place = (r->next_avail + n) & (r->num - 1);
		u16 head;

		w.out = 0;
		w.in = 0;
		if (plain)
			head = __virtio16_to_cpu(true,
						 READ_ONCE(avail->ring[place]));
		else
			err = ring_load16(r, RING_DRIVER, avail_entry(place),
					  &head);
		if (!err)
			err = add_chain(r, plain, &w, head);
		if (unlikely(err))
			break;
		req->id = head;
		req->slots = 1;
		req->seg = first - b->seg;
		req->out = w.out;
		req->in = w.in;
		first = w.seg;
	}
	b->nr_req = n;
	b->nr_seg = first - b->seg;
	return err;
}

/* Of a ring that is not plain. */
static noinline int fetch_slowly(struct ring *r, struct ring_batch *b, u32 max)
{
	return fetch_any(r, false, b, max);
}

/* Fetch requests of one descriptor each, @max or as many as come first. */
static __always_inline void fetch_ones(const struct ring *r,
				       struct ring_batch *b, u32 max)
{
	const struct vring_avail *avail = r->map[RING_DRIVER];
	const u64 *desc = r->map[RING_DESC];
	struct ring_req *req = b->req;
	struct ring_seg *seg = b->seg;
	u16 next = r->next_avail;
	const u32 num = r->num;
	u32 n;

	max = min(max, b->max_seg);
	for (n = 0; n < max; n++, next++, req++, seg++) {
		u16 head = __virtio16_to_cpu(
			true, READ_ONCE(avail->ring[next & (num - 1)]));
		const u64 *d;
		u64 word;

		if (unlikely(head >= num))
			break;
		d = &desc[2 * array_index_nospec((u32)head, num)];
		word = le64_to_cpu((__force __le64)READ_ONCE(d[1]));
		if (unlikely(word &
			     ((u64)(VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT)
			      << 32)))
			break;
		seg->addr = le64_to_cpu((__force __le64)READ_ONCE(d[0]));
		seg->len = word;
		req->id = head;
		req->slots = 1;
		req->seg = n;
		req->in = word >> 33 & 1; /* VRING_DESC_F_WRITE */
		req->out = !req->in;
	}
	b->nr_req = n;
	b->nr_seg = n;
}

int split_fetch(struct ring *r, struct ring_batch *b, u32 max)
{
	u16 have = r->avail_idx - r->next_avail;
	bool plain;
	int err;

	b->nr_req = 0;
	b->nr_seg = 0;
	b->err = 0;
	b->full = false;
	max = min(max, b->max_req);
	if (have < max) {
		err = split_see(r);
		if (err <= 0)
			return err;
		have = r->avail_idx - r->next_avail;
		max = min_t(u32, max, have);
	}
	plain = ring_is_plain(r);
	if (plain)
		fetch_ones(r, b, max);
	if (unlikely(b->nr_req < max)) {
		err = plain ? fetch_any(r, true, b, max) :
			      fetch_slowly(r, b, max);
		ring_fetched(b, err);
		if (!b->nr_req)
			return err;
	}
	r->next_avail += b->nr_req;
	r->in_flight += b->nr_req;
	return b->nr_req;
}

/* Write used entries where the ring is not plain, or is logged. */
static noinline int push_slowly(struct ring *r, const struct ring_done *done,
				const struct ring_done *end)
{
	u16 idx = r->next_used;

	while (done < end) {
		const struct ring_done *last = ring_last_of_run(r, done, end);
		struct vring_used_elem elem = {
			.id = __cpu_to_virtio32(r->little_endian, last->id),
			.len = __cpu_to_virtio32(r->little_endian, last->len),
		};
		int err = ring_copy_out(r, RING_DEVICE,
					used_entry(idx & (r->num - 1)), &elem,
					sizeof(elem));

		if (err)
			return err;
		idx += last + 1 - done;
		done = last + 1;
	}
	return 0;
}

int split_push(struct ring *r, const struct ring_done *done, u32 n)
{
	struct vring_used *used = r->map[RING_DEVICE];
	const struct ring_done *end = done + n;
	const u32 mask = r->num - 1;
	u16 idx = r->next_used;

	if (ring_is_plain(r) && !r->log) {
		while (done < end) {
			const struct ring_done *last =
				ring_last_of_run(r, done, end);
			struct vring_used_elem *elem = &used->ring[idx & mask];

			elem->id = __cpu_to_virtio32(true, last->id);
			elem->len = __cpu_to_virtio32(true, last->len);
			while (unlikely(done < last)) {
				done++;
				idx++;
			}
			done++;
			idx++;
		}
	} else {
		int err = push_slowly(r, done, end);

		if (err)
			return err;
	}
	smp_wmb(); /* B */
	r->next_used += n;
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
