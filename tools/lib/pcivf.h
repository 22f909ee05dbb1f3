/* SPDX-License-Identifier: GPL-2.0-only */
/* SR-IOV: how many functions a PCI device has, and what its interface lets them do. */
#ifndef SHUNT_PCIVF_H
#define SHUNT_PCIVF_H

#include <stdbool.h>
#include <stdint.h>

#include "pci.h"

/**
 * PCI_VFS_MAX - SR-IOV functions that a device can have
 */
#define PCI_VFS_MAX 65535

/**
 * struct pci_vf_wish - attributes of one function
 * @index: which, from 0
 * @has_mac: @mac is to be set
 * @mac: address that the host gives it
 * @vlan: VLAN that its frames are put into, 0 to 4094, 0 for none; -1 to leave it
 * @qos: priority in the VLAN, 0 to 7
 * @spoofcheck: 1 to drop frames that come from another address, 0 not to; -1 to leave it
 * @trust: 1 to let it change its address and be promiscuous, 0 not to; -1 to leave it
 */
struct pci_vf_wish {
	unsigned int index;
	bool has_mac;
	uint8_t mac[6];
	int vlan;
	unsigned int qos;
	int spoofcheck;
	int trust;
};

/**
 * pci_vfs_change() - have a number of functions, and set what their attributes are to be
 * @sysfs: where
 * @address: the device
 * @number: how many; if there is another number now, all go first
 * @wishes: attributes
 * @count: how many @wishes, each of a function below @number
 * @vfs: filled in with the functions; free it with pci_free() in any case
 * @why: filled in on failure
 *
 * Context: with pci_lock().
 *
 * Return: ST_OK, ST_PCI_ABSENT, ST_PCI_SRIOV, ST_PCI_VFS (a function is given to VMMs, or the host
 * uses it, and the number would change), ST_PCI_VF_SET (the number is as wanted, or what it was
 * before if it could not be had), ST_PCI_CLAIMED, ST_PRIVILEGE or ST_SYSTEM.
 */
enum status pci_vfs_change(const struct sysfs *sysfs, const char *address, unsigned int number,
			   const struct pci_vf_wish *wishes, unsigned int count,
			   struct pci_devices *vfs, struct failure *why);

/**
 * pci_vf_set() - set attributes of a function, by rtnetlink, and read them back
 * @interface: of the device that the function is of
 * @wish: what
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_PCI_VF_SET, ST_PRIVILEGE or ST_SYSTEM.
 */
enum status pci_vf_set(const char *interface, const struct pci_vf_wish *wish, struct failure *why);

struct rtnl_link_vf;

/**
 * pci_vf_differs() - whether the kernel tells of a function what was wanted of it
 * @vf: what it tells, by libnl
 * @wish: what was wanted
 *
 * Return: NULL, or the first attribute that differs, or is not told.
 */
const char *pci_vf_differs(struct rtnl_link_vf *vf, const struct pci_vf_wish *wish);

#endif
