// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c - the module shunt_vfio: the class of nodes, then the PCI driver
 */
#include <linux/module.h>

#include "vfio.h"

static int __init svfio_init(void)
{
	int err = svfio_node_init();

	if (err)
		return err;
	err = svfio_pci_init();
	if (err)
		svfio_node_exit();
	return err;
}
module_init(svfio_init);

static void __exit svfio_exit(void)
{
	svfio_pci_exit();
	svfio_node_exit();
}
module_exit(svfio_exit);

MODULE_DESCRIPTION("Shunt: virtio PCI functions for guests, through the IOMMU");
MODULE_LICENSE("GPL");
