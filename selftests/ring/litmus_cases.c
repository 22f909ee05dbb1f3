// SPDX-License-Identifier: GPL-2.0-only
/*
 * litmus_cases.c - what each barrier of the ring is for, as a case of litmus.c
 *
 * The letters are those on top of ring_split.c and ring_packed.c. The driver does
 * what VIRTIO 1.2 says, in its order: sections 2.7.13 and 2.7.14, 2.8.21 and 2.8.22.
 * The ring has four descriptors and is at its beginning. Behind its parts is some
 * memory for what requests name: a question, and an answer.
 */
#include "litmus.h"

/* Places in a split ring. */
#define AVAIL_FLAGS    RING_DRIVER, 0, 2
#define AVAIL_IDX      RING_DRIVER, 2, 2
#define AVAIL_ENTRY(i) RING_DRIVER, 4 + 2 * (i), 2
#define USED_EVENT     RING_DRIVER, 4 + 2 * 4, 2
#define USED_FLAGS     RING_DEVICE, 0, 2
#define USED_IDX       RING_DEVICE, 2, 2
#define USED_ID(i)     RING_DEVICE, 4 + 8 * (i), 4
#define USED_LEN(i)    RING_DEVICE, 8 + 8 * (i), 4
#define AVAIL_EVENT    RING_DEVICE, 4 + 8 * 4, 2

/* Places in a packed ring, and in a descriptor of either. */
#define DESC_ADDR(i)	RING_DESC, 16 * (i), 8
#define DESC_LEN(i)	RING_DESC, 16 * (i) + 8, 4
#define DESC_FLAGS(i)	RING_DESC, 16 * (i) + 12, 2 /* split */
#define DESC_NEXT(i)	RING_DESC, 16 * (i) + 14, 2 /* split */
#define PACKED_ID(i)	RING_DESC, 16 * (i) + 12, 2
#define PACKED_FLAGS(i) RING_DESC, 16 * (i) + 14, 2
#define DRIVER_EVENT	RING_DRIVER, 0, 4
#define DEVICE_EVENT	RING_DEVICE, 0, 4

#define QUESTION RING_DRIVER, 200
#define ANSWER	 RING_DEVICE, 200

#define NEXT	      1
#define WRITE	      2
#define AVAIL	      0x80
#define USED	      0x8000
#define EVENT_DISABLE 1
#define EVENT_DESC    2
#define WRAP	      0x8000 /* of an event's offset, in the first lap */

static struct ring_req reqs[4];
static struct ring_seg segs[8];
static struct ring_batch batch = { .req = reqs, .seg = segs, .max_req = 4, .max_seg = 8 };
static int fetched, more, signalled;
static bool kicked, saw, wrong;
static bool chain; /* two descriptors, or one */

static void begin(struct ring *r)
{
	fetched = more = signalled = 0;
	kicked = saw = wrong = false;
	ring_set_base(r, layout.packed ? 0x80008000 : 0);
	ring_start(r);
}

/*
 * A request is written in steps, the last of which makes it available: descriptors
 * 2 and 1 of a split ring, 0 and 1 of a packed one, or the first of them alone.
 */
#define OFFER_STEPS 3

static void offer(u32 step)
{
	u32 first = layout.packed ? 0 : 2;

	switch (step) {
	case 0:
		driver_store(QUESTION, 8, 0x1234);
		if (!chain)
			break;
		driver_store(DESC_ADDR(1), 0xbbbb);
		driver_store(DESC_LEN(1), 0xb);
		if (layout.packed) {
			driver_store(PACKED_ID(1), 77);
			driver_store(PACKED_FLAGS(1), AVAIL | WRITE);
		} else {
			driver_store(DESC_FLAGS(1), WRITE);
		}
		break;
	case 1:
		driver_store(DESC_ADDR(first), 0xaaaa);
		driver_store(DESC_LEN(first), 0xa);
		if (layout.packed) {
			driver_store(PACKED_ID(first), 77);
		} else {
			driver_store(DESC_FLAGS(first), chain ? NEXT : WRITE);
			driver_store(DESC_NEXT(first), 1);
			driver_store(AVAIL_ENTRY(0), first);
		}
		break;
	case 2:
		if (layout.packed)
			driver_store(PACKED_FLAGS(0), AVAIL | (chain ? NEXT : WRITE));
		else
			driver_store(AVAIL_IDX, 1);
		break;
	}
}

