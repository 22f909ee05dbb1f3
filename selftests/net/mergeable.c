// SPDX-License-Identifier: GPL-2.0-only
/*
 * mergeable.c - a received frame takes as many buffers as it needs, and no more;
 * without the feature it takes one, and one that does not fit is dropped alone
 */
#include "vguest.h"

static uint8_t f[70000];

static void merged(long rx_buf)
{
	struct vg_opts o = { .frame = 9014, .rx_buf = rx_buf, .depth = 200 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = { .rx = kt_scale(1500, 300), .tx = 100, .min = 14, .window = 16 };

	if (rx_buf < 100) {
		/* 100 buffers of 64 bytes hold no 9,000: shorter frames here */
		t.max = 3000;
	}
	vg_run(n, &t);
}

/* More buffers in a frame than the device handles at once: a ring of 1,024. */
static void many(long rx_buf)
{
	struct vg_opts o = { .frame = 65535, .rx_buf = rx_buf, .num = 1024, .depth = 1024 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = { .rx = kt_scale(60, 20), .min = 60000, .window = 4 };

	vg_run(n, &t);
}

static void single(long features)
{
	struct vg_opts o = { .frame = 9014, .features = features };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = { .rx = kt_scale(1500, 300), .tx = 100, .min = 14 };

	vg_run(n, &t);
}

/* Too long for the buffer: lost, and the ones around it are not. */
static void overrun(long features)
{
	struct vg_opts o = { .frame = 1514, .rx_buf = 256, .features = features, .depth = 8 };
	struct vg_net *n = vg_net_new(&o);
	unsigned int i, queue;
	uint32_t seq;
	size_t len;

	vg_rx_fill(&n->q[0]);
	vg_ring_kick(&n->q[0].ring[VG_RX]);
	for (i = 0; i < 100; i++) {
		const char *why;

		vg_frame(f, 1000, 5000 + i, 0);
		vg_host_send(n, f, 1000, NULL);
		vg_frame(f, 200, i, 0);
		vg_host_send(n, f, 200, NULL);
		kt_check(vg_ring_wait(&n->q[0].ring[VG_RX], VG_STALL_MS),
			 "frame %u did not arrive behind one too long", i);
		kt_check(vg_rx(&n->q[0], f, sizeof(f), &len, NULL), "nothing there");
		why = vg_frame_check(f, len, &seq, &queue);
		kt_check(!why, "bad frame: %s", why);
		kt_check(seq == i, "frame %u, wanted %u", seq, i);
		vg_rx_fill(&n->q[0]);
		vg_ring_kick(&n->q[0].ring[VG_RX]);
	}
}

#define NO_MRG (VG_BASIC & ~BIT(VIRTIO_NET_F_MRG_RXBUF))
#define LEGACY (NO_MRG & ~BIT(VIRTIO_F_VERSION_1))

static const struct kt_case cases[] = {
	{ "merged buffers of 64 bytes", merged, 64 },
	{ "merged buffers of 333 bytes", merged, 333 },
	{ "merged buffers of 1526 bytes", merged, 1526 },
	{ "merged buffers of a page", merged, 4096 },
	{ "a frame over 512 merged buffers", many, 128 },
	{ "one buffer a frame", single, NO_MRG },
	{ "one buffer a frame with the legacy header", single, LEGACY, .on = VG_ON_SPLIT },
	{ "merged buffers with a guest before version 1", single,
	  (long)(VG_BASIC & ~BIT(VIRTIO_F_VERSION_1)), .on = VG_ON_SPLIT },
	{ "a frame too long for its buffer is lost alone", overrun, NO_MRG },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
