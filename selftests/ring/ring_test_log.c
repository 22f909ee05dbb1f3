// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_test_log.c - live migration: every byte that the device writes is logged
 *
 * Of a ring that is not mapped, ring_env_write() sees each write, and driver.c
 * compares: what is logged was written, in that order, and after each verb all
 * that was written is logged (ring_test_traffic.c runs so, too). Of a ring that
 * is plain memory, what changed is found by comparing it with a copy.
 */
#include "driver.h"

static struct driver d;
static u8 *before[RING_PARTS];

static void remember(void)
{
	u32 i;

	for (i = 0; i < RING_PARTS; i++) {
		u32 size = ring_part_size(&d.ring, i, d.s.num);

		memcpy(before[i], d.part[i], size);
		memset(d.logged[i], 0, size);
	}
}

/* What changed is logged; no more than @most bytes are. */
static void compare(u32 most)
{
	u32 i, j, size, logged = 0;

	CHECK(d.nr_unlogged == 0);
	for (i = 0; i < RING_PARTS; i++) {
		size = ring_part_size(&d.ring, i, d.s.num);
		for (j = 0; j < size; j++) {
			logged += d.logged[i][j];
			if (before[i][j] != d.part[i][j] && d.s.mapped)
				CHECK(d.logged[i][j]);
			if (before[i][j] != d.part[i][j])
				CHECK(i == RING_DEVICE || (i == RING_DESC && d.s.packed));
		}
	}
	CHECK(logged <= most);
	remember();
}

static void logged(const struct setup *s)
{
	struct ring_done done[16];
	struct result res[16];
	u32 i, n, round, base = early_base(s);

	begin(setup_name("log:", s));
	driver_init(&d, s, base);
	for (i = 0; i < RING_PARTS; i++)
		before[i] = malloc(ring_part_size(&d.ring, i, s->num));
	/* The start writes, too. */
	d.ring.log = true;
	memset(d.part[RING_DEVICE] + (s->packed ? 2 : 0), 1, 2);
	remember();
	ring_set_base(&d.ring, base);
	CHECK(ring_start(&d.ring) == 0);
	compare(4);

	for (round = 0; round < 300 && !failed_now; round++) {
		while (rnd(4) && offer(&d, 1 + rnd(3), any_shape(s)))
			;
		set_wish(&d, rnd(2) ? ALWAYS : NEVER, 0);
		remember();
		n = ring_fetch(&d.ring, &batch, 16);
		check_batch(&d, n);
		CHECK(ring_need_signal(&d.ring) >= 0 && ring_pending(&d.ring) >= 0);
		compare(0);
		if (failed_now)
			break;
		for (i = 0; i < n; i++) {
			done[i].id = batch.req[i].id;
			done[i].slots = batch.req[i].slots;
			done[i].len = rnd(2) ? rnd(~0u) : 0;
			done[i].whole = rnd(2);
		}
		CHECK(ring_push(&d.ring, done, n) == 0);
		/* An entry is 8 bytes in both layouts; the index 2. */
		compare(8 * n + 2);
		CHECK(reap(&d, res, 16) == n);
		remember();
		CHECK(ring_suppress(&d.ring) == 0);
		compare(2);
		CHECK(ring_unsuppress(&d.ring) == 0);
		compare(4);
	}
	for (i = 0; i < RING_PARTS; i++)
		free(before[i]);
	driver_free(&d);
	end();
}

void test_log(void)
{
	u32 mask;

	for (mask = 0; mask < 32; mask++) {
		struct setup s = {
			.packed = mask & 1,
			.mapped = mask & 2,
			.event_idx = mask & 4,
			.in_order = mask & 8,
			.indirect = mask & 16,
		};

		s.num = s.packed ? 11 : 16;
		logged(&s);
	}
}
