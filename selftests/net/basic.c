// SPDX-License-Identifier: GPL-2.0-only
/*
 * basic.c - frames of every kind of size arrive byte for byte, in order, once
 */
#include "vguest.h"

/* The guest's frames reach the host. */
static void tx(long max)
{
	struct vg_opts o = { .frame = max };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = { .tx = kt_scale(2000, 100), .min = 14 };

	vg_run(n, &t);
}

/* The host's frames reach the guest. */
static void rx(long max)
{
	struct vg_opts o = { .frame = max };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = { .rx = kt_scale(2000, 100), .min = 14 };

	vg_run(n, &t);
}

/* Both at once. */
static void both(long max)
{
	struct vg_opts o = { .frame = max };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = {
		.tx = kt_scale(3000, 100), .rx = kt_scale(3000, 100), .min = 14
	};

	vg_run(n, &t);
	vg_net_free(n);
}

static const struct kt_case cases[] = {
	{ "the guest's frames reach the host", tx, 1514 },
	{ "the host's frames reach the guest", rx, 1514 },
	{ "frames pass both ways at once", both, 1514 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
