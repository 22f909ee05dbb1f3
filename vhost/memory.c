// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.c - guest memory: where it is, and the only code that touches it
 *
 * DOC: Theory of Operation
 *
 * Purpose: translate what a guest calls an address (guest-physical, or an IOVA
 * with VIRTIO_F_ACCESS_PLATFORM) to addresses of the owner; make the three
 * parts of a ring accessible; copy to and from scatter lists.
 *
 * The memory table (VHOST_SET_MEM_TABLE) is a vhost_iotlb that never changes
 * once it is in place: a new table replaces it, queue by queue, each under its
 * mutex. A pass therefore reads it without any other lock. The device IOTLB
 * (iotlb.c) changes in place, under a spinlock. Either way the range found last
 * is kept in shunt_vq.hit; whoever has taken a translation away then forgets it
 * there too, under the queue's mutex, before he says that it is gone.
 *
 * Ring pages: pinned for long (pin.c), charged to the owner's
 * RLIMIT_MEMLOCK, and mapped as one run of kernel addresses, so that the rings
 * are plain memory for as long as they are mapped. Where the limit or the kind
 * of memory refuses the pin, the ring is reached by user access instead:
 * slower, the same otherwise. A change of the memory table, or of an IOTLB
 * entry below a ring, lets go of the pages; the next pass looks them up anew.
 * A page that the VMM unmaps stays ours until then, and harms nobody.
 *
 * Data is never pinned here: it is copied with user access from a worker that
 * has borrowed the owner's address space, and may fault and sleep.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "shunt.h"

static unsigned int max_mem_regions = 4096;
module_param(max_mem_regions, uint, 0444);
MODULE_PARM_DESC(max_mem_regions,
		 "Most regions that a memory table may have (default 4096)");

static int find_range(struct shunt_vq *vq, u64 addr, u32 access)
{
	const struct vhost_iotlb_map *map;

	if (vq->iotlb)
		return shunt_iotlb_find(vq, addr, access);

	map = vq->umem ? vhost_iotlb_itree_first(vq->umem, addr, addr) : NULL;
	if (!map)
		return -EFAULT;
	shunt_vq_hit(vq, map);
	return 0;
}

/**
 * shunt_mem_translate() - find guest memory in the owner's address space
 * @vq: the queue
 * @addr: first byte, guest-physical or IOVA, any value
 * @len: number of bytes, any value
 * @access: VHOST_ACCESS_RO to read from it, VHOST_ACCESS_WO to write to it,
 *	VHOST_ACCESS_RW for both
 * @iov: filled in, one entry for each region that the range touches
 * @max: size of @iov
 *
 * Context: @vq->mutex held. Does not sleep.
 * Return: number of entries; -EINVAL when the range wraps around, -EFAULT when
 * part of it is no guest memory, -EPERM when it may not be accessed so,
 * -ENOBUFS when it takes more than @max entries, -EAGAIN when the IOTLB does
 * not know it: the VMM has been asked.
 */
int shunt_mem_translate(struct shunt_vq *vq, u64 addr, u64 len, u32 access,
			struct iovec *iov, u32 max)
{
	struct shunt_range *hit = &vq->hit;
	u32 nr = 0;

	if (unlikely(addr + len < addr))
		return -EINVAL;
	while (len) {
		u64 run;

		if (!hit->perm || addr < hit->start || addr > hit->last) {
			int err = find_range(vq, addr, access);

			if (unlikely(err))
				return err;
		}
		if (unlikely((hit->perm & access) != access))
			return -EPERM;
		if (unlikely(nr == max))
			return -ENOBUFS;
		run = min(len - 1, hit->last - addr) + 1;
		iov[nr].iov_base =
			u64_to_user_ptr(hit->addr + (addr - hit->start));
		iov[nr].iov_len = run;
		nr++;
		addr += run;
		len -= run;
	}
	return nr;
}

enum copy { COPY_READ, COPY_READ_PAGE, COPY_WRITE };

