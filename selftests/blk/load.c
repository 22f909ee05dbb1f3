// SPDX-License-Identifier: GPL-2.0-only
/*
 * load.c - many requests at once, on several queues, in whatever order they come back;
 * and what is done to the device meanwhile: stopped and started, given other memory,
 * closed, its owner killed. Nothing is lost, nothing is done twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdisk.h"

#define NO_EVENT (VD_BASIC & ~BIT(VIRTIO_RING_F_EVENT_IDX))

static struct vd_opts opts(unsigned int queues, uint64_t features)
{
	return (struct vd_opts){
		.queues = queues,
		.features = features,
		.num = 512,
		.depth = 48,
		.room = VD_CHUNK,
		.indirect = true,
	};
}

static void many(long queues)
{
	struct vd_opts o = opts(queues, 0);
	struct vd_load l;

	vd_load_new(&l, vd_new(&o));
	vd_load_run(&l, kt_scale(4000 * queues, 300));
	vd_load_check(&l);
	vd_free(l.d);
}

static void without_events(long busyloop)
{
	struct vd_opts o = opts(1, NO_EVENT);
	struct vd_load l;

	o.busyloop = busyloop;
	vd_load_new(&l, vd_new(&o));
	vd_load_run(&l, kt_scale(3000, 300));
	vd_load_check(&l);
	vd_free(l.d);
}

/* More requests in the ring than the device takes at once. */
static void deep(long room)
{
	struct vd_opts o = {
		.num = 2048,
		.depth = 600,
		.room = room,
		.indirect = true,
	};
	struct vd_disk *d = vd_new(&o);
	struct vd_io *io = calloc(o.depth, sizeof(*io));
	uint8_t *buf = malloc((size_t)o.depth * room);
	unsigned int i;

	kt_check(io && buf, "no memory");
	for (i = 0; i < o.depth; i++) {
		io[i].type = VIRTIO_BLK_T_IN;
		io[i].in = buf + (size_t)i * room;
		io[i].in_len = room;
		kt_check(vd_start(d, 0, &io[i]), "no room for request %u", i);
	}
	vg_ring_kick(&d->q[0].ring);
	for (i = 0; i < o.depth; i++)
		kt_check(vd_wait(d, 0)->status == VIRTIO_BLK_S_OK, "request %u", i);
	vd_alive(d);
	vd_free(d);
}

/* Stop each queue under load: all that was taken is returned by then. */
static void restarts(long again)
{
	struct vd_opts o = opts(2, 0);
	struct vd_load l;
	unsigned int round, q;

	vd_load_new(&l, vd_new(&o));
	for (round = 0; round < kt_scale(40, 8); round++) {
		uint32_t base[VD_QUEUES];

		vd_load_run(&l, vg_below(&l.random, 100));
		for (q = 0; q < 3; q++)
			vd_load_turn(&l, true, false);
		for (q = 0; q < l.d->queues; q++) {
			struct vg_ring *r = &l.d->q[q].ring;

			base[q] = vd_queue_stop(l.d, q);
			kt_check(vg_ring_at(r) == base[q],
				 "stopped at %#x, what was used ends at %#x", base[q],
				 vg_ring_at(r));
		}
		if (again)
			vd_reopen(l.d);
		for (q = 0; q < l.d->queues; q++) {
			vd_queue_setup(l.d, q, base[q]);
			vd_queue_start(l.d, q);
		}
	}
	vd_load_run(&l, 100);
	vd_load_check(&l);
	vd_free(l.d);
}

/* Closed without being stopped, under load: what it took it returns, and no more. */
static void closed(long arg)
{
	struct vd_opts o = opts(1, 0);
	struct vd_load l;
	unsigned int round;

	(void)arg;
	vd_load_new(&l, vd_new(&o));
	for (round = 0; round < kt_scale(30, 6); round++) {
		struct vg_ring *r = &l.d->q[0].ring;

		vd_load_run(&l, vg_below(&l.random, 50));
		vd_load_turn(&l, true, false);
		vd_load_turn(&l, true, false);
		vd_reopen(l.d);
		/* As all that was taken was returned, what was used is where it goes on. */
		vd_queue_setup(l.d, 0, vg_ring_at(r));
		vd_queue_start(l.d, 0);
	}
	vd_load_run(&l, 100);
	vd_load_check(&l);
	vd_free(l.d);
}

