// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_test.c - the ring files of vhost/, compiled in userspace, against a model
 *
 * The model (driver.c) owns a small memory, offers random
 * requests, checks everything that the device side makes of them, and in the
 * second half breaks each rule that a driver must keep and sees that it is
 * noticed. Everything runs twice: with the ring as plain memory and through
 * ring_env_read() and ring_env_write(), which are also made to fail at each
 * possible place.
 *
 * Run under ASan and UBSan. The seed of each run is fixed.
 */
#include "driver.h"

/* ---- what must work ---- */

static void traffic(u32 num, bool indirect, bool event_idx, bool mapped)
{
	bool asked = false; /* whether ring_need_signal() was ever */
	u16 asked_at = 0;   /* the used index when it was */
	struct driver d;
	char name[80];
	u32 round;

	snprintf(name, sizeof(name), "traffic num=%u%s%s %s", num, indirect ? " indirect" : "",
		 event_idx ? " event_idx" : "", mapped ? "mapped" : "user");
	begin(name);
	/* The base is such that all indices wrap around soon. */
	driver_init(&d, num, indirect, event_idx, mapped, 65536 - 3 * 17);
	d.ring.log = true;

	for (round = 0; d.fetched < 70000 && !failed_now; round++) {
		struct ring_done done[REQS];
		u16 from = d.ring.next_avail;
		u32 want = 1 + rnd(REQS), back;
		u16 used_before = d.ring.next_used;
		int n, i, need;

		while (rnd(4)) {
			u32 nr = 1 + rnd(min(num, 8u));

			if (!offer(&d, nr, indirect && rnd(2)))
				break;
		}
		n = ring_fetch(&d.ring, &batch, want);
		CHECK(n >= 0 && (u32)n <= want);
		if (failed_now)
			break;
		CHECK(n || d.avail_idx == from);
		CHECK((u16)(d.avail_idx - from) >= n);
		check_batch(&d, from, n);

		/* Some go back, and come again as they were. */
		back = n ? rnd(n + 1) : 0;
		if (back && !rnd(3)) {
			u16 again = from + n - back;

			ring_unfetch(&d.ring, back);
			CHECK(ring_pending(&d.ring) == 1);
			n = ring_fetch(&d.ring, &batch, back);
			CHECK((u32)n == back);
			check_batch(&d, again, n);
			ring_unfetch(&d.ring, back);
			n = ring_fetch(&d.ring, &batch, back);
			/* The first of them were fetched and not returned. */
			for (i = 0; again != from; from++, i++)
				done[i].id = d.order[from];
			back = i;
		} else {
			back = 0;
		}
		for (i = 0; i < n; i++)
			done[back + i].id = batch.req[i].id;
		n += back;
		for (i = 0; i < n; i++)
			done[i].len = rnd(~0u);

		/* The driver's wish, then what the ring makes of it. */
		d.avail[0] = rnd(2) ? VRING_AVAIL_F_NO_INTERRUPT : 0;
		if (event_idx)
			d.avail[2 + num] = used_before + rnd(num);
		d.wrote = 0;
		CHECK(ring_push(&d.ring, done, n) == 0);
		CHECK(d.wrote >= (u32)n);
		reap(&d, done, n);
		d.fetched += n;
		need = ring_need_signal(&d.ring);
		if (event_idx) {
			/* Whether used_event was passed since the last time. */
			u16 event = d.avail[2 + num];
			bool passed = (u16)(d.used[1] - event - 1) < (u16)(d.used[1] - asked_at);

			CHECK(need == (!asked || passed));
			asked = true;
			asked_at = d.used[1];
		} else {
			CHECK(need == !(d.avail[0] & VRING_AVAIL_F_NO_INTERRUPT));
		}

		/* Kicks off and on. */
		CHECK(ring_suppress(&d.ring) == 0);
		if (!event_idx)
			CHECK(d.used[0] & VRING_USED_F_NO_NOTIFY);
		from = d.ring.avail_idx;
		i = rnd(2) && offer(&d, 1, false);
		CHECK(ring_unsuppress(&d.ring) == (d.avail_idx != from));
		if (event_idx)
			CHECK(*(u16 *)((u8 *)d.used + 4 + 8 * num) == from);
		else
			CHECK(!(d.used[0] & VRING_USED_F_NO_NOTIFY));
	}
	CHECK(d.fetched >= 70000); /* more than 65,536: wrapped */
	driver_free(&d);
	end();
}

