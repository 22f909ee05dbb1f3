/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fakevdpa.h - a virtio function behind a node of shunt_vfio that is not there
 *
 * As fake.h is a vhost device. The program aborts when the door maps what is not mapped here, not
 * of whole pages, or twice, unmaps what is not mapped or a part of a mapping, changes a ring that
 * runs, gives it one that is larger than its own or not aligned, or leaves it one in memory that it
 * cannot reach.
 */
#ifndef FAKEVDPA_H
#define FAKEVDPA_H

#include <linux/vhost.h>
#include <stdbool.h>
#include <stdint.h>

#include "door/kernel.h"

#define FAKE_NODE 400000

#define FAKE_VQS  5 /* of a card: two pairs and the control queue */
#define FAKE_MAPS 64
#define FAKE_NUM  1024 /* descriptors that a ring can have */

/* What can be mapped, and what within it not. */
#define FAKE_FIRST    0ull
#define FAKE_LAST     0xffffffffffull
#define FAKE_RESERVED 0xfee00000ull

struct fake_vq {
	unsigned int num;
	struct vhost_vring_addr addr;
	bool addressed;
	bool enabled; /* it has been, since the last reset */
	bool ready;   /* it is to be */
	int kick, call, err;
};

/**
 * struct fake_vdpa - the kernel
 * @kernel: how the door reaches it
 * @kind: virtio device ID
 * @offered: what VHOST_GET_FEATURES says
 * @features: what was set last
 * @pairs: what its configuration says of pairs (of a card) or queues (of a disk)
 * @owned: it has an owner
 * @status: device status
 * @vqs: its queues
 * @maps: what is mapped
 * @map_count: how many
 * @mapped: bytes
 * @most: bytes that may be mapped
 * @unmappable: error number of every mapping from now on, or 0
 * @updates: mappings made so far
 * @resets: so far
 * @config_call: eventfd
 * @declines: it does not take FEATURES_OK
 * @gone: from now on everything is -ENODEV
 */
struct fake_vdpa {
	struct kernel kernel;
	uint32_t kind;
	uint64_t offered;
	uint64_t features;
	uint16_t pairs;
	bool owned;
	uint8_t status;
	struct fake_vq vqs[FAKE_VQS];
	struct {
		uint64_t first;
		uint64_t size;
	} maps[FAKE_MAPS];
	unsigned int map_count;
	uint64_t mapped;
	uint64_t most;
	int unmappable;
	unsigned int updates;
	unsigned int resets;
	int config_call;
	bool declines;
	bool gone;
};

/* A function of this kind (VIRTIO_ID_NET, VIRTIO_ID_BLOCK). */
void fake_vdpa_init(struct fake_vdpa *fake, uint32_t kind);

/* Abort unless every ring that it has is in memory that it can reach. */
void fake_vdpa_check(const struct fake_vdpa *fake);

/* Whether nothing of a connection is left. */
bool fake_vdpa_is_new(const struct fake_vdpa *fake);

#endif
