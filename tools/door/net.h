/* SPDX-License-Identifier: GPL-2.0-only */
/* The network device behind the door: pairs of rings on the queues of a TAP. */
#ifndef SHUNT_DOOR_NET_H
#define SHUNT_DOOR_NET_H

#include "door.h"
#include "lib/tap.h"

/**
 * DOOR_PAIRS_MAX - queue pairs that a network device can have
 */
#define DOOR_PAIRS_MAX (DOOR_RINGS_MAX / 2)

/**
 * struct door_net - what struct door's @self is for a network device
 * @tap: the TAP; one queue a pair
 * @mtu: its MTU
 * @mac: the guest's MAC address for the configuration
 * @has_mac: @mac is there, and offered
 *
 * The rest is filled in by door_net_init().
 *
 * @offloads: TUN_F_... that the TAP knows
 * @header: bytes of the virtio-net header now, since door_init()
 * @bound: for each pair, which of its rings run: bit 0 receives, bit 1 transmits
 */
struct door_net {
	const struct tap *tap;
	unsigned int mtu;
	uint8_t mac[6];
	bool has_mac;
	unsigned int offloads;
	int header;
	uint8_t bound[DOOR_PAIRS_MAX];
};

/**
 * door_net_backend - the kind of device
 */
extern const struct backend door_net_backend;

/**
 * door_net_init() - find out what the TAP can do, and take its queues out of use; for door_init()
 * @net: tap, mtu, mac and has_mac are filled in
 * @kernel: how the kernel is reached
 * @why: filled in on failure
 *
 * Of a TAP with many queues the first alone stays in use, until a ring runs on another: the kernel
 * spreads packets over those in use, whether anybody takes them or not.
 *
 * Return: ST_OK, ST_FEATURE or ST_SYSTEM.
 */
enum status door_net_init(struct door_net *net, const struct kernel *kernel, struct failure *why);

#endif
