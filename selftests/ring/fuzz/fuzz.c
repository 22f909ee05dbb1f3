// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz.c - the ring files of vhost/ under libFuzzer
 *
 * An input sets a ring up (layout, size, features, place, mapped or not) and is
 * then a program: each step is a verb of ring.h or something that the driver
 * writes. With a hostile driver the memory also changes while a verb runs, and
 * accesses fail (memory.c).
 *
 * Seen to hold after each step:
 * - nothing is accessed beyond the ring, or the batch (ASan, and bounds here);
 * - a verb asks its surroundings no more often than its bound;
 * - what is fetched is what the driver offered: request by request what a second
 *   implementation finds (reference.c), or, while memory changes, descriptors
 *   that were read (memory.c);
 * - no more is in flight than the ring has room for, and the ring knows how much;
 * - what was put back, and a ring started at its base, are where they were;
 * - every write is to what is the device's to write, and logged.
 */
#include "fuzz.h"

#define STEPS 512u

struct world world;

static const u8 *input, *input_end;

/* What was fetched and not returned, oldest first. */
static struct ring_done flight[RING_NUM_MAX];
static u32 nr_flight;
static u32 last_batch; /* how many of them are the batch's, at the end */
static u32 orphans;    /* packed: slots that were in flight before a start */
static u32 fetched_at; /* ring_base() before the batch was fetched */

bool input_left(void)
{
	return input < input_end;
}

u8 take8(void)
{
	return input_left() ? *input++ : 0;
}

u16 take16(void)
{
	u16 low = take8();

	return low | take8() << 8;
}

u32 take32(void)
{
	u32 low = take16();

	return low | (u32)take16() << 16;
}

static u32 slots_in_flight(void)
{
	u32 i, slots = orphans;

	for (i = 0; i < nr_flight; i++)
		slots += flight[i].slots;
	return slots;
}

/* A verb whose return value is yes or no. */
static void check_answer(int got)
{
	CHECK(got >= 0 ? got <= 1 : got == -EINVAL || (got == -EFAULT && world.faults));
}

/* ---- start and restart ---- */

static u32 first_base(void)
{
	return world.ring.packed ? 0x80008000u : 0;
}

/* Whether a packed ring can be there: returning is at most a lap behind. */
static bool is_place(u32 base, u32 num)
{
	u32 avail = base & 0x7fff, used = base >> 16 & 0x7fff;
	bool same_lap = (base >> 15 & 1) == base >> 31;

	return avail < num && used < num && (same_lap ? used <= avail : avail <= used);
}

static int start(u32 base)
{
	struct ring *r = &world.ring;
	int err;

	ring_set_base(r, base);
	verb_begin();
	err = ring_start(r);
	verb_end(8);
	nr_flight = 0;
	last_batch = 0;
	if (err)
		return err;
	CHECK(ring_base(r) == (r->packed ? base : (u16)base));
	orphans = 0;
	if (r->packed) {
		u32 avail = base & 0x7fff, used = base >> 16 & 0x7fff;

		orphans = (base >> 15 & 1) == base >> 31 ? avail - used : r->num + avail - used;
	}
	driver_follow();
	return 0;
}

static void restart(u32 base)
{
	bool hostile = world.hostile;
	int err = start(base);

	if (world.ring.packed && !is_place(base, world.ring.num))
		CHECK(err == -EINVAL);
	else
		CHECK(!err || (err == -EFAULT && world.faults));
	if (!err)
		return;
	world.hostile = false;
	CHECK(!start(first_base()));
	world.hostile = hostile;
}

/* ---- requests ---- */

static void check_request(const struct ring_req *req, u32 first_seg)
{
	const struct ring *r = &world.ring;

	CHECK(req->seg == first_seg);
	CHECK(req->out || req->in);
	CHECK(req->seg + req->out + req->in <= world.batch.nr_seg);
	if (r->packed)
		CHECK(req->slots && req->slots <= r->num);
	else
		CHECK(req->slots == 1 && req->id < r->num);
}

static void fetch(u32 max)
{
	struct ring_batch *b = &world.batch;
	struct ring *r = &world.ring;
	u32 seg = 0, i;
	int got;

	if (!world.hostile)
		reference_fetch(max);
	fetched_at = ring_base(r);
	verb_begin();
	got = ring_fetch(r, b, max);
	verb_end(8 + 4 * (r->num + b->max_seg));

	CHECK(b->nr_req <= max && b->nr_req <= b->max_req && b->nr_seg <= b->max_seg);
	CHECK(got == -EFAULT ? world.faults : got >= 0 || got == -EINVAL || got == -ENOBUFS);
	CHECK(b->nr_req == (got < 0 ? 0 : (u32)got));
	if (got < 0)
		CHECK(ring_base(r) == fetched_at && !b->nr_seg);
	for (i = 0; i < b->nr_req; i++) {
		const struct ring_req *req = &b->req[i];

		check_request(req, seg);
		seg += req->out + req->in;
		CHECK(nr_flight < r->num);
		flight[nr_flight++] = (struct ring_done){ .id = req->id, .slots = req->slots };
	}
	CHECK(seg == b->nr_seg);
	last_batch = b->nr_req;
	if (world.hostile)
		check_provenance();
	else
		reference_compare(got);
}

