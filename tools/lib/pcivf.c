// SPDX-License-Identifier: GPL-2.0-only
/*
 * The number of SR-IOV functions.
 *
 * The kernel changes it from 0, and to 0, only; and asks nobody when it takes functions away. So
 * it is seen to here that nobody has one.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "pciuse.h"
#include "pcivf.h"

static int write_number(const struct sysfs *sysfs, const char *address, unsigned int number)
{
	char path[SYSFS_PATH_MAX], text[16];

	pci_path(path, address, "sriov_numvfs");
	snprintf(text, sizeof(text), "%u", number);
	return sysfs_write(sysfs, path, text);
}

/* See that nobody has any of the functions; their disks are claimed then. */
static enum status functions_free(const struct sysfs *sysfs, const struct pci_device *device,
				  struct pci_claim *claim, struct failure *why)
{
	struct pci_parts parts = { 0 };
	struct pci_devices vfs;
	struct failure use;
	enum status status;

	status = pci_read_vfs(sysfs, device, &vfs, why);
	for (size_t i = 0; !status && i < vfs.count; i++)
		if (pci_is_given(&vfs.list[i]))
			status = failed(why, ST_PCI_VFS,
					"its function %s is given to virtual machines (%s)",
					vfs.list[i].address, vfs.list[i].driver);
	for (size_t i = 0; !status && i < vfs.count; i++)
		status = pci_parts_add(sysfs, vfs.list[i].address, &parts, why);
	if (!status &&
	    (pci_parts_used(sysfs, &parts, &use) || pci_parts_claim(sysfs, &parts, claim, &use)))
		status = use.status == ST_SYSTEM ?
				 (*why = use).status :
				 failed(why, ST_PCI_VFS, "of its functions: %.400s", use.text);
	pci_parts_free(&parts);
	pci_free(&vfs);
	return status;
}

static enum status number_refused(unsigned int number, int error, struct failure *why)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return failed(why, ST_PRIVILEGE, "sriov_numvfs: %s", strerror(error));
	case ENOENT:
	case ENOSYS:
		return failed(why, ST_PCI_SRIOV, "its driver cannot set functions up");
	default:
		return failed(why, ST_PCI_SRIOV, "%u functions were refused: %s", number,
			      strerror(error));
	}
}

static enum status set_number(const struct sysfs *sysfs, const struct pci_device *device,
			      unsigned int number, struct failure *why)
{
	struct pci_claim claim = { 0 };
	enum status status;
	int error = 0;

	status = functions_free(sysfs, device, &claim, why);
	if (!status && device->vfs)
		error = write_number(sysfs, device->address, 0);
	pci_claim_end(&claim);
	if (status)
		return status;
	if (!error && number) {
		error = write_number(sysfs, device->address, number);
		/* As before, as far as that is possible: what they were set to is gone. */
		if (error && device->vfs)
			write_number(sysfs, device->address, device->vfs);
	}
	return error ? number_refused(number, error, why) : ST_OK;
}

static enum status set_attributes(const struct sysfs *sysfs, const char *address,
				  const struct pci_vf_wish *wishes, unsigned int count,
				  struct failure *why)
{
	struct pci_parts parts;
	enum status status;

	status = pci_parts_read(sysfs, address, &parts, why);
	if (!status && !parts.interfaces.count)
		status = failed(why, ST_PCI_VF_SET,
				"it has no network interface that sets attributes");
	for (unsigned int i = 0; !status && i < count; i++)
		status = pci_vf_set(parts.interfaces.list[0], &wishes[i], why);
	pci_parts_free(&parts);
	return status;
}

enum status pci_vfs_change(const struct sysfs *sysfs, const char *address, unsigned int number,
			   const struct pci_vf_wish *wishes, unsigned int count,
			   struct pci_devices *vfs, struct failure *why)
{
	struct pci_device device, now;
	struct failure ignored;
	sigset_t all, before;
	enum status status;

	*vfs = (struct pci_devices){ 0 };
	status = pci_read(sysfs, address, &device, why);
	if (status)
		return status;
	if (!device.vfs_total)
		return failed(why, ST_PCI_SRIOV, "it is not capable of SR-IOV");
	if (number > device.vfs_total)
		return failed(why, ST_PCI_SRIOV, "it can have %u functions, not %u",
			      device.vfs_total, number);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	if (number != device.vfs)
		status = set_number(sysfs, &device, number, why);
	if (!status)
		status = pci_read(sysfs, address, &now, why);
	if (!status && now.vfs != number)
		status = failed(why, ST_PCI_SRIOV, "it has %u functions, not %u", now.vfs, number);
	if (!status && count) {
		status = set_attributes(sysfs, address, wishes, count, why);
		/* Functions without the attributes that they were wanted with are of no use. */
		if (status && !device.vfs)
			set_number(sysfs, &now, 0, &ignored);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (!status)
		status = pci_read_vfs(sysfs, &now, vfs, why);
	if (!status && vfs->count != number)
		status = failed(why, ST_PCI_SRIOV, "%zu of %u functions are there", vfs->count,
				number);
	return status;
}
