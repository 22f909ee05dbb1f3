// SPDX-License-Identifier: GPL-2.0-only
/*
 * From one driver to another, and back.
 *
 * DOC: Theory of Operation
 *
 * A device goes to a VMM in these steps:
 *
 * 1. All that can be known before is looked at: the device and its group (pcijudge.c), what the
 *    host does with it (pciuse.c), that the wanted driver is in the kernel, and what its modules,
 *    which are loaded for that, say of interrupts.
 * 2. Its disks are claimed, so that none can be mounted from here on.
 * 3. driver_override names the wanted driver: from now on no other one can take the device, be it
 *    one that is loaded just then.
 * 4. All is looked at again: what hangs on it may have come, or been renamed, since then, and
 *    nothing can claim interfaces, nor a disk from who does not ask for it. Then the old driver is
 *    made to let go of it, and the claims end.
 * 5. The device, which nobody has, is reset, and must answer.
 * 6. The kernel is asked to find it a driver (drivers_probe).
 * 7. What came of it is read back: the driver, the group, and the node, whose owner is changed.
 * 8. What the caller wants to have with it is done, as a rule for the next boot.
 *
 * From 3 on, any failure undoes it all: whoever has the device lets go, driver_override is what it
 * was, the old driver is told to take it (by its own file 'bind', which asks nobody else), and the
 * node, which there was if that driver was one of VFIO or if others of the group are given, gets
 * back the owner that it had. That this worked is read back too; if it did not, the failure says so
 * (ST_PCI_STUCK).
 *
 * The way back is shorter. What must not happen there is that the kernel waits for a VMM which has
 * the device, as it does when a driver of VFIO is made to let go (pcinode.c).
 *
 * A lock keeps two processes of this command apart. Others who write to the same files can make it
 * fail, which is noticed; not go wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "module.h"
#include "pcibind.h"
#include "pcinode.h"

#define LOCK "run/shunt-pci.lock"

/* How long to wait for who has a disk open: udev looks at each that comes, and is soon done. */
#define OPEN_WAIT_S 3

/*
 * What a device reads as that does not answer. Not its vendor's number is looked at, which SR-IOV
 * functions do not have, but its command and status registers.
 */
#define NO_ANSWER 0xffffffff
#define COMMAND 4

/* What a busy machine makes of steps is more than their sum. */
static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum status pci_lock(const struct sysfs *sysfs, unsigned int seconds, void (*waiting)(void),
		     int *fd, struct failure *why)
{
	long began, last;

	*fd = openat(sysfs->root, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*fd < 0)
		return failed(why, errno == EACCES ? ST_PRIVILEGE : ST_SYSTEM, "/" LOCK ": %s",
			      strerror(errno));
	began = last = now_ms();
	while (flock(*fd, LOCK_EX | LOCK_NB)) {
		enum status status = ST_OK;
		int error = errno;
		long now = now_ms();

		if (error != EWOULDBLOCK && error != EINTR)
			status = failed(why, ST_SYSTEM, "/" LOCK ": %s", strerror(error));
		else if (now - began >= seconds * 1000L)
			status = failed(why, ST_PCI_LOCKED,
					"another shunt pci has been at work for %u s", seconds);
		if (status) {
			close(*fd);
			*fd = -1;
			return status;
		}
		if (last - began < 1000 && now - began >= 1000)
			waiting();
		last = now;
		pci_wait();
	}
	return ST_OK;
}

/* SMALL STEPS ------------------------------------------------------------------------------ */

static void driver_path(char path[SYSFS_PATH_MAX], const char *driver, const char *file)
{
	sysfs_path(path, "sys/bus/pci/drivers/%s%s%s", driver, *file ? "/" : "", file);
}

/* An empty line: none. */
static int set_override(const struct sysfs *sysfs, const char *address, const char *driver)
{
	char path[SYSFS_PATH_MAX], line[SYSFS_NAME_MAX + 1];

	pci_path(path, address, "driver_override");
	snprintf(line, sizeof(line), "%s\n", driver);
	return sysfs_write(sysfs, path, line);
}

/* Make a driver take a device, or let go of it: its files bind and unbind. */
static int tell_driver(const struct sysfs *sysfs, const char *address, const char *driver,
		       const char *file)
{
	char path[SYSFS_PATH_MAX];

	driver_path(path, driver, file);
	return sysfs_write(sysfs, path, address);
}

static int probe(const struct sysfs *sysfs, const char *address)
{
	return sysfs_write(sysfs, "sys/bus/pci/drivers_probe", address);
}

static void current_driver(const struct sysfs *sysfs, const char *address,
			   char driver[SYSFS_NAME_MAX])
{
	char path[SYSFS_PATH_MAX];

	pci_path(path, address, "driver");
	sysfs_link(sysfs, path, driver);
}

