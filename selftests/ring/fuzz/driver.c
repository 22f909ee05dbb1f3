// SPDX-License-Identifier: GPL-2.0-only
/*
 * driver.c - what a driver writes, right or wrong
 *
 * Random bytes make few requests: so there is a way to offer one that is well
 * formed but for what the input says, and others to write anything anywhere.
 */
#include "fuzz.h"

/* What is wrong with the request that is being offered. */
static enum {
	NOTHING,
	NO_END,		/* the last descriptor says that there is one more */
	BEYOND,		/* split: the one after it is the first that there is not */
	TABLE_IN_TABLE, /* an entry of a table is one */
	TABLE_AND_NEXT, /* a table is not the last */
	ODD_TABLE,	/* its length is not one of entries */
	LONG_TABLE,	/* it may have more entries than there is room for */
	TOP_TABLE,	/* it may go round the end of all addresses */
	WRONGS,
} wrong;

/* A packed ring's driver goes on where the device expects it. */
void driver_follow(void)
{
	world.place = world.ring.next_avail;
	world.wrap = world.ring.avail_wrap;
}

static void put64(void *at, u64 val)
{
	put(at, 4, world.ring.little_endian ? val : val >> 32);
	put((u8 *)at + 4, 4, world.ring.little_endian ? val >> 32 : val);
}

/* Piece @i of @nr, of which the first @out are read by the device. */
static u16 piece(struct vring_desc *d, u32 i, u32 nr, u32 out)
{
	put64(&d->addr, take8());
	put(&d->len, 4, take8());
	return (i < out ? 0 : VRING_DESC_F_WRITE) |
	       (i + 1 < nr || wrong == NO_END || wrong == BEYOND ? VRING_DESC_F_NEXT : 0);
}

/* Fills in an indirect table of @nr pieces; its address. */
static u64 offer_table(u32 nr, u32 out)
{
	struct vring_desc *table;
	u32 at = take8() % (TABLES_SIZE / 16 - nr), i;

	if (wrong == LONG_TABLE)
		return ENDLESS_AT;
	if (wrong == TOP_TABLE)
		return -(u64)(1 + at % 8) * sizeof(*table);
	table = (struct vring_desc *)world.tables + at;
	for (i = 0; i < nr; i++) {
		u16 flags = piece(&table[i], i, nr, out);

		if (wrong == TABLE_IN_TABLE && i + 1 == nr)
			flags |= VRING_DESC_F_INDIRECT;
		if (world.ring.packed) {
			put(&((struct vring_packed_desc *)&table[i])->flags, 2, flags);
		} else {
			put(&table[i].flags, 2, flags);
			put(&table[i].next, 2, i + 1);
		}
	}
	return TABLES_AT + at * sizeof(*table);
}

/* How many descriptors are the driver's to offer. */
static u32 room(void)
{
	const struct ring *r = &world.ring;
	u32 taken;

	if (!r->packed)
		taken = (u16)(get(world.part[RING_DRIVER] + 2, 2) - r->next_used);
	else
		taken = world.place - r->next_used + (world.wrap == r->used_wrap ? 0 : r->num);
	return taken < r->num ? r->num - taken : 0;
}

/* Writes one descriptor of either layout but its flags, and returns these. */
static u16 describe(struct vring_desc *d, u32 i, u32 nr, u32 out, u32 table)
{
	u64 addr;

	if (!table || i + 1 < nr)
		return piece(d, i, nr, out);
	addr = offer_table(table, out % (table + 1));
	put64(&d->addr, addr);
	/* Up to one entry more than a table may have. */
	put(&d->len, 4,
	    (addr == ENDLESS_AT ? 2 + take8() * 257u : table) * sizeof(*d) + (wrong == ODD_TABLE));
	return VRING_DESC_F_INDIRECT | (wrong == TABLE_AND_NEXT ? VRING_DESC_F_NEXT : 0);
}

static void offer_split(u32 nr, u32 out, u32 table)
{
	struct vring_desc *desc = (struct vring_desc *)world.part[RING_DESC];
	u8 *avail = world.part[RING_DRIVER];
	u32 num = world.ring.num, idx = get(avail + 2, 2), head = take8() % num, i;

	for (i = 0; i < nr; i++) {
		struct vring_desc *d = &desc[(head + i) % num];

		put(&d->flags, 2, describe(d, i, nr, out, table));
		put(&d->next, 2, wrong == BEYOND ? num : (head + i + 1) % num);
	}
	if (wrong == BEYOND && nr == 1)
		head = num;
	put(avail + 4 + 2 * (idx & (num - 1)), 2, head);
	put(avail + 2, 2, idx + 1);
}

static void offer_packed(u32 nr, u32 out, u32 table)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		u8 *at = world.part[RING_DESC] + world.place * sizeof(struct vring_packed_desc);
		struct vring_packed_desc *d = (struct vring_packed_desc *)at;
		u16 flags = describe((struct vring_desc *)at, i, nr, out, table);

		flags |= 1u << (world.wrap ? VRING_PACKED_DESC_F_AVAIL : VRING_PACKED_DESC_F_USED);
		put(&d->id, 2, take8() * 257u);
		put(&d->flags, 2, flags);
		if (++world.place >= world.ring.num) {
			world.place = 0;
			world.wrap = !world.wrap;
		}
	}
}

/* One request, if there is room for it; it keeps the rules but for one at most. */
void driver_offer(void)
{
	u8 what = take8();
	u32 nr = 1 + (what & 3), table = what & 0x40 ? 1 + (what >> 3 & 7) : 0;
	u32 out = take8() % (nr + 1);

	if (nr > room())
		return;
	wrong = what & 0x80 ? take8() % WRONGS : NOTHING;
	if (world.ring.packed)
		offer_packed(nr, out, table);
	else
		offer_split(nr, out, table);
}

/* When the driver wants to be signalled. */
void driver_event(void)
{
	u8 what = take8();
	u8 *driver = world.part[RING_DRIVER];

	if (world.ring.packed) {
		put(driver, 2, take16());
		put(driver + 2, 2, what);
	} else {
		put(driver, 2, what & 1);
		if (world.ring.event_idx)
			put(driver + world.size[RING_DRIVER] - 2, 2,
			    world.ring.next_used + (u32)(what >> 1) - 64);
	}
}

/* Any bytes anywhere: in the ring's parts or in the tables. */
void driver_scribble(void)
{
	u8 what = take8();
	u32 part = what & 3, len = 1 + (what >> 2 & 15), off = take16(), i;
	u8 *at = part < RING_PARTS ? world.part[part] : world.tables;
	u32 size = part < RING_PARTS ? world.size[part] : TABLES_SIZE;

	for (i = 0; i < len; i++)
		at[(off + i) % size] = take8();
}

/* A whole part of the ring alike. */
void driver_fill(void)
{
	u32 part = take8() % RING_PARTS;

	memset(world.part[part], take8(), world.size[part]);
}