/* ---- what a driver must not do ---- */

static struct driver bad;

static int bad_fetch(void)
{
	struct ring before = bad.ring;
	int n;

	bad.avail[1] = ++bad.avail_idx;
	n = ring_fetch(&bad.ring, &batch, 16);
	if (n < 0) /* nothing moved */
		CHECK(bad.ring.next_avail == before.next_avail && batch.nr_req == 0);
	return n;
}

static void set(u32 slot, u64 addr, u32 len, u16 flags, u16 next)
{
	bad.desc[slot] = (struct vring_desc){ addr, len, flags, next };
}

static void set_table(u32 slot, u64 addr, u32 len, u16 flags, u16 next)
{
	((struct vring_desc *)bad.tables)[slot] = (struct vring_desc){ addr, len, flags, next };
}

#define BAD(name, body, want)                                  \
	do {                                                   \
		int n_;                                        \
		begin("bad " name);                            \
		driver_init(&bad, 16, true, false, mapped, 7); \
		bad.avail[2 + 7] = 3;                          \
		body;                                          \
		n_ = bad_fetch();                              \
		CHECK(n_ == (want));                           \
		driver_free(&bad);                             \
		end();                                         \
	} while (0)

static void rules(bool mapped)
{
	const u16 next = VRING_DESC_F_NEXT, write = VRING_DESC_F_WRITE,
		  table = VRING_DESC_F_INDIRECT;
	u32 i;

	BAD("head out of range", bad.avail[2 + 7] = 16, -EINVAL);
	BAD("head far out of range", bad.avail[2 + 7] = 65535, -EINVAL);
	BAD("next out of range", set(3, 1, 1, next, 16), -EINVAL);
	BAD("chain that ends in itself", set(3, 1, 1, next, 3), -EINVAL);
	BAD("chain with a loop",
	    (set(3, 1, 1, next, 4), set(4, 1, 1, next, 5), set(5, 1, 1, next, 4)), -EINVAL);
	BAD("loop of empty descriptors", set(3, 1, 0, next, 3), -EINVAL);
	BAD("avail index too far", bad.avail_idx += 16, -EINVAL);
	BAD("avail index behind", bad.avail_idx -= 2, -EINVAL);
	BAD("readable after writable", (set(3, 1, 1, next | write, 4), set(4, 1, 1, 0, 0)),
	    -EINVAL);
	BAD("indirect with next", set(3, 0x100000, 16, table | next, 4), -EINVAL);
	BAD("indirect of no descriptor", set(3, 0x100000, 0, table, 0), -EINVAL);
	BAD("indirect of a broken length", set(3, 0x100000, 24, table, 0), -EINVAL);
	BAD("indirect that is too long", set(3, 0x100000, (RING_TABLE_MAX + 1) * 16, table, 0),
	    -EINVAL);
	BAD("indirect of the largest length", set(3, 0x100000, ~15u, table, 0), -EINVAL);
	BAD("indirect outside of memory", set(3, 16, 16, table, 0), -EFAULT);
	BAD("indirect that wraps around", set(3, ~0ull - 7, 16, table, 0), -EINVAL);
	BAD("indirect in indirect",
	    (set(3, 0x100000, 32, table, 0), set_table(0, 0x100000, 16, table, 0)), -EINVAL);
	BAD("table with a loop",
	    (set(3, 0x100000, 64, table, 0), set_table(0, 1, 1, next, 1),
	     set_table(1, 1, 1, next, 0)),
	    -EINVAL);
	BAD("table with next out of range",
	    (set(3, 0x100000, 32, table, 0), set_table(0, 1, 1, next, 2)), -EINVAL);
	BAD("table with readable after writable",
	    (set(3, 0x100000, 32, table, 0), set_table(0, 1, 1, next | write, 1),
	     set_table(1, 1, 1, 0, 0)),
	    -EINVAL);
	BAD("indirect that was not negotiated",
	    (bad.ring.indirect = false, set(3, 0x100000, 16, table, 0)), -EINVAL);
	BAD("more segments than there is room for",
	    (batch.max_seg = 2, set(3, 0x100000, 64, table, 0), set_table(0, 1, 1, next, 1),
	     set_table(1, 1, 1, next, 2), set_table(2, 1, 1, 0, 0)),
	    -ENOBUFS);
	BAD("more empty segments than there is room for",
	    (set(3, 1, 0, next, 4), set(4, 1, 0, next, 5), set(5, 1, 0, 0, 0)), -ENOBUFS);
	batch.max_seg = SEGS * 4;
	BAD("a chain of empty descriptors is a request",
	    (set(3, 1, 0, next, 4), set(4, 0, 0, write, 0)), 1);

	/* Good ones before a bad one are delivered, then the error. */
	begin("bad request behind good ones");
	driver_init(&bad, 16, true, false, mapped, 7);
	for (i = 0; i < 3; i++) {
		bad.avail[2 + 7 + i] = i < 2 ? i : 16;
		set(i, 1, 1, 0, 0);
	}
	bad.avail[1] = 10;
	CHECK(ring_fetch(&bad.ring, &batch, 16) == 2);
	CHECK(ring_fetch(&bad.ring, &batch, 16) == -EINVAL);
	CHECK(ring_fetch(&bad.ring, &batch, 16) == -EINVAL);
	driver_free(&bad);
	end();
}

