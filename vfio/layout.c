// SPDX-License-Identifier: GPL-2.0-only
/*
 * layout.c - what is where in the BARs of a function, as its capabilities say
 */
#include <linux/pci.h>
#include <linux/virtio_pci.h>

#include "layout.h"

/* A list that is longer does not fit into the configuration space, so goes in circles. */
#define CAPS_MAX 48

/* Bytes of a BAR. */
struct part {
	u8 bar;
	u64 first;
	u64 len;
};

static bool meet(const struct part *a, const struct part *b)
{
	return a->bar == b->bar && a->len && a->first < b->first + b->len &&
	       b->first < a->first + a->len;
}

/* The table of interrupts, or the bits of those that are pending. */
static struct part msix_part(struct pci_dev *pdev, int reg, u64 len)
{
	u32 at = 0;

	pci_read_config_dword(pdev, pdev->msix_cap + reg, &at);
	return (struct part){
		.bar = at & PCI_MSIX_TABLE_BIR,
		.first = at & PCI_MSIX_TABLE_OFFSET,
		.len = len,
	};
}

static bool msix_meets(struct pci_dev *pdev, const struct part *page)
{
	struct part table, pending;
	u32 vectors;
	u16 flags = 0;

	if (!pdev->msix_cap)
		return false;
	pci_read_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, &flags);
	vectors = (flags & PCI_MSIX_FLAGS_QSIZE) + 1;
	table = msix_part(pdev, PCI_MSIX_TABLE, vectors * PCI_MSIX_ENTRY_SIZE);
	pending = msix_part(pdev, PCI_MSIX_PBA, (vectors + 63) / 64 * 8);
	return meet(&table, page) || meet(&pending, page);
}

/* A structure of VIRTIO 1.2, 4.1.4, other than that of doorbells. */
static bool cap_meets(struct pci_dev *pdev, int pos, const struct part *page)
{
	struct part part = {};
	u32 first = 0, len = 0;
	u8 type = 0;

	pci_read_config_byte(pdev, pos + VIRTIO_PCI_CAP_CFG_TYPE, &type);
	/* The latter is a window, which is moved about. */
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG || type == VIRTIO_PCI_CAP_PCI_CFG)
		return false;
	pci_read_config_byte(pdev, pos + VIRTIO_PCI_CAP_BAR, &part.bar);
	pci_read_config_dword(pdev, pos + VIRTIO_PCI_CAP_OFFSET, &first);
	pci_read_config_dword(pdev, pos + VIRTIO_PCI_CAP_LENGTH, &len);
	part.first = first;
	part.len = len;
	/* Of shared memory both are longer: it has more behind them (4.1.4.7). */
	if (type == VIRTIO_PCI_CAP_SHARED_MEMORY_CFG) {
		pci_read_config_dword(pdev, pos + 16, &first);
		pci_read_config_dword(pdev, pos + 20, &len);
		part.first |= (u64)first << 32;
		part.len |= (u64)len << 32;
		/* What goes over the end of all is anywhere. */
		if (part.first + part.len < part.first)
			return part.bar == page->bar;
	}
	return meet(&part, page);
}

/**
 * svfio_page_taken() - whether there is something in a page of a BAR besides doorbells
 * @pdev: the function
 * @bar: number of the BAR
 * @page: where in it, aligned
 *
 * That is: the table and the pending bits of MSI-X, and all structures of
 * virtio's. Of what else is in a BAR, nothing says where.
 *
 * Context: process context.
 */
bool svfio_page_taken(struct pci_dev *pdev, u8 bar, u64 page)
{
	const struct part whole = {
		.bar = bar,
		.first = page,
		.len = PAGE_SIZE,
	};
	int n = 0, pos;

	if (msix_meets(pdev, &whole))
		return true;
	for (pos = pci_find_capability(pdev, PCI_CAP_ID_VNDR);
	     pos && n < CAPS_MAX;
	     pos = pci_find_next_capability(pdev, pos, PCI_CAP_ID_VNDR), n++)
		if (cap_meets(pdev, pos, &whole))
			return true;
	return false;
}

/**
 * svfio_config_len() - how much of the device configuration is within its BAR
 * @pdev: the function
 * @device_len: bytes that the kernel's library has mapped of it, which trusts the
 *	capability
 *
 * Context: process context.
 * Return: bytes, a page at most; 0: there is none, or all of it is outside.
 */
u32 svfio_config_len(struct pci_dev *pdev, u64 device_len)
{
	u32 offset = 0;
	u64 size;
	int n = 0, pos;

	for (pos = pci_find_capability(pdev, PCI_CAP_ID_VNDR);
	     pos && n < CAPS_MAX;
	     pos = pci_find_next_capability(pdev, pos, PCI_CAP_ID_VNDR), n++) {
		u8 type = 0, bar = 0;

		pci_read_config_byte(pdev, pos + VIRTIO_PCI_CAP_CFG_TYPE,
				     &type);
		pci_read_config_byte(pdev, pos + VIRTIO_PCI_CAP_BAR, &bar);
		/* The library takes the first that is in a BAR that is there. */
		if (type != VIRTIO_PCI_CAP_DEVICE_CFG ||
		    bar >= PCI_STD_NUM_BARS || !pci_resource_len(pdev, bar))
			continue;
		pci_read_config_dword(pdev, pos + VIRTIO_PCI_CAP_OFFSET,
				      &offset);
		size = pci_resource_len(pdev, bar);
		if (offset >= size)
			return 0;
		size = size - offset < device_len ? size - offset : device_len;
		return size < PAGE_SIZE ? size : PAGE_SIZE;
	}
	return 0;
}
