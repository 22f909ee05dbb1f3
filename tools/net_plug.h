/* SPDX-License-Identifier: GPL-2.0-only */
/* What 'shunt net exec' and 'shunt net serve' have in common: a TAP, and vhost devices. */
#ifndef SHUNT_NET_PLUG_H
#define SHUNT_NET_PLUG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/status.h"
#include "lib/tap.h"

/**
 * struct net_wish - what the command line asks for
 * @bridge: bridge to put the TAP on, or NULL
 * @tap: name of the TAP, or NULL for the next free one
 * @device: node of the vhost device
 * @queues: queue pairs
 * @mtu: of the TAP, 0: the bridge's
 * @features: that the vhost device must offer
 */
struct net_wish {
	const char *bridge;
	const char *tap;
	const char *device;
	unsigned int queues;
	unsigned int mtu;
	uint64_t features;
};

/**
 * struct net_plug - what was made for it
 * @tap: the TAP
 * @mtu: its MTU, 0: as the kernel made it
 * @vhost_count: how many of @vhosts are open
 * @vhosts: a vhost device for each queue pair
 */
struct net_plug {
	struct tap tap;
	unsigned int mtu;
	unsigned int vhost_count;
	int vhosts[TAP_QUEUES_MAX];
};

/* The letters that getopt_long() returns for the options of a struct net_wish. */
#define NET_WISH_OPTIONS                                                                     \
	{ "bridge", required_argument, NULL, 'b' }, { "tap", required_argument, NULL, 't' }, \
		{ "queues", required_argument, NULL, 'q' },                                  \
		{ "mtu", required_argument, NULL, 'm' },                                     \
		{ "device", required_argument, NULL, 'd' },                                  \
	{                                                                                    \
		"require", required_argument, NULL, 'r'                                      \
	}

/**
 * net_wish_option() - take one option
 * @wish: receives what it says
 * @option: its letter
 * @argument: its argument
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_NUMBER, or ST_USAGE also where the letter is none of these.
 */
enum status net_wish_option(struct net_wish *wish, int option, const char *argument,
			    struct failure *why);

/**
 * net_wish_check() - see that a wish can be had, as far as can be told from it alone
 * @wish: all options are taken
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_MTU or ST_NAME.
 */
enum status net_wish_check(const struct net_wish *wish, struct failure *why);

/**
 * net_check_privilege() - see that this process may make interfaces
 * @verb: who asks
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_PRIVILEGE or ST_SYSTEM.
 */
enum status net_check_privilege(const char *verb, struct failure *why);

/**
 * net_plug_in() - make what is wished for: all checks first, then all changes
 * @wish: the wish
 * @plug: empty; filled in, also where it fails: net_unplug() it
 * @why: filled in on failure
 */
enum status net_plug_in(const struct net_wish *wish, struct net_plug *plug, struct failure *why);

/**
 * net_unplug() - close the vhost devices and the TAP, which vanishes
 * @plug: may hold nothing
 */
void net_unplug(struct net_plug *plug);

#endif
