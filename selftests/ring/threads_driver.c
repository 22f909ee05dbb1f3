// SPDX-License-Identifier: GPL-2.0-only
/*
 * threads_driver.c - the driver's thread, as VIRTIO 1.2 has it
 *
 * Sections 2.7.13 and 2.7.14, 2.8.21 and 2.8.22, and the barriers that they ask
 * for: what makes something available is a release, what shows that something was
 * used an acquire, and between a store and the load that decides about a kick or
 * about going to sleep there is a full one. All else is plain memory, but what is in
 * the same 8 bytes as a packed descriptor's flags.
 *
 * A request is one or two descriptors that name buffers[] by number.
 */
#include "threads.h"

#define F_NEXT	      1
#define F_WRITE	      2
#define F_AVAIL	      0x80
#define F_USED	      0x8000
#define EVENT_DISABLE 1
#define EVENT_DESC    2

struct split_desc {
	u64 addr;
	u32 len;
	u16 flags, next;
};

struct packed_desc {
	u64 addr;
	u32 len;
	u16 id, flags;
};

struct used_elem {
	u32 id, len;
};

static struct driver {
	u64 head, tail;		    /* what was made available and seen used; see driver.h */
	u64 offered, answered;	    /* requests */
	u32 free[NUM_MAX], nr_free; /* numbers for requests: heads, ids, buffers */
	u32 slots[NUM_MAX];	    /* descriptors of a request, by number */
	u32 order[NUM_MAX];	    /* numbers in the order in which they were offered */
	u32 nr_slots;		    /* descriptors that are taken */
	bool last;		    /* there are no more */
	u64 seed;
} d;

void driver_reset(struct world *w)
{
	u32 i;

	memset(&d, 0, sizeof(d));
	d.seed = 3;
	/* Two descriptors for each request of a split ring: 2n and 2n + 1. */
	d.nr_free = w->mode.packed ? w->mode.num : w->mode.num / 2;
	for (i = 0; i < d.nr_free; i++)
		d.free[i] = d.nr_free - 1 - i;
}

static bool wrap(struct world *w, u64 count)
{
	return !(count / w->mode.num % 2);
}

static u16 avail_flags(struct world *w, u64 count)
{
	return wrap(w, count) ? F_AVAIL : F_USED;
}

static u16 place(struct world *w, u64 count)
{
	return count % w->mode.num | wrap(w, count) << 15;
}

/* ---- offering ---- */

static void split_put(struct world *w, u32 number, u32 nr)
{
	struct split_desc *desc = w->part[RING_DESC];
	u16 *avail = w->part[RING_DRIVER];
	u16 at = 2 * number;

	desc[at] = (struct split_desc){ number, d.offered, nr > 1 ? F_NEXT : F_WRITE, at + 1 };
	if (nr > 1)
		desc[at + 1] = (struct split_desc){ number, 8, F_WRITE, 0 };
	avail[2 + d.head % w->mode.num] = at;
	d.head++;
	__atomic_store_n(&avail[1], d.head, __ATOMIC_RELEASE);
}

static void packed_put(struct world *w, u32 number, u32 nr)
{
	struct packed_desc *desc = w->part[RING_DESC];
	struct packed_desc *first = &desc[d.head % w->mode.num], *second;

	if (nr > 1) {
		second = &desc[(d.head + 1) % w->mode.num];
		*second = (struct packed_desc){ number, 8, number,
						avail_flags(w, d.head + 1) | F_WRITE };
	}
	first->addr = number;
	/* The device may be looking at these, in one load with the flags. */
	STORE(&first->len, d.offered);
	STORE(&first->id, number);

	__atomic_store_n(&first->flags, avail_flags(w, d.head) | (nr > 1 ? F_NEXT : F_WRITE),
			 __ATOMIC_RELEASE);
	d.head += nr;
}

static bool offer(struct world *w)
{
	u32 nr = 1 + any(&d.seed, 2), number;

	if (!d.nr_free || d.nr_slots + nr > w->mode.num || d.last)
		return false;
	number = d.free[--d.nr_free];
	d.slots[number] = nr;
	d.nr_slots += nr;
	d.order[d.offered % NUM_MAX] = number;
	w->buffers[number].question = d.offered;
	w->buffers[number].answer = 0;
	if (w->mode.packed)
		packed_put(w, number, nr);
	else
		split_put(w, number, nr);
	d.offered++;
	return true;
}

