// SPDX-License-Identifier: GPL-2.0-only
/*
 * Network: what the door does with the TAP.
 *
 * DOC: Theory of Operation
 *
 * The vhost device moves frames with their virtio-net headers as they are. So checksum and
 * segmentation offloads are between guest and TAP: offered here as far as TUNSETOFFLOAD takes them,
 * and set to what the guest acknowledged. The header has 12 bytes for a modern guest or with merged
 * buffers, else 10, and the TAP must agree.
 *
 * A pair has a queue of the TAP while one of its rings runs. Queue 0 always has one, because the
 * kernel answers ioctls on queues in use only.
 */
#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <net/if.h>
#include <stddef.h>
#include <string.h>

#include "net.h"

/* Newer than Debian 12's kernel headers. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_F_HOST_USO
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO 56
#endif

#define BIT(n) (1ULL << (n))

#define HEADER_LEGACY 10
#define HEADER_MODERN 12

/* What the TAP is told when a guest's feature is acknowledged. What is sent needs no telling. */
static const struct {
	unsigned int offload;
	unsigned char guest;
} offloads[] = {
	{ TUN_F_CSUM, VIRTIO_NET_F_GUEST_CSUM }, { TUN_F_TSO4, VIRTIO_NET_F_GUEST_TSO4 },
	{ TUN_F_TSO6, VIRTIO_NET_F_GUEST_TSO6 }, { TUN_F_TSO_ECN, VIRTIO_NET_F_GUEST_ECN },
	{ TUN_F_UFO, VIRTIO_NET_F_GUEST_UFO },	 { TUN_F_USO4, VIRTIO_NET_F_GUEST_USO4 },
	{ TUN_F_USO6, VIRTIO_NET_F_GUEST_USO6 },
};

#define OFFLOAD_COUNT (sizeof(offloads) / sizeof(offloads[0]))

static int tap_control(const struct kernel *kernel, int fd, unsigned long request, void *argument)
{
	return kernel->control(kernel->self, fd, request, argument);
}

/* TUNSETOFFLOAD takes its argument by value. */
static int set_offloads(const struct kernel *kernel, int fd, unsigned long mask)
{
	return tap_control(kernel, fd, TUNSETOFFLOAD, (void *)mask);
}

static enum status use_queue(const struct kernel *kernel, int fd, bool use, struct failure *why)
{
	struct ifreq request = { .ifr_flags = use ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	if (tap_control(kernel, fd, TUNSETQUEUE, &request))
		return failed(why, ST_SYSTEM, "TUNSETQUEUE: %s", strerror(errno));
	return ST_OK;
}

enum status door_net_init(struct door_net *net, const struct kernel *kernel, struct failure *why)
{
	const unsigned int base = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	const unsigned int tries[] = { base | TUN_F_UFO | TUN_F_USO4 | TUN_F_USO6, base | TUN_F_UFO,
				       base };
	enum status status = ST_OK;
	int fd = net->tap->fds[0];
	unsigned int i;

	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		if (!set_offloads(kernel, fd, tries[i]))
			break;
	if (i == sizeof(tries) / sizeof(tries[0]))
		return failed(why, ST_FEATURE, "%s: TUNSETOFFLOAD: %s", net->tap->name,
			      strerror(errno));
	net->offloads = tries[i];
	for (i = 1; !status && i < net->tap->queues; i++)
		status = use_queue(kernel, net->tap->fds[i], false, why);
	return status;
}

static uint64_t net_offer(struct door *door)
{
	const struct door_net *net = door->self;
	uint64_t features = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |
			    BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) |
			    BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_STATUS);

	for (unsigned int i = 0; i < OFFLOAD_COUNT; i++)
		if (net->offloads & offloads[i].offload)
			features |= BIT(offloads[i].guest);
	if (net->offloads & TUN_F_UFO)
		features |= BIT(VIRTIO_NET_F_HOST_UFO);
	if (net->offloads & TUN_F_USO4)
		features |= BIT(VIRTIO_NET_F_HOST_USO);
	/*
	 * The control queue is the VMM's: cloud-hypervisor takes both from here, and QEMU only MQ.
	 * A driver refuses a device that has many queues without it.
	 */
	if (net->tap->queues > 1)
		features |= BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ);
	if (net->has_mac)
		features |= BIT(VIRTIO_NET_F_MAC);
	return features;
}

