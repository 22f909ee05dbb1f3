/* SPDX-License-Identifier: GPL-2.0-only */
/* Giving up what is not needed any more, before anything is read from a front end. */
#ifndef SHUNT_DOOR_JAIL_H
#define SHUNT_DOOR_JAIL_H

#include <linux/vhost.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/status.h"

/**
 * JAIL_VHOST_IOCTLS - requests that every vhost device is sent, for an array of them
 */
#define JAIL_VHOST_IOCTLS                                                                        \
	VHOST_SET_FEATURES, VHOST_SET_OWNER, VHOST_RESET_OWNER, VHOST_SET_MEM_TABLE,             \
		VHOST_SET_LOG_BASE, VHOST_SET_LOG_FD, VHOST_SET_VRING_NUM, VHOST_SET_VRING_ADDR, \
		VHOST_SET_VRING_BASE, VHOST_GET_VRING_BASE, VHOST_SET_VRING_KICK,                \
		VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR

/**
 * struct jail - what is left to the process
 * @uid: user that it becomes, if it is root
 * @gid: group that it becomes, if it is root
 * @ioctls: requests that it makes
 * @ioctl_count: how many
 * @event: an eventfd that it reads, or -1
 * @inflight: it makes in-flight regions
 */
struct jail {
	uid_t uid;
	gid_t gid;
	const unsigned long *ioctls;
	size_t ioctl_count;
	int event;
	bool inflight;
};

/**
 * jail_raise_limits() - have room for all descriptors and pinned pages that there will be
 * @files: descriptors
 * @locked: bytes of pages that the kernel pins for the rings
 *
 * As far as it may. Where that is not enough, the kernel runs rings that are not pinned, and
 * messages with more descriptors end their connection.
 */
void jail_raise_limits(unsigned int files, size_t locked);

/**
 * jail_forgo() - give up a capability before the others
 * @capability: its number
 * @why: filled in on failure
 *
 * Return: ST_OK, also if the process does not have it, or ST_SYSTEM.
 */
enum status jail_forgo(unsigned int capability, struct failure *why);

/**
 * jail_enter() - drop user, groups and capabilities, and allow few system calls
 * @jail: what is left
 * @why: filled in on failure
 *
 * From here on any other system call kills the process.
 *
 * Return: ST_OK, ST_PRIVILEGE or ST_SYSTEM.
 */
enum status jail_enter(const struct jail *jail, struct failure *why);

#endif
