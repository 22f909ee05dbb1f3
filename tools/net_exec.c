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
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmd.h"
#include "lib/feature.h"
#include "lib/link.h"
#include "lib/subst.h"
#include "lib/tap.h"
#include "lib/vhostdev.h"

/* What the command line asks for. */
struct wish {
	const char *bridge;
	const char *tap;
	const char *device;
	unsigned int queues;
	unsigned int mtu;
	uint64_t features;
	char **command;
};

/* What was made for it. */
struct plug {
	struct tap tap;
	unsigned int vhost_count;
	int vhosts[TAP_QUEUES_MAX];
};

/* A descriptor has ten digits at most, and a colon. */
#define FD_LIST_SIZE (TAP_QUEUES_MAX * 12)

static enum status parse_number(const char *option, const char *text, unsigned int *number,
				struct failure *why)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end)
		return failed(why, ST_NUMBER, "%s: '%s' is not a number", option, text);
	if (errno || !value || value > 1000000000)
		return failed(why, ST_NUMBER, "%s: %s is out of range", option, text);
	*number = (unsigned int)value;
	return ST_OK;
}

static enum status parse_options(int argc, char **argv, struct wish *wish, struct failure *why)
{
	static const struct option options[] = {
		{ "bridge", required_argument, NULL, 'b' },
		{ "tap", required_argument, NULL, 't' },
		{ "queues", required_argument, NULL, 'q' },
		{ "mtu", required_argument, NULL, 'm' },
		{ "device", required_argument, NULL, 'd' },
		{ "require", required_argument, NULL, 'r' },
		{ 0 },
	};
	enum status status = ST_OK;
	uint64_t features;
	int option;

	opterr = 0;
	optind = 1;
	while (!status && (option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			wish->bridge = optarg;
			break;
		case 't':
			wish->tap = optarg;
			break;
		case 'q':
			status = parse_number("--queues", optarg, &wish->queues, why);
			break;
		case 'm':
			status = parse_number("--mtu", optarg, &wish->mtu, why);
			break;
		case 'd':
			wish->device = optarg;
			break;
		case 'r':
			status = feature_parse(optarg, &features, why);
			wish->features |= features;
			break;
		case ':':
			status = failed(why, ST_USAGE, "net exec: %s needs an argument",
					argv[optind - 1]);
			break;
		default:
			status = failed(why, ST_USAGE,
					"net exec: unknown option '%s': try 'shunt net help'",
					argv[optind - 1]);
		}
	}
	if (status)
		return status;
	wish->command = argv + optind;
	if (!*wish->command)
		return failed(why, ST_USAGE,
			      "net exec: a command is missing: try 'shunt net help'");
	if (wish->mtu && (wish->mtu < TAP_MTU_MIN || wish->mtu > TAP_MTU_MAX))
		return failed(why, ST_MTU, "--mtu: %u is not between %d and %d", wish->mtu,
			      TAP_MTU_MIN, TAP_MTU_MAX);
	return wish->tap ? tap_check_name(wish->tap, why) : ST_OK;
}

/* Making interfaces takes CAP_NET_ADMIN in the network's user namespace; root has it. */
static enum status check_privilege(struct failure *why)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data))
		return failed(why, ST_SYSTEM, "capget: %s", strerror(errno));
	if (data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN))
		return ST_OK;
	return failed(why, ST_PRIVILEGE,
		      "net exec: must be root (making an interface takes CAP_NET_ADMIN)");
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

static void unplug(struct plug *plug)
{
	tap_destroy(&plug->tap);
	while (plug->vhost_count)
		close(plug->vhosts[--plug->vhost_count]);
}

/* Open one vhost device a queue pair. This changes nothing that another process could see. */
static enum status open_vhosts(const struct wish *wish, struct plug *plug, struct failure *why)
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

/* All checks, then all changes. On failure the caller unplugs what there is. */
static enum status plug_in(const struct wish *wish, struct plug *plug, struct failure *why)
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
		status = link_plug_in(conn, plug->tap.name, to, mtu, why);
	}
	link_disconnect(conn);
	return status;
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
		{ "TAPFD", wish->queues == 1 ? texts->taps : NULL, one_only },
		{ "VHOSTFD", wish->queues == 1 ? texts->vhosts : NULL, one_only },
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
static enum status become(const char *path, const struct wish *wish, const struct plug *plug,
			  struct failure *why)
{
	struct texts texts;
	enum status status;

	list_fds(plug->tap.fds, plug->tap.queues, texts.taps);
	list_fds(plug->vhosts, plug->vhost_count, texts.vhosts);
	snprintf(texts.queues, sizeof(texts.queues), "%u", wish->queues);
	/* For QEMU's virtio-net-pci: each ring, the control queue, the configuration. */
	snprintf(texts.vectors, sizeof(texts.vectors), "%u", 2 * wish->queues + 2);

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

/* A vhost device must not land on a descriptor that the command takes for its stdin or stdout. */
static enum status fill_standard_fds(struct failure *why)
{
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", O_RDWR) != fd)
			return failed(why, ST_SYSTEM, "/dev/null: %s", strerror(errno));
	}
	return ST_OK;
}

int net_exec(const struct context *context, int argc, char **argv)
{
	struct wish wish = { .device = VHOSTDEV_DEFAULT, .queues = 1 };
	struct plug plug = { 0 };
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
		status = check_privilege(&why);
	if (!status)
		status = find_command(wish.command[0], &path, &why);
	if (!status)
		status = plug_in(&wish, &plug, &why);
	if (!status)
		status = become(path, &wish, &plug, &why);

	/* Only failures come here. */
	unplug(&plug);
	free(path);
	return complain(&why);
}
