// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_test_order.c - used entries, to the byte: which there are, and where
 *
 * What is in memory after a push is compared with what VIRTIO 1.2 prescribes:
 * an entry for each request, or with VIRTIO_F_IN_ORDER one for a batch, at the
 * place of its first, with the id of its last (2.7.9, 2.8.8), and nothing written
 * anywhere else.
 */
#include "driver.h"

#define MOST 6 /* requests of a push */

static struct driver d;
static u8 want[64 * 16];

/* The bytes of the part that used entries are in. */
static u32 used_size(void)
{
	return ring_part_size(&d.ring, d.s.packed ? RING_DESC : RING_DEVICE, d.s.num);
}

static u8 *used_part(void)
{
	return d.part[d.s.packed ? RING_DESC : RING_DEVICE];
}

/* What the entry at count @at is to be; an address is left alone. */
static void want_entry(u64 at, const struct ring_done *done)
{
	u32 place = at % d.s.num;
	bool odd = at / d.s.num % 2;

	if (d.s.packed) {
		put32(&d, want + 16 * place + 8, done->len);
		put16(&d, want + 16 * place + 12, done->id);
		put16(&d, want + 16 * place + 14, (odd ? 0 : 0x8080) | (done->len ? 2 : 0));
	} else {
		put32(&d, want + 4 + 8 * place, done->id);
		put32(&d, want + 4 + 8 * place + 4, done->len);
	}
}

/*
 * A push of @n requests of which those in the bits of @whole were served whole,
 * in a ring that is at any place, and the driver's view of it.
 */
static void one_push(u32 n, u32 whole)
{
	struct ring_done done[MOST];
	struct result res[MOST];
	u64 at = d.tail, begins = d.tail;
	u32 i;

	for (i = 0; i < n; i++)
		CHECK(offer(&d, 1 + rnd(d.s.num / MOST), CHAIN));
	check_batch(&d, ring_fetch(&d.ring, &batch, n));
	memcpy(want, used_part(), used_size());
	if (failed_now)
		return;
	for (i = 0; i < n; i++) {
		done[i].id = batch.req[i].id;
		done[i].slots = batch.req[i].slots;
		done[i].len = rnd(3) ? rnd(~0u) : 0;
		done[i].whole = whole >> i & 1;
		at += done[i].slots;
		if (!d.s.in_order || !done[i].whole || i + 1 == n) {
			want_entry(begins, &done[i]);
			begins = at;
		}
	}
	if (!d.s.packed)
		put16(&d, want + 2, at);
	CHECK(ring_push(&d.ring, done, n) == 0);
	CHECK(memcmp(used_part(), want, used_size()) == 0);
	CHECK(reap(&d, res, MOST) == n && d.tail == at);
	for (i = 0; i < n && !failed_now; i++) {
		CHECK(res[i].id == done[i].id);
		CHECK(res[i].named ? res[i].len == done[i].len : done[i].whole);
	}
}

static void pushes(const struct setup *s)
{
	u32 round, n, whole;

	begin(setup_name("order: used entries,", s));
	driver_init(&d, s, early_base(s));
	for (round = 0; round < s->num; round++)
		for (n = 1; n <= MOST; n++)
			for (whole = 0; whole < 1u << n; whole++)
				one_push(n, whole);
	driver_free(&d);
	end();
}

/* The figure of the specification's text: a batch of the whole ring, one entry. */
static void one_entry_for_all(const struct setup *s)
{
	struct ring_done done[64];
	struct result res[64];
	u32 i, changed = 0;

	begin(setup_name("order: one entry for a full ring,", s));
	driver_init(&d, s, early_base(s));
	for (i = 0; i < s->num; i++)
		CHECK(offer(&d, 1, CHAIN));
	check_batch(&d, ring_fetch(&d.ring, &batch, s->num));
	memcpy(want, used_part(), used_size());
	for (i = 0; i < s->num; i++)
		done[i] = (struct ring_done){ batch.req[i].id, batch.req[i].slots, ~0u, true };
	CHECK(ring_push(&d.ring, done, s->num) == 0);
	/* How many units of a descriptor, or of a used entry, are not as before. */
	for (i = s->packed ? 0 : 4; i + 8 <= used_size(); i += s->packed ? 16 : 8)
		changed += !!memcmp(used_part() + i, want + i, s->packed ? 16 : 8);
	CHECK(changed == 1);
	CHECK(reap(&d, res, 64) == s->num);
	for (i = 0; i < s->num; i++)
		CHECK(res[i].id == done[i].id && res[i].named == (i + 1 == s->num));
	CHECK(res[s->num - 1].len == ~0u);
	CHECK(offer(&d, 1, CHAIN)); /* all are the driver's again */
	driver_free(&d);
	end();
}

void test_order(void)
{
	u32 mask;

	for (mask = 0; mask < 8; mask++) {
		struct setup s = {
			.packed = mask & 1,
			.in_order = mask & 2,
			.mapped = mask & 4,
		};

		s.num = s.packed ? 13 : 16;
		pushes(&s);
		s.num = s.packed ? 37 : 64;
		pushes(&s);
		if (s.in_order)
			one_entry_for_all(&s);
	}
}
