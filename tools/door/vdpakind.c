// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a virtio function is for a front end: its kind, features, configuration, and how many rings
 * it has. What is done with it is in vdpa.c.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>

#include "vdpa.h"

#define BIT(n) (1ULL << (n))

/* VIRTIO 1.2, 5.1.4.1. */
#define MTU_MIN 68

/* Room for a piece of configuration, as the kernel wants it. */
union config {
	struct vhost_vdpa_config head;
	uint8_t bytes[sizeof(struct vhost_vdpa_config) + VU_CONFIG_MAX];
};

/*
 * Find out how many pairs or queues the function has. That a card has queues does not say that they
 * are pairs: its configuration does, and without MQ it has one (VIRTIO 1.2, 5.1.2).
 */
static enum status count(struct door_vdpa *vdpa, const struct kernel *kernel, uint32_t kind,
			 uint32_t queues, struct failure *why)
{
	const uint64_t both = BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ);
	const bool card = kind == VIRTIO_ID_NET;
	const uint32_t at = card ? offsetof(struct virtio_net_config, max_virtqueue_pairs) :
				   offsetof(struct virtio_blk_config, num_queues);
	const unsigned int each = card ? 2 : 1;
	unsigned int number = card ? 1 : queues;
	union config config = { .head = { .off = at, .len = sizeof(vdpa->count) } };
	uint64_t features;

	if (kernel->control(kernel->self, vdpa->node, VHOST_GET_FEATURES, &features))
		return failed(why, ST_SYSTEM, "VHOST_GET_FEATURES: %s", strerror(errno));
	if ((card ? (features & both) == both : features >> VIRTIO_BLK_F_MQ & 1) &&
	    vdpa->config_size >= at + sizeof(vdpa->count)) {
		if (kernel->control(kernel->self, vdpa->node, VHOST_VDPA_GET_CONFIG, &config))
			return failed(why, ST_SYSTEM, "VHOST_VDPA_GET_CONFIG: %s", strerror(errno));
		number = config.head.buf[0] | config.head.buf[1] << 8;
		vdpa->count_at = at;
	}
	if (number > queues / each)
		number = queues / each;
	if (number > DOOR_RINGS_MAX / each)
		number = DOOR_RINGS_MAX / each;
	if (vdpa->queues && number > vdpa->queues)
		number = vdpa->queues;
	if (!number)
		return failed(why, ST_PCI_KIND, "it has no queues");
	vdpa->count = (uint16_t)number;
	vdpa->ring_count = each * number;
	return ST_OK;
}

enum status door_vdpa_init(struct door_vdpa *vdpa, const struct kernel *kernel, struct failure *why)
{
	struct vhost_vdpa_iova_range range;
	uint64_t features = 0;
	uint32_t kind, queues;

	if (kernel->control(kernel->self, vdpa->node, VHOST_VDPA_GET_DEVICE_ID, &kind) ||
	    kernel->control(kernel->self, vdpa->node, VHOST_VDPA_GET_VQS_COUNT, &queues) ||
	    kernel->control(kernel->self, vdpa->node, VHOST_VDPA_GET_CONFIG_SIZE,
			    &vdpa->config_size) ||
	    kernel->control(kernel->self, vdpa->node, VHOST_VDPA_GET_IOVA_RANGE, &range) ||
	    kernel->control(kernel->self, vdpa->node, VHOST_GET_BACKEND_FEATURES, &features))
		return failed(why, errno == ENOTTY ? ST_FEATURE : ST_SYSTEM,
			      "the node does not answer as one of shunt_vfio: %s", strerror(errno));
	if (kind != VIRTIO_ID_NET && kind != VIRTIO_ID_BLOCK)
		return failed(why, ST_PCI_KIND,
			      "a virtio device of type %u: cards (1) and disks (2) can be served",
			      kind);
	features &= BIT(VHOST_BACKEND_F_IOTLB_MSG_V2);
	if (!features)
		return failed(why, ST_FEATURE, "the node takes no IOTLB messages of version 2");
	if (kernel->control(kernel->self, vdpa->node, VHOST_SET_BACKEND_FEATURES, &features))
		return failed(why, ST_SYSTEM, "VHOST_SET_BACKEND_FEATURES: %s", strerror(errno));
	vdpa->backend = kind == VIRTIO_ID_NET ? &door_vdpa_net_backend : &door_vdpa_blk_backend;
	vdpa->first = range.first;
	vdpa->last = range.last;
	return count(vdpa, kernel, kind, queues, why);
}

/* All that it has is the function's. */
static uint64_t vdpa_offer(struct door *door)
{
	(void)door;
	return 0;
}

/* Both or none: a driver refuses a device that has many pairs without a control queue. */
static uint64_t net_offer(struct door *door)
{
	const uint64_t both = BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ);
	uint64_t features = 0;

	/* Who is not told the address by the configuration is not told that there is one. */
	if (!(door->withheld >> VU_P_CONFIG & 1))
		features |= door->kernel_features & BIT(VIRTIO_NET_F_MAC);
	if ((door->kernel_features & both) == both && door->ring_count > 2)
		features |= both;
	return features;
}

