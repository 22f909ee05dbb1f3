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
 * avail.idx: at most ring.num ahead of us, or the driver broke the ring.
 * Heads and next: below ring.num, clamped with array_index_nospec().
 * A chain in the ring: at most ring.num descriptors; one more is a loop.
 * An indirect table: at most RING_TABLE_MAX entries and so as many steps;
 * it cannot name another table.
 * Descriptors: at most ring_batch.max_seg in a batch, empty ones included; so
 * whatever a driver makes of its ring, a fetch takes no longer than that.
 */
#include <linux/string.h>

#include "ring.h"

/* How many entries of an indirect table are read at once, in descriptors. */
#define TABLE_CHUNK 16

#define AVAIL_FLAGS offsetof(struct vring_avail, flags)
#define AVAIL_IDX offsetof(struct vring_avail, idx)
#define USED_FLAGS offsetof(struct vring_used, flags)
#define USED_IDX offsetof(struct vring_used, idx)

/* A descriptor, to be loaded as two whole words so that it is read once. */
union desc {
	struct vring_desc d;
	u64 word[2];
};

static u32 avail_entry(u32 slot)
{
	return sizeof(struct vring_avail) + slot * sizeof(__virtio16);
}

static u32 used_entry(u32 slot)
{
	return sizeof(struct vring_used) +
	       slot * sizeof(struct vring_used_elem);
}

static int load16(struct ring *r, enum ring_part part, u32 off, u16 *val)
{
	__virtio16 v;

	if (likely(r->map[part])) {
		v = READ_ONCE(*(__virtio16 *)(r->map[part] + off));
	} else {
		int err = ring_env_read(r, part, off, &v, sizeof(v));

		if (err)
			return err;
	}
	*val = __virtio16_to_cpu(r->little_endian, v);
	return 0;
}

static int store16(struct ring *r, u32 off, u16 val)
{
	__virtio16 v = __cpu_to_virtio16(r->little_endian, val);

	if (likely(r->map[RING_DEVICE])) {
		WRITE_ONCE(*(__virtio16 *)(r->map[RING_DEVICE] + off), v);
	} else {
		int err = ring_env_write(r, RING_DEVICE, off, &v, sizeof(v));

		if (err)
			return err;
	}
	if (unlikely(r->log))
		return ring_env_wrote(r, RING_DEVICE, off, sizeof(v));
	return 0;
}

static int load_desc(struct ring *r, u32 slot, union desc *desc)
{
	u32 off = slot * sizeof(struct vring_desc);
	const u64 *from;

	if (unlikely(!r->map[RING_DESC]))
		return ring_env_read(r, RING_DESC, off, desc, sizeof(*desc));
	from = r->map[RING_DESC] + off;
	desc->word[0] = READ_ONCE(from[0]);
	desc->word[1] = READ_ONCE(from[1]);
	return 0;
}

/* Look at avail.idx. Barrier A. */
static int split_see(struct ring *r)
{
	u16 idx;
	int err = load16(r, RING_DRIVER, AVAIL_IDX, &idx);

	if (unlikely(err))
		return err;
	if (unlikely((u16)(idx - r->next_avail) > r->num))
		return -EINVAL;
	if (idx != r->avail_idx) {
		r->avail_idx = idx;
		smp_rmb();
	}
	return idx != r->next_avail;
}

/* Append one data descriptor to the request that is being built. */
static int add_seg(struct ring *r, struct ring_batch *b, struct ring_req *req,
		   const struct vring_desc *d, u16 flags)
{
	struct ring_seg *seg;

	/* Readable ones come first (VIRTIO 1.2, 2.7.4.2). */
	if (!(flags & VRING_DESC_F_WRITE) && unlikely(req->in))
		return -EINVAL;
	if (unlikely(b->nr_seg == b->max_seg))
		return -ENOBUFS;

	seg = &b->seg[b->nr_seg++];
	seg->addr = __virtio64_to_cpu(r->little_endian, d->addr);
	seg->len = __virtio32_to_cpu(r->little_endian, d->len);
	if (flags & VRING_DESC_F_WRITE)
		req->in++;
	else
		req->out++;
	return 0;
}

/* An indirect table (VIRTIO 1.2, 2.7.5.3), read in chunks, followed by next. */
static int add_table(struct ring *r, struct ring_batch *b, struct ring_req *req,
		     const struct vring_desc *table)
{
	u64 addr = __virtio64_to_cpu(r->little_endian, table->addr);
	u32 len = __virtio32_to_cpu(r->little_endian, table->len);
	u32 num = len / sizeof(struct vring_desc);
	struct vring_desc chunk[TABLE_CHUNK];
	u32 first = 0, have = 0, slot = 0, steps;
	int err;

	if (unlikely(len % sizeof(struct vring_desc) || !num ||
		     num > RING_TABLE_MAX || addr + len < addr))
		return -EINVAL;

	for (steps = 0; steps < num; steps++) {
		const struct vring_desc *d;
		u16 flags;

		if (slot - first >= have) {
			first = slot;
			have = min_t(u32, num - slot, TABLE_CHUNK);
			err = ring_env_table(r, addr + slot * sizeof(*d), chunk,
					     have * sizeof(*d));
			if (unlikely(err))
				return err;
		}
		d = &chunk[array_index_nospec(slot - first, TABLE_CHUNK)];
		flags = __virtio16_to_cpu(r->little_endian, d->flags);
		if (unlikely(flags & VRING_DESC_F_INDIRECT))
			return -EINVAL;
		err = add_seg(r, b, req, d, flags);
		if (unlikely(err))
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		slot = __virtio16_to_cpu(r->little_endian, d->next);
		if (unlikely(slot >= num))
			return -EINVAL;
	}
	return -EINVAL; /* a loop */
}

