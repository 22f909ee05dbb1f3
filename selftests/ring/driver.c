// SPDX-License-Identifier: GPL-2.0-only
/*
 * driver.c - what both layouts of the model driver share, and what a ring asks
 * of its surroundings
 */
#include "driver.h"

/* ---- KTAP ---- */

int cases, failures;
const char *current;
bool failed_now;

void begin(const char *name)
{
	static char copy[160];

	snprintf(copy, sizeof(copy), "%s", name);
	current = copy;
	failed_now = false;
}

void end(void)
{
	cases++;
	failures += failed_now;
	printf("%sok %d %s\n", failed_now ? "not " : "", cases, current);
}

static u64 rng = 88172645463325252ull;

u32 rnd(u32 below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (u32)(rng >> 32) % below;
}

/* ---- words of the ring ---- */

u16 get16(struct driver *d, const u8 *from)
{
	return d->s.big ? from[0] << 8 | from[1] : from[1] << 8 | from[0];
}

u32 get32(struct driver *d, const u8 *from)
{
	u32 first = get16(d, from), second = get16(d, from + 2);

	return d->s.big ? first << 16 | second : second << 16 | first;
}

void put16(struct driver *d, u8 *to, u16 v)
{
	to[d->s.big] = v;
	to[!d->s.big] = v >> 8;
}

void put32(struct driver *d, u8 *to, u32 v)
{
	put16(d, to + (d->s.big ? 2 : 0), v);
	put16(d, to + (d->s.big ? 0 : 2), v >> 16);
}

void put64(struct driver *d, u8 *to, u64 v)
{
	put32(d, to + (d->s.big ? 4 : 0), v);
	put32(d, to + (d->s.big ? 0 : 4), v >> 32);
}

void put_desc(struct driver *d, u8 *to, const struct ring_seg *seg, u16 word6, u16 word7)
{
	put64(d, to, seg->addr);
	put32(d, to + 8, seg->len);
	put16(d, to + 12, word6);
	put16(d, to + 14, word7);
}

/* ---- what a ring asks of its surroundings ---- */

static struct driver *driver_of(struct ring *r)
{
	return (struct driver *)((char *)r - offsetof(struct driver, ring));
}

static int fails(struct driver *d)
{
	return d->fail_in && !--d->fail_in ? -EFAULT : 0;
}

int ring_env_read(struct ring *r, enum ring_part p, u32 off, void *to, u32 len)
{
	struct driver *d = driver_of(r);

	d->nr_reads++;
	CHECK(!d->s.mapped && off + len <= ring_part_size(r, p, d->s.num));
	if (fails(d))
		return -EFAULT;
	memcpy(to, d->part[p] + off, len);
	/* Looking whether a packed descriptor is available is not reading it. */
	if (d->scramble && !(d->s.packed && len == 2))
		memset(d->part[p] + off, 0xff, len);
	return 0;
}

int ring_env_write(struct ring *r, enum ring_part p, u32 off, const void *from, u32 len)
{
	struct driver *d = driver_of(r);
	u32 i;

	CHECK(!d->s.mapped && off + len <= ring_part_size(r, p, d->s.num));
	CHECK(p == RING_DEVICE || (p == RING_DESC && d->s.packed));
	if (fails(d))
		return -EFAULT;
	memcpy(d->part[p] + off, from, len);
	for (i = off; r->log && i < off + len; i++) {
		d->nr_unlogged += !d->unlogged[p][i];
		d->unlogged[p][i] = 1;
	}
	return 0;
}

int ring_env_table(struct ring *r, u64 addr, void *to, u32 len)
{
	struct driver *d = driver_of(r);
	u64 off = addr - TABLE_BASE;

	d->nr_reads++;
	if (fails(d))
		return -EFAULT;
	if (addr < TABLE_BASE || off + len > (u64)d->s.num * TABLE_BYTES)
		return -EFAULT;
	memcpy(to, d->tables + off, len);
	if (d->scramble)
		memset(d->tables + off, 0xff, len);
	return 0;
}

