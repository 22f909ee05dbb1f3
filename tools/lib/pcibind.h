/* SPDX-License-Identifier: GPL-2.0-only */
/* Taking a PCI device from its driver to give it to VMMs, and giving it back. */
#ifndef SHUNT_PCIBIND_H
#define SHUNT_PCIBIND_H

#include <sys/types.h>

#include "pcijudge.h"

/**
 * PCI_LOCK_S - how long to wait for others, seconds
 *
 * At boot udev has one process for each device begin at once, each of which takes some seconds with
 * its device; and it ends those that are there after 180.
 */
#define PCI_LOCK_S 150

/**
 * struct pci_result - what has become of a device, as read back
 * @device: the device
 * @before: the driver that it had; empty for none
 * @node: path of the node that the VMM opens; empty for none
 */
struct pci_result {
	struct pci_device device;
	char before[SYSFS_NAME_MAX];
	char node[SYSFS_PATH_MAX];
};

/**
 * struct pci_wish - what is to become of a device
 * @driver: which is to have it: PCI_DRIVER_VFIO or PCI_DRIVER_SHUNT
 * @owner: whose its node is to be; -1 to leave it
 * @group: whose group's; -1 to leave it
 * @last: the last step, as to have it so at boot; gets @self and what was read back. If it fails
 *        all is undone. NULL: there is none
 * @self: for @last
 */
struct pci_wish {
	const char *driver;
	uid_t owner;
	gid_t group;
	enum status (*last)(void *self, const struct pci_result *result, struct failure *why);
	void *self;
};

/**
 * pci_lock() - keep other processes of this command from changing devices
 * @sysfs: where
 * @seconds: to wait for one that is at work, at most
 * @waiting: called once if it takes more than a second
 * @fd: receives what is to be closed at the end, close-on-exec; -1 on failure
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_PCI_LOCKED, ST_PRIVILEGE or ST_SYSTEM.
 */
enum status pci_lock(const struct sysfs *sysfs, unsigned int seconds, void (*waiting)(void),
		     int *fd, struct failure *why);

/**
 * pci_bind() - give a device to VMMs
 * @sysfs: where
 * @address: the device
 * @wish: how
 * @result: filled in
 * @why: filled in on failure
 *
 * Context: with pci_lock(). Loads the driver. Signals that would end the process wait meanwhile.
 *
 * Whatever fails, the device has the driver and the node the owner that they had, or why->status is
 * ST_PCI_STUCK. A device that has the wanted driver already keeps it; the node's owner is changed.
 *
 * Who has a disk of it open is waited for, 3 seconds at most. All is looked at twice, the second
 * time right before the driver has to let go.
 *
 * Return: ST_OK, ST_PCI_ABSENT, what pci_judge() returns, ST_PCI_CLAIMED, ST_PCI_CHANGED (by
 * somebody else, between the two looks), ST_PCI_VMM, ST_PCI_NO_DRIVER, ST_PCI_RESET, ST_PCI_PROBE,
 * ST_PCI_STUCK, ST_PRIVILEGE, ST_SYSTEM or what @wish->last returns.
 */
enum status pci_bind(const struct sysfs *sysfs, const char *address, const struct pci_wish *wish,
		     struct pci_result *result, struct failure *why);

/**
 * pci_release() - give a device back to the host's drivers
 * @sysfs: where
 * @address: the device
 * @result: filled in; the device may have no driver, if the host has none for it
 * @why: filled in on failure
 *
 * Context: as pci_bind(). Loads the driver that the device wants.
 *
 * The node of a group that other devices of are still given keeps its owner.
 *
 * Return: ST_OK, ST_PCI_ABSENT, ST_PCI_NOT_BOUND, ST_PCI_VMM, ST_PCI_STUCK, ST_PRIVILEGE or
 * ST_SYSTEM.
 */
enum status pci_release(const struct sysfs *sysfs, const char *address, struct pci_result *result,
			struct failure *why);

#endif
