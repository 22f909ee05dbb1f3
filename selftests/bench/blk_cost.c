// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk_cost.c - what a request costs the worker of a disk
 *
 * Run where virtual time counts instructions (scripts/lab run --icount): then the time that
 * the worker ran, of its schedstat, is instructions, and repeats. The test plays the guest in
 * userspace, which is not counted, as the worker is a task of its own.
 *
 *   blk_cost DEPTH [ROUNDS]
 *
 * Reads of 4 KiB. DEPTH: requests that are there when the worker begins, 1 to 128: the test runs
 * at a real-time priority, so that the worker does only when all are; the next ones are offered
 * when all have been returned. Prints instructions a request, and how many requests were
 * returned at once. The disk is SHUNT_TEST_DISK, the rings are SHUNT_TEST_RING.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "task.h"
#include "vdisk.h"

#define DEPTH	128
#define WARM_UP 4 /* rounds that are not counted */

static const char *const *args;

/* Let the worker run. Not always as long, so as not to keep time with a timer. */
static void rest(void)
{
	usleep(31 + rand() % 211);
}

static void go_round(struct vd_disk *d, unsigned int depth)
{
	static uint8_t buf[DEPTH][4096];
	static struct vd_io io[DEPTH];
	unsigned int i, done = 0;

	for (i = 0; i < depth; i++) {
		io[i] = (struct vd_io){
			.type = VIRTIO_BLK_T_IN,
			.sector = 8ull * (i * 37 % 1024),
			.in = buf[i],
			.in_len = sizeof(buf[i]),
		};
		kt_check(vd_start(d, 0, &io[i]), "no room for request %u", i);
	}
	vg_ring_kick(&d->q[0].ring);
	while (done < depth) {
		struct vd_io *one;

		rest();
		while ((one = vd_reap(d, 0))) {
			kt_check(one->status == VIRTIO_BLK_S_OK, "a read failed");
			done++;
		}
	}
}

static void run(long arg)
{
	const struct vd_opts o = {
		.depth = DEPTH, .num = 256, .room = 4096, .indirect = true, .align = 4096
	};
	const struct sched_param param = { .sched_priority = 1 };
	const unsigned int depth = atoi(args[1]), rounds = args[2] ? atoi(args[2]) : 60;
	struct vd_disk *d = vd_new(&o);
	uint64_t before = 0, batches = 0;
	unsigned int i;
	char name[64];
	int worker;

	(void)arg;
	snprintf(name, sizeof(name), "shunt-blk-%d/0", getpid());
	worker = vg_find_task(name);
	kt_sys(sched_setscheduler(0, SCHED_FIFO, &param));
	for (i = 0; i < WARM_UP + rounds; i++) {
		if (i == WARM_UP) {
			usleep(20000);
			before = vg_ran(worker);
			batches = vg_fdinfo_u64(d->dev.fd, "vq0-batches");
		}
		go_round(d, depth);
	}
	usleep(20000);
	printf("# cost %.0f together %.1f\n", (double)(vg_ran(worker) - before) / (rounds * depth),
	       (double)(rounds * depth) / (vg_fdinfo_u64(d->dev.fd, "vq0-batches") - batches));
	vd_free(d);
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = { { .name = "cost", .run = run, .seconds = 600 } };

	args = (const char *const *)argv;
	if (argc < 2 || argc > 3 || atoi(argv[1]) < 1 || atoi(argv[1]) > DEPTH) {
		fprintf(stderr, "usage: blk_cost DEPTH [ROUNDS]\n");
		return 2;
	}
	return kt_main(1, argv, cases, ARRAY_SIZE(cases));
}
