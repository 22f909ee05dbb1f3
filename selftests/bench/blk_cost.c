// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk_cost.c - what a request costs the host's side of a disk
 *
 * Run where virtual time counts instructions (scripts/lab run --icount): then the time that tasks
 * ran, of their schedstat, is instructions, and repeats. The test plays the guest in userspace,
 * which is not counted. All other tasks of the system are, whoever works for the disk.
 *
 *   blk_cost read|write DEPTH ROUNDS WAY [ARGUMENT…]
 *
 * Requests of 4 KiB. DEPTH: requests that are there when the back end begins, 1 to 128: the test
 * runs at a real-time priority, so that the back end does only when all are; the next ones are
 * offered when all have been returned. WAY says who serves:
 *
 *   device          /dev/shunt-blk, the disk is SHUNT_TEST_DISK
 *   user SOCKET     a vhost-user back end
 *   qemu COMMAND…   a virtio-blk-pci of QEMU, at addr=4
 *   uring PATH      nobody: this process asks the device itself, by io_uring. That is counted.
 *   aio PATH        the same by the older kind of asynchronous requests, io_submit()
 *
 * Prints instructions a request, and of which tasks; of a device also how many requests were
 * returned at once. Rings are SHUNT_TEST_RING.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "bare.h"
#include "profile.h"
#include "task.h"
#include "vdisk.h"

#define DEPTH	 128
#define BYTES	 4096
#define PLACES	 1024 /* on the disk, of a request each */
#define WARM_UP	 4    /* rounds that are not counted */
#define STALL_MS 2000

static char *const *args;
static bool writes;
static unsigned int depth, rounds;
static const char *way;
static char *const *argument;

static struct vd_disk *disk;
static struct vg_qemu qemu;
static struct vg_tasks before, after;

static uint64_t sector(unsigned int i)
{
	return (uint64_t)BYTES / VD_SECTOR * (i * 37 % PLACES);
}

/* Let the back end run. Not always as long, so as not to keep time with a timer. */
static void rest(void)
{
	usleep(31 + rand() % 211);
}

static void offer(struct vd_io *io, unsigned int i, uint8_t *buf)
{
	*io = (struct vd_io){ .type = VIRTIO_BLK_T_IN, .sector = sector(i) };
	if (writes) {
		io->type = VIRTIO_BLK_T_OUT;
		io->out = buf;
		io->out_len = BYTES;
	} else {
		io->in = buf;
		io->in_len = BYTES;
	}
	kt_check(vd_start(disk, 0, io), "no room for request %u", i);
}

static void go_round(void)
{
	static uint8_t buf[DEPTH][BYTES];
	static struct vd_io io[DEPTH];
	unsigned int i, done = 0;
	uint64_t end = vg_ms() + STALL_MS;

	for (i = 0; i < depth; i++)
		offer(&io[i], i, buf[i]);
	vg_ring_kick(&disk->q[0].ring);
	while (done < depth) {
		struct vd_io *one;

		kt_check(vg_ms() < end, "%u of %u requests come back", done, depth);
		rest();
		while ((one = vd_reap(disk, 0))) {
			kt_check(one->status == VIRTIO_BLK_S_OK, "a request failed");
			done++;
		}
	}
}

/* A disk's memory and rings, without a device. */
static struct vd_disk *rings_only(const struct vd_opts *o)
{
	struct vd_disk *d = calloc(1, sizeof(*d));

	kt_check(d, "no memory");
	vd_defaults(d, o);
	vd_memory(d);
	return d;
}

static void begin(void)
{
	const struct vd_opts o = { .depth = DEPTH,
				   .num = 256,
				   .room = BYTES,
				   .indirect = true,
				   .align = 4096,
				   .regions = 1 };
	static uint8_t buf[BYTES];
	struct vg_ring *ring;
	struct vd_io io;

	if (!strcmp(way, "device")) {
		disk = vd_new(&o);
		return;
	}
	disk = rings_only(&o);
	ring = &disk->q[0].ring;
	if (!strcmp(way, "user")) {
		vg_user_start(vg_user_connect(argument[0]), disk->mem, disk->o.features, &ring, 1);
		return;
	}
	vg_qemu_start(&qemu, argument, disk->mem);
	vg_qemu_device(&qemu, disk->o.features, &ring, 1);
	offer(&io, 0, buf);
	vg_qemu_find_kick(&qemu, ring);
	kt_check(vd_reap(disk, 0) == &io && io.status == VIRTIO_BLK_S_OK, "a request failed");
}

static void run(long arg)
{
	const struct sched_param param = { .sched_priority = 1 };
	bool device = !strcmp(way, "device");
	uint64_t batches = 0;
	unsigned int i;

	(void)arg;
	begin();
	kt_sys(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param));
	for (i = 0; i < WARM_UP + rounds; i++) {
		if (i == WARM_UP) {
			usleep(20000);
			if (device)
				batches = vg_fdinfo_u64(disk->dev.fd, "vq0-batches");
			vg_profile_begin();
			vg_tasks(&before);
		}
		go_round();
	}
	usleep(20000);
	vg_tasks(&after);
	vg_profile_end();
	vg_tasks_print(&before, &after, 0, rounds * depth);
	if (device)
		printf("# together %.1f\n",
		       (double)(rounds * depth) /
			       (vg_fdinfo_u64(disk->dev.fd, "vq0-batches") - batches));
	if (qemu.pid)
		vg_qemu_end(&qemu);
}

/* What this process has run, up to now: its schedstat is brought up to date by ticks only. */
static uint64_t own_ns(void)
{
	struct timespec ts;

	kt_sys(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts));
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* The device without anybody between. */
static void run_bare(long arg)
{
	struct bare *b = bare_open(argument[0], !strcmp(way, "uring"), depth, BYTES);
	uint64_t own = 0;
	unsigned int i, k;

	(void)arg;
	for (i = 0; i < WARM_UP + rounds; i++) {
		if (i == WARM_UP) {
			vg_profile_begin();
			vg_tasks(&before);
			own = own_ns();
		}
		for (k = 0; k < depth; k++)
			bare_add(b, k, writes, sector(k) * VD_SECTOR);
		bare_go(b);
	}
	own = own_ns() - own;
	vg_tasks(&after);
	vg_profile_end();
	vg_tasks_print(&before, &after, own, rounds * depth);
}

static bool understood(int argc)
{
	bool bare;

	if (argc < 5)
		return false;
	writes = !strcmp(args[1], "write");
	depth = atoi(args[2]);
	rounds = atoi(args[3]);
	way = args[4];
	argument = args + 5;
	bare = !strcmp(way, "uring") || !strcmp(way, "aio");
	if (!writes && strcmp(args[1], "read"))
		return false;
	if (!bare && strcmp(way, "device") && strcmp(way, "user") && strcmp(way, "qemu"))
		return false;
	return depth >= 1 && depth <= DEPTH && rounds && (argument[0] || !strcmp(way, "device"));
}

int main(int argc, char **argv)
{
	static const struct kt_case one = { .name = "cost", .run = run, .seconds = 600 };
	static const struct kt_case bare = { .name = "cost", .run = run_bare, .seconds = 600 };

	args = argv;
	if (!understood(argc)) {
		fprintf(stderr, "usage: blk_cost read|write DEPTH ROUNDS "
				"device|user SOCKET|qemu COMMAND...|uring PATH|aio PATH\n");
		return 2;
	}
	return kt_main(1, argv, !strcmp(way, "uring") || !strcmp(way, "aio") ? &bare : &one, 1);
}