/* Each access that can fail does so once; the error comes out. */
static void faults(void)
{
	int verb, at;

	begin("faults of the ring's memory");
	for (verb = 0; verb < 6; verb++) {
		for (at = 1;; at++) {
			struct ring_done done = { .id = 0, .len = 1 };
			int err = 0;

			driver_init(&bad, 16, true, verb & 1, false, 0);
			bad.ring.log = true;
			offer(&bad, 3, true);
			bad.fail_in = at;
			switch (verb) {
			case 0:
			case 1:
				err = ring_fetch(&bad.ring, &batch, 1);
				break;
			case 2:
				err = ring_push(&bad.ring, &done, 1);
				break;
			case 3:
				err = ring_need_signal(&bad.ring);
				break;
			case 4:
				err = ring_suppress(&bad.ring);
				if (!err)
					err = ring_unsuppress(&bad.ring);
				break;
			case 5:
				err = ring_start(&bad.ring);
				break;
			}
			CHECK(bad.fail_in || err == -EFAULT);
			CHECK(!bad.fail_in || err >= 0);
			err = bad.fail_in;
			driver_free(&bad);
			if (err || failed_now)
				break;
		}
		CHECK(at > 1);
	}
	end();
}

/* A driver that writes anything anywhere: no crash, all within bounds. */
static void noise(bool mapped)
{
	u32 round, i;

	begin(mapped ? "noise mapped" : "noise user");
	for (round = 0; round < 20000 && !failed_now; round++) {
		u32 num = 1u << rnd(6);
		struct ring_done done[REQS];
		int n;

		driver_init(&bad, num, rnd(2), rnd(2), mapped, rnd(65536));
		for (i = 0; i < num; i++) {
			set(i, rnd(2) ? 0x100000 + rnd(num * TABLES) : rnd(~0u),
			    rnd(3) ? 16 * rnd(100) : rnd(~0u), rnd(8), rnd(num + num / 8 + 1));
			bad.avail[2 + i] = rnd(num + num / 8 + 1);
		}
		for (i = 0; i < num * TABLES / 16; i++)
			set_table(i, rnd(~0u), rnd(4), rnd(4), rnd(100));
		bad.avail[1] = bad.ring.next_avail + rnd(num + 2);
		n = ring_fetch(&bad.ring, &batch, 1 + rnd(REQS));
		CHECK(n <= (int)min(num, (u32)REQS));
		for (i = 0; n > 0 && i < (u32)n; i++) {
			CHECK(batch.req[i].id < num);
			CHECK(batch.req[i].seg + batch.req[i].out + batch.req[i].in <=
			      batch.nr_seg);
			done[i].id = batch.req[i].id;
			done[i].len = 0;
		}
		if (n > 0)
			CHECK(ring_push(&bad.ring, done, n) == 0);
		CHECK(ring_need_signal(&bad.ring) >= 0);
		driver_free(&bad);
	}
	end();
}

int main(void)
{
	static const u32 sizes[] = { 1, 2, 4, 16, 256, 1024 };
	u32 i, mask;

	printf("TAP version 13\n");
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (mask = 0; mask < 8; mask++)
			traffic(sizes[i], mask & 1, mask & 2, mask & 4);
	rules(true);
	rules(false);
	faults();
	noise(true);
	noise(false);
	printf("1..%d\n", cases);
	printf("%d passed, %d failed, 0 skipped\n", cases - failures, failures);
	return failures ? 1 : 0;
}
