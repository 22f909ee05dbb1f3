// SPDX-License-Identifier: GPL-2.0-only
/*
 * busyloop.c - busy polling on: nothing lost, nothing late for ever, and the
 * time-out reads back
 */
#include <sys/ioctl.h>

#include "vguest.h"

static unsigned int timeout_of(int fd, unsigned int index)
{
	struct vhost_vring_state s = { .index = index, .num = 12345678 };

	kt_sys(ioctl(fd, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &s));
	kt_check(s.index == index, "the index came back as %u", s.index);
	return s.num;
}

static void polled(long us)
{
	struct vg_opts o = { .busyloop = us };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = { .tx = kt_scale(3000, 300), .rx = kt_scale(3000, 300) };
	int fd = n->q[0].dev.fd;

	kt_check(timeout_of(fd, VG_RX) == us && timeout_of(fd, VG_TX) == us,
		 "time-outs read back as %u and %u", timeout_of(fd, VG_RX), timeout_of(fd, VG_TX));
	vg_run(n, &t);
}

/* Two cards that poll do not starve each other, nor an ioctl. */
static void two(long us)
{
	struct vg_opts o = { .busyloop = us, .pairs = 2 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = { .tx = kt_scale(1000, 200), .rx = 0, .spread = true };
	unsigned int base;

	vg_run(n, &t);
	base = vg_queue_stop(&n->q[1], VG_TX);
	vg_queue_setup(&n->q[1], VG_TX, base);
	vg_queue_start(&n->q[1], VG_TX);
	vg_run(n, &(struct vg_traffic){ .tx = 50, .spread = true });
}

/* Switched on and off under traffic. */
static void toggle(struct vg_net *n, void *arg)
{
	unsigned int *round = arg;

	if (++*round % 16 == 0)
		kt_sys(vg_vring_state(n->q[0].dev.fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT,
				      *round / 16 % 2, *round / 32 % 2 ? 100 : 0));
}

static void toggled(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	unsigned int round = 0;
	struct vg_traffic t = {
		.tx = kt_scale(3000, 300),
		.rx = kt_scale(3000, 300),
		.hook = toggle,
		.arg = &round,
	};

	(void)arg;
	vg_run(vg_net_new(&o), &t);
}

static const struct kt_case cases[] = {
	{ "50 microseconds", polled, 50 },
	{ "5 milliseconds", polled, 5000 },
	{ "two pairs that poll", two, 1000 },
	{ "polling switched on and off under traffic", toggled, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
