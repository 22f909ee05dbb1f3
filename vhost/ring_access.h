/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ring_access.h - what the layouts of a ring share: its words, segments, tables
 *
 * For ring_*.c alone. Each reads or writes its word once: where the ring is
 * mapped by READ_ONCE() and WRITE_ONCE(), elsewhere through ring_env_read() and
 * ring_env_write(). The loops for plain rings go to ring.map[] by themselves, by the
 * same rules; used entries, which nobody looks at yet, are plain stores.
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

/**
 * struct ring_build - the request that is being built
 * @seg: where its next segment goes, in ring_batch.seg[]
 * @end: behind the last place there
 * @out: how many segments the device reads, so far
 * @in: how many it writes, so far
 *
 * For the compiler to keep in registers.
 */
struct ring_build {
	struct ring_seg *seg;
	struct ring_seg *end;
	u32 out;
	u32 in;
};

/**
 * ring_is_plain() - whether the ring is memory like any other
 * @r: the ring
 *
 * Mapped, in the order of bytes that nearly all rings have, and on a machine that
 * loads and stores 64 bits at once. There requests of one descriptor, the commonest
 * ones, are served by loops of their own.
 */
static inline bool ring_is_plain(const struct ring *r)
{
	return sizeof(long) == sizeof(u64) &&
	       likely(r->map[RING_DESC] && r->little_endian);
}

static __always_inline int ring_load16(struct ring *r, enum ring_part part,
				       u32 off, u16 *val)
{
	__virtio16 word;

	if (likely(r->map[part])) {
		word = READ_ONCE(*(__virtio16 *)(r->map[part] + off));
	} else {
		int err = ring_env_read(r, part, off, &word, sizeof(word));

		if (err)
			return err;
	}
	*val = __virtio16_to_cpu(r->little_endian, word);
	return 0;
}

static __always_inline int ring_store16(struct ring *r, enum ring_part part,
					u32 off, u16 val)
{
	__virtio16 word = __cpu_to_virtio16(r->little_endian, val);

	if (likely(r->map[part])) {
		WRITE_ONCE(*(__virtio16 *)(r->map[part] + off), word);
	} else {
		int err = ring_env_write(r, part, off, &word, sizeof(word));

		if (err)
			return err;
	}
	if (unlikely(r->log))
		return ring_env_wrote(r, part, off, sizeof(word));
	return 0;
}

/* @plain: ring_is_plain() */
static __always_inline int ring_load_desc(struct ring *r, const bool plain,
					  u32 slot, union ring_desc *desc)
{
	u32 off = slot * sizeof(*desc);
	const u64 *from;

	if (!plain && unlikely(!r->map[RING_DESC]))
		return ring_env_read(r, RING_DESC, off, desc, sizeof(*desc));
	from = r->map[RING_DESC] + off;
	desc->word[0] = READ_ONCE(from[0]);
	desc->word[1] = READ_ONCE(from[1]);
	return 0;
}

/* Write a piece of the ring that nobody looks at yet, and log it. */
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

/* What a fetch has come to: see ring_fetch(). */
static inline void ring_fetched(struct ring_batch *b, int err)
{
	if (!b->nr_req)
		return;
	/* Too many segments for what is left of this batch is no error. */
	b->full = err == -ENOBUFS;
	b->err = b->full ? 0 : err;
}

/* Append a piece of memory, for which there is room. */
static __always_inline int ring_put_seg(struct ring_build *w, u64 addr, u32 len,
					u16 flags)
{
	if (flags & VRING_DESC_F_WRITE) {
		w->in++;
	} else {
		/* Readable ones come first (VIRTIO 1.2, 2.7.4.2 and 2.8.17). */
		if (unlikely(w->in))
			return -EINVAL;
		w->out++;
	}
	w->seg->addr = addr;
	w->seg->len = len;
	w->seg++;
	return 0;
}

/* Append one piece of memory to the request that is being built. */
static __always_inline int ring_add_seg(struct ring_build *w, u64 addr, u32 len,
					u16 flags)
{
	if (unlikely(w->seg == w->end))
		return -ENOBUFS;
	return ring_put_seg(w, addr, len, flags);
}

/* How many entries of an indirect table are read at once, at the most. */
#define RING_CHUNK 16u

/*
 * Append the segments of @n entries of a packed ring's table, that have been read to
 * where their segments go.
 */
static __always_inline int ring_put_entries(struct ring_build *w, u32 n)
{
	const struct ring_seg *end = w->seg + n;

	while (w->seg < end) {
		const struct vring_packed_desc *d = (void *)w->seg;
		u16 flags = le16_to_cpu(d->flags);
		int err;

		if (unlikely(flags & VRING_DESC_F_INDIRECT))
			return -EINVAL;
		err = ring_put_seg(w, le64_to_cpu(d->addr), le32_to_cpu(d->len),
				   flags);
		if (unlikely(err))
			return err;
	}
	return 0;
}

/**
 * ring_last_of_run() - which request's used entry speaks for this one too
 * @r: the ring
 * @done: this request, the first one without an entry
 * @end: behind the last request to be returned
 *
 * Without VIRTIO_F_IN_ORDER, its own. With it, an entry that names a request
 * says that all before it, back to the last entry, were served whole: so a run
 * goes up to the first that was not (VIRTIO 1.2, 2.7.9 and 2.8.8).
 */
static __always_inline const struct ring_done *
ring_last_of_run(const struct ring *r, const struct ring_done *done,
		 const struct ring_done *end)
{
	if (unlikely(r->in_order))
		while (done->whole && done + 1 < end)
			done++;
	return done;
}

/* ring_table.c */
int ring_add_table(struct ring *r, struct ring_build *w, u64 addr, u32 len);

/* Append the segments of the indirect table that a descriptor names. */
static __always_inline int ring_add_indirect(struct ring *r,
					     struct ring_build *w, u64 addr,
					     u32 len, u16 flags)
{
	struct ring_build copy = *w; /* @w stays in registers */
	int err;

	/* The last of its chain (VIRTIO 1.2, 2.7.5.3.1 and 2.8.19). */
	if (unlikely(!r->indirect || flags & VRING_DESC_F_NEXT))
		return -EINVAL;
	err = ring_add_table(r, &copy, addr, len);
	*w = copy;
	return err;
}

#endif