/* The function is told when it begins. */
static enum status vdpa_set_features(struct door *door, struct failure *why)
{
	(void)door;
	(void)why;
	return ST_OK;
}

static enum status vdpa_config(struct door *door, uint32_t offset, uint32_t size, uint8_t *bytes,
			       struct failure *why)
{
	const struct door_vdpa *vdpa = door->self;
	union config config = { .head = { .off = offset, .len = size } };

	/* Fields that a newer front end knows and the function does not are 0. */
	memset(bytes, 0, size);
	if (!size || offset >= vdpa->config_size)
		return ST_OK;
	if (size > vdpa->config_size - offset)
		config.head.len = vdpa->config_size - offset;
	if (vdpa_control(door, VHOST_VDPA_GET_CONFIG, &config))
		return failed(why, ST_SYSTEM, "VHOST_VDPA_GET_CONFIG: %s", strerror(errno));
	memcpy(bytes, config.head.buf, config.head.len);
	/* A guest is told of no more queues than its front end can have. */
	for (uint32_t i = 0; vdpa->count_at && i < sizeof(vdpa->count); i++)
		if (vdpa->count_at + i - offset < size)
			bytes[vdpa->count_at + i - offset] = (uint8_t)(vdpa->count >> 8 * i);
	return ST_OK;
}

enum status door_vdpa_mac(const struct door *door, struct failure *why)
{
	if (door->offered & BIT(VIRTIO_NET_F_MAC))
		return ST_OK;
	return failed(why, ST_FEATURE, "the function tells no MAC address");
}

/* A function that does not say which MTU it can have takes any. */
static enum status net_set_mtu(struct door *door, uint64_t mtu, struct failure *why)
{
	uint16_t most = htole16(UINT16_MAX);
	enum status status = ST_OK;

	if (door->kernel_features >> VIRTIO_NET_F_MTU & 1)
		status = vdpa_config(door, offsetof(struct virtio_net_config, mtu), sizeof(most),
				     (uint8_t *)&most, why);
	if (status || (mtu >= MTU_MIN && mtu <= le16toh(most)))
		return status;
	return failed(why, ST_MTU, "an MTU of %llu, where the function can have %u to %u",
		      (unsigned long long)mtu, MTU_MIN, le16toh(most));
}

static enum status blk_watch(struct door *door, struct failure *why)
{
	int event = door->event;

	if (vdpa_control(door, VHOST_VDPA_SET_CONFIG_CALL, &event))
		return failed(why, ST_SYSTEM, "VHOST_VDPA_SET_CONFIG_CALL: %s", strerror(errno));
	return ST_OK;
}

/* What front ends can have of the rings' features, as door_net_backend has it. */
#define RING_FEATURES                                                      \
	(BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) | \
	 BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER))

/* Not LOG_SHMFD: nobody logs what a function writes. So QEMU refuses to migrate the guest. */
#define PROTOCOL                                                                          \
	(BIT(VU_P_MQ) | BIT(VU_P_REPLY_ACK) | BIT(VU_P_CONFIG) | BIT(VU_P_RESET_DEVICE) | \
	 BIT(VU_P_CONFIGURE_MEM_SLOTS) | BIT(VU_P_STATUS))

const struct backend door_vdpa_net_backend = {
	.name = "vdpa-net",
	.device = &vdpa_device,
	.protocol = PROTOCOL | BIT(VU_P_NET_MTU),
	/* For MAC, MQ and CTRL_VQ see net_offer(). */
	.kernel_mask = RING_FEATURES | BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
		       BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
		       BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |
		       BIT(VIRTIO_NET_F_GUEST_UFO) | BIT(VIRTIO_NET_F_HOST_TSO4) |
		       BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) |
		       BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
		       BIT(VIRTIO_NET_F_STATUS),
	.offer = net_offer,
	.set_features = vdpa_set_features,
	.config = vdpa_config,
	.set_mtu = net_set_mtu,
};

const struct backend door_vdpa_blk_backend = {
	.name = "vdpa-blk",
	.device = &vdpa_device,
	.protocol = PROTOCOL | BIT(VU_P_BACKEND_REQ),
	/* Not CONFIG_WCE: see door_blk_backend. */
	.kernel_mask = RING_FEATURES | BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
		       BIT(VIRTIO_BLK_F_GEOMETRY) | BIT(VIRTIO_BLK_F_RO) |
		       BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
		       BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_MQ) |
		       BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES) |
		       BIT(VIRTIO_BLK_F_SECURE_ERASE),
	.offer = vdpa_offer,
	.set_features = vdpa_set_features,
	.config = vdpa_config,
	.watch = blk_watch,
};
