// SPDX-License-Identifier: GPL-2.0-only
/*
 * pin.c - pages of the owner that the kernel holds on to
 *
 * DOC: Theory of Operation
 *
 * Purpose: memory that is written from places where a page fault cannot be waited for,
 * or must not be: rings (memory.c), and what the owner is told of them (places.c). It is
 * pinned for long (FOLL_LONGTERM), charged to the owner's RLIMIT_MEMLOCK, and mapped as
 * one run of kernel addresses. A page that the owner unmaps meanwhile stays allocated
 * until it is let go of, and harms nobody.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "shunt.h"

static int charge(struct shunt_dev *dev, u32 pages, bool inc)
{
	int err;

	mmap_write_lock(dev->mm);
	err = __account_locked_vm(dev->mm, pages, inc, dev->owner,
				  dev->owner_can_lock);
	mmap_write_unlock(dev->mm);
	return err;
}

static void *map_pages(struct page **pages, u32 nr)
{
	u32 i;

	/* A huge page, or a single one, has an address already. */
	for (i = 1; i < nr; i++)
		if (page_to_pfn(pages[i]) != page_to_pfn(pages[0]) + i)
			break;
	if (!IS_ENABLED(CONFIG_HIGHMEM) && i == nr)
		return page_address(pages[0]);
	return vmap(pages, nr, VM_MAP, PAGE_KERNEL);
}

/**
 * shunt_pin_area() - pin and map the pages of an area
 * @dev: the device; it has an owner
 * @area: with @user and @nr; @pages and @map are filled in
 *
 * Context: running in the owner's address space. May sleep.
 * Return: 0; -ENOMEM, which is also the owner's limit; -EFAULT where there is no memory
 * that can be pinned; -EINTR or -ERESTARTSYS when the caller was killed.
 */
int shunt_pin_area(struct shunt_dev *dev, struct shunt_area *area)
{
	u32 i;
	int err;

	err = charge(dev, area->nr, true);
	if (err)
		return err;
	err = -ENOMEM;
	area->pages = kvmalloc_array(area->nr, sizeof(*area->pages),
				     GFP_KERNEL_ACCOUNT);
	if (!area->pages)
		goto uncharge;
	for (i = 0; i < area->nr; i++) {
		err = pin_user_pages_fast(area->user[i], 1,
					  FOLL_WRITE | FOLL_LONGTERM,
					  &area->pages[i]);
		if (err != 1)
			goto unpin;
	}
	err = -ENOMEM;
	area->map = map_pages(area->pages, area->nr);
	if (!area->map)
		goto unpin;
	return 0;

unpin:
	unpin_user_pages(area->pages, i);
	kvfree(area->pages);
	area->pages = NULL;
uncharge:
	charge(dev, area->nr, false);
	return err < 0 ? err : -EFAULT;
}

/**
 * shunt_unpin_area() - undo shunt_pin_area()
 * @dev: the device
 * @area: pinned or not
 *
 * Context: any address space, while the device holds the owner's. May sleep.
 */
void shunt_unpin_area(struct shunt_dev *dev, struct shunt_area *area)
{
	if (!area->pages)
		return;
	if (is_vmalloc_addr(area->map))
		vunmap(area->map);
	area->map = NULL;
	unpin_user_pages_dirty_lock(area->pages, area->nr, true);
	kvfree(area->pages);
	area->pages = NULL;
	charge(dev, area->nr, false);
}
