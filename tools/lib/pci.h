/* SPDX-License-Identifier: GPL-2.0-only */
/* PCI devices, as the kernel shows them in sysfs. */
#ifndef SHUNT_PCI_H
#define SHUNT_PCI_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"
#include "sysfs.h"

/**
 * PCI_ADDRESS_MAX - bytes of a device's address, with its end
 */
#define PCI_ADDRESS_MAX 20

/**
 * PCI_NO_GROUP - the group of a device that is behind no IOMMU
 */
#define PCI_NO_GROUP -1

/**
 * struct pci_device - a function of a PCI device
 * @address: domain, bus, device and function, as 0000:01:00.0
 * @vendor: its vendor's number
 * @device: its vendor's number for it
 * @class: class (8 bits), subclass (8) and programming interface (8)
 * @bridge: it has other devices behind it
 * @driver: that has it; empty for none
 * @override: the only driver that may have it; empty for any
 * @vfio: its driver gives it to programs by VFIO
 * @group: of the IOMMU, PCI_NO_GROUP for none
 * @numa: its node, -1 for none
 * @can_reset: the kernel knows how to reset it
 * @reset: names of the ways, with blanks between; of an old kernel empty
 * @vfs_total: SR-IOV functions that it can have; 0: it is not capable of that
 * @vfs: that it has
 * @pf: the function that it is an SR-IOV function of; empty: it is none
 */
struct pci_device {
	char address[PCI_ADDRESS_MAX];
	unsigned int vendor;
	unsigned int device;
	unsigned int class;
	bool bridge;
	char driver[SYSFS_NAME_MAX];
	char override[SYSFS_NAME_MAX];
	bool vfio;
	int group;
	int numa;
	bool can_reset;
	char reset[SYSFS_NAME_MAX];
	unsigned int vfs_total;
	unsigned int vfs;
	char pf[PCI_ADDRESS_MAX];
};

/**
 * struct pci_devices - many of them
 * @list: sorted by address, owned
 * @count: how many
 */
struct pci_devices {
	struct pci_device *list;
	size_t count;
};

/**
 * pci_parse() - take an address: 0000:01:00.0, or 01:00.0, in the first domain
 * @text: what somebody typed
 * @address: receives the long form, in lower case
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_USAGE.
 */
enum status pci_parse(const char *text, char address[PCI_ADDRESS_MAX], struct failure *why);

/**
 * pci_path() - the path of a file of a device
 * @path: receives it
 * @address: the device
 * @file: its file; empty for the directory
 */
void pci_path(char path[SYSFS_PATH_MAX], const char *address, const char *file);

/**
 * pci_read() - look at a device
 * @sysfs: where
 * @address: which
 * @device: filled in
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_PCI_ABSENT.
 */
enum status pci_read(const struct sysfs *sysfs, const char *address, struct pci_device *device,
		     struct failure *why);

/**
 * pci_read_all() - look at all devices
 * @sysfs: where
 * @devices: filled in; free it with pci_free() in any case
 * @why: filled in on failure
 *
 * Return: ST_OK, also if there is no PCI bus, or ST_SYSTEM (not all of them could be read).
 */
enum status pci_read_all(const struct sysfs *sysfs, struct pci_devices *devices,
			 struct failure *why);

/**
 * pci_read_group() - look at the other devices of a device's IOMMU group
 * @sysfs: where
 * @device: whose
 * @devices: filled in, without @device; free it with pci_free() in any case
 * @why: filled in on failure
 *
 * Return: ST_OK, also if it is in none, or ST_SYSTEM (not all of them could be read).
 */
enum status pci_read_group(const struct sysfs *sysfs, const struct pci_device *device,
			   struct pci_devices *devices, struct failure *why);

/**
 * pci_read_vfs() - look at the SR-IOV functions of a device
 * @sysfs: where
 * @device: whose
 * @devices: filled in; free it with pci_free() in any case
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_SYSTEM (not all of them could be read).
 */
enum status pci_read_vfs(const struct sysfs *sysfs, const struct pci_device *device,
			 struct pci_devices *devices, struct failure *why);

/**
 * pci_free() - free what was filled in
 * @devices: to be empty afterwards
 */
void pci_free(struct pci_devices *devices);

/**
 * pci_is_given() - whether a device's driver is one that gives it to VMMs
 * @device: the device
 */
bool pci_is_given(const struct pci_device *device);

/**
 * pci_is_virtio() - whether a device is a virtio 1 function
 * @device: the device
 */
bool pci_is_virtio(const struct pci_device *device);

/**
 * pci_class_name() - what kind of device it is, in a word or two
 * @class: as in struct pci_device
 */
const char *pci_class_name(unsigned int class);

#endif
