// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_test_events.c - who has to be told of what: each case of small rings
 *
 * Every place where a ring can be, every number of requests used or offered, and
 * every place that the other side can have asked to be told about. The model
 * counts from the beginning (within()); the ring computes with what wraps around.
 */
#include "driver.h"

static struct driver d;

static void offer_some(u32 n)
{
	while (n--)
		CHECK(offer(&d, 1, CHAIN));
}

/* Fetch and return @n requests of one descriptor, one after another. */
static void return_some(u32 n)
{
	struct ring_done done = { .slots = 1 };
	struct result res;

	while (n-- && !failed_now) {
		CHECK(ring_fetch(&d.ring, &batch, 1) == 1);
		if (failed_now)
			return;
		d.fetched++;
		done.id = batch.req[0].id;
		CHECK(ring_push(&d.ring, &done, 1) == 0);
		CHECK(reap(&d, &res, 1) == 1);
	}
}

static void serve(u32 n)
{
	while (n-- && !failed_now) {
		offer_some(1);
		return_some(1);
	}
}

/* ---- signals ---- */

/*
 * @n are used, and the driver asked for the one that is @off further. After a lap
 * or more a packed ring may signal for nothing: the driver looked away for long.
 */
static void one_signal(u32 n, int off)
{
	u64 from = d.tail;
	int need;

	serve(n);
	set_wish(&d, AT, from + off + 2 * 65536 * d.s.num);
	need = ring_need_signal(&d.ring);
	if (d.s.packed && n >= d.s.num)
		CHECK(need || !signal_due(&d, from, d.tail));
	else
		CHECK(need == signal_due(&d, from, d.tail));
}

static void signals_by_place(const struct setup *s)
{
	int n, off, most = 2 * s->num + 1;
	u32 start;

	begin(setup_name("events: signals,", s));
	driver_init(&d, s, early_base(s));
	serve(1);
	set_wish(&d, AT, 0);
	CHECK(ring_need_signal(&d.ring) == 1); /* the first time, whatever was asked */
	for (start = 0; start < 4 * s->num; start++) {
		for (n = 0; n <= most; n++)
			for (off = -most; off <= most && !failed_now; off++)
				one_signal(n, off);
		serve(1);
		CHECK(ring_need_signal(&d.ring) >= 0);
	}
	if (!s->packed) {
		/* All but one of the places that there are, and all. */
		serve(65535);
		set_wish(&d, AT, d.tail);
		CHECK(ring_need_signal(&d.ring) == 0);
		serve(65536);
		CHECK(ring_need_signal(&d.ring) == 1);
	}
	driver_free(&d);
	end();
}

static void signals_by_flags(const struct setup *s)
{
	u32 flags, place;

	begin(setup_name("events: signals, flags,", s));
	driver_init(&d, s, early_base(s));
	for (flags = 0; flags < 8; flags++) {
		serve(1);
		/* The place means nothing, unless the flags say so. */
		for (place = 0; place < 65536; place += 1 + rnd(4096)) {
			int need;

			if (s->packed) {
				put16(&d, d.part[RING_DRIVER], place);
				put16(&d, d.part[RING_DRIVER] + 2, flags);
			} else {
				put16(&d, d.part[RING_DRIVER], flags);
			}
			need = ring_need_signal(&d.ring);
			if (!s->packed)
				CHECK(need == !(flags & 1));
			else if (flags == 2 && s->event_idx)
				CHECK(need == 0 || need == 1);
			else /* what is reserved is no reason for silence */
				CHECK(need == (flags != 1));
		}
	}
	driver_free(&d);
	end();
}

/* A legacy driver wants to know when nothing is left, even if it said no. */
static void on_empty(void)
{
	const struct setup s = { .num = 8, .mapped = true };

	begin("events: notify_on_empty");
	driver_init(&d, &s, 0);
	d.ring.notify_on_empty = true;
	set_wish(&d, NEVER, 0);
	offer_some(3);
	return_some(1);
	CHECK(ring_need_signal(&d.ring) == 0);
	return_some(2);
	CHECK(ring_need_signal(&d.ring) == 1);
	driver_free(&d);
	end();
}

/* ---- kicks ---- */

/*
 * The device has seen @seen requests and fetched none of them when it asks for
 * kicks; @early more come before it does.
 */
static void one_kick(u32 seen, u32 early, u32 late)
{
	int more;

	/* Without kicks, unless the ring has no way to say so. */
	CHECK(ring_suppress(&d.ring) == 0);
	offer_some(seen);
	CHECK(!wants_kick(&d) || (!d.s.packed && d.s.event_idx));
	if (seen) {
		CHECK(ring_fetch(&d.ring, &batch, seen) == (int)seen);
		if (failed_now)
			return;
		ring_unfetch(&d.ring, &batch, seen);
	} else {
		CHECK(ring_pending(&d.ring) == 0);
	}
	offer_some(early);
	wants_kick(&d);

	more = ring_unsuppress(&d.ring);
	CHECK(more == !!early);
	offer_some(late);
	/* The first one that was not seen when it asked comes with a kick. */
	if (!early || !d.s.event_idx)
		CHECK(wants_kick(&d) == !!late);
	else
		CHECK(wants_kick(&d) == false);
	/* With an event index, that was it. */
	if (late && d.s.event_idx && seen + early + late < d.s.num) {
		offer_some(1);
		CHECK(!wants_kick(&d));
		return_some(1);
	}
	return_some(seen + early + late);
	CHECK(ring_pending(&d.ring) == 0);
}

static void kicks(const struct setup *s)
{
	u32 start, seen, early, late;

	begin(setup_name("events: kicks,", s));
	driver_init(&d, s, early_base(s));
	for (start = 0; start < 2 * s->num; start++) {
		for (seen = 0; seen <= s->num; seen++)
			for (early = 0; seen + early <= s->num; early++)
				for (late = 0; seen + early + late <= s->num && !failed_now; late++)
					one_kick(seen, early, late);
		serve(1);
	}
	driver_free(&d);
	end();
}

/* A device that has just started wants to be kicked. */
static void kicks_at_start(const struct setup *s)
{
	u32 i;

	begin(setup_name("events: kicks at start,", s));
	for (i = 0; i < 4 * s->num; i++) {
		driver_init(&d, s, early_base(s));
		offer_some(1);
		CHECK(wants_kick(&d));
		driver_free(&d);
	}
	end();
}

void test_events(void)
{
	static const u32 sizes[] = { 1, 2, 3, 4, 5, 8 };
	u32 i, mask;

	on_empty();
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		for (mask = 0; mask < 8; mask++) {
			struct setup s = {
				.num = sizes[i],
				.packed = mask & 1,
				.mapped = mask & 2,
				.event_idx = mask & 4,
			};

			if (!s.packed && s.num & (s.num - 1))
				continue;
			kicks(&s);
			kicks_at_start(&s);
			if (s.event_idx && s.num <= 5)
				signals_by_place(&s);
			if (s.packed || !s.event_idx)
				signals_by_flags(&s);
		}
	}
}
