// SPDX-License-Identifier: GPL-2.0-only
/* Reading what sysfs says of PCI devices. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pci.h"

#define DEVICES "sys/bus/pci/devices"

/* Of the configuration space: where the type of its header is, and the bit for more functions. */
#define HEADER_TYPE 14
#define HEADER_MULTI 0x80

#define VENDOR_VIRTIO 0x1af4
#define VIRTIO_1_FIRST 0x1040
#define VIRTIO_LAST 0x107f

enum status pci_parse(const char *text, char address[PCI_ADDRESS_MAX], struct failure *why)
{
	unsigned int domain, bus, slot, function;
	int end = 0;

	/* Signs and blanks are no part of one, though a number that sscanf() takes. */
	if (strspn(text, "0123456789abcdefABCDEF:.") != strlen(text))
		return failed(why, ST_USAGE, "'%s' is no PCI address such as 0000:01:00.0", text);
	if (sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) != 4) {
		domain = 0;
		end = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &end) != 3)
			end = 0;
	}
	if (!end || text[end])
		return failed(why, ST_USAGE, "'%s' is no PCI address such as 0000:01:00.0", text);
	if (slot > 31 || function > 7)
		return failed(why, ST_USAGE, "'%s': a PCI address ends with 00.0 to 1f.7", text);
	snprintf(address, PCI_ADDRESS_MAX, "%04x:%02x:%02x.%x", domain, bus, slot, function);
	return ST_OK;
}

void pci_path(char path[SYSFS_PATH_MAX], const char *address, const char *file)
{
	sysfs_path(path, DEVICES "/%s%s%s", address, *file ? "/" : "", file);
}

static long number(const struct sysfs *sysfs, const char *address, const char *file, long otherwise)
{
	char path[SYSFS_PATH_MAX];

	pci_path(path, address, file);
	return sysfs_number(sysfs, path, otherwise);
}

static bool text(const struct sysfs *sysfs, const char *address, const char *file, char *into,
		 size_t size)
{
	char path[SYSFS_PATH_MAX];

	pci_path(path, address, file);
	return sysfs_read(sysfs, path, into, size);
}

static bool link_name(const struct sysfs *sysfs, const char *address, const char *file,
		      char name[SYSFS_NAME_MAX])
{
	char path[SYSFS_PATH_MAX];

	pci_path(path, address, file);
	return sysfs_link(sysfs, path, name);
}

static bool exists(const struct sysfs *sysfs, const char *address, const char *file)
{
	char path[SYSFS_PATH_MAX];

	pci_path(path, address, file);
	return sysfs_exists(sysfs, path);
}

