// SPDX-License-Identifier: GPL-2.0-only
/*
 * alloc.c - a request that the kernel has no memory for gets an error, and the next one is
 * served
 *
 * Needs a kernel with fault injection (the lab's debug kernel has it): no allocation of the
 * queue's worker works for a while, by /proc/PID/make-it-fail.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "task.h"
#include "vdisk.h"

#define FAILSLAB "/sys/kernel/debug/failslab/"

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		kt_skip("this kernel has no fault injection: no %s", path);
	kt_check(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "'%s' to %s: %m", text,
		 path);
	close(fd);
}

/* Of the tasks that are to fail all allocations do, those that may wait as well; quietly. */
static void prepare(void)
{
	put(FAILSLAB "task-filter", "Y");
	put(FAILSLAB "ignore-gfp-wait", "N");
	put(FAILSLAB "verbose", "0");
	put(FAILSLAB "times", "-1");
	put(FAILSLAB "probability", "100");
}

/* Whether the worker of queue 0 is to get no memory. */
static void starve(bool it)
{
	char text[64];

	snprintf(text, sizeof(text), "shunt-blk-%d/0", getpid());
	snprintf(text, sizeof(text), "/proc/%d/make-it-fail", vg_find_task(text));
	put(text, it ? "1" : "0");
}

/* One request, in more segments than have room in it, while there is no memory. */
static void starved(struct vd_disk *d, struct vd_io *io)
{
	const uint64_t drops = vg_fdinfo_u64(d->dev.fd, "vq0-drops");

	starve(true);
	vd_do(d, 0, io);
	starve(false);
	kt_check(io->nout + io->nin > 8, "only %u segments", io->nout + io->nin);
	kt_check(io->status == VIRTIO_BLK_S_IOERR, "type %u: status %u", io->type, io->status);
	kt_check(!vg_ring_erred(&d->q[0].ring, 0), "type %u: the queue broke", io->type);
	kt_check(vg_fdinfo_u64(d->dev.fd, "vq0-drops") == drops + 1, "it is not counted");
}

static void no_memory(long arg)
{
	static const uint32_t cut[] = { 16, 40 };
	struct vd_opts o = { .cut = cut, .ncut = ARRAY_SIZE(cut) };
	static uint8_t was[4096], buf[4096], other[4096];
	struct vd_io get = { .type = VIRTIO_BLK_T_IN, .in = buf, .in_len = sizeof(buf) };
	struct vd_io set = { .type = VIRTIO_BLK_T_OUT, .out = buf, .out_len = sizeof(buf) };
	struct vd_io name = { .type = VIRTIO_BLK_T_GET_ID, .in = buf, .in_len = 600 };
	struct vd_io none = { .type = 77, .out = buf, .out_len = sizeof(buf) };
	struct vd_disk *d = vd_new(&o);
	struct vg_pages *log = vg_pages_new(d->mem), *wrote = vg_pages_new(d->mem);
	uint64_t base = (uintptr_t)log->bits;

	(void)arg;
	prepare();
	vd_fill(was, sizeof(was), 1);
	vd_fill(other, sizeof(other), 2);
	kt_check(vd_write(d, 0, 0, was, sizeof(was)) == VIRTIO_BLK_S_OK, "write");
	starved(d, &get);
	kt_check(memcmp(buf, was, sizeof(was)), "it was read all the same");
	memcpy(buf, other, sizeof(buf));
	starved(d, &set);
	starved(d, &none);
	starved(d, &name);
	kt_check(vd_read(d, 0, 0, buf, sizeof(buf)) == VIRTIO_BLK_S_OK, "read");
	kt_check(!memcmp(buf, was, sizeof(was)), "it was written all the same");
	/*
	 * While the guest migrates the page of the status is marked: in memory that is there, since
	 * the worker would get none.
	 */
	vg_pages_clear(log);
	kt_sys(ioctl(d->dev.fd, VHOST_SET_LOG_BASE, &base));
	kt_sys(vg_set_features(d->dev.fd, d->dev.features | BIT(VHOST_F_LOG_ALL)));
	starved(d, &name);
	vg_pages_add(wrote, name.status_at, 1);
	kt_check(vg_pages_extra(wrote, log) < 0, "the status was written and not marked");
	kt_sys(vg_set_features(d->dev.fd, d->dev.features));
	put(FAILSLAB "probability", "0");
	put(FAILSLAB "task-filter", "N");
	vd_alive(d);
	vd_free(d);
}

static const struct kt_case cases[] = {
	{ "a request that there is no memory for gets an error", no_memory, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
