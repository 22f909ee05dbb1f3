// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_test_faults.c - memory that goes away, and drivers that write anything
 *
 * Faults: each access of each verb fails once. Its error comes out, and when the
 * memory is back, so is everything that was in the ring.
 *
 * Noise: the three parts and the tables are random, and change while they are
 * used. Nothing is promised but what no driver may take from us: no access out
 * of bounds (ASan, and the checks of ring_env_*()), no number out of its range,
 * no more work than the batch has room for.
 */
#include "driver.h"

static struct driver d;

/* ---- faults ---- */

enum verb { START, FETCH, PUSH, NEED_SIGNAL, SUPPRESS, UNSUPPRESS, PENDING, VERBS };

static struct ring_done done[3];

static int call(enum verb verb, u32 base)
{
	switch (verb) {
	case START:
		ring_set_base(&d.ring, base);
		return ring_start(&d.ring);
	case FETCH:
		return ring_fetch(&d.ring, &batch, 3);
	case PUSH:
		return ring_push(&d.ring, done, 3);
	case NEED_SIGNAL:
		return ring_need_signal(&d.ring);
	case SUPPRESS:
		return ring_suppress(&d.ring);
	case UNSUPPRESS:
		return ring_unsuppress(&d.ring);
	default:
		return ring_pending(&d.ring);
	}
}

/* What was not delivered because of a fault is delivered after it. */
static void after_fault(enum verb verb, int n)
{
	if (verb != FETCH || failed_now)
		return;
	CHECK(n >= 0 || batch.nr_req == 0);
	CHECK(n < 0 || batch.err == (n < 3 ? -EFAULT : 0));
	if (n > 0)
		check_batch(&d, n);
	check_batch(&d, ring_fetch(&d.ring, &batch, 3));
	CHECK(d.fetched == 3);
}

static void faults(const struct setup *s, enum verb verb, const char *name)
{
	u32 at, base, i;
	bool hit = true;
	int n;

	begin(setup_name(name, s));
	for (at = 1; hit && !failed_now; at++) {
		base = early_base(s);
		driver_init(&d, s, base);
		d.ring.log = true;
		for (i = 0; i < 3; i++)
			CHECK(offer(&d, 3, s->indirect && i ? TABLE : CHAIN));
		if (verb == PUSH)
			check_batch(&d, ring_fetch(&d.ring, &batch, 3));
		for (i = 0; verb == PUSH && i < 3 && !failed_now; i++)
			done[i] =
				(struct ring_done){ batch.req[i].id, batch.req[i].slots, 1, true };
		if (verb == UNSUPPRESS)
			CHECK(ring_suppress(&d.ring) == 0);
		d.fail_in = at;
		n = call(verb, base);
		hit = !d.fail_in;
		d.fail_in = 0;
		CHECK(n == -EFAULT || n >= 0);
		/* Good requests before the fault hide it; nothing else does. */
		CHECK(!hit || n == -EFAULT || (verb == FETCH && n < 3));
		CHECK(hit || n >= 0);
		after_fault(verb, n);
		driver_free(&d);
	}
	/* Kicks of a split ring with EVENT_IDX are not suppressed. */
	CHECK(at > 2 || (verb == SUPPRESS && !s->packed && s->event_idx));
	end();
}

void test_faults(void)
{
	static const char *const names[] = {
		"faults: start,",	"faults: fetch,",    "faults: push,",
		"faults: need_signal,", "faults: suppress,", "faults: unsuppress,",
		"faults: pending,",
	};
	u32 mask, verb;

	for (mask = 0; mask < 16; mask++) {
		struct setup s = {
			.packed = mask & 1,
			.event_idx = mask & 2,
			.indirect = mask & 4,
			.in_order = mask & 8,
		};

		s.num = s.packed ? 17 : 16;
		for (verb = 0; verb < VERBS; verb++)
			faults(&s, verb, names[verb]);
	}
}

/* ---- noise ---- */

/* A descriptor that is likely to be taken for one. */
static void noisy_desc(u8 *to)
{
	struct ring_seg seg = {
		.addr = rnd(2) ? TABLE_BASE + rnd(d.s.num * TABLE_BYTES) : rnd(~0u),
		.len = rnd(3) ? 16 * rnd(100) : rnd(~0u),
	};
	u16 wrap = rnd(3) ? (d.ring.avail_wrap ? 0x80 : 0x8000) : rnd(65536);

	if (d.s.packed)
		put_desc(&d, to, &seg, rnd(65536), rnd(8) | wrap);
	else
		put_desc(&d, to, &seg, rnd(rnd(8) ? 8 : 65536), rnd(d.s.num + d.s.num / 8 + 1));
}

