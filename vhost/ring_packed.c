// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_packed.c - the packed virtqueue, device side (VIRTIO 1.2, section 2.8)
 *
 * DOC: Theory of Operation
 *
 * One ring of descriptors serves both directions. Each side goes round it with a
 * wrap counter, 1 in its first round, that changes with each round. The driver
 * makes a descriptor available by setting its AVAIL flag to its counter and USED
 * to the opposite; we return it by setting both to ours. So a descriptor is the
 * driver's or ours by its flags alone, and neither side has an index in memory:
 *
 *	           AVAIL  USED
 *	available    w    not w    w: the driver's wrap counter there
 *	used         w      w      w: our wrap counter there
 *
 * A request is as many descriptors as its chain has, one behind the other. It is
 * returned as a single descriptor, written where the next one to return is, not
 * where the request was; then that place moves on by the length of the chain.
 *
 * DOC: Barriers
 *
 * ours                                   the driver's
 * -----------------------------------    ------------------------------------
 * A packed_see(): load a head's flags,   write of the chain before that of
 *   smp_rmb, then load of the chain      the head's flags (2.8.21.1)
 * B packed_push(): all used descriptors  load of the flags at its place before
 *   and id and length of the first of    that of id and length, and of what is
 *   them, smp_wmb, then its flags        behind it (2.8.14)
 * C packed_unsuppress(): write our event write of the head's flags before the
 *   structure, smp_mb, then load flags   load of our event structure (2.8.21.3)
 *   of the first head not seen
 * D packed_need_signal(): flags of used  write of its event structure before
 *   descriptors, smp_mb, then load the   the load of flags at its place
 *   driver's event structure             (2.8.10)
 * E packed_unsuppress(): offset before   load of offset and flags at once, or
 *   flags of our event structure,        of flags before offset
 *   smp_wmb between them
 *
 * The driver looks at descriptors in ring order: B lets it see those behind the
 * first no earlier than the first. C and D are store-then-load on both sides.
 *
 * DOC: Bounds
 *
 * Places: next_avail and next_used are ours alone, always below ring.num.
 * A chain: at most as many descriptors as are not in flight; so no more than
 * ring.num ever are, and a ring that is available all over ends there.
 * An indirect table: ring_table.c.
 * Descriptors: at most ring_batch.max_seg in a batch, empty ones included.
 * Buffer ids are the driver's, any number, and handed back as they came.
 * The driver's event offset: any number; it only takes part in a comparison.
 *
 * The head's flags are loaded once more with the rest of it: what was loaded
 * first says that it is available, and nothing else is taken from it.
 *
 * DOC: What a hostile driver can achieve
 *
 * What it can achieve with a split ring: an error from packed_fetch(), requests
 * that are not what it meant, kicks and interrupts of its own too many or too few.
 */
#include <linux/string.h>

#include "ring_access.h"

#define DESC_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define DESC_USED (1u << VRING_PACKED_DESC_F_USED)
#define DESC_BOTH (DESC_AVAIL | DESC_USED)
#define WRAP_BIT (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

#define DESC_LEN offsetof(struct vring_packed_desc, len)
#define DESC_FLAGS offsetof(struct vring_packed_desc, flags)
#define EVENT_OFF offsetof(struct vring_packed_desc_event, off_wrap)
#define EVENT_FLAGS offsetof(struct vring_packed_desc_event, flags)

/* Both words of an event structure, loaded at once. */
union event {
	struct vring_packed_desc_event e;
	u32 word;
};

static u32 desc_at(u32 slot)
{
	return slot * sizeof(struct vring_packed_desc);
}

/* What the two flags of an available descriptor are. */
static u16 avail_flags(bool wrap)
{
	return wrap ? DESC_AVAIL : DESC_USED;
}

/* Whether the descriptor at @slot is available; @want: avail_flags(). Barrier A. */
static __always_inline int packed_see(struct ring *r, u32 slot, u16 want)
{
	u16 flags;
	int err = ring_load16(r, RING_DESC, desc_at(slot) + DESC_FLAGS, &flags);

	if (unlikely(err))
		return err;
	if ((flags & DESC_BOTH) != want)
		return 0;
	smp_rmb();
	return 1;
}

