// SPDX-License-Identifier: GPL-2.0-only
/*
 * restart.c - a ring stopped and started again by GET and SET_VRING_BASE under
 * traffic goes on where it was: nothing twice, nothing lost that was accepted
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vguest.h"

/* Stop ring @i, check where it stopped, and leave it stopped. */
static unsigned int stop(struct vg_queue *q, unsigned int i)
{
	struct vg_ring *r = &q->ring[i];
	unsigned int base = vg_queue_stop(q, i);

	kt_check((uint16_t)(r->avail_idx - vg_used_idx(r)) <= r->num, "ring %u: %u used of %u", i,
		 vg_used_idx(r), r->avail_idx);
	/* What was taken from the ring but not given back would be lost here. */
	kt_check(vg_ring_at(r) == base, "ring %u stopped at %#x, what was used ends at %#x", i,
		 base, vg_ring_at(r));
	return base;
}

struct state {
	unsigned int round, every, done;
	bool reopen;
};

/* Stop and start one ring, or both. */
static void restart(struct vg_net *n, void *arg)
{
	struct state *s = arg;
	struct vg_queue *q = &n->q[0];
	unsigned int i, base;

	if (++s->round % s->every)
		return;
	for (i = 0; i < 2; i++) {
		if ((s->round / s->every) % 3 == i)
			continue;
		base = stop(q, i);
		kt_sys(vg_vring_state(q->dev.fd, VHOST_SET_VRING_BASE, i, base));
		vg_queue_start(q, i);
	}
	s->done++;
}

/* Close the device and go on with a new one, as after a migration. */
static void reopen(struct vg_net *n, void *arg)
{
	struct state *s = arg;
	struct vg_queue *q = &n->q[0];
	unsigned int i, base[2];

	if (++s->round % s->every)
		return;
	for (i = 0; i < 2; i++)
		base[i] = stop(q, i);
	close(q->dev.fd);
	q->dev.fd = vg_open();
	kt_sys(ioctl(q->dev.fd, VHOST_SET_OWNER));
	kt_sys(vg_set_features(q->dev.fd, q->dev.features));
	kt_sys(vg_set_mem(q->dev.fd, n->mem));
	for (i = 0; i < 2; i++) {
		vg_queue_setup(q, i, base[i]);
		vg_queue_start(q, i);
	}
	s->done++;
}

static void under_traffic(struct vg_opts *o, void (*hook)(struct vg_net *, void *),
			  unsigned int every)
{
	struct state s = { .every = every };
	struct vg_net *n = vg_net_new(o);
	unsigned int runs;

	/* How often the hook is called is for the machine's speed to say. */
	for (runs = 0; s.done < 3; runs++) {
		struct vg_traffic t = {
			.tx = kt_scale(4000, 800),
			.rx = kt_scale(4000, 800),
			.hook = hook,
			.arg = &s,
		};

		kt_check(runs < 10, "only %u restarts", s.done);
		vg_run(n, &t);
	}
	kt_note("%u restarts", s.done);
}

static void by_base(long features)
{
	struct vg_opts o = { .features = features };

	under_traffic(&o, restart, 5);
}

static void by_base_large(long arg)
{
	struct vg_opts o = { .frame = 9014, .rx_buf = 1500, .indirect = true };

	(void)arg;
	under_traffic(&o, restart, 5);
}

static void by_base_sndbuf(long sndbuf)
{
	struct vg_opts o = { .frame = 9014, .sndbuf = sndbuf };

	under_traffic(&o, restart, 5);
}

static void by_reopen(long arg)
{
	struct vg_opts o = { .frame = 1514 };

	(void)arg;
	under_traffic(&o, reopen, 5);
}

/* A stopped ring does not move, and what is offered to it meanwhile goes out later. */
static void stopped(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	unsigned int base, i, queue;
	static uint8_t f[2048];
	uint32_t seq;
	size_t len;

	(void)arg;
	vg_alive(n);
	base = stop(q, VG_TX);
	for (i = 0; i < 50; i++) {
		vg_frame(f, 100, i, 0);
		kt_check(vg_tx(q, f, 100, NULL), "no room to send");
	}
	vg_ring_kick_always(&q->ring[VG_TX]);
	kt_check(!vg_host_recv(n, f, sizeof(f), &len, NULL, 300), "a stopped ring sent");
	kt_check(vg_ring_at(&q->ring[VG_TX]) == base, "a stopped ring moved");
	kt_check(vg_get_base(q->dev.fd, VG_TX) == base, "the base of a stopped ring moved");
	vg_queue_start(q, VG_TX);
	/* No kick: what waits at the start is looked at. */
	for (i = 0; i < 50; i++) {
		const char *why;

		kt_check(vg_host_recv(n, f, sizeof(f), &len, NULL, VG_STALL_MS),
			 "frame %u, offered to the stopped ring, did not come", i);
		why = vg_frame_check(f, len, &seq, &queue);
		kt_check(!why && seq == i, "frame %u: %s", i, why ? why : "out of order");
	}
}

/* Base, size and back end of a running ring are not to be changed. */
static void running(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	int fd = n->q[0].dev.fd;

	(void)arg;
	kt_errno(vg_vring_state(fd, VHOST_SET_VRING_BASE, VG_TX, 0), EBUSY);
	kt_errno(vg_vring_state(fd, VHOST_SET_VRING_NUM, VG_TX, 128), EBUSY);
	vg_alive(n);
	vg_queue_stop(&n->q[0], VG_TX);
	if (!vg_packed())
		kt_errno(vg_vring_state(fd, VHOST_SET_VRING_BASE, VG_TX, 0x10000), EINVAL);
}

/* One ring is given up and started anew from zero while the other goes on. */
static void ring_reset(long i)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	unsigned int round;

	if (i == VG_TX && vg_is_shunt())
		kt_check(vg_features(q->dev.fd) & BIT(VIRTIO_F_RING_RESET),
			 "RING_RESET is not offered");
	for (round = 0; round < 10; round++) {
		struct vg_traffic other = { .tx = i == VG_RX ? 50 : 0, .rx = i == VG_TX ? 50 : 0 };

		vg_alive(n);
		vg_queue_stop(q, i);
		vg_queue_forget(q, i);
		vg_ring_reset(&q->ring[i], vg_ring_first(&q->ring[i]));
		if (i == VG_TX)
			vg_run(n, &other);
		vg_queue_setup(q, i, vg_ring_first(&q->ring[i]));
		vg_queue_start(q, i);
	}
	vg_alive(n);
}

#define NO_EVENT (VG_BASIC & ~BIT(VIRTIO_RING_F_EVENT_IDX))

static const struct kt_case cases[] = {
	{ "restarts under traffic with EVENT_IDX", by_base, VG_BASIC },
	{ "restarts under traffic without EVENT_IDX", by_base, NO_EVENT },
	{ "restarts under traffic with merged buffers and indirect tables", by_base_large, 0 },
	{ "restarts under traffic with a limited send buffer", by_base_sndbuf, 200000 },
	{ "a new device goes on from the base under traffic", by_reopen, 0 },
	{ "a stopped ring does not move", stopped, 0 },
	{ "base and size of a running ring stay", running, 0 },
	{ "the transmit ring is reset alone", ring_reset, VG_TX },
	{ "the receive ring is reset alone", ring_reset, VG_RX },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
