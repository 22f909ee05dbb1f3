/* SPDX-License-Identifier: GPL-2.0-only */
/* Opening a disk, and the vhost device that serves it (/dev/shunt-blk). */
#ifndef SHUNT_DISK_H
#define SHUNT_DISK_H

#include <stdbool.h>

#include "status.h"

/**
 * DISK_DEVICE_DEFAULT - the node that shunt_blk.ko makes
 */
#define DISK_DEVICE_DEFAULT "/dev/shunt-blk"

/**
 * DISK_QUEUES_MAX - queues that a disk can have
 */
#define DISK_QUEUES_MAX 64

/**
 * DISK_SERIAL_MAX - bytes of a serial number
 */
#define DISK_SERIAL_MAX 20

/**
 * struct disk_wish - what is to be served, and how
 * @path: a block device or a file, of raw contents
 * @device: node of the vhost device
 * @serial: what the guest reads as serial number, or NULL; at most DISK_SERIAL_MAX bytes
 * @queues: 1 to DISK_QUEUES_MAX
 * @read_only: the guest cannot write
 * @incoming: a guest that has the disk now will come here
 */
struct disk_wish {
	const char *path;
	const char *device;
	const char *serial;
	unsigned int queues;
	bool read_only;
	bool incoming;
};

/**
 * struct disk - an open disk, with its device
 * @file: the disk, -1 if it is not open
 * @vhost: the vhost device, told to serve it; -1 if it is not open
 */
struct disk {
	int file;
	int vhost;
};

/**
 * disk_open() - open a disk, and have a vhost device serve it
 * @wish: what
 * @disk: filled in, also where it fails: disk_close() it. Both descriptors are close-on-exec
 * @waiting: called once if somebody has the disk and is waited for; may be NULL
 * @why: filled in on failure
 *
 * A disk that is locked (flock) is waited for, longer than the kernel takes to return the requests
 * of a server that was killed; but for @incoming. It is not locked here.
 *
 * Opening takes no ownership: the process that will run the device does that (VHOST_SET_OWNER).
 *
 * Return: ST_OK, ST_NUMBER, ST_NO_DEVICE, ST_NOT_VHOST, ST_PRIVILEGE, ST_NO_DISK, ST_NOT_DISK,
 * ST_DISK_BUSY (somebody has it, or the host swaps to it), ST_QUEUES (no more files allowed) or
 * ST_SYSTEM.
 */
enum status disk_open(const struct disk_wish *wish, struct disk *disk,
		      void (*waiting)(const char *path), struct failure *why);

/**
 * disk_close() - close a disk and its device
 * @disk: may not be open
 */
void disk_close(struct disk *disk);

#endif
