/* SPDX-License-Identifier: GPL-2.0-only */
/* A virtio function behind the door: a node of shunt_vfio, with the ABI of vhost-vdpa. */
#ifndef SHUNT_DOOR_VDPA_H
#define SHUNT_DOOR_VDPA_H

#include "door.h"

/* Newer than the headers of some systems. */
#ifndef VHOST_VDPA_GET_VRING_SIZE
#define VHOST_VDPA_GET_VRING_SIZE _IOWR(VHOST_VIRTIO, 0x82, struct vhost_vring_state)
#endif

/**
 * DOOR_VDPA_SLOTS - memory regions that a front end can have; QEMU knows no more
 */
#define DOOR_VDPA_SLOTS 512

/**
 * struct vdpa_map - a piece of the guest's memory that the function can reach
 * @guest: guest-physical address, and the function's for it
 * @size: bytes
 * @device: of the file system that its file is on
 * @inode: number of its file
 * @offset: where it begins there
 */
struct vdpa_map {
	uint64_t guest;
	uint64_t size;
	dev_t device;
	ino_t inode;
	uint64_t offset;
};

/**
 * struct vdpa_ring - what the function knows of a ring
 * @given: it has it, since the last reset
 * @disabled: it has been told so, after it was enabled
 * @num: descriptors
 * @at: guest-physical addresses of the parts
 * @size: bytes of each
 */
struct vdpa_ring {
	bool given;
	bool disabled;
	unsigned int num;
	uint64_t at[3];
	uint64_t size[3];
};

/**
 * struct door_vdpa - what struct door's @self is for a function
 * @node: its node, open
 * @queues: pairs of a card, or queues of a disk, that a front end is to have at most; 0: all
 *
 * The rest is filled in by door_vdpa_init().
 *
 * @backend: the kind of device that it is
 * @ring_count: rings that it has for a front end
 * @config_size: bytes of its configuration
 * @count_at: where in it the number of pairs or queues is, 16 bits; 0 if it is not there
 * @count: the number that front ends are told
 * @first: the first address that it can be given memory at
 * @last: the last one
 * @owned: the memory of this process can be mapped
 * @status: the device status that was written to it
 * @maps: the memory that it can reach; room for DOOR_VDPA_SLOTS
 * @map_count: how many
 * @rings: its rings
 */
struct door_vdpa {
	int node;
	unsigned int queues;
	const struct backend *backend;
	unsigned int ring_count;
	uint32_t config_size;
	uint32_t count_at;
	uint16_t count;
	uint64_t first;
	uint64_t last;
	bool owned;
	uint8_t status;
	struct vdpa_map maps[DOOR_VDPA_SLOTS];
	unsigned int map_count;
	struct vdpa_ring rings[DOOR_RINGS_MAX];
};

/**
 * door_vdpa_net_backend - a function that is a card
 */
extern const struct backend door_vdpa_net_backend;

/**
 * door_vdpa_blk_backend - a function that is a disk
 */
extern const struct backend door_vdpa_blk_backend;

/**
 * door_vdpa_init() - find out what a function is; for door_init()
 * @vdpa: its node is filled in, and how many queues it may have
 * @kernel: how the kernel is reached
 * @why: filled in on failure
 *
 * Memory is charged to this process from door_init() on. A process that has CAP_IPC_LOCK then is
 * exempt from RLIMIT_MEMLOCK for good.
 *
 * Return: ST_OK; ST_PCI_KIND: neither a network card nor a disk; ST_FEATURE: the node is not one of
 * shunt_vfio, or lacks something; ST_SYSTEM.
 */
enum status door_vdpa_init(struct door_vdpa *vdpa, const struct kernel *kernel,
			   struct failure *why);

/**
 * door_vdpa_mac() - see whether a card tells its address
 * @door: after door_init()
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_FEATURE.
 */
enum status door_vdpa_mac(const struct door *door, struct failure *why);

/*
 * What the parts have for each other (vdpa.c, vdpamap.c).
 */

/* An ioctl on the node; as ioctl() it returns -1 and sets errno. */
int vdpa_control(const struct door *door, unsigned long request, void *argument);

/* How a function is told things. */
extern const struct device vdpa_device;

/* The memory table is the door's from now on. */
enum status vdpa_set_memory(struct door *door, struct failure *why);

/* The function reaches no memory any more. */
enum status vdpa_unmap_all(struct door *door, struct failure *why);

#endif
