/* SPDX-License-Identifier: GPL-2.0-only */
/* The disk behind the door: rings of one /dev/shunt-blk. */
#ifndef SHUNT_DOOR_BLK_H
#define SHUNT_DOOR_BLK_H

#include <linux/virtio_blk.h>
#include <stddef.h>

#include "door.h"

/**
 * struct door_blk - what struct door's @self is for a disk
 * @disk: the open file or block device that is served; SHUNT_BLK_SET_DISK was done with it
 * @read_only: others may read it at the same time
 *
 * The rest is the door's.
 *
 * @claimed: it has the lock on @disk
 * @round: of struct door, in which it was last found with somebody else
 * @tries: in how many rounds it was since it had it
 * @running: rings that run
 */
struct door_blk {
	int disk;
	bool read_only;
	bool claimed;
	unsigned int round;
	unsigned int tries;
	unsigned int running;
};

/**
 * DOOR_BLK_WRITABLE - where the configuration says whether there is a write cache
 */
#define DOOR_BLK_WRITABLE offsetof(struct virtio_blk_config, wce)

/**
 * door_blk_backend - the kind of device
 *
 * Its door has one vhost device, an @event, and DOOR_BLK_WRITABLE as @writable, or nothing.
 */
extern const struct backend door_blk_backend;

#endif
