// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_tap.c - the back end fails under traffic: down, detached, deleted, too
 * small; the device outlives it, and goes on when it comes back
 */
#define _GNU_SOURCE
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vguest.h"

static uint8_t f[70000];

/* Frames both ways whose fate does not matter. */
static void push(struct vg_net *n, unsigned int count, unsigned int size)
{
	struct vg_queue *q = &n->q[0];
	size_t len;

	while (count--) {
		vg_frame(f, size, count, 0);
		vg_tx_reap(q);
		vg_tx(q, f, size, NULL);
		vg_ring_kick(&q->ring[VG_TX]);
		while (vg_rx(q, f, sizeof(f), &len, NULL))
			;
		if (vg_rx_fill(q))
			vg_ring_kick(&q->ring[VG_RX]);
		if (count % 16 == 0)
			usleep(1000);
	}
}

/* Let both rings come to rest, and throw away what came. */
static void settle(struct vg_net *n)
{
	struct vg_queue *q = &n->q[0];
	uint64_t end = vg_ms() + VG_STALL_MS;
	size_t len;

	while (q->ring[VG_TX].in_flight) {
		kt_check(vg_ms() < end, "%u frames are not taken", q->ring[VG_TX].in_flight);
		vg_ring_kick_always(&q->ring[VG_TX]);
		vg_ring_wait(&q->ring[VG_TX], 100);
		vg_tx_reap(q);
	}
	do {
		while (vg_rx(q, f, sizeof(f), &len, NULL))
			;
		if (vg_rx_fill(q))
			vg_ring_kick(&q->ring[VG_RX]);
	} while (vg_ring_wait(&q->ring[VG_RX], 150));
	vg_host_drain(n);
}

/* arg: bytes of a frame; small ones are batched, large ones are sent one by one */
static void down(long size)
{
	struct vg_opts o = { .frame = 9014 };
	struct vg_net *n = vg_net_new(&o);
	unsigned int i;

	for (i = 0; i < kt_scale(10, 4); i++) {
		vg_alive(n);
		push(n, 30, size);
		vg_link_up(n->ifname, false);
		push(n, 200, size);
		vg_link_up(n->ifname, true);
		settle(n);
	}
	vg_alive(n);
}

/* The queue is taken off its interface and put back. */
static void detached(long size)
{
	struct vg_opts o = { .frame = 9014, .pairs = 2 };
	struct vg_net *n = vg_net_new(&o);
	struct ifreq ifr;
	unsigned int i;

	for (i = 0; i < kt_scale(8, 4); i++) {
		memset(&ifr, 0, sizeof(ifr));
		push(n, 30, size);
		ifr.ifr_flags = IFF_DETACH_QUEUE;
		kt_sys(ioctl(n->q[0].backend, TUNSETQUEUE, &ifr));
		push(n, 200, size);
		ifr.ifr_flags = IFF_ATTACH_QUEUE;
		kt_sys(ioctl(n->q[0].backend, TUNSETQUEUE, &ifr));
		settle(n);
	}
}

/* Deleted from outside. The device can still be stopped, and given another. */
static void deleted(long size)
{
	struct vg_opts o = { .frame = 9014 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	unsigned int i;
	int tap;

	vg_alive(n);
	push(n, 100, size);
	if (system("ip link del vgtap0"))
		kt_fail("ip link del failed");
	push(n, 100, size);
	vg_queue_stop(q, VG_RX);
	vg_queue_stop(q, VG_TX);
	close(q->backend);
	tap = vg_tap("vgtap1", IFF_VNET_HDR, n->hdr_len, 0);
	vg_link_mtu("vgtap1", 9000);
	vg_link_up("vgtap1", true);
	close(n->packet);
	n->packet = vg_packet("vgtap1");
	q->backend = tap;
	/* That its frames were lost may have been reported as an error of the ring. */
	for (i = 0; i < 2; i++)
		vg_queue_anew(q, i);
	vg_alive(n);
}

/* The carrier is taken away and given back. */
static void carrier(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	unsigned int i;
	int on;

	(void)arg;
	for (i = 0; i < 6; i++) {
		on = 0;
		if (ioctl(n->q[0].backend, TUNSETCARRIER, &on))
			kt_skip("this kernel has no TUNSETCARRIER");
		push(n, 50, 500);
		on = 1;
		kt_sys(ioctl(n->q[0].backend, TUNSETCARRIER, &on));
		settle(n);
		vg_alive(n);
	}
}

/* Header sizes and filters of the TAP changed under traffic. */
static void reconfigured(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	static const int sizes[] = { 10, 12, 20, 10, 12 };
	unsigned int i;
	int sndbuf;

	(void)arg;
	for (i = 0; i < 40; i++) {
		int hdr = sizes[i % 5];

		kt_sys(ioctl(n->q[0].backend, TUNSETVNETHDRSZ, &hdr));
		vg_frame(f, 500, i, 0);
		vg_tx(&n->q[0], f, 500, NULL);
		vg_ring_kick_always(&n->q[0].ring[VG_TX]);
		vg_tx_reap(&n->q[0]);
		sndbuf = i % 2 ? 10000 : 0x7fffffff;
		kt_sys(ioctl(n->q[0].backend, TUNSETSNDBUF, &sndbuf));
		usleep(3000);
	}
	i = n->hdr_len;
	kt_sys(ioctl(n->q[0].backend, TUNSETVNETHDRSZ, &i));
	sndbuf = 0x7fffffff;
	kt_sys(ioctl(n->q[0].backend, TUNSETSNDBUF, &sndbuf));
	settle(n);
	vg_alive(n);
}

/* A full send buffer holds frames back, and lets them go later: none is lost. */
static void full(long arg)
{
	struct vg_opts o = { .frame = 9014, .sndbuf = 12000 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = { .tx = kt_scale(1500, 300),
				.rx = kt_scale(1500, 300),
				.window = 100 };

	(void)arg;
	vg_run(n, &t);
}

static const struct kt_case cases[] = {
	{ "down and up with small frames", down, 300 },
	{ "down and up with large frames", down, 9000 },
	{ "detached with small frames", detached, 300 },
	{ "detached with large frames", detached, 9000 },
	{ "deleted with small frames", deleted, 300 },
	{ "deleted with large frames", deleted, 9000 },
	{ "without a carrier", carrier, 0 },
	{ "reconfigured under traffic", reconfigured, 0 },
	{ "a full send buffer", full, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
