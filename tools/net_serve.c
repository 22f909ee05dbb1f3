// SPDX-License-Identifier: GPL-2.0-only
/*
 * 'shunt net serve': a vhost-user network device whose data path is in the kernel.
 *
 * DOC: Theory of Operation
 *
 * In this order: the command line, the TAP and the vhost devices (net_plug.c), the socket,
 * ownership of the vhost devices, the jail (door/jail.c), and only then the first byte of a front
 * end (door/serve.c). The TAP lives as long as the process does, so front ends come and go while
 * the host's end of the network stays as it is.
 *
 * The process is in the foreground, and says on stderr, a line each, why connections ended that did
 * not end by themselves. It follows the conventions for vhost-user back-end programs.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <json-c/json.h>
#include <linux/if_tun.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "cmd.h"
#include "door/jail.h"
#include "door/net.h"
#include "door/serve.h"
#include "lib/vhostdev.h"
#include "net_plug.h"

/* Used when neither --user says who, nor is there a user of this name. */
#define NOBODY "nobody"
#define NOBODY_ID 65534

/* The kernel's limit of memory regions where it does not tell: that of the stock module. */
#define SLOTS_DEFAULT 64

/* More than QEMU can have of them (512). */
#define SLOTS_MAX 4096

/* What a ring of 32,768 descriptors takes, and some pages. */
#define RING_BYTES_MAX (1 << 20)

/* What the command line asks for. */
struct serve_wish {
	struct net_wish net;
	const char *path;
	unsigned int fd;
	unsigned int mode;
	const char *user;
	const char *socket_user;
	const char *mac;
};

/* Who a user is, from a word USER[:GROUP]. */
struct who {
	uid_t uid;
	gid_t gid;
};

static enum status find_user(const char *option, const char *word, struct who *who,
			     struct failure *why)
{
	size_t length = strcspn(word, ":");
	struct passwd *user;
	struct group *group;
	char name[64];

	if (!length || length >= sizeof(name))
		return failed(why, ST_USAGE, "%s: '%s' names no user", option, word);
	memcpy(name, word, length);
	name[length] = '\0';
	user = getpwnam(name);
	if (!user)
		return failed(why, ST_USAGE, "%s: no user '%s'", option, name);
	who->uid = user->pw_uid;
	who->gid = user->pw_gid;
	if (!word[length])
		return ST_OK;
	group = getgrnam(word + length + 1);
	if (!group)
		return failed(why, ST_USAGE, "%s: no group '%s'", option, word + length + 1);
	who->gid = group->gr_gid;
	return ST_OK;
}

static enum status parse_mode(const char *text, unsigned int *mode, struct failure *why)
{
	unsigned long value;
	char *end;

	value = strtoul(text, &end, 8);
	if (*text < '0' || *text > '7' || *end || value > 0777)
		return failed(why, ST_NUMBER, "--socket-mode: '%s' is not a mode such as 0660",
			      text);
	*mode = (unsigned int)value;
	return ST_OK;
}

static enum status parse_mac(const char *text, uint8_t mac[6], struct failure *why)
{
	unsigned int part[6];
	char rest;

	if (strlen(text) != 17 || sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &part[0], &part[1],
					 &part[2], &part[3], &part[4], &part[5], &rest) != 6)
		return failed(why, ST_USAGE,
			      "--mac: '%s' is not an address such as "
			      "52:54:00:12:34:56",
			      text);
	if (part[0] & 1)
		return failed(why, ST_USAGE, "--mac: %s is a multicast address", text);
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)part[i];
	return ST_OK;
}

static enum status take_option(struct serve_wish *wish, int option, struct failure *why)
{
	switch (option) {
	case 's':
		wish->path = optarg;
		return ST_OK;
	case 'f':
		/* 0 stands for none: the conventions leave it to no front end. */
		return args_number("--fd", optarg, &wish->fd, why);
	case 'o':
		return parse_mode(optarg, &wish->mode, why);
	case 'u':
		wish->user = optarg;
		return ST_OK;
	case 'w':
		wish->socket_user = optarg;
		return ST_OK;
	case 'a':
		wish->mac = optarg;
		return ST_OK;
	default:
		return net_wish_option(&wish->net, option, optarg, why);
	}
}

static enum status parse_options(int argc, char **argv, struct serve_wish *wish,
				 struct failure *why)
{
	static const struct option options[] = {
		NET_WISH_OPTIONS,
		{ "socket-path", required_argument, NULL, 's' },
		{ "fd", required_argument, NULL, 'f' },
		{ "socket-mode", required_argument, NULL, 'o' },
		{ "socket-user", required_argument, NULL, 'w' },
		{ "user", required_argument, NULL, 'u' },
		{ "mac", required_argument, NULL, 'a' },
		{ 0 },
	};
	enum status status = ST_OK;
	int option;

