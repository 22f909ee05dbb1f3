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

#define CHUNK 8192u /* bytes of a request here */
#define SLOTS 64u   /* places on the disk, for each queue */

/* What each place on the disk holds; a request is for one place, one at a time. */
struct place {
	uint64_t seed; /* 0: not known */
	bool busy;
	struct vd_io io;
	uint8_t buf[CHUNK];
	uint64_t next; /* seed that is being written */
};

struct load {
	struct vd_disk *d;
	struct place *place; /* SLOTS for each queue */
	uint64_t state;
	unsigned int done;
};

static unsigned int below(struct load *l, unsigned int n)
{
	l->state ^= l->state << 13;
	l->state ^= l->state >> 7;
	l->state ^= l->state << 17;
	return (l->state >> 11) % n;
}

static void load_new(struct load *l, const struct vd_opts *o)
{
	l->d = vd_new(o);
	l->place = calloc(SLOTS * l->d->queues, sizeof(*l->place));
	kt_check(l->place, "no memory");
	l->state = 0x9e3779b97f4a7c15ull;
	l->done = 0;
	kt_check(l->d->sectors >= SLOTS * VD_QUEUES * CHUNK / VD_SECTOR, "the disk is too small");
}

/* Begin with a request for a place that has none. False when there is no room. */
static bool begin(struct load *l, unsigned int q)
{
	unsigned int i = below(l, SLOTS);
	struct place *p = &l->place[q * SLOTS + i];

	if (p->busy)
		return l->d->q[q].nroom;
	memset(&p->io, 0, sizeof(p->io));
	p->io.sector = (uint64_t)(q * SLOTS + i) * CHUNK / VD_SECTOR;
	if (!p->seed || below(l, 2)) {
		p->next = ++l->state;
		vd_fill(p->buf, CHUNK, p->next);
		p->io.type = VIRTIO_BLK_T_OUT;
		p->io.out = p->buf;
		p->io.out_len = CHUNK;
	} else {
		memset(p->buf, 0, CHUNK);
		p->io.type = VIRTIO_BLK_T_IN;
		p->io.in = p->buf;
		p->io.in_len = CHUNK;
	}
	p->busy = vd_start(l->d, q, &p->io);
	return p->busy;
}

static void end(struct load *l, struct vd_io *io)
{
	struct place *p = (void *)((char *)io - offsetof(struct place, io));
	static uint8_t want[CHUNK];

	kt_check(p->busy, "a request came back twice");
	kt_check(io->status == VIRTIO_BLK_S_OK, "type %u at %llu: status %u", io->type,
		 (unsigned long long)io->sector, io->status);
	if (io->type == VIRTIO_BLK_T_OUT) {
		p->seed = p->next;
	} else {
		vd_fill(want, CHUNK, p->seed);
		kt_check(!memcmp(want, p->buf, CHUNK), "read of sector %llu: other data",
			 (unsigned long long)io->sector);
	}
	p->busy = false;
	l->done++;
}

/* Offer what there is room for, and take what is there; or wait for one. */
static void turn(struct load *l, bool more, bool wait)
{
	unsigned int q, any = 0;
	struct vd_io *io;

	for (q = 0; q < l->d->queues; q++) {
		struct vg_ring *r = &l->d->q[q].ring;
		unsigned int tries = SLOTS;

		while (more && tries-- && begin(l, q))
			;
		vg_ring_kick(r);
		while ((io = vd_reap(l->d, q))) {
			end(l, io);
			any++;
		}
	}
	for (q = 0; wait && !any && q < l->d->queues; q++)
		if (l->d->q[q].ring.in_flight) {
			end(l, vd_wait(l->d, q));
			return;
		}
}

static bool in_flight(const struct load *l)
{
	unsigned int q, n = 0;

	for (q = 0; q < l->d->queues; q++)
		n += l->d->q[q].ring.in_flight;
	return n;
}

/* @n requests and whatever is in flight then. */
static void run(struct load *l, unsigned int n)
{
	const unsigned int until = l->done + n;

	while (l->done < until)
		turn(l, true, true);
	while (in_flight(l))
		turn(l, false, true);
}

/* Read every place that is known. */
static void check_all(struct load *l)
{
	static uint8_t got[CHUNK], want[CHUNK];
	unsigned int i;

	for (i = 0; i < SLOTS * l->d->queues; i++) {
		if (!l->place[i].seed)
			continue;
		kt_check(vd_read(l->d, 0, (uint64_t)i * CHUNK / VD_SECTOR, got, CHUNK) == 0,
			 "read of place %u", i);
		vd_fill(want, CHUNK, l->place[i].seed);
		kt_check(!memcmp(want, got, CHUNK), "place %u: other data", i);
	}
}