static enum status reset(const struct sysfs *sysfs, const char *address, struct failure *why)
{
	char path[SYSFS_PATH_MAX];
	unsigned int command = NO_ANSWER;
	int error, fd;

	pci_path(path, address, "reset");
	error = sysfs_write(sysfs, path, "1");
	if (error)
		return failed(why, ST_PCI_RESET, "it cannot be reset: %s", strerror(error));
	pci_path(path, address, "config");
	fd = openat(sysfs->root, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (pread(fd, &command, sizeof(command), COMMAND) != sizeof(command))
			command = NO_ANSWER;
		close(fd);
	}
	if (command == NO_ANSWER)
		return failed(why, ST_PCI_RESET, "it does not answer after a reset");
	return ST_OK;
}

static enum status have_driver(const struct sysfs *sysfs, const char *driver, struct failure *why)
{
	char path[SYSFS_PATH_MAX];
	enum status status;

	driver_path(path, driver, "");
	if (sysfs_exists(sysfs, path))
		return ST_OK;
	status = module_load(driver, why);
	if (status)
		return status;
	if (!sysfs_exists(sysfs, path))
		return failed(why, ST_PCI_NO_DRIVER, "its module brings no driver %s", driver);
	return ST_OK;
}

/*
 * What the driver's modules are told about interrupts is known once they are loaded: by options of
 * modprobe.d. That of containers is not loaded by vfio-pci in time; and need not be there, for VMMs
 * that know iommufd.
 */
static enum status have_remapping(const struct sysfs *sysfs, const char *driver,
				  struct pci_facts *facts, struct failure *why)
{
	struct failure ignored;

	if (!strcmp(driver, PCI_DRIVER_VFIO) && !sysfs_exists(sysfs, "sys/module/vfio_iommu_type1"))
		module_load("vfio_iommu_type1", &ignored);
	pci_facts_read(sysfs, facts);
	return pci_judge_remapping(facts, driver, why);
}

/* BIND ------------------------------------------------------------------------------------- */

/* What pci_judge() says, once those are done who only look. */
static enum status judge(const struct sysfs *sysfs, const struct pci_facts *facts,
			 const struct pci_device *device, const struct pci_parts *parts,
			 const char *driver, struct failure *why)
{
	enum status status = pci_judge(sysfs, facts, device, parts, driver, why);

	for (unsigned int i = 0; status == ST_PCI_OPEN && i < OPEN_WAIT_S * PCI_WAITS; i++) {
		pci_wait();
		status = pci_judge(sysfs, facts, device, parts, driver, why);
	}
	return status;
}

/**
 * struct binding - a device on its way
 * @sysfs: where
 * @wish: what is to become of it
 * @facts: the host's
 * @old: what pci_read() told before anything was changed
 * @parts: what hung on it then
 * @claim: its disks, which are ours
 * @unbound: its driver was told to let go of it
 * @nodes: of the driver that it had, and of that which it is to have
 */
struct binding {
	const struct sysfs *sysfs;
	const struct pci_wish *wish;
	struct pci_facts facts;
	struct pci_device old;
	struct pci_parts parts;
	struct pci_claim claim;
	bool unbound;
	struct node_owner nodes[2];
};

/* Make whoever has it let go, and the old driver take it. */
static int rebind(const struct binding *binding)
{
	const struct pci_device *old = &binding->old;
	char driver[SYSFS_NAME_MAX];
	int error = 0;

	current_driver(binding->sysfs, old->address, driver);
	if (driver[0] && strcmp(driver, old->driver))
		error = tell_driver(binding->sysfs, old->address, driver, "unbind");
	if (!error)
		error = set_override(binding->sysfs, old->address, old->override);
	current_driver(binding->sysfs, old->address, driver);
	if (!error && old->driver[0] && !driver[0])
		error = tell_driver(binding->sysfs, old->address, old->driver, "bind");
	current_driver(binding->sysfs, old->address, driver);
	return error ? error : strcmp(driver, old->driver) ? ENODEV : 0;
}

/* Have everything as it was before. What another one has made of the driver is his. */
static enum status undo(const struct binding *binding, struct failure *why)
{
	const struct pci_device *old = &binding->old;
	struct failure first = *why;
	int error;

