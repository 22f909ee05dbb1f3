/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a PCI device can be given to a VMM, or why not, and what would help. */
#ifndef SHUNT_PCIJUDGE_H
#define SHUNT_PCIJUDGE_H

#include <stdbool.h>

#include "pci.h"
#include "pciuse.h"

/**
 * PCI_DRIVER_VFIO - the kernel's driver that gives any device to a VMM
 */
#define PCI_DRIVER_VFIO "vfio-pci"

/**
 * PCI_DRIVER_SHUNT - the driver of this project, for virtio functions
 */
#define PCI_DRIVER_SHUNT "shunt_vfio"

/**
 * struct pci_facts - what holds for all devices of a host
 * @remaps: interrupts of devices are remapped
 * @vfio_unsafe: vfio_iommu_type1, without which no container is, was told not to care
 * @shunt_unsafe: shunt_vfio was told not to care
 */
struct pci_facts {
	bool remaps;
	bool vfio_unsafe;
	bool shunt_unsafe;
};

/**
 * pci_facts_read() - look at the host
 * @sysfs: where
 * @facts: filled in; what modules are told is seen of those that are loaded only
 */
void pci_facts_read(const struct sysfs *sysfs, struct pci_facts *facts);

/**
 * pci_judge_remapping() - whether a driver may give devices away, as far as interrupts matter
 * @facts: the host's, with the driver's modules loaded
 * @driver: PCI_DRIVER_VFIO or PCI_DRIVER_SHUNT
 * @why: filled in unless ST_OK
 *
 * Return: ST_OK or ST_PCI_NO_REMAP.
 */
enum status pci_judge_remapping(const struct pci_facts *facts, const char *driver,
				struct failure *why);

/**
 * pci_judge() - whether a device can be given to a VMM
 * @sysfs: where
 * @facts: the host's
 * @device: the device; if it has been given already, ST_OK is about what it is, not who uses it
 * @parts: what hangs on it
 * @driver: which is to give it, PCI_DRIVER_VFIO or PCI_DRIVER_SHUNT
 * @why: filled in unless ST_OK; the text does not name the device
 *
 * Return: ST_OK, ST_PCI_KIND, ST_PCI_NO_IOMMU, ST_PCI_NO_REMAP, ST_PCI_GROUP, ST_PCI_VFS, what
 * pci_parts_used() returns, ST_PCI_NO_RESET or ST_SYSTEM.
 */
enum status pci_judge(const struct sysfs *sysfs, const struct pci_facts *facts,
		      const struct pci_device *device, const struct pci_parts *parts,
		      const char *driver, struct failure *why);

/**
 * pci_help() - what would help
 * @status: that pci_judge() and others here return
 *
 * Return: half a sentence, or NULL.
 */
const char *pci_help(enum status status);

/**
 * pci_is_host_used() - whether the host itself uses a device, as far as its group is concerned
 * @device: the device
 */
bool pci_is_host_used(const struct pci_device *device);

#endif
