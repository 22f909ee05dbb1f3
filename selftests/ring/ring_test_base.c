// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_test_base.c - a ring that is left in one place and taken up in another
 *
 * What a live migration does: the base is read, the device is gone, and another
 * one starts at that base in the same memory. The driver does not notice.
 */
#include "driver.h"

static struct driver d;
static struct ring_done held[1024];
static u32 nr_held;

static u64 held_slots(void)
{
	u64 slots = 0;
	u32 i;

	for (i = 0; i < nr_held; i++)
		slots += held[i].slots;
	return slots;
}

/* The base as <linux/vhost.h> has it, from the model's counts. */
static u32 base_of(void)
{
	u64 fetched = d.tail + held_slots();

	if (!d.s.packed)
		return (u16)fetched;
	return packed_place(&d, fetched) | (u32)packed_place(&d, d.tail) << 16;
}

static void fetch_some(void)
{
	u32 n, back, i;

	check_batch(&d, ring_fetch(&d.ring, &batch, 1 + rnd(16)));
	if (failed_now)
		return;
	n = batch.nr_req;
	back = rnd(n + 1);
	ring_unfetch(&d.ring, &batch, back);
	d.fetched -= back;
	for (i = 0; i < n - back; i++)
		held[nr_held++] =
			(struct ring_done){ batch.req[i].id, batch.req[i].slots, rnd(~0u), false };
}

static void return_some(u32 n)
{
	static struct result res[1024];
	u32 i;

	CHECK(ring_push(&d.ring, held, n) == 0);
	CHECK(reap(&d, res, n) == n);
	for (i = 0; i < n && !failed_now; i++)
		CHECK(res[i].id == held[i].id && res[i].len == held[i].len);
	nr_held -= n;
	memmove(held, held + n, nr_held * sizeof(*held));
}

static void moves(const struct setup *s)
{
	u32 round, base;

	begin(setup_name("base: moved in the middle,", s));
	nr_held = 0;
	driver_init(&d, s, early_base(s));
	for (round = 0; round < 600 + s->num && !failed_now; round++) {
		while (rnd(4) && offer(&d, 1 + rnd(min(s->num, 5u)), any_shape(s)))
			;
		fetch_some();
		return_some(rnd(nr_held + 1));
		/* Only a packed ring's base has room for what is in flight. */
		if (!s->packed)
			return_some(nr_held);
		base = ring_base(&d.ring);
		CHECK(base == base_of());
		if (rnd(2))
			continue;
		CHECK(driver_restart(&d, base) == 0);
		CHECK(ring_base(&d.ring) == base);
		CHECK(ring_pending(&d.ring) == (d.fetched < d.offered));
		d.told = d.head;
	}
	driver_free(&d);
	end();
}

/* What was in flight at the base counts: the driver cannot have more than its ring. */
static void in_flight(void)
{
	const struct setup s = { .num = 7, .packed = true };
	u8 *flags;

	begin("base: what is in flight is remembered");
	driver_init(&d, &s, 0x80008000);
	while (offer(&d, 1, CHAIN))
		;
	check_batch(&d, ring_fetch(&d.ring, &batch, 5));
	CHECK(driver_restart(&d, ring_base(&d.ring)) == 0);
	check_batch(&d, ring_fetch(&d.ring, &batch, 5));
	CHECK(d.fetched == 7 && ring_fetch(&d.ring, &batch, 5) == 0);
	/* It offers again, in the next lap, what the device has not returned. */
	flags = d.part[RING_DESC] + 14;
	put16(&d, flags, get16(&d, flags) ^ 0x8080);
	CHECK(ring_fetch(&d.ring, &batch, 5) == -EINVAL);
	driver_free(&d);
	end();
}

/* Every base of a small packed ring, and some that are none. */
static void places(u32 num)
{
	const struct setup s = { .num = num, .packed = true, .mapped = true };
	u32 avail, used, bits, base;
	char name[80];
	u64 ahead;

	snprintf(name, sizeof(name), "base: places of a packed ring, num=%u", num);
	begin(name);
	driver_init(&d, &s, 0x80008000);
	for (bits = 0; bits < 4; bits++) {
		for (avail = 0; avail < 2 * num + 2; avail++) {
			for (used = 0; used < 2 * num + 2; used++) {
				bool place = avail < num && used < num;

				base = avail | (bits & 1) << 15 | used << 16 | (bits >> 1) << 31;
				/* How far what is to be fetched is ahead. */
				ahead = avail + (bits & 1 ? 0 : num) + 2 * num;
				ahead -= used + (bits & 2 ? 0 : num);
				if (place && ahead % (2 * num) <= num) {
					CHECK(driver_restart(&d, base) == 0);
					CHECK(ring_base(&d.ring) == base);
				} else {
					CHECK(driver_restart(&d, base) == -EINVAL);
				}
			}
		}
	}
	CHECK(driver_restart(&d, 0x7fff7fff) == -EINVAL);
	CHECK(driver_restart(&d, 0xffffffff) == -EINVAL);
	driver_free(&d);
	end();
}

/* The index of a split ring is any number of 16 bits. */
static void indices(void)
{
	const struct setup s = { .num = 4, .mapped = true };
	u32 base;

	begin("base: indices of a split ring");
	for (base = 0; base < 65536; base += 1 + rnd(97)) {
		driver_init(&d, &s, base);
		CHECK(offer(&d, 1, CHAIN) && ring_fetch(&d.ring, &batch, 4) == 1);
		CHECK(ring_base(&d.ring) == (u16)(base + 1));
		driver_free(&d);
	}
	end();
}

/* A new ring begins where <linux/vhost.h> says that it does. */
static void initial(void)
{
	const struct setup s = { .num = 4, .packed = true };

	begin("base: a new packed ring");
	driver_init(&d, &s, 0x80008000);
	CHECK(d.head == 0 && offer(&d, 1, CHAIN));
	check_batch(&d, ring_fetch(&d.ring, &batch, 4));
	CHECK(d.fetched == 1 && ring_base(&d.ring) == 0x80008001);
	driver_free(&d);
	end();
}

void test_base(void)
{
	static const u32 sizes[] = { 1, 2, 3, 5, 16, 100, 255, 256 };
	u32 i, mask;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		for (mask = 0; mask < 16; mask++) {
			struct setup s = {
				.num = sizes[i],
				.packed = mask & 1,
				.mapped = mask & 2,
				.event_idx = mask & 4,
				.in_order = mask & 8,
				.indirect = rnd(2),
			};

			if (s.packed || !(s.num & (s.num - 1)))
				moves(&s);
		}
	}
	for (i = 1; i <= 5; i++)
		places(i);
	indices();
	in_flight();
	initial();
}
