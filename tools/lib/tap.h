/* SPDX-License-Identifier: GPL-2.0-only */
/* TAP interfaces with a virtio-net header, one queue or many, that live as long as their files. */
#ifndef SHUNT_TAP_H
#define SHUNT_TAP_H

#include <net/if.h>

#include "status.h"

/**
 * TAP_QUEUES_MAX - queues that the kernel allows one TAP to have (MAX_TAP_QUEUES of its tun driver)
 */
#define TAP_QUEUES_MAX 256

/**
 * TAP_MTU_MIN - least MTU of a TAP, bytes
 */
#define TAP_MTU_MIN 68

/**
 * TAP_MTU_MAX - greatest MTU of a TAP, bytes: 64 KiB less one, less the Ethernet header
 */
#define TAP_MTU_MAX 65521

/**
 * struct tap - a TAP interface that this process holds
 * @name: the interface's name, as the kernel gave it
 * @queues: how many of @fds are open
 * @fds: one descriptor a queue, close-on-exec; the interface vanishes with the last of them
 */
struct tap {
	char name[IFNAMSIZ];
	unsigned int queues;
	int fds[TAP_QUEUES_MAX];
};

/**
 * tap_check_name() - whether a name can be an interface's
 * @name: the name
 * @why: filled in on failure
 *
 * Stricter than the kernel, which takes any byte but '/', ':' and white space, and makes a pattern
 * of a '%': here only visible ASCII but these.
 *
 * Return: ST_OK or ST_NAME.
 */
enum status tap_check_name(const char *name, struct failure *why);

/**
 * tap_check_support() - whether the kernel can make the TAPs that tap_create() makes
 * @queues: number of queues wanted
 * @why: filled in on failure
 *
 * Changes nothing.
 *
 * Return: ST_OK, ST_NO_TUN, ST_PRIVILEGE, ST_QUEUES, ST_FEATURE or ST_SYSTEM.
 */
enum status tap_check_support(unsigned int queues, struct failure *why);

/**
 * tap_create() - make a TAP interface, down and on no bridge
 * @tap: filled in; on failure it holds nothing
 * @name: its name, or NULL for the next free name after the pattern shunt0, shunt1, ...
 * @queues: 1 to TAP_QUEUES_MAX; above 1 the TAP is made multiqueue
 * @why: filled in on failure
 *
 * An interface of that name that exists already is never attached to.
 *
 * Return: ST_OK, ST_NAME_TAKEN, ST_PRIVILEGE, ST_QUEUES, ST_NO_TUN or ST_SYSTEM.
 */
enum status tap_create(struct tap *tap, const char *name, unsigned int queues, struct failure *why);

/**
 * tap_destroy() - close all queues; the interface vanishes
 * @tap: may hold nothing
 */
void tap_destroy(struct tap *tap);

#endif
