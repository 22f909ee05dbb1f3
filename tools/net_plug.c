// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making a TAP and opening vhost devices, for the verbs that need both.
 *
 * Everything that can be checked without changing anything is checked first. See net_exec.c for how
 * nothing is left behind.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "args.h"
#include "lib/feature.h"
#include "lib/link.h"
#include "lib/vhostdev.h"
#include "net_plug.h"

enum status net_wish_option(struct net_wish *wish, int option, const char *argument,
			    struct failure *why)
{
	enum status status = ST_OK;
	uint64_t features;

	switch (option) {
	case 'b':
		wish->bridge = argument;
		break;
	case 't':
		wish->tap = argument;
		break;
	case 'q':
		status = args_number("--queues", argument, &wish->queues, why);
		break;
	case 'm':
		status = args_number("--mtu", argument, &wish->mtu, why);
		break;
	case 'd':
		wish->device = argument;
		break;
	case 'r':
		status = feature_parse(argument, &features, why);
		wish->features |= features;
		break;
	default:
		status = failed(why, ST_USAGE, "unknown option");
	}
	return status;
}

enum status net_wish_check(const struct net_wish *wish, struct failure *why)
{
	if (wish->mtu && (wish->mtu < TAP_MTU_MIN || wish->mtu > TAP_MTU_MAX))
		return failed(why, ST_MTU, "--mtu: %u is not between %d and %d", wish->mtu,
			      TAP_MTU_MIN, TAP_MTU_MAX);
	return wish->tap ? tap_check_name(wish->tap, why) : ST_OK;
}

/* Making interfaces takes CAP_NET_ADMIN in the network's user namespace; root has it. */
enum status net_check_privilege(const char *verb, struct failure *why)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data))
		return failed(why, ST_SYSTEM, "capget: %s", strerror(errno));
	if (data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN))
		return ST_OK;
	return failed(why, ST_PRIVILEGE,
		      "%s: must be root (making an interface takes CAP_NET_ADMIN)", verb);
}

void net_unplug(struct net_plug *plug)
{
	tap_destroy(&plug->tap);
	while (plug->vhost_count)
		close(plug->vhosts[--plug->vhost_count]);
}

/* Open one vhost device a queue pair. This changes nothing that another process could see. */
static enum status open_vhosts(const struct net_wish *wish, struct net_plug *plug,
			       struct failure *why)
{
	enum status status = ST_OK;

	while (!status && plug->vhost_count < wish->queues) {
		status = vhostdev_open(wish->device, wish->features,
				       &plug->vhosts[plug->vhost_count], why);
		if (!status)
			plug->vhost_count++;
	}
	return status;
}

enum status net_plug_in(const struct net_wish *wish, struct net_plug *plug, struct failure *why)
{
	struct bridge bridge, *to = NULL;
	unsigned int mtu = wish->mtu;
	struct nl_sock *conn = NULL;
	enum status status;

	status = tap_check_support(wish->queues, why);
	if (!status)
		status = link_connect(&conn, why);
	if (!status && wish->bridge) {
		status = link_find_bridge(conn, wish->bridge, &bridge, why);
		to = &bridge;
	}
	if (!status && wish->tap)
		status = link_check_free(conn, wish->tap, why);
	if (!status)
		status = open_vhosts(wish, plug, why);

	/* From here on there are changes. */
	if (!status)
		status = tap_create(&plug->tap, wish->tap, wish->queues, why);
	if (!status) {
		/* A port with a smaller MTU would pull the whole bridge down to it. */
		if (!mtu && to)
			mtu = to->mtu > TAP_MTU_MAX ? TAP_MTU_MAX : to->mtu;
		plug->mtu = mtu;
		status = link_plug_in(conn, plug->tap.name, to, mtu, why);
	}
	link_disconnect(conn);
	return status;
}
