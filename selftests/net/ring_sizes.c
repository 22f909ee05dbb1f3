// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_sizes.c - rings of 2 to 32,768 entries, each filled and gone round
 */
#include "vguest.h"

static void size(long num)
{
	struct vg_opts o = { .num = num, .frame = 200, .depth = num > 1024 ? 1024 : num };
	unsigned int n_frames = num < 4096 ? 2 * num + 200 : num + 500;
	struct vg_traffic t = { .tx = n_frames, .rx = n_frames, .min = 60, .window = 200 };

	vg_run(vg_net_new(&o), &t);
}

/* All entries of a ring in flight at once. */
static void full(long num)
{
	struct vg_opts o = { .num = num, .frame = 64, .depth = num };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	unsigned int i, queue;
	static uint8_t f[128];
	uint32_t seq, seen = 0;
	size_t len;

	vg_queue_stop(q, VG_TX);
	for (i = 0; i < num; i++) {
		vg_frame(f, 64, i, 0);
		kt_check(vg_tx(q, f, 64, NULL), "no room for chain %u of %ld", i, num);
	}
	kt_check(!vg_tx(q, f, 64, NULL), "room for more chains than entries");
	vg_queue_start(q, VG_TX);
	vg_ring_kick(&q->ring[VG_TX]);
	while (seen < num) {
		const char *why;

		kt_check(vg_host_recv(n, f, sizeof(f), &len, NULL, VG_STALL_MS),
			 "frame %u did not arrive", seen);
		why = vg_frame_check(f, len, &seq, &queue);
		kt_check(!why && seq == seen, "frame %u: %s", seen, why ? why : "out of order");
		seen++;
	}
	for (i = 0; i < num; i += vg_tx_reap(q))
		kt_check(vg_ring_wait(&q->ring[VG_TX], VG_STALL_MS), "%u chains not used", i);
	vg_alive(n);
}

static const struct kt_case cases[] = {
	{ "2 entries", size, 2 },
	{ "4 entries", size, 4 },
	{ "8 entries", size, 8 },
	{ "16 entries", size, 16 },
	{ "32 entries", size, 32 },
	{ "64 entries", size, 64 },
	{ "128 entries", size, 128 },
	{ "256 entries", size, 256 },
	{ "512 entries", size, 512 },
	{ "1024 entries", size, 1024 },
	{ "2048 entries", size, 2048 },
	{ "4096 entries", size, 4096 },
	{ "8192 entries", size, 8192 },
	{ "16384 entries", size, 16384 },
	{ "32768 entries", size, 32768 },
	{ "a ring of 2 full at once", full, 2 },
	{ "a ring of 256 full at once", full, 256 },
	{ "a ring of 32768 full at once", full, 32768 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
