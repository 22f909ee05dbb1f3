// SPDX-License-Identifier: GPL-2.0-only
/*
 * net_cost.c - what a packet costs the host's side of a network card
 *
 * Run where virtual time counts instructions (scripts/lab run --icount): then the time that tasks
 * ran, of their schedstat, is instructions, and repeats. The test plays guest and host in
 * userspace; none of that is counted. All other tasks of the system are, whoever works for the
 * card.
 *
 *   net_cost rx|tx BYTES BATCH ROUNDS WAY [ARGUMENT…]
 *
 * rx is from host to guest. BYTES: of the frame, 14 to 1514. BATCH: frames that are there when
 * the back end begins, 1 to 200: the test runs at a real-time priority, so that the back end does
 * only when all are. WAY says who carries the frames:
 *
 *   device              the vhost device SHUNT_DEV
 *   user TAP SOCKET     a vhost-user back end, which has the TAP
 *   qemu TAP COMMAND…   a virtio-net-pci of QEMU, at addr=4, with ctrl_vq=off
 *
 * Prints instructions a packet, and of which tasks. Rings are SHUNT_TEST_RING.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "profile.h"
#include "task.h"
#include "vguest.h"

#define WARM_UP	 4 /* rounds that are not counted */
#define STALL_MS 2000

static char *const *args;
static const char *way;

static struct vg_qemu qemu;
static struct vg_tasks before, after;

/* Let the back end run. Not always as long, so as not to keep time with a profiler. */
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
	uint64_t end = vg_ms() + STALL_MS;

	for (i = 0; i < batch; i++)
		vg_host_send(n, frame, len, &none);
	while (done < batch) {
		kt_check(vg_ms() < end, "%u of %u frames arrive", done, batch);
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
	uint64_t end = vg_ms() + STALL_MS;

	for (i = 0; i < batch; i++)
		kt_check(vg_tx(&n->q[0], frame, len, &none), "no room for frame %u", i);
	vg_ring_kick(&n->q[0].ring[VG_TX]);
	while (done < batch) {
		kt_check(vg_ms() < end, "%u of %u frames are taken", done, batch);
		rest();
		done += vg_tx_reap(&n->q[0]);
	}
}

/* A card that a back end of another process has, on the TAP of this name. */
static struct vg_net *card_of(const struct vg_opts *o, const char *tap, bool user)
{
	struct vg_net *n = vg_net_alloc(o);
	struct vg_ring *const ring[] = { &n->q[0].ring[VG_RX], &n->q[0].ring[VG_TX] };
	static uint8_t frame[64];
	int sock = -1;

	vg_queue_new(n, 0);
	if (user)
		sock = vg_user_connect(args[7]);
	else
		vg_qemu_start(&qemu, args + 7, n->mem);
	vg_link_up(tap, true);
	n->packet = vg_packet(tap);
	if (user) {
		vg_user_start(sock, n->mem, n->o.features, ring, 2);
		return n;
	}
	vg_qemu_device(&qemu, n->o.features, ring, 2);
	vg_frame(frame, sizeof(frame), 1, 0);
	kt_check(vg_tx(&n->q[0], frame, sizeof(frame), NULL), "no room for a frame");
	vg_qemu_find_kick(&qemu, ring[VG_TX]);
	vg_tx_reap(&n->q[0]);
	vg_qemu_first_kick(&qemu, ring[VG_RX]);
	return n;
}

static void run(long arg)
{
	const struct vg_opts o = { .depth = 256, .num = 256, .rx_buf = 1600, .regions = 1 };
	const struct sched_param param = { .sched_priority = 1 };
	const bool rx = !strcmp(args[1], "rx");
	const size_t len = atoi(args[2]);
	const unsigned int batch = atoi(args[3]), rounds = atoi(args[4]);
	static uint8_t frame[2048];
	struct vg_net *n;
	unsigned int i;

	(void)arg;
	if (!strcmp(way, "device"))
		n = vg_net_new(&o);
	else
		n = card_of(&o, args[6], !strcmp(way, "user"));
	kt_sys(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param));
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
			vg_profile_begin();
			vg_tasks(&before);
		}
		(rx ? receive : transmit)(n, frame, len, batch);
	}
	usleep(20000);
	vg_tasks(&after);
	vg_profile_end();
	vg_tasks_print(&before, &after, 0, rounds * batch);
	if (qemu.pid)
		vg_qemu_end(&qemu);
}

static bool understood(int argc)
{
	if (argc < 6 || (strcmp(args[1], "rx") && strcmp(args[1], "tx")))
		return false;
	way = args[5];
	if (strcmp(way, "device") && (argc < 8 || (strcmp(way, "user") && strcmp(way, "qemu"))))
		return false;
	return atoi(args[2]) >= VG_FRAME_MIN && atoi(args[2]) <= 1514 && atoi(args[3]) >= 1 &&
	       atoi(args[3]) <= 200 && atoi(args[4]) >= 1;
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = { { .name = "cost", .run = run, .seconds = 600 } };

	args = argv;
	if (!understood(argc)) {
		fprintf(stderr, "usage: net_cost rx|tx BYTES BATCH ROUNDS "
				"device|user TAP SOCKET|qemu TAP COMMAND...\n");
		return 2;
	}
	return kt_main(1, argv, cases, ARRAY_SIZE(cases));
}