/* Some of all that the driver may write, and of all that it may not. */
static void noise_everywhere(u32 n)
{
	while (n--) {
		enum ring_part p = rnd(RING_PARTS);
		u32 size = ring_part_size(&d.ring, p, d.s.num);

		switch (rnd(5)) {
		case 0:
			d.part[p][rnd(size)] = rnd(256);
			break;
		case 1:
			noisy_desc(d.part[RING_DESC] + 16 * rnd(d.s.num));
			break;
		case 2:
			noisy_desc(d.tables + 16 * rnd(d.s.num * TABLE_BYTES / 16));
			break;
		case 3:
			if (d.s.packed)
				noisy_desc(d.part[RING_DESC] + 16 * d.ring.next_avail);
			else
				put16(&d, d.part[RING_DRIVER] + 2,
				      d.ring.next_avail + rnd(d.s.num + 1));
			break;
		case 4:
			if (d.s.packed)
				put16(&d, d.part[RING_DESC] + 16 * d.ring.next_avail + 14,
				      (rnd(4) ? 0 : rnd(8)) | (d.ring.avail_wrap ? 0x80 : 0x8000));
			else
				put16(&d, d.part[RING_DRIVER] + 4 + 2 * rnd(d.s.num),
				      rnd(d.s.num + d.s.num / 16 + 1));
			break;
		}
	}
}

static u32 requests;

static void noisy_fetch(struct ring_done *held, u32 *nr_held, u32 *slots)
{
	u32 i, back, max = 1 + rnd(REQS);
	int n;

	d.nr_reads = 0;
	n = ring_fetch(&d.ring, &batch, max);
	/* A look at the head, one at each descriptor, and one at each table. */
	CHECK(d.nr_reads <= 4 + 2 * batch.max_req + 2 * (batch.max_seg + 1));
	if (n < 0) {
		CHECK(n == -EINVAL || n == -EFAULT || n == -ENOBUFS);
		return;
	}
	CHECK((u32)n == batch.nr_req && (u32)n <= max && batch.nr_seg <= batch.max_seg);
	requests += n;
	for (i = 0; i < (u32)n; i++) {
		struct ring_req *req = &batch.req[i];

		CHECK(req->seg + req->out + req->in <= batch.nr_seg && req->out + req->in);
		CHECK(d.s.packed || (req->id < d.s.num && req->slots == 1));
	}
	back = rnd(4) ? 0 : rnd(n + 1);
	ring_unfetch(&d.ring, &batch, back);
	for (i = 0; i < n - back && !failed_now; i++) {
		struct ring_req *req = &batch.req[i];

		*slots += req->slots;
		CHECK(*slots <= d.s.num);
		held[(*nr_held)++] =
			(struct ring_done){ req->id, req->slots, rnd(2) ? rnd(~0u) : 0, rnd(2) };
	}
}

static void noise(bool packed, bool mapped)
{
	static struct ring_done held[64];
	u32 round, i, j, n, nr_held, slots;
	struct setup s;

	s = (struct setup){ .packed = packed, .mapped = mapped, .num = 40 };
	begin(setup_name("noise: up to", &s));
	requests = 0;
	for (round = 0; round < 3000 && !failed_now; round++) {
		s.num = packed ? 1 + rnd(40) : 1u << rnd(6);
		s.indirect = rnd(2);
		s.event_idx = rnd(2);
		s.in_order = rnd(2);
		driver_init(&d, &s, early_base(&s));
		d.ring.log = rnd(2);
		nr_held = 0;
		slots = 0;
		for (i = 0; i < 20 && !failed_now; i++) {
			noise_everywhere(1 + rnd(4 * s.num));
			noisy_fetch(held, &nr_held, &slots);
			n = rnd(nr_held + 1);
			CHECK(ring_push(&d.ring, held, n) == 0);
			for (j = 0; j < n; j++)
				slots -= held[j].slots;
			nr_held -= n;
			memmove(held, held + n, nr_held * sizeof(*held));
			CHECK(ring_need_signal(&d.ring) >= 0);
			CHECK(ring_pending(&d.ring) >= -EINVAL);
			CHECK(ring_suppress(&d.ring) == 0);
			CHECK(ring_unsuppress(&d.ring) >= -EINVAL);
			CHECK(d.nr_unlogged == 0);
		}
		driver_free(&d);
	}
	CHECK(requests > 10000); /* or it would say nothing */
	end();
}

void test_noise(void)
{
	noise(false, false);
	noise(false, true);
	noise(true, false);
	noise(true, true);
}
