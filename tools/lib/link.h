/* SPDX-License-Identifier: GPL-2.0-only */
/* Interfaces and bridges, over rtnetlink. */
#ifndef SHUNT_LINK_H
#define SHUNT_LINK_H

#include "status.h"

struct nl_sock;

/**
 * struct bridge - a bridge that was found
 * @index: its interface index
 * @mtu: its MTU, bytes
 */
struct bridge {
	int index;
	unsigned int mtu;
};

/**
 * link_connect() - a socket to the kernel's table of interfaces
 * @conn: receives the socket; the caller ends it with link_disconnect()
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_SYSTEM.
 */
enum status link_connect(struct nl_sock **conn, struct failure *why);

/**
 * link_disconnect() - close the socket
 * @conn: from link_connect(), or NULL
 */
void link_disconnect(struct nl_sock *conn);

/**
 * link_find_bridge() - look a bridge up
 * @conn: the socket
 * @name: the bridge's name
 * @bridge: filled in
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_NO_BRIDGE, ST_NOT_BRIDGE or ST_SYSTEM.
 */
enum status link_find_bridge(struct nl_sock *conn, const char *name, struct bridge *bridge,
			     struct failure *why);

/**
 * link_check_free() - see that no interface has a name
 * @conn: the socket
 * @name: the name
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_NAME_TAKEN or ST_SYSTEM.
 */
enum status link_check_free(struct nl_sock *conn, const char *name, struct failure *why);

/**
 * link_plug_in() - set an interface's MTU, put it on a bridge, and set it up
 * @conn: the socket
 * @name: the interface
 * @bridge: the bridge, or NULL for none
 * @mtu: bytes, or 0 to leave it
 * @why: filled in on failure; what was done until then stays done
 *
 * Return: ST_OK, ST_MTU, ST_PRIVILEGE or ST_SYSTEM.
 */
enum status link_plug_in(struct nl_sock *conn, const char *name, const struct bridge *bridge,
			 unsigned int mtu, struct failure *why);

#endif
