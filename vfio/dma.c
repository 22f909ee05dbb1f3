// SPDX-License-Identifier: GPL-2.0-only
/*
 * dma.c - the IOMMU domain of a function, and whose memory is in it
 *
 * The domain is there while the node is open; without it the group is in the
 * blocking domain, since its DMA is owned by us. What is in the domain is
 * iotlb.c's. Pages are charged to the owner's RLIMIT_MEMLOCK before they are
 * pinned, and given back after they are unpinned, to its mm_struct, also when
 * its address space is gone.
 */
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "compat.h"
#include "vfio.h"

/**
 * svfio_dma_charge() - charge pages to the owner, who is the caller
 * @dma: with an owner
 * @nr: how many
 *
 * Context: process context, svfio.lock not held.
 * Return: 0, -ENOMEM when they are too many, -EINTR.
 */
int svfio_dma_charge(const struct svfio_dma *dma, unsigned long nr)
{
	int err;

	if (mmap_write_lock_killable(dma->mm))
		return -EINTR;
	err = __account_locked_vm(dma->mm, nr, true, dma->task, dma->can_lock);
	mmap_write_unlock(dma->mm);
	return err;
}

/**
 * svfio_dma_owed() - what the owner is to get back
 * @dma: with an owner, or without
 * @debt: for svfio_debt_settle(); it has references of its own
 *
 * Context: svfio.lock held.
 */
void svfio_dma_owed(struct svfio_dma *dma, struct svfio_debt *debt)
{
	INIT_LIST_HEAD(&debt->unmapped);
	list_splice_init(&dma->unmapped, &debt->unmapped);
	debt->charged = dma->owed;
	dma->owed = 0;
	if (!debt->charged)
		return;
	debt->mm = dma->mm;
	mmgrab(debt->mm);
	debt->task = get_task_struct(dma->task);
}

/**
 * svfio_debt_settle() - unpin pages and uncharge them
 * @debt: what svfio_dma_owed() found
 *
 * Context: process context, no lock held: see svfio_iotlb_unpin().
 */
void svfio_debt_settle(struct svfio_debt *debt)
{
	/* What is pinned is charged. */
	if (!debt->charged)
		return;
	svfio_iotlb_unpin(&debt->unmapped);
	mmap_write_lock(debt->mm);
	__account_locked_vm(debt->mm, debt->charged, false, debt->task, false);
	mmap_write_unlock(debt->mm);
	put_task_struct(debt->task);
	mmdrop(debt->mm);
}

/**
 * svfio_dma_settle() - give back to the owner what was unmapped
 * @dev: the device, whose file may be closed meanwhile
 *
 * Context: as svfio_debt_settle().
 */
void svfio_dma_settle(struct svfio *dev)
{
	struct svfio_debt debt;

	mutex_lock(&dev->lock);
	svfio_dma_owed(&dev->dma, &debt);
	mutex_unlock(&dev->lock);
	svfio_debt_settle(&debt);
}

/**
 * svfio_dma_range_valid() - whether a range may be mapped at all
 * @dma: with a domain
 * @first: its first IOVA
 * @last: its last one
 */
bool svfio_dma_range_valid(const struct svfio_dma *dma, u64 first, u64 last)
{
	const struct iommu_resv_region *resv;

	if (first < dma->first || last > dma->last)
		return false;
	list_for_each_entry(resv, &dma->reserved, list)
		if (first <= resv->start + (resv->length - 1) &&
		    last >= resv->start)
			return false;
	return true;
}

/**
 * svfio_dma_set_owner() - VHOST_SET_OWNER: memory is the caller's from now on
 * @dev: the device
 *
 * Context: svfio.lock held. Until the file is closed.
 * Return: 0, -EBUSY when there is an owner, or -EPERM for a kernel thread.
 */
int svfio_dma_set_owner(struct svfio *dev)
{
	struct svfio_dma *dma = &dev->dma;

	if (dma->mm)
		return -EBUSY;
	if (!current->mm)
		return -EPERM;
	mmgrab(current->mm);
	dma->mm = current->mm;
	dma->task = get_task_struct(current->group_leader);
	dma->can_lock = capable(CAP_IPC_LOCK);
	return 0;
}

/* Have a range of whole pages end and begin where nothing is reserved. */
static int trim(const struct svfio_dma *dma, u64 *first, u64 *last)
{
	const struct iommu_resv_region *resv;
	bool again = true;

	while (again) {
		again = false;
		list_for_each_entry(resv, &dma->reserved, list) {
			const u64 start = resv->start & PAGE_MASK;
			const u64 end =
				(resv->start + (resv->length - 1)) | ~PAGE_MASK;

			if (start <= *first && end >= *first) {
				if (end >= *last)
					return -ENOSPC;
				*first = end + 1;
				again = true;
			} else if (start <= *last && end >= *last) {
				*last = start - 1;
				again = true;
			}
		}
	}
	return *first < *last ? 0 : -ENOSPC;
}

/*
 * Where a page of ours is at the highest. Some IOMMUs (AMD's) have as many levels
 * of page tables as the highest address wants, 6 for the end of 64 bits, and walk
 * them for every address. 4 levels have 48 bits, as Intel's; with fewer there might
 * be no room for what a guest has there, such as other devices' memory.
 */
