// SPDX-License-Identifier: GPL-2.0-only
/*
 * A command for 'shunt net exec' to run: looks at what it was given, from the inside.
 *
 *   inspect TAPFDS VHOSTFDS IFNAME QUEUES
 *
 * with what the words %TAPFDS% and so on became. Checks that the environment says the same; that
 * each TAP descriptor is a queue of that interface, with a virtio-net header, not persistent, and
 * multiqueue only where there are many; that each vhost descriptor is a device of its own that
 * can be owned; and that no other descriptor was left open. Prints what is wrong, and exits 1; or
 * prints nothing and exits 0.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define FDS_MAX 256

static int wrong;

static void __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("inspect: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	wrong = 1;
}

static unsigned int parse_list(const char *text, int fds[FDS_MAX])
{
	unsigned int count = 0;
	char *end;

	while (count < FDS_MAX) {
		fds[count++] = (int)strtol(text, &end, 10);
		if (end == text || (*end && *end != ':'))
			complain("not a list of numbers: %s", text);
		if (*end != ':')
			break;
		text = end + 1;
	}
	return count;
}

static void check_env(const char *name, const char *want)
{
	const char *value = getenv(name);

	if (!value || strcmp(value, want))
		complain("%s is '%s', not '%s'", name, value ? value : "(unset)", want);
}

static void check_tap(int fd, const char *ifname, unsigned int queues)
{
	struct ifreq request = { 0 };
	int flags;

	if (ioctl(fd, TUNGETIFF, &request)) {
		complain("TUNGETIFF of %d: %s", fd, strerror(errno));
		return;
	}
	flags = request.ifr_flags;
	if (strcmp(request.ifr_name, ifname))
		complain("%d is of '%s', not of '%s'", fd, request.ifr_name, ifname);
	if ((flags & (IFF_TAP | IFF_TUN)) != IFF_TAP)
		complain("%d is not a TAP (flags %#x)", fd, flags);
	if (!(flags & IFF_VNET_HDR))
		complain("%d has no virtio-net header (flags %#x)", fd, flags);
	if (!(flags & IFF_NO_PI))
		complain("%d has packet information (flags %#x)", fd, flags);
	if (flags & IFF_PERSIST)
		complain("%d is persistent (flags %#x)", fd, flags);
	if (!(flags & IFF_MULTI_QUEUE) != (queues == 1))
		complain("%d with %u queues has flags %#x", fd, queues, flags);
}

static void check_vhost(int fd)
{
	uint64_t features = 0;

	if (ioctl(fd, VHOST_GET_FEATURES, &features) || !features)
		complain("VHOST_GET_FEATURES of %d: %s", fd, strerror(errno));
	/* Refused with EBUSY for a device that somebody owns, or that was given out twice. */
	if (ioctl(fd, VHOST_SET_OWNER))
		complain("VHOST_SET_OWNER of %d: %s", fd, strerror(errno));
}

static bool is_in(int fd, const int *fds, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (fds[i] == fd)
			return true;
	return false;
}

static void check_others(const int *taps, unsigned int tap_count, const int *vhosts,
			 unsigned int vhost_count)
{
	unsigned int seen = 0;
	struct dirent *entry;
	DIR *dir;

	dir = opendir("/proc/self/fd");
	if (!dir) {
		complain("/proc/self/fd: %s", strerror(errno));
		return;
	}
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || fd < 3 || fd == dirfd(dir))
			continue;
		if (is_in(fd, taps, tap_count) || is_in(fd, vhosts, vhost_count))
			seen++;
		else
			complain("descriptor %d was left open", fd);
	}
	closedir(dir);
	if (seen != tap_count + vhost_count)
		complain("%u descriptors instead of %u + %u", seen, tap_count, vhost_count);
}

int main(int argc, char **argv)
{
	int taps[FDS_MAX], vhosts[FDS_MAX];
	unsigned int tap_count, vhost_count, queues;

	if (argc != 5) {
		fprintf(stderr, "usage: inspect TAPFDS VHOSTFDS IFNAME QUEUES\n");
		return 2;
	}
	tap_count = parse_list(argv[1], taps);
	vhost_count = parse_list(argv[2], vhosts);
	queues = (unsigned int)atoi(argv[4]);
	if (!queues || tap_count != queues || vhost_count != queues)
		complain("%u TAP and %u vhost descriptors for %u queues", tap_count, vhost_count,
			 queues);

	check_env("SHUNT_TAP_FDS", argv[1]);
	check_env("SHUNT_VHOST_FDS", argv[2]);
	check_env("SHUNT_IFNAME", argv[3]);
	check_env("SHUNT_QUEUES", argv[4]);
	for (unsigned int i = 0; i < tap_count; i++)
		check_tap(taps[i], argv[3], queues);
	for (unsigned int i = 0; i < vhost_count; i++)
		check_vhost(vhosts[i]);
	check_others(taps, tap_count, vhosts, vhost_count);
	return wrong;
}
