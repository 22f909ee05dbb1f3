// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_threads.c - requests from several threads at once under traffic: each is
 * served or refused, and the traffic loses nothing
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vguest.h"

struct meddler {
	struct vg_net *n;
	volatile bool *stop;
	void (*run)(struct vg_net *n, unsigned int round);
	unsigned int rounds;
};

static void *meddle(void *arg)
{
	struct meddler *m = arg;

	while (!*m->stop) {
		m->run(m->n, m->rounds++);
		usleep(500);
	}
	return NULL;
}

static pthread_mutex_t restart_lock = PTHREAD_MUTEX_INITIALIZER;

/* Stop and start a ring, as a VMM's one thread would. */
static void restarts(struct vg_net *n, unsigned int round)
{
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[round % 2];
	unsigned int base;

	pthread_mutex_lock(&restart_lock);
	base = vg_queue_stop(q, round % 2);
	kt_sys(vg_vring_state(q->dev.fd, VHOST_SET_VRING_BASE, round % 2, base));
	/* Stock cannot start while another thread makes it forget its translations. */
	while (vg_vring_file(q->dev.fd, VHOST_NET_SET_BACKEND, round % 2, q->backend)) {
		kt_check(n->o.iotlb && errno == EFAULT, "start: %m");
		kt_sys(vg_iotlb_map(&q->dev, r->used_gpa, vg_ring_used_bytes(r), VHOST_ACCESS_RW));
	}
	pthread_mutex_unlock(&restart_lock);
	usleep(3000);
}

static void tables(struct vg_net *n, unsigned int round)
{
	(void)round;
	kt_sys(vg_set_mem(n->q[0].dev.fd, n->mem));
}

static void eventfds(struct vg_net *n, unsigned int round)
{
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[round % 2];

	kt_sys(vg_vring_file(q->dev.fd, VHOST_SET_VRING_CALL, round % 2, r->call));
	kt_sys(vg_vring_file(q->dev.fd, VHOST_SET_VRING_ERR, round % 2, -1));
	kt_sys(vg_vring_file(q->dev.fd, VHOST_SET_VRING_ERR, round % 2, r->err));
	kt_sys(vg_vring_file(q->dev.fd, VHOST_SET_VRING_KICK, round % 2, -1));
	kt_sys(vg_vring_file(q->dev.fd, VHOST_SET_VRING_KICK, round % 2, r->kick));
	/* A kick between the two went nowhere: give it again. */
	eventfd_write(r->kick, 1);
}

static void words(struct vg_net *n, unsigned int round)
{
	int fd = n->q[0].dev.fd;
	char val[64];

	vg_features(fd);
	kt_sys(vg_set_features(fd, n->q[0].dev.features));
	kt_sys(vg_vring_state(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, round % 2, round % 3 * 20));
	kt_refused(ioctl(fd, VHOST_SET_OWNER));
	kt_refused(vg_vring_state(fd, VHOST_SET_VRING_NUM, 5, 256));
	vg_fdinfo(fd, "shunt-id", val, sizeof(val));
	close(vg_open());
}

static void logs(struct vg_net *n, unsigned int round)
{
	static struct vg_pages *log;
	uint64_t base;
	int e, fd = n->q[0].dev.fd;

	if (!log)
		log = vg_pages_new(n->mem);
	base = (uintptr_t)log->bits;
	kt_sys(ioctl(fd, VHOST_SET_LOG_BASE, &base));
	e = round % 2 ? -1 : eventfd(0, 0);
	kt_sys(ioctl(fd, VHOST_SET_LOG_FD, &e));
	if (e >= 0)
		close(e);
	kt_sys(vg_set_features(fd, n->q[0].dev.features | (round % 2 ? 0 : BIT(VHOST_F_LOG_ALL))));
}

static void all(long iotlb)
{
	void (*const runs[])(struct vg_net *, unsigned int) = {
		restarts, tables, eventfds, words, logs,
	};
	struct vg_opts o = { .frame = 1514, .iotlb = iotlb, .depth = 64 };
	struct vg_net *n = vg_net_new(&o);
	struct meddler m[ARRAY_SIZE(runs)];
	pthread_t t[ARRAY_SIZE(runs)];
	volatile bool stop = false;
	unsigned int i, nr = ARRAY_SIZE(runs);
	struct vg_traffic tr = { .tx = kt_scale(3000, 500), .rx = kt_scale(3000, 500) };

	for (i = 0; i < nr; i++) {
		m[i] = (struct meddler){ n, &stop, runs[i], 0 };
		kt_check(!pthread_create(&t[i], NULL, meddle, &m[i]), "pthread_create");
	}
	/* A start that stock refuses for want of a translation counts as an error there. */
	tr.errs = iotlb && !vg_is_shunt();
	vg_run(n, &tr);
	stop = true;
	for (i = 0; i < nr; i++) {
		pthread_join(t[i], NULL);
		kt_check(m[i].rounds, "thread %u did not get to run", i);
	}
	kt_note("%u restarts, %u tables, %u eventfds, %u words", m[0].rounds, m[1].rounds,
		m[2].rounds, m[3].rounds);
	for (i = 0; tr.errs && i < 2; i++)
		vg_ring_erred(&n->q[0].ring[i], 0);
	vg_alive(n);
}

static void asks(struct vg_net *n, unsigned int round)
{
	int fd = n->q[0].dev.fd;
	struct vhost_vring_state s = { .index = round % 2 };

	/* Refused once the owner is reset: any answer is right. */
	vg_set_mem(fd, n->mem);
	vg_vring_file(fd, VHOST_SET_VRING_CALL, round % 2, n->q[0].ring[round % 2].call);
	ioctl(fd, VHOST_GET_VRING_BASE, &s);
	vg_set_features(fd, n->q[0].dev.features ^ (round % 3 ? 0 : BIT(VIRTIO_F_IN_ORDER)));
	vg_vring_file(fd, VHOST_NET_SET_BACKEND, round % 2, round % 5 ? n->q[0].backend : -1);
}

/* The owner is reset while other threads ask for this and that. */
static void torn_down(long arg)
{
	unsigned int round, i, seed = 99;

	(void)arg;
	for (round = 0; round < kt_scale(15, 5); round++) {
		struct vg_opts o = { .frame = 1514 };
		struct vg_net *n = vg_net_new(&o);
		volatile bool stop = false;
		struct meddler m[3];
		pthread_t t[3];

		vg_alive(n);
		for (i = 0; i < 3; i++) {
			m[i] = (struct meddler){ n, &stop, asks, i };
			kt_check(!pthread_create(&t[i], NULL, meddle, &m[i]), "pthread_create");
		}
		for (i = 0; i < 50; i++) {
			static uint8_t f[200];

			vg_frame(f, 200, i, 0);
			vg_tx(&n->q[0], f, 200, NULL);
			vg_ring_kick(&n->q[0].ring[VG_TX]);
			vg_host_send(n, f, 200, NULL);
		}
		usleep(rand_r(&seed) % 5000);
		kt_sys(ioctl(n->q[0].dev.fd, VHOST_RESET_OWNER));
		kt_sys(ioctl(n->q[0].dev.fd, VHOST_SET_OWNER));
		usleep(rand_r(&seed) % 5000);
		stop = true;
		for (i = 0; i < 3; i++)
			pthread_join(t[i], NULL);
		vg_net_free(n);
	}
	vg_alive(vg_net_new(&(struct vg_opts){ .frame = 1514 }));
}

static const struct kt_case cases[] = {
	{ "five threads", all, 0 },
	{ "five threads with an IOTLB", all, 2 },
	{ "reset under requests", torn_down, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
