/* SPDX-License-Identifier: GPL-2.0-only */
/* The disk behind the door: rings of one /dev/shunt-blk. */
#ifndef SHUNT_DOOR_BLK_H
#define SHUNT_DOOR_BLK_H

#include "door.h"

/**
 * struct door_blk - what struct door's @self is for a disk
 * @disk: the open file or block device that is served; SHUNT_BLK_SET_DISK was done with it
 */
struct door_blk {
	int disk;
};

/**
 * door_blk_backend - the kind of device
 *
 * Its door has one vhost device, and an @event.
 */
extern const struct backend door_blk_backend;

#endif
