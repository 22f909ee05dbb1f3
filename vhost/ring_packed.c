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
 *
 * The driver looks at descriptors in ring order: B lets it see those behind the
 * first no earlier than the first. C and D are store-then-load on both sides. The
 * two words of our event structure need no order between them: a driver that sees
 * new flags with an old offset wrote its request before C, and we see that.
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
 * A driver may take back what it offered, though it must not. Then a fetch ends
 * where that was, and what had been seen behind it is forgotten (ring.ahead):
 * packed_unsuppress() looks where packed_fetch() stopped, so that the two cannot
 * send their owner round and round.
 *
 * A head's flags may be loaded once more with the rest of it (fetch_any()): then
 * what was loaded first says that it is available, and nothing else.
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

/*
 * Append the segments of a table. The usual one is read in one piece here; longer
 * ones, and what is wrong with a table itself, are for ring_add_indirect().
 */
static __always_inline int add_table(struct ring *r, struct ring_build *w,
				     u64 addr, u32 len, u16 flags)
{
	const u32 size = sizeof(union ring_desc), num = len / size;
	int err;

	if (unlikely(num - 1 >= RING_CHUNK || len % size ||
		     num > w->end - w->seg || addr + len < addr ||
		     !r->indirect || flags & VRING_DESC_F_NEXT))
		return ring_add_indirect(r, w, addr, len, flags);
	err = ring_env_table(r, addr, w->seg, len);
	return unlikely(err) ? err : ring_put_entries(w, num);
}

/*
 * The request whose head is at @slot, of at most @limit descriptors. @last: its
 * last descriptor. Return: how many it has, or an error number.
 */
static __always_inline int add_chain(struct ring *r, const bool plain,
				     struct ring_build *w, u32 slot, u32 limit,
				     union ring_desc *last)
{
	u32 steps;

