/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * layout.h - what is where in the BARs of a function, as its capabilities say
 *
 * layout.c needs nothing of Linux but access to the configuration space, and is also compiled in
 * userspace, for functions that are made up.
 */
#ifndef SVFIO_LAYOUT_H
#define SVFIO_LAYOUT_H

struct pci_dev;

u32 svfio_config_len(struct pci_dev *pdev, u64 device_len);
bool svfio_page_taken(struct pci_dev *pdev, u8 bar, u64 page);

#endif
