// SPDX-License-Identifier: GPL-2.0-only
/*
 * sizes.c - frames of every size from 14 to 65,535 bytes arrive byte for byte,
 * in order and once, both ways
 */
#include "vguest.h"

/* All sizes up to one and a half pages, one after the other, both ways at once. */
static void every(long sndbuf)
{
	struct vg_opts o = { .frame = 6000, .sndbuf = sndbuf };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = { .tx = 5987, .rx = 5987, .min = 14, .every = true };

	vg_run(n, &t);
	vg_net_free(n);
}

static void one_way(long to_guest)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	unsigned int count = kt_scale(4000, 500);
	struct vg_traffic t = { .tx = to_guest ? 0 : count, .rx = to_guest ? count : 0, .min = 14 };

	vg_run(n, &t);
	vg_net_free(n);
}

/* Up to the longest that a TAP's MTU allows. */
static void large(long sndbuf)
{
	struct vg_opts o = { .frame = 65535, .depth = 32, .sndbuf = sndbuf };
	struct vg_net *n = vg_net_new(&o);
	unsigned int count = kt_scale(600, 100);
	struct vg_traffic t = { .tx = count, .rx = count, .min = 14, .window = 24 };

	vg_run(n, &t);
	vg_net_free(n);
}

static const struct kt_case cases[] = {
	{ "the guest's frames reach the host", one_way, 0 },
	{ "the host's frames reach the guest", one_way, 1 },
	{ "every size from 14 to 6000", every, 0 },
	{ "every size from 14 to 6000 with a limited send buffer", every, 200000 },
	{ "sizes up to 65535", large, 0 },
	{ "sizes up to 65535 with a limited send buffer", large, 1000000 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
