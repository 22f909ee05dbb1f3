// SPDX-License-Identifier: GPL-2.0-only
/*
 * index_wrap.c - the 16-bit indices of a split ring wrap: more than 65,536 buffers
 * pass through it, and a ring may start just before the wrap; a packed ring goes
 * round and its wrap counters change, and it may start just before that, in
 * either lap
 */
#include "vguest.h"

/* Start both rings of @num at @base and pass @count buffers each way: the indices wrap. */
static void wrap(uint64_t features, unsigned int num, uint32_t base, uint32_t count)
{
	struct vg_opts o = { .frame = 128, .num = num, .features = features, .no_backend = true };
	struct vg_traffic t = { .tx = count, .rx = count, .window = 120 };
	struct vg_net *n = vg_net_new(&o);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct vg_ring *r = &n->q[0].ring[i];

		vg_ring_reset(r, vg_ring_base(r, base));
		vg_queue_setup(&n->q[0], i, vg_ring_base(r, base));
		vg_queue_start(&n->q[0], i);
	}
	vg_run(n, &t);
	for (i = 0; i < 2; i++) {
		struct vg_ring *r = &n->q[0].ring[i];
		uint32_t end = vg_queue_stop(&n->q[0], i);

		kt_check(end == vg_ring_at(r), "ring %u stopped at %#x, used up to %#x", i, end,
			 vg_ring_at(r));
		kt_check(vg_packed() ? (base % (2 * num) + count) / num > base % (2 * num) / num :
				       end < base + count - 65535,
			 "ring %u did not wrap", i);
	}
}

/* From 0, whatever the scale of the run. */
static void far(long features)
{
	wrap(features, 256, 0, 67000);
}

/* The same way, or on a slow machine the last part of it. */
static void last_part(long features)
{
	bool slow = kt_scale(100, 0) < 100;

	wrap(features, 256, slow ? 60000 : 0, slow ? 7000 : 67000);
}

/* From just before the wrap. */
static void near(long features)
{
	wrap(features, 256, 65530, 200);
}

/* Sizes that are no power of two, from just before the end of the first or the second lap. */
static void odd(long num)
{
	wrap(VG_BASIC, num, num - 1, 3 * num + 7);
}

static void odd_second(long num)
{
	wrap(VG_BASIC, num, 2 * num - 3, 3 * num + 7);
}

#define NO_EVENT (VG_BASIC & ~BIT(VIRTIO_RING_F_EVENT_IDX))

static const struct kt_case cases[] = {
	{ "67,000 buffers each way with EVENT_IDX", far, VG_BASIC, 240 },
	{ "up to index 67,000 without EVENT_IDX", last_part, NO_EVENT, 240 },
	{ "a ring that starts just before the wrap with EVENT_IDX", near, VG_BASIC },
	{ "a ring that starts just before the wrap without EVENT_IDX", near, NO_EVENT },
	{ "rings of 3 from the end of a lap", odd, 3, .on = VG_ON_ANY_PACKED },
	{ "rings of 101 from the end of a lap", odd, 101, .on = VG_ON_ANY_PACKED },
	{ "rings of 1000 from the end of a lap", odd, 1000, .on = VG_ON_ANY_PACKED },
	{ "rings of 3 from the end of the next lap", odd_second, 3, .on = VG_ON_ANY_PACKED },
	{ "rings of 101 from the end of the next lap", odd_second, 101, .on = VG_ON_ANY_PACKED },
	{ "rings of 1000 from the end of the next lap", odd_second, 1000, .on = VG_ON_ANY_PACKED },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
