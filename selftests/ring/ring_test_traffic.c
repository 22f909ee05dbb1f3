// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_test_traffic.c - what must work: all set-ups, at random
 *
 * Both sides do what they may at random moments: the driver offers, looks at what
 * was used and says when it wants to be signalled; the device fetches, puts back,
 * returns, asks for kicks and does without. Everything that either side gets to
 * see is compared with the model, and each decision to kick or to signal with
 * the counts that the model keeps.
 */
#include "driver.h"

/* The device's side of a run: what it fetched and did not return. */
struct device {
	struct driver d;
	struct ring_done held[RING_NUM_MAX];
	u32 nr_held;
	/* What was returned and the driver has not looked at. */
	struct ring_done given[RING_NUM_MAX];
	bool named[RING_NUM_MAX]; /* whether it has a used entry of its own */
	u32 nr_given;
	u64 pushed, asked; /* counts: returned, and when last asked to signal */
	bool ever_asked;
	bool kicks_wanted, kicks_off;
	u64 seen; /* count of what the device has seen offered */
};

static struct device v;

/* What was offered since the last time needs a kick exactly when it should. */
static void driver_offers(u32 bursts)
{
	struct driver *d = &v.d;
	u64 before = d->head;
	bool kick;

	while (bursts--) {
		u32 most = rnd(16) ? 8 : SEGS;

		if (!offer(d, 1 + rnd(min(d->s.num, most)), any_shape(&d->s)))
			break;
	}
	kick = wants_kick(d);
	if (d->head == before)
		return;
	/* The first one that the device has not seen must come with a kick. */
	if (v.kicks_wanted && before == v.seen)
		CHECK(kick);
	/* A split ring with EVENT_IDX cannot be told to do without. */
	if (v.kicks_off && (d->s.packed || !d->s.event_idx))
		CHECK(!kick);
	if (v.kicks_wanted && d->s.event_idx)
		v.kicks_wanted = false; /* once */
}

static void driver_looks(void)
{
	static struct result res[RING_NUM_MAX];
	u32 n = reap(&v.d, res, RING_NUM_MAX), i;

	CHECK(n == v.nr_given && v.d.tail == v.pushed);
	for (i = 0; i < n && !failed_now; i++) {
		CHECK(res[i].id == v.given[i].id && res[i].named == v.named[i]);
		CHECK(res[i].named ? res[i].len == v.given[i].len : v.given[i].whole);
	}
	v.nr_given = 0;
}

/* Where a packed device is after what it fetched, in descriptors; else requests. */
static u64 slots_of(u32 from, u32 n)
{
	u64 slots = 0;

	while (n--)
		slots += v.held[from + n].slots;
	return slots;
}

/* Each look at a split ring shows all that there is; when, only the ring knows. */
static void look(void)
{
	struct driver *d = &v.d;

	if (!d->s.packed)
		v.seen = d->head - (u16)((u16)d->head - d->ring.avail_idx);
}

static void device_fetches(u32 max)
{
	struct driver *d = &v.d;
	u64 waiting = d->offered - d->fetched, fetched;
	u32 back, i;
	int n;

	CHECK(ring_pending(&d->ring) == !!waiting);
	n = ring_fetch(&d->ring, &batch, max);
	CHECK(n >= 0 && !batch.err);
	check_batch(d, n);
	if (failed_now)
		return;
	/* All that there are, that were wanted and that there is room for. */
	if (n < min(waiting, (u64)min(max, batch.max_req))) {
		struct expect *next = &d->expect[d->order[d->fetched % d->s.num]];

		CHECK(batch.full && batch.nr_seg + next->out + next->in > batch.max_seg);
	} else {
		CHECK(!batch.full || d->fetched < d->offered);
	}

	for (i = 0; i < (u32)n; i++)
		v.held[v.nr_held + i] =
			(struct ring_done){ batch.req[i].id, batch.req[i].slots, 0, false };
	fetched = v.pushed + slots_of(0, v.nr_held + n);
	if (d->s.packed)
		v.seen = fetched > v.seen ? fetched : v.seen;
	look();

	/* Some go back, and come again as they were. */
	back = n && !rnd(3) ? rnd(n + 1) : 0;
	if (back) {
		ring_unfetch(&d->ring, &batch, back);
		d->fetched -= back;
		CHECK(batch.nr_req == (u32)n - back);
		CHECK(ring_pending(&d->ring) == 1);
	}
	v.nr_held += n - back;
}

/* Return some, in any order where that is allowed, in one call or in more. */
static void device_returns(void)
{
	struct driver *d = &v.d;
	u32 n = rnd(v.nr_held + 1), i, other, piece, at = v.nr_given;
	struct ring_done done;

	for (i = 0; i < n && !d->s.in_order; i++) {
		other = i + rnd(v.nr_held - i);
		done = v.held[i];
		v.held[i] = v.held[other];
		v.held[other] = done;
	}
	for (i = 0; i < n; i++) {
		v.held[i].len = rnd(4) ? rnd(~0u) : 0;
		v.held[i].whole = rnd(3);
		v.given[at + i] = v.held[i];
	}
	for (i = 0; i < n && !failed_now; i += piece) {
		piece = 1 + rnd(n - i);
		CHECK(ring_push(&d->ring, v.held + i, piece) == 0);
		/* In order, a run of whole ones ends with one that is named. */
		for (other = i; other < i + piece; other++)
			v.named[at + other] =
				!d->s.in_order || !v.held[other].whole || other + 1 == i + piece;
	}
	CHECK(d->nr_unlogged == 0);
	v.pushed += slots_of(0, n);
	v.nr_held -= n;
	v.nr_given += n;
	memmove(v.held, v.held + n, v.nr_held * sizeof(*v.held));
}

