// SPDX-License-Identifier: GPL-2.0-only
/*
 * 'shunt net exec': make a TAP and open vhost devices, then become the command that uses them.
 *
 * DOC: Theory of Operation
 *
 * Everything that can be checked without changing anything is checked first: the command line, the
 * privilege, the command, the TAP driver, the bridge, the name, the vhost device. Only then the TAP
 * is made, plugged in and set up. It is not persistent: it lives as long as one of its descriptors,
 * so a failure at any later point, of execve() or of the command itself, takes it away again, and
 * there is nothing to clean up that a kill -9 could prevent.
 *
 * All descriptors are close-on-exec until the very last step. After execve() this program is gone:
 * the command's exit status is its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "lib/subst.h"
#include "lib/vhostdev.h"
#include "net_plug.h"
#include "stdfds.h"

/* What the command line asks for. */
struct wish {
	struct net_wish net;
	char **command;
};

/* A descriptor has ten digits at most, and a colon. */
#define FD_LIST_SIZE (TAP_QUEUES_MAX * 12)

static enum status parse_options(int argc, char **argv, struct wish *wish, struct failure *why)
{
	static const struct option options[] = { NET_WISH_OPTIONS, { 0 } };
	enum status status = ST_OK;
	int option;

	opterr = 0;
	optind = 1;
	while (!status && (option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		switch (option) {
		case ':':
			status = failed(why, ST_USAGE, "net exec: %s needs an argument",
					argv[optind - 1]);
			break;
		case '?':
			status = failed(why, ST_USAGE,
					"net exec: unknown option '%s': try 'shunt net help'",
					argv[optind - 1]);
			break;
		default:
			status = net_wish_option(&wish->net, option, optarg, why);
		}
	}
	if (status)
		return status;
	wish->command = argv + optind;
	if (!*wish->command)
		return failed(why, ST_USAGE,
			      "net exec: a command is missing: try 'shunt net help'");
	return net_wish_check(&wish->net, why);
}

/* Whether @path can be run. ST_CMD_MISSING: it is not there. */
static enum status check_runnable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno == ENOENT || errno == ENOTDIR ? ST_CMD_MISSING : ST_CMD_CANNOT;
	if (!S_ISREG(st.st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS))
		return ST_CMD_CANNOT;
	return ST_OK;
}

/*
 * Find the command the way execvp() will, before anything is made for it.
 * *@path receives its path, to be freed by the caller.
 */
static enum status find_command(const char *name, char **path, struct failure *why)
{
	const char *dir = getenv("PATH");
	enum status worst = ST_CMD_MISSING;

	if (strchr(name, '/')) {
		worst = check_runnable(name);
		*path = strdup(name);
		if (!*path)
			return failed(why, ST_SYSTEM, "out of memory");
		if (!worst)
			return ST_OK;
		free(*path);
		*path = NULL;
		dir = NULL;
	} else if (!dir) {
		dir = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	}
	while (dir && *name) {
		size_t length = strcspn(dir, ":");
		enum status status;
		int made;

		/* An empty part of PATH is the current directory. */
		made = asprintf(path, "%.*s/%s", length ? (int)length : 1, length ? dir : ".",
				name);
		if (made < 0) {
			*path = NULL;
			return failed(why, ST_SYSTEM, "out of memory");
		}
		status = check_runnable(*path);
		if (!status)
			return ST_OK;
		free(*path);
		*path = NULL;
		if (status == ST_CMD_CANNOT)
			worst = status;
		dir = dir[length] ? dir + length + 1 : NULL;
	}
	if (worst == ST_CMD_MISSING)
		return failed(why, worst, "%s: command not found", name);
	return failed(why, worst, "%s: cannot be run: not an executable file", name);
}

static void list_fds(const int *fds, unsigned int count, char text[FD_LIST_SIZE])
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned int i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, FD_LIST_SIZE - used, "%s%d", i ? ":" : "",
					 fds[i]);
}

static enum status keep_over_exec(const int *fds, unsigned int count, struct failure *why)
{
	for (unsigned int i = 0; i < count; i++) {
		int flags = fcntl(fds[i], F_GETFD);

		if (flags < 0 || fcntl(fds[i], F_SETFD, flags & ~FD_CLOEXEC))
			return failed(why, ST_SYSTEM, "fcntl: %s", strerror(errno));
	}
	return ST_OK;
}