static enum status net_set_features(struct door *door, struct failure *why)
{
	struct door_net *net = door->self;
	int fd = net->tap->fds[0];
	unsigned int mask = 0;

	for (unsigned int i = 0; i < OFFLOAD_COUNT; i++)
		if (door->features & BIT(offloads[i].guest))
			mask |= offloads[i].offload;
	/* Segments without a checksum to fill in do not exist. */
	if (!(mask & TUN_F_CSUM))
		mask = 0;
	/* ECN is a property of TSO, and the two USOs go together. */
	if (!(mask & (TUN_F_TSO4 | TUN_F_TSO6)))
		mask &= ~(unsigned int)TUN_F_TSO_ECN;
	if ((mask & (TUN_F_USO4 | TUN_F_USO6)) != (TUN_F_USO4 | TUN_F_USO6))
		mask &= ~(unsigned int)(TUN_F_USO4 | TUN_F_USO6);
	net->header = door->features & (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF)) ?
			      HEADER_MODERN :
			      HEADER_LEGACY;
	if (set_offloads(door->kernel, fd, mask))
		return failed(why, ST_SYSTEM, "TUNSETOFFLOAD: %s", strerror(errno));
	if (tap_control(door->kernel, fd, TUNSETVNETHDRSZ, &net->header))
		return failed(why, ST_SYSTEM, "TUNSETVNETHDRSZ: %s", strerror(errno));
	return ST_OK;
}

static enum status net_bind(struct door *door, unsigned int ring, bool run, struct failure *why)
{
	struct door_net *net = door->self;
	unsigned int pair = ring / 2;
	uint8_t bit = (uint8_t)(1u << (ring & 1));
	int queue = net->tap->fds[pair];
	struct vhost_vring_file file = { .fd = run ? queue : -1 };
	enum status status = ST_OK;

	if (run && pair && !net->bound[pair])
		status = use_queue(door->kernel, queue, true, why);
	if (status)
		return status;
	status = door_control(door, ring, VHOST_NET_SET_BACKEND, "VHOST_NET_SET_BACKEND", &file,
			      why);
	if (run && !status)
		net->bound[pair] |= bit;
	else if (!run)
		net->bound[pair] &= (uint8_t)~bit;
	/* Also after a failure to start: the queue is as it was before. */
	if (pair && !net->bound[pair]) {
		struct failure ignored;
		enum status last = use_queue(door->kernel, queue, false, status ? &ignored : why);

		if (!status)
			status = last;
	}
	return status;
}

static enum status net_released(struct door *door, struct failure *why)
{
	struct door_net *net = door->self;
	enum status status = ST_OK;

	for (unsigned int pair = 0; pair < net->tap->queues; pair++) {
		if (!status && pair && net->bound[pair])
			status = use_queue(door->kernel, net->tap->fds[pair], false, why);
		net->bound[pair] = 0;
	}
	return status;
}

static enum status net_config(struct door *door, uint32_t offset, uint32_t size, uint8_t *bytes,
			      struct failure *why)
{
	const struct door_net *net = door->self;
	struct virtio_net_config config = {
		.status = htole16(VIRTIO_NET_S_LINK_UP),
		.max_virtqueue_pairs = htole16((uint16_t)net->tap->queues),
		.mtu = htole16((uint16_t)net->mtu),
		.speed = htole32(UINT32_MAX),
		.duplex = UINT8_MAX,
	};

