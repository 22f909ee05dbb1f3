// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing the rule.
 *
 * It has no number of an IOMMU group in it, as that may be another one after the next boot: whose
 * the group's node is, the second line finds out by the device in the group.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pcijudge.h"
#include "pcipersist.h"

#define RULES "etc/udev/rules.d"

/* What stands for itself in a rule and in a command of one. */
#define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

void pci_persist_path(char path[SYSFS_PATH_MAX], const char *address)
{
	sysfs_path(path, RULES "/60-shunt-pci-%s.rules", address);
}

static bool is_plain(const char *text, const char *also)
{
	while (*text) {
		size_t length = strspn(text, PLAIN);

		text += length;
		if (*text && !strchr(also, *text))
			return false;
		text += *text != '\0';
	}
	return true;
}

static bool is_roots_alone(const struct stat *st)
{
	return !st->st_uid && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/*
 * The command, and each directory above it: who may write to one of them would be root at the next
 * boot. Where there are access control lists, the bits of the group say what they allow at most.
 */
static enum status check_command(const struct sysfs *sysfs, const char *command,
				 struct failure *why)
{
	char path[SYSFS_PATH_MAX];
	const char *end = command;
	struct stat st;

	if (strlen(command) >= sizeof(path))
		return failed(why, ST_PCI_PERSIST, "%.300s: %s", command, strerror(ENAMETOOLONG));
	if (fstat(sysfs->root, &st))
		return failed(why, ST_PCI_PERSIST, "/: %s", strerror(errno));
	snprintf(path, sizeof(path), "/");
	while (is_roots_alone(&st) && *end) {
		end += 1 + strcspn(end + 1, "/");
		snprintf(path, sizeof(path), "%.*s", (int)(end - command), command);
		if (fstatat(sysfs->root, path + 1, &st, AT_SYMLINK_NOFOLLOW))
			return failed(why, ST_PCI_PERSIST, "%s: %s", path, strerror(errno));
		if (S_ISLNK(st.st_mode))
			return failed(why, ST_PCI_PERSIST, "%s is a link", path);
	}
	if (!is_roots_alone(&st))
		return failed(why, ST_PCI_PERSIST,
			      "udev would run %.150s as root, and others may write to %.150s: "
			      "install shunt where only root may (make install)",
			      command, path);
	return ST_OK;
}

static void print_owner(FILE *file, const char *owner)
{
	const char *group = strchr(owner, ':');

	fprintf(file, ", OWNER=\"%.*s\"", (int)strcspn(owner, ":"), owner);
	if (group)
		fprintf(file, ", GROUP=\"%s\"", group + 1);
	fprintf(file, "\n");
}

static void print_rule(FILE *file, const struct pci_device *device, const char *driver,
		       const char *command, const char *owner)
{
	bool shunt = !strcmp(driver, PCI_DRIVER_SHUNT);

	fprintf(file,
		"# SPDX-License-Identifier: GPL-2.0-only\n"
		"# Written by 'shunt pci bind --persist'; 'shunt pci release %s' removes it.\n",
		device->address);
	fprintf(file,
		"ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"%s\", ATTR{vendor}==\"0x%04x\", "
		"ATTR{device}==\"0x%04x\", ATTR{driver_override}=\"%s\", "
		"RUN{builtin}+=\"kmod load %s\", RUN+=\"%s pci bind %s --driver %s%s%s\"\n",
		device->address, device->vendor, device->device, driver, driver, command,
		device->address, shunt ? "shunt-vfio" : driver, owner ? " --owner " : "",
		owner ? owner : "");
	if (!owner)
		return;
	if (shunt)
		fprintf(file, "ENV{DEVNAME}==\"/dev/shunt-vfio/%s\"", device->address);
	else
		fprintf(file,
			"SUBSYSTEM==\"vfio\", TEST==\"/sys/kernel/iommu_groups/%%k/devices/%s\"",
			device->address);
	print_owner(file, owner);
}

enum status pci_persist_write(const struct sysfs *sysfs, const struct pci_device *device,
			      const char *driver, const char *command, const char *owner,
			      struct failure *why)
{
	char path[SYSFS_PATH_MAX], fresh[SYSFS_PATH_MAX];
	bool broken;
	FILE *file;
	int fd;

	if (owner && !is_plain(owner, ":"))
		return failed(why, ST_PCI_PERSIST, "'%s' cannot stand in a udev rule", owner);
	if (*command != '/' || !is_plain(command, "/"))
		return failed(why, ST_PCI_PERSIST, "'%s' cannot stand in a udev rule", command);
	if (check_command(sysfs, command, why))
		return ST_PCI_PERSIST;
	pci_persist_path(path, device->address);
	/* udev reads files that end in .rules only. */
	sysfs_path(fresh, "%.370s.new", path);
	unlinkat(sysfs->root, fresh, 0);
	fd = openat(sysfs->root, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		return failed(why, ST_PCI_PERSIST, "/%s: %s", fresh, strerror(error));
	}
	print_rule(file, device, driver, command, owner);
	broken = fflush(file) || fsync(fd);
	broken |= fclose(file) != 0;
	if (broken || renameat(sysfs->root, fresh, sysfs->root, path)) {
		failed(why, ST_PCI_PERSIST, "/%s: %s", path, strerror(errno));
		unlinkat(sysfs->root, fresh, 0);
		return ST_PCI_PERSIST;
	}
	return ST_OK;
}

enum status pci_persist_remove(const struct sysfs *sysfs, const char *address, bool *removed,
			       struct failure *why)
{
	char path[SYSFS_PATH_MAX];

	pci_persist_path(path, address);
	*removed = !unlinkat(sysfs->root, path, 0);
	if (!*removed && errno != ENOENT && errno != ENOTDIR)
		return failed(why, ST_PCI_PERSIST, "/%s: %s", path, strerror(errno));
	return ST_OK;
}