static void unfetch(u32 n)
{
	n = min(n, last_batch);
	ring_unfetch(&world.ring, &world.batch, n);
	if (n && n == last_batch && !world.batch.nr_req)
		CHECK((u16)ring_base(&world.ring) == (u16)fetched_at);
	last_batch -= n;
	nr_flight -= n;
}

/* Takes a request out of flight, the first one when they are in order. */
static struct ring_done land(void)
{
	u32 at = world.ring.in_order ? 0 : take8() % nr_flight;
	struct ring_done done = flight[at];

	nr_flight--;
	memmove(&flight[at], &flight[at + 1], (nr_flight - at) * sizeof(*flight));
	/* What is behind those of older batches cannot be put back any more. */
	if (at + last_batch > nr_flight)
		last_batch = 0;
	return done;
}

static void push(u32 n)
{
	struct ring_done *done;
	u16 was = world.ring.next_used;
	u32 i;
	int err;

	n = min(n, nr_flight);
	done = malloc(n * sizeof(*done));
	for (i = 0; i < n; i++) {
		u8 what = take8();

		done[i] = land();
		done[i].len = what & 2 ? take32() : 0;
		done[i].whole = what & 1;
	}
	verb_begin();
	err = ring_push(&world.ring, done, n);
	verb_end(8 + 4 * n);
	free(done);
	CHECK(!err || (err == -EFAULT && world.faults));
	if (err) /* the owner stops such a queue */
		restart(ring_base(&world.ring));
	else if (!world.ring.packed)
		CHECK((u16)(world.ring.next_used - was) == n);
	if (!err && !world.hostile && !world.ring.packed)
		CHECK(get(world.part[RING_DEVICE] + 2, 2) == world.ring.next_used);
}

/* ---- the input ---- */

static void verb(u8 which)
{
	int got;

	verb_begin();
	switch (which) {
	case 0:
		got = ring_suppress(&world.ring);
		break;
	case 1:
		got = ring_unsuppress(&world.ring);
		break;
	case 2:
		got = ring_pending(&world.ring);
		break;
	default:
		got = ring_need_signal(&world.ring);
	}
	verb_end(8);
	check_answer(got);
}

static void step(void)
{
	u8 what = take8();

	switch (what & 15) {
	case 0:
	case 1:
	case 2:
		driver_offer();
		break;
	case 3:
	case 4:
		fetch(what >> 4 ? what >> 4 : take8());
		break;
	case 5:
	case 6:
		push(1 + (what >> 4));
		break;
	case 7:
		unfetch(1 + (what >> 4));
		break;
	case 8:
	case 9:
	case 10:
	case 11:
		verb((what & 15) - 8);
		break;
	case 12:
		driver_event();
		break;
	case 13:
		driver_scribble();
		break;
	case 14:
		if (!(what >> 4))
			driver_fill();
		else
			driver_follow();
		break;
	case 15:
		restart(what & 0x10 ? take32() : ring_base(&world.ring));
		break;
	}
	CHECK(world.ring.in_flight == slots_in_flight());
	CHECK(world.ring.in_flight <= world.ring.num);
}

static u32 ring_num(u8 what, bool packed)
{
	static const u32 large[] = { 100, 255, 256, 1000, 1024, 32767, 32768, 4096 };
	/* Small ones wrap around soon. */
	u32 num = what < 128 ? 1 + (what & 7) : what < 248 ? 1 + (what & 63) : large[what - 248];

	while (!ring_num_valid(&world.ring, num))
		num &= num - 1;
	CHECK(num && (packed || !(num & (num - 1))));
	return num;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u32 max_seg[] = { 1, 2, 3, 4, 8, 16, 64, MAX_SEG };
	struct ring *r = &world.ring;
	u32 i;
	u8 what;

	input = data;
	input_end = data + size;
	memset(&world, 0, sizeof(world));

	what = take8();
	r->packed = what & 1;
	r->indirect = what & 2;
	r->event_idx = what & 4;
	r->in_order = what & 8;
	r->log = what & 0x10;
	world.hostile = what & 0x20;
	r->little_endian = r->packed || what & 0x40;
	r->notify_on_empty = !r->packed && what & 0x80;
	r->num = ring_num(take8(), r->packed);
	what = take8();
	world.batch.max_req = 1 + (what & 31);
	world.batch.max_seg = max_seg[what >> 5];
	what = take8();
	memory_make();
	for (i = 0; i < RING_PARTS; i++)
		r->map[i] = what & 1 ? world.part[i] : NULL;
	/* Of a split ring's start the driver's and the device's index are part. */
	if (what & 2) {
		u32 base = take32();

		if (!r->packed) {
			put(world.part[RING_DRIVER] + 2, 2, base);
			put(world.part[RING_DEVICE] + 2, 2, base);
		}
		restart(base);
	} else {
		restart(first_base());
	}
	for (i = 0; i < STEPS && input_left(); i++)
		step();
	memory_free();
	return 0;
}