	error = binding->unbound ? rebind(binding) :
				   set_override(binding->sysfs, old->address, old->override);
	if (error && binding->unbound)
		return failed(why, ST_PCI_STUCK, "%.300s; and then it did not get back to %s: %s",
			      first.text, old->driver[0] ? old->driver : "no driver",
			      strerror(error));
	if (error)
		return failed(why, ST_PCI_STUCK, "%.300s; and its driver_override is still %s: %s",
			      first.text, binding->wish->driver, strerror(error));
	for (size_t i = 0; i < 2 && !error; i++) {
		error = node_restore(binding->sysfs, &binding->nodes[i]);
		if (error)
			return failed(why, ST_PCI_STUCK,
				      "%.300s; and /%.100s did not get its owner back: %s",
				      first.text, binding->nodes[i].path, strerror(error));
	}
	return first.status;
}

/* Step 7. */
static enum status verify(const struct binding *binding, struct pci_result *result,
			  struct failure *why)
{
	struct pci_device *device = &result->device;
	const struct pci_wish *wish = binding->wish;
	char path[SYSFS_PATH_MAX];
	enum status status;

	status = pci_read(binding->sysfs, binding->old.address, device, why);
	if (status)
		return status;
	if (strcmp(device->driver, wish->driver))
		return failed(why, ST_PCI_PROBE, "%s did not take it: see the kernel's log",
			      wish->driver);
	if (device->group != binding->old.group)
		return failed(why, ST_PCI_PROBE, "its IOMMU group changed from %d to %d",
			      binding->old.group, device->group);
	node_path(device, device->driver, path);
	status = node_give(binding->sysfs, device, wish->owner, wish->group, path, why);
	if (!status)
		snprintf(result->node, sizeof(result->node), "/%.380s", path);
	return status;
}

/* Disks that are not claimed have come since then. */
static enum status all_claimed(const struct binding *binding, const struct pci_parts *parts,
			       struct failure *why)
{
	for (size_t i = 0; i < parts->disks.count; i++)
		if (!names_has(&binding->parts.disks, parts->disks.list[i]))
			return failed(why, ST_PCI_CHANGED, "its disk %s has just come",
				      parts->disks.list[i]);
	return ST_OK;
}

/* Step 4: the same questions once more, about the device as it is now. */
static enum status look_again(const struct binding *binding, struct failure *why)
{
	const struct pci_device *old = &binding->old;
	const struct sysfs *sysfs = binding->sysfs;
	struct pci_device now;
	struct pci_parts parts;
	enum status status;

	status = pci_read(sysfs, old->address, &now, why);
	if (status)
		return status;
	if (strcmp(now.driver, old->driver))
		return failed(why, ST_PCI_CHANGED, "its driver is now %s instead of %s",
			      now.driver[0] ? now.driver : "none",
			      old->driver[0] ? old->driver : "none");
	if (strcmp(now.override, binding->wish->driver))
		return failed(why, ST_PCI_CHANGED, "somebody else set its driver_override");
	if (now.group != old->group)
		return failed(why, ST_PCI_CHANGED, "its IOMMU group changed from %d to %d",
			      old->group, now.group);
	status = pci_parts_read(sysfs, old->address, &parts, why);
	if (!status)
		status = all_claimed(binding, &parts, why);
	if (!status)
		status = judge(sysfs, &binding->facts, &now, &parts, binding->wish->driver, why);
	pci_parts_free(&parts);
	if (!status && pci_is_given(old))
		status = node_check_held(sysfs, old, why);
	return status;
}

/* Step 8. */
static enum status finish(const struct binding *binding, const struct pci_result *result,
			  struct failure *why)
{
	const struct pci_wish *wish = binding->wish;

	return wish->last ? wish->last(wish->self, result, why) : ST_OK;
}

/* Steps 4 to 8, driver_override being set. */
static enum status change_driver(struct binding *binding, struct pci_result *result,
				 struct failure *why)
{
	const struct pci_device *old = &binding->old;
	const struct sysfs *sysfs = binding->sysfs;
	enum status status;
	int error;

	status = look_again(binding, why);
	if (status)
		return status;
	binding->unbound = true;
	if (old->driver[0]) {
		error = tell_driver(sysfs, old->address, old->driver, "unbind");
		if (error)
			return failed(why, ST_SYSTEM, "%s does not let go of it: %s", old->driver,
				      strerror(error));
	}
	pci_claim_end(&binding->claim);
	status = reset(sysfs, old->address, why);
	if (status)
		return status;
	error = probe(sysfs, old->address);
	if (error)
		return failed(why, ST_PCI_PROBE, "the kernel looks for no driver: %s",
			      strerror(error));
	status = verify(binding, result, why);
	return status ? status : finish(binding, result, why);
}

/* It has the wanted driver already: of all the steps only the last are left. */
static enum status keep(struct binding *binding, struct pci_result *result, struct failure *why)
{
	const struct pci_device *old = &binding->old;
	enum status status;

