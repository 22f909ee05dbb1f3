// SPDX-License-Identifier: GPL-2.0-only
/*
 * traffic.c - checked traffic over a card: see struct vg_traffic
 *
 * One thread plays guest and host in turn: offer, take back, send, receive. It
 * never polls a ring in vain for long: when a round moved nothing, it arms the
 * calls and sleeps until one comes, so that a lost call or a lost kick shows as
 * a stall and fails the case.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vguest.h"

static uint8_t frame[70000];

void vg_host_send(struct vg_net *n, const uint8_t *f, size_t len, const struct virtio_net_hdr *h)
{
	static const struct virtio_net_hdr none;
	struct iovec v[2] = {
		{ (void *)(h ? h : &none), sizeof(none) },
		{ (void *)f, len },
	};
	uint64_t end = vg_ms() + VG_STALL_MS;

	for (;;) {
		ssize_t r = writev(n->packet, v, 2);

		if (r == (ssize_t)(sizeof(none) + len))
			return;
		kt_check(r < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENETDOWN),
			 "host's send of %zu bytes: %zd %m", len, r);
		kt_check(vg_ms() < end, "the host could not send for %d ms", VG_STALL_MS);
		usleep(500);
	}
}

bool vg_host_recv(struct vg_net *n, uint8_t *f, size_t size, size_t *len, struct virtio_net_hdr *h,
		  int ms)
{
	struct pollfd p = { .fd = n->packet, .events = POLLIN };
	struct virtio_net_hdr hdr;
	struct iovec v[2] = { { &hdr, sizeof(hdr) }, { f, size } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
	ssize_t r = recvmsg(n->packet, &m, MSG_DONTWAIT);

	if (r < 0 && errno == EAGAIN && ms) {
		if (kt_sys(poll(&p, 1, ms)) == 0)
			return false;
		r = recvmsg(n->packet, &m, MSG_DONTWAIT);
	}
	if (r < 0 && (errno == EAGAIN || errno == ENETDOWN))
		return false;
	kt_check(r >= 0, "host's receive: %m");
	kt_check(!(m.msg_flags & MSG_TRUNC), "the host received a frame over %zu bytes", size);
	kt_check(r >= (ssize_t)sizeof(hdr), "the host received %zd bytes", r);
	*len = r - sizeof(hdr);
	if (h)
		*h = hdr;
	return true;
}

void vg_host_drain(struct vg_net *n)
{
	vg_frame_new_age();
	/* EINVAL: a frame whose offloads do not fit into a header; it is gone too. */
	while (recv(n->packet, frame, sizeof(frame), MSG_DONTWAIT) >= 0 || errno == EINVAL ||
	       errno == ENETDOWN)
		;
}

void vg_guest_drain(struct vg_queue *q)
{
	size_t len;

	vg_frame_new_age();
	do {
		while (vg_rx(q, frame, sizeof(frame), &len, NULL))
			;
		vg_rx_fill(q);
		vg_ring_kick_always(&q->ring[VG_RX]);
	} while (vg_ring_wait(&q->ring[VG_RX], 150));
}

void vg_host_deaf(struct vg_net *n, bool deaf)
{
	struct sock_filter none = { BPF_RET | BPF_K, 0, 0, 0 };
	struct sock_fprog p = { 1, &none };

	if (deaf)
		kt_sys(setsockopt(n->packet, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)));
	else
		kt_sys(setsockopt(n->packet, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)));
}

/* Lengths that go through all sizes in a scattered order, the ends included. */
static size_t length(const struct vg_traffic *t, uint32_t seq)
{
	size_t span = t->max - t->min + 1;

	if (t->every)
		return t->min + seq % span;
	if (seq % 16 == 0)
		return t->min;
	if (seq % 16 == 1)
		return t->max;
	return t->min + (seq * 2654435761u >> 4) % span;
}

static bool guest_sends(struct vg_net *n, struct vg_traffic *t, struct vg_queue *q)
{
	uint32_t *sent = &t->tx_sent[q->index];
	bool moved = false;

	while (*sent < t->tx && *sent - t->tx_seen[q->index] < t->window) {
		size_t len = length(t, *sent);

		if (t->spread)
			len = vg_frame_ip(frame, IPPROTO_UDP, 1000 + q->index, 2000,
					  len < 60 ? 18 : len - 42, *sent, false);
		else
			vg_frame(frame, len, *sent, q->index);
		if (!vg_tx(q, frame, len, NULL))
			break;
		++*sent;
		moved = true;
	}
	if (moved)
		vg_ring_kick(&q->ring[VG_TX]);
	(void)n;
	return moved;
}

/* The queue whose flow a UDP frame to or from the guest belongs to. */
static unsigned int flow_queue(const uint8_t *f, unsigned int off)
{
	return ((f[34 + off] << 8) | f[35 + off]) - 1000;
}

