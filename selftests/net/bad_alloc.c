// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_alloc.c - every single memory allocation, and copy from or to the VMM, of
 * setting a device up fails once: the request fails or does without, nothing
 * leaks, and the next try works
 *
 * Needs a kernel with fault injection (the lab's debug kernel has it): the Nth
 * thing from now that can fail does so, by /proc/thread-self/fail-nth.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vguest.h"

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		kt_skip("this kernel has no fault injection: no %s", path);
	kt_sys(write(fd, text, strlen(text)));
	close(fd);
}

static void arm_kernel(void)
{
	/* Allocations that may sleep fail too, and quietly. */
	put("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	put("/sys/kernel/debug/failslab/verbose", "0");
}

static int fail_nth;

/* Let the @nth allocation of this thread fail; 0 for none. */
static void arm(unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	/* What is armed still may be this very write, once. */
	if (pwrite(fail_nth, text, n, 0) < 0)
		kt_sys(pwrite(fail_nth, text, n, 0));
}

/* Disarm. Did anything fail since arm()? */
static bool fired(void)
{
	char text[16] = "";

	/* When this very read is the one to fail, nothing failed before it. */
	ssize_t n = pread(fail_nth, text, sizeof(text) - 1, 0);

	arm(0);
	return n > 0 && !atoi(text);
}

/* The steps of a device's life. Each returns less than 0 when it failed. */
static int open_it(struct vg_net *n)
{
	(void)n;
	return open(vg_path(), O_RDWR | O_CLOEXEC);
}

static int own(struct vg_net *n)
{
	return ioctl(n->q[0].dev.fd, VHOST_SET_OWNER);
}

static int table(struct vg_net *n)
{
	return vg_set_mem(n->q[0].dev.fd, n->mem);
}

static int words(struct vg_net *n)
{
	return vg_set_features(n->q[0].dev.fd, n->q[0].dev.features);
}

static int with_iotlb(struct vg_net *n)
{
	return vg_set_features(n->q[0].dev.fd,
			       n->q[0].dev.features | BIT(VIRTIO_F_ACCESS_PLATFORM));
}

static int start_rx(struct vg_net *n)
{
	return vg_vring_file(n->q[0].dev.fd, VHOST_NET_SET_BACKEND, VG_RX, n->q[0].backend);
}

static int start_tx(struct vg_net *n)
{
	return vg_vring_file(n->q[0].dev.fd, VHOST_NET_SET_BACKEND, VG_TX, n->q[0].backend);
}

static int reset(struct vg_net *n)
{
	return ioctl(n->q[0].dev.fd, VHOST_RESET_OWNER);
}

static int set_up_rx(struct vg_net *n)
{
	vg_ring_reset(&n->q[0].ring[VG_RX], vg_ring_first(&n->q[0].ring[VG_RX]));
	vg_queue_setup(&n->q[0], VG_RX, vg_ring_first(&n->q[0].ring[VG_RX]));
	return 0;
}

static int set_up_tx(struct vg_net *n)
{
	vg_ring_reset(&n->q[0].ring[VG_TX], vg_ring_first(&n->q[0].ring[VG_TX]));
	vg_queue_setup(&n->q[0], VG_TX, vg_ring_first(&n->q[0].ring[VG_TX]));
	return 0;
}

/* In this order; the two that set rings up are not made to fail themselves. */
static int (*const steps[])(struct vg_net *n) = {
	own,	  words, table, set_up_rx, set_up_tx,  start_rx,
	start_tx, table, reset, own,	   with_iotlb, table,
};

/* Open fails and fails, and then works. */
static unsigned int opens(struct vg_net *n)
{
	unsigned int nth;

	for (nth = 1; nth < 100; nth++) {
		int fd;

		arm(nth);
		fd = open_it(n);
		if (!fired()) {
			kt_check(fd >= 0, "open: %m without a failure");
			close(fd);
			break;
		}
		if (fd >= 0)
			close(fd);
	}
	return nth - 1;
}

/* One step fails at each of its points in turn, each time on a new device. */
static unsigned int fails(struct vg_net *n, unsigned int step)
{
	struct vg_queue *q = &n->q[0];
	unsigned int nth, i;

	for (nth = 1; nth < 200; nth++) {
		int r;

		close(q->dev.fd);
		q->dev.fd = vg_open();
		for (i = 0; i < step; i++)
			kt_sys(steps[i](n));
		arm(nth);
		r = steps[step](n);
		if (!fired()) {
			kt_check(r >= 0, "step %u: %m without a failure", step);
			break;
		}
		/* What failed can be done now. */
		if (r < 0)
			kt_sys(steps[step](n));
	}
	return nth - 1;
}

static void life(long arg)
{
	struct vg_opts o = { .frame = 1514, .no_backend = true };
	struct vg_net *n;
	unsigned int step, total;

	(void)arg;
	arm_kernel();
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fail_nth < 0)
		kt_skip("this kernel has no fail-nth");
	n = vg_net_new(&o);
	total = opens(n);
	for (step = 0; step < ARRAY_SIZE(steps); step++)
		if (steps[step] != set_up_rx && steps[step] != set_up_tx)
			total += fails(n, step);
	kt_note("%u failures", total);
	kt_check(total > 3, "hardly anything failed");
	vg_net_free(n);
	vg_alive(vg_net_new(&(struct vg_opts){ .frame = 1514 }));
}

static const struct kt_case cases[] = {
	{ "whatever can fail in a device's life fails once", life, 0, 180 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
