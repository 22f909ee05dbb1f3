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
 * Interfaces of other network namespaces are left out of what the kernel lists, but not of how many
 * directories it says there are in the directory 'net': links to it are counted, one from each.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pci.h"
#include "pciuse.h"

/* Directories below each other that are looked into; a disk behind USB hubs is at about 12. */
#define DEPTH_MAX 24

bool names_has(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->list[i], name))
			return true;
	return false;
}

int names_add(struct names *names, const char *name)
{
	char(*list)[SYSFS_NAME_MAX];

	if (strlen(name) >= SYSFS_NAME_MAX)
		return -1;
	if (names_has(names, name))
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

/**
 * struct walk - where we are
 * @sysfs: where all is
 * @parts: what was found
 * @depth: directories below the device's
 * @status: ST_OK, or why not all could be looked at
 * @why: that in words
 */
struct walk {
	const struct sysfs *sysfs;
	struct pci_parts *parts;
	unsigned int depth;
	enum status status;
	struct failure *why;
};

/* What could not be looked at may be in use. Returns false, to end the walk. */
static bool walk_fails(struct walk *walk, const char *path, const char *name, const char *reason)
{
	if (!walk->status)
		walk->status = failed(walk->why, ST_SYSTEM,
				      "what hangs on it cannot be seen: /%.200s/%.100s: %s", path,
				      name, reason);
	return false;
}

/* Who sits at a keyboard is asked by the kernel and by all sorts of programs. */
static bool is_for_people(const char *subsystem)
{
	return !strcmp(subsystem, "input") || !strcmp(subsystem, "hidraw");
}

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

static int add_disk(struct walk *walk, const char *name)
{
	char head[SYSFS_NAME_MAX], path[SYSFS_PATH_MAX], generic[SYSFS_NAME_MAX];
	unsigned int subsystem, space;

	if (head_of_path(name, head)) {
		sysfs_path(path, "sys/class/block/%s", head);
		/* A path without its disk is one that is going, or has never come up. */
		if (!sysfs_exists(walk->sysfs, path))
			return 0;
		name = head;
	}
	/* Of a disk with several paths this is not below any of their devices. */
	if (sscanf(name, "nvme%un%u", &subsystem, &space) == 2) {
		snprintf(generic, sizeof(generic), "ng%un%u", subsystem, space);
		sysfs_path(path, "sys/class/nvme-generic/%s", generic);
		if (!nodes_add(&walk->parts->nodes, walk->sysfs, path, false, generic))
			return -1;
	}
	return names_add(&walk->parts->disks, name);
}

/* A virtio device is what its driver makes of it; returns -1 if that cannot be kept in mind. */
static int add_virtio(struct walk *walk, const char *path)
{
	char file[SYSFS_PATH_MAX], driver[SYSFS_NAME_MAX], tag[256];

	sysfs_path(file, "%s/driver", path);
	sysfs_link(walk->sysfs, file, driver);
	if (!strcmp(driver, "virtiofs"))
		walk->parts->virtiofs = true;
	else if (!strcmp(driver, "virtio_console"))
		walk->parts->hypervisor_console = true;
	else if (!strcmp(driver, "9pnet_virtio")) {
		sysfs_path(file, "%s/mount_tag", path);
		if (!sysfs_read(walk->sysfs, file, tag, sizeof(tag)) ||
		    strlen(tag) >= SYSFS_NAME_MAX)
			tag[0] = '\0';
		return names_add(&walk->parts->tags, tag);
	}
	return 0;
}

/* Returns 1 if nothing below it matters, -1 if it cannot be kept in mind. */
static int add_part(struct walk *walk, const char *path, const char *name, const char *subsystem)
{
	struct pci_parts *parts = walk->parts;
	int added = 0;

	if (!strcmp(subsystem, "block"))
		return add_disk(walk, name) < 0 ? -1 : 1;
	if (!strcmp(subsystem, "net"))
		return names_add(&parts->interfaces, name) < 0 ? -1 : 1;
	if (!strcmp(subsystem, "tty"))
		added = names_add(&parts->terminals, name);
	else if (!strcmp(subsystem, "virtio"))
		added = add_virtio(walk, path);
	else if (!strcmp(subsystem, "graphics"))
		parts->frame_buffer = true;
	if (!is_for_people(subsystem) && !nodes_add(&parts->nodes, walk->sysfs, path, false, name))
		added = -1;
	return added < 0 ? -1 : 0;
}

static bool look_at(void *self, const char *path, const char *name)
{
	char below[SYSFS_PATH_MAX], link[SYSFS_PATH_MAX], subsystem[SYSFS_NAME_MAX];
	struct walk *walk = self;
	int found, added;
	struct stat st;

	sysfs_path(below, "%s/%s", path, name);
	sysfs_path(link, "%s/subsystem", below);
	if (!below[0] || !link[0])
		return walk_fails(walk, path, name, strerror(ENAMETOOLONG));
	if (fstatat(walk->sysfs->root, below, &st, AT_SYMLINK_NOFOLLOW))
		/* One that is gone is not used. */
		return errno == ENOENT || walk_fails(walk, path, name, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return true;
	sysfs_link(walk->sysfs, link, subsystem);
	added = add_part(walk, below, name, subsystem);
	if (added < 0)
		return walk_fails(walk, path, name, "it cannot be kept in mind");
	if (added)
		return true;
	if (walk->depth == DEPTH_MAX)
		return walk_fails(walk, path, name, "too deep");
	walk->depth++;
	found = sysfs_each(walk->sysfs, below, look_at, walk);
	walk->depth--;
	if (found < 0 && found != -ENOENT)
		return walk_fails(walk, path, name, strerror(-found));
	/* Two more are its own and that from above; a file system that counts none has one. */
	if (!strcmp(name, "net") && (!found || st.st_nlink > 2 + (nlink_t)found))
		walk->parts->elsewhere = true;
	return !walk->status;
}

enum status pci_parts_add(const struct sysfs *sysfs, const char *address, struct pci_parts *parts,
			  struct failure *why)
{
	struct walk walk = { .sysfs = sysfs, .parts = parts, .why = why };
	char path[SYSFS_PATH_MAX];
	int found;

	pci_path(path, address, "");
	found = sysfs_each(sysfs, path, look_at, &walk);
	if (found < 0)
		walk_fails(&walk, path, "", strerror(-found));
	pci_path(path, address, "boot_vga");
	parts->boot_vga |= sysfs_number(sysfs, path, 0) == 1;
	return walk.status;
}

enum status pci_parts_read(const struct sysfs *sysfs, const char *address, struct pci_parts *parts,
			   struct failure *why)
{
	*parts = (struct pci_parts){ 0 };
	return pci_parts_add(sysfs, address, parts, why);
}

void pci_parts_free(struct pci_parts *parts)
{
	names_free(&parts->disks);
	names_free(&parts->interfaces);
	nodes_free(&parts->nodes);
	names_free(&parts->tags);
	names_free(&parts->terminals);
}

enum status pci_parts_used(const struct sysfs *sysfs, const struct pci_parts *parts,
			   struct failure *why)
{
	struct nodes nodes = { 0 };
	enum status status = ST_OK;
	struct failure other;

	/* That the host runs from one is worth more than what another is used for. */
	for (size_t i = 0; status != ST_PCI_BOOT && i < parts->disks.count; i++)
		if (pci_disk_used(sysfs, parts->disks.list[i], &nodes, &other) &&
		    (!status || other.status == ST_PCI_BOOT))
			status = (*why = other).status;
	if (!status)
		status = pci_shares_used(sysfs, parts, why);
	if (!status && parts->elsewhere)
		status = failed(why, ST_PCI_NAMESPACE,
				"its interface is in another network namespace");
	if (!status && parts->interfaces.count)
		status = pci_interfaces_used(sysfs, &parts->interfaces, why);
	if (!status)
		status = pci_consoles_used(sysfs, parts, why);
	if (!status && !nodes_join(&nodes, &parts->nodes))
		status = failed(why, ST_SYSTEM, "out of memory");
	if (!status)
		status = nodes_open(sysfs, &nodes, why);
	nodes_free(&nodes);
	return status;
}
