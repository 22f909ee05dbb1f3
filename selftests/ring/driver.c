// SPDX-License-Identifier: GPL-2.0-only
/*
 * driver.c - the model driver, and what a ring asks of its surroundings
 */
#include "driver.h"

int cases, failures;
const char *current;
bool failed_now;

void begin(const char *name)
{
	current = name;
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

static struct driver *driver_of(struct ring *r)
{
	return (struct driver *)((char *)r - offsetof(struct driver, ring));
}

static u8 *part(struct driver *d, enum ring_part p)
{
	return p == RING_DESC ? (u8 *)d->desc : p == RING_DRIVER ? (u8 *)d->avail : (u8 *)d->used;
}

static int fails(struct driver *d)
{
	return d->fail_in && !--d->fail_in ? -EFAULT : 0;
}

int ring_env_read(struct ring *r, enum ring_part p, u32 off, void *to, u32 len)
{
	struct driver *d = driver_of(r);

	CHECK(off + len <= ring_part_size(p, d->num, d->event_idx));
	if (fails(d))
		return -EFAULT;
	memcpy(to, part(d, p) + off, len);
	return 0;
}

int ring_env_write(struct ring *r, enum ring_part p, u32 off, const void *from, u32 len)
{
	struct driver *d = driver_of(r);

	CHECK(p == RING_DEVICE);
	CHECK(off + len <= ring_part_size(p, d->num, d->event_idx));
	if (fails(d))
		return -EFAULT;
	memcpy(part(d, p) + off, from, len);
	return 0;
}

/* Tables are at "guest" addresses from 1 MiB on. */
int ring_env_table(struct ring *r, u64 addr, void *to, u32 len)
{
	struct driver *d = driver_of(r);
	u64 off = addr - 0x100000;

	if (fails(d))
		return -EFAULT;
	if (addr < 0x100000 || off + len > (u64)d->num * TABLES)
		return -EFAULT;
	memcpy(to, d->tables + off, len);
	return 0;
}

int ring_env_wrote(struct ring *r, enum ring_part p, u32 off, u32 len)
{
	struct driver *d = driver_of(r);

	CHECK(p == RING_DEVICE && len > 0);
	CHECK(off + len <= ring_part_size(p, d->num, d->event_idx));
	d->wrote++;
	return fails(d);
}

void driver_init(struct driver *d, u32 num, bool indirect, bool event_idx, bool mapped, u16 base)
{
	u32 i;

	memset(d, 0, sizeof(*d));
	d->num = num;
	d->indirect = indirect;
	d->event_idx = event_idx;
	d->mapped = mapped;
	/* Exactly as large as the ring is: ASan sees one byte more. */
	d->desc = calloc(1, ring_part_size(RING_DESC, num, event_idx));
	d->avail = calloc(1, ring_part_size(RING_DRIVER, num, event_idx));
	d->used = calloc(1, ring_part_size(RING_DEVICE, num, event_idx));
	d->tables = calloc(num, TABLES);
	d->free = calloc(num, sizeof(*d->free));
	d->expect = calloc(num, sizeof(*d->expect));
	d->order = calloc(65536, sizeof(*d->order));
	for (i = 0; i < num; i++)
		d->free[d->nr_free++] = i;
	d->avail_idx = base;
	d->used_idx = base;
	d->avail[1] = base;
	d->used[1] = base;

	d->ring.num = num;
	d->ring.indirect = indirect;
	d->ring.event_idx = event_idx;
	d->ring.little_endian = true;
	d->ring.next_avail = base;
	if (mapped)
		for (i = 0; i < RING_PARTS; i++)
			d->ring.map[i] = part(d, i);
	CHECK(ring_start(&d->ring) == 0);
	CHECK(d->ring.next_used == base);
}

void driver_free(struct driver *d)
{
	free(d->desc);
	free(d->avail);
	free(d->used);
	free(d->tables);
	free(d->free);
	free(d->expect);
	free(d->order);
}

static u16 take(struct driver *d)
{
	u32 at = rnd(d->nr_free);
	u16 slot = d->free[at];

	d->free[at] = d->free[--d->nr_free];
	return slot;
}

/* Offer one request of @nr segments; false: no room. */
bool offer(struct driver *d, u32 nr, bool table)
{
	struct vring_desc *at;
	struct expect *e;
	u16 slots[SEGS], head;
	u32 i, out = rnd(nr + 1);

	if (d->nr_free < (table ? 1 : nr))
		return false;
	for (i = 0; i < (table ? 1 : nr); i++)
		slots[i] = take(d);
	head = slots[0];
	e = &d->expect[head];
	CHECK(!e->live);
	memset(e, 0, sizeof(*e));
	e->live = true;
	e->nr_desc = table ? 1 : nr;
	at = table ? (struct vring_desc *)(d->tables + head * TABLES) : d->desc;
	if (table) {
		d->desc[head].addr = 0x100000 + (u64)head * TABLES;
		d->desc[head].len = nr * sizeof(*at);
		d->desc[head].flags = VRING_DESC_F_INDIRECT;
		d->desc[head].next = rnd(65536); /* means nothing */
	}
	for (i = 0; i < nr; i++) {
		u32 slot = table ? i : slots[i];
		u64 addr = ((u64)rnd(~0u) << 32) | rnd(~0u);
		/* Empty ones are legal. */
		u32 len = rnd(8) ? 1 + rnd(~0u - 1) : 0;

		at[slot].addr = addr;
		at[slot].len = len;
		at[slot].flags =
			(i >= out ? VRING_DESC_F_WRITE : 0) | (i + 1 < nr ? VRING_DESC_F_NEXT : 0);
		at[slot].next = i + 1 < nr ? (table ? i + 1 : slots[i + 1]) : rnd(65536);
		e->seg[i] = (struct ring_seg){ addr, len };
		if (i >= out)
			e->in++;
		else
			e->out++;
	}
	for (i = 1; !table && i < nr; i++)
		d->expect[slots[i]].nr_desc = 0;
	/* Remember the chain, to free it later. */
	d->avail[2 + (d->avail_idx & (d->num - 1))] = head;
	d->order[d->avail_idx] = head;
	d->avail_idx++;
	d->offered++;
	__atomic_store_n(&d->avail[1], d->avail_idx, __ATOMIC_RELEASE);
	return true;
}

static void release(struct driver *d, u16 head)
{
	u16 slot = head;
	u32 i, nr = d->expect[head].nr_desc;

	for (i = 0; i < nr; i++) {
		d->free[d->nr_free++] = slot;
		slot = d->desc[slot].next;
	}
	d->expect[head].live = false;
}

static struct ring_req reqs[REQS];
static struct ring_seg segs[SEGS * 4];
struct ring_batch batch = {
	.req = reqs,
	.seg = segs,
	.max_req = REQS,
	.max_seg = SEGS * 4,
};

/* Compare the batch with what was offered. */
void check_batch(struct driver *d, u16 from, int n)
{
	int i;
	u32 j;

	CHECK((u32)n == batch.nr_req);
	for (i = 0; i < n; i++) {
		struct ring_req *req = &batch.req[i];
		struct expect *e;

		CHECK(req->id == d->order[(u16)(from + i)]);
		if (failed_now)
			return;
		e = &d->expect[req->id];
		CHECK(e->live && e->out == req->out && e->in == req->in);
		CHECK(req->seg + req->out + req->in <= batch.nr_seg);
		for (j = 0; j < e->out + e->in && !failed_now; j++) {
			CHECK(batch.seg[req->seg + j].addr == e->seg[j].addr);
			CHECK(batch.seg[req->seg + j].len == e->seg[j].len);
		}
	}
}

/* The driver looks at the used ring. */
void reap(struct driver *d, const struct ring_done *done, u32 n)
{
	struct vring_used_elem *elem = (struct vring_used_elem *)(d->used + 2);
	u32 i;

	CHECK((u16)(d->used[1] - d->used_idx) == n);
	for (i = 0; i < n && !failed_now; i++, d->used_idx++) {
		struct vring_used_elem *e = &elem[d->used_idx & (d->num - 1)];

		CHECK(e->id == done[i].id && e->len == done[i].len);
		release(d, e->id);
	}
}
