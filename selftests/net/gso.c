// SPDX-License-Identifier: GPL-2.0-only
/*
 * gso.c - segmentation and checksum offloads pass through both ways: headers
 * and payload of large frames arrive as they were sent, and where the guest
 * cannot take them the host's stack cuts them into correct frames
 */
#define _GNU_SOURCE
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vguest.h"

#define L4	    34 /* Ethernet and IP header */
#define TCP_HDRS    54
#define UDP_HDRS    42
#define MAX_PAYLOAD 65495 /* so that the IP packet has 65,535 bytes */

static uint8_t out[70000], in[70000];

static struct virtio_net_hdr gso_hdr(int proto, unsigned int type, unsigned int gso_size)
{
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = type,
		.gso_size = gso_size,
		.hdr_len = proto == IPPROTO_TCP ? TCP_HDRS : UDP_HDRS,
		.csum_start = L4,
		.csum_offset = proto == IPPROTO_TCP ? 16 : 6,
	};
}

static struct vg_net *card(unsigned int offloads, uint64_t features, unsigned int rx_buf,
			   int sndbuf)
{
	struct vg_opts o = {
		.frame = 65549,
		.depth = 64,
		.offloads = offloads,
		.rx_buf = rx_buf,
		.features = features,
		.sndbuf = sndbuf,
	};
	struct vg_net *n = vg_net_new(&o);

	vg_link_mtu(n->ifname, 1500);
	return n;
}

static void same_hdr(const struct virtio_net_hdr *got, const struct virtio_net_hdr *want)
{
	kt_check(got->gso_type == want->gso_type, "gso type %u, wanted %u", got->gso_type,
		 want->gso_type);
	kt_check(got->gso_size == want->gso_size, "gso size %u, wanted %u", got->gso_size,
		 want->gso_size);
	kt_check(got->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, "flags %#x", got->flags);
	kt_check(got->csum_start == want->csum_start && got->csum_offset == want->csum_offset,
		 "checksum at %u+%u, wanted %u+%u", got->csum_start, got->csum_offset,
		 want->csum_start, want->csum_offset);
}

static void check_ip(size_t len, size_t want_len, int proto, uint32_t want)
{
	const char *why;
	uint32_t seq = ~0u;

	kt_check(len == want_len, "frame of %zu bytes, wanted %zu", len, want_len);
	why = vg_frame_ip_check(in, len, proto, true, &seq);
	kt_check(!why, "bad frame: %s", why);
	kt_check(seq == want, "frame %u, wanted %u", seq, want);
}

static const size_t payloads[] = { 1461, 2000, 4096, 8000, 16384, 30001, 65000, MAX_PAYLOAD };

/* A frame for a TAP with offloads is cut by the host's stack from 65,536 bytes on. */
static const size_t to_payloads[] = { 1461, 2000, 4096, 8000, 16384, 30001, 65000, 65481 };

/* The guest sends; the host's socket sees the frame whole, with its header. */
static void from_guest(long sndbuf)
{
	struct vg_net *n = card(0, VG_BASIC, 0, sndbuf);
	struct virtio_net_hdr h = gso_hdr(IPPROTO_TCP, VIRTIO_NET_HDR_GSO_TCPV4, 1448), got;
	unsigned int i, r;
	size_t len, glen;

	for (r = 0; r < 5; r++) {
		for (i = 0; i < ARRAY_SIZE(payloads); i++) {
			uint32_t seq = r * 100 + i;

			len = vg_frame_ip(out, IPPROTO_TCP, 5000, 80, payloads[i], seq, true);
			kt_check(vg_tx(&n->q[0], out, len, &h), "no room to send");
			vg_ring_kick(&n->q[0].ring[VG_TX]);
			kt_check(vg_host_recv(n, in, sizeof(in), &glen, &got, VG_STALL_MS),
				 "frame %u did not arrive", seq);
			check_ip(glen, len, IPPROTO_TCP, seq);
			same_hdr(&got, &h);
			kt_check(vg_ring_wait(&n->q[0].ring[VG_TX], VG_STALL_MS), "not used");
			vg_tx_reap(&n->q[0]);
		}
	}
	vg_alive(n);
}

/* A checksum left to the device, without segmentation. */
static void csum_from_guest(long proto)
{
	struct vg_net *n = card(0, VG_BASIC, 0, 0);
	struct virtio_net_hdr h = gso_hdr(proto, VIRTIO_NET_HDR_GSO_NONE, 0), got;
	uint32_t seq;
	size_t len, glen;

	/* hdr_len is a hint only; left out, the device works it out. */
	h.hdr_len = 0;
	for (seq = 0; seq < 100; seq++) {
		len = vg_frame_ip(out, proto, 5000, 80, 4 + seq * 14, seq, true);
		kt_check(vg_tx(&n->q[0], out, len, &h), "no room to send");
		vg_ring_kick(&n->q[0].ring[VG_TX]);
		kt_check(vg_host_recv(n, in, sizeof(in), &glen, &got, VG_STALL_MS),
			 "frame %u did not arrive", seq);
		check_ip(glen, len, proto, seq);
		same_hdr(&got, &h);
		kt_check(vg_ring_wait(&n->q[0].ring[VG_TX], VG_STALL_MS), "not used");
		vg_tx_reap(&n->q[0]);
	}
}

static bool guest_takes(struct vg_net *n, size_t *len, struct virtio_net_hdr_mrg_rxbuf *h)
{
	if (!vg_ring_wait(&n->q[0].ring[VG_RX], VG_STALL_MS))
		return false;
	return vg_rx(&n->q[0], in, sizeof(in), len, h);
}

