// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making TAP interfaces.
 *
 * None is persistent: whatever happens to the process that holds the descriptors, the kernel
 * removes the interface (and takes it off its bridge) when the last of them is closed. This is what
 * makes "leaves nothing behind" true even of kill -9.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tap.h"

#define TUN_NODE "/dev/net/tun"
#define NAME_PATTERN "shunt%d"

enum status tap_check_name(const char *name, struct failure *why)
{
	size_t length = strlen(name);

	if (!length)
		return failed(why, ST_NAME, "an interface name cannot be empty");
	if (length >= IFNAMSIZ)
		return failed(why, ST_NAME,
			      "'%s' is too long for an interface name (%d characters at most)",
			      name, IFNAMSIZ - 1);
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return failed(why, ST_NAME, "'%s' is not a possible interface name", name);
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c > '~' || strchr("/:%", *c))
			return failed(
				why, ST_NAME,
				"an interface name is visible ASCII without '/', ':' and '%%'");
	return ST_OK;
}

static enum status open_tun(int *fd, struct failure *why)
{
	*fd = open(TUN_NODE, O_RDWR | O_CLOEXEC);
	if (*fd >= 0)
		return ST_OK;
	switch (errno) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return failed(why, ST_NO_TUN,
			      TUN_NODE ": no such device: is the module tun loaded?");
	case EACCES:
	case EPERM:
		return failed(why, ST_PRIVILEGE, TUN_NODE ": %s", strerror(errno));
	case EMFILE:
	case ENFILE:
		return failed(why, ST_QUEUES, TUN_NODE ": %s", strerror(errno));
	default:
		return failed(why, ST_SYSTEM, TUN_NODE ": %s", strerror(errno));
	}
}

enum status tap_check_support(unsigned int queues, struct failure *why)
{
	unsigned int flags;
	enum status status;
	int fd;

	if (queues > TAP_QUEUES_MAX)
		return failed(why, ST_QUEUES, "%u queues: a TAP has %d at most", queues,
			      TAP_QUEUES_MAX);
	status = open_tun(&fd, why);
	if (status)
		return status;
	if (ioctl(fd, TUNGETFEATURES, &flags))
		status = failed(why, ST_SYSTEM, TUN_NODE ": TUNGETFEATURES: %s", strerror(errno));
	else if (!(flags & IFF_VNET_HDR))
		status = failed(why, ST_FEATURE, TUN_NODE ": lacks virtio-net headers");
	else if (queues > 1 && !(flags & IFF_MULTI_QUEUE))
		status = failed(why, ST_FEATURE, TUN_NODE ": lacks multiqueue");
	close(fd);
	return status;
}

/* TUNSETIFF on a new descriptor. @exclusive: the interface must not be there yet. */
static enum status attach(struct tap *tap, const char *name, short flags, int exclusive,
			  struct failure *why)
{
	struct ifreq request = { .ifr_flags = flags };
	enum status status;
	int fd;

	status = open_tun(&fd, why);
	if (status)
		return status;
	if (exclusive)
		request.ifr_flags = (short)(flags | IFF_TUN_EXCL);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &request)) {
		switch (errno) {
		case EBUSY:
			status = failed(why, ST_NAME_TAKEN, "'%s' exists already", name);
			break;
		case EPERM:
		case EACCES:
			status = failed(why, ST_PRIVILEGE, "cannot make a TAP interface: %s",
					strerror(errno));
			break;
		case E2BIG:
			status = failed(why, ST_QUEUES, "'%s' cannot have more than %u queues",
					name, tap->queues);
			break;
		case EINVAL:
			/* The name is that of an interface of another kind, or not allowed. */
			status = failed(why, ST_NAME_TAKEN,
					"'%s' cannot be made a TAP: is the name in use?", name);
			break;
		default:
			status = failed(why, ST_SYSTEM, "cannot make TAP '%s': %s", name,
					strerror(errno));
		}
		close(fd);
		return status;
	}
	memcpy(tap->name, request.ifr_name, sizeof(tap->name));
	tap->name[sizeof(tap->name) - 1] = '\0';
	tap->fds[tap->queues++] = fd;
	return ST_OK;
}

enum status tap_create(struct tap *tap, const char *name, unsigned int queues, struct failure *why)
{
	short flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	enum status status;

	tap->queues = 0;
	if (queues > 1)
		flags |= IFF_MULTI_QUEUE;
	status = attach(tap, name ? name : NAME_PATTERN, flags, 1, why);
	while (!status && tap->queues < queues)
		status = attach(tap, tap->name, flags, 0, why);
	if (status)
		tap_destroy(tap);
	return status;
}

void tap_destroy(struct tap *tap)
{
	while (tap->queues)
		close(tap->fds[--tap->queues]);
}
