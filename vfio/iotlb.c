// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotlb.c - messages of the owner put memory into the IOMMU
 *
 * DOC: Theory of Operation
 *
 * Purpose: IOTLB messages (VHOST_IOTLB_UPDATE, VHOST_IOTLB_INVALIDATE of
 * <linux/vhost.h>), written to the node, put memory of the owner into the IOMMU
 * domain of the function and take it out again. There are no misses: what is not
 * mapped, the IOMMU blocks.
 *
 * An update is charged to RLIMIT_MEMLOCK as a whole, then pinned in batches of a
 * page of pointers, and mapped in runs that are as long as physical memory is
 * contiguous, but do not cross a multiple of 1 GiB: so that each call of the
 * IOMMU is bounded and can use its largest pages. Pinning is without svfio.lock,
 * for as long as the owner's memory takes to come; what came is added under it.
 * Meanwhile the mapping is in the tree (its range is taken) and busy: it can be
 * torn down by whoever gives up the device, then it is dead, and freed by the
 * update; it cannot be invalidated (-EBUSY).
 *
 * Pages are unpinned when the IOMMU does not map them any more, and without
 * svfio.lock (svfio_dma_settle()): that waits for locks of pages, and so for
 * whoever serves the file that they are of.
 *
 * An invalidation removes the mappings that are in its range. One that is only
 * partly in it is not split, since it may be one large page to the IOMMU: then
 * nothing is removed. When it returns 0, the function does not reach the range.
 *
 * Which pages belong to a mapping is kept as runs, of 16 bytes at most for each
 * page that is pinned, in pages charged to the owner's cgroup.
 *
 * Batches (VHOST_IOTLB_BATCH_BEGIN, _END) change nothing: each message takes
 * effect at once.
 */
#include <linux/highmem.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat.h"
#include "vfio.h"

/* A run crosses no multiple of this many pages of IOVA. */
#define RUN_PAGES (SZ_1G >> PAGE_SHIFT)
#define BATCH_PAGES (PAGE_SIZE / sizeof(struct page *))

/* Physically contiguous pages. */
struct run {
	unsigned long pfn;
	unsigned long nr;
};

#define RUNS_IN_BLOCK                                                          \
	((PAGE_SIZE - sizeof(struct list_head) - sizeof(u64)) /                \
	 sizeof(struct run))

/* @written: the function may have written to these pages. */
struct run_block {
	struct list_head link;
	u32 nr;
	bool written;
	struct run run[RUNS_IN_BLOCK];
};
static_assert(sizeof(struct run_block) <= PAGE_SIZE);

/*
 * A range of IOVAs and the pages behind it. Its runs follow each other; all of
 * them but perhaps the last are in the IOMMU, which are the first @mapped pages.
 * @nr pages are charged.
 */
struct svfio_map {
	struct rb_node node;
	u64 first;
	u64 last;
	int prot;
	bool busy;
	bool dead;
	unsigned long nr;
	unsigned long mapped;
	unsigned long pinned;
	struct list_head blocks;
};

/* The first mapping that ends at @iova or behind it. Context: svfio.lock held. */
static struct svfio_map *map_from(const struct svfio_dma *dma, u64 iova)
{
	struct rb_node *node = dma->maps.rb_node;
	struct svfio_map *found = NULL;