	for (steps = 1; steps <= limit; steps++) {
		u64 addr;
		u32 len;
		u16 flags;
		int err = ring_load_desc(r, plain, slot, last);

		if (unlikely(err))
			return err;
		addr = le64_to_cpu(last->packed.addr);
		len = le32_to_cpu(last->packed.len);
		flags = le16_to_cpu(last->packed.flags);
		if (flags & VRING_DESC_F_INDIRECT)
			return add_table(r, w, addr, len, flags) ?: (int)steps;
		err = ring_add_seg(w, addr, len, flags);
		if (unlikely(err))
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			return steps;
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

/* Our place @slot, with @flags of a descriptor there, moves on by @slots. */
static __always_inline void move_on(u32 *slot, u16 *flags, u32 slots, u32 num)
{
	*slot += slots;
	if (unlikely(*slot >= num)) {
		*slot -= num;
		*flags ^= DESC_BOTH;
	}
}

/*
 * Append requests of any kind until there are @max in the batch. @plain:
 * ring_is_plain().
 */
static __always_inline int fetch_any(struct ring *r, const bool plain,
				     struct ring_batch *b, u32 max, u32 *place,
				     u16 *flags)
{
	struct ring_seg *first = b->seg + b->nr_seg;
	struct ring_build w = { .seg = first, .end = b->seg + b->max_seg };
	u32 left = r->num - r->in_flight - b->nr_req;
	u32 slot = *place, n = b->nr_req;
	u16 want = *flags;
	int err = 0;

	for (; n < max; n++) {
		struct ring_req *req = &b->req[n];
		union ring_desc last;

		w.out = 0;
		w.in = 0;
		err = packed_see(r, slot, want);
		if (err <= 0)
			break;
		err = add_chain(r, plain, &w, slot, left, &last);
		if (unlikely(err < 0))
			break;
		/* The id is that of the last one (2.8.6). */
		req->id = le16_to_cpu(last.packed.id);
		req->slots = err;
		req->seg = first - b->seg;
		req->out = w.out;
		req->in = w.in;
		first = w.seg;
		left -= err;
		move_on(&slot, &want, err, r->num);
		err = 0;
	}
	b->nr_req = n;
	b->nr_seg = first - b->seg;
	*place = slot;
	*flags = want;
	return err;
}

/* Of a ring that is not plain. */
static noinline int fetch_slowly(struct ring *r, struct ring_batch *b, u32 max,
				 u32 *place, u16 *flags)
{
	return fetch_any(r, false, b, max, place, flags);
}

/*
 * Fetch requests of one descriptor each, @max or as many as come first. One load
 * of 8 bytes says that it is available and has its length and id: on the machines
 * that have plain rings such a load is one access, so that it shows all three as
 * they were when the flags were. (The kernel's memory model speaks of accesses of
 * one size only.)
 */
static __always_inline void fetch_ones(const struct ring *r,
				       struct ring_batch *b, u32 max,
				       u32 *place, u16 *flags)
{
	const u16 mask = DESC_BOTH | VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT;
	const u64 *desc = r->map[RING_DESC];
	struct ring_req *req = b->req;
	struct ring_seg *seg = b->seg;
	const u32 num = r->num;
	u32 slot = *place, n;
	u16 want = *flags;

	max = min3(max, b->max_seg, num - r->in_flight);
	for (n = 0; n < max; n++, req++, seg++) {
		const u64 *d = &desc[2 * slot];
		u64 word = le64_to_cpu((__force __le64)READ_ONCE(d[1]));

		if (((word >> 48) & mask) != want)
			break;
		smp_rmb(); /* A */
		seg->addr = le64_to_cpu((__force __le64)READ_ONCE(d[0]));
		seg->len = word;
		req->id = word >> 32;
		req->slots = 1;
		req->seg = n;
		req->in = word >> 49 & 1; /* VRING_DESC_F_WRITE */
		req->out = !req->in;
		move_on(&slot, &want, 1, num);
	}
	b->nr_req = n;
	b->nr_seg = n;
	*place = slot;
	*flags = want;
}

int packed_fetch(struct ring *r, struct ring_batch *b, u32 max)
{
	u16 want = avail_flags(r->avail_wrap);
	u32 slot = r->next_avail;
	u32 slots;
	bool plain;
	int err = 0;

	b->nr_req = 0;
	b->nr_seg = 0;
	b->err = 0;
	b->full = false;
	max = min(max, b->max_req);
	plain = ring_is_plain(r);
	if (plain)
		fetch_ones(r, b, max, &slot, &want);
	if (b->nr_req < max) {
		err = plain ? fetch_any(r, true, b, max, &slot, &want) :
			      fetch_slowly(r, b, max, &slot, &want);
		ring_fetched(b, err);
		/* Where we stopped is the first not seen, whatever was once. */
		if (!err && b->nr_req < max)
			r->ahead = 0;
		if (!b->nr_req)
			return err;
	}
	slots = slot - r->next_avail;
	if ((want == DESC_AVAIL) != r->avail_wrap) {
		slots += r->num;
		r->avail_wrap = !r->avail_wrap;
	}
	r->next_avail = slot;
	r->in_flight += slots;
	if (unlikely(r->ahead))
		r->ahead -= min_t(u32, r->ahead, slots);
	return b->nr_req;
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

/* Length, id and flags of the used descriptor of @done: the second word of it. */
static __always_inline u64 used_word(const struct ring_done *done, u16 flags)
{
	if (done->len)
		flags |= VRING_DESC_F_WRITE;
	return done->len | (u64)done->id << 32 | (u64)flags << 48;
}

/*
 * Write used descriptors, the first one last of all: barrier B. @map: the ring, when
 * it is plain and not logged.
 */
static __always_inline int push(u64 *map, struct ring *r,
				const struct ring_done *done, u32 n)
{
	const struct ring_done *end = done + n;
	const u32 num = r->num, first = r->next_used;
	u16 used = r->used_wrap ? DESC_BOTH : 0;
	u32 slot = first, taken = 0;
	__le64 first_word = 0;
	int err;

	if (!n)
		return 0;
	for (; done < end; done++) {
		const struct ring_done *last = ring_last_of_run(r, done, end);
		__le64 word = cpu_to_le64(used_word(last, used));
		u32 slots = done->slots;

		if (!taken) {
			first_word = word;
		} else if (map) {
			map[2 * slot + 1] = (__force u64)word;
		} else {
			err = ring_copy_out(r, RING_DESC,
					    desc_at(slot) + DESC_LEN, &word,
					    sizeof(word));
			if (err)
				return err;
		}
		while (unlikely(done < last))
			slots += (++done)->slots;
		taken += slots;
		move_on(&slot, &used, slots, num);
	}
	r->next_used = slot;
	r->used_wrap = used;
	r->in_flight -= taken;
	r->unsignalled += taken;
	if (map) {
		smp_wmb(); /* B */
		WRITE_ONCE(map[2 * first + 1], (__force u64)first_word);
		return 0;
	}
	/* All but the flags, then these. */
	err = ring_copy_out(r, RING_DESC, desc_at(first) + DESC_LEN,
			    &first_word, DESC_FLAGS - DESC_LEN);
	if (err)
		return err;
	smp_wmb(); /* B */
	return ring_store16(r, RING_DESC, desc_at(first) + DESC_FLAGS,
			    le64_to_cpu(first_word) >> 48);
}

static noinline int push_slowly(struct ring *r, const struct ring_done *done,
				u32 n)
{
	return push(NULL, r, done, n);
}

int packed_push(struct ring *r, const struct ring_done *done, u32 n)
{
	return ring_is_plain(r) && !r->log ?
		       push(r->map[RING_DESC], r, done, n) :
		       push_slowly(r, done, n);
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
		int err =
			ring_env_read(r, RING_DRIVER, 0, &event, sizeof(event));

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
	if (unsignalled > r->num)
		return 1;
	/* In numbers that go on counting where our place has wrapped. */
	off_wrap = le16_to_cpu(event.e.off_wrap);
	off = off_wrap & ~WRAP_BIT;
	if (!(off_wrap & WRAP_BIT) == r->used_wrap)
		off -= r->num;
	return vring_need_event(off, r->next_used, r->next_used - unsignalled);
}