/* The texts that stand for the words in the command's arguments. */
struct texts {
	char taps[FD_LIST_SIZE];
	char vhosts[FD_LIST_SIZE];
	char queues[12];
	char vectors[12];
};

/*
 * Replace the words in all arguments. Done twice: before anything is made, only to see that it can
 * be done (@keep false), and in earnest.
 */
static enum status expand_arguments(const struct wish *wish, const struct texts *texts,
				    const char *ifname, bool keep, struct failure *why)
{
	static const char one_only[] = "is for one queue: with more, use the list of all";
	const struct subst_word words[] = {
		{ "TAPFDS", texts->taps, NULL },
		{ "VHOSTFDS", texts->vhosts, NULL },
		{ "TAPFD", wish->net.queues == 1 ? texts->taps : NULL, one_only },
		{ "VHOSTFD", wish->net.queues == 1 ? texts->vhosts : NULL, one_only },
		{ "IFNAME", ifname, NULL },
		{ "QUEUES", texts->queues, NULL },
		{ "VECTORS", texts->vectors, NULL },
	};

	for (char **argument = wish->command; *argument; argument++) {
		enum status status;
		char *expanded;

		status = subst_expand(*argument, words, sizeof(words) / sizeof(words[0]), &expanded,
				      why);
		if (status)
			return status;
		if (keep)
			*argument = expanded;
		else
			free(expanded);
	}
	return ST_OK;
}

static enum status check_arguments(const struct wish *wish, struct failure *why)
{
	static const struct texts none;

	return expand_arguments(wish, &none, "", false, why);
}

/* Tell the command what it has got, by its arguments and its environment, and become it. */
static enum status become(const char *path, const struct wish *wish, const struct net_plug *plug,
			  struct failure *why)
{
	struct texts texts;
	enum status status;

	list_fds(plug->tap.fds, plug->tap.queues, texts.taps);
	list_fds(plug->vhosts, plug->vhost_count, texts.vhosts);
	snprintf(texts.queues, sizeof(texts.queues), "%u", wish->net.queues);
	/* For QEMU's virtio-net-pci: each ring, the control queue, the configuration. */
	snprintf(texts.vectors, sizeof(texts.vectors), "%u", 2 * wish->net.queues + 2);

	status = expand_arguments(wish, &texts, plug->tap.name, true, why);
	if (status)
		return status;
	if (setenv("SHUNT_TAP_FDS", texts.taps, 1) || setenv("SHUNT_VHOST_FDS", texts.vhosts, 1) ||
	    setenv("SHUNT_IFNAME", plug->tap.name, 1) || setenv("SHUNT_QUEUES", texts.queues, 1))
		return failed(why, ST_SYSTEM, "out of memory");

	status = keep_over_exec(plug->tap.fds, plug->tap.queues, why);
	if (!status)
		status = keep_over_exec(plug->vhosts, plug->vhost_count, why);
	if (status)
		return status;
	execvp(path, wish->command);
	return failed(why, errno == ENOENT ? ST_CMD_MISSING : ST_CMD_CANNOT, "%s: %s", path,
		      strerror(errno));
}

int net_exec(const struct context *context, int argc, char **argv)
{
	struct wish wish = { .net = { .device = VHOSTDEV_DEFAULT, .queues = 1 } };
	struct net_plug plug = { 0 };
	struct failure why;
	enum status status;
	char *path = NULL;

	if (context->json) {
		failed(&why, ST_USAGE,
		       "net exec: has no output of its own: -j means nothing to it");
		return complain(&why);
	}
	status = parse_options(argc, argv, &wish, &why);
	if (!status)
		status = check_arguments(&wish, &why);
	if (!status)
		status = fill_standard_fds(&why);
	if (!status)
		status = net_check_privilege("net exec", &why);
	if (!status)
		status = find_command(wish.command[0], &path, &why);
	if (!status)
		status = net_plug_in(&wish.net, &plug, &why);
	if (!status)
		status = become(path, &wish, &plug, &why);

	/* Only failures come here. */
	net_unplug(&plug);
	free(path);
	return complain(&why);
}
