// SPDX-License-Identifier: GPL-2.0-only
/*
 * net_cost.c - what a packet costs the worker of a vhost network device
 *
 * Run where virtual time counts instructions (scripts/lab run --icount): then the
 * time that the worker ran, of its schedstat, is instructions, and repeats. The
 * test plays guest and host in userspace; none of that is counted, as the worker
 * is a task of its own.
 *
 *   net_cost DIRECTION BYTES BATCH [ROUNDS]
 *
 * DIRECTION: rx (host to guest) or tx. BYTES: of the frame, 14 to 1514. BATCH:
 * frames that are there when the worker begins, 1 to 200: the test runs at a
 * real-time priority, so that the worker does only when all are. Prints
 * instructions a packet. The device is SHUNT_DEV, the rings are SHUNT_TEST_RING.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "task.h"
#include "vguest.h"

#define WARM_UP 4 /* rounds that are not counted */

static const char *const *args;

/* The worker that serves queue @queue of ours: a task's number. */
static int find_worker(int queue)
{
	char name[64];

	if (vg_is_shunt())
		snprintf(name, sizeof(name), "shunt-net-%d/%d", getpid(), queue);
	else
		snprintf(name, sizeof(name), "vhost-%d", getpid());
	return vg_find_task(name);
}

/* Let the worker run. Not always as long, so as not to keep time with a profiler. */
static void rest(void)
{
	usleep(31 + rand() % 211);
}

static void receive(struct vg_net *n, const uint8_t *frame, size_t len, unsigned int batch)
{
	struct virtio_net_hdr_mrg_rxbuf h;
	struct virtio_net_hdr none = {};
	static uint8_t got[2048];
	unsigned int i, done = 0;
	size_t size;

	for (i = 0; i < batch; i++)
		vg_host_send(n, frame, len, &none);
	while (done < batch) {
		if (vg_rx(&n->q[0], got, sizeof(got), &size, &h))
			done++;
		else
			rest();
	}
	vg_rx_fill(&n->q[0]);
	vg_ring_kick(&n->q[0].ring[VG_RX]);
}

static void transmit(struct vg_net *n, const uint8_t *frame, size_t len, unsigned int batch)
{
	struct virtio_net_hdr none = {};
	unsigned int i, done = 0;

	for (i = 0; i < batch; i++)
		kt_check(vg_tx(&n->q[0], frame, len, &none), "no room for frame %u", i);
	vg_ring_kick(&n->q[0].ring[VG_TX]);
	while (done < batch) {
		rest();
		done += vg_tx_reap(&n->q[0]);
	}
}

static void run(long arg)
{
	const struct vg_opts o = { .depth = 256, .num = 256, .rx_buf = 1600, .regions = 1 };
	const struct sched_param param = { .sched_priority = 1 };
	const bool rx = !strcmp(args[1], "rx");
	const size_t len = atoi(args[2]);
	const unsigned int batch = atoi(args[3]), rounds = args[4] ? atoi(args[4]) : 40;
	struct vg_net *n = vg_net_new(&o);
	const int worker = find_worker(rx ? VG_RX : VG_TX);
	static uint8_t frame[2048];
	uint64_t before = 0;
	unsigned int i;

	(void)arg;
	kt_sys(sched_setscheduler(0, SCHED_FIFO, &param));
	vg_host_deaf(n, true);
	vg_frame(frame, len, 1, 0);
	if (rx) {
		vg_rx_fill(&n->q[0]);
		vg_ring_kick(&n->q[0].ring[VG_RX]);
	}
	usleep(20000);
	for (i = 0; i < WARM_UP + rounds; i++) {
		if (i == WARM_UP) {
			usleep(20000);
			before = vg_ran(worker);
		}
		(rx ? receive : transmit)(n, frame, len, batch);
	}
	usleep(20000);
	printf("# cost %.0f\n", (double)(vg_ran(worker) - before) / (rounds * batch));
	vg_net_free(n);
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = { { .name = "cost", .run = run, .seconds = 600 } };

	args = (const char *const *)argv;
	if (argc < 4 || argc > 5 || (strcmp(argv[1], "rx") && strcmp(argv[1], "tx")) ||
	    atoi(argv[2]) < VG_FRAME_MIN || atoi(argv[2]) > 1514 || atoi(argv[3]) < 1 ||
	    atoi(argv[3]) > 200) {
		fprintf(stderr, "usage: net_cost rx|tx BYTES BATCH [ROUNDS]\n");
		return 2;
	}
	return kt_main(1, argv, cases, ARRAY_SIZE(cases));
}
