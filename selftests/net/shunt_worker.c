// SPDX-License-Identifier: GPL-2.0-only
/*
 * shunt_worker.c - one worker a queue, from owner to reset or close, in the
 * owner's cgroup, asleep when there is nothing to do
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vguest.h"

struct workers {
	unsigned int n;
	pid_t pid[16];
	char name[16][64];
};

/* The workers of the devices that this process owns, by name. */
static void find(struct workers *w)
{
	DIR *proc = opendir("/proc");
	char want[64], path[300];
	struct dirent *d;

	kt_check(proc, "/proc: %m");
	snprintf(want, sizeof(want), "shunt-net-%d/", getpid());
	memset(w, 0, sizeof(*w));
	while ((d = readdir(proc))) {
		char name[64] = "";
		FILE *f;

		if (d->d_name[0] < '0' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) && !strncmp(name, want, strlen(want))) {
			kt_check(w->n < ARRAY_SIZE(w->pid), "too many workers");
			w->pid[w->n] = atoi(d->d_name);
			strcpy(w->name[w->n++], name);
		}
		fclose(f);
	}
	closedir(proc);
}

/* A thread that has been stopped, and waited for, may be seen in /proc a little longer. */
static void count_is(unsigned int want, const char *when)
{
	struct workers w;

	for (unsigned int i = 0; i < 1000; i++) {
		find(&w);
		if (w.n <= want)
			break;
		usleep(10000);
	}
	kt_check(w.n == want, "%u workers %s, wanted %u", w.n, when, want);
}

static void life(long arg)
{
	struct workers w;
	int fd = vg_open(), other;

	(void)arg;
	count_is(0, "before there is an owner");
	kt_sys(ioctl(fd, VHOST_SET_OWNER));
	find(&w);
	kt_check(w.n == 2, "%u workers, wanted 2", w.n);
	kt_check(strcmp(w.name[0], w.name[1]), "both are called %s", w.name[0]);
	kt_sys(ioctl(fd, VHOST_RESET_OWNER));
	count_is(0, "after a reset");
	kt_sys(ioctl(fd, VHOST_SET_OWNER));
	other = vg_open();
	kt_sys(ioctl(other, VHOST_SET_OWNER));
	count_is(4, "of two devices");
	close(fd);
	count_is(2, "after one was closed");
	close(other);
	count_is(0, "after both were closed");
}

/* The line of the unified hierarchy in /proc/PID/cgroup. */
static void cgroup_of(pid_t pid, char *line, size_t size)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	f = fopen(path, "r");
	kt_check(f, "%s: %m", path);
	while (fgets(line, size, f))
		if (!strncmp(line, "0::", 3))
			break;
	fclose(f);
	kt_check(!strncmp(line, "0::", 3), "%s has no unified cgroup", path);
}

static void in_cgroup(long arg)
{
	char dir[] = "/tmp/vguest-cgroup-XXXXXX", path[128], mine[256], its[256];
	struct workers w;
	unsigned int i;
	FILE *f;
	int fd;

	(void)arg;
	kt_check(mkdtemp(dir), "mkdtemp: %m");
	if (mount("none", dir, "cgroup2", 0, NULL))
		kt_skip("this kernel has no cgroup2: %m");
	snprintf(path, sizeof(path), "%s/vguest-%d", dir, getpid());
	kt_sys(mkdir(path, 0755));
	strcat(path, "/cgroup.procs");
	f = fopen(path, "w");
	kt_check(f && fprintf(f, "%d", getpid()) > 0 && !fclose(f), "%s: %m", path);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	cgroup_of(getpid(), mine, sizeof(mine));
	kt_check(strstr(mine, "vguest-"), "this process is in %s", mine);
	fd = vg_open();
	kt_sys(ioctl(fd, VHOST_SET_OWNER));
	find(&w);
	kt_check(w.n == 2, "%u workers, wanted 2", w.n);
	for (i = 0; i < w.n; i++) {
		cgroup_of(w.pid[i], its, sizeof(its));
		kt_check(!strcmp(mine, its), "worker %s is in %s", w.name[i], its);
	}
	close(fd);
}

static unsigned long ticks(const struct workers *w)
{
	unsigned long total = 0, utime, stime;
	unsigned int i;

	for (i = 0; i < w->n; i++) {
		char path[64], line[512], *end;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", w->pid[i]);
		f = fopen(path, "r");
		kt_check(f && fgets(line, sizeof(line), f), "%s: %m", path);
		fclose(f);
		end = strrchr(line, ')');
		kt_check(end && sscanf(end + 2,
				       "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
				       &utime, &stime) == 2,
			 "%s: %s", path, line);
		total += utime + stime;
	}
	return total;
}

/* Idle: after traffic, with buffers offered, nothing runs. */
static void asleep(long busyloop)
{
	struct vg_opts o = { .frame = 1514, .busyloop = busyloop };
	struct vg_net *n = vg_net_new(&o);
	unsigned long before, after, hz = sysconf(_SC_CLK_TCK);
	struct workers w;

	vg_alive(n);
	find(&w);
	kt_check(w.n == 2, "%u workers, wanted 2", w.n);
	usleep(300000);
	before = ticks(&w);
	sleep(2);
	after = ticks(&w);
	kt_note("%lu of %lu ticks used while idle", after - before, 2 * hz);
	kt_check(after - before < hz / 4, "the workers of an idle device are busy");
	vg_alive(n);
}

static const struct kt_case cases[] = {
	{ "one a queue, while there is an owner", life, .on = VG_ON_ONCE },
	{ "in the owner's cgroup", in_cgroup, .on = VG_ON_ONCE },
	{ "asleep when idle", asleep, 0 },
	{ "asleep when idle with busy polling", asleep, 50 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
