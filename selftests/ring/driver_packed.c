// SPDX-License-Identifier: GPL-2.0-only
/*
 * driver_packed.c - the model driver of a packed virtqueue (VIRTIO 1.2, 2.8)
 *
 * The descriptor ring:  num times  addr (8), len (4), id (2), flags (2), written
 *                       by both sides.
 * Event suppression:    descriptor and wrap counter (2), flags (2); one
 *                       structure for each side.
 *
 * Descriptor number i, from the beginning of time, is at i % num, and the wrap
 * counter for it is 1 in even laps, 0 in odd ones: that is all there is to it.
 */
#include "driver.h"

#define F_NEXT	   1
#define F_WRITE	   2
#define F_INDIRECT 4
#define F_AVAIL	   0x80
#define F_USED	   0x8000

#define EVENT_ENABLE  0
#define EVENT_DISABLE 1
#define EVENT_DESC    2

static bool wrap(struct driver *d, u64 count)
{
	return !(count / d->s.num % 2);
}

u16 packed_place(struct driver *d, u64 count)
{
	return count % d->s.num | wrap(d, count) << 15;
}

static u8 *desc(struct driver *d, u64 count)
{
	return d->part[RING_DESC] + 16 * (count % d->s.num);
}

void packed_driver_init(struct driver *d, u32 base)
{
	u64 count = base & 0x7fff, i;

	if (!(base & 0x8000))
		count += d->s.num;
	d->head = count;
	d->tail = count;
	/* What is in the ring is from before: made available, and used. */
	for (i = count < d->s.num ? 0 : count - d->s.num; i < count; i++)
		put16(d, desc(d, i) + 14, wrap(d, i) ? F_AVAIL | F_USED : 0);
}

/* The flags that make descriptor @count available (2.8.1). */
static u16 avail_flags(struct driver *d, u64 count)
{
	return wrap(d, count) ? F_AVAIL : F_USED;
}

bool packed_offer(struct driver *d, struct expect *e, enum shape shape)
{
	u32 nr = e->out + e->in, i, table;
	struct ring_seg seg;
	u16 first = 0;

	e->nr_desc = shape == CHAIN ? nr : 1;
	if (d->s.num - d->nr_desc < e->nr_desc)
		return false;
	/* Any number that is not in use. */
	do
		e->id = rnd(65536);
	while (d->by_id[e->id] != NO_REQUEST);

	if (shape == TABLE) {
		table = TABLE_BYTES * (d->head % d->s.num);
		/* Only F_WRITE means something in a table (2.8.7). */
		for (i = 0; i < nr; i++)
			put_desc(d, d->tables + table + 16 * i, &e->seg[i], rnd(65536),
				 (i >= e->out ? F_WRITE : 0) |
					 (rnd(65536) & ~(F_WRITE | F_INDIRECT)));
		seg = (struct ring_seg){ .addr = TABLE_BASE + table, .len = 16 * nr };
		put_desc(d, desc(d, d->head), &seg, e->id, get16(d, desc(d, d->head) + 14));
		first = avail_flags(d, d->head) | F_INDIRECT | (rnd(2) ? F_WRITE : 0);
	}
	for (i = 0; shape == CHAIN && i < nr; i++) {
		u8 *to = desc(d, d->head + i);
		u16 flags = avail_flags(d, d->head + i) | (i >= e->out ? F_WRITE : 0) |
			    (i + 1 < nr ? F_NEXT : 0);

		/* The ID is in the last one; elsewhere it means nothing (2.8.6). */
		put_desc(d, to, &e->seg[i], i + 1 < nr ? rnd(65536) : e->id,
			 i ? flags : get16(d, to + 14));
		if (!i)
			first = flags;
	}
	/* The first one last, so that none is seen before all are there. */
	put16(d, desc(d, d->head) + 14, first);
	d->head += e->nr_desc;
	return true;
}

u32 packed_reap(struct driver *d, struct result *res, u32 max)
{
	u32 n = 0, len;

	while (d->tail != d->head && !failed_now) {
		u8 *at = desc(d, d->tail);
		u16 flags = get16(d, at + 14);

		if (!(flags & F_USED) != !wrap(d, d->tail) ||
		    !(flags & F_AVAIL) != !(flags & F_USED))
			break;
		/* A length is there only if something was written (2.8.5). */
		len = flags & F_WRITE ? get32(d, at + 8) : 0;
		CHECK(!(flags & F_WRITE) == !len);
		n += take_used(d, get16(d, at + 12), len, res + n, max - n);
		CHECK(d->tail <= d->head);
	}
	return n;
}

bool packed_wants_kick(struct driver *d)
{
	u16 place = get16(d, d->part[RING_DEVICE]);
	u16 flags = get16(d, d->part[RING_DEVICE] + 2);
	u64 at = place & 0x7fff;

	CHECK(flags <= EVENT_DESC && (flags != EVENT_DESC || d->s.event_idx));
	if (flags != EVENT_DESC)
		return d->head != d->told && flags == EVENT_ENABLE;
	CHECK(at < d->s.num);
	return within(at + (place & 0x8000 ? 0 : d->s.num), d->told, d->head, 2 * d->s.num);
}

void packed_set_wish(struct driver *d)
{
	static const u16 flags[] = {
		[ALWAYS] = EVENT_ENABLE,
		[NEVER] = EVENT_DISABLE,
		[AT] = EVENT_DESC,
	};
	u16 place = d->wish == AT ? packed_place(d, d->wish_at) : rnd(65536);

	put16(d, d->part[RING_DRIVER], place);
	put16(d, d->part[RING_DRIVER] + 2, flags[d->wish]);
}
