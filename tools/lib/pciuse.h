/* SPDX-License-Identifier: GPL-2.0-only */
/* What the host does with a PCI device: the disks and the interfaces that it has by it. */
#ifndef SHUNT_PCIUSE_H
#define SHUNT_PCIUSE_H

#include <stdbool.h>
#include <stddef.h>

#include "pciopen.h"
#include "status.h"
#include "sysfs.h"

/**
 * struct names - some names
 * @list: each of SYSFS_NAME_MAX bytes, owned
 * @count: how many
 */
struct names {
	char (*list)[SYSFS_NAME_MAX];
	size_t count;
};

/**
 * struct pci_parts - what hangs on a device
 * @disks: its block devices, without partitions
 * @interfaces: its network interfaces
 * @nodes: those in /dev that are no disk's, as of a SCSI device or a clock
 * @elsewhere: it has an interface in another network namespace
 * @tags: by which hypervisors' directories (9p) are mounted; an empty one is not known
 * @virtiofs: it is such a directory by virtiofs, whose tag the kernel does not show
 * @terminals: its serial lines
 * @hypervisor_console: it is a virtio console, which may have terminals hvc0 and on
 * @frame_buffer: it has one
 * @boot_vga: it is the graphics card that the firmware began with
 */
struct pci_parts {
	struct names disks;
	struct names interfaces;
	struct nodes nodes;
	bool elsewhere;
	struct names tags;
	bool virtiofs;
	struct names terminals;
	bool hypervisor_console;
	bool frame_buffer;
	bool boot_vga;
};

/**
 * pci_parts_read() - find what hangs on a device, over whatever buses (USB, SCSI)
 * @sysfs: where
 * @address: the device
 * @parts: filled in; free it with pci_parts_free() in any case
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_SYSTEM (there may be more than was seen).
 */
enum status pci_parts_read(const struct sysfs *sysfs, const char *address, struct pci_parts *parts,
			   struct failure *why);

/**
 * pci_parts_add() - as pci_parts_read(), beside what hangs on other devices
 * @sysfs: where
 * @address: the device
 * @parts: those of others
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_SYSTEM (there may be more than was seen).
 */
enum status pci_parts_add(const struct sysfs *sysfs, const char *address, struct pci_parts *parts,
			  struct failure *why);

/**
 * pci_parts_free() - free what was filled in
 * @parts: to be empty afterwards
 */
void pci_parts_free(struct pci_parts *parts);

/**
 * pci_parts_used() - whether the host uses what hangs on a device
 * @sysfs: where
 * @parts: what
 * @why: filled in unless ST_OK
 *
 * Looked for is, in this order: a file system that the host itself runs from, mounts, swap, arrays,
 * volumes and loop devices, all of them also by arrays and volumes above a disk; mounts of
 * hypervisors' directories; interfaces in other network namespaces, in bridges and bonds or below
 * VLANs, with addresses, with routes; the console and the screen; processes that have a disk or
 * another node open. An address of link-local scope, and its routes, are
 * nobody's wish; who reads a keyboard does so whosever it is.
 *
 * Not seen are mounts in another mount namespace (see pci_parts_claim()), what nodes_open() does
 * not see, and of interfaces packet sockets and MACVLANs in another network namespace.
 *
 * Return: ST_OK: nothing is used; ST_PCI_BOOT, ST_PCI_MOUNTED, ST_PCI_SWAP, ST_PCI_ARRAY,
 * ST_PCI_NAMESPACE, ST_PCI_PORT, ST_PCI_ADDRESS, ST_PCI_ROUTE, ST_PCI_CONSOLE, ST_PCI_OPEN,
 * ST_PCI_CHANGED (an interface is called something else meanwhile), ST_PRIVILEGE (a process may
 * have it open that the caller may not look at) or ST_SYSTEM.
 */
enum status pci_parts_used(const struct sysfs *sysfs, const struct pci_parts *parts,
			   struct failure *why);

/**
 * pci_disk_used() - the part of pci_parts_used() that is about one disk
 * @sysfs: where
 * @disk: its name
 * @nodes: those of the disk and of what is made of it are added, for nodes_open()
 * @why: filled in unless ST_OK
 *
 * Return: ST_OK, ST_PCI_BOOT, ST_PCI_MOUNTED, ST_PCI_SWAP, ST_PCI_ARRAY or ST_SYSTEM.
 */
enum status pci_disk_used(const struct sysfs *sysfs, const char *disk, struct nodes *nodes,
			  struct failure *why);

/**
 * pci_shares_used() - the part of pci_parts_used() that is about hypervisors' directories
 * @sysfs: where
 * @parts: whose
 * @why: filled in unless ST_OK
 *
 * Return: ST_OK, ST_PCI_BOOT, ST_PCI_MOUNTED or ST_SYSTEM.
 */
enum status pci_shares_used(const struct sysfs *sysfs, const struct pci_parts *parts,
			    struct failure *why);

/**
 * pci_consoles_used() - the part of pci_parts_used() that is about the console and the screen
 * @sysfs: where
 * @parts: whose
 * @why: filled in unless ST_OK
 *
 * Return: ST_OK, ST_PCI_CONSOLE or ST_SYSTEM.
 */
enum status pci_consoles_used(const struct sysfs *sysfs, const struct pci_parts *parts,
			      struct failure *why);

/**
 * struct pci_claim - disks that nobody else can begin to use
 * @fds: a descriptor for each, owned
 * @count: how many
 */
struct pci_claim {
	int *fds;
	size_t count;
};

/**
 * pci_parts_claim() - have all disks exclusively (O_EXCL), so that none can be mounted from now on
 * @sysfs: where
 * @parts: whose disks
 * @claim: filled in; end it with pci_claim_end() in any case
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_PCI_CLAIMED (somebody has one in the same way: a mount in another namespace, a
 * volume manager, a VMM) or ST_SYSTEM.
 */
enum status pci_parts_claim(const struct sysfs *sysfs, const struct pci_parts *parts,
			    struct pci_claim *claim, struct failure *why);

/**
 * pci_claim_end() - let go of the disks
 * @claim: to be empty afterwards
 */
void pci_claim_end(struct pci_claim *claim);

/**
 * pci_interfaces_used() - the part of pci_parts_used() that asks the kernel by netlink
 * @sysfs: where
 * @interfaces: names
 * @why: filled in unless ST_OK
 *
 * Return: ST_OK: none is used; ST_PCI_PORT, ST_PCI_ADDRESS, ST_PCI_ROUTE, ST_PCI_CHANGED (one is
 * gone, or has another name) or ST_SYSTEM.
 */
enum status pci_interfaces_used(const struct sysfs *sysfs, const struct names *interfaces,
				struct failure *why);

/**
 * names_add() - add a name that is not there yet
 * @names: to these
 * @name: shorter than SYSFS_NAME_MAX
 *
 * Return: 1, 0 if it is there already, -1 if memory ran out or the name is too long.
 */
int names_add(struct names *names, const char *name);

/**
 * names_has() - whether a name is among others
 * @names: these
 * @name: it
 */
bool names_has(const struct names *names, const char *name);

/**
 * names_free() - free names
 * @names: to be empty afterwards
 */
void names_free(struct names *names);

#endif
