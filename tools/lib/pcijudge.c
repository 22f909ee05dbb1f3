// SPDX-License-Identifier: GPL-2.0-only
/*
 * The verdict on a device.
 *
 * The order is that in which an operator would have to see to things: what the device is, what the
 * machine lacks, what shares its IOMMU group, what it is used for, whether it can be reset.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "pcijudge.h"

/* VIRTIO_F_ACCESS_PLATFORM, the number of the feature. */
#define ACCESS_PLATFORM 33

#define VENDOR_VIRTIO 0x1af4

/*
 * Names of interrupt controllers in /proc/interrupts begin so where interrupts are remapped; that
 * is x86 only, others have controllers that tell devices apart anyway.
 */
static bool remaps(const struct sysfs *sysfs)
{
	struct utsname name;
	char *line = NULL;
	bool found = false;
	size_t size = 0;
	FILE *file;
	int fd;

	if (uname(&name) || strcmp(name.machine, "x86_64"))
		return true;
	fd = openat(sysfs->root, "proc/interrupts", O_RDONLY | O_CLOEXEC);
	file = fd < 0 ? NULL : fdopen(fd, "r");
	if (!file) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!found && getline(&line, &size, file) > 0)
		found = strstr(line, " IR-PCI-MSI") || strstr(line, " IR-IO-APIC");
	free(line);
	fclose(file);
	return found;
}

static bool parameter(const struct sysfs *sysfs, const char *module, const char *name)
{
	char path[SYSFS_PATH_MAX], text[8];

	sysfs_path(path, "sys/module/%s/parameters/%s", module, name);
	sysfs_read(sysfs, path, text, sizeof(text));
	return text[0] == 'Y';
}

void pci_facts_read(const struct sysfs *sysfs, struct pci_facts *facts)
{
	facts->remaps = remaps(sysfs);
	facts->vfio_unsafe = parameter(sysfs, "vfio_iommu_type1", "allow_unsafe_interrupts");
	facts->shunt_unsafe =
		parameter(sysfs, PCI_DRIVER_SHUNT, "unsafe_interrupts_without_remapping");
}

enum status pci_judge_remapping(const struct pci_facts *facts, const char *driver,
				struct failure *why)
{
	bool shunt = !strcmp(driver, PCI_DRIVER_SHUNT);

	if (facts->remaps || (shunt ? facts->shunt_unsafe : facts->vfio_unsafe))
		return ST_OK;
	return failed(why, ST_PCI_NO_REMAP, "the host does not remap interrupts");
}

const char *pci_help(enum status status)
{
	switch (status) {
	case ST_PCI_NO_IOMMU:
		return "switch VT-d or AMD-Vi on in the firmware, and boot Linux with "
		       "intel_iommu=on: see shunt pci check";
	case ST_PCI_NO_REMAP:
		return "switch interrupt remapping (x2APIC) on in the firmware: see shunt pci "
		       "check";
	case ST_PCI_GROUP:
		return "give the whole group away, or put the device into another slot";
	case ST_PCI_BOOT:
		return "the host needs it";
	case ST_PCI_MOUNTED:
		return "unmount it";
	case ST_PCI_SWAP:
		return "swapoff";
	case ST_PCI_ARRAY:
		return "stop the array, deactivate the volume, or losetup -d";
	case ST_PCI_CLAIMED:
		return "end who uses it: a mount of a container, a volume manager, a VMM";
	case ST_PCI_CONSOLE:
		return "have the console elsewhere: on another line or screen, or unbind a frame "
		       "buffer's in /sys/class/vtconsole";
	case ST_PCI_CHANGED:
		return "try again";
	case ST_PCI_OPEN:
		return "end that process";
	case ST_PCI_ADDRESS:
		return "ip address del";
	case ST_PCI_ROUTE:
		return "ip route del";
	case ST_PCI_PORT:
		return "ip link set nomaster, or delete what is above";
	case ST_PCI_NAMESPACE:
		return "end the container that has it";
	case ST_PCI_NO_RESET:
		return "put it behind a port of its own, whose bus can be reset";
	case ST_PCI_VFS:
		return "shunt pci vfs DEV 0";
	case ST_PCI_VMM:
		return "end the virtual machine first";
	case ST_PCI_NO_DRIVER:
		return "install its module";
	default:
		return NULL;
	}
}

