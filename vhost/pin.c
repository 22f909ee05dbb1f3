// SPDX-License-Identifier: GPL-2.0-only
/*
 * pin.c - pages of the owner that the kernel holds on to
 *
 * DOC: Theory of Operation
 *
 * Purpose: memory that is used where a page fault cannot be waited for, or must not be.
 *
 * An area is small and kept as long as a queue runs: rings (memory.c), and what the owner
 * is told of them (places.c). It is pinned for long (FOLL_LONGTERM), charged to the
 * owner's RLIMIT_MEMLOCK, and mapped as one run of kernel addresses. A page that the
 * owner unmaps meanwhile stays allocated until it is let go of, and harms nobody.
 *
 * Of a scatter list what one request needs is pinned, as long as it takes, for those who
 * hold locks meanwhile that nobody may wait for in a page fault (blk_file.c). It is bounded
 * by those, and not charged, as with O_DIRECT.
 */
#include <linux/bvec.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/module.h>
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

/*
 * Whether a page may be written to for long, unseen by the file system that it may be of. One
 * that keeps track of its pages (ext4, XFS) may have forgotten by then that it is in use, and
 * warns when it is made dirty. FOLL_LONGTERM itself asks for this since 6.5 only.
 */
static bool may_keep(struct page *page)
{
	struct folio *folio = page_folio(page);

	return folio_test_anon(folio) || folio_test_swapbacked(folio) ||
	       folio_test_hugetlb(folio) || is_zone_device_page(page);
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
		if (err == 1 && !may_keep(area->pages[i])) {
			unpin_user_page(area->pages[i]);
			err = -EFAULT;
		}
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

/* Pin a run of user addresses. Return: number of entries of @bv, or an error: none. */
static int pin_run(unsigned long addr, size_t len, bool write,
		   struct bio_vec *bv, u32 room)
{
	const u32 nr =
		min_t(size_t, room,
		      DIV_ROUND_UP(offset_in_page(addr) + len, PAGE_SIZE));
	u32 done = 0;

	while (done < nr) {
		struct page *pages[16];
		int i, n;

		n = pin_user_pages_fast(
			addr & PAGE_MASK,
			min_t(u32, nr - done, ARRAY_SIZE(pages)),
			write ? FOLL_WRITE : 0, pages);
		if (n <= 0) {
			shunt_unpin_iov(bv, done, false);
			return n ?: -EFAULT;
		}
		for (i = 0; i < n; i++, done++) {
			const u32 offset = offset_in_page(addr);

			bv[done].bv_page = pages[i];
			bv[done].bv_offset = offset;
			bv[done].bv_len = min(len, PAGE_SIZE - offset);
			addr += bv[done].bv_len;
			len -= bv[done].bv_len;
		}
	}
	return nr;
}

/**
 * shunt_pin_iov() - pin part of what a scatter list refers to, for a short time
 * @iov: the list, addresses of the owner
 * @nr: number of its entries
 * @off: bytes to skip
 * @len: how many bytes; the list is that long
 * @write: they are going to be written to
 * @bv: filled in, an entry a page
 * @room: size of @bv; where that is too small, just the first bytes are pinned
 *
 * Context: worker in the owner's address space; may sleep.
 * Return: number of entries, for shunt_unpin_iov(); or a negative error number: -EFAULT
 * when memory is not there, or none that can be pinned; -EINTR or -ERESTARTSYS when
 * the worker was taken out of a page fault.
 */
int shunt_pin_iov(const struct iovec *iov, u32 nr, size_t off, size_t len,
		  bool write, struct bio_vec *bv, u32 room)
{
	u32 used = 0;

	for (; len && nr && used < room; iov++, nr--) {
		size_t run;
		int n;

		if (off >= iov->iov_len) {
			off -= iov->iov_len;
			continue;
		}
		run = min(len, iov->iov_len - off);
		n = pin_run((unsigned long)iov->iov_base + off, run, write,
			    bv + used, room - used);
		if (n < 0) {
			shunt_unpin_iov(bv, used, false);
			return n;
		}
		used += n;
		len -= run;
		off = 0;
	}
	return used;
}
EXPORT_SYMBOL_GPL(shunt_pin_iov);

/**
 * shunt_unpin_iov() - undo shunt_pin_iov()
 * @bv: what that filled in
 * @nr: what it returned
 * @dirty: the pages have been written to
 *
 * Context: process context; may sleep.
 */
void shunt_unpin_iov(struct bio_vec *bv, u32 nr, bool dirty)
{
	for (; nr; bv++, nr--)
		unpin_user_pages_dirty_lock(&bv->bv_page, 1, dirty);
}
EXPORT_SYMBOL_GPL(shunt_unpin_iov);
