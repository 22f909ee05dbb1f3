// SPDX-License-Identifier: GPL-2.0-only
/*
 * notify.c - calls come when the driver wants them and not when it does not:
 * EVENT_IDX, the flag of the available ring, NOTIFY_ON_EMPTY
 */
#include <poll.h>
#include <unistd.h>

#include "vguest.h"

#define NO_EVENT (VG_BASIC & ~BIT(VIRTIO_RING_F_EVENT_IDX))

static uint8_t f[2048];

static bool called(struct vg_ring *r)
{
	uint64_t v;

	return read(r->call, &v, sizeof(v)) == sizeof(v);
}

static void send(struct vg_net *n, unsigned int count)
{
	while (count--) {
		vg_frame(f, 64, 0, 0);
		kt_check(vg_tx(&n->q[0], f, 64, NULL), "no room to send");
	}
	vg_ring_kick_always(&n->q[0].ring[VG_TX]);
}

/* Wait, by looking, until the transmit ring has nothing in flight. */
static void settle(struct vg_net *n)
{
	struct vg_ring *r = &n->q[0].ring[VG_TX];
	uint64_t end = vg_ms() + VG_STALL_MS;

	while (vg_used_idx(r) != r->avail_idx) {
		kt_check(vg_ms() < end, "%u of %u used", vg_used_idx(r), r->avail_idx);
		usleep(1000);
	}
	/* A call, if there is one, follows the index: let it. */
	usleep(50000);
}

/* Traffic with few calls: a driver that polls is not called. */
static void traffic(long features)
{
	struct vg_opts o = { .features = features };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = { .tx = kt_scale(5000, 500), .rx = kt_scale(5000, 500) };

	vg_run(n, &t);
	kt_note("%llu kicks and %llu calls for %u frames to the host, %llu and %llu to the guest",
		(unsigned long long)n->q[0].ring[VG_TX].kicks,
		(unsigned long long)n->q[0].ring[VG_TX].calls, t.tx,
		(unsigned long long)n->q[0].ring[VG_RX].kicks,
		(unsigned long long)n->q[0].ring[VG_RX].calls);
	kt_check(n->q[0].ring[VG_TX].calls < t.tx, "a call for each frame");
}

static void disarmed(long features)
{
	struct vg_opts o = { .features = features };
	struct vg_net *n = vg_net_new(&o);
	struct vg_ring *r = &n->q[0].ring[VG_TX];
	unsigned int i;

	/* The first call after a start may come unasked. */
	send(n, 1);
	settle(n);
	vg_tx_reap(&n->q[0]);
	for (i = 0; i < 20; i++) {
		vg_ring_disarm(r);
		called(r);
		send(n, 10);
		settle(n);
		kt_check(!called(r), "a call that was not wanted, round %u", i);
		vg_tx_reap(&n->q[0]);
		kt_check(!vg_ring_arm(r), "more used than sent");
		send(n, 1);
		settle(n);
		kt_check(called(r), "no call that was wanted, round %u", i);
		vg_tx_reap(&n->q[0]);
	}
}

/* With EVENT_IDX a driver asks for the call at the Nth chain from here. */
static void event_at(long nth)
{
	struct vg_opts o = { .features = VG_BASIC };
	struct vg_net *n = vg_net_new(&o);
	struct vg_ring *r = &n->q[0].ring[VG_TX];
	unsigned int i, round;

	send(n, 1);
	settle(n);
	vg_tx_reap(&n->q[0]);
	for (round = 0; round < 10; round++) {
		vg_ring_arm_at(r, nth - 1);
		called(r);
		for (i = 1; i < nth; i++)
			send(n, 1);
		settle(n);
		kt_check(!called(r), "a call before chain %ld", nth);
		send(n, 1);
		settle(n);
		kt_check(called(r), "no call at chain %ld", nth);
		vg_tx_reap(&n->q[0]);
	}
}

/* A driver that wants no calls is called all the same when the ring runs empty. */
static void on_empty(long features)
{
	struct vg_opts o = { .features = features | BIT(VIRTIO_F_NOTIFY_ON_EMPTY) };
	struct vg_net *n = vg_net_new(&o);
	struct vg_ring *r = &n->q[0].ring[VG_TX];
	unsigned int i;

	send(n, 1);
	settle(n);
	vg_tx_reap(&n->q[0]);
	for (i = 0; i < 20; i++) {
		vg_ring_disarm(r);
		called(r);
		send(n, 1 + i % 5);
		settle(n);
		kt_check(called(r), "no call when the ring ran empty, round %u", i);
		vg_tx_reap(&n->q[0]);
	}
}

/* A call eventfd that is taken away or changed under way. */
static void call_changed(long arg)
{
	struct vg_opts o = { .features = NO_EVENT };
	struct vg_net *n = vg_net_new(&o);
	struct vg_ring *r = &n->q[0].ring[VG_TX];
	int p[2];

	(void)arg;
	vg_ring_arm(r);
	kt_sys(vg_vring_file(n->q[0].dev.fd, VHOST_SET_VRING_CALL, VG_TX, -1));
	send(n, 3);
	settle(n);
	kt_check(!called(r), "a call through an eventfd that was taken away");
	vg_tx_reap(&n->q[0]);
	vg_host_drain(n);
	kt_sys(vg_vring_file(n->q[0].dev.fd, VHOST_SET_VRING_CALL, VG_TX, r->call));
	vg_alive(n);
	/* The same for the kick: without one nothing goes, with it all goes. */
	kt_sys(vg_vring_file(n->q[0].dev.fd, VHOST_SET_VRING_KICK, VG_TX, -1));
	kt_sys(vg_vring_file(n->q[0].dev.fd, VHOST_SET_VRING_KICK, VG_TX, r->kick));
	vg_alive(n);
	kt_sys(pipe(p));
	kt_refused(vg_vring_file(n->q[0].dev.fd, VHOST_SET_VRING_CALL, VG_TX, p[0]));
	vg_alive(n);
}

static const struct kt_case cases[] = {
	{ "traffic with EVENT_IDX", traffic, VG_BASIC },
	{ "traffic without EVENT_IDX", traffic, NO_EVENT },
	{ "no call unless wanted with EVENT_IDX", disarmed, VG_BASIC },
	{ "no call unless wanted without EVENT_IDX", disarmed, NO_EVENT },
	{ "a call at the 1st chain", event_at, 1 },
	{ "a call at the 2nd chain", event_at, 2 },
	{ "a call at the 50th chain", event_at, 50 },
	{ "NOTIFY_ON_EMPTY", on_empty, NO_EVENT, .on = VG_ON_ANY_SPLIT },
	{ "call and kick eventfds changed under way", call_changed, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