	if (set_override(binding->sysfs, old->address, binding->wish->driver))
		return failed(why, ST_SYSTEM, "driver_override cannot be written");
	status = verify(binding, result, why);
	if (!status)
		status = finish(binding, result, why);
	return status ? undo(binding, why) : ST_OK;
}

/* Steps 2 and 3, and undoing what comes after. */
static enum status take(struct binding *binding, struct pci_result *result, struct failure *why)
{
	sigset_t all, before;
	enum status status;
	int error;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	status = pci_parts_claim(binding->sysfs, &binding->parts, &binding->claim, why);
	if (!status) {
		error = set_override(binding->sysfs, binding->old.address, binding->wish->driver);
		if (error)
			status = failed(why, error == EACCES ? ST_PRIVILEGE : ST_SYSTEM,
					"driver_override: %s", strerror(error));
		else
			status = change_driver(binding, result, why);
		if (status && !error) {
			pci_claim_end(&binding->claim);
			status = undo(binding, why);
		}
	}
	pci_claim_end(&binding->claim);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}

enum status pci_bind(const struct sysfs *sysfs, const char *address, const struct pci_wish *wish,
		     struct pci_result *result, struct failure *why)
{
	/* Of interrupts more is known later. */
	struct binding binding = { .sysfs = sysfs, .wish = wish, .facts.remaps = true };
	struct pci_device *old = &binding.old;
	enum status status;

	*result = (struct pci_result){ 0 };
	status = pci_read(sysfs, address, old, why);
	if (status)
		return status;
	snprintf(result->before, sizeof(result->before), "%s", old->driver);
	status = pci_parts_read(sysfs, address, &binding.parts, why);
	if (!status)
		status = judge(sysfs, &binding.facts, old, &binding.parts, wish->driver, why);
	if (!status)
		status = have_driver(sysfs, wish->driver, why);
	if (!status)
		status = have_remapping(sysfs, wish->driver, &binding.facts, why);
	if (!status && pci_is_given(old))
		node_remember(sysfs, old, old->driver, &binding.nodes[0]);
	if (!status)
		node_remember(sysfs, old, wish->driver, &binding.nodes[1]);
	if (!status && strcmp(old->driver, wish->driver))
		status = take(&binding, result, why);
	else if (!status)
		status = keep(&binding, result, why);
	pci_parts_free(&binding.parts);
	return status;
}

/* RELEASE ---------------------------------------------------------------------------------- */

/* Steps of the way back; the device's node is root's. */
static enum status let_go(const struct sysfs *sysfs, struct pci_device *device, struct failure *why)
{
	char path[SYSFS_PATH_MAX], alias[256], address[PCI_ADDRESS_MAX];
	sigset_t all, before;
	enum status status;
	int error;

	snprintf(address, sizeof(address), "%s", device->address);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	error = set_override(sysfs, address, "");
	if (!error)
		error = tell_driver(sysfs, address, device->driver, "unbind");
	pci_path(path, address, "modalias");
	if (!error && sysfs_read(sysfs, path, alias, sizeof(alias)))
		module_load_for(alias);
	/* That there is no driver for it is nobody's fault; what has it now is told. */
	if (!error)
		probe(sysfs, address);
	else
		set_override(sysfs, address, device->override);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (error)
		return failed(why, error == EACCES ? ST_PRIVILEGE : ST_SYSTEM,
			      "%s does not let go of it: %s", device->driver, strerror(error));
	status = pci_read(sysfs, address, device, why);
	if (!status && pci_is_given(device))
		status = failed(why, ST_PCI_STUCK, "%s took it again", device->driver);
	return status;
}

enum status pci_release(const struct sysfs *sysfs, const char *address, struct pci_result *result,
			struct failure *why)
{
	struct pci_device *device = &result->device;
	struct node_owner node = { 0 };
	enum status status;
	int error;

	*result = (struct pci_result){ 0 };
	status = pci_read(sysfs, address, device, why);
	if (status)
		return status;
	snprintf(result->before, sizeof(result->before), "%s", device->driver);
	if (!pci_is_given(device))
		return failed(why, ST_PCI_NOT_BOUND, "its driver is %s, which no VMM uses",
			      device->driver[0] ? device->driver : "none");
	if (device->vfs)
		return failed(why, ST_PCI_VFS, "%u SR-IOV functions of it are set up", device->vfs);
	node_remember(sysfs, device, device->driver, &node);
	status = node_check_held(sysfs, device, why);
	if (status)
		return status;
	status = let_go(sysfs, device, why);
	/* It is still there if the driver is, or other devices of its group. */
	error = node_restore(sysfs, &node);
	if (error && !status)
		status = failed(why, ST_PCI_STUCK, "/%.100s did not get its owner back: %s",
				node.path, strerror(error));
	return status;
}
