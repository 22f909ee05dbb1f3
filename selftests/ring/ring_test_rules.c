// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_test_rules.c - what a driver must not do, and that it is noticed
 *
 * Each case breaks one rule of the specification in one request, which comes
 * first in the ring, and expects one answer; nothing may have moved then.
 */
#include "driver.h"

#define NEXT	 VRING_DESC_F_NEXT
#define WRITE	 VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

static struct driver bad;

static void set_at(u8 *to, u64 addr, u32 len, u16 word6, u16 word7)
{
	struct ring_seg seg = { .addr = addr, .len = len };

	put_desc(&bad, to, &seg, word6, word7);
}

/* Nothing of the ring has moved when a fetch fails. */
static int fetch(void)
{
	struct ring before = bad.ring;
	int n = ring_fetch(&bad.ring, &batch, 16);

	if (n >= 0)
		return n;
	CHECK(batch.nr_req == 0 && batch.nr_seg == 0);
	CHECK(ring_base(&bad.ring) == ring_base(&before));
	CHECK(bad.ring.in_flight == before.in_flight);
	return n;
}

#define CASE(what, layout, setup_, base, prepare, body, want) \
	do {                                                  \
		int n_;                                       \
		begin("rules: " layout " " what);             \
		driver_init(&bad, setup_, base);              \
		prepare;                                      \
		body;                                         \
		n_ = fetch();                                 \
		CHECK(n_ == (want));                          \
		driver_free(&bad);                            \
		end();                                        \
	} while (0)

/* ---- split: the request at index 7, whose head is descriptor 3 ---- */

static void head(u16 slot)
{
	put16(&bad, bad.part[RING_DRIVER] + 4 + 2 * 7, slot);
}

static void idx(u16 val)
{
	put16(&bad, bad.part[RING_DRIVER] + 2, val);
}

static void split(u32 slot, u64 addr, u32 len, u16 flags, u16 next)
{
	set_at(bad.part[RING_DESC] + 16 * slot, addr, len, flags, next);
}

static void split_table(u32 slot, u64 addr, u32 len, u16 flags, u16 next)
{
	set_at(bad.tables + 16 * slot, addr, len, flags, next);
}

static void fetched(int n)
{
	CHECK(fetch() == n && fetch() == 0);
}

static void split_rules(bool mapped)
{
	const struct setup s = { .num = 16, .indirect = true, .mapped = mapped };
	const u64 at = TABLE_BASE;

#define SPLIT(what, body, want) CASE(what, "split", &s, 7, (idx(8), head(3)), body, want)
	SPLIT("head out of range", head(16), -EINVAL);
	SPLIT("head far out of range", head(65535), -EINVAL);
	SPLIT("next out of range", split(3, 1, 1, NEXT, 16), -EINVAL);
	SPLIT("chain that ends in itself", split(3, 1, 1, NEXT, 3), -EINVAL);
	SPLIT("chain with a loop",
	      (split(3, 1, 1, NEXT, 4), split(4, 1, 1, NEXT, 5), split(5, 1, 1, NEXT, 4)), -EINVAL);
	SPLIT("loop of empty descriptors", split(3, 1, 0, NEXT, 3), -EINVAL);
	SPLIT("avail index too far", idx(7 + 17), -EINVAL);
	SPLIT("avail index much too far", idx(7 + 32768), -EINVAL);
	SPLIT("avail index behind", idx(6), -EINVAL);
	SPLIT("more than the ring is in flight", (idx(7 + 16), fetched(16), idx(7 + 17)), -EINVAL);
	SPLIT("readable after writable", (split(3, 1, 1, NEXT | WRITE, 4), split(4, 1, 1, 0, 0)),
	      -EINVAL);
	SPLIT("indirect with next", split(3, at, 16, INDIRECT | NEXT, 4), -EINVAL);
	SPLIT("indirect of no descriptor", split(3, at, 0, INDIRECT, 0), -EINVAL);
	SPLIT("indirect of a broken length", split(3, at, 24, INDIRECT, 0), -EINVAL);
	SPLIT("indirect too long", split(3, at, (RING_TABLE_MAX + 1) * 16, INDIRECT, 0), -EINVAL);
	SPLIT("indirect of the largest length", split(3, at, ~15u, INDIRECT, 0), -EINVAL);
	SPLIT("indirect outside of memory", split(3, 16, 16, INDIRECT, 0), -EFAULT);
	SPLIT("indirect that wraps around", split(3, ~0ull - 7, 16, INDIRECT, 0), -EINVAL);
	SPLIT("indirect in indirect",
	      (split(3, at, 32, INDIRECT, 0), split_table(0, at, 16, INDIRECT, 0)), -EINVAL);
	SPLIT("table with a loop",
	      (split(3, at, 64, INDIRECT, 0), split_table(0, 1, 1, NEXT, 1),
	       split_table(1, 1, 1, NEXT, 0)),
	      -EINVAL);
	SPLIT("table with next out of range",
	      (split(3, at, 32, INDIRECT, 0), split_table(0, 1, 1, NEXT, 2)), -EINVAL);
	SPLIT("table with readable after writable",
	      (split(3, at, 32, INDIRECT, 0), split_table(0, 1, 1, NEXT | WRITE, 1),
	       split_table(1, 1, 1, 0, 0)),
	      -EINVAL);
	SPLIT("readable table behind a writable descriptor",
	      (split(3, 1, 1, NEXT | WRITE, 4), split(4, at, 16, INDIRECT, 0),
	       split_table(0, 1, 1, 0, 0)),
	      -EINVAL);
	SPLIT("indirect that was not negotiated",
	      (bad.ring.indirect = false, split(3, at, 16, INDIRECT, 0)), -EINVAL);
	SPLIT("a chain of empty descriptors is a request",
	      (split(3, 1, 0, NEXT, 4), split(4, 0, 0, WRITE, 0)), 1);
	SPLIT("a direct descriptor and a table are a request",
	      (split(3, 1, 1, NEXT, 4), split(4, at, 16, INDIRECT, 0)), 1);
	batch.max_seg = 2;
	SPLIT("more segments than there is room for",
	      (split(3, at, 64, INDIRECT, 0), split_table(0, 1, 1, NEXT, 1),
	       split_table(1, 1, 1, NEXT, 2), split_table(2, 1, 1, 0, 0)),
	      -ENOBUFS);
	SPLIT("more empty segments than there is room for",
	      (split(3, 1, 0, NEXT, 4), split(4, 1, 0, NEXT, 5), split(5, 1, 0, 0, 0)), -ENOBUFS);
	batch.max_seg = SEGS * 4;
}

