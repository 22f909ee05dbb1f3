// SPDX-License-Identifier: GPL-2.0-only
/*
 * index_wrap.c - the 16-bit indices of a ring wrap: more than 65,536 buffers
 * pass through it, and a ring may start just before the wrap
 */
#include "vguest.h"

/* Far enough to wrap, whatever the scale of the run. */
static void far(long features)
{
	struct vg_opts o = { .frame = 128, .num = 256, .features = features };
	struct vg_traffic t = { .tx = 67000, .rx = 67000, .window = 120 };

	vg_run(vg_net_new(&o), &t);
}

/* Start at an index just before the wrap. */
static void near(long features)
{
	struct vg_opts o = { .features = features, .no_backend = true };
	struct vg_net *n = vg_net_new(&o);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		vg_ring_reset(&n->q[0].ring[i], 65530);
		vg_queue_setup(&n->q[0], i, 65530);
		vg_queue_start(&n->q[0], i);
	}
	vg_alive(n);
	for (i = 0; i < 2; i++)
		kt_check(vg_queue_stop(&n->q[0], i) < 1000, "ring %u did not wrap", i);
}

#define NO_EVENT (VG_BASIC & ~BIT(VIRTIO_RING_F_EVENT_IDX))

static const struct kt_case cases[] = {
	{ "67,000 buffers each way with EVENT_IDX", far, VG_BASIC, 240 },
	{ "67,000 buffers each way without EVENT_IDX", far, NO_EVENT, 240 },
	{ "a ring that starts just before the wrap with EVENT_IDX", near, VG_BASIC },
	{ "a ring that starts just before the wrap without EVENT_IDX", near, NO_EVENT },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
