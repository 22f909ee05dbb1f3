/* SPDX-License-Identifier: GPL-2.0-only */
/* What the vhost-user back ends have in common: socket, user, jail, and the loop. */
#ifndef SHUNT_SERVING_H
#define SHUNT_SERVING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "door/door.h"
#include "door/serve.h"
#include "lib/status.h"

struct context;

/**
 * struct serving_wish - what the command line asks for
 * @path: of the socket, or NULL
 * @fd: an inherited socket, or 0
 * @mode: permissions of the socket's file
 * @user: USER[:GROUP] that the process becomes, or NULL
 * @socket_user: USER[:GROUP] that may connect, or NULL
 */
struct serving_wish {
	const char *path;
	unsigned int fd;
	unsigned int mode;
	const char *user;
	const char *socket_user;
};

/** SERVING_MODE - permissions of the socket's file, unless another is asked for */
#define SERVING_MODE 0600

/* The letters that getopt_long() returns for the options of a struct serving_wish. */
#define SERVING_WISH_OPTIONS                                                                     \
	{ "socket-path", required_argument, NULL, 's' }, { "fd", required_argument, NULL, 'f' }, \
		{ "socket-mode", required_argument, NULL, 'o' },                                 \
		{ "socket-user", required_argument, NULL, 'w' },                                 \
	{                                                                                        \
		"user", required_argument, NULL, 'u'                                             \
	}

/**
 * struct serving - what was made for it
 * @place: holds the descriptor that connections get: see serving_prepare()
 * @socket: where front ends come in
 * @uid: user that the process becomes
 * @gid: group that the process becomes
 * @owner: user that may connect, (uid_t)-1: the caller
 * @group: group that the socket's file is given to, (gid_t)-1: the caller's
 */
struct serving {
	int place;
	struct door_socket socket;
	uid_t uid;
	gid_t gid;
	uid_t owner;
	gid_t group;
};

/**
 * serving_wants_capabilities() - look for --print-capabilities
 * @argc: words of the command line
 * @argv: the words
 *
 * By the conventions for vhost-user back ends: whatever else is there.
 *
 * Return: whether it is there.
 */
bool serving_wants_capabilities(int argc, char **argv);

/**
 * serving_print_capabilities() - answer --print-capabilities on stdout
 * @type: of the device, as in the conventions
 * @features: names of its options that the conventions have; ends with NULL
 *
 * Return: the exit code, 0.
 */
int serving_print_capabilities(const char *type, const char *const *features);

/**
 * serving_wish_option() - take one option
 * @wish: receives what it says
 * @option: its letter
 * @argument: its argument
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_NUMBER, or ST_USAGE also where the letter is none of these.
 */
enum status serving_wish_option(struct serving_wish *wish, int option, const char *argument,
				struct failure *why);

/**
 * serving_wish_check() - see that a wish can be had, as far as can be told from it alone
 * @wish: all options are taken
 * @verb: who asks
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_USAGE.
 */
enum status serving_wish_check(const struct serving_wish *wish, const char *verb,
			       struct failure *why);

/**
 * serving_refuse_json() - see that no JSON is asked for
 * @context: of the command
 * @verb: who asks
 * @why: filled in on failure
 *
 * Before anything else of the command line is looked at.
 *
 * Return: ST_OK or ST_USAGE.
 */
enum status serving_refuse_json(const struct context *context, const char *verb,
				struct failure *why);

/**
 * serving_prepare() - find the users that a wish names, and put descriptors in order
 * @wish: checked
 * @serving: all but the socket is filled in; its place stays open until serving_run()
 * @why: filled in on failure
 *
 * Before the vhost devices are opened: none of them lands on descriptor 0, 1 or 2, and the
 * connection will have a lower number than they have. What a process had open when it ends the
 * kernel closes in the order of the numbers, and lets go of in the reverse order. So a front end
 * whose back end was killed sees the end of the connection when the vhost devices are through with
 * its rings, and not before: QEMU then looks at the used index at once, and goes on there.
 *
 * Return: ST_OK, ST_USAGE or ST_SYSTEM.
 */
enum status serving_prepare(const struct serving_wish *wish, struct serving *serving,
			    struct failure *why);

/**
 * serving_open() - make or take the socket
 * @wish: checked
 * @serving: after serving_prepare(); its socket is filled in
 * @why: filled in on failure
 *
 * The last that is done before serving_run(): a front end that connects is not to wait for more.
 *
 * Return: ST_OK or ST_SOCKET.
 */
enum status serving_open(const struct serving_wish *wish, struct serving *serving,
			 struct failure *why);

/**
 * serving_slots() - memory regions that a vhost device takes
 * @vhost: the open device
 *
 * Return: a parameter of its module, within what a front end can use.
 */
unsigned int serving_slots(int vhost);

/**
 * serving_room() - have room for the descriptors of a device
 * @door: its rings and files are known
 *
 * And for the pages that the kernel pins for rings, where it is a vhost device.
 */
void serving_room(const struct door *door);

/**
 * serving_run() - lock up, and serve until a signal comes
 * @serving: after serving_open()
 * @door: after door_init(); door_end() it afterwards
 * @ioctls: requests that it makes from then on
 * @ioctl_count: how many
 * @why: filled in on failure
 *
 * What ends connections is told on stderr, a line each.
 *
 * Return: as jail_enter() and serve().
 */
enum status serving_run(const struct serving *serving, struct door *door,
			const unsigned long *ioctls, size_t ioctl_count, struct failure *why);

#endif
