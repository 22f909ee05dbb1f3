// SPDX-License-Identifier: GPL-2.0-only
/*
 * shunt_trace.c - the tracepoints shunt_kick, shunt_batch and shunt_signal fire
 * under traffic, and may be switched while it runs
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vguest.h"

static char dir[128];

static void put(const char *file, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_TRUNC);
	kt_check(fd >= 0, "%s: %m", path);
	kt_sys(write(fd, text, strlen(text)));
	close(fd);
}

/* An instance of our own, so that nobody else's tracing is disturbed. */
static void instance(void)
{
	const char *root = "/sys/kernel/tracing";

	if (access("/sys/kernel/tracing/instances", F_OK))
		mount("tracefs", root, "tracefs", 0, NULL);
	if (access("/sys/kernel/tracing/instances", F_OK))
		kt_skip("this kernel has no tracefs");
	snprintf(dir, sizeof(dir), "%s/instances/vguest-%d", root, getpid());
	kt_sys(mkdir(dir, 0700));
}

static unsigned int lines_with(const char *text)
{
	unsigned int n = 0;
	char path[256], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/trace", dir);
	f = fopen(path, "r");
	kt_check(f, "%s: %m", path);
	while (fgets(line, sizeof(line), f))
		n += line[0] != '#' && strstr(line, text);
	fclose(f);
	return n;
}

static void fire(long arg)
{
	static const char *const events[] = { "shunt_kick", "shunt_batch", "shunt_signal" };
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	char file[64], text[64];
	unsigned int i, seen;

	(void)arg;
	instance();
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(file, sizeof(file), "events/shunt/%s/enable", events[i]);
		snprintf(text, sizeof(text), "%s:", events[i]);
		vg_alive(n);
		kt_check(!lines_with(text), "%s fired while off", events[i]);
		put(file, "1");
		vg_alive(n);
		seen = lines_with(text);
		kt_check(seen, "%s did not fire", events[i]);
		kt_note("%s fired %u times", events[i], seen);
		put(file, "0");
		put("trace", "");
		vg_alive(n);
		kt_check(!lines_with(text), "%s fired after it was switched off", events[i]);
	}
	rmdir(dir);
}

static const struct kt_case cases[] = {
	{ "each tracepoint fires when on and only then", fire, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