/* What was offered since @from: whether the device wants to know. */
static bool wants_kick(struct world *w, u64 from)
{
	u16 *used = w->part[RING_DEVICE];
	u32 word;
	u64 at;

	if (!w->mode.packed) {
		if (!w->mode.event_idx)
			return !LOAD(&used[0]);
		return (u16)(LOAD(&used[2 + 4 * w->mode.num]) - (u16)from) < d.head - from;
	}
	word = LOAD((u32 *)used);
	if (word >> 16 != EVENT_DESC)
		return word >> 16 == 0;
	at = (word & 0x7fff) + (word & 0x8000 ? 0 : w->mode.num);
	return (at + 2 * w->mode.num - from % (2 * w->mode.num)) % (2 * w->mode.num) <
	       d.head - from;
}

/* ---- what was used ---- */

static u16 *used_word(struct world *w)
{
	struct packed_desc *desc = w->part[RING_DESC];

	if (!w->mode.packed)
		return (u16 *)w->part[RING_DEVICE] + 1;
	return &desc[d.tail % w->mode.num].flags;
}

static bool shows_used(struct world *w, u16 word)
{
	if (!w->mode.packed)
		return word != (u16)d.tail;
	return (word & (F_AVAIL | F_USED)) == (wrap(w, d.tail) ? F_AVAIL | F_USED : 0);
}

static bool driver_missed(struct world *w)
{
	return shows_used(w, LOAD(used_word(w)));
}

/* One request is done; @len is what its used entry says, if it has one. */
static bool done(struct world *w, u32 number, const u32 *len)
{
	struct buffer *buffer = &w->buffers[number];

	if (buffer->answer != ANSWER(buffer->question) ||
	    (len && *len != (u32)ANSWER(buffer->question))) {
		fail(w, "the driver read what was there before");
		return false;
	}
	d.tail += w->mode.packed ? d.slots[number] : 1;
	d.nr_slots -= d.slots[number];
	d.slots[number] = 0;
	d.free[d.nr_free++] = number;
	d.answered++;
	return true;
}

/* What one used entry says; in order that may be more than one request. */
static bool look(struct world *w)
{
	struct used_elem *ring = (struct used_elem *)((u16 *)w->part[RING_DEVICE] + 2);
	struct packed_desc *desc = w->part[RING_DESC];
	u32 id, len, number;

	if (!shows_used(w, __atomic_load_n(used_word(w), __ATOMIC_ACQUIRE)))
		return false;
	if (w->mode.packed) {
		acquire_word(&desc[d.tail % w->mode.num].len);
		id = desc[d.tail % w->mode.num].id;
		len = desc[d.tail % w->mode.num].len;
	} else {
		id = ring[d.tail % w->mode.num].id / 2;
		len = ring[d.tail % w->mode.num].len;
	}
	if (id >= NUM_MAX || !d.slots[id]) {
		fail(w, "the driver got back what it had not offered");
		return false;
	}
	if (!w->mode.in_order)
		return done(w, id, &len);
	do {
		number = d.order[d.answered % NUM_MAX];
		if (!done(w, number, number == id ? &len : NULL))
			return false;
	} while (number != id && d.answered < d.offered);
	return true;
}

static void want_signals(struct world *w, bool wanted)
{
	u16 *avail = w->part[RING_DRIVER];

	if (w->mode.packed) {
		if (wanted && w->mode.event_idx)
			STORE((u32 *)avail, (u32)EVENT_DESC << 16 | place(w, d.tail));
		else
			STORE((u32 *)avail, wanted ? 0 : (u32)EVENT_DISABLE << 16);
	} else if (!w->mode.event_idx) {
		STORE(&avail[0], !wanted);
	} else if (wanted) {
		STORE(&avail[2 + w->mode.num], d.tail);
	}
}

/* ---- the thread ---- */

void *run_driver(void *world)
{
	struct world *w = world;
	u32 burst;
	u64 from;

	take_cpu(1);
	while (!(d.last && d.answered == d.offered) && !LOAD(&w->failed)) {
		/* Some rounds at least, on any machine. */
		if (d.offered >= 40 * w->mode.num && seconds_now() > w->until)
			d.last = true;
		want_signals(w, false);
		while (look(w))
			;
		/* Often few, so that both sides run dry at the same time. */
		burst = any(&d.seed, 8) ? 1 + any(&d.seed, 2) : w->mode.num;
		from = d.head;
		while (burst-- && offer(w))
			;
		if (from != d.head) {
			driver_mb();
			if (wants_kick(w, from))
				ring_bell(&w->to_device);
			if (any(&d.seed, 4))
				continue;
		}
		if (d.answered == d.offered)
			continue;
		if (any(&d.seed, 2))
			pause_a_bit(&d.seed);
		want_signals(w, true);
		driver_mb();
		if (driver_missed(w))
			continue;
		if (!wait_for(w, &w->to_driver, driver_missed, "driver"))
			break;
	}
	w->requests = d.answered;
	STORE(&w->over, true);
	ring_bell(&w->to_device);
	return NULL;
}
