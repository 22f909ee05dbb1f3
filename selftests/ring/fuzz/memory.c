// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.c - the driver's memory, and what a ring asks of its surroundings
 *
 * Each part is an allocation of its own, exactly as large as ring_part_size()
 * says, so that ASan sees an access to one byte more. Every access comes through
 * here, but for stores to a ring that is mapped: it is counted, and the memory may
 * change before it, as a hostile driver would have it; where the ring is not
 * mapped it is bounded and sometimes refused too. When nobody is hostile, the
 * memory is compared with what it was before a verb: what changed has to be the
 * device's to write, and logged.
 */
#include "fuzz.h"

#define SNAPSHOT_MAX 65536u
#define READ_MAX     65536u
#define LOGGED_MAX   512u

static u8 before[SNAPSHOT_MAX];
static bool snapshot;
static struct {
	enum ring_part part;
	u32 off, len;
} logged[LOGGED_MAX];
static u32 nr_logged;
/* Words of descriptors and of tables, in the order they were read, as they were. */
static u64 seen[READ_MAX];
static u32 nr_seen;
/* What was read last: the place for a driver to change that hopes to be read twice. */
static u8 *last_read;
static u32 last_len;

void memory_make(void)
{
	struct ring_batch *b = &world.batch;
	u32 i;

	for (i = 0; i < RING_PARTS; i++) {
		world.size[i] = ring_part_size(&world.ring, i, world.ring.num);
		world.part[i] = calloc(1, world.size[i]);
	}
	world.tables = calloc(1, TABLES_SIZE);
	b->req = calloc(b->max_req, sizeof(*b->req));
	b->seg = calloc(b->max_seg, sizeof(*b->seg));
}

void memory_free(void)
{
	u32 i;

	for (i = 0; i < RING_PARTS; i++)
		free(world.part[i]);
	free(world.tables);
	free(world.batch.req);
	free(world.batch.seg);
}

/* The ring's byte order; of a packed ring it is always little-endian. */
u32 get(const void *at, u32 size)
{
	const u8 *p = at;
	u32 val = 0, i;

	for (i = 0; i < size; i++)
		val |= (u32)p[i] << 8 * (world.ring.little_endian ? i : size - 1 - i);
	return val;
}

void put(void *at, u32 size, u32 val)
{
	u8 *p = at;
	u32 i;

	for (i = 0; i < size; i++)
		p[i] = val >> 8 * (world.ring.little_endian ? i : size - 1 - i);
}

static bool writable(enum ring_part part)
{
	return part == RING_DEVICE || (part == RING_DESC && world.ring.packed);
}

void verb_begin(void)
{
	u32 i, at = 0;

	world.accesses = 0;
	world.faults = 0;
	world.writes = 0;
	nr_logged = 0;
	nr_seen = 0;
	last_read = NULL;
	snapshot = !world.hostile && world.size[0] + world.size[1] + world.size[2] < SNAPSHOT_MAX;
	for (i = 0; snapshot && i < RING_PARTS; at += world.size[i++])
		memcpy(before + at, world.part[i], world.size[i]);
}

static bool was_logged(enum ring_part part, u32 off)
{
	u32 i;

	for (i = 0; i < nr_logged; i++)
		if (logged[i].part == part && off - logged[i].off < logged[i].len)
			return true;
	return false;
}

void verb_end(u32 most)
{
	u32 i, k, at = 0;

	CHECK(world.accesses <= most);
	CHECK(!world.ring.log || !world.writes || world.faults);
	for (i = 0; snapshot && i < RING_PARTS; at += world.size[i++]) {
		if (!memcmp(before + at, world.part[i], world.size[i]))
			continue;
		CHECK(writable(i));
		for (k = 0; world.ring.log && !world.faults && k < world.size[i]; k++)
			if (before[at + k] != world.part[i][k])
				CHECK(was_logged(i, k));
	}
}

/* What a hostile driver does just before an access; true: it fails, if it @may. */
static bool strike(bool may)
{
	u8 what;

	world.accesses++;
	if (!world.hostile)
		return false;
	what = take8();
	if (may && what >= 0xf8) {
		world.faults++;
		return true;
	}
	if (what >= 0xc0)
		driver_scribble();
	else if (what >= 0x80 && last_read)
		last_read[what % last_len] = take8();
	return false;
}

static void read_now(const u8 *at, u32 len)
{
	last_read = (u8 *)at;
	last_len = len;
}

static void bounded(struct ring *r, enum ring_part part, u32 off, u32 len)
{
	CHECK(r == &world.ring && part < RING_PARTS && len);
	CHECK(off < world.size[part] && len <= world.size[part] - off);
	/* Words are read and written whole. */
	if (len == 2 || len == 4)
		CHECK(off % len == 0);
}

static void saw(const void *words, u32 len)
{
	for (; len >= 8 && nr_seen < READ_MAX; len -= 8, words = (const u8 *)words + 8)
		memcpy(&seen[nr_seen++], words, 8);
}

