/* SPDX-License-Identifier: GPL-2.0-only */
/* Nodes of devices that are given to VMMs. */
#ifndef SHUNT_PCINODE_H
#define SHUNT_PCINODE_H

#include <sys/types.h>

#include "pci.h"

/**
 * PCI_WAITS - how often pci_wait() returns in a second
 */
#define PCI_WAITS 10

/**
 * pci_wait() - wait a little for what somebody else does
 */
void pci_wait(void);

/**
 * struct node_owner - whose a node was
 * @path: the node's, below the root; empty: there was none
 * @owner: user
 * @group: group
 */
struct node_owner {
	char path[SYSFS_PATH_MAX];
	uid_t owner;
	gid_t group;
};

/**
 * node_path() - the path of a device's node, or of its group's
 * @device: the device
 * @driver: which gives it to VMMs
 * @path: receives it, below the root
 */
void node_path(const struct pci_device *device, const char *driver, char path[SYSFS_PATH_MAX]);

/**
 * node_remember() - take down whose a node is
 * @sysfs: where
 * @device: the device
 * @driver: which gives it to VMMs, or would
 * @node: filled in
 */
void node_remember(const struct sysfs *sysfs, const struct pci_device *device, const char *driver,
		   struct node_owner *node);

/**
 * node_restore() - have a node owned as it was; one that is gone needs no owner
 * @sysfs: where
 * @node: what node_remember() took down
 *
 * Return: 0 or an errno.
 */
int node_restore(const struct sysfs *sysfs, const struct node_owner *node);

/**
 * node_give() - wait for a node, see that it is right, and have it owned
 * @sysfs: where
 * @device: the device, which has its driver
 * @owner: whose it is to be; -1 to leave it
 * @group: whose group's; -1 to leave it
 * @path: the node's
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_PCI_PROBE, ST_PRIVILEGE or ST_SYSTEM.
 */
enum status node_give(const struct sysfs *sysfs, const struct pci_device *device, uid_t owner,
		      gid_t group, const char *path, struct failure *why);

/**
 * node_check_held() - see that no VMM has a device that was given away
 * @sysfs: where
 * @device: the device
 * @why: filled in unless ST_OK
 *
 * The node is root's alone from then on, unless this fails.
 *
 * Return: ST_OK, ST_PCI_VMM or ST_SYSTEM.
 */
enum status node_check_held(const struct sysfs *sysfs, const struct pci_device *device,
			    struct failure *why);

#endif
