/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * server.h - a door that serves, in a process of its own, with a made-up kernel (fake.h)
 */
#ifndef SERVER_H
#define SERVER_H

#include <sys/types.h>

#include "door/serve.h"

/* What kind of server it is. */
#define SERVER_JAILED 1u
#define SERVER_DISK   2u
#define SERVER_BUSY   4u /* which somebody else has */

/* Where it listens: server_make_path(). */
extern char server_path[64];

/* A server in a child, which ends with status 0 if all is well. @said: if there, its stderr. */
pid_t server_start(const struct door_socket *socket, unsigned int kind, int said);

/* The same, at server_path. */
pid_t server_at_path(unsigned int kind, int said);

/* Make server_path, of this name; and remove it with its directory. */
void server_make_path(const char *name);
void server_remove_path(void);

/* Connect to server_path. */
int server_connect(void);

#endif