/* Bridges of all kinds have another type of header. That of a device that does not answer is 7f. */
static bool is_bridge(const struct sysfs *sysfs, const char *address, unsigned int class)
{
	char path[SYSFS_PATH_MAX];
	unsigned char type = 0;
	int fd;

	if (class >> 16 == 0x06)
		return true;
	pci_path(path, address, "config");
	fd = openat(sysfs->root, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (pread(fd, &type, 1, HEADER_TYPE) != 1)
		type = 0;
	close(fd);
	type &= ~HEADER_MULTI;
	return type == 1 || type == 2;
}

enum status pci_read(const struct sysfs *sysfs, const char *address, struct pci_device *device,
		     struct failure *why)
{
	char name[SYSFS_NAME_MAX];

	*device = (struct pci_device){ .group = PCI_NO_GROUP };
	snprintf(device->address, sizeof(device->address), "%s", address);
	if (!exists(sysfs, address, "vendor"))
		return failed(why, ST_PCI_ABSENT, "%s: no such PCI device", address);
	device->vendor = (unsigned int)number(sysfs, address, "vendor", 0);
	device->device = (unsigned int)number(sysfs, address, "device", 0);
	device->class = (unsigned int)number(sysfs, address, "class", 0);
	device->bridge = is_bridge(sysfs, address, device->class);
	link_name(sysfs, address, "driver", device->driver);
	/* The kernel's word for none. */
	if (text(sysfs, address, "driver_override", device->override, sizeof(device->override)) &&
	    !strcmp(device->override, "(null)"))
		device->override[0] = '\0';
	device->vfio = exists(sysfs, address, "vfio-dev");
	if (link_name(sysfs, address, "iommu_group", name))
		device->group = atoi(name);
	device->numa = (int)number(sysfs, address, "numa_node", -1);
	device->can_reset = exists(sysfs, address, "reset");
	text(sysfs, address, "reset_method", device->reset, sizeof(device->reset));
	device->vfs_total = (unsigned int)number(sysfs, address, "sriov_totalvfs", 0);
	device->vfs = (unsigned int)number(sysfs, address, "sriov_numvfs", 0);
	if (link_name(sysfs, address, "physfn", name))
		snprintf(device->pf, sizeof(device->pf), "%.19s", name);
	return ST_OK;
}

/**
 * struct reading - a list that is being made
 * @sysfs: where
 * @devices: it
 * @not_this: address of a device that does not belong into it, or NULL
 * @prefix: what the names are to begin with
 * @links: the names are links to the devices, called something else
 * @optional: that there is no such directory is no failure
 * @broken: memory ran out
 */
struct reading {
	const struct sysfs *sysfs;
	struct pci_devices *devices;
	const char *not_this;
	const char *prefix;
	bool links;
	bool optional;
	bool broken;
};

static bool add(void *self, const char *path, const char *name)
{
	struct reading *reading = self;
	struct pci_devices *devices = reading->devices;
	char address[SYSFS_NAME_MAX], target[SYSFS_PATH_MAX];
	struct pci_device *list;
	struct failure why;

	if (strncmp(name, reading->prefix, strlen(reading->prefix)))
		return true;
	snprintf(address, sizeof(address), "%s", name);
	if (reading->links) {
		sysfs_path(target, "%s/%s", path, name);
		if (!sysfs_link(reading->sysfs, target, address))
			return true;
	}
	/* Groups of other buses' devices have other names in them. */
	if (strlen(address) >= PCI_ADDRESS_MAX ||
	    (reading->not_this && !strcmp(address, reading->not_this)))
		return true;
	list = reallocarray(devices->list, devices->count + 1, sizeof(*list));
	if (!list) {
		reading->broken = true;
		return false;
	}
	devices->list = list;
	/* One that vanishes meanwhile is none. */
	if (!pci_read(reading->sysfs, address, &list[devices->count], &why))
		devices->count++;
	return true;
}

static int by_address(const void *left, const void *right)
{
	const struct pci_device *a = left, *b = right;
	size_t a_length = strlen(a->address), b_length = strlen(b->address);

	/* Domains of five digits and more are behind those of four. */
	if (a_length != b_length)
		return a_length < b_length ? -1 : 1;
	return strcmp(a->address, b->address);
}

static enum status read_list(struct reading *reading, const char *path, struct failure *why)
{
	struct pci_devices *devices = reading->devices;
	int found;

	*devices = (struct pci_devices){ 0 };
	found = sysfs_each(reading->sysfs, path, add, reading);
	if (reading->broken)
		return failed(why, ST_SYSTEM, "out of memory");
	if (found < 0 && !(found == -ENOENT && reading->optional))
		return failed(why, ST_SYSTEM, "/%.300s: %s", path, strerror(-found));
	if (devices->count)
		qsort(devices->list, devices->count, sizeof(*devices->list), by_address);
	return ST_OK;
}

enum status pci_read_all(const struct sysfs *sysfs, struct pci_devices *devices,
			 struct failure *why)
{
	struct reading reading = {
		.sysfs = sysfs,
		.devices = devices,
		.prefix = "",
		.optional = true,
	};

	return read_list(&reading, DEVICES, why);
}

enum status pci_read_group(const struct sysfs *sysfs, const struct pci_device *device,
			   struct pci_devices *devices, struct failure *why)
{
	struct reading reading = {
		.sysfs = sysfs,
		.devices = devices,
		.prefix = "",
		.not_this = device->address,
	};
	char path[SYSFS_PATH_MAX];

	*devices = (struct pci_devices){ 0 };
	if (device->group == PCI_NO_GROUP)
		return ST_OK;
	pci_path(path, device->address, "iommu_group/devices");
	return read_list(&reading, path, why);
}

enum status pci_read_vfs(const struct sysfs *sysfs, const struct pci_device *device,
			 struct pci_devices *devices, struct failure *why)
{
	struct reading reading = {
		.sysfs = sysfs,
		.devices = devices,
		.prefix = "virtfn",
		.links = true,
	};
	char path[SYSFS_PATH_MAX];

	pci_path(path, device->address, "");
	return read_list(&reading, path, why);
}

void pci_free(struct pci_devices *devices)
{
	free(devices->list);
	*devices = (struct pci_devices){ 0 };
}

bool pci_is_given(const struct pci_device *device)
{
	return device->vfio || !strcmp(device->driver, "vfio-pci") ||
	       !strcmp(device->driver, "shunt_vfio");
}

bool pci_is_virtio(const struct pci_device *device)
{
	return device->vendor == VENDOR_VIRTIO && device->device >= VIRTIO_1_FIRST &&
	       device->device <= VIRTIO_LAST;
}

const char *pci_class_name(unsigned int class)
{
	static const struct {
		unsigned int class; /* with subclass */
		const char *name;
	} names[] = {
		{ 0x0101, "ide" },	   { 0x0104, "raid" },	     { 0x0106, "sata" },
		{ 0x0107, "sas" },	   { 0x0108, "nvme" },	     { 0x0200, "ethernet" },
		{ 0x0207, "infiniband" },  { 0x0300, "vga" },	     { 0x0403, "audio" },
		{ 0x0600, "host bridge" }, { 0x0601, "isa bridge" }, { 0x0604, "pci bridge" },
		{ 0x0700, "serial" },	   { 0x0c03, "usb" },	     { 0x0c05, "smbus" },
	};
	static const char *const bases[] = {
		"other",     "storage",	   "network",	    "display",	   "multimedia",
		"memory",    "bridge",	   "communication", "system",	   "input",
		"docking",   "processor",  "serial bus",    "wireless",	   "intelligent",
		"satellite", "encryption", "signal",	    "accelerator",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].class == class >> 8)
			return names[i].name;
	class >>= 16;
	return class < sizeof(bases) / sizeof(bases[0]) ? bases[class] : "other";
}
