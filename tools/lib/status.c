// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of statuses and exit codes, and the recording of a failure.
 *
 * The codes start at 100, away from what commands started by 'shunt net exec' commonly return
 * (0, 1, 2) and from a shell's 128 + signal. 126 and 127 mean what they mean to a shell and env(1).
 * Those of 'shunt pci' are beyond the signals.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "status.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* shunt(8) has the same table; selftests/tools compares the two. */
const struct status_info status_table[] = {
	[ST_OK] = { 0, "ok", "success" },
	[ST_SYSTEM] = { 100, "system", "the system refused something unexpectedly" },
	[ST_USAGE] = { 101, "usage", "unknown object, verb or option, or a missing argument" },
	[ST_NUMBER] = { 102, "number", "not a number, or out of range" },
	[ST_PRIVILEGE] = { 103, "privilege", "not root, or not permitted" },
	[ST_NO_DEVICE] = { 104, "no-device", "no vhost device node: module not loaded" },
	[ST_NOT_VHOST] = { 105, "not-vhost", "the node is not a vhost device" },
	[ST_FEATURE] = { 106, "feature", "the device or the kernel lacks a needed feature" },
	[ST_NO_BRIDGE] = { 107, "no-bridge", "no interface has the bridge's name" },
	[ST_NOT_BRIDGE] = { 108, "not-bridge", "the interface is not a bridge" },
	[ST_NAME] = { 109, "name", "not a possible interface name" },
	[ST_NAME_TAKEN] = { 110, "name-taken", "an interface of that name exists" },
	[ST_QUEUES] = { 111, "queues", "more queues than the kernel or the file limit allows" },
	[ST_MTU] = { 112, "mtu", "an MTU that the interface cannot have" },
	[ST_NO_TUN] = { 113, "no-tun", "no /dev/net/tun: module tun not loaded" },
	[ST_SOCKET] = { 114, "socket", "the vhost-user socket cannot be made, or is in use" },
	[ST_PEER] = { 115, "peer", "the front end broke the vhost-user protocol" },
	[ST_NO_DISK] = { 116, "no-disk", "no such disk, or it cannot be opened" },
	[ST_NOT_DISK] = { 117, "not-disk", "neither a block device nor a file" },
	[ST_DISK_BUSY] = { 118, "disk-busy", "another process, or the host itself, uses the disk" },
	[ST_CMD_CANNOT] = { 126, "cannot-run", "the command was found and cannot be run" },
	[ST_CMD_MISSING] = { 127, "not-found", "the command was not found" },
	[ST_PCI_ABSENT] = { 200, "no-pci", "no such PCI device" },
	[ST_PCI_KIND] = { 201, "pci-kind", "a kind of device that this cannot be done with" },
	[ST_PCI_NO_IOMMU] = { 202, "no-iommu", "the device is behind no IOMMU" },
	[ST_PCI_NO_REMAP] = { 203, "no-remapping", "the host does not remap interrupts" },
	[ST_PCI_GROUP] = { 204, "group", "the host uses a device of the same IOMMU group" },
	[ST_PCI_BOOT] = { 205, "boot-disk", "the host runs from a disk of the device" },
	[ST_PCI_MOUNTED] = { 206, "mounted", "a file system of the device is mounted" },
	[ST_PCI_SWAP] = { 207, "swap", "the host swaps to the device" },
	[ST_PCI_ARRAY] = { 208, "array",
			   "a disk of the device is in an array, a volume or a loop device" },
	[ST_PCI_CLAIMED] = { 209, "disk-claimed", "a program has a disk of the device for itself" },
	[ST_PCI_ADDRESS] = { 210, "address", "an interface of the device has an IP address" },
	[ST_PCI_ROUTE] = { 211, "route", "a route leads through an interface of the device" },
	[ST_PCI_PORT] = { 212, "port", "an interface of the device is part of another one" },
	[ST_PCI_NAMESPACE] = { 213, "namespace",
			       "an interface of the device is in another network namespace" },
	[ST_PCI_NO_RESET] = { 214, "no-reset", "the kernel has no way to reset the device" },
	[ST_PCI_RESET] = { 215, "reset-failed", "the device could not be reset" },
	[ST_PCI_VMM] = { 216, "vmm", "a virtual machine monitor has the device" },
	[ST_PCI_VFS] = { 217, "has-vfs", "functions of the device (SR-IOV) are set up or in use" },
	[ST_PCI_NO_DRIVER] = { 218, "no-driver", "the driver is not there" },
	[ST_PCI_PROBE] = { 219, "probe", "the driver did not take the device" },
	[ST_PCI_NOT_BOUND] = { 220, "not-bound",
			       "the device has not been given to virtual machines" },
	[ST_PCI_SRIOV] = { 221, "sriov", "not that many functions, or none at all" },
	[ST_PCI_VF_SET] = { 222, "vf-attribute", "a function does not take the attribute" },
	[ST_PCI_LOCKED] = { 223, "locked", "another shunt pci is at work" },
	[ST_PCI_HOST] = { 224, "host", "the host lacks what passthrough needs" },
	[ST_PCI_STUCK] = { 225, "stuck", "what was done could not be undone" },
	[ST_PCI_PERSIST] = { 226, "persist", "the udev rule could not be written or removed" },
	[ST_PCI_OPEN] = { 227, "open", "a process has a disk or another node of the device open" },
	[ST_PCI_CONSOLE] = { 229, "console", "the host's console or screen is on the device" },
	[ST_PCI_CHANGED] = { 228, "changed", "the device was changed by somebody else meanwhile" },
};

static_assert(COUNT(status_table) == ST_COUNT, "every status has a row in the table");

enum status failed(struct failure *why, enum status status, const char *format, ...)
{
	va_list args;

	assert(status > ST_OK && status < ST_COUNT);
	why->status = status;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return status;
}