	while (node) {
		struct svfio_map *map = rb_entry(node, struct svfio_map, node);

		if (map->last >= iova) {
			found = map;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

static struct svfio_map *map_next(struct svfio_map *map)
{
	return rb_entry_safe(rb_next(&map->node), struct svfio_map, node);
}

/* Context: svfio.lock held; no mapping overlaps @new. */
static void map_insert(struct svfio_dma *dma, struct svfio_map *new)
{
	struct rb_node **link = &dma->maps.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = new->first < rb_entry(parent, struct svfio_map, node)
					       ->first ?
			       &parent->rb_left :
			       &parent->rb_right;
	}
	rb_link_node(&new->node, parent, link);
	rb_insert_color(&new->node, &dma->maps);
	dma->nr_maps++;
}

/* Take the mapped pages of a mapping out of the IOMMU, by at most 1 GiB. */
static void unmap_iommu(struct svfio *dev, struct svfio_map *map)
{
	u64 iova = map->first;
	u64 left = (u64)map->mapped << PAGE_SHIFT;

	while (left) {
		size_t size = min(left, SZ_1G - (iova & (SZ_1G - 1)));
		size_t done = iommu_unmap(dev->dma.domain, iova, size);

		if (done < size)
			dev_err_ratelimited(
				&dev->dev,
				"%zu of %zu bytes at 0x%llx were mapped\n",
				done, size, iova);
		iova += size;
		left -= size;
		cond_resched();
	}
	dev->dma.mapped -= map->mapped;
	map->mapped = 0;
}

/**
 * svfio_iotlb_unpin() - unpin what the IOMMU does not map any more
 * @blocks: of struct run_block; empty afterwards
 *
 * Context: process context, no lock held. A page that the function may have
 * written is marked dirty, under its lock, which belongs to whoever serves the
 * file that it is of (FUSE): that may take as long as he likes.
 */
void svfio_iotlb_unpin(struct list_head *blocks)
{
	struct run_block *block, *next;
	u32 i;

	list_for_each_entry_safe(block, next, blocks, link) {
		for (i = 0; i < block->nr; i++) {
			unpin_user_page_range_dirty_lock(
				pfn_to_page(block->run[i].pfn),
				block->run[i].nr, block->written);
			cond_resched();
		}
		list_del(&block->link);
		free_page((unsigned long)block);
	}
}

/* Forget a mapping. Context: svfio.lock held; svfio_dma_settle() follows. */
static void map_remove(struct svfio *dev, struct svfio_map *map)
{
	unmap_iommu(dev, map);
	list_splice_tail_init(&map->blocks, &dev->dma.unmapped);
	dev->dma.pinned -= map->pinned;
	map->pinned = 0;
	rb_erase(&map->node, &dev->dma.maps);
	dev->dma.nr_maps--;
	dev->dma.owed += map->nr;
	if (map->busy)
		map->dead = true;
	else
		kfree(map);
}

static struct run *last_run(struct svfio_map *map)
{
	struct run_block *block;

	if (list_empty(&map->blocks))
		return NULL;
	block = list_last_entry(&map->blocks, struct run_block, link);
	return block->nr ? &block->run[block->nr - 1] : NULL;
}

/* Put the last run into the IOMMU. Context: svfio.lock held. */
static int map_last_run(struct svfio *dev, struct svfio_map *map)
{
	struct run *run = last_run(map);
	u64 iova = map->first + ((u64)map->mapped << PAGE_SHIFT);
	int err;

	if (!run)
		return 0;
	err = svfio_tables_use(&dev->dma, iova, (u64)run->nr << PAGE_SHIFT);
	if (err)
		return err;
	err = compat_iommu_map(dev->dma.domain, iova, PFN_PHYS(run->pfn),
			       run->nr << PAGE_SHIFT, map->prot);
	if (!err) {
		map->mapped += run->nr;
		dev->dma.mapped += run->nr;
	}
	return err;
}

/* Begin a run with one page. */
static int add_run(struct svfio_map *map, unsigned long pfn)
{
	struct run_block *block =
		list_empty(&map->blocks) ?
			NULL :
			list_last_entry(&map->blocks, struct run_block, link);

	if (!block || block->nr == RUNS_IN_BLOCK) {
		block = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
		if (!block)
			return -ENOMEM;
		block->nr = 0;
		block->written = map->prot & IOMMU_WRITE;
		list_add_tail(&block->link, &map->blocks);
	}
	block->run[block->nr++] = (struct run){ .pfn = pfn, .nr = 1 };
	return 0;
}

/*
 * Add pinned pages to a mapping; those that are not taken are unpinned.
 * Context: svfio.lock held.
 */
static int map_add(struct svfio *dev, struct svfio_map *map,
		   struct page **pages, unsigned long nr)
{
	unsigned long i;
	int err = map->dead ? -ENODEV : 0;

	for (i = 0; i < nr && !err; i++) {
		struct run *run = last_run(map);
		unsigned long pfn = page_to_pfn(pages[i]);
		u64 at = (map->first >> PAGE_SHIFT) + map->pinned;

		if (run && run->pfn + run->nr == pfn && at % RUN_PAGES) {
			run->nr++;
		} else {
			err = map_last_run(dev, map);
			if (!err)
				err = add_run(map, pfn);
			if (err)
				break;
		}
		map->pinned++;
		dev->dma.pinned++;
	}
	if (!err && map->pinned == map->nr)
		err = map_last_run(dev, map);
	if (i < nr)
		unpin_user_pages(pages + i, nr - i);
	return err;
}

/* Pin what is behind a mapping, and map it. Context: svfio.lock not held. */
static int map_fill(struct svfio *dev, struct svfio_map *map, u64 uaddr)
{
	unsigned int flags =
		FOLL_LONGTERM | (map->prot & IOMMU_WRITE ? FOLL_WRITE : 0);
	struct page **pages = (void *)__get_free_page(GFP_KERNEL);
	unsigned long done = 0;
	int err = pages ? 0 : -ENOMEM;

	while (!err && done < map->nr) {
		unsigned long want = min(map->nr - done, BATCH_PAGES);
		int got;

		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		got = pin_user_pages_fast(uaddr + (done << PAGE_SHIFT), want,
					  flags, pages);
		if (got <= 0) {
			err = got ?: -EFAULT;
			break;
		}
		mutex_lock(&dev->lock);
		err = map_add(dev, map, pages, got);
		mutex_unlock(&dev->lock);
		done += got;
		cond_resched();
	}
	free_page((unsigned long)pages);
	return err;
}

/* Whether the caller may send messages. Context: svfio.lock held. */
static int check_owner(const struct svfio *dev)
{
	if (dev->state != SVFIO_BOUND)
		return -ENODEV;
	return dev->dma.mm && dev->dma.mm == current->mm ? 0 : -EPERM;
}

/* Enter a mapping, busy, without memory. Context: svfio.lock held. */
static int map_enter(struct svfio *dev, struct svfio_map *map)
{
	struct svfio_map *next = map_from(&dev->dma, map->first);
	int err = check_owner(dev);

	if (err)
		return err;
	if (!svfio_dma_range_valid(&dev->dma, map->first, map->last))
		return -EINVAL;
	if (next && next->first <= map->last)
		return -EEXIST;
	if (dev->dma.nr_maps >= SVFIO_MAPS_MAX)
		return -ENOSPC;
	map->busy = true;
	map_insert(&dev->dma, map);
	return 0;
}

static int update(struct svfio *dev, const struct vhost_iotlb_msg *msg)
{
	struct svfio_map *map;
	int err;

	if (!(msg->perm & VHOST_ACCESS_RW) || msg->perm & ~VHOST_ACCESS_RW ||
	    !PAGE_ALIGNED(msg->iova | msg->size | msg->uaddr))
		return -EINVAL;
	if (!access_ok(u64_to_user_ptr(msg->uaddr), msg->size))
		return -EFAULT;
	map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;
	INIT_LIST_HEAD(&map->blocks);
	map->first = msg->iova;
	map->last = msg->iova + (msg->size - 1);
	map->nr = msg->size >> PAGE_SHIFT;
	map->prot = IOMMU_CACHE;
	if (msg->perm & VHOST_ACCESS_RO)
		map->prot |= IOMMU_READ;
	if (msg->perm & VHOST_ACCESS_WO)
		map->prot |= IOMMU_WRITE;

	err = svfio_dma_charge(&dev->dma, map->nr);
	if (err)
		goto free;
	mutex_lock(&dev->lock);
	err = map_enter(dev, map);
	if (err)
		dev->dma.owed += map->nr;
	mutex_unlock(&dev->lock);
	if (err)
		goto uncharge;

	err = map_fill(dev, map, msg->uaddr);
	mutex_lock(&dev->lock);
	map->busy = false;
	if (map->dead) {
		err = -ENODEV;
	} else if (err) {
		map->busy = true;
		map_remove(dev, map);
	}
	mutex_unlock(&dev->lock);
	if (!err)
		return 0;
uncharge:
	svfio_dma_settle(dev);
free:
	kfree(map);
	return err;
}

/* Context: svfio.lock held. */
static int invalidate(struct svfio *dev, u64 first, u64 last)
{
	struct svfio_map *map, *next;

	for (map = map_from(&dev->dma, first); map && map->first <= last;
	     map = map_next(map)) {
		if (map->first < first || map->last > last)
			return -EINVAL;
		if (map->busy)
			return -EBUSY;
	}
	for (map = map_from(&dev->dma, first); map && map->first <= last;
	     map = next) {
		next = map_next(map);
		map_remove(dev, map);
	}
	return 0;
}

/* The message's body, copied in; its size, or a negative error number. */
static ssize_t read_message(struct iov_iter *from, struct vhost_iotlb_msg *body)
{
	size_t size = iov_iter_count(from);
	union {
		u32 type;
		struct vhost_msg v1;
		struct vhost_msg_v2 v2;
	} msg = {};

	if (size < sizeof(msg.v1))
		return -EINVAL;
	size = min(size, sizeof(msg));
	if (!copy_from_iter_full(&msg, size, from))
		return -EFAULT;
	if (msg.type == VHOST_IOTLB_MSG) {
		*body = msg.v1.iotlb;
		return sizeof(msg.v1);
	}
	if (msg.type != VHOST_IOTLB_MSG_V2 || size < sizeof(msg.v2) ||
	    msg.v2.asid)
		return -EINVAL;
	*body = msg.v2.iotlb;
	return sizeof(msg.v2);
}

/**
 * svfio_iotlb_message() - take an IOTLB message from the owner
 * @dev: the device
 * @from: struct vhost_msg or struct vhost_msg_v2, told apart by its type
 *
 * Context: process context, svfio.lock not held; sleeps for as long as the
 * owner's memory takes to come, killably.
 * Return: the size of the message; or
 * -EINVAL: it is cut short, or of another type, or for another address space
 *	than 0; the range is empty, wraps around, is outside the IOVA range or
 *	touches a reserved region, is not of whole pages; or of an invalidation
 *	it has a part of a mapping only;
 * -EFAULT: the memory is not the owner's, or cannot be pinned;
 * -EEXIST: some of the range is mapped; -ENOSPC: too many mappings, or page
 *	tables (tables.c);
 * -EBUSY: an invalidation of what is just being mapped;
 * -ENOMEM: that, or RLIMIT_MEMLOCK;
 * -EPERM: the caller is not the owner; -ENODEV: the function is gone;
 * -EINTR: the caller is killed.
 */
ssize_t svfio_iotlb_message(struct svfio *dev, struct iov_iter *from)
{
	struct vhost_iotlb_msg msg;
	ssize_t size = read_message(from, &msg);
	int err;

	if (size < 0)
		return size;
	if (mutex_lock_killable(&dev->lock))
		return -EINTR;
	err = check_owner(dev);
	mutex_unlock(&dev->lock);
	if (err)
		return err;
	if (msg.type == VHOST_IOTLB_BATCH_BEGIN ||
	    msg.type == VHOST_IOTLB_BATCH_END)
		return size;
	if (!msg.size || msg.iova + (msg.size - 1) < msg.iova)
		return -EINVAL;
	switch (msg.type) {
	case VHOST_IOTLB_UPDATE:
		err = update(dev, &msg);
		break;
	case VHOST_IOTLB_INVALIDATE:
		if (mutex_lock_killable(&dev->lock))
			return -EINTR;
		err = check_owner(dev);
		if (!err)
			err = invalidate(dev, msg.iova,
					 msg.iova + (msg.size - 1));
		mutex_unlock(&dev->lock);
		svfio_dma_settle(dev);
		break;
	default:
		err = -EINVAL;
	}
	return err ?: size;
}

/**
 * svfio_iotlb_clear() - remove all mappings
 * @dev: the device, with a domain
 *
 * Context: svfio.lock held; svfio_dma_settle() follows.
 */
void svfio_iotlb_clear(struct svfio *dev)
{
	struct rb_node *node;

	while ((node = rb_first(&dev->dma.maps)))
		map_remove(dev, rb_entry(node, struct svfio_map, node));
}
