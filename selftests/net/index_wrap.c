// SPDX-License-Identifier: GPL-2.0-only
/*
 * index_wrap.c - the 16-bit indices of a ring wrap: more than 65,536 buffers
 * pass through it, and a ring may start just before the wrap
 */
#include "vguest.h"

/* Start both rings at @base and pass @count buffers each way: the indices wrap. */
static void wrap(uint64_t features, uint16_t base, uint32_t count)
{
	struct vg_opts o = { .frame = 128, .features = features, .no_backend = true };
	struct vg_traffic t = { .tx = count, .rx = count, .window = 120 };
	struct vg_net *n = vg_net_new(&o);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		vg_ring_reset(&n->q[0].ring[i], base);
		vg_queue_setup(&n->q[0], i, base);
		vg_queue_start(&n->q[0], i);
	}
	vg_run(n, &t);
	for (i = 0; i < 2; i++)
		kt_check(vg_queue_stop(&n->q[0], i) < base + count - 65535, "ring %u did not wrap",
			 i);
}

/* From 0, whatever the scale of the run. */
static void far(long features)
{
	wrap(features, 0, 67000);
}

/* The same way, or on a slow machine the last part of it. */
static void last_part(long features)
{
	bool slow = kt_scale(100, 0) < 100;

	wrap(features, slow ? 60000 : 0, slow ? 7000 : 67000);
}

/* From just before the wrap. */
static void near(long features)
{
	wrap(features, 65530, 200);
}

#define NO_EVENT (VG_BASIC & ~BIT(VIRTIO_RING_F_EVENT_IDX))

static const struct kt_case cases[] = {
	{ "67,000 buffers each way with EVENT_IDX", far, VG_BASIC, 240 },
	{ "up to index 67,000 without EVENT_IDX", last_part, NO_EVENT, 240 },
	{ "a ring that starts just before the wrap with EVENT_IDX", near, VG_BASIC },
	{ "a ring that starts just before the wrap without EVENT_IDX", near, NO_EVENT },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
