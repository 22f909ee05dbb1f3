// SPDX-License-Identifier: GPL-2.0-only
/*
 * dirty.c - the log of dirty pages, for live migration
 *
 * DOC: Theory of Operation
 *
 * Purpose: while the VMM migrates a guest it wants to know every page of guest
 * memory that the device writes. It gives a bitmap, one bit for each
 * VHOST_PAGE_SIZE bytes of guest-physical memory (VHOST_SET_LOG_BASE), and asks
 * for the log by VHOST_F_LOG_ALL for data and VHOST_VRING_F_LOG for a ring.
 *
 * Order: a bit is set after the memory was written and before the request is
 * returned, so that a VMM that takes the bitmap and then copies pages sees
 * either the new content or the bit. Bits are set atomically, because the VMM
 * clears them at the same time.
 *
 * With VIRTIO_F_ACCESS_PLATFORM what we know is an IOVA and the owner's
 * address; the latter is looked up backwards in the memory table. The same
 * memory may be there more than once: each place is logged.
 *
 * A log that cannot be written breaks the queue: to go on would lose memory.
 */
#include <linux/bitops.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "shunt.h"

/* Set the bits of pages @first to @last, inclusive. */
static int log_bits(u64 log_base, u64 first, u64 last)
{
	while (first <= last) {
		u64 at = log_base + first / BITS_PER_BYTE;
		u64 end = (at | ~PAGE_MASK) - log_base;
		struct page *page;
		void *map;

		/* The last page whose bit is on the same page of the log. */
		end = min(end * BITS_PER_BYTE + BITS_PER_BYTE - 1, last);
		if (at < log_base ||
		    pin_user_pages_fast(at, 1, FOLL_WRITE, &page) != 1)
			return -EFAULT;
		map = kmap_local_page(page);
		for (; first <= end; first++) {
			at = log_base + first / BITS_PER_BYTE;
			set_bit(offset_in_page(at) * BITS_PER_BYTE +
					first % BITS_PER_BYTE,
				map);
		}
		kunmap_local(map);
		unpin_user_pages_dirty_lock(&page, 1, true);
	}
	return 0;
}

static int log_gpa(struct shunt_vq *vq, u64 addr, u64 len)
{
	if (!len)
		return 0;
	if (addr + len - 1 < addr)
		return -EFAULT;
	return log_bits(vq->log_base, addr / VHOST_PAGE_SIZE,
			(addr + len - 1) / VHOST_PAGE_SIZE);
}

/* Log memory by the owner's address of it. */
static int log_user(struct shunt_vq *vq, u64 user, u64 len)
{
	const struct vhost_iotlb_map *map;
	u64 logged = 0;

	if (!len)
		return 0;
	if (!vq->umem)
		return -EFAULT;
	list_for_each_entry(map, &vq->umem->list, link) {
		u64 from = max(user, map->addr);
		u64 to = min(user + len, map->addr + map->size);
		int err;

		if (from >= to)
			continue;
		/* As often as the VMM has put the same memory into its table. */
		cond_resched();
		err = log_gpa(vq, map->start + (from - map->addr), to - from);
		if (err)
			return err;
		logged += to - from;
	}
	return logged < len ? -EFAULT : 0;
}

/**
 * shunt_log_iov() - log what was written to a scatter list
 * @vq: the queue, with VHOST_F_LOG_ALL
 * @iov: the list, addresses of the owner
 * @nr: number of its entries
 * @len: how many bytes were written, from its start
 *
 * Context and return: as shunt_log_req().
 */
int shunt_log_iov(struct shunt_vq *vq, const struct iovec *iov, u32 nr, u64 len)
{
	int err = 0;

	for (; nr && len && !err; iov++, nr--) {
		u64 run = min_t(u64, len, iov->iov_len);

		err = log_user(vq, (u64)(uintptr_t)iov->iov_base, run);
		len -= run;
	}
	return err;
}

/**
 * shunt_log_req() - log what was written for a request
 * @vq: the queue, with VHOST_F_LOG_ALL
 * @req: index of the request in the current batch
 * @len: how many bytes were written, from the start of its writable part
 *
 * Context: @vq->mutex held, in the owner's address space; may sleep.
 * Return: 0, or -EFAULT: the log or the guest's memory is not there.
 */
int shunt_log_req(struct shunt_vq *vq, u32 req, u64 len)
{
	const struct shunt_req *r = &vq->req[req];
	const struct ring_req *raw = &vq->batch.req[req];
	const struct ring_seg *seg = &vq->batch.seg[raw->seg + raw->out];
	u32 i;
	int err = 0;

	if (vq->iotlb)
		return shunt_log_iov(vq, r->iov + r->out, r->in, len);
	for (i = 0; i < raw->in && len && !err; i++) {
		u64 run = min_t(u64, len, seg[i].len);

		err = log_gpa(vq, seg[i].addr, run);
		len -= run;
	}
	return err;
}

/*
 * Log a write to a ring with VHOST_VRING_F_LOG. The VMM tells where in guest
 * memory the device area is; where the descriptor area of a packed ring is, only
 * the memory table knows.
 */
int ring_env_wrote(struct ring *r, enum ring_part part, u32 off, u32 len)
{
	struct shunt_vq *vq = container_of(r, struct shunt_vq, ring);
	const struct shunt_area *area = &vq->area[part];

	if (part == RING_DEVICE && !vq->iotlb)
		return log_gpa(vq, vq->log_addr + off, len);

	while (len) {
		u32 at = area->offset + off;
		u32 run = min_t(u32, len, PAGE_SIZE - offset_in_page(at));
		int err = log_user(
			vq, area->user[at >> PAGE_SHIFT] + offset_in_page(at),
			run);

		if (err)
			return err;
		off += run;
		len -= run;
	}
	return 0;
}

/* Whether the bitmap can hold the bits of a range of guest memory. */
static bool covers(u64 log_base, u64 start, u64 last)
{
	u64 from = start / VHOST_PAGE_SIZE / BITS_PER_BYTE;
	u64 to = last / VHOST_PAGE_SIZE / BITS_PER_BYTE;

	return log_base + to >= log_base &&
	       access_ok(u64_to_user_ptr(log_base + from), to - from + 1);
}

/**
 * shunt_log_valid() - whether a bitmap at this address can cover guest memory
 * @umem: the memory table or NULL
 * @log_base: the owner's address of the bitmap
 *
 * Checks the address only: whether memory is there is seen when it is used.
 */
bool shunt_log_valid(struct vhost_iotlb *umem, u64 log_base)
{
	const struct vhost_iotlb_map *map;

	if (!umem)
		return true;
	list_for_each_entry(map, &umem->list, link)
		if (!covers(log_base, map->start, map->last))
			return false;
	return true;
}

/**
 * shunt_log_ring_valid() - whether a bitmap can cover a queue's device area
 * @vq: the queue; its size is set
 * @log_base: the owner's address of the bitmap
 * @log_addr: guest-physical address of the device area
 */
bool shunt_log_ring_valid(struct shunt_vq *vq, u64 log_base, u64 log_addr)
{
	u64 last =
		log_addr + ring_part_size(&vq->ring, RING_DEVICE, vq->num) - 1;

	return last >= log_addr && covers(log_base, log_addr, last);
}