bool pci_is_host_used(const struct pci_device *device)
{
	/* The kernel lets these stay: they do no DMA on anybody's behalf. */
	return device->driver[0] && !pci_is_given(device) && strcmp(device->driver, "pcieport") &&
	       strcmp(device->driver, "pci-stub");
}

struct features {
	const struct sysfs *sysfs;
	char text[SYSFS_NAME_MAX + 8];
};

static bool find_features(void *self, const char *path, const char *name)
{
	struct features *features = self;
	char file[SYSFS_PATH_MAX];

	if (strncmp(name, "virtio", 6))
		return true;
	sysfs_path(file, "%s/%s/features", path, name);
	return !sysfs_read(features->sysfs, file, features->text, sizeof(features->text));
}

/*
 * A virtio device of a hypervisor keeps to the IOMMU if it offers to, and else reaches all of the
 * host's memory. Which it is, its driver knows.
 */
static enum status judge_virtio(const struct sysfs *sysfs, const struct pci_device *device,
				struct failure *why)
{
	struct features features = { .sysfs = sysfs };
	char path[SYSFS_PATH_MAX];

	if (device->vendor != VENDOR_VIRTIO || pci_is_given(device))
		return ST_OK;
	pci_path(path, device->address, "");
	sysfs_each(sysfs, path, find_features, &features);
	if (strlen(features.text) <= ACCESS_PLATFORM)
		return failed(why, ST_PCI_KIND,
			      "whether it keeps to the IOMMU cannot be seen without its driver "
			      "(modprobe virtio_pci)");
	if (features.text[ACCESS_PLATFORM] != '1')
		return failed(why, ST_PCI_KIND,
			      "it is made to bypass the IOMMU (no VIRTIO_F_ACCESS_PLATFORM; QEMU: "
			      "iommu_platform=on)");
	return ST_OK;
}

static enum status judge_group(const struct sysfs *sysfs, const struct pci_device *device,
			       struct failure *why)
{
	struct pci_devices group;
	enum status status;

	status = pci_read_group(sysfs, device, &group, why);
	for (size_t i = 0; !status && i < group.count; i++)
		if (pci_is_host_used(&group.list[i]))
			status = failed(why, ST_PCI_GROUP,
					"the host uses %s (%s) of the same IOMMU group %d",
					group.list[i].address, group.list[i].driver, device->group);
	pci_free(&group);
	return status;
}

enum status pci_judge(const struct sysfs *sysfs, const struct pci_facts *facts,
		      const struct pci_device *device, const struct pci_parts *parts,
		      const char *driver, struct failure *why)
{
	enum status status;

	if (device->bridge)
		return failed(why, ST_PCI_KIND, "it is a bridge");
	if (!strcmp(driver, PCI_DRIVER_SHUNT) && !pci_is_virtio(device))
		return failed(why, ST_PCI_KIND, "it is no virtio 1 function");
	if (device->group == PCI_NO_GROUP)
		return failed(why, ST_PCI_NO_IOMMU, "it is behind no IOMMU");
	status = judge_virtio(sysfs, device, why);
	if (!status)
		status = judge_group(sysfs, device, why);
	if (status)
		return status;
	if (device->vfs)
		return failed(why, ST_PCI_VFS, "%u SR-IOV functions of it are set up", device->vfs);
	/* What hangs on one that has been given is its VMM's. */
	status = pci_is_given(device) ? ST_OK : pci_parts_used(sysfs, parts, why);
	if (!status)
		status = pci_judge_remapping(facts, driver, why);
	if (status)
		return status;
	if (!device->can_reset)
		return failed(why, ST_PCI_NO_RESET, "the kernel has no way to reset it");
	return ST_OK;
}