/* The request whose head is at @slot, of at most @limit descriptors. */
static __always_inline int add_chain(struct ring *r, struct ring_batch *b,
				     struct ring_req *req, u32 slot, u32 limit)
{
	u32 steps;

	req->seg = b->nr_seg;
	req->out = 0;
	req->in = 0;

	for (steps = 1; steps <= limit; steps++) {
		union ring_desc desc;
		u16 flags;
		int err = ring_load_desc(r, slot, &desc);

		if (unlikely(err))
			return err;
		flags = le16_to_cpu(desc.packed.flags);
		/* The id is that of the last one (2.8.6). */
		req->id = le16_to_cpu(desc.packed.id);
		req->slots = steps;
		if (flags & VRING_DESC_F_INDIRECT) {
			/* The last of its chain (2.8.19). */
			if (unlikely(!r->indirect ||
				     (flags & VRING_DESC_F_NEXT)))
				return -EINVAL;
			return ring_add_table(r, b, req,
					      le64_to_cpu(desc.packed.addr),
					      le32_to_cpu(desc.packed.len));
		}
		err = ring_add_seg(b, req, le64_to_cpu(desc.packed.addr),
				   le32_to_cpu(desc.packed.len), flags);
		if (unlikely(err))
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		if (++slot == r->num)
			slot = 0;
	}
	return -EINVAL; /* longer than what the driver can have */
}

void packed_set_base(struct ring *r, u32 base)
{
	r->next_avail = base & ~WRAP_BIT;
	r->avail_wrap = base & WRAP_BIT;
	base >>= 16;
	r->next_used = base & ~WRAP_BIT;
	r->used_wrap = base & WRAP_BIT;
}

int packed_start(struct ring *r)
{
	/* How far the next to fetch is ahead of the next to return. */
	u32 ahead = r->next_avail - r->next_used;

	if (r->avail_wrap != r->used_wrap)
		ahead += r->num;
	if (r->next_avail >= r->num || r->next_used >= r->num || ahead > r->num)
		return -EINVAL;
	r->in_flight = ahead;
	r->ahead = 0;
	r->unsignalled = RING_UNSIGNALLED_ALL;
	r->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	return ring_store16(r, RING_DEVICE, EVENT_FLAGS, r->flags);
}

int packed_fetch(struct ring *r, struct ring_batch *b, u32 max)
{
	u32 room = r->num - r->in_flight, left = room, n, taken;
	u16 want = avail_flags(r->avail_wrap);
	u32 slot = r->next_avail;
	int err = 0;

	b->nr_req = 0;
	b->nr_seg = 0;
	b->err = 0;
	b->full = false;
	max = min(max, b->max_req);

	for (n = 0; n < max; n++) {
		struct ring_req *req = &b->req[n];
		u32 nr_seg = b->nr_seg;

		err = packed_see(r, slot, want);
		if (err <= 0)
			break;
		err = add_chain(r, b, req, slot, left);
		if (unlikely(err)) {
			b->nr_seg = nr_seg;
			break;
		}
		left -= req->slots;
		slot += req->slots;
		if (slot >= r->num) {
			slot -= r->num;
			want ^= DESC_BOTH;
		}
	}
	taken = room - left;
	r->next_avail = slot;
	r->avail_wrap = want == DESC_AVAIL;
	r->in_flight += taken;
	r->ahead -= min_t(u32, r->ahead, taken);
	b->nr_req = n;
	if (!n)
		return err;
	/* Too many segments for what is left of this batch is no error. */
	b->full = err == -ENOBUFS;
	b->err = b->full ? 0 : err;
	return n;
}

void packed_unfetch(struct ring *r, u32 slots)
{
	if (slots > r->next_avail) {
		r->next_avail += r->num;
		r->avail_wrap = !r->avail_wrap;
	}
	r->next_avail -= slots;
	r->in_flight -= slots;
	r->ahead += slots;
}

/*
 * Write the used descriptor @d, but for its flags when it is the first of a push,
 * where the ring is not mapped, or is logged.
 */
