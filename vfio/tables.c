// SPDX-License-Identifier: GPL-2.0-only
/*
 * tables.c - a bound for the page tables of an IOMMU domain
 *
 * DOC: Theory of Operation
 *
 * Drivers of IOMMUs keep a page table whose mappings are gone until the domain
 * goes, or at least may do so. So an owner that maps a page, takes it back and
 * maps it elsewhere, again and again, could have as many tables as the domain has
 * addresses for, with one page locked. Before Linux 6.3 they are charged to
 * nobody.
 *
 * Therefore it is kept which regions, of the size that a table of the last level
 * is for, had something mapped in them since the domain was made. They may be as
 * many as mappings may be at a time, and twice as many as the most memory that
 * the owner had pinned would fill: so that all of it can be mapped elsewhere once
 * more. What is mapped where something was before, as by guests with an IOMMU of
 * their own, does not count.
 */
#include <linux/bitops.h>
#include <linux/pgtable.h>
#include <linux/xarray.h>

#include "compat.h"
#include "vfio.h"

/* Regions to an entry, each a bit. */
#define REGIONS 32U

/* Bits @from to @last of an entry. */
static u32 bits(u64 from, u64 last)
{
	return GENMASK_ULL(last % REGIONS, from % REGIONS);
}

static unsigned long most(const struct svfio_dma *dma)
{
	return SVFIO_MAPS_MAX + 2 * (dma->most / PTRS_PER_PTE);
}

/**
 * svfio_tables_use() - something is about to be mapped
 * @dma: with a domain
 * @iova: where
 * @size: how much, in bytes, not 0
 *
 * Context: svfio.lock held.
 * Return: 0; -ENOSPC: there would be too many page tables; -ENOMEM.
 */
int svfio_tables_use(struct svfio_dma *dma, u64 iova, u64 size)
{
	const u64 first = iova >> PMD_SHIFT;
	const u64 last = (iova + (size - 1)) >> PMD_SHIFT;
	u64 at, end;
	int err;

	dma->most = max(dma->most, dma->pinned);
	for (at = first; at <= last; at = end + 1) {
		void *entry = xa_load(&dma->tables, at / REGIONS);
		u32 old = entry ? xa_to_value(entry) : 0, new;

		end = min(at | (REGIONS - 1), last);
		new = old | bits(at, end);
		if (new == old)
			continue;
		if (dma->nr_tables + hweight32(new & ~old) > most(dma))
			return -ENOSPC;
		err = xa_err(xa_store(&dma->tables, at / REGIONS,
				      xa_mk_value(new), GFP_KERNEL));
		if (err)
			return err;
		dma->nr_tables += hweight32(new & ~old);
	}
	return 0;
}

/**
 * svfio_tables_forget() - the domain has gone, or not come yet
 * @dma: without a domain
 *
 * Context: svfio.lock held.
 */
void svfio_tables_forget(struct svfio_dma *dma)
{
	xa_destroy(&dma->tables);
	dma->nr_tables = 0;
	dma->most = 0;
}
