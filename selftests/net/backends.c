// SPDX-License-Identifier: GPL-2.0-only
/*
 * backends.c - every kind of back end carries frames: a TAP with and without
 * its own headers, a macvtap, packet sockets
 */
#include "vguest.h"

#define NETHDR BIT(VHOST_NET_F_VIRTIO_NET_HDR)
#define LEGACY (VG_BASIC & ~(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF)))

static void run(struct vg_net *n)
{
	struct vg_traffic t = { .tx = kt_scale(2000, 300), .rx = kt_scale(2000, 300), .min = 14 };
	unsigned int i;

	vg_run(n, &t);
	for (i = 0; i < 2; i++) {
		vg_queue_setup(&n->q[0], i, vg_queue_stop(&n->q[0], i));
		vg_queue_start(&n->q[0], i);
	}
	vg_alive(n);
}

/* The device strips and adds the header itself. */
static void tap_plain(long features)
{
	struct vg_opts o = { .features = features | NETHDR, .no_vnet = true };

	run(vg_net_new(&o));
}

static void tap_plain_small(long arg)
{
	static const uint32_t cut[] = { 3, 8, 9, 50, 500 };
	struct vg_opts o = {
		.features = VG_BASIC | NETHDR,
		.no_vnet = true,
		.rx_buf = 300,
		.cut = cut,
		.ncut = ARRAY_SIZE(cut),
		.num = 1024,
	};

	(void)arg;
	run(vg_net_new(&o));
}

static void tap_legacy(long features)
{
	struct vg_opts o = { .features = features };

	run(vg_net_new(&o));
}

static void macvtap(long sndbuf)
{
	struct vg_opts o = { .frame = 1514 };
	int fd;

	(void)sndbuf;
	vg_netns();
	vg_veth("vga", "vgb");
	fd = vg_macvtap("vga", "vgm", 12);
	run(vg_net_on(&o, &fd, vg_packet("vgb")));
}

static void packet(long features)
{
	struct vg_opts o = { .features = features };
	int fd;

	vg_netns();
	vg_veth("vga", "vgb");
	fd = features & NETHDR ? vg_packet_plain("vga") : vg_packet("vga");
	run(vg_net_on(&o, &fd, vg_packet("vgb")));
}

static const struct kt_case cases[] = {
	{ "a TAP with legacy headers", tap_legacy, LEGACY, .on = VG_ON_SPLIT },
	{ "a TAP without headers", tap_plain, VG_BASIC },
	{ "a TAP without headers, guest before version 1", tap_plain, LEGACY, .on = VG_ON_SPLIT },
	{ "a TAP without headers, merged and cut buffers", tap_plain_small, 0 },
	{ "a macvtap", macvtap, 0 },
	{ "a packet socket without headers", packet, VG_BASIC | NETHDR },
	{ "a packet socket with headers", packet, LEGACY, .on = VG_ON_SPLIT },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