/* What is logged was written just now: no more than that, and nothing else. */
int ring_env_wrote(struct ring *r, enum ring_part p, u32 off, u32 len)
{
	struct driver *d = driver_of(r);
	u32 i;

	CHECK(r->log && len && off + len <= ring_part_size(r, p, d->s.num));
	CHECK(p == RING_DEVICE || (p == RING_DESC && d->s.packed));
	for (i = off; i < off + len && !failed_now; i++) {
		if (d->s.mapped) {
			d->logged[p][i] = 1; /* test_log() looks at it */
			continue;
		}
		CHECK(d->unlogged[p][i]);
		d->unlogged[p][i] = 0;
		d->nr_unlogged--;
	}
	return fails(d);
}

/* ---- the driver ---- */

const char *setup_name(const char *what, const struct setup *s)
{
	static char name[160];

	snprintf(name, sizeof(name), "%s %s num=%u%s%s%s%s %s", what,
		 s->packed ? "packed" : "split", s->num, s->indirect ? " indirect" : "",
		 s->event_idx ? " event_idx" : "", s->in_order ? " in_order" : "",
		 s->big ? " big-endian" : "", s->mapped ? "mapped" : "user");
	return name;
}

u32 early_base(const struct setup *s)
{
	u32 place = s->num - 1 - rnd(min(s->num, 50u)), wrap = rnd(2);

	if (!s->packed)
		return 65536 - 3 * 17;
	return place | wrap << 15 | place << 16 | wrap << 31;
}

int driver_restart(struct driver *d, u32 base)
{
	u32 i;

	memset(&d->ring, 0, sizeof(d->ring));
	d->ring.num = d->s.num;
	d->ring.packed = d->s.packed;
	d->ring.indirect = d->s.indirect;
	d->ring.event_idx = d->s.event_idx;
	d->ring.in_order = d->s.in_order;
	d->ring.little_endian = !d->s.big;
	if (d->s.mapped)
		for (i = 0; i < RING_PARTS; i++)
			d->ring.map[i] = d->part[i];
	ring_set_base(&d->ring, base);
	return ring_start(&d->ring);
}

/* There is one driver at a time. */
static u32 by_id[65536];

void driver_init(struct driver *d, const struct setup *s, u32 base)
{
	u32 i;

	memset(d, 0, sizeof(*d));
	d->s = *s;
	d->ring.packed = s->packed;
	d->ring.event_idx = s->event_idx;
	CHECK(ring_num_valid(&d->ring, s->num));
	for (i = 0; i < RING_PARTS; i++) {
		/* Exactly as large as the ring is: ASan sees one byte more. */
		d->part[i] = calloc(1, ring_part_size(&d->ring, i, s->num));
		d->unlogged[i] = calloc(1, ring_part_size(&d->ring, i, s->num));
		d->logged[i] = calloc(1, ring_part_size(&d->ring, i, s->num));
	}
	d->tables = calloc(s->num, TABLE_BYTES);
	d->expect = calloc(s->num, sizeof(*d->expect));
	d->spare = calloc(s->num, sizeof(*d->spare));
	d->order = calloc(s->num, sizeof(*d->order));
	d->free = calloc(s->num, sizeof(*d->free));
	d->by_id = by_id;
	memset(by_id, 0xff, sizeof(by_id));
	for (i = 0; i < s->num; i++) {
		d->free[i] = i;
		d->spare[d->nr_spare++] = i;
	}
	if (s->packed)
		packed_driver_init(d, base);
	else
		split_driver_init(d, base);
	d->told = d->head;
	CHECK(driver_restart(d, base) == 0);
	CHECK(ring_base(&d->ring) == base);
}

void driver_free(struct driver *d)
{
	u32 i;

	for (i = 0; i < RING_PARTS; i++) {
		free(d->part[i]);
		free(d->unlogged[i]);
		free(d->logged[i]);
	}
	free(d->tables);
	free(d->expect);
	free(d->spare);
	free(d->order);
	free(d->free);
}

enum shape any_shape(const struct setup *s)
{
	if (!s->indirect || rnd(2))
		return CHAIN;
	return s->packed || rnd(3) ? TABLE : MIXED;
}

