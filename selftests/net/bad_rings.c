// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_rings.c - a guest that breaks its own virtqueue: the ring errs and makes no
 * progress, the other ring goes on, and a ring started anew works
 *
 * Where a case may also be tolerated, it says so: the specification leaves a
 * device free to accept some of these, and stock does. What can be wrong with a
 * packed ring alone is in bad_packed.c.
 */
#include <string.h>
#include <unistd.h>

#include "vguest.h"

#define NEXT  VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIR VRING_DESC_F_INDIRECT

static struct vring_desc table[80];

static void put_table(struct vg_ring *r, uint64_t at, unsigned int n)
{
	vg_put_table(r, at, table, n);
}

static void head_at_num(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)buf;
	(void)w;
	vg_publish(r, r->num);
}

static void head_far(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)buf;
	(void)w;
	vg_publish(r, 65535);
}

static void next_out(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, buf, 20, NEXT | w, r->num);
	vg_publish(r, 0);
}

static void loop_self(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, buf, 20, NEXT | w, 0);
	vg_publish(r, 0);
}

static void loop_two(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, buf, 20, NEXT | w, 1);
	vg_desc(r, 1, buf + 20, 20, NEXT | w, 0);
	vg_publish(r, 0);
}

static void loop_empty(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, buf, 0, NEXT | w, 1);
	vg_desc(r, 1, buf, 0, NEXT | w, 0);
	vg_publish(r, 0);
}

static void idx_jump(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, buf, 100, w, 0);
	r->avail->idx = r->avail_idx + r->num + 1;
}

static void idx_back(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, buf, 100, w, 0);
	r->avail->idx = r->avail_idx - 1;
}

static void addr_low(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)buf;
	vg_desc(r, 0, 0x1000, 100, w, 0);
	vg_publish(r, 0);
}

static void addr_high(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)buf;
	vg_desc(r, 0, vg_mem_end(r->mem), 100, w, 0);
	vg_publish(r, 0);
}

static void addr_wraps(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)buf;
	vg_desc(r, 0, ~0ull - 50, 100, w, 0);
	vg_publish(r, 0);
}

static void addr_last(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)buf;
	vg_desc(r, 0, ~0ull, 1, w, 0);
	vg_publish(r, 0);
}

static void addr_over_end(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)buf;
	vg_desc(r, 0, vg_mem_end(r->mem) - 50, 100, w, 0);
	vg_publish(r, 0);
}

static void addr_into_gap(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	struct vg_region *g = &r->mem->r[1];

	(void)buf;
	vg_desc(r, 0, g->gpa + g->size - 50, 100, w, 0);
	vg_publish(r, 0);
}

/* The address of the process instead of the guest's. */
static void addr_of_vmm(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, (uintptr_t)vg_va(r->mem, buf, 100), 100, w, 0);
	vg_publish(r, 0);
}

static void len_max(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, buf, 0xffffffff, w, 0);
	vg_publish(r, 0);
}

/* Lengths that add up past 32 bits: 5,000 times the same piece. */
static void len_sum(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	unsigned int i;

	(void)buf;
	for (i = 0; i < 250; i++)
		vg_desc(r, i, r->mem->r[0].gpa, r->mem->r[0].size, NEXT | w, i + 1);
	vg_desc(r, i, r->mem->r[0].gpa, r->mem->r[0].size, w, 0);
	vg_publish(r, 0);
}

static void zero_len(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, buf, 0, w, 0);
	vg_publish(r, 0);
}

static void zero_lens(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	unsigned int i;

	for (i = 0; i < 100; i++)
		vg_desc(r, i, buf, 0, NEXT | w, i + 1);
	vg_desc(r, i, buf, 0, w, 0);
	vg_publish(r, 0);
}

static void too_short(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, buf, 5, w, 0);
	vg_publish(r, 0);
}

static void header_only(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_fill(r->mem, buf, 0, 12);
	vg_desc(r, 0, buf, 12, w, 0);
	vg_publish(r, 0);
}

static void header_and_13(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_fill(r->mem, buf, 0, 25);
	vg_desc(r, 0, buf, 25, w, 0);
	vg_publish(r, 0);
}

/* Readable where it must be writable and the other way round. */
static void wrong_way(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, buf, 200, w ^ WRITE, 0);
	vg_publish(r, 0);
}

static void both_ways(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)w;
	vg_desc(r, 0, buf, 100, NEXT, 1);
	vg_desc(r, 1, buf + 100, 2000, WRITE, 0);
	vg_publish(r, 0);
}

static void write_first(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)w;
	vg_desc(r, 0, buf, 2000, NEXT | WRITE, 1);
	vg_desc(r, 1, buf + 2000, 100, 0, 0);
	vg_publish(r, 0);
}

static void indirect(struct vg_ring *r, uint64_t at, uint32_t len)
{
	vg_desc(r, 0, at, len, INDIR, 0);
	vg_publish(r, 0);
}

static void fill_table(uint64_t buf, unsigned int n, uint16_t w)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		table[i] = (struct vring_desc){ buf + 2048 + 100 * i, 100,
						w | (i + 1 < n ? NEXT : 0), i + 1 };
}

