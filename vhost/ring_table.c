// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_table.c - indirect descriptor tables of both layouts
 *
 * VIRTIO 1.2, section 2.7.5.3: entries of a split ring's table name the next
 * one; section 2.8.7: those of a packed ring's table follow one another, all of
 * them, and their next flags mean nothing.
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

/**
 * ring_add_table() - append the segments that an indirect table describes
 * @r: the ring
 * @b: the batch
 * @req: the request of @b that is being built
 * @addr: address of the table in the driver's address space, any value
 * @len: its length in bytes, any value
 *
 * Return: 0; -EINVAL for a table that breaks the rules; -ENOBUFS when @b is full;
 * or what ring_env_table() returned.
 */
int ring_add_table(struct ring *r, struct ring_batch *b, struct ring_req *req,
		   u64 addr, u32 len)
{
	u32 num = len / sizeof(union ring_desc);
	u32 first = 0, have = 0, slot = 0, steps;
	union ring_desc chunk[CHUNK];
	int err;

	if (unlikely(len % sizeof(union ring_desc) || !num ||
		     num > RING_TABLE_MAX || addr + len < addr))
		return -EINVAL;

	for (steps = 0; steps < num; steps++) {
		const union ring_desc *d;
		u16 flags;

		if (slot - first >= have) {
			first = slot;
			have = min(num - slot, CHUNK);
			err = ring_env_table(r, addr + slot * sizeof(*d), chunk,
					     have * sizeof(*d));
			if (unlikely(err))
				return err;
		}
		d = &chunk[array_index_nospec(slot - first, CHUNK)];
		flags = r->packed ? le16_to_cpu(d->packed.flags) :
				    __virtio16_to_cpu(r->little_endian,
						      d->split.flags);
		if (unlikely(flags & VRING_DESC_F_INDIRECT))
			return -EINVAL;
		/* Address and length are at the same place in both. */
		err = ring_add_seg(
			b, req,
			__virtio64_to_cpu(r->little_endian, d->split.addr),
			__virtio32_to_cpu(r->little_endian, d->split.len),
			flags);
		if (unlikely(err))
			return err;
		if (r->packed) {
			slot++;
			continue;
		}
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		slot = __virtio16_to_cpu(r->little_endian, d->split.next);
		if (unlikely(slot >= num))
			return -EINVAL;
	}
	return r->packed ? 0 : -EINVAL; /* a loop */
}