/* Copy between a scatter list and the kernel's memory. */
static __always_inline int copy_iov(const struct iovec *iov, u32 nr, size_t off,
				    void *buf, size_t len, const enum copy how)
{
	for (; len && nr; iov++, nr--) {
		unsigned long left;
		void __user *at;
		size_t run;

		if (off >= iov->iov_len) {
			off -= iov->iov_len;
			continue;
		}
		at = iov->iov_base + off;
		run = min(len, iov->iov_len - off);
		if (how == COPY_WRITE)
			left = copy_to_user(at, buf, run);
		else if (how == COPY_READ)
			left = copy_from_user(buf, at, run);
		else
			left = _copy_from_user(buf, at, run);
		if (left)
			return -EFAULT;
		off = 0;
		buf += run;
		len -= run;
	}
	return len ? -EFAULT : 0;
}

/**
 * shunt_mem_read() - copy from a scatter list
 * @iov: the list, addresses of the owner
 * @nr: number of its entries
 * @off: bytes to skip
 * @to: where to
 * @len: how many bytes
 *
 * Context: worker in the owner's address space; may sleep.
 * Return: 0, or -EFAULT: the list is too short or its memory is not there.
 */
int shunt_mem_read(const struct iovec *iov, u32 nr, size_t off, void *to,
		   size_t len)
{
	return copy_iov(iov, nr, off, to, len, COPY_READ);
}
EXPORT_SYMBOL_GPL(shunt_mem_read);

/**
 * shunt_mem_read_page() - copy from a scatter list to a page of ours
 * @iov: the list, addresses of the owner
 * @nr: number of its entries
 * @off: bytes to skip
 * @to: where to; from there on at least @len bytes are within pages that were
 *	allocated as such
 * @len: how many bytes
 *
 * For frames: hardened usercopy would look up at each copy what @to is part of, to
 * find that it stays within the pages, which the caller has seen to. That was a
 * tenth of what a small frame costs.
 *
 * Context and return: as shunt_mem_read().
 */
int shunt_mem_read_page(const struct iovec *iov, u32 nr, size_t off, void *to,
			size_t len)
{
	/* In nearly all lists it is in the first entry. */
	if (likely(nr && off + len <= iov->iov_len))
		return _copy_from_user(to, iov->iov_base + off, len) ? -EFAULT :
								       0;
	return copy_iov(iov, nr, off, to, len, COPY_READ_PAGE);
}
EXPORT_SYMBOL_GPL(shunt_mem_read_page);

/**
 * shunt_mem_write() - copy to a scatter list
 * @iov: the list, addresses of the owner
 * @nr: number of its entries
 * @off: bytes to skip
 * @from: where from
 * @len: how many bytes
 *
 * Context and return: as shunt_mem_read().
 */
int shunt_mem_write(const struct iovec *iov, u32 nr, size_t off,
		    const void *from, size_t len)
{
	return copy_iov(iov, nr, off, (void *)from, len, COPY_WRITE);
}
EXPORT_SYMBOL_GPL(shunt_mem_write);

/* Fill in area->user[]: the owner's address of each page of a ring's part. */
static int area_find(struct shunt_vq *vq, struct shunt_area *area, u32 size,
		     u32 access)
{
	u64 page = area->addr & PAGE_MASK;
	struct iovec iov;
	u32 i;

	/* The size may have been set after the address. */
	if (area->addr + size < area->addr)
		return -EFAULT;
	area->offset = offset_in_page(area->addr);
	area->nr = DIV_ROUND_UP(area->offset + size, PAGE_SIZE);
	area->user = kvmalloc_array(area->nr, sizeof(*area->user),
				    GFP_KERNEL_ACCOUNT);
	if (!area->user)
		return -ENOMEM;

	for (i = 0; i < area->nr; i++, page += PAGE_SIZE) {
		u32 from = i ? 0 : area->offset;
		u32 to = min_t(u64, PAGE_SIZE, area->addr + size - page);
		int nr;

		/* Without an IOMMU the VMM gives its own addresses. */
		if (!vq->iotlb) {
			area->user[i] = page;
			continue;
		}
		nr = shunt_mem_translate(vq, page + from, to - from, access,
					 &iov, 1);
		if (nr < 0)
			return nr;
		area->user[i] = (unsigned long)iov.iov_base - from;
		if (!IS_ALIGNED(area->user[i], PAGE_SIZE))
			return -EFAULT;
	}
	return 0;
}