static void ind_nested(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	fill_table(buf, 2, w);
	put_table(r, buf + 512, 2);
	table[0] = (struct vring_desc){ buf + 512, 32, INDIR, 0 };
	put_table(r, buf, 1);
	indirect(r, buf, 16);
}

static void ind_self(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)w;
	table[0] = (struct vring_desc){ buf, 16, INDIR, 0 };
	put_table(r, buf, 1);
	indirect(r, buf, 16);
}

static void ind_empty(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	fill_table(buf, 2, w);
	put_table(r, buf, 2);
	indirect(r, buf, 0);
}

static void ind_odd(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	fill_table(buf, 2, w);
	put_table(r, buf, 2);
	indirect(r, buf, 31);
}

static void ind_huge(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	fill_table(buf, 2, w);
	put_table(r, buf, 2);
	indirect(r, buf, 0xfffffff0);
}

static void ind_over_65536(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)buf;
	(void)w;
	indirect(r, r->mem->r[0].gpa, 16 * 65537);
}

static void ind_outside(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)buf;
	(void)w;
	indirect(r, 0x1000, 32);
}

static void ind_wraps(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)buf;
	(void)w;
	indirect(r, ~0ull - 15, 32);
}

static void ind_over_end(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	(void)buf;
	(void)w;
	indirect(r, vg_mem_end(r->mem) - 16, 32);
}

static void ind_open_end(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	fill_table(buf, 2, w);
	table[1].flags |= NEXT;
	put_table(r, buf, 2);
	indirect(r, buf, 32);
}

static void ind_loop(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	fill_table(buf, 4, w);
	table[2].next = 0;
	put_table(r, buf, 4);
	indirect(r, buf, 64);
}

static void ind_next_out(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	fill_table(buf, 4, w);
	table[2].next = 4;
	put_table(r, buf, 4);
	indirect(r, buf, 64);
}

static void ind_bad_addr(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	fill_table(buf, 4, w);
	table[3].addr = ~0ull - 5;
	put_table(r, buf, 4);
	indirect(r, buf, 64);
}

static void ind_with_next(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	fill_table(buf, 2, w);
	put_table(r, buf, 2);
	vg_desc(r, 0, buf, 32, INDIR | NEXT, 1);
	vg_desc(r, 1, buf + 1024, 100, w, 0);
	vg_publish(r, 0);
}

/* A chain of more segments than the ring has entries. */
static void ind_long(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	uint64_t at = r->mem->r[0].gpa + r->mem->r[0].size - 16 * 2000;
	static struct vring_desc d[2000];
	unsigned int i;

	for (i = 0; i < 2000; i++)
		d[i] = (struct vring_desc){ buf, 1, w | (i < 1999 ? NEXT : 0), i + 1 };
	vg_put_table(r, at, d, 2000);
	indirect(r, at, 16 * 2000);
}