#define KEPT_END BIT_ULL(48)

/*
 * Find out what can be mapped: the aperture, without what is reserved at its ends,
 * and without the last page that is not, if that is for us.
 */
static int set_range(struct svfio *dev)
{
	struct svfio_dma *dma = &dev->dma;
	const struct iommu_domain_geometry *geo = &dma->domain->geometry;
	u64 first = 0, last = ULONG_MAX;
	int err;

	if (geo->force_aperture) {
		first = PAGE_ALIGN(geo->aperture_start);
		last = ((geo->aperture_end + 1) & PAGE_MASK) - 1;
	}
	if (svfio_ctrl_possible(dev))
		last = min_t(u64, last, KEPT_END - 1);
	err = trim(dma, &first, &last);
	if (!err && svfio_ctrl_possible(dev)) {
		last -= PAGE_SIZE;
		dma->kept = last + 1;
		err = first < last ? trim(dma, &first, &last) : -ENOSPC;
	}
	dma->first = first;
	dma->last = last;
	return err;
}

/**
 * svfio_dma_open() - give the function a domain, in which nothing is mapped
 * @dev: the device, which has none
 *
 * Context: svfio.lock held.
 * Return: 0; -EOPNOTSUPP: the IOMMU has larger pages than the processor; -ENOSPC:
 * all it can map is reserved; or what the IOMMU's driver returns.
 */
int svfio_dma_open(struct svfio *dev)
{
	struct svfio_dma *dma = &dev->dma;
	int err;

	dma->domain = compat_domain_alloc(&dev->pdev->dev);
	if (IS_ERR(dma->domain)) {
		err = PTR_ERR(dma->domain);
		dma->domain = NULL;
		return err;
	}
	err = iommu_attach_group(dma->domain, dev->group);
	if (err)
		goto free;
	err = -EOPNOTSUPP;
	if (dma->domain->pgsize_bitmap &&
	    BIT(__ffs(dma->domain->pgsize_bitmap)) <= PAGE_SIZE)
		err = set_range(dev);
	if (!err)
		return 0;
	iommu_detach_group(dma->domain, dev->group);
free:
	iommu_domain_free(dma->domain);
	dma->domain = NULL;
	return err;
}

/**
 * svfio_dma_close() - undo svfio_dma_open() and all updates since
 * @dev: the device, with a domain or without
 *
 * Context: svfio.lock held; svfio_dma_settle() follows.
 */
void svfio_dma_close(struct svfio *dev)
{
	struct svfio_dma *dma = &dev->dma;

	if (!dma->domain)
		return;
	svfio_ctrl_release(dev);
	svfio_iotlb_clear(dev);
	iommu_detach_group(dma->domain, dev->group);
	iommu_domain_free(dma->domain);
	dma->domain = NULL;
	svfio_tables_forget(dma);
}

/**
 * svfio_dma_put_owner() - the file is closed: there is no owner any more
 * @dev: the device, of which svfio_dma_owed() has the rest
 *
 * Context: svfio.lock held.
 */
void svfio_dma_put_owner(struct svfio *dev)
{
	if (!dev->dma.mm)
		return;
	mmdrop(dev->dma.mm);
	put_task_struct(dev->dma.task);
	dev->dma.mm = NULL;
	dev->dma.task = NULL;
}

/**
 * svfio_dma_probe() - find out about the group's reserved regions
 * @dev: the device
 *
 * Return: 0; -EOPNOTSUPP: there are some that a guest cannot be kept apart from,
 * or that are not understood (it was logged); -ENOMEM.
 */
int svfio_dma_probe(struct svfio *dev)
{
	struct iommu_resv_region *resv, *next;
	int err;

	dev->dma.maps = RB_ROOT;
	INIT_LIST_HEAD(&dev->dma.unmapped);
	xa_init_flags(&dev->dma.tables, XA_FLAGS_ACCOUNT);
	INIT_LIST_HEAD(&dev->dma.reserved);
	err = iommu_get_group_resv_regions(dev->group, &dev->dma.reserved);
	if (err)
		goto remove;
	list_for_each_entry_safe(resv, next, &dev->dma.reserved, list) {
		switch (resv->type) {
		case IOMMU_RESV_DIRECT_RELAXABLE:
			/* Firmware's, which is over when a driver has the device. */
			list_del(&resv->list);
			kfree(resv);
			break;
		case IOMMU_RESV_DIRECT:
			pci_err(dev->pdev,
				"refused: firmware wants 0x%llx mapped for it (RMRR)\n",
				(u64)resv->start);
			err = -EOPNOTSUPP;
			goto remove;
		case IOMMU_RESV_SW_MSI:
			pci_err(dev->pdev,
				"refused: interrupts would go through the IOMMU's mappings\n");
			err = -EOPNOTSUPP;
			goto remove;
		default:
			break;
		}
	}
	return 0;
remove:
	svfio_dma_remove(dev);
	return err;
}

/**
 * svfio_dma_remove() - undo svfio_dma_probe()
 * @dev: the device, without a domain
 */
void svfio_dma_remove(struct svfio *dev)
{
	struct iommu_resv_region *resv, *next;

	list_for_each_entry_safe(resv, next, &dev->dma.reserved, list) {
		list_del(&resv->list);
		kfree(resv);
	}
}