/* ---- packed: 16 descriptors, the request at 7, the wrap counter 1 ---- */

#define AVAIL 0x80
#define USED  0x8000

static void packed(u32 slot, u64 addr, u32 len, u16 flags, u16 id)
{
	/* Available in this lap, or in the next one. */
	set_at(bad.part[RING_DESC] + 16 * (slot % 16), addr, len, id,
	       flags | (slot < 16 ? AVAIL : USED));
}

static void flags_of(u32 slot, u16 flags)
{
	put16(&bad, bad.part[RING_DESC] + 16 * slot + 14, flags);
}

static void packed_table(u32 slot, u64 addr, u32 len, u16 flags, u16 id)
{
	set_at(bad.tables + 16 * slot, addr, len, id, flags);
}

/* Descriptors 7 to 22 are a chain each of which says that there is more. */
static void endless(u32 len)
{
	u32 i;

	for (i = 7; i < 7 + 16; i++)
		packed(i, 1, len, NEXT, i);
}

/* All of them are requests, and fetched; none is returned. */
static void all_in_flight(void)
{
	u32 i;

	for (i = 7; i < 7 + 16; i++)
		packed(i, 1, 1, 0, i);
	fetched(16);
}

static void packed_rules(bool mapped)
{
	const struct setup s = { .num = 16, .packed = true, .indirect = true, .mapped = mapped };
	const u32 base = 0x80078007;
	const u64 at = TABLE_BASE;

#define PACKED(what, body, want) CASE(what, "packed", &s, base, (void)0, body, want)
	PACKED("a request", packed(7, 1, 1, 0, 7), 1);
	PACKED("used, not available: 0", flags_of(7, 0), 0);
	PACKED("used, not available: 1", flags_of(7, AVAIL | USED), 0);
	PACKED("available in the lap before", flags_of(7, USED), 0);
	PACKED("an available one behind one that is not", packed(8, 1, 1, 0, 8), 0);
	PACKED("endless chain", endless(1), -EINVAL);
	PACKED("endless chain of empty descriptors", endless(0), -EINVAL);
	PACKED("chain into what is in flight",
	       (packed(7, 1, 1, 0, 7), fetched(1), endless(1), packed(8, 1, 1, NEXT, 8)), -EINVAL);
	PACKED("more than the ring is in flight", (all_in_flight(), packed(7 + 16, 1, 1, 0, 7)),
	       -EINVAL);
	PACKED("readable after writable", (packed(7, 1, 1, NEXT | WRITE, 0), packed(8, 1, 1, 0, 0)),
	       -EINVAL);
	PACKED("indirect with next", packed(7, at, 16, INDIRECT | NEXT, 4), -EINVAL);
	PACKED("indirect of no descriptor", packed(7, at, 0, INDIRECT, 0), -EINVAL);
	PACKED("indirect of a broken length", packed(7, at, 24, INDIRECT, 0), -EINVAL);
	PACKED("indirect too long", packed(7, at, (RING_TABLE_MAX + 1) * 16, INDIRECT, 0), -EINVAL);
	PACKED("indirect of the largest length", packed(7, at, ~15u, INDIRECT, 0), -EINVAL);
	PACKED("indirect outside of memory", packed(7, 16, 16, INDIRECT, 0), -EFAULT);
	PACKED("indirect that wraps around", packed(7, ~0ull - 7, 16, INDIRECT, 0), -EINVAL);
	PACKED("indirect in indirect",
	       (packed(7, at, 32, INDIRECT, 0), packed_table(0, at, 16, INDIRECT, 0)), -EINVAL);
	PACKED("table with readable after writable",
	       (packed(7, at, 32, INDIRECT, 0), packed_table(0, 1, 1, NEXT | WRITE, 1)), -EINVAL);
	PACKED("indirect that was not negotiated",
	       (bad.ring.indirect = false, packed(7, at, 16, INDIRECT, 0)), -EINVAL);
	PACKED("a chain of empty descriptors is a request",
	       (packed(7, 1, 0, NEXT, 4), packed(8, 0, 0, WRITE, 0)), 1);
	PACKED("next in a table means nothing",
	       (packed(7, at, 32, INDIRECT, 0), packed_table(0, 1, 1, NEXT, 9),
		packed_table(1, 1, 1, NEXT, 9)),
	       1);
	batch.max_seg = 2;
	PACKED("more segments than there is room for", packed(7, at, 64, INDIRECT, 0), -ENOBUFS);
	PACKED("more empty segments than there is room for",
	       (packed(7, 1, 0, NEXT, 4), packed(8, 1, 0, NEXT, 5), packed(9, 1, 0, 0, 0)),
	       -ENOBUFS);
	batch.max_seg = SEGS * 4;
}

