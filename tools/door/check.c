// SPDX-License-Identifier: GPL-2.0-only
/*
 * The message table's checks: what may come, in which form, and when.
 *
 * DOC: Security model
 *
 * The front end is a VMM, and its guest may have taken it over. Nothing that it sends is true until
 * it has been seen to be: this file looks at the form of a message, before any handler does, and so
 * handlers may rely on it:
 * - the size of the body is that of the request, and counts in it agree with that size;
 * - as many descriptors came as the request has;
 * - the number of a ring is that of a ring;
 * - the protocol feature that the request belongs to was acknowledged;
 * - the connection and the ring are in a state in which the request makes sense.
 *
 * What values mean is looked at by the handlers: addresses (memory.c), sizes of rings (ring.c), the
 * log (log.c). Of the descriptors sockets never get here but with SET_BACKEND_REQ_FD (wire.c); what
 * other kind of file they are, the kernel looks at, and memory.c.
 *
 * A request that has no row here is unknown, whatever it is, and ends the connection.
 */
#include <string.h>

#include "door.h"

/* What the body of a request looks like. */
enum body {
	BODY_NONE,
	BODY_U64,
	BODY_STATE, /* the number of a ring, and a number */
	BODY_ADDR, /* the number of a ring, and its addresses */
	BODY_RING_FD, /* the number of a ring, and a descriptor or not */
	BODY_TABLE,
	BODY_REGION,
	BODY_LOG,
	BODY_CONFIG,
	BODY_INFLIGHT,
};

/* When a request makes sense. */
#define OWNED 0x1u /* after SET_OWNER */
#define NOT_RUNNING 0x2u /* its ring does not run */

#define NO_FEATURE -1

/**
 * struct rule - the form of a request
 * @name: as in the specification
 * @body: its body
 * @fds_least: descriptors that must come; BODY_TABLE and BODY_RING_FD have rules of their own
 * @fds_most: descriptors that may come
 * @feature: protocol feature that it belongs to, or NO_FEATURE
 * @when: OWNED, NOT_RUNNING
 */
struct rule {
	const char *name;
	enum body body;
	unsigned char fds_least;
	unsigned char fds_most;
	signed char feature;
	unsigned char when;
};