/**
 * shunt_mem_unmap_ring() - let go of a ring's pages
 * @vq: the queue; the next pass maps them anew
 *
 * Context: @vq->mutex held, or the queue is nobody else's. May sleep.
 */
void shunt_mem_unmap_ring(struct shunt_vq *vq)
{
	u32 part;

	for (part = 0; part < RING_PARTS; part++) {
		struct shunt_area *area = &vq->area[part];

		vq->ring.map[part] = NULL;
		shunt_unpin_area(vq->dev, area);
		kvfree(area->user);
		area->user = NULL;
	}
	vq->mapped = false;
}

/**
 * shunt_mem_map_ring() - make a ring's three parts accessible
 * @vq: a queue with its size, addresses and features set
 *
 * Context: @vq->mutex held, running in the owner's address space. May sleep.
 * Return: 0; -EAGAIN when the VMM has been asked for a translation; or another
 * negative error number: the ring is not where the VMM says.
 */
int shunt_mem_map_ring(struct shunt_vq *vq)
{
	const u32 access[RING_PARTS] = {
		[RING_DESC] =
			vq->ring.packed ? VHOST_ACCESS_RW : VHOST_ACCESS_RO,
		[RING_DRIVER] = VHOST_ACCESS_RO,
		[RING_DEVICE] = VHOST_ACCESS_WO,
	};
	u32 part;
	int err;

	for (part = 0; part < RING_PARTS; part++) {
		err = area_find(vq, &vq->area[part],
				ring_part_size(&vq->ring, part, vq->num),
				access[part]);
		if (err)
			goto unmap;
	}
	vq->mapped = true;

	/* All or none; none is no error: user access then. */
	for (part = 0; part < RING_PARTS; part++)
		if (shunt_pin_area(vq->dev, &vq->area[part]))
			break;
	if (part < RING_PARTS) {
		while (part--)
			shunt_unpin_area(vq->dev, &vq->area[part]);
		return 0;
	}
	for (part = 0; part < RING_PARTS; part++)
		vq->ring.map[part] = vq->area[part].map + vq->area[part].offset;
	return 0;

unmap:
	shunt_mem_unmap_ring(vq);
	return err;
}

/* Where a byte of a ring's part is, and how many follow on the same page. */
static void __user *area_at(const struct shunt_area *area, u32 off, u32 *run)
{
	u32 at = area->offset + off;

	*run = PAGE_SIZE - offset_in_page(at);
	return (void __user *)(area->user[at >> PAGE_SHIFT] +
			       offset_in_page(at));
}

/* Copy between a ring's part and the kernel's memory; an index is copied whole. */
static int copy_area(struct ring *r, enum ring_part part, u32 off, void *buf,
		     u32 len, bool write)
{
	const struct shunt_vq *vq = container_of(r, struct shunt_vq, ring);
	unsigned long left;
	u32 run;

	for (; len; off += run, buf += run, len -= run) {
		void __user *at = area_at(&vq->area[part], off, &run);

		run = min(run, len);
		if (run == sizeof(u16))
			left = write ? put_user(*(u16 *)buf, (u16 __user *)at) :
				       get_user(*(u16 *)buf, (u16 __user *)at);
		else if (run == sizeof(u32))
			left = write ? put_user(*(u32 *)buf, (u32 __user *)at) :
				       get_user(*(u32 *)buf, (u32 __user *)at);
		else
			left = write ? copy_to_user(at, buf, run) :
				       copy_from_user(buf, at, run);
		if (left)
			return -EFAULT;
	}
	return 0;
}

