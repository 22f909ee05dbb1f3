/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What can go wrong, one value and one exit code each, and the one-line message that goes with it.
 * The library parts never print and never exit: they fill in a struct failure and return its
 * status.
 */
#ifndef SHUNT_STATUS_H
#define SHUNT_STATUS_H

/**
 * enum status - outcome of an operation; status_table[] gives each its exit code
 * @ST_OK: done
 * @ST_SYSTEM: the system refused something for a reason that has no status of its own
 * @ST_USAGE: the command line names no such object, verb or option, or lacks a part
 * @ST_NUMBER: an argument that must be a number is not one, or is out of its range
 * @ST_PRIVILEGE: the caller may not do this
 * @ST_NO_DEVICE: the vhost device node is not there
 * @ST_NOT_VHOST: the node is there, but no vhost device is behind it
 * @ST_FEATURE: the device or the kernel lacks a feature that is needed
 * @ST_NO_BRIDGE: no interface has the bridge's name
 * @ST_NOT_BRIDGE: the interface of that name is not a bridge
 * @ST_NAME: no interface can have that name
 * @ST_NAME_TAKEN: an interface of that name exists
 * @ST_QUEUES: more queues than the kernel or the file limit allows
 * @ST_MTU: an MTU that the interface cannot have
 * @ST_NO_TUN: /dev/net/tun is not there
 * @ST_SOCKET: the vhost-user socket cannot be made, or is in use
 * @ST_PEER: the front end broke the vhost-user protocol, or went away within a message
 * @ST_NO_DISK: the disk is not there, or cannot be opened
 * @ST_NOT_DISK: the path is neither a block device nor a file
 * @ST_DISK_BUSY: somebody else uses the disk, or the host does
 * @ST_CMD_CANNOT: the command exists and cannot be run
 * @ST_CMD_MISSING: the command was not found
 * @ST_PCI_ABSENT: no PCI device has that address
 * @ST_PCI_KIND: the device is of a kind that this cannot be done with
 * @ST_PCI_NO_IOMMU: the device is behind no IOMMU
 * @ST_PCI_NO_REMAP: interrupts of devices are not remapped
 * @ST_PCI_GROUP: the host uses another device of its IOMMU group
 * @ST_PCI_BOOT: the host's own file systems are on a disk of the device
 * @ST_PCI_MOUNTED: a file system on a disk of the device is mounted
 * @ST_PCI_SWAP: the host swaps to a disk of the device
 * @ST_PCI_ARRAY: a disk of the device is part of an array, a volume, a loop device or the like
 * @ST_PCI_CLAIMED: somebody has a disk of the device for himself (O_EXCL)
 * @ST_PCI_ADDRESS: an interface of the device has an IP address
 * @ST_PCI_ROUTE: a route leads through an interface of the device
 * @ST_PCI_PORT: an interface of the device is in a bridge or bond, or below a VLAN or the like
 * @ST_PCI_NAMESPACE: an interface of the device is in another network namespace
 * @ST_PCI_NO_RESET: the kernel has no way to reset the device
 * @ST_PCI_RESET: the device could not be reset
 * @ST_PCI_VMM: a VMM has the device, or another one of its group, open
 * @ST_PCI_VFS: SR-IOV functions of the device are set up, or in use
 * @ST_PCI_NO_DRIVER: the driver is not in the kernel and has no module
 * @ST_PCI_PROBE: the driver did not take the device, or made no node for it
 * @ST_PCI_NOT_BOUND: the device has no driver that gives it to VMMs
 * @ST_PCI_SRIOV: the device has not that many SR-IOV functions, or none
 * @ST_PCI_VF_SET: an SR-IOV function did not take an attribute
 * @ST_PCI_LOCKED: another process of this command is at work
 * @ST_PCI_HOST: the host lacks something that passthrough needs
 * @ST_PCI_STUCK: after a failure the device could not be given back to its driver
 * @ST_PCI_PERSIST: the udev rule could not be written or removed
 * @ST_PCI_OPEN: a process has a disk or another node of the device open
 * @ST_PCI_CHANGED: the device was changed by somebody else meanwhile
 * @ST_PCI_CONSOLE: the host's console or screen is on the device
 * @ST_COUNT: number of values, not a status
 */
enum status {
	ST_OK,
	ST_SYSTEM,
	ST_USAGE,
	ST_NUMBER,
	ST_PRIVILEGE,
	ST_NO_DEVICE,
	ST_NOT_VHOST,
	ST_FEATURE,
	ST_NO_BRIDGE,
	ST_NOT_BRIDGE,
	ST_NAME,
	ST_NAME_TAKEN,
	ST_QUEUES,
	ST_MTU,
	ST_NO_TUN,
	ST_SOCKET,
	ST_PEER,
	ST_NO_DISK,
	ST_NOT_DISK,
	ST_DISK_BUSY,
	ST_CMD_CANNOT,
	ST_CMD_MISSING,
	ST_PCI_ABSENT,
	ST_PCI_KIND,
	ST_PCI_NO_IOMMU,
	ST_PCI_NO_REMAP,
	ST_PCI_GROUP,
	ST_PCI_BOOT,
	ST_PCI_MOUNTED,
	ST_PCI_SWAP,
	ST_PCI_ARRAY,
	ST_PCI_CLAIMED,
	ST_PCI_ADDRESS,
	ST_PCI_ROUTE,
	ST_PCI_PORT,
	ST_PCI_NAMESPACE,
	ST_PCI_NO_RESET,
	ST_PCI_RESET,
	ST_PCI_VMM,
	ST_PCI_VFS,
	ST_PCI_NO_DRIVER,
	ST_PCI_PROBE,
	ST_PCI_NOT_BOUND,
	ST_PCI_SRIOV,
	ST_PCI_VF_SET,
	ST_PCI_LOCKED,
	ST_PCI_HOST,
	ST_PCI_STUCK,
	ST_PCI_PERSIST,
	ST_PCI_OPEN,
	ST_PCI_CHANGED,
	ST_PCI_CONSOLE,
	ST_COUNT
};

/**
 * struct status_info - how a status shows outside the program
 * @exit_code: the process's exit code; never changes once released
 * @name: short name, as in the manual page
 * @meaning: half a sentence for people
 */
struct status_info {
	int exit_code;
	const char *name;
	const char *meaning;
};

extern const struct status_info status_table[ST_COUNT];

/**
 * struct failure - why an operation did not succeed
 * @status: what kind of failure
 * @text: one line without newline and without the program's name
 */
struct failure {
	enum status status;
	char text[512];
};

/**
 * failed() - record a failure
 * @why: filled in
 * @status: what kind of failure; not ST_OK
 * @format: printf format of the one line that says what is wrong
 *
 * Return: @status, so that a caller can write ``return failed(...)``.
 */
enum status failed(struct failure *why, enum status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
