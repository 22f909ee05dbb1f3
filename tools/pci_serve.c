// SPDX-License-Identifier: GPL-2.0-only
/*
 * 'shunt pci serve': a vhost-user device whose data path is a virtio function of the hardware.
 *
 * DOC: Theory of Operation
 *
 * In this order: the command line, the function's node, the limit of locked memory, the socket,
 * ownership of memory, the jail (door/jail.c), and only then the first byte of a front end
 * (door/serve.c). The function is one that was bound before: nothing is taken from the host here.
 *
 * The guest's memory is pinned for the function and charged to this process, which may lock as much
 * as --memory says, or as its limit is. So that this holds, CAP_IPC_LOCK, which is exempt from it,
 * is given up before the kernel looks.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "args.h"
#include "cmd.h"
#include "door/jail.h"
#include "door/vdpa.h"
#include "lib/pcijudge.h"
#include "lib/pcinode.h"
#include "pci.h"
#include "serving.h"

/* What the command line asks for. */
struct serve_wish {
	struct serving_wish serving;
	rlim_t memory; /* bytes; 0: the limit that there is */
	unsigned int queues; /* pairs of a card, queues of a disk; 0: all */
	bool mac;
};

/* A number and a unit. */
static enum status take_memory(const char *text, rlim_t *memory, struct failure *why)
{
	unsigned int number, shift;
	char digits[16];
	size_t length = strspn(text, "0123456789");
	enum status status;

	if (length >= sizeof(digits) || !text[length] || text[length + 1] ||
	    !strchr("MGT", text[length]))
		return failed(why, ST_NUMBER, "--memory: '%s' is not a size such as 512M or 4G",
			      text);
	memcpy(digits, text, length);
	digits[length] = '\0';
	status = args_number("--memory", digits, &number, why);
	if (status)
		return status;
	shift = text[length] == 'M' ? 20 : text[length] == 'G' ? 30 : 40;
	if (number > (RLIM_INFINITY >> 1) >> shift)
		return failed(why, ST_NUMBER, "--memory: %s is out of range", text);
	*memory = (rlim_t)number << shift;
	return ST_OK;
}

static enum status take_option(void *self, int option, const char *argument, struct failure *why)
{
	struct serve_wish *wish = self;

	switch (option) {
	case 'm':
		return take_memory(argument, &wish->memory, why);
	case 'q':
		return args_number("--queues", argument, &wish->queues, why);
	case 'a':
		wish->mac = true;
		return ST_OK;
	default:
		return serving_wish_option(&wish->serving, option, argument, why);
	}
}

static enum status parse_options(int argc, char **argv, struct serve_wish *wish,
				 struct failure *why)
{
	static const struct option options[] = {
		SERVING_WISH_OPTIONS,
		{ "memory", required_argument, NULL, 'm' },
		{ "queues", required_argument, NULL, 'q' },
		{ "function-mac", no_argument, NULL, 'a' },
		{ 0 },
	};
	enum status status = args_options("pci serve", argc, argv, options, take_option, wish, why);

	return status ? status : serving_wish_check(&wish->serving, "pci serve", why);
}

/* Open the node of a device that shunt_vfio has. */
static enum status open_node(const char *address, int *node, struct failure *why)
{
	struct pci_device device;
	struct sysfs sysfs = { -1 };
	char path[SYSFS_PATH_MAX];
	enum status status = sysfs_open("/", &sysfs, why);