static int push_slowly(struct ring *r, u32 slot,
		       const struct vring_packed_desc *d, bool first)
{
	u32 end = first ? DESC_FLAGS : sizeof(*d);

	return ring_copy_out(r, RING_DESC, desc_at(slot) + DESC_LEN, &d->len,
			     end - DESC_LEN);
}

int packed_push(struct ring *r, const struct ring_done *done, u32 n)
{
	void *map = r->log ? NULL : r->map[RING_DESC];
	u16 used = r->used_wrap ? DESC_BOTH : 0;
	u32 slot = r->next_used, taken = 0, i;
	u16 first_flags = 0;
	u32 first = slot;

	for (i = 0; i < n; i++) {
		u32 last = ring_last_of_run(r, done, i, n);
		struct vring_packed_desc d;
		u16 flags = used;
		u32 slots;

		if (done[last].len)
			flags |= VRING_DESC_F_WRITE;
		d.id = cpu_to_le16(done[last].id);
		d.len = cpu_to_le32(done[last].len);
		d.flags = cpu_to_le16(flags);
		if (!i)
			first_flags = flags;
		if (likely(map)) {
			struct vring_packed_desc *to = map + desc_at(slot);

			to->id = d.id;
			to->len = d.len;
			if (i)
				to->flags = d.flags;
		} else {
			int err = push_slowly(r, slot, &d, !i);

			if (err)
				return err;
		}

		for (slots = done[i].slots; i < last; i++)
			slots += done[i + 1].slots;
		taken += slots;
		slot += slots;
		if (slot >= r->num) {
			slot -= r->num;
			used ^= DESC_BOTH;
		}
	}
	if (!n)
		return 0;
	smp_wmb(); /* B */
	r->next_used = slot;
	r->used_wrap = used;
	r->in_flight -= taken;
	r->unsignalled += taken;
	return ring_store16(r, RING_DESC, desc_at(first) + DESC_FLAGS,
			    first_flags);
}

int packed_suppress(struct ring *r)
{
	if (r->flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		return 0;
	r->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	return ring_store16(r, RING_DEVICE, EVENT_FLAGS, r->flags);
}

int packed_unsuppress(struct ring *r)
{
	u32 slot = r->next_avail + r->ahead;
	u16 flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	bool wrap = r->avail_wrap;
	int err = 0;

	if (slot >= r->num) {
		slot -= r->num;
		wrap = !wrap;
	}
	if (r->event_idx) {
		flags = VRING_PACKED_EVENT_FLAG_DESC;
		err = ring_store16(r, RING_DEVICE, EVENT_OFF,
				   slot | (wrap ? WRAP_BIT : 0));
		smp_wmb(); /* E */
	}
	if (!err && r->flags != flags) {
		r->flags = flags;
		err = ring_store16(r, RING_DEVICE, EVENT_FLAGS, flags);
	}
	if (unlikely(err))
		return err;
	smp_mb(); /* C */
	return packed_see(r, slot, avail_flags(wrap));
}

int packed_pending(struct ring *r)
{
	return packed_see(r, r->next_avail, avail_flags(r->avail_wrap));
}

int packed_need_signal(struct ring *r)
{
	u32 unsignalled = r->unsignalled;
	union event event;
	u16 off_wrap, off;

	smp_mb(); /* D */
	r->unsignalled = 0;

	if (likely(r->map[RING_DRIVER])) {
		event.word = READ_ONCE(*(u32 *)r->map[RING_DRIVER]);
	} else {
		int err = ring_env_read(r, RING_DRIVER, 0, &event,
					sizeof(event));

		if (err)
			return err;
	}
	switch (le16_to_cpu(event.e.flags)) {
	case VRING_PACKED_EVENT_FLAG_DISABLE:
		return 0;
	case VRING_PACKED_EVENT_FLAG_DESC:
		if (r->event_idx)
			break;
		fallthrough;
	default:
		return 1;
	}
	if (unsignalled >= r->num)
		return 1;
	/* In numbers that go on counting where our place has wrapped. */
	off_wrap = le16_to_cpu(event.e.off_wrap);
	off = off_wrap & ~WRAP_BIT;
	if (!(off_wrap & WRAP_BIT) == r->used_wrap)
		off -= r->num;
	return vring_need_event(off, r->next_used, r->next_used - unsignalled);
}
