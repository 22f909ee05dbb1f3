// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_weight.c - a ring that never runs empty (CVE-2019-3900) keeps neither the
 * other ring, nor another device, nor a request to stop it waiting for ever
 */
#include <errno.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vguest.h"

struct flood {
	struct vg_net *n;
	volatile bool stop;
	uint64_t rounds;
};

/*
 * Every entry of the ring is always available: whatever was used is offered
 * again at once, by one that looks at nothing but what was used.
 */
static void *endless(void *arg)
{
	struct flood *fl = arg;
	struct vg_ring *r = &fl->n->q[0].ring[VG_TX];
	uint64_t gpa = fl->n->q[0].buf[VG_TX][0].gpa;

	vg_fill(r->mem, gpa, 0, 100);
	vg_frame(vg_va(r->mem, gpa + 12, 60), 60, 1, 0);
	vg_endless(r, gpa, 72, 0);
	while (!fl->stop) {
		vg_endless_again(r);
		vg_ring_kick(r);
		fl->rounds++;
	}
	return NULL;
}

/* How far the thread has seen the device come. */
static uint16_t used(const struct vg_ring *r)
{
	return __atomic_load_n(&r->last_used, __ATOMIC_RELAXED);
}

/* Reception and a stop go through while transmission never ends. */
static void transmit(long arg)
{
	struct vg_opts o = { .frame = 1514, .num = 1024, .depth = 64 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	struct flood fl = { .n = n };
	static uint8_t f[70000];
	unsigned int i, queue, base;
	uint16_t seen;
	pthread_t t;
	uint32_t seq;
	size_t len;

	vg_host_deaf(n, true);
	kt_check(!pthread_create(&t, NULL, endless, &fl), "pthread_create");
	for (i = 0; i < 100; i++) {
		const char *why;

		vg_rx_fill(q);
		vg_ring_kick(&q->ring[VG_RX]);
		vg_frame(f, 400, i, 0);
		vg_host_send(n, f, 400, NULL);
		kt_check(vg_ring_wait(&q->ring[VG_RX], VG_STALL_MS),
			 "frame %u does not come in while the other ring is busy", i);
		kt_check(vg_rx(q, f, sizeof(f), &len, NULL), "nothing there");
		why = vg_frame_check(f, len, &seq, &queue);
		kt_check(!why && seq == i, "frame %u: %s", i, why ? why : "another");
	}
	seen = used(&q->ring[VG_TX]);
	for (i = 0; i < 200 && used(&q->ring[VG_TX]) == seen; i++)
		usleep(10000);
	kt_check(used(&q->ring[VG_TX]) != seen, "transmission stands still");
	for (i = 0; i < 10; i++) {
		base = vg_queue_stop(q, VG_TX);
		kt_sys(vg_vring_state(q->dev.fd, VHOST_SET_VRING_BASE, VG_TX, base));
		vg_queue_start(q, VG_TX);
		kt_sys(vg_set_mem(q->dev.fd, n->mem));
		kt_sys(vg_vring_file(q->dev.fd, VHOST_SET_VRING_CALL, VG_RX, q->ring[VG_RX].call));
		usleep(5000);
	}
	/* Closed while it floods. */
	if (arg) {
		close(q->dev.fd);
		fl.stop = true;
		pthread_join(t, NULL);
		return;
	}
	vg_queue_stop(q, VG_TX);
	fl.stop = true;
	pthread_join(t, NULL);
	vg_ring_reset(&q->ring[VG_TX], vg_ring_first(&q->ring[VG_TX]));
	vg_queue_setup(q, VG_TX, vg_ring_first(&q->ring[VG_TX]));
	vg_queue_start(q, VG_TX);
	vg_ring_erred(&q->ring[VG_TX], 0);
	vg_host_deaf(n, false);
	vg_alive(n);
}

/* Frames without end to the guest, whose ring is always full of buffers. */
static void *host_floods(void *arg)
{
	struct flood *fl = arg;
	static uint8_t f[200];

	vg_frame(f, 100, 1, 0);
	while (!fl->stop) {
		vg_host_send(fl->n, f, 100, NULL);
		fl->rounds++;
	}
	return NULL;
}

static void *guest_feeds(void *arg)
{
	struct flood *fl = arg;
	struct vg_ring *r = &fl->n->q[0].ring[VG_RX];
	uint64_t gpa = fl->n->q[0].buf[VG_RX][0].gpa;

	vg_endless(r, gpa, 1500, VRING_DESC_F_WRITE);
	while (!fl->stop) {
		vg_endless_again(r);
		vg_ring_kick(r);
	}
	return NULL;
}

static void receive(long arg)
{
	struct vg_opts o = { .frame = 1514, .num = 1024, .depth = 64 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	struct flood fl = { .n = n };
	static uint8_t f[2048];
	unsigned int i, queue, base;
	pthread_t t[2];
	uint32_t seq;
	size_t len;

	(void)arg;
	kt_check(!pthread_create(&t[0], NULL, host_floods, &fl), "pthread_create");
	kt_check(!pthread_create(&t[1], NULL, guest_feeds, &fl), "pthread_create");
	for (i = 0; i < 50; i++) {
		const char *why;

		vg_frame(f, 400, i, 0);
		kt_check(vg_tx(q, f, 400, NULL), "no room to send");
		vg_ring_kick(&q->ring[VG_TX]);
		kt_check(vg_host_recv(n, f, sizeof(f), &len, NULL, VG_STALL_MS),
			 "frame %u does not go out while the other ring is busy", i);
		why = vg_frame_check(f, len, &seq, &queue);
		kt_check(!why && seq == i, "frame %u: %s", i, why ? why : "another");
		kt_check(vg_ring_wait(&q->ring[VG_TX], VG_STALL_MS), "not used");
		vg_tx_reap(q);
	}
	for (i = 0; i < 10; i++) {
		base = vg_queue_stop(q, VG_RX);
		kt_sys(vg_vring_state(q->dev.fd, VHOST_SET_VRING_BASE, VG_RX, base));
		vg_queue_start(q, VG_RX);
		usleep(5000);
	}
	vg_queue_stop(q, VG_RX);
	fl.stop = true;
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
}

static const struct kt_case cases[] = {
	{ "a transmit ring that never runs empty", transmit, 0 },
	{ "a transmit ring that never runs empty is closed", transmit, 1 },
	{ "frames to the guest without end", receive, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