static void device_signals(void)
{
	struct driver *d = &v.d;
	int need;

	if (v.pushed == v.asked)
		return;
	need = ring_need_signal(&d->ring);
	if (d->wish != AT)
		CHECK(need == (d->wish == ALWAYS));
	else if (!v.ever_asked)
		CHECK(need == 1); /* nobody knows when it was asked before */
	else if (d->s.packed && v.pushed - v.asked >= d->s.num)
		CHECK(need || !signal_due(d, v.asked, v.pushed)); /* it may, after so many */
	else
		CHECK(need == signal_due(d, v.asked, v.pushed));
	v.asked = v.pushed;
	v.ever_asked = true;
}

static void driver_wishes(void)
{
	struct driver *d = &v.d;
	u64 back = rnd(2 * d->s.num + 1),
	    at = v.pushed - min(v.pushed, back) + rnd(3 * d->s.num + 1);

	if (d->s.event_idx && (!d->s.packed || rnd(2)))
		set_wish(d, AT, at);
	else
		set_wish(d, rnd(2) ? ALWAYS : NEVER, 0);
}

static void device_suppresses(void)
{
	CHECK(ring_suppress(&v.d.ring) == 0);
	CHECK(v.d.nr_unlogged == 0);
	v.kicks_off = true;
	v.kicks_wanted = false;
}

static void device_unsuppresses(void)
{
	struct driver *d = &v.d;
	int more = ring_unsuppress(&d->ring);

	CHECK(more == (d->head != v.seen) && d->nr_unlogged == 0);
	v.kicks_off = false;
	v.kicks_wanted = !more;
	look();
}

static void traffic(const struct setup *s, u64 want, bool log)
{
	struct driver *d = &v.d;
	u64 first;

	begin(setup_name(log ? "traffic, logged:" : "traffic:", s));
	memset(&v, 0, sizeof(v));
	driver_init(d, s, early_base(s));
	d->ring.log = log;
	v.pushed = d->tail;
	v.asked = v.pushed;
	v.seen = d->head;
	v.kicks_wanted = true;
	first = v.pushed;
	driver_wishes();

	while (v.pushed - first < want && !failed_now) {
		switch (rnd(8)) {
		case 0:
			driver_offers(1 + rnd(4));
			break;
		case 1:
			driver_offers(rnd(4) ? 1 + rnd(64) : s->num);
			break;
		case 2:
		case 3:
			device_fetches(1 + rnd(rnd(4) ? 16 : REQS + 8));
			break;
		case 4:
			device_returns();
			if (rnd(8))
				device_signals();
			break;
		case 5:
			if (rnd(2))
				driver_looks();
			else
				driver_wishes();
			break;
		case 6:
			device_suppresses();
			break;
		case 7:
			device_unsuppresses();
			break;
		}
	}
	CHECK(v.pushed - first >= want);
	driver_free(d);
	end();
}

/*
 * All set-ups of a size. Counts wrap around: the indices of a split ring from
 * the start (its base is just below 65,536), the laps of a packed one often.
 */
static void all_of(bool packed, u32 num, u64 want)
{
	u32 mask;

	for (mask = 0; mask < 16; mask++) {
		struct setup s = {
			.num = num,
			.packed = packed,
			.indirect = mask & 1,
			.event_idx = mask & 2,
			.in_order = mask & 4,
			.mapped = mask & 8,
		};

		traffic(&s, want, false);
	}
}

void test_traffic(void)
{
	static const u32 split[] = { 1, 2, 4, 16, 256, 1024 };
	static const u32 packed[] = { 1, 2, 3, 5, 16, 100, 255, 1000 };
	struct setup s = { .num = 16 };
	u32 i;

	for (i = 0; i < sizeof(split) / sizeof(*split); i++)
		all_of(false, split[i], 4000 + 3 * split[i]);
	for (i = 0; i < sizeof(packed) / sizeof(*packed); i++)
		all_of(true, packed[i], 6000 + 6 * packed[i]);
	all_of(false, 32768, 2 * 32768);
	all_of(true, 32768, 2 * 32768);

	/* Around all 65,536 indices, in both byte orders. */
	for (i = 0; i < 8; i++) {
		s.big = i & 1;
		s.event_idx = i & 2;
		s.mapped = i & 4;
		s.indirect = true;
		traffic(&s, 70000, false);
	}
	s.big = false;
	for (i = 0; i < 16; i++) {
		s.packed = i & 1;
		s.num = s.packed ? 13 : 16;
		s.event_idx = i & 2;
		s.in_order = i & 4;
		s.mapped = i & 8;
		traffic(&s, 10000, true);
	}
}