/* A frame of an earlier age, of either kind, that is right otherwise. */
static bool is_late(const uint8_t *f, size_t len)
{
	unsigned int queue;
	uint32_t seq;

	return !vg_frame_of_age(f) && (!vg_frame_check(f, len, &seq, &queue) ||
				       !vg_frame_ip_check(f, len, IPPROTO_UDP, false, &seq));
}

static bool host_receives(struct vg_net *n, struct vg_traffic *t)
{
	bool moved = false;
	size_t len;

	while (vg_host_recv(n, frame, sizeof(frame), &len, NULL, 0)) {
		unsigned int queue = 0;
		const char *why;
		uint32_t seq;

		moved = true;
		if (is_late(frame, len))
			continue;
		if (t->spread) {
			why = vg_frame_ip_check(frame, len, IPPROTO_UDP, false, &seq);
			queue = why ? 0 : flow_queue(frame, 0);
		} else {
			why = vg_frame_check(frame, len, &seq, &queue);
		}
		kt_check(!why, "the host received a bad frame: %s", why);
		kt_check(queue < n->o.pairs, "a frame of queue %u", queue);
		kt_check(seq == t->tx_seen[queue], "queue %u to the host: frame %u, wanted %u",
			 queue, seq, t->tx_seen[queue]);
		kt_check(seq < t->tx_sent[queue], "frame %u was not sent yet", seq);
		t->tx_seen[queue]++;
	}
	return moved;
}

static bool host_sends(struct vg_net *n, struct vg_traffic *t)
{
	bool moved = false;

	while (t->rx_sent < t->rx && t->rx_sent - t->rx_seen < t->window) {
		size_t len = length(t, t->rx_sent);

		if (t->spread)
			len = vg_frame_ip(frame, IPPROTO_UDP, 2000, 1000 + t->rx_sent % n->o.pairs,
					  len < 60 ? 18 : len - 42, t->rx_sent, false);
		else
			vg_frame(frame, len, t->rx_sent, 0);
		vg_host_send(n, frame, len, NULL);
		t->rx_sent++;
		moved = true;
	}
	return moved;
}

/*
 * Frame @seq of @flow came by @queue. The TAP moves a flow to the queue that the
 * guest answers it on, so that order holds within a queue only: but each frame
 * comes, and comes once.
 */
static void flow_frame(struct vg_traffic *t, unsigned int queue, unsigned int flow, uint32_t seq)
{
	uint32_t *base = &t->rx_queue[flow];
	bool *ahead = t->rx_ahead[flow];

	kt_check(seq >= t->rx_next[queue][flow], "flow %u queue %u: frame %u after %u", flow, queue,
		 seq, t->rx_next[queue][flow] - 1);
	t->rx_next[queue][flow] = seq + 1;
	kt_check(seq >= *base && !ahead[seq % VG_AHEAD], "flow %u: frame %u came twice", flow, seq);
	kt_check(seq - *base < VG_AHEAD, "flow %u: frame %u is missing", flow, *base);
	ahead[seq % VG_AHEAD] = true;
	for (; ahead[*base % VG_AHEAD]; (*base)++)
		ahead[*base % VG_AHEAD] = false;
}

static bool guest_receives(struct vg_net *n, struct vg_traffic *t, struct vg_queue *q)
{
	struct virtio_net_hdr_mrg_rxbuf h;
	bool moved = false;
	size_t len;

	while (vg_rx(q, frame, sizeof(frame), &len, &h)) {
		unsigned int queue = 0;
		const char *why;
		uint32_t seq;

		moved = true;
		if (is_late(frame, len))
			continue;
		if (t->spread)
			why = vg_frame_ip_check(frame, len, IPPROTO_UDP, false, &seq);
		else
			why = vg_frame_check(frame, len, &seq, &queue);
		kt_check(!why, "the guest received a bad frame: %s", why);
		kt_check(h.hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE, "gso type %u", h.hdr.gso_type);
		/*
		 * Version 1 wants num_buffers to be 1 even without mergeable buffers.
		 * Older stock kernels leave the field as the guest had it.
		 */
		kt_check(h.num_buffers == 1 || n->mergeable || !vg_is_shunt(),
			 "num_buffers %u without mergeable buffers", h.num_buffers);
		if (t->spread) {
			kt_check(flow_queue(frame, 2) == seq % n->o.pairs, "frame %u of flow %u",
				 seq, flow_queue(frame, 2));
			flow_frame(t, q->index, seq % n->o.pairs, seq / n->o.pairs);
		} else {
			kt_check(seq == t->rx_seen, "to the guest: frame %u, wanted %u", seq,
				 t->rx_seen);
			t->rx_queue[q->index]++;
		}
		kt_check(seq < t->rx_sent, "frame %u was not sent yet", seq);
		t->rx_seen++;
	}
	if (vg_rx_fill(q))
		vg_ring_kick(&q->ring[VG_RX]);
	return moved;
}