static const struct vg_spoil spoils[] = {
	{ "a head one past the ring", head_at_num, VG_STRICT, VG_STRICT, VG_ON_ANY_SPLIT },
	{ "a head of 65535", head_far, VG_STRICT, VG_STRICT, VG_ON_ANY_SPLIT },
	{ "a next past the ring", next_out, VG_STRICT, VG_STRICT, VG_ON_ANY_SPLIT },
	{ "a descriptor that is its own next", loop_self, VG_STRICT, VG_STRICT, VG_ON_ANY_SPLIT },
	{ "a loop of two", loop_two, VG_STRICT, VG_STRICT, VG_ON_ANY_SPLIT },
	{ "a loop of two without bytes", loop_empty, VG_STRICT, VG_STRICT, VG_ON_ANY_SPLIT },
	{ "an index more than the ring ahead", idx_jump, VG_STRICT, VG_STRICT, VG_ON_ANY_SPLIT },
	{ "an index that goes back", idx_back, VG_STRICT, VG_STRICT, VG_ON_ANY_SPLIT },
	{ "an address below memory", addr_low, VG_STRICT, VG_STRICT },
	{ "an address behind memory", addr_high, VG_STRICT, VG_STRICT },
	{ "an address that wraps 2^64", addr_wraps, VG_STRICT, VG_STRICT },
	{ "the last address of all", addr_last, VG_STRICT, VG_STRICT },
	{ "a buffer over the end of memory", addr_over_end, VG_STRICT, VG_STRICT },
	{ "a buffer into a hole of memory", addr_into_gap, VG_STRICT, VG_STRICT },
	{ "an address of the VMM", addr_of_vmm, VG_STRICT, VG_STRICT },
	{ "a length of 2^32-1", len_max, VG_STRICT, VG_STRICT },
	/* A frame of gigabytes fails in the TAP; for reception it is a large buffer. */
	{ "lengths that add up past 32 bits", len_sum, VG_EITHER, VG_EITHER },
	/* Nothing to send: an error to stock, a frame too short for the wire to shunt. */
	{ "a descriptor of length 0", zero_len, VG_EITHER, VG_STRICT },
	{ "a chain of lengths 0", zero_lens, VG_EITHER, VG_STRICT },
	/* Too short for its header. Stock leaves such a frame where it is, again and again. */
	{ "a chain shorter than its header", too_short, VG_EITHER, VG_EITHER },
	{ "a header without a frame", header_only, VG_EITHER, VG_EITHER },
	{ "a frame of 13 bytes", header_and_13, VG_EITHER, VG_EITHER },
	{ "descriptors of the wrong direction", wrong_way, VG_STRICT, VG_STRICT },
	{ "descriptors of both directions", both_ways, VG_STRICT, VG_STRICT },
	{ "writable before readable", write_first, VG_STRICT, VG_STRICT },
	{ "a table in a table", ind_nested, VG_STRICT, VG_STRICT },
	{ "a table that holds itself", ind_self, VG_STRICT, VG_STRICT },
	{ "a table of length 0", ind_empty, VG_STOCK_OTHERWISE, VG_STOCK_OTHERWISE },
	{ "a table of length 31", ind_odd, VG_STRICT, VG_STRICT },
	{ "a table of 2^32-16 bytes", ind_huge, VG_STRICT, VG_STRICT },
	{ "a table of 65537 entries", ind_over_65536, VG_STRICT, VG_STRICT },
	{ "a table outside memory", ind_outside, VG_STRICT, VG_STRICT },
	{ "a table that wraps 2^64", ind_wraps, VG_STRICT, VG_STRICT },
	{ "a table over the end of memory", ind_over_end, VG_STRICT, VG_STRICT },
	{ "a table whose last entry has a next", ind_open_end, VG_STRICT, VG_STRICT,
	  VG_ON_ANY_SPLIT },
	/* Stock reads tables in order and never looks at next. */
	{ "a loop in a table", ind_loop, VG_STOCK_OTHERWISE, VG_STOCK_OTHERWISE, VG_ON_ANY_SPLIT },
	{ "a next past the table", ind_next_out, VG_STOCK_OTHERWISE, VG_STOCK_OTHERWISE,
	  VG_ON_ANY_SPLIT },
	{ "a bad address in a table", ind_bad_addr, VG_STRICT, VG_STRICT },
	/* Forbidden to drivers, and stock goes on with the next. */
	{ "a table with a next", ind_with_next, VG_EITHER, VG_EITHER, VG_ON_ANY_SPLIT },
	/* The longest chain is the ring's size; stock takes up to 1,024 segments. */
	{ "a table of 2000 segments", ind_long, VG_EITHER, VG_EITHER },
};

static void each(long i)
{
	vg_spoil_each(spoils, ARRAY_SIZE(spoils), i);
}

/* A ring that breaks again and again, and the one beside it, on another card. */
static void neighbours(long arg)
{
	struct vg_opts o = { .pairs = 2, .depth = 8, .frame = 9014 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_ring *r = &n->q[0].ring[VG_TX];
	unsigned int i, k = 0, nr = ARRAY_SIZE(spoils);
	static uint8_t f[2048];
	size_t len;

	(void)arg;
	for (i = 0; i < 20; i++) {
		/* In turn those that are for these rings, and break any device. */
		while ((spoils[k % nr].on && !(spoils[k % nr].on & vg_rings())) ||
		       spoils[k % nr].tx != VG_STRICT)
			k++;
		spoils[k++ % nr].spoil(r, n->q[0].buf[VG_TX][0].gpa, 0);
		vg_ring_kick_always(r);
		kt_check(vg_ring_erred(r, VG_STALL_MS), "no error was signalled");
		vg_frame(f, 500, i, 1);
		kt_check(vg_tx(&n->q[1], f, 500, NULL), "no room");
		vg_ring_kick(&n->q[1].ring[VG_TX]);
		kt_check(vg_host_recv(n, f, sizeof(f), &len, NULL, VG_STALL_MS),
			 "the other pair stands still");
		kt_check(vg_ring_wait(&n->q[1].ring[VG_TX], VG_STALL_MS), "not used");
		vg_tx_reap(&n->q[1]);
		vg_queue_anew(&n->q[0], VG_TX);
	}
}

/* Kicked without end, a broken ring stays broken, and its device can be stopped. */
static void kicked(long arg)
{
	struct vg_opts o = { .frame = 9014, .depth = 8 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_ring *r = &n->q[0].ring[VG_TX];
	unsigned int i;

	(void)arg;
	addr_wraps(r, n->q[0].buf[VG_TX][0].gpa, 0);
	for (i = 0; i < 20000; i++)
		vg_ring_kick_always(r);
	kt_check(vg_ring_erred(r, VG_STALL_MS), "no error was signalled");
	kt_check(!vg_used_idx(r), "the broken ring moved");
	vg_queue_anew(&n->q[0], VG_TX);
	vg_host_drain(n);
	vg_alive(n);
}

static const struct kt_case cases[] = {
	{ "a broken transmit ring", each, VG_TX, 120 },
	{ "a broken receive ring", each, VG_RX, 120 },
	{ "another pair goes on", neighbours, 0 },
	{ "a broken ring kicked without end", kicked, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