/* The request that begins at descriptor @head. */
static int add_chain(struct ring *r, struct ring_batch *b, struct ring_req *req,
		     u16 head)
{
	u32 slot = head, steps;

	req->id = head;
	req->seg = b->nr_seg;
	req->out = 0;
	req->in = 0;

	for (steps = 0; steps < r->num; steps++) {
		union desc desc;
		u16 flags;
		int err;

		if (unlikely(slot >= r->num))
			return -EINVAL;
		slot = array_index_nospec(slot, r->num);
		err = load_desc(r, slot, &desc);
		if (unlikely(err))
			return err;

		flags = __virtio16_to_cpu(r->little_endian, desc.d.flags);
		if (flags & VRING_DESC_F_INDIRECT) {
			/* The last of its chain (2.7.5.3.1). */
			if (unlikely(!r->indirect ||
				     (flags & VRING_DESC_F_NEXT)))
				return -EINVAL;
			return add_table(r, b, req, &desc.d);
		}
		err = add_seg(r, b, req, &desc.d, flags);
		if (unlikely(err))
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		slot = __virtio16_to_cpu(r->little_endian, desc.d.next);
	}
	return -EINVAL; /* a loop */
}

int split_start(struct ring *r)
{
	int err = load16(r, RING_DEVICE, USED_IDX, &r->next_used);

	if (err)
		return err;
	r->avail_idx = r->next_avail;
	r->signalled_valid = false;
	r->flags = 0;
	return store16(r, USED_FLAGS, r->flags);
}

int split_fetch(struct ring *r, struct ring_batch *b, u32 max)
{
	u16 next = r->next_avail;
	u32 n;
	int err = 0;

	b->nr_req = 0;
	b->nr_seg = 0;
	b->err = 0;
	max = min(max, b->max_req);
	if ((u16)(r->avail_idx - next) < max) {
		err = split_see(r);
		if (err <= 0)
			return err;
		max = min_t(u32, max, (u16)(r->avail_idx - next));
	}

	for (n = 0; n < max; n++, next++) {
		struct ring_req *req = &b->req[n];
		u32 nr_seg = b->nr_seg;
		u16 head;

		err = load16(r, RING_DRIVER, avail_entry(next & (r->num - 1)),
			     &head);
		if (!err)
			err = add_chain(r, b, req, head);
		if (unlikely(err)) {
			b->nr_seg = nr_seg;
			break;
		}
	}
	r->next_avail = next;
	b->nr_req = n;
	if (!n)
		return err;
	/* Too many segments for what is left of this batch is no error. */
	b->err = err == -ENOBUFS ? 0 : err;
	return n;
}

/* Write one entry of the used ring that is not mapped, or is logged. */
static int push_slowly(struct ring *r, u32 off,
		       const struct vring_used_elem *elem)
{
	int err = 0;

	if (r->map[RING_DEVICE])
		memcpy(r->map[RING_DEVICE] + off, elem, sizeof(*elem));
	else
		err = ring_env_write(r, RING_DEVICE, off, elem, sizeof(*elem));
	if (!err && r->log)
		err = ring_env_wrote(r, RING_DEVICE, off, sizeof(*elem));
	return err;
}

int split_push(struct ring *r, const struct ring_done *done, u32 n)
{
	void *map = r->log ? NULL : r->map[RING_DEVICE];
	const bool little_endian = r->little_endian;
	const u32 mask = r->num - 1;
	u16 idx = r->next_used;
	u32 i;

	for (i = 0; i < n; i++, idx++) {
		u32 off = used_entry(idx & mask);
		struct vring_used_elem elem = {
			.id = __cpu_to_virtio32(little_endian, done[i].id),
			.len = __cpu_to_virtio32(little_endian, done[i].len),
		};

		if (likely(map)) {
			*(struct vring_used_elem *)(map + off) = elem;
		} else {
			int err = push_slowly(r, off, &elem);

			if (err)
				return err;
		}
	}
	smp_wmb(); /* B */
	r->next_used = idx;
	return store16(r, USED_IDX, idx);
}

int split_suppress(struct ring *r)
{
	/* With an event index the driver looks at nothing else (2.7.10). */
	if (r->event_idx || r->flags & VRING_USED_F_NO_NOTIFY)
		return 0;
	r->flags |= VRING_USED_F_NO_NOTIFY;
	return store16(r, USED_FLAGS, r->flags);
}

int split_unsuppress(struct ring *r)
{
	u16 seen = r->avail_idx;
	int err = 0;

	if (r->event_idx) {
		err = store16(r, used_entry(r->num), seen);
	} else if (r->flags & VRING_USED_F_NO_NOTIFY) {
		r->flags &= ~VRING_USED_F_NO_NOTIFY;
		err = store16(r, USED_FLAGS, r->flags);
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
	u16 old = r->signalled;
	u16 flags, event;
	bool valid = r->signalled_valid;
	int err;

	smp_mb(); /* D */
	r->signalled = r->next_used;
	r->signalled_valid = true;

	if (r->notify_on_empty && r->avail_idx == r->next_avail)
		return 1;
	if (!r->event_idx) {
		err = load16(r, RING_DRIVER, AVAIL_FLAGS, &flags);
		return err ? err : !(flags & VRING_AVAIL_F_NO_INTERRUPT);
	}
	err = load16(r, RING_DRIVER, avail_entry(r->num), &event);
	if (err)
		return err;
	return !valid || vring_need_event(event, r->next_used, old);
}
