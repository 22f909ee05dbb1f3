/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ring_access.h - what the layouts of a ring share: its words, segments, tables
 *
 * For ring_*.c alone. Every access to the driver's memory is one of these, and
 * each reads or writes its word once: where the ring is mapped by READ_ONCE()
 * and WRITE_ONCE(), elsewhere through ring_env_read() and ring_env_write().
 *
 * @part and @off are computed from indexes that are below ring.num, never taken
 * from the driver as they are.
 */
#ifndef SHUNT_RING_ACCESS_H
#define SHUNT_RING_ACCESS_H

#include "ring.h"

/* A descriptor of either layout, to be loaded as two whole words. */
union ring_desc {
	struct vring_desc split;
	struct vring_packed_desc packed;
	u64 word[2];
};

static __always_inline int ring_load16(struct ring *r, enum ring_part part,
				       u32 off, u16 *val)
{
	__virtio16 v;

	if (likely(r->map[part])) {
		v = READ_ONCE(*(__virtio16 *)(r->map[part] + off));
	} else {
		int err = ring_env_read(r, part, off, &v, sizeof(v));

		if (err)
			return err;
	}
	*val = __virtio16_to_cpu(r->little_endian, v);
	return 0;
}

static __always_inline int ring_store16(struct ring *r, enum ring_part part,
					u32 off, u16 val)
{
	__virtio16 v = __cpu_to_virtio16(r->little_endian, val);

	if (likely(r->map[part])) {
		WRITE_ONCE(*(__virtio16 *)(r->map[part] + off), v);
	} else {
		int err = ring_env_write(r, part, off, &v, sizeof(v));

		if (err)
			return err;
	}
	if (unlikely(r->log))
		return ring_env_wrote(r, part, off, sizeof(v));
	return 0;
}

static __always_inline int ring_load_desc(struct ring *r, u32 slot,
					  union ring_desc *desc)
{
	u32 off = slot * sizeof(*desc);
	const u64 *from;

	if (unlikely(!r->map[RING_DESC]))
		return ring_env_read(r, RING_DESC, off, desc, sizeof(*desc));
	from = r->map[RING_DESC] + off;
	desc->word[0] = READ_ONCE(from[0]);
	desc->word[1] = READ_ONCE(from[1]);
	return 0;
}

/**
 * ring_copy_out() - write a piece of the ring that nobody looks at yet
 * @r: the ring
 * @part: where, and @off
 * @off: offset in @part
 * @from: what
 * @len: how many bytes
 *
 * The way for rings that are not mapped, or are logged.
 */
static inline int ring_copy_out(struct ring *r, enum ring_part part, u32 off,
				const void *from, u32 len)
{
	int err = 0;

	if (r->map[part])
		memcpy(r->map[part] + off, from, len);
	else
		err = ring_env_write(r, part, off, from, len);
	if (!err && r->log)
		err = ring_env_wrote(r, part, off, len);
	return err;
}

/* Append one piece of memory to the request that is being built. */
static __always_inline int ring_add_seg(struct ring_batch *b,
					struct ring_req *req, u64 addr, u32 len,
					u16 flags)
{
	struct ring_seg *seg;

	/* Readable ones come first (VIRTIO 1.2, 2.7.4.2 and 2.8.17). */
	if (!(flags & VRING_DESC_F_WRITE) && unlikely(req->in))
		return -EINVAL;
	if (unlikely(b->nr_seg == b->max_seg))
		return -ENOBUFS;

	seg = &b->seg[b->nr_seg++];
	seg->addr = addr;
	seg->len = len;
	if (flags & VRING_DESC_F_WRITE)
		req->in++;
	else
		req->out++;
	return 0;
}

/**
 * ring_last_of_run() - which request's used entry speaks for this one too
 * @r: the ring
 * @done: requests to be returned
 * @i: this one
 * @n: how many
 *
 * Without VIRTIO_F_IN_ORDER, its own. With it, an entry that names a request
 * says that all before it, back to the last entry, were served whole: so a run
 * goes up to the first that was not (VIRTIO 1.2, 2.7.9 and 2.8.8).
 *
 * Return: the index of the last request of the run that @i begins.
 */
static __always_inline u32 ring_last_of_run(const struct ring *r,
					    const struct ring_done *done, u32 i,
					    u32 n)
{
	if (r->in_order)
		while (done[i].whole && i + 1 < n)
			i++;
	return i;
}

/* ring_table.c */
int ring_add_table(struct ring *r, struct ring_batch *b, struct ring_req *req,
		   u64 addr, u32 len);

#endif