/* The memory table is set again and again: to the same, as when memory is plugged. */
static void memory(long arg)
{
	struct vd_opts o = opts(2, 0);
	struct vd_load l;
	unsigned int round;

	(void)arg;
	vd_load_new(&l, vd_new(&o));
	for (round = 0; round < kt_scale(100, 10); round++) {
		vd_load_turn(&l, true, false);
		kt_sys(vg_set_mem(l.d->dev.fd, l.d->mem));
		vd_load_turn(&l, true, true);
	}
	vd_load_run(&l, 100);
	vd_load_check(&l);
	vd_free(l.d);
}

/* After the memory table lost a region nothing is read from it or written to it any more. */
static void memory_gone(long arg)
{
	struct vd_opts o = opts(1, 0);
	unsigned int round;

	(void)arg;
	for (round = 0; round < kt_scale(20, 4); round++) {
		struct vd_load l;
		struct vg_mem *m;
		unsigned int i;
		uint8_t *copy;

		vd_load_new(&l, vd_new(&o));
		m = l.d->mem;
		for (i = 0; i < 3; i++)
			vd_load_turn(&l, true, false);
		/* Without the regions of data: rings are in the first. */
		kt_sys(vg_set_mem_raw(
			l.d->dev.fd,
			&(struct vhost_memory_region){ .guest_phys_addr = m->r[0].gpa,
						       .memory_size = m->r[0].size,
						       .userspace_addr = (uintptr_t)m->r[0].va },
			1, 0));
		copy = malloc(m->r[1].size);
		kt_check(copy, "no memory");
		memcpy(copy, m->r[1].va, m->r[1].size);
		usleep(20000);
		kt_check(!memcmp(copy, m->r[1].va, m->r[1].size), "memory was written");
		free(copy);
		vd_free(l.d);
	}
}

/* The owner is killed under load; a new one goes on. */
static void killed(long arg)
{
	unsigned int round;

	(void)arg;
	for (round = 0; round < kt_scale(15, 4); round++) {
		pid_t child = kt_sys(fork());
		struct vd_opts o = opts(2, 0);
		struct vd_disk *d;
		int status;

		if (!child) {
			struct vd_load l;

			vd_load_new(&l, vd_new(&o));
			for (;;)
				vd_load_turn(&l, true, true);
		}
		usleep(20000 + round * 7000);
		kt_sys(kill(child, SIGKILL));
		kt_check(waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
				 WTERMSIG(status) == SIGKILL,
			 "the owner ended by itself, status %#x", status);
		d = vd_new(&o);
		vd_alive(d);
		vd_free(d);
	}
}

/* Flushes among writes, and a limit of what is in flight that large requests meet. */
static void mixed(long arg)
{
	struct vd_opts o = { .num = 256, .depth = 100, .room = 1u << 20, .indirect = true };
	struct vd_disk *d = vd_new(&o);
	static struct vd_io io[100];
	uint8_t *buf = malloc(100u << 20);
	unsigned int i;

	(void)arg;
	kt_check(buf, "no memory");
	memset(buf, 0x77, 100u << 20);
	for (i = 0; i < 100; i++) {
		memset(&io[i], 0, sizeof(io[i]));
		if (i % 5 == 4) {
			io[i].type = VIRTIO_BLK_T_FLUSH;
		} else if (i % 2) {
			io[i].type = VIRTIO_BLK_T_IN;
			io[i].in = buf + ((size_t)i << 20);
			io[i].in_len = 1u << 20;
		} else {
			io[i].type = VIRTIO_BLK_T_OUT;
			io[i].out = buf + ((size_t)i << 20);
			io[i].out_len = 1u << 20;
		}
		io[i].sector = (i % 32) << 11;
		kt_check(vd_start(d, 0, &io[i]), "no room for request %u", i);
	}
	vg_ring_kick(&d->q[0].ring);
	for (i = 0; i < 100; i++)
		kt_check(vd_wait(d, 0)->status == VIRTIO_BLK_S_OK, "request %u", i);
	free(buf);
	vd_free(d);
}

static const struct kt_case cases[] = {
	{ "many requests on one queue", many, 1 },
	{ "many requests on four queues", many, 4 },
	{ "many requests without EVENT_IDX", without_events, 0 },
	{ "many requests with busy polling", without_events, 50 },
	{ "more requests than the device takes at once", deep, 4096 },
	{ "requests of a megabyte, and flushes among them", mixed, 0 },
	{ "queues stop and start under load", restarts, 0 },
	{ "a new device goes on from the base under load", restarts, 1 },
	{ "closed under load it returns what it took", closed, 0 },
	{ "the memory table is set under load", memory, 0 },
	{ "memory that is taken away is let go of", memory_gone, 0 },
	{ "the owner is killed under load", killed, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