/* The host sends; the guest, whose TAP has the offloads, gets the frame whole. */
static void to_guest(long rx_buf)
{
	uint64_t features = rx_buf ? VG_BASIC : VG_BASIC & ~BIT(VIRTIO_NET_F_MRG_RXBUF);
	struct vg_net *n = card(TUN_F_CSUM | TUN_F_TSO4, features, rx_buf, 0);
	struct virtio_net_hdr h = gso_hdr(IPPROTO_TCP, VIRTIO_NET_HDR_GSO_TCPV4, 1448);
	struct virtio_net_hdr_mrg_rxbuf got;
	unsigned int i, r;
	size_t len, glen;

	for (r = 0; r < 5; r++) {
		for (i = 0; i < ARRAY_SIZE(to_payloads); i++) {
			uint32_t seq = r * 100 + i;

			vg_rx_fill(&n->q[0]);
			vg_ring_kick(&n->q[0].ring[VG_RX]);
			len = vg_frame_ip(out, IPPROTO_TCP, 80, 5000, to_payloads[i], seq, true);
			vg_host_send(n, out, len, &h);
			kt_check(guest_takes(n, &glen, &got), "frame %u did not arrive", seq);
			check_ip(glen, len, IPPROTO_TCP, seq);
			same_hdr(&got.hdr, &h);
			kt_check(!rx_buf || got.num_buffers ==
						    (glen + n->hdr_len + rx_buf - 1) / rx_buf,
				 "%u buffers of %ld for %zu bytes", got.num_buffers, rx_buf, glen);
		}
	}
}

/* Without offloads the host's stack segments: the pieces are right and complete. */
static void segmented(long arg)
{
	struct vg_net *n = card(0, VG_BASIC, 2048, 0);
	struct virtio_net_hdr h = gso_hdr(IPPROTO_TCP, VIRTIO_NET_HDR_GSO_TCPV4, 1448);
	struct virtio_net_hdr_mrg_rxbuf got;
	size_t len, glen, at = 0, total = 20000;
	static uint8_t want[70000];

	(void)arg;
	len = vg_frame_ip(out, IPPROTO_TCP, 80, 5000, total, 7, true);
	memcpy(want, out + TCP_HDRS, total);
	vg_rx_fill(&n->q[0]);
	vg_ring_kick(&n->q[0].ring[VG_RX]);
	vg_host_send(n, out, len, &h);
	while (at < total) {
		kt_check(guest_takes(n, &glen, &got), "the rest from byte %zu did not come", at);
		kt_check(got.hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE && !got.hdr.flags,
			 "a header with offloads");
		kt_check(glen > TCP_HDRS && glen - TCP_HDRS <= 1448, "segment of %zu bytes", glen);
		kt_check(!memcmp(in + TCP_HDRS, want + at, glen - TCP_HDRS),
			 "the payload differs behind byte %zu", at);
		at += glen - TCP_HDRS;
	}
	kt_check(at == total, "%zu bytes of payload, wanted %zu", at, total);
}

/* A header that makes no sense is the guest's own loss; the ring goes on. */
static void bad_header(long sndbuf)
{
	static const struct virtio_net_hdr bad[] = {
		{ .gso_type = 0x7f },
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 65535, .csum_offset = 65535 },
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 5000, .csum_offset = 2 },
		{ .flags = 0xff,
		  .gso_type = 0xff,
		  .hdr_len = 0xffff,
		  .gso_size = 0xffff,
		  .csum_start = 0xffff,
		  .csum_offset = 0xffff },
		{ .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 0 },
		{ .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1, .hdr_len = 60000 },
		{ .gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 1 },
		{ .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
		  .gso_size = 100,
		  .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		  .csum_start = 54,
		  .csum_offset = 16 },
		{ .hdr_len = 0xffff },
	};
	struct vg_net *n = card(0, VG_BASIC, 0, sndbuf);
	struct vg_queue *q = &n->q[0];
	unsigned int i, r;
	size_t len;

	for (r = 0; r < 3; r++) {
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			len = r == 2 ? 14 :
				       vg_frame_ip(out, IPPROTO_TCP, 5000, 80, r ? 5000 : 500, i,
						   true);
			kt_check(vg_tx(q, out, len, &bad[i]), "no room to send");
			vg_ring_kick(&q->ring[VG_TX]);
			/*
			 * Stock may leave such a frame where it is and look at it
			 * again later; sent or not, it must not come back wrong.
			 */
			if (vg_ring_wait(&q->ring[VG_TX], 300))
				vg_tx_reap(q);
		}
	}
	usleep(200000);
	/* Whatever became of them: a ring started anew works. */
	vg_queue_stop(q, VG_TX);
	vg_queue_forget(q, VG_TX);
	vg_ring_reset(&q->ring[VG_TX], 0);
	vg_queue_setup(q, VG_TX, 0);
	vg_queue_start(q, VG_TX);
	vg_host_drain(n);
	vg_ring_erred(&q->ring[VG_TX], 0);
	vg_alive(n);
}

static const struct kt_case cases[] = {
	{ "TSO frames of the guest arrive whole", from_guest, 0 },
	{ "TSO frames of the guest arrive whole with a limited send buffer", from_guest, 4000000 },
	{ "a TCP checksum left to the host", csum_from_guest, IPPROTO_TCP },
	{ "a UDP checksum left to the host", csum_from_guest, IPPROTO_UDP },
	{ "TSO frames to the guest in one large buffer", to_guest, 0 },
	{ "TSO frames to the guest in merged buffers of 1526", to_guest, 1526 },
	{ "TSO frames to the guest in merged buffers of 4096", to_guest, 4096 },
	{ "a guest without offloads gets segments", segmented, 0 },
	{ "headers without sense", bad_header, 0 },
	{ "headers without sense with a limited send buffer", bad_header, 4000000 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
