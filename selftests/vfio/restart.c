// SPDX-License-Identifier: GPL-2.0-only
/*
 * restart.c - a guest that reboots: reset and begun anew, idle and under traffic, with the
 * same rings and features or others; and an owner that opens and closes
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vdpa.h"

static void reboots(long queues)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .queues = queues });
	unsigned int round;

	for (round = 0; round < kt_scale(20, 5); round++) {
		vf_run(u, 50, NULL, NULL);
		vf_again(u);
	}
	vf_alive(u);
	vf_free(u);
}

/* Reset while it works: rings and buffers are not touched any more once that is said. */
static void reset_under_traffic(long queues)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .queues = queues, .depth = 64, .num = 256 });
	unsigned int round, i;

	for (round = 0; round < kt_scale(20, 5); round++) {
		uint8_t *copy[8];

		vf_busy(u, 20 + 17 * (round % 5));
		vf_reset(u);
		for (i = 0; i < u->mem->n; i++) {
			copy[i] = malloc(u->mem->r[i].size);
			kt_check(copy[i], "no memory");
			memcpy(copy[i], u->mem->r[i].va, u->mem->r[i].size);
		}
		usleep(30000);
		for (i = 0; i < u->mem->n; i++) {
			kt_check(!memcmp(copy[i], u->mem->r[i].va, u->mem->r[i].size),
				 "memory was written after the reset");
			free(copy[i]);
		}
		vf_again(u);
		vf_alive(u);
	}
	vf_free(u);
}

/* A firmware's driver is followed by a kernel's: other features and another ring size. */
static void another_driver(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){});
	uint64_t features = u->dev->features, less = BIT(VIRTIO_RING_F_EVENT_IDX);
	unsigned int round, i;

	(void)arg;
	for (round = 0; round < 6; round++) {
		vf_run(u, 40, NULL, NULL);
		vf_reset(u);
		u->dev->features = round % 2 ? features : features & ~less;
		for (i = 0; i < u->nring; i++)
			u->ring[i]->event_idx = round % 2;
		vf_setup(u);
		vf_start(u);
	}
	vf_free(u);
}

/* One queue pair after two, and two after one. */
static void fewer_queues(long arg)
{
	int fd = vf_open();
	unsigned int round;

	(void)arg;
	for (round = 0; round < 4; round++) {
		struct vf_unit *u = vf_new_on(fd, &(struct vf_opts){ .queues = 2 - round % 2 });

		vf_run(u, 60, NULL, NULL);
		vf_reset(u);
		vf_unmap(fd, u->mem);
	}
	close(fd);
	vf_fresh();
}

static void opened_and_closed(long arg)
{
	unsigned int round;

	(void)arg;
	for (round = 0; round < kt_scale(60, 20); round++) {
		struct vf_unit *u = vf_new(&(struct vf_opts){ .stopped = round % 2 });

		if (round % 2 == 0 && round % 4)
			vf_busy(u, 10);
		vf_free(u);
	}
	for (round = 0; round < 50; round++)
		close(vg_open());
	vf_fresh();
}

static void resets_of_nothing(long arg)
{
	int fd = vf_open();
	unsigned int i;

	(void)arg;
	for (i = 0; i < kt_scale(200, 50); i++)
		kt_sys(vf_set_status(fd, 0));
	for (i = 0; i < kt_scale(200, 50); i++) {
		kt_sys(vf_set_status(fd, VF_STATUS1));
		kt_sys(vf_set_status(fd, 0));
	}
	vf_alive(vf_new_on(fd, &(struct vf_opts){}));
}

/* The base is where a ring begins: a function cannot go on in the middle. */
static void bases(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .stopped = true });
	const struct vg_ring *r = u->ring[0];

	(void)arg;
	if (!vg_vring_state(u->fd, VHOST_SET_VRING_BASE, 0, vg_ring_base(r, 7))) {
		/* Taken now, it must be refused later, and not begin elsewhere. */
		vf_enable(u->fd, 0, 1);
		kt_refused(vf_set_status(u->fd, VF_RUNNING));
	}
	kt_sys(vg_vring_state(u->fd, VHOST_SET_VRING_BASE, 0, vg_ring_first(r)));
	vf_again(u);
	vf_alive(u);
}

static const struct kt_case cases[] = {
	{ "a guest reboots", reboots, 1 },
	{ "a guest with two queues or pairs reboots", reboots, 2 },
	{ "reset under traffic, nothing is written afterwards", reset_under_traffic, 1 },
	{ "the same with two", reset_under_traffic, 2 },
	{ "one driver follows another", another_driver, 0 },
	{ "with fewer queues, and more", fewer_queues, 0 },
	{ "opened and closed", opened_and_closed, 0 },
	{ "resets of what is not set up", resets_of_nothing, 0, 0, VG_ON_ONCE },
	{ "a ring that begins in the middle", bases, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