/* ---- both ---- */

/* Good ones before a bad one are delivered, then the error, and it stays. */
static void behind_good_ones(bool is_packed, bool mapped)
{
	const struct setup s = { .num = 16, .packed = is_packed, .mapped = mapped };
	int i;

	begin(setup_name("rules: a bad request behind good ones,", &s));
	driver_init(&bad, &s, is_packed ? 0x80078007 : 7);
	for (i = 0; i < 2; i++)
		CHECK(offer(&bad, 3, CHAIN));
	if (is_packed) {
		packed(13, 1, 1, NEXT | WRITE, 1);
		packed(14, 1, 1, 0, 1);
	} else {
		put16(&bad, bad.part[RING_DRIVER] + 4 + 2 * 9, 16);
		idx(10);
	}
	i = ring_fetch(&bad.ring, &batch, 16);
	CHECK(batch.err == -EINVAL && !batch.full);
	check_batch(&bad, i);
	CHECK(i == 2);
	CHECK(fetch() == -EINVAL);
	CHECK(fetch() == -EINVAL);
	driver_free(&bad);
	end();
}

/*
 * What was read is not read again: it is destroyed behind the reader's back. That
 * a packed descriptor is available, and what it is, are two looks.
 */
static void read_once(bool is_packed, enum shape shape)
{
	const struct setup s = {
		.num = 256, .packed = is_packed, .indirect = true, .in_order = true
	};
	u32 i, round;

	begin(setup_name(shape == TABLE ? "rules: a table is read once," :
					  "rules: a chain is read once,",
			 &s));
	for (round = 0; round < 200 && !failed_now; round++) {
		driver_init(&bad, &s, early_base(&s));
		for (i = 0; i < 5; i++)
			offer(&bad, 1 + rnd(30), shape);
		bad.scramble = true;
		check_batch(&bad, ring_fetch(&bad.ring, &batch, 5));
		CHECK(bad.fetched == 5);
		driver_free(&bad);
	}
	end();
}

/* A fetch of nothing is no reason to look. */
static void nothing(bool is_packed)
{
	const struct setup s = { .num = 4, .packed = is_packed };

	begin(setup_name("rules: fetch and push of nothing,", &s));
	driver_init(&bad, &s, early_base(&s));
	CHECK(ring_pending(&bad.ring) == 0 && ring_fetch(&bad.ring, &batch, 4) == 0);
	CHECK(offer(&bad, 1, CHAIN));
	CHECK(ring_fetch(&bad.ring, &batch, 0) == 0 && batch.nr_req == 0 && !batch.full);
	CHECK(ring_push(&bad.ring, NULL, 0) == 0);
	ring_unfetch(&bad.ring, &batch, 0);
	CHECK(ring_pending(&bad.ring) == 1);
	check_batch(&bad, ring_fetch(&bad.ring, &batch, 4));
	CHECK(bad.fetched == 1);
	driver_free(&bad);
	end();
}

