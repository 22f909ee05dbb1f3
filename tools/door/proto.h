/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vhost-user protocol on the wire, as far as the door speaks it: numbers and layouts only.
 * All words are in the machine's own byte order.
 */
#ifndef SHUNT_DOOR_PROTO_H
#define SHUNT_DOOR_PROTO_H

#include <linux/vhost.h>
#include <stdint.h>

/**
 * enum vu_request - what a front end may ask
 * @VU_COUNT: one more than the highest number, not a request
 *
 * Numbers that are missing here are known to nobody, or of features that no back end here offers.
 */
enum vu_request {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_LOG_BASE = 6,
	VU_SET_LOG_FD = 7,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_SEND_RARP = 19,
	VU_NET_SET_MTU = 20,
	VU_SET_BACKEND_REQ_FD = 21,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_GET_INFLIGHT_FD = 31,
	VU_SET_INFLIGHT_FD = 32,
	VU_RESET_DEVICE = 34,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_SET_STATUS = 39,
	VU_GET_STATUS = 40,
	VU_COUNT
};

/**
 * enum vu_backend_request - what a back end may ask, over the channel that it was given for it
 */
enum vu_backend_request {
	VU_BACKEND_CONFIG_CHANGE = 2,
};

/**
 * VU_F_PROTOCOL_FEATURES - the feature bit that says that there are protocol features
 *
 * The protocol's own, never a guest's.
 */
#define VU_F_PROTOCOL_FEATURES 30

/**
 * enum vu_protocol_feature - bits of the protocol features
 */
enum vu_protocol_feature {
	VU_P_MQ = 0,
	VU_P_LOG_SHMFD = 1,
	VU_P_RARP = 2,
	VU_P_REPLY_ACK = 3,
	VU_P_NET_MTU = 4,
	VU_P_BACKEND_REQ = 5,
	VU_P_CONFIG = 9,
	VU_P_INFLIGHT_SHMFD = 12,
	VU_P_RESET_DEVICE = 13,
	VU_P_CONFIGURE_MEM_SLOTS = 15,
	VU_P_STATUS = 16,
};

/* Flags of a message: the protocol's version in the lowest bits. */
#define VU_VERSION 0x1u
#define VU_VERSION_MASK 0x3u
#define VU_REPLY 0x4u
#define VU_NEED_REPLY 0x8u

/* What the number of a ring looks like in messages that carry a descriptor for it. */
#define VU_RING_MASK 0xffu
#define VU_RING_NO_FD 0x100u

/**
 * VU_FDS_MAX - descriptors that one message can carry
 *
 * The specification has 8 regions in a table; some front ends send more.
 */
#define VU_FDS_MAX 32

/**
 * VU_CONFIG_MAX - bytes of configuration that one message can carry
 */
#define VU_CONFIG_MAX 256

/**
 * VU_CONFIG_MMIO - where the configuration begins for some front ends
 *
 * Those made with rust-vmm's crates number its bytes from here, as registers over MMIO have it.
 */
#define VU_CONFIG_MMIO 0x100

/**
 * enum vu_config_flags - why configuration is written
 * @VU_CONFIG_WRITABLE: the guest wrote to it
 * @VU_CONFIG_MIGRATION: the guest has migrated; or it wrote to it, as front ends made with
 *	rust-vmm's crates have it
 */
enum vu_config_flags {
	VU_CONFIG_WRITABLE = 0,
	VU_CONFIG_MIGRATION = 1,
};

/**
 * struct vu_header - how each message begins
 * @request: enum vu_request
 * @flags: VU_VERSION, VU_REPLY, VU_NEED_REPLY
 * @size: bytes that follow
 */
struct vu_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

/**
 * struct vu_region - a piece of the guest's memory
 * @guest: guest-physical address
 * @size: bytes
 * @user: address that the front end has it at
 * @offset: where it begins in its file
 */
struct vu_region {
	uint64_t guest;
	uint64_t size;
	uint64_t user;
	uint64_t offset;
};

/**
 * union vu_body - what follows the header
 */
union vu_body {
	uint64_t u64;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct {
		uint32_t count;
		uint32_t padding;
		struct vu_region regions[VU_FDS_MAX];
	} table;
	struct {
		uint64_t padding;
		struct vu_region region;
	} one;
	struct {
		uint64_t size;
		uint64_t offset;
	} log;
	struct {
		uint32_t offset;
		uint32_t size;
		uint32_t flags;
		uint8_t bytes[VU_CONFIG_MAX];
	} config;
	struct {
		uint64_t mmap_size;
		uint64_t mmap_offset;
		uint16_t num_queues;
		uint16_t queue_size;
	} inflight;
};

#define VU_TABLE_HEAD 8u
#define VU_CONFIG_HEAD 12u
/* Without what C puts behind it, which most send. */
#define VU_INFLIGHT_SIZE 20u

_Static_assert(sizeof(struct vu_header) == 12, "as on the wire");
_Static_assert(sizeof(struct vu_region) == 32, "as on the wire");
_Static_assert(sizeof(struct vhost_vring_addr) == 40, "as on the wire");

#endif
