// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_table.c - indirect descriptor tables of both layouts
 *
 * VIRTIO 1.2, section 2.7.5.3: entries of a split ring's table name the next
 * one; section 2.8.7: those of a packed ring's table follow one another, all of
 * them, and their next flags mean nothing. That an entry is no table itself is a
 * rule for the driver in both: here it breaks the ring.
 *
 * DOC: Bounds
 *
 * A table has at most RING_TABLE_MAX entries, is within 64 bits, and is left
 * after as many steps as it has entries: one more is a loop. Each step appends a
 * segment, so that ring_batch.max_seg ends the matter before that. A table
 * cannot name another. Entries are read, RING_CHUNK at the most, to where their
 * segments go, and judged there; what is read and not used, because a split table
 * goes on elsewhere, is read anew: for one segment no more than a chunk. Where the
 * table is, is for ring_env_table() to judge.
 *
 * No barrier is here: the one that follows the look at the request's head
 * covers all that the driver wrote before.
 */
#include <linux/string.h>

#include "ring_access.h"

_Static_assert(sizeof(struct ring_seg) == sizeof(union ring_desc),
	       "an entry is read to where its segment goes");

/*
 * Read entries, up to @max of them, to where their segments go. Return: how many, or
 * an error number.
 */
static __always_inline int
read_entries(struct ring *r, const struct ring_build *w, u64 addr, u32 max)
{
	u32 n = min3(max, RING_CHUNK, (u32)(w->end - w->seg));
	int err;

	if (unlikely(!n))
		return -ENOBUFS;
	err = ring_env_table(r, addr, w->seg, n * sizeof(union ring_desc));
	return unlikely(err) ? err : (int)n;
}

/* A packed ring's table: one entry behind the other. */
static int add_packed(struct ring *r, struct ring_build *build, u64 addr,
		      u32 num)
{
	struct ring_build w = *build;
	int have;

	for (; num; num -= have, addr += have * sizeof(union ring_desc)) {
		int err;

		have = read_entries(r, &w, addr, num);
		if (unlikely(have < 0))
			return have;
		err = ring_put_entries(&w, have);
		if (unlikely(err))
			return err;
	}
	*build = w;
	return 0;
}

/*
 * A split ring's table: each entry names the next. That is nearly always the one
 * behind it; where it is not, what was read is read anew from there.
 */
static __always_inline int add_split(struct ring *r, struct ring_build *build,
				     u64 addr, u32 num,
				     const bool little_endian)
{
	struct ring_build w = *build;
	u32 slot = 0, steps;
	int have = 0;

	for (steps = 0; steps < num; steps++) {
		const struct vring_desc *d = (void *)w.seg;
		u16 flags, next;
		int err;

		if (!have) {
			have = read_entries(r, &w, addr + slot * sizeof(*d),
					    num - slot);
			if (unlikely(have < 0))
				return have;
		}
		flags = __virtio16_to_cpu(little_endian, d->flags);
		next = __virtio16_to_cpu(little_endian, d->next);
		if (unlikely(flags & VRING_DESC_F_INDIRECT))
			return -EINVAL;
		err = ring_put_seg(
			&w, __virtio64_to_cpu(little_endian, d->addr),
			__virtio32_to_cpu(little_endian, d->len), flags);
		if (unlikely(err))
			return err;
		if (!(flags & VRING_DESC_F_NEXT)) {
			*build = w;
			return 0;
		}
		have--;
		if (unlikely(next != ++slot)) {
			slot = next;
			have = 0;
		}
		if (unlikely(slot >= num))
			return -EINVAL;
	}
	return -EINVAL; /* a loop */
}

/**
 * ring_add_table() - append the segments that an indirect table describes
 * @r: the ring
 * @w: the request that is being built
 * @addr: address of the table in the driver's address space, any value
 * @len: its length in bytes, any value
 *
 * Return: 0; -EINVAL for a table that breaks the rules; -ENOBUFS when there is no
 * room for all; or what ring_env_table() returned.
 */
int ring_add_table(struct ring *r, struct ring_build *w, u64 addr, u32 len)
{
	u32 num = len / sizeof(union ring_desc);

	if (unlikely(len % sizeof(union ring_desc) || !num ||
		     num > RING_TABLE_MAX || addr + len < addr))
		return -EINVAL;
	if (r->packed)
		return add_packed(r, w, addr, num);
	return likely(r->little_endian) ? add_split(r, w, addr, num, true) :
					  add_split(r, w, addr, num, false);
}
