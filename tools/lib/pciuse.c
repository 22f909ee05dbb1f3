// SPDX-License-Identifier: GPL-2.0-only
/*
 * What hangs on a PCI device, and whether the host uses it.
 *
 * DOC: Theory of Operation
 *
 * Below a device's directory in sysfs are the directories of all that it carries, however deep: a
 * disk on a USB bus on a controller as well as the interface of a virtio card. What each is, its
 * link 'subsystem' tells. One kind of disk is not there: that of an NVMe subsystem with several
 * controllers, of which each has but a hidden path; its name tells the disk's.
 *
 * What becomes of a disk is seen in pcidisk.c, of an interface in pcinet.c.
 *
 * A directory 'net' without an interface in it belongs to one in another network namespace.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pci.h"
#include "pciuse.h"

/* Directories below each other that are looked into; a disk behind USB hubs is at about 12. */
#define DEPTH_MAX 24

int names_add(struct names *names, const char *name)
{
	char(*list)[SYSFS_NAME_MAX];

	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->list[i], name))
			return 0;
	list = reallocarray(names->list, names->count + 1, sizeof(*list));
	if (!list)
		return -1;
	names->list = list;
	snprintf(list[names->count++], SYSFS_NAME_MAX, "%s", name);
	return 1;
}

void names_free(struct names *names)
{
	free(names->list);
	*names = (struct names){ 0 };
}

/* WHAT HANGS ON IT ------------------------------------------------------------------------- */

struct walk {
	const struct sysfs *sysfs;
	struct pci_parts *parts;
	unsigned int depth;
	bool broken;
};

/* nvme0c1n2, a path by controller 1, belongs to nvme0n2. */
static bool head_of_path(const char *path, char name[SYSFS_NAME_MAX])
{
	unsigned int subsystem, controller, space;
	int end = 0;

	if (sscanf(path, "nvme%uc%un%u%n", &subsystem, &controller, &space, &end) != 3 || path[end])
		return false;
	snprintf(name, SYSFS_NAME_MAX, "nvme%un%u", subsystem, space);
	return true;
}

static bool add_disk(struct walk *walk, const char *name)
{
	char head[SYSFS_NAME_MAX], path[SYSFS_PATH_MAX];

	if (head_of_path(name, head)) {
		sysfs_path(path, "sys/class/block/%s", head);
		/* A path without its disk is one that is going, or has never come up. */
		if (!sysfs_exists(walk->sysfs, path))
			return true;
		name = head;
	}
	return names_add(&walk->parts->disks, name) >= 0;
}

static bool look_at(void *self, const char *path, const char *name)
{
	char below[SYSFS_PATH_MAX], link[SYSFS_PATH_MAX], subsystem[SYSFS_NAME_MAX];
	struct walk *walk = self;
	struct stat st;

	sysfs_path(below, "%s/%s", path, name);
	if (fstatat(walk->sysfs->root, below, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode))
		return true;
	sysfs_path(link, "%s/subsystem", below);
	sysfs_link(walk->sysfs, link, subsystem);
	if (!strcmp(subsystem, "block")) {
		walk->broken |= !add_disk(walk, name);
		return !walk->broken;
	}
	if (!strcmp(subsystem, "net")) {
		walk->broken |= names_add(&walk->parts->interfaces, name) < 0;
		return !walk->broken;
	}
	if (walk->depth == DEPTH_MAX)
		return true;
	walk->depth++;
	if (!sysfs_each(walk->sysfs, below, look_at, walk) && !strcmp(name, "net"))
		walk->parts->elsewhere = true;
	walk->depth--;
	return !walk->broken;
}

enum status pci_parts_read(const struct sysfs *sysfs, const char *address, struct pci_parts *parts,
			   struct failure *why)
{
	struct walk walk = { .sysfs = sysfs, .parts = parts };
	char path[SYSFS_PATH_MAX];

	*parts = (struct pci_parts){ 0 };
	pci_path(path, address, "");
	sysfs_each(sysfs, path, look_at, &walk);
	return walk.broken ? failed(why, ST_SYSTEM, "out of memory") : ST_OK;
}

void pci_parts_free(struct pci_parts *parts)
{
	names_free(&parts->disks);
	names_free(&parts->interfaces);
}

enum status pci_parts_used(const struct sysfs *sysfs, const struct pci_parts *parts,
			   struct failure *why)
{
	enum status status = ST_OK;
	struct failure other;

	/* That the host runs from one is worth more than what another is used for. */
	for (size_t i = 0; status != ST_PCI_BOOT && i < parts->disks.count; i++)
		if (pci_disk_used(sysfs, parts->disks.list[i], &other) &&
		    (!status || other.status == ST_PCI_BOOT))
			status = (*why = other).status;
	if (status)
		return status;
	if (parts->elsewhere)
		return failed(why, ST_PCI_NAMESPACE,
			      "its interface is in another network namespace");
	return parts->interfaces.count ? pci_interfaces_used(&parts->interfaces, why) : ST_OK;
}