/*
 * A driver takes back what was fetched and put back: that is not for it to do. A
 * fetch that ends there and a look for what comes next have to agree that there is
 * nothing, or their owner goes round and round. @left: how many it leaves in front.
 */
static void taken_back(bool mapped, u32 left)
{
	const struct setup s = { .num = 8, .packed = true, .event_idx = true, .mapped = mapped };
	u32 i, slot = 2 + left;
	char name[80];

	snprintf(name, sizeof(name), "rules: taken back behind %u,", left);
	begin(setup_name(name, &s));
	driver_init(&bad, &s, RING_PACKED_BASE);
	for (i = 0; i < 6; i++)
		CHECK(offer(&bad, 1, CHAIN));
	CHECK(ring_fetch(&bad.ring, &batch, 5) == 5);
	ring_unfetch(&bad.ring, &batch, 3);
	put16(&bad, bad.part[RING_DESC] + slot * sizeof(struct vring_packed_desc) + 14, 0);
	CHECK(ring_fetch(&bad.ring, &batch, 8) == (int)left);
	CHECK(ring_unsuppress(&bad.ring) == 0);
	ring_unfetch(&bad.ring, &batch, left);
	CHECK(ring_unsuppress(&bad.ring) == 0);
	CHECK(ring_fetch(&bad.ring, &batch, 8) == (int)left);
	driver_free(&bad);
	end();
}

/* As many segments as there is room for, no more, and the rest next time. */
static void full(bool is_packed, bool mapped, u32 segs, u32 each)
{
	const struct setup s = { .num = 32, .packed = is_packed, .mapped = mapped };
	u32 i, most = segs / each;
	char name[80];

	snprintf(name, sizeof(name), "rules: room for %u segments, %u each,", segs, each);
	begin(setup_name(name, &s));
	driver_init(&bad, &s, early_base(&s));
	batch.max_seg = segs;
	for (i = 0; i < 10; i++)
		CHECK(offer(&bad, each, CHAIN));
	while (bad.fetched < 10 && !failed_now) {
		u32 want = min(most, (u32)(10 - bad.fetched));

		i = ring_fetch(&bad.ring, &batch, 16);
		CHECK(i == want);
		check_batch(&bad, i);
		CHECK(batch.full == (bad.fetched < 10) && !batch.err);
	}
	batch.max_seg = SEGS * 4;
	driver_free(&bad);
	end();
}

/* Which sizes a ring may have. */
static void sizes(void)
{
	struct ring split_ring = { .packed = false }, packed_ring = { .packed = true };
	u32 num, bits;

	begin("rules: sizes");
	for (num = 0; num < 70000; num++) {
		for (bits = 0; num >> bits; bits++)
			;
		CHECK(ring_num_valid(&split_ring, num) ==
		      (bits && bits <= 16 && num == 1u << (bits - 1)));
		CHECK(ring_num_valid(&packed_ring, num) == (num >= 1 && num <= 32768));
	}
	CHECK(!ring_num_valid(&split_ring, 1u << 31) && !ring_num_valid(&packed_ring, ~0u));
	end();
}

/* What the parts of a ring are aligned to: 2.7 and 2.8 have a table each. */
static void alignments(void)
{
	struct ring split_ring = { .packed = false }, packed_ring = { .packed = true };

	begin("rules: alignments");
	CHECK(ring_part_align(&split_ring, RING_DESC) == 16);
	CHECK(ring_part_align(&split_ring, RING_DRIVER) == 2);
	CHECK(ring_part_align(&split_ring, RING_DEVICE) == 4);
	CHECK(ring_part_align(&packed_ring, RING_DESC) == 16);
	CHECK(ring_part_align(&packed_ring, RING_DRIVER) == 4);
	CHECK(ring_part_align(&packed_ring, RING_DEVICE) == 4);
	end();
}

void test_rules(void)
{
	int i;

	sizes();
	alignments();
	for (i = 0; i < 2; i++) {
		split_rules(i);
		packed_rules(i);
		behind_good_ones(false, i);
		behind_good_ones(true, i);
		read_once(i, CHAIN);
		read_once(i, TABLE);
		nothing(i);
		taken_back(i, 0);
		taken_back(i, 1);
		full(i, true, 1, 1);
		full(i, true, 4, 1);
		full(i, true, 7, 3);
		full(i, false, 4, 1);
		full(i, false, 7, 3);
	}
}
