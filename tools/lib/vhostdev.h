/* SPDX-License-Identifier: GPL-2.0-only */
/* Opening vhost net devices (/dev/shunt-net, or the stock /dev/vhost-net) and checking them. */
#ifndef SHUNT_VHOSTDEV_H
#define SHUNT_VHOSTDEV_H

#include <stdint.h>

#include "status.h"

/**
 * VHOSTDEV_DEFAULT - the node that shunt_net.ko makes
 */
#define VHOSTDEV_DEFAULT "/dev/shunt-net"

/**
 * vhostdev_open_node() - open a character device that should be a vhost device
 * @path: the device node
 * @fd: receives the descriptor, close-on-exec; the caller closes it
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_NO_DEVICE, ST_NOT_VHOST, ST_PRIVILEGE, ST_QUEUES (no more files allowed) or
 * ST_SYSTEM.
 */
enum status vhostdev_open_node(const char *path, int *fd, struct failure *why);

/**
 * vhostdev_open() - open one vhost device, that is, one queue pair
 * @path: the device node
 * @need: features that the device must offer, beside those every TAP with a virtio-net header needs
 * @fd: receives the descriptor, close-on-exec, at 3 or above where 0 to 2 are open; the caller
 *	closes it
 * @why: filled in on failure
 *
 * Opening takes no ownership: the process that will run the device does that (VHOST_SET_OWNER).
 *
 * Return: ST_OK, ST_NO_DEVICE, ST_NOT_VHOST, ST_FEATURE, ST_PRIVILEGE, ST_QUEUES (no more files
 * allowed) or ST_SYSTEM.
 */
enum status vhostdev_open(const char *path, uint64_t need, int *fd, struct failure *why);

#endif