/* ---- A: what is available is seen as it was written ---- */

static void nothing_yet(struct ring *r)
{
	chain = true;
	begin(r);
}

static void nothing_yet_but_short(struct ring *r)
{
	chain = false;
	begin(r);
}

static bool fetched_wrong(void)
{
	if (reqs[0].id != (layout.packed ? 77 : 2) || reqs[0].out != chain || reqs[0].in != 1)
		return true;
	if (segs[0].addr != 0xaaaa || segs[0].len != 0xa)
		return true;
	return chain && (segs[1].addr != 0xbbbb || segs[1].len != 0xb);
}

static void device_fetches(struct ring *r)
{
	fetched = ring_fetch(r, &batch, 4);
	if (fetched)
		wrong = fetched != 1 || fetched_wrong() || device_reads(QUESTION) != 0x1234;
}

static bool driver_offers(u32 step)
{
	offer(step);
	return step + 1 < OFFER_STEPS;
}

static bool is_wrong(void)
{
	return wrong;
}

/* ---- B: what is used is seen as it was written ---- */

/* Two requests of a descriptor each, with ids 2 and 1, are in flight. */
static void two_in_flight(struct ring *r)
{
	u32 i;

	begin(r);
	for (i = 0; i < 2; i++) {
		if (layout.packed) {
			driver_store(PACKED_ID(i), 2 - i);
			driver_store(PACKED_FLAGS(i), AVAIL | WRITE);
		} else {
			driver_store(DESC_FLAGS(2 - i), WRITE);
			driver_store(AVAIL_ENTRY(i), 2 - i);
		}
	}
	if (!layout.packed)
		driver_store(AVAIL_IDX, 2);
	fetched = ring_fetch(r, &batch, 4);
	ring_need_signal(r); /* the first time is not like the others */
}

static const struct ring_done done[] = {
	{ .id = 2, .slots = 1, .len = 222, .whole = true },
	{ .id = 1, .slots = 1, .len = 111, .whole = true },
};

static void device_returns(struct ring *r)
{
	device_writes(ANSWER, 0x5678);
	ring_push(r, done, 2);
}

/* The driver looks at one moment, twice. In order, one entry speaks for both. */
static bool driver_looks(u32 step)
{
	u32 i, nr = 0;

	if (!layout.packed)
		nr = driver_load(USED_IDX);
	else
		while (nr < 2 && (driver_load(PACKED_FLAGS(nr)) & (AVAIL | USED)) == (AVAIL | USED))
			nr++;
	wrong |= nr && driver_load(ANSWER, 8) != 0x5678;
	for (i = 0; i < nr; i++) {
		u32 id = layout.packed ? driver_load(PACKED_ID(i)) : driver_load(USED_ID(i));
		u32 len = layout.packed ? driver_load(DESC_LEN(i)) : driver_load(USED_LEN(i));

		wrong |= id != done[i + layout.in_order].id || len != done[i + layout.in_order].len;
		if (layout.in_order)
			break;
	}
	return step == 0;
}

/* ---- C: a request is kicked for, or seen ---- */

/* Kicks are off; an event index is one of long ago. */
static void kicks_off(struct ring *r)
{
	nothing_yet(r);
	ring_suppress(r);
	if (!layout.packed && layout.event_idx)
		driver_store(AVAIL_EVENT, 0x8000);
}

static void device_arms(struct ring *r)
{
	fetched = ring_fetch(r, &batch, 4);
	more = fetched ? 1 : ring_unsuppress(r);
}

