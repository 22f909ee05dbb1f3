// SPDX-License-Identifier: GPL-2.0-only
/* Looking interfaces up and changing them, with libnl-route. */
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/socket.h>
#include <net/if.h>
#include <string.h>

#include "link.h"

enum status link_connect(struct nl_sock **conn, struct failure *why)
{
	struct nl_sock *sock = nl_socket_alloc();
	int error;

	*conn = NULL;
	if (!sock)
		return failed(why, ST_SYSTEM, "netlink: out of memory");
	error = nl_connect(sock, NETLINK_ROUTE);
	if (error) {
		nl_socket_free(sock);
		return failed(why, ST_SYSTEM, "netlink: %s", nl_geterror(error));
	}
	*conn = sock;
	return ST_OK;
}

void link_disconnect(struct nl_sock *conn)
{
	if (conn)
		nl_socket_free(conn);
}

/* 0 and a reference in @found, or libnl's (negative) error. */
static int find(struct nl_sock *conn, const char *name, struct rtnl_link **found)
{
	return rtnl_link_get_kernel(conn, 0, name, found);
}

static int is_missing(int error)
{
	return error == -NLE_NODEV || error == -NLE_OBJ_NOTFOUND;
}

enum status link_find_bridge(struct nl_sock *conn, const char *name, struct bridge *bridge,
			     struct failure *why)
{
	struct rtnl_link *link;
	enum status status = ST_OK;
	const char *kind;
	int error;

	/* A longer name cannot exist; netlink would say "out of range" of it. */
	if (!*name || strlen(name) >= IFNAMSIZ)
		return failed(why, ST_NO_BRIDGE, "no such bridge: '%s'", name);
	error = find(conn, name, &link);
	if (is_missing(error))
		return failed(why, ST_NO_BRIDGE, "no such bridge: '%s'", name);
	if (error)
		return failed(why, ST_SYSTEM, "bridge '%s': %s", name, nl_geterror(error));
	kind = rtnl_link_get_type(link);
	if (!kind || strcmp(kind, "bridge")) {
		status = failed(why, ST_NOT_BRIDGE, "'%s' is not a bridge", name);
	} else {
		bridge->index = rtnl_link_get_ifindex(link);
		bridge->mtu = rtnl_link_get_mtu(link);
	}
	rtnl_link_put(link);
	return status;
}

enum status link_check_free(struct nl_sock *conn, const char *name, struct failure *why)
{
	struct rtnl_link *link;
	int error;

	error = find(conn, name, &link);
	if (is_missing(error))
		return ST_OK;
	if (error)
		return failed(why, ST_SYSTEM, "'%s': %s", name, nl_geterror(error));
	rtnl_link_put(link);
	return failed(why, ST_NAME_TAKEN, "'%s' exists already", name);
}

/* Ask the kernel for one change of @link. */
static enum status change(struct nl_sock *conn, struct rtnl_link *link, struct rtnl_link *wanted,
			  enum status status_if_refused, const char *what, struct failure *why)
{
	int error = rtnl_link_change(conn, link, wanted, 0);

	if (!error)
		return ST_OK;
	if (error == -NLE_PERM)
		return failed(why, ST_PRIVILEGE, "%s: %s", what, nl_geterror(error));
	return failed(why, status_if_refused, "%s: %s", what, nl_geterror(error));
}

static enum status set_mtu(struct nl_sock *conn, struct rtnl_link *link, unsigned int mtu,
			   struct failure *why)
{
	struct rtnl_link *wanted = rtnl_link_alloc();
	enum status status;

	if (!wanted)
		return failed(why, ST_SYSTEM, "netlink: out of memory");
	rtnl_link_set_mtu(wanted, mtu);
	status = change(conn, link, wanted, ST_MTU, "cannot set the MTU", why);
	rtnl_link_put(wanted);
	return status;
}

static enum status set_master(struct nl_sock *conn, struct rtnl_link *link, int master,
			      struct failure *why)
{
	struct rtnl_link *wanted = rtnl_link_alloc();
	enum status status;

	if (!wanted)
		return failed(why, ST_SYSTEM, "netlink: out of memory");
	rtnl_link_set_master(wanted, master);
	status = change(conn, link, wanted, ST_SYSTEM, "cannot put the TAP on the bridge", why);
	rtnl_link_put(wanted);
	return status;
}

static enum status set_up(struct nl_sock *conn, struct rtnl_link *link, struct failure *why)
{
	struct rtnl_link *wanted = rtnl_link_alloc();
	enum status status;

	if (!wanted)
		return failed(why, ST_SYSTEM, "netlink: out of memory");
	rtnl_link_set_flags(wanted, IFF_UP);
	status = change(conn, link, wanted, ST_SYSTEM, "cannot set the TAP up", why);
	rtnl_link_put(wanted);
	return status;
}

enum status link_plug_in(struct nl_sock *conn, const char *name, const struct bridge *bridge,
			 unsigned int mtu, struct failure *why)
{
	enum status status = ST_OK;
	struct rtnl_link *link;
	int error;

	error = find(conn, name, &link);
	if (error)
		return failed(why, ST_SYSTEM, "'%s': %s", name, nl_geterror(error));
	/* The MTU first: a bridge follows the smallest MTU among its ports. */
	if (mtu)
		status = set_mtu(conn, link, mtu, why);
	if (!status && bridge)
		status = set_master(conn, link, bridge->index, why);
	if (!status)
		status = set_up(conn, link, why);
	rtnl_link_put(link);
	return status;
}
