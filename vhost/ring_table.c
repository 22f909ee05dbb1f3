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
 * cannot name another. An entry is copied once and judged by the copy; where the
 * table is, is for ring_env_table() to judge.
 *
 * No barrier is here: the one that follows the look at the request's head
 * covers all that the driver wrote before.
 */
#include <linux/string.h>

#include "ring_access.h"

/* How many entries are read at once. */
#define CHUNK 16u

/* A packed ring's table: one entry behind the other. */
static int add_packed(struct ring *r, struct ring_build *build, u64 addr,
		      u32 num)
{
	struct vring_packed_desc chunk[CHUNK];
	struct ring_build w = *build;
	const struct vring_packed_desc *d;
	u32 have;

	for (; num; num -= have, addr += have * sizeof(*d)) {
		int err;

		have = min(num, CHUNK);
		err = ring_env_table(r, addr, chunk, have * sizeof(*d));
		if (unlikely(err))
			return err;
		for (d = chunk; d < chunk + have; d++) {
			u16 flags = le16_to_cpu(d->flags);

			if (unlikely(flags & VRING_DESC_F_INDIRECT))
				return -EINVAL;
			err = ring_add_seg(&w, le64_to_cpu(d->addr),
					   le32_to_cpu(d->len), flags);
			if (unlikely(err))
				return err;
		}
	}
	*build = w;
	return 0;
}

/* A split ring's table: each entry names the next. */
static __always_inline int add_split(struct ring *r, struct ring_build *build,
				     u64 addr, u32 num,
				     const bool little_endian)
{
	u32 first = 0, have = 0, slot = 0, steps;
	struct ring_build w = *build;
	struct vring_desc chunk[CHUNK];

	for (steps = 0; steps < num; steps++) {
		const struct vring_desc *d;
		u16 flags;
		int err;

		if (slot - first >= have) {
			first = slot;
			have = min(num - slot, CHUNK);
			err = ring_env_table(r, addr + slot * sizeof(*d), chunk,
					     have * sizeof(*d));
			if (unlikely(err))
				return err;
		}
		d = &chunk[array_index_nospec(slot - first, CHUNK)];
		flags = __virtio16_to_cpu(little_endian, d->flags);
		if (unlikely(flags & VRING_DESC_F_INDIRECT))
			return -EINVAL;
		err = ring_add_seg(
			&w, __virtio64_to_cpu(little_endian, d->addr),
			__virtio32_to_cpu(little_endian, d->len), flags);
		if (unlikely(err))
			return err;
		if (!(flags & VRING_DESC_F_NEXT)) {
			*build = w;
			return 0;
		}
		slot = __virtio16_to_cpu(little_endian, d->next);
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