static bool driver_offers_and_kicks(u32 step)
{
	u32 event;

	if (step < OFFER_STEPS) {
		offer(step);
		return true;
	}
	if (layout.packed) {
		event = driver_load(DEVICE_EVENT);
		kicked = event >> 16 == EVENT_DESC ? (u16)event == (WRAP | 0) : event >> 16 == 0;
	} else if (layout.event_idx) {
		kicked = driver_load(AVAIL_EVENT) == 0;
	} else {
		kicked = !driver_load(USED_FLAGS);
	}
	return false;
}

static bool lost_kick(void)
{
	return !kicked && more != 1;
}

/* ---- D: what is used is signalled, or seen ---- */

/* The driver does not want to be signalled. */
static void driver_wants_none(void)
{
	if (layout.packed)
		driver_store(DRIVER_EVENT, EVENT_DISABLE << 16);
	else if (layout.event_idx)
		driver_store(USED_EVENT, 0x8000);
	else
		driver_store(AVAIL_FLAGS, 1);
}

static void signals_off(struct ring *r)
{
	two_in_flight(r);
	driver_wants_none();
}

static void device_returns_and_signals(struct ring *r)
{
	device_writes(ANSWER, 0x5678);
	ring_push(r, done, 2);
	signalled = ring_need_signal(r);
}

static bool driver_arms(u32 step)
{
	if (step == 0) {
		if (layout.packed)
			driver_store(DRIVER_EVENT, layout.event_idx ? EVENT_DESC << 16 | WRAP : 0);
		else if (layout.event_idx)
			driver_store(USED_EVENT, 0);
		else
			driver_store(AVAIL_FLAGS, 0);
		return true;
	}
	saw = layout.packed ? driver_load(PACKED_FLAGS(0)) & USED : driver_load(USED_IDX);
	wrong |= saw && driver_load(ANSWER, 8) != 0x5678;
	return false;
}

static bool lost_signal(void)
{
	return wrong || (!saw && signalled != 1);
}

/* ---- all together: a pass, in which a request is served ---- */

static void at_rest(struct ring *r)
{
	kicks_off(r);
	ring_need_signal(r); /* the first time is not like the others */
	driver_wants_none();
}

static void device_passes(struct ring *r)
{
	struct ring_done whole = { .len = 0xb };

	fetched = ring_fetch(r, &batch, 4);
	if (fetched == 1) {
		wrong |= fetched_wrong();
		device_writes(ANSWER, 0x5678);
		whole.id = reqs[0].id;
		whole.slots = reqs[0].slots;
		ring_push(r, &whole, 1);
		signalled = ring_need_signal(r);
	}
	more = ring_unsuppress(r);
}

static bool driver_offers_and_arms(u32 step)
{
	if (step <= OFFER_STEPS) {
		driver_offers_and_kicks(step);
		return true;
	}
	return driver_arms(step - OFFER_STEPS - 1);
}

static bool pass_broken(void)
{
	if (wrong || fetched < 0 || more < 0)
		return true;
	return fetched ? lost_signal() : lost_kick();
}

const struct litmus litmuses[] = {
	{ "A: available is seen as written", WITHOUT_RMB, nothing_yet, device_fetches,
	  driver_offers, is_wrong, false },
	{ "A: so is what is short", WITHOUT_RMB, nothing_yet_but_short, device_fetches,
	  driver_offers, is_wrong, false },
	{ "B: used is seen as written", WITHOUT_WMB, two_in_flight, device_returns, driver_looks,
	  is_wrong, true },
	{ "C: no kick is lost", WITHOUT_MB, kicks_off, device_arms, driver_offers_and_kicks,
	  lost_kick, false },
	{ "D: no signal is lost", WITHOUT_MB, signals_off, device_returns_and_signals, driver_arms,
	  lost_signal, false },
	{ "a pass", WITHOUT_MB | WITHOUT_RMB | WITHOUT_WMB, at_rest, device_passes,
	  driver_offers_and_arms, pass_broken, false },
};
const u32 nr_litmuses = sizeof(litmuses) / sizeof(*litmuses);