	opterr = 0;
	optind = 1;
	while (!status && (option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		if (option == ':')
			status = failed(why, ST_USAGE, "net serve: %s needs an argument",
					argv[optind - 1]);
		else if (option == '?')
			status = failed(why, ST_USAGE,
					"net serve: unknown option '%s': try 'shunt net help'",
					argv[optind - 1]);
		else
			status = take_option(wish, option, why);
	}
	if (status)
		return status;
	if (optind < argc)
		return failed(why, ST_USAGE, "net serve: '%s' is too much", argv[optind]);
	if (!wish->path == !wish->fd)
		return failed(why, ST_USAGE, "net serve: one of --socket-path and --fd is needed");
	if (wish->net.queues > DOOR_PAIRS_MAX)
		return failed(why, ST_QUEUES, "%u queues: vhost-user has %d pairs at most",
			      wish->net.queues, DOOR_PAIRS_MAX);
	return net_wish_check(&wish->net, why);
}

/* By the conventions: whatever else is on the command line. */
static bool wants_capabilities(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--print-capabilities"))
			return true;
	return false;
}

static int print_capabilities(void)
{
	struct json_object *json = json_object_new_object();

	json_object_object_add(json, "type", json_object_new_string("net"));
	puts(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
	json_object_put(json);
	return 0;
}

/* Whether an open vhost device is one of this project's, under whatever name it was opened. */
static bool is_shunt(int vhost)
{
	char path[40], line[80];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", vhost);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = !strncmp(line, "shunt-device:", strlen("shunt-device:"));
	if (file)
		fclose(file);
	return found;
}

/* Memory regions that a vhost device takes: a parameter of its module. */
static unsigned int find_slots(int vhost)
{
	const char *path = is_shunt(vhost) ? "/sys/module/shunt/parameters/max_mem_regions" :
					     "/sys/module/vhost/parameters/max_mem_regions";
	FILE *file = fopen(path, "re");
	unsigned int slots = 0;

	if (file) {
		if (fscanf(file, "%u", &slots) != 1)
			slots = 0;
		fclose(file);
	}
	if (!slots)
		slots = SLOTS_DEFAULT;
	return slots > SLOTS_MAX ? SLOTS_MAX : slots;
}

static void say(const struct failure *what)
{
	complain(what);
}

static enum status open_socket(const struct serve_wish *wish, const struct who *owner,
			       struct door_socket *socket, struct failure *why)
{
	if (!wish->path)
		return socket_take((int)wish->fd, socket, why);
	return socket_make(wish->path, owner->uid, owner->gid, wish->mode, socket, why);
}

/* With all that is needed open: lock up, and serve. */
static enum status run(const struct net_plug *plug, struct door_net *net, unsigned int slots,
		       const struct who *who, const struct door_socket *socket, struct failure *why)
{
	static const unsigned long ioctls[] = { VHOST_NET_SET_BACKEND, TUNSETOFFLOAD,
						TUNSETVNETHDRSZ, TUNSETQUEUE };
	const struct jail jail = { who->uid, who->gid, ioctls, sizeof(ioctls) / sizeof(ioctls[0]) };
	static struct door door;
	enum status status;

	door.backend = &door_net_backend;
	door.self = net;
	door.kernel = &kernel_real;
	door.files = plug->vhosts;
	door.file_count = plug->vhost_count;
	door.ring_count = 2 * plug->vhost_count;
	door.slots = slots;
	/*
	 * QEMU before 7.2.3 can crash where a network device offers configuration, and later ones
	 * warn: it is for those who ask for it by giving it something to say.
	 */
	if (!net->has_mac)
		door.withheld = 1ULL << VU_P_CONFIG;

	jail_raise_limits(door.ring_count * 3 + 2 * door.file_count + VU_FDS_MAX + 32,
			  (size_t)door.ring_count * RING_BYTES_MAX);
	status = door_net_init(net, door.kernel, why);
	if (!status)
		status = door_init(&door, why);
	if (status)
		return status;
	status = signals_prepare(why);
	if (!status)
		status = jail_enter(&jail, why);
	if (!status)
		status = serve(&door, socket, say, why);
	door_end(&door);
	return status;
}

int net_serve(const struct context *context, int argc, char **argv)
{
	struct serve_wish wish = {
		.net = { .device = VHOSTDEV_DEFAULT, .queues = 1 },
		.mode = 0600,
	};
	struct who who = { NOBODY_ID, NOBODY_ID }, owner = { (uid_t)-1, (gid_t)-1 };
	struct door_socket socket = { .fd = -1 };
	struct net_plug plug = { 0 };
	struct door_net net = { 0 };
	struct failure why;
	enum status status;

	if (wants_capabilities(argc, argv))
		return print_capabilities();
	if (context->json) {
		failed(&why, ST_USAGE,
		       "net serve: has no output of its own: -j means nothing to it");
		return complain(&why);
	}
	status = parse_options(argc, argv, &wish, &why);
	if (!status && wish.mac) {
		status = parse_mac(wish.mac, net.mac, &why);
		net.has_mac = true;
	}
	if (!status && (wish.user || getpwnam(NOBODY)))
		status = find_user("--user", wish.user ? wish.user : NOBODY, &who, &why);
	if (!status && wish.socket_user)
		status = find_user("--socket-user", wish.socket_user, &owner, &why);
	if (!status)
		status = net_fill_standard_fds(&why);
	if (!status)
		status = net_check_privilege("net serve", &why);
	if (!status)
		status = net_plug_in(&wish.net, &plug, &why);
	if (!status)
		status = open_socket(&wish, &owner, &socket, &why);
	if (!status) {
		net.tap = &plug.tap;
		net.mtu = plug.mtu ? plug.mtu : 1500;
		status = run(&plug, &net, find_slots(plug.vhosts[0]), &who, &socket, &why);
	}
	/* The socket's file may be out of reach from the jail; whoever comes next replaces it. */
	net_unplug(&plug);
	return status ? complain(&why) : 0;
}