static bool done(const struct vg_net *n, const struct vg_traffic *t)
{
	unsigned int i;

	for (i = 0; i < n->o.pairs; i++)
		if (t->tx_seen[i] < t->tx || (t->tx && n->q[i].ring[VG_TX].in_flight))
			return false;
	return t->rx_seen >= t->rx;
}

/* Arm all calls and sleep until something happens. */
static void rest(struct vg_net *n, struct vg_traffic *t)
{
	struct pollfd p[2 * VG_PAIRS + 1];
	unsigned int i, np = 0;
	bool ready = false;
	uint64_t v;

	for (i = 0; i < n->o.pairs; i++) {
		ready |= vg_ring_arm(&n->q[i].ring[VG_RX]);
		ready |= t->tx && vg_ring_arm(&n->q[i].ring[VG_TX]);
		p[np++] = (struct pollfd){ n->q[i].ring[VG_RX].call, POLLIN, 0 };
		p[np++] = (struct pollfd){ n->q[i].ring[VG_TX].call, POLLIN, 0 };
	}
	p[np++] = (struct pollfd){ n->packet, POLLIN, 0 };
	if (!ready) {
		t->waits++;
		if (!kt_sys(poll(p, np, VG_STALL_MS))) {
			bool used = false;

			for (i = 0; i < n->o.pairs; i++)
				used |= vg_ring_pending(&n->q[i].ring[VG_RX]) ||
					vg_ring_pending(&n->q[i].ring[VG_TX]);
			kt_check(!used, "a chain was used and no call came for it");
			/* Does it go on with a kick that it did not ask for? */
			for (i = 0; i < n->o.pairs; i++) {
				vg_ring_kick_always(&n->q[i].ring[VG_RX]);
				vg_ring_kick_always(&n->q[i].ring[VG_TX]);
			}
			if (kt_sys(poll(p, np, 2000)))
				kt_note("another kick has it go on");
			kt_fail("stalled: tx %u sent %u seen of %u, %u in flight; "
				"rx %u sent %u seen of %u",
				t->tx_sent[0], t->tx_seen[0], t->tx, n->q[0].ring[VG_TX].in_flight,
				t->rx_sent, t->rx_seen, t->rx);
		}
	}
	for (i = 0; i + 1 < np; i++)
		if (read(p[i].fd, &v, sizeof(v)) == sizeof(v))
			n->q[i / 2].ring[i % 2].calls++;
	for (i = 0; i < n->o.pairs; i++) {
		vg_ring_disarm(&n->q[i].ring[VG_RX]);
		vg_ring_disarm(&n->q[i].ring[VG_TX]);
	}
}

void vg_run(struct vg_net *n, struct vg_traffic *t)
{
	unsigned int i;

	t->min = t->min ? t->min : 60;
	t->max = t->max ? t->max : n->o.frame;
	t->window = t->window ? t->window : 64;
	for (i = 0; i < n->o.pairs; i++) {
		if (vg_rx_fill(&n->q[i]))
			vg_ring_kick(&n->q[i].ring[VG_RX]);
	}
	while (!done(n, t)) {
		bool moved = false;

		if (t->hook)
			t->hook(n, t->arg);
		for (i = 0; i < n->o.pairs; i++)
			moved |= guest_sends(n, t, &n->q[i]);
		moved |= host_receives(n, t);
		/* Flows are bound to queues by what the guest sent: let it go first. */
		if (!t->spread || !t->tx || t->tx_seen[n->o.pairs - 1])
			moved |= host_sends(n, t);
		for (i = 0; i < n->o.pairs; i++) {
			/* A ring without traffic may be one that a test has spoilt. */
			if (t->tx)
				moved |= vg_tx_reap(&n->q[i]) > 0;
			moved |= guest_receives(n, t, &n->q[i]);
		}
		if (!moved)
			rest(n, t);
	}
	for (i = 0; i < n->o.pairs; i++) {
		kt_check(t->errs || !t->rx || !vg_ring_erred(&n->q[i].ring[VG_RX], 0),
			 "the receive ring erred");
		kt_check(t->errs || !t->tx || !vg_ring_erred(&n->q[i].ring[VG_TX], 0),
			 "the transmit ring erred");
	}
}

void vg_alive(struct vg_net *n)
{
	struct vg_traffic t = {
		.tx = 40,
		.rx = 40,
		.max = n->o.frame < 1514 ? n->o.frame : 1514,
	};

	vg_run(n, &t);
}
