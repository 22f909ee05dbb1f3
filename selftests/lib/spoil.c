// SPDX-License-Identifier: GPL-2.0-only
/*
 * spoil.c - what is wrong in a ring breaks that ring, no other, and not for good:
 * see struct vg_spoil
 */
#include <unistd.h>

#include "vguest.h"

void vg_spoil_over(struct vg_net *n, unsigned int i)
{
	vg_queue_anew(&n->q[0], i);
	if (i == VG_RX)
		vg_guest_drain(&n->q[0]);
	vg_host_drain(n);
}

/* Transmission alone, with the receive ring left as it is. */
static void tx_run(struct vg_net *n, unsigned int count)
{
	struct vg_queue *q = &n->q[0];
	static uint8_t f[2048];
	unsigned int queue;
	uint32_t seq;
	size_t len;

	while (count--) {
		const char *why;

		vg_frame(f, 300, count, 0);
		kt_check(vg_tx(q, f, 300, NULL), "no room to send");
		vg_ring_kick(&q->ring[VG_TX]);
		kt_check(vg_host_recv(n, f, sizeof(f), &len, NULL, VG_STALL_MS),
			 "the transmit ring stands still");
		why = vg_frame_check(f, len, &seq, &queue);
		kt_check(!why && seq == count, "frame %u: %s", count, why ? why : "another");
		kt_check(vg_ring_wait(&q->ring[VG_TX], VG_STALL_MS), "not used");
		vg_tx_reap(q);
	}
}

static void spoil(struct vg_net *n, const struct vg_spoil *s, unsigned int i)
{
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[i];
	struct vg_traffic other = { .tx = i == VG_RX ? 20 : 0, .rx = i == VG_TX ? 20 : 0 };
	enum vg_spoil_mode mode = i == VG_TX ? s->tx : s->rx;
	uint64_t buf = q->buf[i][0].gpa;
	static uint8_t f[200];
	uint16_t before;
	bool erred;

	/* The ring is empty now: nothing offered, nothing in flight. */
	vg_spoil_over(n, i);
	if (i == VG_RX) {
		vg_queue_anew(q, VG_RX);
		vg_frame(f, 200, 1, 0);
		vg_host_send(n, f, 200, NULL);
	}
	before = vg_used_idx(r);
	/* What a spoilt transmit ring may send is no frame of ours. */
	if (i == VG_TX)
		vg_host_deaf(n, true);
	s->spoil(r, buf, i == VG_RX ? VRING_DESC_F_WRITE : 0);
	vg_ring_kick_always(r);
	if (mode == VG_STOCK_OTHERWISE && !vg_is_shunt())
		mode = VG_EITHER;
	erred = vg_ring_erred(r, mode == VG_STRICT ? VG_STALL_MS : 300);
	kt_check(erred || mode == VG_EITHER, "%s: %s ring: no error was signalled", s->name,
		 i ? "transmit" : "receive");
	if (erred && mode == VG_STRICT) {
		usleep(20000);
		kt_check(vg_used_idx(r) == before, "%s: %s ring: %u chains used", s->name,
			 i ? "transmit" : "receive", (uint16_t)(vg_used_idx(r) - before));
	}
	/* The other ring does not mind. */
	if (i == VG_TX)
		vg_run(n, &other);
	else
		tx_run(n, 20);
	vg_spoil_over(n, i);
	if (i == VG_TX)
		vg_host_deaf(n, false);
	vg_alive(n);
}

void vg_spoil_each(const struct vg_spoil *s, unsigned int nr, unsigned int i)
{
	struct vg_opts o = { .frame = 9014, .depth = 8 };
	struct vg_net *n = vg_net_new(&o);

	for (; nr--; s++)
		if (!s->on || s->on & vg_rings())
			spoil(n, s, i);
}
