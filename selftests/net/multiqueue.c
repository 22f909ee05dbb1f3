// SPDX-License-Identifier: GPL-2.0-only
/*
 * multiqueue.c - 1 to 4 queue pairs at once on one TAP: every flow in order,
 * answers on the queue that the flow was sent from
 */
#include "vguest.h"

static void pairs(long n_pairs)
{
	struct vg_opts o = { .pairs = n_pairs };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = {
		.tx = kt_scale(1000, 200),
		.rx = n_pairs * kt_scale(1000, 200),
		.spread = true,
	};
	unsigned int i;

	vg_run(n, &t);
	for (i = 0; i < n_pairs; i++)
		kt_check(t.rx_queue[i] == t.rx / n_pairs, "flow %u got %u frames", i,
			 t.rx_queue[i]);
}

/* One pair stops, the others go on; it comes back. */
static void one_stops(long n_pairs)
{
	struct vg_opts o = { .pairs = n_pairs };
	struct vg_net *n = vg_net_new(&o);
	unsigned int i, round, base;

	for (round = 0; round < 4; round++) {
		struct vg_traffic t = { .tx = 100, .rx = 0, .spread = true };
		struct vg_queue *q = &n->q[round % n_pairs];

		vg_run(n, &t);
		for (i = 0; i < 2; i++) {
			base = vg_queue_stop(q, i);
			vg_queue_setup(q, i, base);
			vg_queue_start(q, i);
		}
	}
}

static const struct kt_case cases[] = {
	{ "1 pair", pairs, 1 },
	{ "2 pairs", pairs, 2 },
	{ "3 pairs", pairs, 3 },
	{ "4 pairs", pairs, 4 },
	{ "a pair of 3 stops and starts", one_stops, 3 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
