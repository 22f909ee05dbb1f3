// SPDX-License-Identifier: GPL-2.0-only
/*
 * driver_split.c - the model driver of a split virtqueue (VIRTIO 1.2, 2.7)
 *
 * The descriptor table:  num times  addr (8), len (4), flags (2), next (2).
 * The available ring:    flags (2), idx (2), num times head (2), used_event (2).
 * The used ring:         flags (2), idx (2), num times { id (4), len (4) },
 *                        avail_event (2).
 */
#include "driver.h"

#define F_NEXT	   1
#define F_WRITE	   2
#define F_INDIRECT 4

#define AVAIL_IDX(d)	  ((d)->part[RING_DRIVER] + 2)
#define AVAIL_ENTRY(d, i) ((d)->part[RING_DRIVER] + 4 + 2 * ((i) % (d)->s.num))
#define USED_EVENT(d)	  ((d)->part[RING_DRIVER] + 4 + 2 * (d)->s.num)
#define USED_IDX(d)	  ((d)->part[RING_DEVICE] + 2)
#define USED_ENTRY(d, i)  ((d)->part[RING_DEVICE] + 4 + 8 * ((i) % (d)->s.num))
#define AVAIL_EVENT(d)	  ((d)->part[RING_DEVICE] + 4 + 8 * (d)->s.num)

void split_driver_init(struct driver *d, u32 base)
{
	d->head = base;
	d->tail = base;
	put16(d, AVAIL_IDX(d), base);
	put16(d, USED_IDX(d), base);
}

/* A free descriptor: any, or the next one where the order is prescribed (2.7.5). */
static u16 take(struct driver *d, u32 taken)
{
	u32 nr_free = d->s.num - d->nr_desc - taken, at;
	u16 slot;

	if (d->s.in_order) {
		slot = d->next_free;
		d->next_free = (slot + 1) % d->s.num;
		return slot;
	}
	at = rnd(nr_free);
	slot = d->free[at];
	d->free[at] = d->free[nr_free - 1];
	d->free[nr_free - 1] = slot; /* what is taken is behind what is free */
	return slot;
}

/* In which order the entries of a table follow each other; the first is the first. */
static void order_of_table(struct driver *d, u16 *slots, u32 nr)
{
	u32 i, other;
	u16 slot;

	for (i = 0; i < nr; i++)
		slots[i] = i;
	for (i = 1; i < nr && !d->s.in_order; i++) {
		other = i + rnd(nr - i);
		slot = slots[i];
		slots[i] = slots[other];
		slots[other] = slot;
	}
}

static void put_chain(struct driver *d, u8 *to, const u16 *slots, const struct expect *e, u32 first,
		      u32 nr, bool more)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		bool next = more || i + 1 < nr;

		/* Where nothing follows, next means nothing. */
		put_desc(d, to + 16 * slots[i], &e->seg[first + i],
			 (first + i >= e->out ? F_WRITE : 0) | (next ? F_NEXT : 0),
			 next ? slots[i + 1] : rnd(65536));
	}
}

bool split_offer(struct driver *d, struct expect *e, enum shape shape)
{
	u32 nr = e->out + e->in, direct, i;
	u16 slots[SEGS + 1], in_table[SEGS];

	direct = shape == CHAIN ? nr : shape == TABLE ? 0 : rnd(nr);
	e->nr_desc = direct + (direct < nr);
	if (d->s.num - d->nr_desc < e->nr_desc)
		return false;
	for (i = 0; i < e->nr_desc; i++)
		slots[i] = take(d, i);
	e->id = slots[0];

	put_chain(d, d->part[RING_DESC], slots, e, 0, direct, direct < nr);
	if (direct < nr) {
		u32 table = TABLE_BYTES * slots[direct];
		struct ring_seg seg = { .addr = TABLE_BASE + table, .len = 16 * (nr - direct) };

		/* F_WRITE is to be ignored here (2.7.5.3.2), as is next. */
		put_desc(d, d->part[RING_DESC] + 16 * slots[direct], &seg,
			 F_INDIRECT | (rnd(2) ? F_WRITE : 0), rnd(65536));
		order_of_table(d, in_table, nr - direct);
		put_chain(d, d->tables + table, in_table, e, direct, nr - direct, false);
	}
	put16(d, AVAIL_ENTRY(d, d->head), slots[0]);
	d->head++;
	put16(d, AVAIL_IDX(d), d->head);
	return true;
}

/* Give the descriptors of a request back, before it is forgotten. */
static void release(struct driver *d, u16 slot)
{
	u32 nr = d->expect[d->by_id[slot]].nr_desc, free = d->s.num - d->nr_desc, i;

	for (i = 0; i < nr && !d->s.in_order; i++) {
		d->free[free + i] = slot;
		slot = get16(d, d->part[RING_DESC] + 16 * slot + 14);
	}
}

u32 split_reap(struct driver *d, struct result *res, u32 max)
{
	u32 n = 0, got;

	while ((u16)d->tail != get16(d, USED_IDX(d)) && !failed_now) {
		u8 *entry = USED_ENTRY(d, d->tail);
		u32 id = get32(d, entry);

		CHECK(id < d->s.num && d->by_id[id] != NO_REQUEST);
		if (failed_now)
			break;
		release(d, id);
		got = take_used(d, id, get32(d, entry + 4), res + n, max - n);
		/* A batch ends where the index says, or before. */
		CHECK((u16)(get16(d, USED_IDX(d)) - (u16)(d->tail - got)) >= got);
		n += got;
	}
	return n;
}

bool split_wants_kick(struct driver *d)
{
	u16 flags = get16(d, d->part[RING_DEVICE]);

	/* 2.7.10.2: 0 or 1, and only 0 with an event index. */
	CHECK(flags <= !d->s.event_idx);
	if (d->s.event_idx)
		return within(get16(d, AVAIL_EVENT(d)), d->told, d->head, 65536);
	return d->head != d->told && !flags;
}

/* What has no meaning is set to something: it is to be ignored (2.7.7.2). */
void split_set_wish(struct driver *d)
{
	if (d->s.event_idx) {
		put16(d, d->part[RING_DRIVER], rnd(2));
		put16(d, USED_EVENT(d), d->wish_at);
	} else {
		put16(d, d->part[RING_DRIVER], d->wish == NEVER);
	}
}