bool offer(struct driver *d, u32 nr, enum shape shape)
{
	struct expect *e;
	u32 i, at;

	if (!d->nr_spare)
		return false;
	at = d->spare[d->nr_spare - 1];
	e = &d->expect[at];
	e->out = rnd(nr + 1);
	e->in = nr - e->out;
	for (i = 0; i < nr; i++) {
		e->seg[i].addr = (u64)rnd(~0u) << 32 | rnd(~0u);
		/* Empty ones are legal. */
		e->seg[i].len = rnd(8) ? 1 + rnd(~0u - 1) : 0;
	}
	if (!(d->s.packed ? packed_offer(d, e, shape) : split_offer(d, e, shape)))
		return false;
	d->nr_spare--;
	d->nr_desc += e->nr_desc;
	CHECK(d->by_id[e->id] == NO_REQUEST && d->nr_desc <= d->s.num);
	d->by_id[e->id] = at;
	d->order[d->offered++ % d->s.num] = at;
	return true;
}

static struct ring_req reqs[REQS];
static struct ring_seg segs[SEGS * 4];
struct ring_batch batch = {
	.req = reqs,
	.seg = segs,
	.max_req = REQS,
	.max_seg = SEGS * 4,
};

void check_batch(struct driver *d, int n)
{
	u32 used = 0;
	int i;

	CHECK(n >= 0 && (u32)n == batch.nr_req && d->offered - d->fetched >= (u64)n);
	for (i = 0; i < n && !failed_now; i++) {
		struct ring_req *req = &batch.req[i];
		struct expect *e = &d->expect[d->order[d->fetched++ % d->s.num]];
		u32 nr = e->out + e->in;

		CHECK(req->id == e->id && req->out == e->out && req->in == e->in);
		CHECK(req->slots == (d->s.packed ? e->nr_desc : 1));
		CHECK(req->seg + nr <= batch.nr_seg && batch.nr_seg <= batch.max_seg);
		used += nr;
		while (nr-- && !failed_now) {
			CHECK(batch.seg[req->seg + nr].addr == e->seg[nr].addr);
			CHECK(batch.seg[req->seg + nr].len == e->seg[nr].len);
		}
	}
	CHECK(used == batch.nr_seg);
}

static void forget(struct driver *d, u32 at)
{
	struct expect *e = &d->expect[at];

	d->by_id[e->id] = NO_REQUEST;
	d->spare[d->nr_spare++] = at;
	d->nr_desc -= e->nr_desc;
}

/*
 * In order, an entry speaks for all requests up to the one that it names
 * (2.7.9, 2.8.8); what was skipped was used completely.
 */
u32 take_used(struct driver *d, u32 id, u32 len, struct result *res, u32 max)
{
	u32 n = 0, at;

	CHECK(id < 65536 && d->by_id[id] != NO_REQUEST);
	while (!failed_now) {
		at = d->s.in_order ? d->order[d->oldest++ % d->s.num] : d->by_id[id];
		CHECK(n < max);
		CHECK(!d->s.in_order || d->oldest <= d->fetched);
		if (failed_now)
			break;
		res[n].id = d->expect[at].id;
		res[n].named = res[n].id == id;
		res[n].len = len;
		d->tail += d->s.packed ? d->expect[at].nr_desc : 1;
		forget(d, at);
		if (res[n++].named)
			return n;
	}
	return 0;
}

u32 reap(struct driver *d, struct result *res, u32 max)
{
	return d->s.packed ? packed_reap(d, res, max) : split_reap(d, res, max);
}

bool within(u64 at, u64 from, u64 to, u64 period)
{
	return to - from >= period || (at + period * 65536 - from) % period < to - from;
}

bool wants_kick(struct driver *d)
{
	bool wants = d->s.packed ? packed_wants_kick(d) : split_wants_kick(d);

	d->told = d->head;
	return wants;
}

void set_wish(struct driver *d, enum wish wish, u64 at)
{
	d->wish = wish;
	d->wish_at = at;
	if (d->s.packed)
		packed_set_wish(d);
	else
		split_set_wish(d);
}

bool signal_due(struct driver *d, u64 from, u64 to)
{
	if (d->wish != AT)
		return d->wish == ALWAYS;
	return within(d->wish_at, from, to, d->s.packed ? 2 * d->s.num : 65536);
}