int ring_env_read(struct ring *r, enum ring_part part, u32 off, void *to,
		  u32 len)
{
	return copy_area(r, part, off, to, len, false);
}

int ring_env_write(struct ring *r, enum ring_part part, u32 off,
		   const void *from, u32 len)
{
	return copy_area(r, part, off, (void *)from, len, true);
}

int ring_env_table(struct ring *r, u64 addr, void *to, u32 len)
{
	struct shunt_vq *vq = container_of(r, struct shunt_vq, ring);
	/* A chunk is smaller than a page, and so are few regions. */
	struct iovec iov[4];
	int nr = shunt_mem_translate(vq, addr, len, VHOST_ACCESS_RO, iov,
				     ARRAY_SIZE(iov));

	/* More regions than that are no table of a driver's making. */
	if (nr < 0)
		return nr == -ENOBUFS ? -EFAULT : nr;
	return shunt_mem_read(iov, nr, 0, to, len);
}

static int fill_table(struct vhost_iotlb *umem,
		      const struct vhost_memory_region *region, u32 nr)
{
	for (; nr; nr--, region++) {
		u64 start = region->guest_phys_addr;
		u64 last = start + region->memory_size - 1;
		int err;

		if (!region->memory_size || last < start ||
		    !access_ok(u64_to_user_ptr(region->userspace_addr),
			       region->memory_size))
			return -EFAULT;
		err = vhost_iotlb_add_range(umem, start, last,
					    region->userspace_addr,
					    VHOST_MAP_RW);
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

/**
 * shunt_mem_set_table() - VHOST_SET_MEM_TABLE
 * @dev: the device
 * @arg: struct vhost_memory of the caller
 *
 * The queues change over one after the other, each between two passes.
 *
 * Context: @dev->mutex held, the caller is the owner.
 * Return: 0; -EFAULT for memory that cannot be read or a region that is empty,
 * wraps around or is not the owner's, or when the dirty log does not cover it;
 * -EOPNOTSUPP for flags; -E2BIG for more than max_mem_regions; -ENOMEM; -EINTR
 * when the caller was killed.
 */
int shunt_mem_set_table(struct shunt_dev *dev, void __user *arg)
{
	struct vhost_memory_region *region;
	struct vhost_memory header;
	struct vhost_iotlb *umem;
	u32 i;
	int err;

	if (copy_from_user(&header, arg, sizeof(header)))
		return -EFAULT;
	if (header.padding)
		return -EOPNOTSUPP;
	if (header.nregions > max_mem_regions)
		return -E2BIG;
	region = vmemdup_user(arg + sizeof(header),
			      array_size(header.nregions, sizeof(*region)));
	if (IS_ERR(region))
		return PTR_ERR(region);

	err = -ENOMEM;
	umem = vhost_iotlb_alloc(header.nregions, 0);
	if (!umem)
		goto free_region;
	err = fill_table(umem, region, header.nregions);
	if (err)
		goto free_umem;
	err = -EFAULT;
	if (dev->features & BIT_ULL(VHOST_F_LOG_ALL) &&
	    !shunt_log_valid(umem, dev->log_base))
		goto free_umem;

	/* All come to rest first: who is killed meanwhile leaves no mixture. */
	err = shunt_dev_pause(dev);
	if (err)
		goto free_umem;
	for (i = 0; i < dev->nr_vqs; i++) {
		struct shunt_vq *vq = dev->vqs[i];

		shunt_vq_lock(vq);
		vq->umem = umem;
		vq->hit.perm = 0;
		shunt_mem_unmap_ring(vq);
		shunt_vq_unlock(vq);
	}
	spin_lock(&dev->lock);
	swap(dev->umem, umem);
	spin_unlock(&dev->lock);
	shunt_dev_resume(dev);
free_umem:
	vhost_iotlb_free(umem);
free_region:
	kvfree(region);
	return err;
}