#define NO_EVENT (VD_BASIC & ~BIT(VIRTIO_RING_F_EVENT_IDX))

static struct vd_opts opts(unsigned int queues, uint64_t features)
{
	return (struct vd_opts){
		.queues = queues,
		.features = features,
		.num = 512,
		.depth = 48,
		.room = CHUNK,
		.indirect = true,
	};
}

static void many(long queues)
{
	struct vd_opts o = opts(queues, 0);
	struct load l;

	load_new(&l, &o);
	run(&l, kt_scale(4000 * queues, 300));
	check_all(&l);
	vd_free(l.d);
}

static void without_events(long busyloop)
{
	struct vd_opts o = opts(1, NO_EVENT);
	struct load l;

	o.busyloop = busyloop;
	load_new(&l, &o);
	run(&l, kt_scale(3000, 300));
	check_all(&l);
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

/* Close the device, and have another one for the same disk and memory. */
static void reopen(struct vd_disk *d)
{
	struct shunt_blk_disk arg = { .fd = d->backing, .queues = d->queues };

	close(d->dev.fd);
	d->dev.fd = vg_open();
	kt_sys(ioctl(d->dev.fd, SHUNT_BLK_SET_DISK, &arg));
	kt_sys(ioctl(d->dev.fd, VHOST_SET_OWNER));
	kt_sys(vg_set_features(d->dev.fd, d->dev.features));
	kt_sys(vg_set_mem(d->dev.fd, d->mem));
}

/* Stop each queue under load: all that was taken is returned by then. */
static void restarts(long again)
{
	struct vd_opts o = opts(2, 0);
	struct load l;
	unsigned int round, q;

	load_new(&l, &o);
	for (round = 0; round < kt_scale(40, 8); round++) {
		uint32_t base[VD_QUEUES];

		run(&l, below(&l, 100));
		for (q = 0; q < 3; q++)
			turn(&l, true, false);
		for (q = 0; q < l.d->queues; q++) {
			struct vg_ring *r = &l.d->q[q].ring;

			base[q] = vd_queue_stop(l.d, q);
			kt_check(vg_ring_at(r) == base[q],
				 "stopped at %#x, what was used ends at %#x", base[q],
				 vg_ring_at(r));
		}
		if (again)
			reopen(l.d);
		for (q = 0; q < l.d->queues; q++) {
			vd_queue_setup(l.d, q, base[q]);
			vd_queue_start(l.d, q);
		}
	}
	run(&l, 100);
	check_all(&l);
	vd_free(l.d);
}

/* Closed without being stopped, under load: what it took it returns, and no more. */
static void closed(long arg)
{
	struct vd_opts o = opts(1, 0);
	struct load l;
	unsigned int round;

	(void)arg;
	load_new(&l, &o);
	for (round = 0; round < kt_scale(30, 6); round++) {
		struct vg_ring *r = &l.d->q[0].ring;

		run(&l, below(&l, 50));
		turn(&l, true, false);
		turn(&l, true, false);
		reopen(l.d);
		/* As all that was taken was returned, what was used is where it goes on. */
		vd_queue_setup(l.d, 0, vg_ring_at(r));
		vd_queue_start(l.d, 0);
	}
	run(&l, 100);
	check_all(&l);
	vd_free(l.d);
}

/* The memory table is set again and again: to the same, as when memory is plugged. */
static void memory(long arg)
{
	struct vd_opts o = opts(2, 0);
	struct load l;
	unsigned int round;

	(void)arg;
	load_new(&l, &o);
	for (round = 0; round < kt_scale(100, 10); round++) {
		turn(&l, true, false);
		kt_sys(vg_set_mem(l.d->dev.fd, l.d->mem));
		turn(&l, true, true);
	}
	run(&l, 100);
	check_all(&l);
	vd_free(l.d);
}

/* After the memory table lost a region nothing is read from it or written to it any more. */
static void memory_gone(long arg)
{
	struct vd_opts o = opts(1, 0);
	unsigned int round;

	(void)arg;
	for (round = 0; round < kt_scale(20, 4); round++) {
		struct load l;
		struct vg_mem *m;
		unsigned int i;
		uint8_t *copy;

		load_new(&l, &o);
		m = l.d->mem;
		for (i = 0; i < 3; i++)
			turn(&l, true, false);
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
			struct load l;

			load_new(&l, &o);
			for (;;)
				turn(&l, true, true);
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
