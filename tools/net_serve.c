// SPDX-License-Identifier: GPL-2.0-only
/*
 * 'shunt net serve': a vhost-user network device whose data path is in the kernel.
 *
 * DOC: Theory of Operation
 *
 * In this order: the command line, the TAP and the vhost devices (net_plug.c), the socket,
 * ownership of the vhost devices, the jail (door/jail.c), and only then the first byte of a front
 * end (door/serve.c). The TAP lives as long as the process does, so front ends come and go while
 * the host's end of the network stays as it is. serving.c has what is not the network's.
 */
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "cmd.h"
#include "door/jail.h"
#include "door/net.h"
#include "lib/vhostdev.h"
#include "net_plug.h"
#include "serving.h"

/* What the command line asks for. */
struct serve_wish {
	struct net_wish net;
	struct serving_wish serving;
	const char *mac;
};

static enum status take_option(void *self, int option, const char *argument, struct failure *why)
{
	struct serve_wish *wish = self;

	if (option == 'a') {
		wish->mac = argument;
		return ST_OK;
	}
	if (strchr("sfouw", option))
		return serving_wish_option(&wish->serving, option, argument, why);
	return net_wish_option(&wish->net, option, argument, why);
}

static enum status parse_options(int argc, char **argv, struct serve_wish *wish,
				 struct failure *why)
{
	static const struct option options[] = {
		NET_WISH_OPTIONS,
		SERVING_WISH_OPTIONS,
		{ "mac", required_argument, NULL, 'a' },
		{ 0 },
	};
	enum status status = args_options("net serve", argc, argv, options, take_option, wish, why);

	if (status)
		return status;
	status = serving_wish_check(&wish->serving, "net serve", why);
	if (status)
		return status;
	if (wish->net.queues > DOOR_PAIRS_MAX)
		return failed(why, ST_QUEUES, "%u queues: vhost-user has %d pairs at most",
			      wish->net.queues, DOOR_PAIRS_MAX);
	return net_wish_check(&wish->net, why);
}

/* With all that is needed open: lock up, and serve. */
static enum status run(const struct net_plug *plug, struct door_net *net,
		       const struct serving *serving, struct failure *why)
{
	static const unsigned long ioctls[] = { JAIL_VHOST_IOCTLS, VHOST_NET_SET_BACKEND,
						TUNSETOFFLOAD, TUNSETVNETHDRSZ, TUNSETQUEUE };
	static struct door door;
	enum status status;

	door.backend = &door_net_backend;
	door.self = net;
	door.kernel = &kernel_real;
	door.files = plug->vhosts;
	door.file_count = plug->vhost_count;
	door.ring_count = 2 * plug->vhost_count;
	door.slots = serving_slots(plug->vhosts[0]);
	door.event = -1;
	/*
	 * QEMU before 7.2.3 can crash where a network device offers configuration, and later ones
	 * warn: it is for those who ask for it by giving it something to say.
	 */
	if (!net->has_mac)
		door.withheld = 1ULL << VU_P_CONFIG;

	serving_room(&door);
	status = door_net_init(net, door.kernel, why);
	if (!status)
		status = door_init(&door, why);
	if (status)
		return status;
	status = serving_run(serving, &door, ioctls, sizeof(ioctls) / sizeof(ioctls[0]), why);
	door_end(&door);
	return status;
}

int net_serve(const struct context *context, int argc, char **argv)
{
	static const char *const features[] = { NULL };
	struct serve_wish wish = {
		.net = { .device = VHOSTDEV_DEFAULT, .queues = 1 },
		.serving = { .mode = SERVING_MODE },
	};
	struct net_plug plug = { 0 };
	struct door_net net = { 0 };
	struct serving serving;
	struct failure why;
	enum status status;

	if (serving_wants_capabilities(argc, argv))
		return serving_print_capabilities("net", features);
	status = serving_refuse_json(context, "net serve", &why);
	if (!status)
		status = parse_options(argc, argv, &wish, &why);
	if (!status && wish.mac) {
		status = args_mac("--mac", wish.mac, net.mac, &why);
		net.has_mac = true;
	}
	if (!status)
		status = serving_prepare(&wish.serving, &serving, &why);
	if (!status)
		status = net_check_privilege("net serve", &why);
	if (!status)
		status = net_plug_in(&wish.net, &plug, &why);
	if (!status)
		status = serving_open(&wish.serving, &serving, &why);
	if (!status) {
		net.tap = &plug.tap;
		net.mtu = plug.mtu ? plug.mtu : 1500;
		status = run(&plug, &net, &serving, &why);
	}
	/* The socket's file may be out of reach from the jail; whoever comes next replaces it. */
	net_unplug(&plug);
	return status ? complain(&why) : 0;
}
