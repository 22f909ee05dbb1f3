// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nodes of devices that are given to VMMs: of VFIO's, one a group; of the others, one each.
 *
 * That a VMM has a device shows when its node is opened, which the kernel refuses then. So that no
 * VMM of another user opens it in the next moment, the node is taken from its owner before.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "pcijudge.h"
#include "pcinode.h"

/* How long to wait for a node, which somebody else makes. */
#define WAIT_S 10

#define WAIT_NS (1000000000 / PCI_WAITS)

void pci_wait(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = WAIT_NS }, NULL);
}

void node_path(const struct pci_device *device, const char *driver, char path[SYSFS_PATH_MAX])
{
	if (!strcmp(driver, PCI_DRIVER_SHUNT))
		sysfs_path(path, "dev/shunt-vfio/%s", device->address);
	else
		sysfs_path(path, "dev/vfio/%d", device->group);
}

/* Opened as a name only: whose it is can be changed, and nothing of it is told. */
static int node_find(const struct sysfs *sysfs, const char *path, struct stat *st)
{
	int fd = openat(sysfs->root, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && (fstat(fd, st) || !S_ISCHR(st->st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Whether it is VFIO's for this group; the other driver's has no file that says. */
static bool node_is_right(const struct sysfs *sysfs, const struct pci_device *device,
			  const struct stat *st)
{
	char path[SYSFS_PATH_MAX], want[32], is[32];

	if (!strcmp(device->driver, PCI_DRIVER_SHUNT))
		return true;
	sysfs_path(path, "sys/class/vfio/%d/dev", device->group);
	if (!sysfs_read(sysfs, path, want, sizeof(want)))
		return false;
	snprintf(is, sizeof(is), "%u:%u", major(st->st_rdev), minor(st->st_rdev));
	return !strcmp(want, is);
}

void node_remember(const struct sysfs *sysfs, const struct pci_device *device, const char *driver,
		   struct node_owner *node)
{
	struct stat st;
	int fd;

	node_path(device, driver, node->path);
	fd = node_find(sysfs, node->path, &st);
	if (fd < 0) {
		node->path[0] = '\0';
		return;
	}
	node->owner = st.st_uid;
	node->group = st.st_gid;
	close(fd);
}

int node_restore(const struct sysfs *sysfs, const struct node_owner *node)
{
	struct stat st;
	int fd, error = 0;

	fd = node->path[0] ? node_find(sysfs, node->path, &st) : -1;
	if (fd < 0)
		return 0;
	if ((st.st_uid != node->owner || st.st_gid != node->group) &&
	    fchownat(fd, "", node->owner, node->group, AT_EMPTY_PATH))
		error = errno;
	close(fd);
	return error;
}

enum status node_give(const struct sysfs *sysfs, const struct pci_device *device, uid_t owner,
		      gid_t group, const char *path, struct failure *why)
{
	struct stat st = { 0 };
	int fd = -1;

	for (unsigned int i = 0; fd < 0 && i < WAIT_S * PCI_WAITS; i++) {
		if (i)
			pci_wait();
		fd = node_find(sysfs, path, &st);
	}
	if (fd < 0)
		return failed(why, ST_PCI_PROBE, "%s made no node /%s", device->driver, path);
	if (!node_is_right(sysfs, device, &st)) {
		close(fd);
		return failed(why, ST_PCI_PROBE, "/%s is not the node of its group", path);
	}
	if (fchownat(fd, "", owner, group, AT_EMPTY_PATH) || fstat(fd, &st)) {
		int error = errno;

		close(fd);
		return failed(why, error == EPERM ? ST_PRIVILEGE : ST_SYSTEM, "/%s: %s", path,
			      strerror(error));
	}
	close(fd);
	if ((owner != (uid_t)-1 && st.st_uid != owner) ||
	    (group != (gid_t)-1 && st.st_gid != group))
		return failed(why, ST_SYSTEM, "/%s did not get its owner", path);
	return ST_OK;
}

enum status node_check_held(const struct sysfs *sysfs, const struct pci_device *device,
			    struct failure *why)
{
	char path[SYSFS_PATH_MAX];
	enum status status = ST_OK;
	struct stat st;
	int name, fd;

	node_path(device, device->driver, path);
	name = node_find(sysfs, path, &st);
	/* Without a node nobody can have it open. */
	if (name < 0)
		return ST_OK;
	if (fchownat(name, "", 0, 0, AT_EMPTY_PATH))
		status = failed(why, ST_SYSTEM, "/%s: %s", path, strerror(errno));
	if (!status) {
		fd = openat(sysfs->root, path, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
		else if (errno == EBUSY)
			status = failed(why, ST_PCI_VMM, "a process has /%s open", path);
		else
			status = failed(why, ST_SYSTEM, "/%s: %s", path, strerror(errno));
	}
	if (status && fchownat(name, "", st.st_uid, st.st_gid, AT_EMPTY_PATH))
		status = failed(why, ST_SYSTEM, "/%s is now owned by root: %s", path,
				strerror(errno));
	close(name);
	return status;
}
