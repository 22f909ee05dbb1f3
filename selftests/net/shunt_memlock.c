// SPDX-License-Identifier: GPL-2.0-only
/*
 * shunt_memlock.c - ring pages are pinned while a queue runs, charged to the
 * owner's RLIMIT_MEMLOCK and given back; where that is refused the device works
 * by user access
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vguest.h"

static void map_is(struct vg_net *n, unsigned int ring, const char *want)
{
	char key[32], val[64];

	snprintf(key, sizeof(key), "vq%u-map", ring);
	kt_check(vg_fdinfo(n->q[0].dev.fd, key, val, sizeof(val)), "fdinfo has no %s", key);
	kt_check(!strcmp(val, want), "%s is '%s', wanted '%s'", key, val, want);
}

static void pinned(long num)
{
	struct vg_opts o = { .num = num, .no_backend = true };
	struct vg_net *n;
	unsigned long before, running;
	unsigned int i, round;

	vg_limit_locked(RLIM_INFINITY);
	n = vg_net_new(&o);
	before = vg_locked();
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 2; i++) {
			map_is(n, i, "none");
			vg_queue_start(&n->q[0], i);
			map_is(n, i, "pinned");
		}
		vg_alive(n);
		running = vg_locked();
		kt_check(running > before, "%lu kB are charged while running, %lu before", running,
			 before);
		kt_check(running - before <= 2 * (26ul * num / 1024 + 6 * 4),
			 "%lu kB are charged for two rings of %ld", running - before, num);
		for (i = 0; i < 2; i++) {
			unsigned int base = vg_queue_stop(&n->q[0], i);

			kt_sys(vg_vring_state(n->q[0].dev.fd, VHOST_SET_VRING_BASE, i, base));
		}
		kt_check(vg_locked() == before, "%lu kB stay charged after the stop, %lu before",
			 vg_locked(), before);
	}
}

/* However a device ends, the charge is given back. */
static void given_back(long how)
{
	struct vg_opts o = { .frame = 1514 };
	unsigned long before = vg_locked();
	unsigned int round;

	for (round = 0; round < 5; round++) {
		struct vg_net *n = vg_net_new(&o);

		vg_alive(n);
		kt_check(vg_locked() > before, "nothing is charged");
		if (how)
			kt_sys(ioctl(n->q[0].dev.fd, VHOST_RESET_OWNER));
		else
			close(n->q[0].dev.fd);
		kt_check(vg_locked() == before, "%lu kB stay charged, %lu before", vg_locked(),
			 before);
		if (!how)
			n->q[0].dev.fd = dup(0);
		vg_net_free(n);
	}
}

/* No right to lock anything: everything works, by user access. */
static void refused(long arg)
{
	struct vg_opts o = { .frame = 9014, .iotlb = arg, .rx_buf = 1526 };
	struct vg_net *n;
	struct vg_traffic t = { .tx = kt_scale(1500, 300), .rx = kt_scale(1500, 300), .min = 14 };
	unsigned int i;

	vg_netns();
	n = vg_net_new(&(struct vg_opts){ .frame = 1514 });
	close(n->q[0].dev.fd);
	close(n->q[0].backend);
	vg_limit_locked(0);
	vg_drop_ipc_lock();
	usleep(100000);
	n = vg_net_new(&o);
	vg_run(n, &t);
	for (i = 0; i < 2; i++)
		map_is(n, i, "user");
	kt_check(!vg_locked(), "%lu kB are charged with a limit of 0", vg_locked());
	for (i = 0; i < 2; i++) {
		vg_queue_setup(&n->q[0], i, vg_queue_stop(&n->q[0], i));
		vg_queue_start(&n->q[0], i);
	}
	vg_alive(n);
}

/* Room for some rings and not for others. */
static void partly(long arg)
{
	struct vg_opts o = { .num = 32768, .depth = 64 };
	struct vg_net *n;

	(void)arg;
	vg_netns();
	vg_limit_locked(900 << 10);
	vg_drop_ipc_lock();
	n = vg_net_new(&o);
	vg_alive(n);
	kt_check(vg_locked() <= 900, "%lu kB are charged with a limit of 900", vg_locked());
	map_is(n, VG_RX, "pinned");
	map_is(n, VG_TX, "user");
	vg_net_free(n);
	kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
}

static const struct kt_case cases[] = {
	{ "rings of 256 are charged while they run", pinned, 256 },
	{ "rings of 32768 are charged while they run", pinned, 32768 },
	{ "close gives the charge back", given_back, 0 },
	{ "reset gives the charge back", given_back, 1 },
	{ "a limit of 0 falls back to user access", refused, 0 },
	{ "a limit of 0 falls back to user access with an IOTLB", refused, 2 },
	{ "a limit for one ring of two", partly, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
