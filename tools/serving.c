// SPDX-License-Identifier: GPL-2.0-only
/*
 * Being a vhost-user back end, whatever the device: see serving.h, and net_serve.c for the order.
 *
 * The process is in the foreground, and says on stderr, a line each, why connections ended that did
 * not end by themselves. It follows the conventions for vhost-user back-end programs.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "cmd.h"
#include "door/jail.h"
#include "serving.h"
#include "stdfds.h"

/* Used when neither --user says who, nor is there a user of this name. */
#define NOBODY "nobody"
#define NOBODY_ID 65534

/* The kernel's limit of memory regions where it does not tell: that of the stock module. */
#define SLOTS_DEFAULT 64

/* More than QEMU can have of them (512). */
#define SLOTS_MAX 4096

/* What a ring of 32,768 descriptors takes, and some pages. */
#define RING_BYTES_MAX (1 << 20)

bool serving_wants_capabilities(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--print-capabilities"))
			return true;
	return false;
}

int serving_print_capabilities(const char *type, const char *const *features)
{
	struct json_object *json = json_object_new_object();

	json_object_object_add(json, "type", json_object_new_string(type));
	if (*features) {
		struct json_object *list = json_object_new_array();

		for (; *features; features++)
			json_object_array_add(list, json_object_new_string(*features));
		json_object_object_add(json, "features", list);
	}
	puts(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
	json_object_put(json);
	return 0;
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

enum status serving_wish_option(struct serving_wish *wish, int option, const char *argument,
				struct failure *why)
{
	switch (option) {
	case 's':
		wish->path = argument;
		return ST_OK;
	case 'f':
		/* 0 stands for none: the conventions leave it to no front end. */
		return args_number("--fd", argument, &wish->fd, why);
	case 'o':
		return parse_mode(argument, &wish->mode, why);
	case 'u':
		wish->user = argument;
		return ST_OK;
	case 'w':
		wish->socket_user = argument;
		return ST_OK;
	default:
		return failed(why, ST_USAGE, "unknown option");
	}
}

enum status serving_wish_check(const struct serving_wish *wish, const char *verb,
			       struct failure *why)
{
	if (!wish->path == !wish->fd)
		return failed(why, ST_USAGE, "%s: one of --socket-path and --fd is needed", verb);
	return ST_OK;
}

enum status serving_refuse_json(const struct context *context, const char *verb,
				struct failure *why)
{
	if (context->json)
		return failed(why, ST_USAGE, "%s: has no output of its own: -j means nothing to it",
			      verb);
	return ST_OK;
}

/* Find the users that a wish names; changes nothing. */
static enum status find_users(const struct serving_wish *wish, struct serving *serving,
			      struct failure *why)
{
	enum status status = ST_OK;

	*serving = (struct serving){
		.uid = NOBODY_ID,
		.gid = NOBODY_ID,
		.owner = (uid_t)-1,
		.group = (gid_t)-1,
	};
	if (wish->user || getpwnam(NOBODY))
		status = args_user("--user", wish->user ? wish->user : NOBODY, &serving->uid,
				   &serving->gid, why);
	if (!status && wish->socket_user)
		status = args_user("--socket-user", wish->socket_user, &serving->owner,
				   &serving->group, why);
	return status;
}

enum status serving_prepare(const struct serving_wish *wish, struct serving *serving,
			    struct failure *why)
{
	enum status status = find_users(wish, serving, why);

	if (!status)
		status = fill_standard_fds(why);
	if (status)
		return status;
	serving->place = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return serving->place < 0 ? failed(why, ST_SYSTEM, "/dev/null: %s", strerror(errno)) :
				    ST_OK;
}

/*
 * Free the place: accept4() returns the lowest number that there is. A connection that is there
 * already moves to it.
 */
static void take_place(const struct serving *serving, struct door_socket *socket)
{
	*socket = serving->socket;
	close(serving->place);
	if (socket->listening)
		return;
	socket->fd = fcntl(serving->socket.fd, F_DUPFD_CLOEXEC, 0);
	close(serving->socket.fd);
}

enum status serving_open(const struct serving_wish *wish, struct serving *serving,
			 struct failure *why)
{
	if (!wish->path)
		return socket_take((int)wish->fd, &serving->socket, why);
	return socket_make(wish->path, serving->owner, serving->group, wish->mode, &serving->socket,
			   why);
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

unsigned int serving_slots(int vhost)
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

void serving_room(const struct door *door)
{
	jail_raise_limits(door->ring_count * 3 + 2 * door->file_count + VU_FDS_MAX + 32,
			  door->backend->device ? 0 : (size_t)door->ring_count * RING_BYTES_MAX);
}

static void say(const struct failure *what)
{
	complain(what);
}

enum status serving_run(const struct serving *serving, struct door *door,
			const unsigned long *ioctls, size_t ioctl_count, struct failure *why)
{
	const struct jail jail = {
		.uid = serving->uid,
		.gid = serving->gid,
		.ioctls = ioctls,
		.ioctl_count = ioctl_count,
		.event = door->event,
		.inflight = door->backend->protocol >> VU_P_INFLIGHT_SHMFD & 1,
	};
	enum status status = signals_prepare(why);
	struct door_socket socket;

	take_place(serving, &socket);
	if (!status)
		status = jail_enter(&jail, why);
	if (!status)
		status = serve(door, &socket, say, why);
	return status;
}