/* Whether word @i is a descriptor's address: then the one read next to it has its length. */
static bool seen_desc(u32 i, bool next, u64 *addr, u32 *len)
{
	if (i >= nr_seen || (next ? i + 1 >= nr_seen : !i))
		return false;
	*addr = world.ring.little_endian ? le64toh(seen[i]) : be64toh(seen[i]);
	*len = get(&seen[next ? i + 1 : i - 1], 4);
	return true;
}

/* A load of a ring that is mapped. */
void memory_load(const volatile void *at, unsigned long size)
{
	const u8 *from = (const u8 *)at;
	u32 i;

	for (i = 0; i < RING_PARTS; i++)
		if (from >= world.part[i] && from < world.part[i] + world.size[i])
			break;
	/* Else it is not the ring's: ASan will tell. */
	if (i == RING_PARTS)
		return;
	CHECK(world.ring.map[i]);
	strike(false);
	read_now(from, size);
	if (i == RING_DESC && size == 8)
		saw(from, 8);
}

int ring_env_read(struct ring *r, enum ring_part part, u32 off, void *to, u32 len)
{
	bounded(r, part, off, len);
	CHECK(!r->map[part]);
	if (strike(true))
		return -EFAULT;
	read_now(world.part[part] + off, len);
	memcpy(to, world.part[part] + off, len);
	if (part == RING_DESC && len == sizeof(struct vring_desc))
		saw(to, len);
	return 0;
}

int ring_env_write(struct ring *r, enum ring_part part, u32 off, const void *from, u32 len)
{
	bounded(r, part, off, len);
	CHECK(!r->map[part] && writable(part));
	if (strike(true))
		return -EFAULT;
	memcpy(world.part[part] + off, from, len);
	world.writes++;
	return 0;
}

int ring_env_wrote(struct ring *r, enum ring_part part, u32 off, u32 len)
{
	bounded(r, part, off, len);
	CHECK(r->log && writable(part));
	if (nr_logged < LOGGED_MAX) {
		logged[nr_logged].part = part;
		logged[nr_logged].off = off;
		logged[nr_logged++].len = len;
	}
	if (!r->map[part]) {
		CHECK(world.writes);
		world.writes--;
	}
	return strike(true) ? -EFAULT : 0;
}

/* At ENDLESS_AT each entry leads to the next, for as long as a table may be. */
bool table_entry(u64 addr, struct vring_desc *to)
{
	if (addr >= TABLES_AT && addr - TABLES_AT <= TABLES_SIZE - sizeof(*to)) {
		memcpy(to, world.tables + (addr - TABLES_AT), sizeof(*to));
		return true;
	}
	if (addr < ENDLESS_AT || addr - ENDLESS_AT >= RING_TABLE_MAX * sizeof(*to))
		return false;
	memset(to, 0, sizeof(*to));
	put(&to->len, 4, 1);
	put(&to->flags, 2, VRING_DESC_F_NEXT);
	put(&to->next, 2, (addr - ENDLESS_AT) / sizeof(*to) + 1);
	return true;
}

/* Whether a descriptor that was read is a table that has all of this. */
static bool in_a_table(u64 from, u32 size)
{
	u64 addr;
	u32 len, i;

	for (i = 0; i < 2 * nr_seen; i++)
		if (seen_desc(i / 2, i % 2, &addr, &len) && from - addr < len &&
		    size <= len - (u32)(from - addr))
			return true;
	return nr_seen == READ_MAX;
}

int ring_env_table(struct ring *r, u64 addr, void *to, u32 len)
{
	struct vring_desc *d = to;
	u32 i;

	CHECK(r == &world.ring && len && len % sizeof(*d) == 0);
	CHECK(addr + len - 1 >= addr);
	CHECK(in_a_table(addr, len));
	if (strike(true))
		return -EFAULT;
	if (addr >= TABLES_AT && addr - TABLES_AT <= TABLES_SIZE - sizeof(*d))
		read_now(world.tables + (addr - TABLES_AT), sizeof(*d));
	for (i = 0; i < len / sizeof(*d); i++) {
		if (!table_entry(addr + i * sizeof(*d), &d[i])) {
			world.faults++;
			return -EFAULT;
		}
		saw(&d[i], sizeof(*d));
	}
	return 0;
}

void check_provenance(void)
{
	const struct ring_batch *b = &world.batch;
	u32 i, k, tries, len;
	u64 addr;

	if (nr_seen == READ_MAX)
		return;
	/* Entries of a split ring's table come in the order of their next. */
	for (i = k = 0; i < b->nr_seg; i++) {
		for (tries = 0; tries < 2 * nr_seen; tries++, k = (k + 1) % (2 * nr_seen))
			if (seen_desc(k / 2, k % 2, &addr, &len) && addr == b->seg[i].addr &&
			    len == b->seg[i].len)
				break;
		CHECK(tries < 2 * nr_seen);
	}
}