	if (!status)
		status = pci_read(&sysfs, address, &device, why);
	if (!status && strcmp(device.driver, PCI_DRIVER_SHUNT))
		status = failed(why, ST_PCI_NOT_BOUND,
				"its driver is %s, not " PCI_DRIVER_SHUNT
				": shunt pci bind %s --driver shunt-vfio",
				*device.driver ? device.driver : "none", address);
	if (!status) {
		node_path(&device, PCI_DRIVER_SHUNT, path);
		*node = openat(sysfs.root, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	}
	sysfs_close(&sysfs);
	if (status || *node >= 0)
		return status;
	switch (errno) {
	case EBUSY:
		return failed(why, ST_PCI_VMM, "/%s is open in another process", path);
	case EACCES:
	case EPERM:
		return failed(why, ST_PRIVILEGE, "/%s: %s", path, strerror(errno));
	case ENOENT:
		return failed(why, ST_PCI_PROBE, "/%s is not there: the kernel's log says why",
			      path);
	case ENODEV:
	case ENXIO:
		return failed(why, ST_PCI_PROBE,
			      "/%s: the function does not answer, or is in quarantine: the "
			      "kernel's log says why",
			      path);
	default:
		return failed(why, ST_SYSTEM, "/%s: %s", path, strerror(errno));
	}
}

/* Have as much memory locked as is asked for, and no more. */
static enum status limit_memory(rlim_t memory, struct failure *why)
{
	const struct rlimit limit = { memory, memory };

	if (memory && setrlimit(RLIMIT_MEMLOCK, &limit))
		return failed(why, errno == EPERM ? ST_PRIVILEGE : ST_SYSTEM,
			      "--memory: the limit of locked memory cannot be raised: %s",
			      strerror(errno));
	return jail_forgo(CAP_IPC_LOCK, why);
}

/* With all that is needed open: lock up, and serve. */
static enum status run(struct door_vdpa *vdpa, const struct serve_wish *wish,
		       const struct serving *serving, struct failure *why)
{
	static const unsigned long ioctls[] = {
		VHOST_SET_FEATURES,	   VHOST_SET_VRING_NUM,		VHOST_SET_VRING_ADDR,
		VHOST_SET_VRING_BASE,	   VHOST_SET_VRING_KICK,	VHOST_SET_VRING_CALL,
		VHOST_SET_VRING_ERR,	   VHOST_VDPA_GET_STATUS,	VHOST_VDPA_SET_STATUS,
		VHOST_VDPA_GET_CONFIG,	   VHOST_VDPA_SET_VRING_ENABLE, VHOST_VDPA_SET_CONFIG_CALL,
		VHOST_VDPA_GET_VRING_SIZE,
	};
	static struct door door;
	enum status status;

	door.backend = vdpa->backend;
	door.self = vdpa;
	door.kernel = &kernel_real;
	door.files = &vdpa->node;
	door.file_count = 1;
	door.ring_count = vdpa->ring_count;
	door.slots = DOOR_VDPA_SLOTS;
	door.event = -1;
	/* For the reason see net_serve.c. */
	if (door.backend == &door_vdpa_net_backend && !wish->mac)
		door.withheld = 1ULL << VU_P_CONFIG;
	if (door.backend == &door_vdpa_blk_backend) {
		door.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (door.event < 0)
			return failed(why, ST_SYSTEM, "eventfd: %s", strerror(errno));
	}
	serving_room(&door);
	status = door_init(&door, why);
	if (status)
		return status;
	if (wish->mac)
		status = door_vdpa_mac(&door, why);
	if (!status)
		status = serving_run(serving, &door, ioctls, sizeof(ioctls) / sizeof(ioctls[0]),
				     why);
	door_end(&door);
	return status;
}

int pci_serve(const struct context *context, int argc, char **argv)
{
	static struct door_vdpa vdpa = { .node = -1 };
	struct serve_wish wish = { .serving = { .mode = SERVING_MODE } };
	char address[PCI_ADDRESS_MAX] = "";
	struct serving serving;
	struct failure why;
	enum status status;

	status = serving_refuse_json(context, "pci serve", &why);
	if (!status)
		status = pci_take_device("pci serve", argc, argv, address, &why);
	if (!status)
		status = parse_options(argc - 1, argv + 1, &wish, &why);
	if (!status)
		status = serving_prepare(&wish.serving, &serving, &why);
	if (!status)
		status = open_node(address, &vdpa.node, &why);
	vdpa.queues = wish.queues;
	if (!status)
		status = door_vdpa_init(&vdpa, &kernel_real, &why);
	if (!status)
		status = limit_memory(wish.memory, &why);
	if (!status)
		status = serving_open(&wish.serving, &serving, &why);
	if (!status)
		status = run(&vdpa, &wish, &serving, &why);
	return status ? pci_complain(address, &why) : 0;
}