	(void)why;
	memcpy(config.mac, net->mac, sizeof(config.mac));
	/* Fields that a newer front end knows and this one does not are 0. */
	memset(bytes, 0, size);
	if (offset < sizeof(config))
		memcpy(bytes, (const uint8_t *)&config + offset,
		       size < sizeof(config) - offset ? size : sizeof(config) - offset);
	return ST_OK;
}

static enum status net_set_mtu(struct door *door, uint64_t mtu, struct failure *why)
{
	const struct door_net *net = door->self;

	if (mtu >= TAP_MTU_MIN && mtu <= net->mtu)
		return ST_OK;
	return failed(why, ST_MTU, "an MTU of %llu, where that of the TAP is %u",
		      (unsigned long long)mtu, net->mtu);
}

/* A RARP request for one's own address: what switches learn from is its source. */
struct rarp {
	uint8_t header[HEADER_MODERN]; /* the virtio-net header's place; see below */
	struct {
		uint8_t to[6];
		uint8_t from[6];
		uint16_t type;
		uint16_t hardware;
		uint16_t protocol;
		uint8_t hardware_size;
		uint8_t protocol_size;
		uint16_t operation;
		uint8_t sender[6];
		uint8_t sender_ip[4];
		uint8_t target[6];
		uint8_t target_ip[4];
		uint8_t padding[18];
	} __attribute__((packed)) frame;
};

_Static_assert(sizeof(((struct rarp *)0)->frame) == ETH_ZLEN, "the least size of a frame");

static enum status net_send_rarp(struct door *door, const uint8_t mac[6], struct failure *why)
{
	const struct door_net *net = door->self;
	struct rarp rarp = { 0 };
	const uint8_t *start;
	size_t size;
	long sent;

	memset(rarp.frame.to, 0xff, sizeof(rarp.frame.to));
	memcpy(rarp.frame.from, mac, 6);
	rarp.frame.type = htobe16(ETH_P_RARP);
	rarp.frame.hardware = htobe16(1);
	rarp.frame.protocol = htobe16(ETH_P_IP);
	rarp.frame.hardware_size = 6;
	rarp.frame.protocol_size = 4;
	rarp.frame.operation = htobe16(3);
	memcpy(rarp.frame.sender, mac, 6);
	memcpy(rarp.frame.target, mac, 6);

	/* The header is all zeros: as much of it as the TAP wants, right before the frame. */
	start = (const uint8_t *)&rarp + offsetof(struct rarp, frame) - (size_t)net->header;
	size = (size_t)net->header + sizeof(rarp.frame);
	sent = door->kernel->inject(door->kernel->self, net->tap->fds[0], start, size);
	if (sent == (long)size)
		return ST_OK;
	return failed(why, ST_SYSTEM, "cannot send from %s: %s", net->tap->name,
		      sent < 0 ? strerror(errno) : "cut short");
}

const struct backend door_net_backend = {
	.name = "net",
	.rings_per_file = 2,
	.drains = true,
	.protocol = BIT(VU_P_MQ) | BIT(VU_P_LOG_SHMFD) | BIT(VU_P_RARP) | BIT(VU_P_REPLY_ACK) |
		    BIT(VU_P_NET_MTU) | BIT(VU_P_CONFIG) | BIT(VU_P_RESET_DEVICE) |
		    BIT(VU_P_CONFIGURE_MEM_SLOTS) | BIT(VU_P_STATUS),
	/*
	 * Not bit 27, which means two things; nor ACCESS_PLATFORM, for which there is no IOTLB; nor
	 * RING_RESET, since QEMU offers it then and does not tell that a ring was reset.
	 */
	.kernel_mask = BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_F_NOTIFY_ON_EMPTY) |
		       BIT(VHOST_F_LOG_ALL) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
		       BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) |
		       BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER),
	.offer = net_offer,
	.set_features = net_set_features,
	.bind = net_bind,
	.released = net_released,
	.config = net_config,
	.set_mtu = net_set_mtu,
	.send_rarp = net_send_rarp,
};
