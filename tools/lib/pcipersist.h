/* SPDX-License-Identifier: GPL-2.0-only */
/* The udev rule that gives a PCI device to VMMs at boot. */
#ifndef SHUNT_PCIPERSIST_H
#define SHUNT_PCIPERSIST_H

#include <stdbool.h>

#include "pci.h"

/**
 * pci_persist_path() - where the rule of a device is
 * @path: receives it, below the root
 * @address: the device
 */
void pci_persist_path(char path[SYSFS_PATH_MAX], const char *address);

/**
 * pci_persist_write() - write the rule, in place of one there may be
 * @sysfs: where
 * @device: which, as it is now: the rule is for no other one at its address
 * @driver: which is to have it
 * @command: path of this program, which the rule runs, without links in it; refused if others than
 *           root may write to it or to a directory above it
 * @owner: USER or USER:GROUP, whose the node is to be, or NULL
 * @why: filled in on failure
 *
 * The rule keeps other drivers away as soon as udev sees the device, and has this program do all
 * that pci_bind() does, in case that one was there before.
 *
 * Return: ST_OK or ST_PCI_PERSIST.
 */
enum status pci_persist_write(const struct sysfs *sysfs, const struct pci_device *device,
			      const char *driver, const char *command, const char *owner,
			      struct failure *why);

/**
 * pci_persist_remove() - remove the rule
 * @sysfs: where
 * @address: the device
 * @removed: receives whether there was one
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_PCI_PERSIST.
 */
enum status pci_persist_remove(const struct sysfs *sysfs, const char *address, bool *removed,
			       struct failure *why);

#endif
