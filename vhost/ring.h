/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ring.h - the verbs of a virtqueue as its device sees it
 *
 * DOC: Theory of Operation
 *
 * Purpose: take requests off a virtqueue that lives in a driver's memory and
 * give them back, in batches, whatever the layout of the virtqueue is. The
 * device side of VIRTIO 1.2, section 2.6 (virtqueues) and the section of the
 * layout: 2.7 for split (ring_split.c), 2.8 for packed (ring_packed.c).
 *
 * Non-goals: a ring knows no device, no worker, no file descriptor and no
 * address space. It does not translate the addresses that it hands out and it
 * does not sleep by itself. These files compile unchanged in userspace.
 *
 * Objects: a struct ring is embedded in whatever owns the queue and is
 * serialised by that owner (in the kernel: the mutex of the struct shunt_vq).
 * A struct ring_batch belongs to the same owner; its arrays outlive it.
 *
 * Data flow: ring_fetch() copies descriptors into ring_batch.seg[] (address and
 * length as the driver wrote them, in the driver's address space) and names
 * each request in ring_batch.req[]. The owner serves the requests and returns
 * them with ring_push(); ring_need_signal() says whether the driver wants to
 * hear of it. ring_suppress() and ring_unsuppress() switch the driver's kicks.
 *
 * What the surroundings provide: the functions named ring_env_*(). While
 * ring.map[] is set the three parts of the ring are plain memory; where it is
 * not, every access goes through ring_env_read() and ring_env_write(), which
 * may sleep and may fail.
 *
 * Trust: everything in the three parts and in indirect tables is the driver's
 * and may change under our hands. Each word is used as it was read once. Each number
 * taken from it is bounded before it is used, and clamped against speculation where
 * it indexes. No loop is longer than the ring or than RING_TABLE_MAX. A driver
 * that breaks the rules gets an error from ring_fetch(), on which the owner
 * stops the queue; it achieves nothing else.
 */
#ifndef SHUNT_RING_H
#define SHUNT_RING_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/nospec.h>
#include <linux/types.h>
#include <linux/virtio_byteorder.h>
#include <uapi/linux/virtio_ring.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>

/** The largest number of descriptors of a ring (VIRTIO 1.2, 2.7 and 2.8.10.1). */
#define RING_NUM_MAX 32768u

/** The largest number of descriptors that an indirect table may have. */
#define RING_TABLE_MAX 65536u

/** The three parts of a virtqueue (VIRTIO 1.2, 2.6: the areas). */
enum ring_part {
	RING_DESC, /* descriptor area; of a packed ring we write it too */
	RING_DRIVER, /* driver area: available ring, or event suppression */
	RING_DEVICE, /* device area: used ring, or event suppression; we write */
	RING_PARTS,
};

/**
 * struct ring - the device's view of one virtqueue
 * @map: the parts as plain memory, all three set or all three NULL
 * @num: number of descriptors, up to RING_NUM_MAX; of a split ring a power of
 *	two
 * @packed: VIRTIO_F_RING_PACKED was negotiated
 * @indirect: VIRTIO_F_INDIRECT_DESC was negotiated
 * @event_idx: VIRTIO_F_EVENT_IDX was negotiated
 * @in_order: VIRTIO_F_IN_ORDER was negotiated: the owner returns requests in the
 *	order in which it fetched them
 * @notify_on_empty: VIRTIO_F_NOTIFY_ON_EMPTY was negotiated (legacy, split)
 * @little_endian: byte order of the ring; always set with VIRTIO_F_VERSION_1 and
 *	for a packed ring
 * @log: tell ring_env_wrote() of every write (live migration)
 * @avail_wrap: packed: the driver's wrap counter at @next_avail
 * @used_wrap: packed: our wrap counter at @next_used
 * @next_avail: place of the next request to fetch: an index that runs freely
 *	(split), a descriptor (packed)
 * @next_used: place of the next request to return, likewise
 * @avail_idx: split: the driver's index as last seen
 * @ahead: packed: how many descriptors from @next_avail on were fetched once
 *	and put back
 * @in_flight: what was fetched and not returned, in requests (split) or in
 *	descriptors (packed)
 * @unsignalled: what was returned since ring_need_signal() was asked last,
 *	likewise; RING_UNSIGNALLED_ALL and more: the driver is signalled in any case
 * @flags: what we last wrote to the used ring's flags (split), or to the flags
 *	of the device event suppression structure (packed)
 */
struct ring {
	void *map[RING_PARTS];
	u32 num;
	bool packed;
	bool indirect;
	bool event_idx;
	bool in_order;
	bool notify_on_empty;
	bool little_endian;
	bool log;
	bool avail_wrap;
	bool used_wrap;
	u16 next_avail;
	u16 next_used;
	u16 avail_idx;
	u16 ahead;
	u16 in_flight;
	u16 flags;
	u32 unsignalled;
};

#define RING_UNSIGNALLED_ALL 65536u

/** ring_base() of a packed ring at its beginning: both wrap counters are 1. */
#define RING_PACKED_BASE 0x80008000u

/**
 * struct ring_seg - one piece of a request, as the driver described it
 * @addr: address in the driver's address space, not checked
 * @len: length in bytes, any value, 0 included, not checked
 * @rest: for the ring: what else there is in a descriptor, so that one can be read
 *	right to where it goes
 */
struct ring_seg {
	u64 addr;
	u32 len;
	u32 rest;
};

/**
 * struct ring_req - one request
 * @id: names it to the driver when it is returned; below ring.num in a split
 *	ring, any number in a packed one
 * @slots: how much of the ring it takes: descriptors of a packed ring, 1 of a
 *	split one
 * @seg: index of its first segment in the batch
 * @out: number of segments that the device reads; they come first
 * @in: number of segments that the device writes
 */
struct ring_req {
	u16 id;
	u16 slots;
	u32 seg;
	u16 out;
	u16 in;
};

/**
 * struct ring_batch - requests that were fetched together
 * @req: the requests; the owner's array of @max_req entries
 * @seg: their segments; the owner's array of @max_seg entries
 * @nr_req: how many requests there are
 * @nr_seg: how many segments there are
 * @err: what is wrong with the request behind the last one, or 0
 * @full: there is a request behind the last one for whose segments there was no
 *	room
 * @max_req: size of @req
 * @max_seg: size of @seg, and the largest number of segments of a request;
 *	at most 65,535
 */
struct ring_batch {
	struct ring_req *req;
	struct ring_seg *seg;
	u32 nr_req;
	u32 nr_seg;
	int err;
	bool full;
	u32 max_req;
	u32 max_seg;
};

/**
 * struct ring_done - one request to be returned
 * @id: ring_req.id
 * @slots: ring_req.slots
 * @len: number of bytes written into its device-writable segments
 * @whole: all of these were written, or there are none: with in_order such a
 *	request need not be returned by itself (VIRTIO 1.2, 2.7.9 and 2.8.8)
 */
struct ring_done {
	u16 id;
	u16 slots;
	u32 len;
	bool whole;
};

/*
 * What a ring asks of its surroundings. @part and @off name a place in the
 * ring; the caller never goes beyond ring_part_size(). All return 0 or a
 * negative error number. Context: that of the verb that was called; may sleep.
 * A piece of 2 or 4 bytes that is aligned to its size is read and written whole.
 */
int ring_env_read(struct ring *r, enum ring_part part, u32 off, void *to,
		  u32 len);
int ring_env_write(struct ring *r, enum ring_part part, u32 off,
		   const void *from, u32 len);
/*
 * Reads driver memory outside of the ring: an indirect table, not checked. Never
 * returns -ENOBUFS, which says that a batch is full.
 */
int ring_env_table(struct ring *r, u64 addr, void *to, u32 len);
/* Told after each write to the ring while ring.log is set. */
int ring_env_wrote(struct ring *r, enum ring_part part, u32 off, u32 len);

int split_start(struct ring *r);
int split_fetch(struct ring *r, struct ring_batch *b, u32 max);
int split_push(struct ring *r, const struct ring_done *done, u32 n);
int split_suppress(struct ring *r);
int split_unsuppress(struct ring *r);
int split_pending(struct ring *r);
int split_need_signal(struct ring *r);

void packed_set_base(struct ring *r, u32 base);
int packed_start(struct ring *r);
int packed_fetch(struct ring *r, struct ring_batch *b, u32 max);
void packed_unfetch(struct ring *r, u32 slots);
int packed_push(struct ring *r, const struct ring_done *done, u32 n);
int packed_suppress(struct ring *r);
int packed_unsuppress(struct ring *r);
int packed_pending(struct ring *r);
int packed_need_signal(struct ring *r);

/**
 * ring_part_size() - how many bytes of a part are the ring's
 * @r: a ring whose features are set
 * @part: which part
 * @num: number of descriptors
 *
 * The event word behind a split ring exists only with VIRTIO_F_EVENT_IDX.
 * VIRTIO 1.2, 2.7 and 2.8.
 */
static inline u32 ring_part_size(const struct ring *r, enum ring_part part,
				 u32 num)
{
	u32 event = r->event_idx ? sizeof(__virtio16) : 0;

	if (part == RING_DESC)
		return num * sizeof(struct vring_desc);
	if (r->packed)
		return sizeof(struct vring_packed_desc_event);
	if (part == RING_DRIVER)
		return sizeof(struct vring_avail) + num * sizeof(__virtio16) +
		       event;
	return sizeof(struct vring_used) +
	       num * sizeof(struct vring_used_elem) + event;
}

/**
 * ring_part_align() - what the address of a part is a multiple of, in bytes
 * @r: a ring whose layout is set
 * @part: which part
 *
 * VIRTIO 1.2, 2.7 and 2.8.
 */
static inline u32 ring_part_align(const struct ring *r, enum ring_part part)
{
	if (part == RING_DESC)
		return VRING_DESC_ALIGN_SIZE;
	if (part == RING_DRIVER && !r->packed)
		return VRING_AVAIL_ALIGN_SIZE;
	return VRING_USED_ALIGN_SIZE;
}

/**
 * ring_num_valid() - whether a ring may have this many descriptors
 * @r: a ring whose layout is set
 * @num: any number
 */
static inline bool ring_num_valid(const struct ring *r, u32 num)
{
	return num && num <= RING_NUM_MAX && (r->packed || !(num & (num - 1)));
}

/**
 * ring_base() - where a ring is, as VHOST_GET_VRING_BASE has it
 * @r: a ring
 *
 * Split: the index of the next request to fetch. Packed: that descriptor in
 * bits 0 to 14, the driver's wrap counter in bit 15; the next descriptor to
 * return in bits 16 to 30 and our wrap counter in bit 31.
 */
static inline u32 ring_base(const struct ring *r)
{
	if (!r->packed)
		return r->next_avail;
	return r->next_avail | (u32)r->avail_wrap << 15 |
	       (u32)r->next_used << 16 | (u32)r->used_wrap << 31;
}

/**
 * ring_set_base() - place a ring that is not started
 * @r: a ring whose layout is set
 * @base: as from ring_base(); ring_start() says whether it makes sense
 */
static inline void ring_set_base(struct ring *r, u32 base)
{
	if (r->packed)
		packed_set_base(r, base);
	else
		r->next_avail = base;
}

/**
 * ring_start() - begin to serve a ring at its base
 * @r: a ring whose parts are accessible, whose size and features are set
 *
 * Of a split ring, takes the place of the next request to return from the ring
 * itself. Tells the driver that kicks are wanted.
 *
 * Return: 0; -EINVAL: the base is no place in this ring; or a negative error
 * number: the ring's memory is not accessible.
 */
static inline int ring_start(struct ring *r)
{
	return r->packed ? packed_start(r) : split_start(r);
}

/**
 * ring_fetch() - take requests off the ring
 * @r: a started ring
 * @b: where they go; what was in it is forgotten
 * @max: how many at the most
 *
 * Stops early when @b is full. A request that is malformed, or that names
 * memory that cannot be read, ends the batch before it, and @b->err says so; when
 * it comes first the error is returned, and the ring stays where it was.
 *
 * Return: the number of requests, 0 when there are none; -EINVAL when the
 * driver broke the rules of the ring, -ENOBUFS when a request has more
 * than @b->max_seg segments, empty ones included, or what ring_env_read() or
 * ring_env_table() returned.
 */
static inline int ring_fetch(struct ring *r, struct ring_batch *b, u32 max)
{
	return r->packed ? packed_fetch(r, b, max) : split_fetch(r, b, max);
}

/**
 * ring_unfetch() - put back the last requests of a batch
 * @r: the ring
 * @b: the batch that was fetched last; it is shorter then
 * @n: how many; they are fetched again next time, in the same order
 */
static inline void ring_unfetch(struct ring *r, struct ring_batch *b, u32 n)
{
	u32 slots = 0;

	if (!r->packed) {
		r->next_avail -= n;
		r->in_flight -= n;
		b->nr_req -= n;
		return;
	}
	while (n--)
		slots += b->req[--b->nr_req].slots;
	packed_unfetch(r, slots);
}

/**
 * ring_push() - return requests to the driver, in the order given
 * @r: the ring
 * @done: the requests
 * @n: how many, no more than were fetched
 *
 * Return: 0, or a negative error number: the ring's memory is not accessible.
 */
static inline int ring_push(struct ring *r, const struct ring_done *done, u32 n)
{
	return r->packed ? packed_push(r, done, n) : split_push(r, done, n);
}

/**
 * ring_suppress() - ask the driver not to kick
 * @r: the ring
 *
 * A hint: kicks may still come.
 *
 * Return: 0 or a negative error number, as ring_push().
 */
static inline int ring_suppress(struct ring *r)
{
	return r->packed ? packed_suppress(r) : split_suppress(r);
}

/**
 * ring_unsuppress() - ask the driver to kick at its next request
 * @r: the ring
 *
 * The next one is the first that we have not seen: there may be some that we
 * have seen and not fetched, or put back because they were too few.
 *
 * Return: 1 when requests came in the meantime, for which no kick will come;
 * 0 when there are none; or a negative error number, as ring_fetch().
 */
static inline int ring_unsuppress(struct ring *r)
{
	return r->packed ? packed_unsuppress(r) : split_unsuppress(r);
}

/**
 * ring_pending() - whether there is something to fetch
 * @r: the ring
 *
 * Return: 1 or 0, or a negative error number, as ring_fetch().
 */
static inline int ring_pending(struct ring *r)
{
	return r->packed ? packed_pending(r) : split_pending(r);
}

/**
 * ring_need_signal() - whether the driver wants to know of what was pushed
 * @r: the ring
 *
 * To be asked once after one or more ring_push().
 *
 * Return: 1 or 0, or a negative error number, as ring_push().
 */
static inline int ring_need_signal(struct ring *r)
{
	return r->packed ? packed_need_signal(r) : split_need_signal(r);
}

#endif