static const struct rule rules[VU_COUNT] = {
	[VU_GET_FEATURES] = { "GET_FEATURES", BODY_NONE, 0, 0, NO_FEATURE, 0 },
	[VU_SET_FEATURES] = { "SET_FEATURES", BODY_U64, 0, 0, NO_FEATURE, 0 },
	[VU_SET_OWNER] = { "SET_OWNER", BODY_NONE, 0, 0, NO_FEATURE, 0 },
	[VU_RESET_OWNER] = { "RESET_OWNER", BODY_NONE, 0, 0, NO_FEATURE, 0 },
	[VU_SET_MEM_TABLE] = { "SET_MEM_TABLE", BODY_TABLE, 0, VU_FDS_MAX, NO_FEATURE, OWNED },
	[VU_SET_LOG_BASE] = { "SET_LOG_BASE", BODY_LOG, 1, 1, VU_P_LOG_SHMFD, OWNED },
	[VU_SET_LOG_FD] = { "SET_LOG_FD", BODY_NONE, 1, 1, NO_FEATURE, OWNED },
	[VU_SET_VRING_NUM] = { "SET_VRING_NUM", BODY_STATE, 0, 0, NO_FEATURE, OWNED | NOT_RUNNING },
	[VU_SET_VRING_ADDR] = { "SET_VRING_ADDR", BODY_ADDR, 0, 0, NO_FEATURE, OWNED },
	[VU_SET_VRING_BASE] = { "SET_VRING_BASE", BODY_STATE, 0, 0, NO_FEATURE,
				OWNED | NOT_RUNNING },
	[VU_GET_VRING_BASE] = { "GET_VRING_BASE", BODY_STATE, 0, 0, NO_FEATURE, OWNED },
	[VU_SET_VRING_KICK] = { "SET_VRING_KICK", BODY_RING_FD, 0, 1, NO_FEATURE, OWNED },
	[VU_SET_VRING_CALL] = { "SET_VRING_CALL", BODY_RING_FD, 0, 1, NO_FEATURE, OWNED },
	[VU_SET_VRING_ERR] = { "SET_VRING_ERR", BODY_RING_FD, 0, 1, NO_FEATURE, OWNED },
	[VU_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", BODY_NONE, 0, 0, NO_FEATURE, 0 },
	[VU_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", BODY_U64, 0, 0, NO_FEATURE, 0 },
	[VU_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", BODY_NONE, 0, 0, VU_P_MQ, 0 },
	/* May come before SET_OWNER and SET_FEATURES: QEMU sends it when it makes the device. */
	[VU_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", BODY_STATE, 0, 0, NO_FEATURE, 0 },
	[VU_SEND_RARP] = { "SEND_RARP", BODY_U64, 0, 0, VU_P_RARP, 0 },
	[VU_NET_SET_MTU] = { "NET_SET_MTU", BODY_U64, 0, 0, VU_P_NET_MTU, 0 },
	[VU_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", BODY_NONE, 1, 1, VU_P_BACKEND_REQ, 0 },
	[VU_GET_CONFIG] = { "GET_CONFIG", BODY_CONFIG, 0, 0, VU_P_CONFIG, 0 },
	[VU_SET_CONFIG] = { "SET_CONFIG", BODY_CONFIG, 0, 0, VU_P_CONFIG, 0 },
	[VU_GET_INFLIGHT_FD] = { "GET_INFLIGHT_FD", BODY_INFLIGHT, 0, 0, VU_P_INFLIGHT_SHMFD, 0 },
	[VU_SET_INFLIGHT_FD] = { "SET_INFLIGHT_FD", BODY_INFLIGHT, 1, 1, VU_P_INFLIGHT_SHMFD,
				 OWNED },
	[VU_RESET_DEVICE] = { "RESET_DEVICE", BODY_NONE, 0, 0, VU_P_RESET_DEVICE, 0 },
	[VU_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", BODY_NONE, 0, 0, VU_P_CONFIGURE_MEM_SLOTS,
				   0 },
	[VU_ADD_MEM_REG] = { "ADD_MEM_REG", BODY_REGION, 1, 1, VU_P_CONFIGURE_MEM_SLOTS, OWNED },
	/* Old front ends send a descriptor along, which nobody needs. */
	[VU_REM_MEM_REG] = { "REM_MEM_REG", BODY_REGION, 0, 1, VU_P_CONFIGURE_MEM_SLOTS, OWNED },
	[VU_SET_STATUS] = { "SET_STATUS", BODY_U64, 0, 0, VU_P_STATUS, 0 },
	[VU_GET_STATUS] = { "GET_STATUS", BODY_NONE, 0, 0, VU_P_STATUS, 0 },
};

static const struct rule *rule_of(uint32_t request)
{
	return request < VU_COUNT && rules[request].name ? &rules[request] : NULL;
}

const char *request_name(uint32_t request)
{
	const struct rule *rule = rule_of(request);

	return rule ? rule->name : "request";
}

/* Whether the body has the size of its kind; counts within it have come if it has. */
static bool size_fits(enum body body, const struct vu_message *message)
{
	const union vu_body *it = &message->body;
	uint32_t size = message->head.size;

	switch (body) {
	case BODY_NONE:
		return size == 0;
	case BODY_U64:
	case BODY_RING_FD:
		return size == sizeof(it->u64);
	case BODY_STATE:
		return size == sizeof(it->state);
	case BODY_ADDR:
		return size == sizeof(it->addr);
	case BODY_TABLE:
		/* Front ends send the whole array, or as much of it as is filled in. */
		return size >= VU_TABLE_HEAD && it->table.count <= VU_FDS_MAX &&
		       size >= VU_TABLE_HEAD + it->table.count * sizeof(it->table.regions[0]);
	case BODY_REGION:
		return size == sizeof(it->one);
	case BODY_LOG:
		return size == sizeof(it->log);
	case BODY_CONFIG:
		return size >= VU_CONFIG_HEAD && it->config.size <= VU_CONFIG_MAX &&
		       it->config.offset < 2 * VU_CONFIG_MMIO &&
		       it->config.offset % VU_CONFIG_MMIO <= VU_CONFIG_MAX - it->config.size &&
		       size == VU_CONFIG_HEAD + it->config.size;
	case BODY_INFLIGHT:
		return size == VU_INFLIGHT_SIZE || size == sizeof(it->inflight);
	}
	return false;
}

static bool fds_fit(const struct rule *rule, const struct vu_message *message)
{
	unsigned int count = message->fd_count;

	switch (rule->body) {
	case BODY_TABLE:
		return count == message->body.table.count;
	case BODY_RING_FD:
		return count == (message->body.u64 & VU_RING_NO_FD ? 0 : 1);
	default:
		return count >= rule->fds_least && count <= rule->fds_most;
	}
}

/* The number of the ring that a request is about; false if it is about none. */
static bool ring_of(enum body body, const struct vu_message *message, uint64_t *ring)
{
	switch (body) {
	case BODY_STATE:
		*ring = message->body.state.index;
		return true;
	case BODY_ADDR:
		*ring = message->body.addr.index;
		return true;
	case BODY_RING_FD:
		/* Bits beyond those that are defined are no number of a ring. */
		*ring = message->body.u64 & ~(uint64_t)VU_RING_NO_FD;
		return true;
	default:
		return false;
	}
}

enum status message_check(const struct door *door, const struct vu_message *message,
			  struct failure *why)
{
	const struct vu_header *head = &message->head;
	const struct rule *rule = rule_of(head->request);
	uint64_t ring;

	if ((head->flags & VU_VERSION_MASK) != VU_VERSION)
		return failed(why, ST_PEER, "a message of protocol version %u",
			      head->flags & VU_VERSION_MASK);
	if (head->flags & ~(VU_VERSION_MASK | VU_NEED_REPLY))
		return failed(why, ST_PEER, "a message with flags %#x", head->flags);
	if (!rule)
		return failed(why, ST_PEER, "request %u is unknown", head->request);
	if (!size_fits(rule->body, message))
		return failed(why, ST_PEER, "%s: the body (%u bytes) is malformed", rule->name,
			      head->size);
	if (!fds_fit(rule, message))
		return failed(why, ST_PEER, "%s: %u descriptors came with it", rule->name,
			      message->fd_count);
	if (rule->feature != NO_FEATURE && !(door->protocol >> rule->feature & 1))
		return failed(why, ST_PEER, "%s: protocol feature %d was not acknowledged",
			      rule->name, rule->feature);
	if (rule->when & OWNED && !door->owned)
		return failed(why, ST_PEER, "%s: came before SET_OWNER", rule->name);
	if (!ring_of(rule->body, message, &ring))
		return ST_OK;
	if (ring >= door->ring_count)
		return failed(why, ST_PEER, "%s: ring %llu of %u", rule->name,
			      (unsigned long long)ring, door->ring_count);
	if (rule->when & NOT_RUNNING && door->rings[ring].running)
		return failed(why, ST_PEER, "%s: ring %llu is running", rule->name,
			      (unsigned long long)ring);
	return ST_OK;
}
