// SPDX-License-Identifier: GPL-2.0-only
/*
 * reference.c - what a fetch has to yield, worked out a second time
 *
 * From VIRTIO 1.2, sections 2.7 and 2.8, and from what ring.h says of its verbs;
 * it reads the memory at leisure, so it is of use only while nobody changes it.
 * Of the ring it takes where it is, and what it has seen of the driver's index.
 */
#include "fuzz.h"

static struct ring_req reqs[MAX_REQ];
static struct ring_seg segs[MAX_SEG];
static u32 nr_req, nr_seg;
static int error;   /* why it ends there, 0: nothing more is offered, or wanted */
static bool either; /* no room, and wrong too: it may be either of the two */
static bool unsure; /* a table is not accessible throughout: anything may follow */

static int append(struct ring_req *req, const struct vring_desc *d, u16 flags, bool wrong)
{
	bool write = flags & VRING_DESC_F_WRITE;

	wrong |= !write && req->in;
	if (nr_seg == world.batch.max_seg) {
		either = wrong;
		return -ENOBUFS;
	}
	if (wrong)
		return -EINVAL;
	segs[nr_seg].addr = world.ring.little_endian ? le64toh(d->addr) : be64toh(d->addr);
	segs[nr_seg++].len = get(&d->len, 4);
	if (write)
		req->in++;
	else
		req->out++;
	return 0;
}

static u16 flags_of(const struct vring_desc *d)
{
	if (world.ring.packed)
		return get(&((const struct vring_packed_desc *)d)->flags, 2);
	return get(&d->flags, 2);
}

static int append_table(struct ring_req *req, const struct vring_desc *by)
{
	u64 addr = world.ring.little_endian ? le64toh(by->addr) : be64toh(by->addr);
	u32 len = get(&by->len, 4), num = len / 16, at = 0, steps;
	struct vring_desc d;

	if (!world.ring.indirect || flags_of(by) & VRING_DESC_F_NEXT)
		return -EINVAL;
	if (!num || len % 16 || num > RING_TABLE_MAX)
		return -EINVAL;
	if (!table_entry(addr, &d) || !table_entry(addr + len - 16, &d)) {
		unsure = true;
		return -EFAULT;
	}
	for (steps = 0; steps < num; steps++) {
		int err;

		CHECK(table_entry(addr + at * 16ull, &d));
		err = append(req, &d, flags_of(&d), flags_of(&d) & VRING_DESC_F_INDIRECT);
		if (err)
			return err;
		if (world.ring.packed) {
			at++;
		} else if (flags_of(&d) & VRING_DESC_F_NEXT) {
			at = get(&d.next, 2);
			if (at >= num)
				return -EINVAL;
		} else {
			return 0;
		}
	}
	return world.ring.packed ? 0 : -EINVAL;
}

/* A chain that begins at descriptor @at and may have @most of them. */
static int append_chain(struct ring_req *req, u32 at, u32 most)
{
	const struct vring_desc *desc = (struct vring_desc *)world.part[RING_DESC];
	u32 num = world.ring.num, steps;

	*req = (struct ring_req){ .seg = nr_seg };
	for (steps = 1; steps <= most; steps++) {
		const struct vring_desc *d = &desc[at];
		int err;

		if (world.ring.packed)
			req->id = get(&((const struct vring_packed_desc *)d)->id, 2);
		req->slots = world.ring.packed ? steps : 1;
		if (flags_of(d) & VRING_DESC_F_INDIRECT)
			return append_table(req, d);
		err = append(req, d, flags_of(d), false);
		if (err || !(flags_of(d) & VRING_DESC_F_NEXT))
			return err;
		at = world.ring.packed ? (at + 1) % num : get(&d->next, 2);
		if (at >= num)
			return -EINVAL;
	}
	return -EINVAL;
}

static void fetch_split(u32 max)
{
	const struct ring *r = &world.ring;
	const u8 *avail = world.part[RING_DRIVER];
	u16 offered = r->avail_idx - r->next_avail;

	if (offered < max) {
		offered = get(avail + 2, 2) - r->next_avail;
		if (offered + r->in_flight > r->num) {
			error = -EINVAL;
			return;
		}
	}
	for (nr_req = 0; nr_req < max && nr_req < offered; nr_req++) {
		u32 at = (r->next_avail + nr_req) % r->num, first = nr_seg;
		u32 head = get(avail + 4 + 2 * at, 2);

		error = head < r->num ? append_chain(&reqs[nr_req], head, r->num) : -EINVAL;
		reqs[nr_req].id = head;
		if (error) {
			nr_seg = first;
			return;
		}
	}
}

static void fetch_packed(u32 max)
{
	const struct ring *r = &world.ring;
	const struct vring_packed_desc *desc = (struct vring_packed_desc *)world.part[RING_DESC];
	u32 at = r->next_avail, left = r->num - r->in_flight;
	bool wrap = r->avail_wrap;

	for (nr_req = 0; nr_req < max; nr_req++) {
		u16 flags = get(&desc[at].flags, 2);
		bool avail = flags & 1u << VRING_PACKED_DESC_F_AVAIL;
		bool used = flags & 1u << VRING_PACKED_DESC_F_USED;
		u32 first = nr_seg;

		if (avail != wrap || used == wrap)
			return;
		error = append_chain(&reqs[nr_req], at, left);
		if (error) {
			nr_seg = first;
			return;
		}
		at += reqs[nr_req].slots;
		left -= reqs[nr_req].slots;
		if (at >= r->num) {
			at -= r->num;
			wrap = !wrap;
		}
	}
}

/* To be called before the ring fetches as many. */
void reference_fetch(u32 max)
{
	nr_req = 0;
	nr_seg = 0;
	error = 0;
	either = false;
	unsure = false;
	max = min(max, world.batch.max_req);
	if (world.ring.packed)
		fetch_packed(max);
	else
		fetch_split(max);
}

/* Is what the ring fetched the same? @got: what it returned. */
void reference_compare(int got)
{
	const struct ring_batch *b = &world.batch;
	u32 i;

	if (either && (nr_req ? b->err : got) == -EINVAL)
		error = -EINVAL;
	if (unsure) {
		CHECK(b->nr_req >= nr_req);
	} else {
		CHECK(b->nr_req == nr_req && b->nr_seg == nr_seg);
		CHECK(got == (nr_req ? (int)nr_req : error));
		CHECK(b->full == (nr_req && error == -ENOBUFS));
		CHECK(b->err == (nr_req && error != -ENOBUFS ? error : 0));
	}
	for (i = 0; i < nr_req; i++) {
		CHECK(b->req[i].id == reqs[i].id && b->req[i].slots == reqs[i].slots);
		CHECK(b->req[i].seg == reqs[i].seg);
		CHECK(b->req[i].out == reqs[i].out && b->req[i].in == reqs[i].in);
	}
	for (i = 0; i < nr_seg; i++)
		CHECK(b->seg[i].addr == segs[i].addr && b->seg[i].len == segs[i].len);
}
