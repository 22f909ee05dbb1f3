/* SPDX-License-Identifier: GPL-2.0-only */
/* The socket of a vhost-user device, and waiting at it. */
#ifndef SHUNT_DOOR_SERVE_H
#define SHUNT_DOOR_SERVE_H

#include <stdbool.h>
#include <sys/types.h>

#include "door.h"

/**
 * struct door_socket - where front ends come in
 * @fd: the socket
 * @listening: it makes connections, one after the other; else it is the only one
 */
struct door_socket {
	int fd;
	bool listening;
};

/**
 * socket_make() - make a socket at a path, and listen
 * @path: where; the socket of a server that has died is replaced
 * @owner: user that may connect, (uid_t)-1: the caller
 * @group: group that it is given to, (gid_t)-1: the caller's
 * @mode: permissions
 * @socket: filled in
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_SOCKET.
 */
enum status socket_make(const char *path, uid_t owner, gid_t group, mode_t mode,
			struct door_socket *socket, struct failure *why);

/**
 * socket_take() - use a socket that was inherited
 * @fd: its descriptor
 * @socket: filled in
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_SOCKET.
 */
enum status socket_take(int fd, struct door_socket *socket, struct failure *why);

/**
 * signals_prepare() - have SIGTERM and SIGINT end serve(), or, where that takes longer than five
 * seconds, the process, with status 0
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_SYSTEM.
 */
enum status signals_prepare(struct failure *why);

/**
 * serve() - serve one connection after the other, until a signal comes
 * @door: the device
 * @socket: the socket; where it is not listening, its end is the end
 * @say: told what ended a connection, or was refused, in a line; not more often than a log can take
 * @why: filled in on failure
 *
 * Between messages it sleeps in ppoll().
 *
 * Return: ST_OK, ST_PEER where the only connection ended badly, or ST_SYSTEM.
 */
enum status serve(struct door *door, const struct door_socket *socket,
		  void (*say)(const struct failure *what), struct failure *why);

#endif
