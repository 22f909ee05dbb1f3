// SPDX-License-Identifier: GPL-2.0-only
/*
 * shunt_bounds.c - no request is too long, and no ring too dull, for the host
 *
 * For shunt only: the first case makes a stock kernel warn, because a TAP counts
 * the length of a frame in int; the second one keeps a stock worker busy.
 */
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vguest.h"

#define ENTRIES 1000u /* in a table: fewer than the device takes */

/* A frame of @len bytes, made of the same guest memory over and over. */
static void frame_of(struct vg_net *n, uint64_t len)
{
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[VG_TX];
	const struct vg_region *big = &n->mem->r[n->mem->n - 1];
	uint64_t at = vg_alloc_ring(n->mem, ENTRIES * sizeof(struct vring_desc), 16);
	static struct vring_desc table[ENTRIES];
	uint64_t drops = vg_fdinfo_u64(q->dev.fd, "vq1-drops");
	struct virtio_net_hdr_mrg_rxbuf hdr = { .hdr.hdr_len = 64 };
	uint16_t used = vg_used_idx(r);
	unsigned int i, waited;

	vg_put(n->mem, big->gpa, &hdr, sizeof(hdr));
	table[0] = (struct vring_desc){ big->gpa, sizeof(hdr), VRING_DESC_F_NEXT, 1 };
	for (i = 1; i < ENTRIES && len; i++) {
		uint32_t run = len < big->size ? len : big->size;

		table[i] = (struct vring_desc){ big->gpa, run, VRING_DESC_F_NEXT, i + 1 };
		len -= run;
	}
	kt_check(!len, "the regions are too small for this frame");
	table[i - 1].flags = 0;
	vg_put_table(r, at, table, i);

	vg_desc(r, 0, at, i * sizeof(*table), VRING_DESC_F_INDIRECT, 0);
	vg_publish(r, 0);
	vg_ring_kick_always(r);
	for (waited = 0; vg_used_idx(r) == used && waited < VG_STALL_MS; waited++)
		usleep(1000);
	kt_check(vg_used_idx(r) == (uint16_t)(used + 1), "the frame is not used");
	kt_check(vg_fdinfo_u64(q->dev.fd, "vq1-drops") == drops + 1, "the frame was not dropped");
	kt_check(!vg_ring_erred(r, 0), "the queue broke");
}

static void long_frames(long limited)
{
	static const uint64_t lens[] = { 1 << 18,   3 << 20,	       (1u << 31) - 12,
					 1u << 31,  (1ull << 32) - 76, (1ull << 32) - 12,
					 1ull << 32 };
	struct vg_opts o = {
		.frame = 65535,
		.depth = 256,
		.regions = 2,
		.sndbuf = limited ? 1 << 20 : 0,
	};
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	unsigned int i;

	vg_need_shunt();
	for (i = 0; i < ARRAY_SIZE(lens); i++)
		frame_of(n, lens[i]);
	vg_queue_stop(q, VG_TX);
	vg_ring_reset(&q->ring[VG_TX], vg_ring_first(&q->ring[VG_TX]));
	vg_queue_setup(q, VG_TX, vg_ring_first(&q->ring[VG_TX]));
	vg_queue_start(q, VG_TX);
	vg_alive(n);
}

/*
 * A full receive ring, each buffer one byte and as many empty descriptors as a
 * request may have: for each frame the device looks at them all, in vain. It
 * must do so in pieces, between which the VMM is heard.
 */
static void dull_buffers(long jump)
{
	struct vg_opts o = { .frame = 1514, .num = 1024, .depth = 64 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[VG_RX];
	uint64_t at = vg_alloc_ring(n->mem, ENTRIES * sizeof(struct vring_desc), 16);
	static struct vring_desc table[ENTRIES];
	uint64_t gpa = q->buf[VG_RX][0].gpa;
	struct pollfd left = { .fd = q->backend, .events = POLLIN };
	static uint8_t f[1514];
	unsigned int i;

	vg_need_shunt();
	for (i = 0; i < ENTRIES; i++)
		table[i] = (struct vring_desc){ gpa, !i, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT,
						(i + jump) % ENTRIES };
	/* The walk goes through all entries, as @jump shares no factor with ENTRIES. */
	table[ENTRIES - jump].flags = VRING_DESC_F_WRITE;
	vg_put_table(r, at, table, ENTRIES);
	vg_endless(r, at, sizeof(table), VRING_DESC_F_INDIRECT);

	vg_frame(f, sizeof(f), 1, 0);
	for (i = 0; i < kt_scale(400, 100); i++) {
		vg_host_send(n, f, sizeof(f), NULL);
		if (i % 20 == 0)
			kt_sys(vg_vring_file(q->dev.fd, VHOST_SET_VRING_CALL, VG_RX, r->call));
	}
	kt_check(!vg_ring_erred(r, 0), "the queue broke");
	vg_queue_stop(q, VG_RX);
	/* What the TAP still holds is nobody's. */
	while (poll(&left, 1, 0) == 1)
		kt_sys(read(q->backend, f, sizeof(f)));
	vg_ring_reset(r, vg_ring_first(r));
	vg_queue_setup(q, VG_RX, vg_ring_first(r));
	vg_queue_start(q, VG_RX);
	vg_queue_forget(q, VG_RX);
	vg_alive(n);
}

static const struct kt_case cases[] = {
	{ "frames of gigabytes are dropped", long_frames, 0 },
	{ "frames of gigabytes are dropped, with a limited send buffer", long_frames, 1 },
	{ "one-byte buffers with empty descriptors, in order", dull_buffers, 1 },
	{ "one-byte buffers with empty descriptors, far apart", dull_buffers, 17,
	  .on = VG_ON_ANY_SPLIT },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
