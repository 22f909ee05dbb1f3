// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_fuzz.c - random requests and random rings, from a seed that is printed:
 * whatever the answers are, the host lives and a new device works
 *
 * SHUNT_TEST_SEED repeats a run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "random.h"

static uint64_t state;

static uint64_t rnd(void)
{
	return vg_random(&state);
}

static unsigned int below(unsigned int n)
{
	return vg_below(&state, n);
}

static uint64_t odd_number(const struct vg_net *n)
{
	return vg_odd_number(&state, n->mem);
}

static int some_fd(const struct vg_net *n, const int *fds, unsigned int nr)
{
	const struct vg_queue *q = &n->q[0];

	switch (below(8)) {
	case 0:
		return -1;
	case 1:
		return q->dev.fd;
	case 2:
		return q->ring[below(2)].kick;
	case 3:
		return q->ring[below(2)].call;
	case 4:
		return odd_number(n);
	case 5:
		return fds[below(nr)];
	default:
		return q->backend;
	}
}

static void one_ioctl(struct vg_net *n, const int *fds, unsigned int nfds)
{
	struct vg_queue *q = &n->q[0];
	unsigned int i = below(20) ? below(2) : odd_number(n);
	struct vg_ring *r = &q->ring[i % 2];
	uint64_t v = below(3) ? q->dev.features ^ BIT(below(64)) : odd_number(n);
	int fd = q->dev.fd, f = some_fd(n, fds, nfds);
	struct vhost_memory_region mr[4];
	struct vhost_iotlb_msg *m;
	struct vhost_msg_v2 msg;
	unsigned int k;

	switch (below(22)) {
	case 0:
		vg_set_features(fd, v);
		break;
	case 1:
		ioctl(fd, VHOST_SET_OWNER);
		break;
	case 2:
		if (!below(10))
			ioctl(fd, VHOST_RESET_OWNER);
		break;
	case 3:
		vg_set_mem(fd, n->mem);
		break;
	case 4:
		for (k = 0; k < 4; k++)
			mr[k] = (struct vhost_memory_region){ odd_number(n), odd_number(n),
							      odd_number(n), below(2) };
		vg_set_mem_raw(fd, mr, below(5), !below(8));
		break;
	case 5:
		v = odd_number(n);
		ioctl(fd, VHOST_SET_LOG_BASE, &v);
		break;
	case 6:
		ioctl(fd, VHOST_SET_LOG_FD, &f);
		break;
	case 7:
		vg_vring_state(fd, VHOST_SET_VRING_NUM, i, below(2) ? r->num : odd_number(n));
		break;
	case 8:
		vg_vring_state(fd, VHOST_SET_VRING_BASE, i,
			       below(3) ? vg_ring_at(r) : odd_number(n));
		break;
	case 9:
	case 10:
		vg_vring_addr(fd, i, below(2), (uintptr_t)r->desc, (uintptr_t)r->avail,
			      (uintptr_t)r->used, r->used_gpa);
		break;
	case 11:
		vg_vring_addr(fd, i, below(3), odd_number(n), odd_number(n), odd_number(n),
			      odd_number(n));
		break;
	case 12:
		vg_vring_file(fd, VHOST_SET_VRING_KICK, i, below(2) ? r->kick : f);
		break;
	case 13:
		vg_vring_file(fd, VHOST_SET_VRING_CALL, i, below(2) ? r->call : f);
		break;
	case 14:
		vg_vring_file(fd, VHOST_SET_VRING_ERR, i, below(2) ? r->err : f);
		break;
	case 15:
	case 16:
		vg_vring_file(fd, VHOST_NET_SET_BACKEND, i, f);
		break;
	case 17:
		vg_vring_state(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, i, below(200));
		break;
	case 18:
		v = odd_number(n);
		ioctl(fd, VHOST_SET_BACKEND_FEATURES, &v);
		break;
	case 19:
		memset(&msg, 0, sizeof(msg));
		m = &msg.iotlb;
		msg.type = below(4);
		*m = (struct vhost_iotlb_msg){ odd_number(n), odd_number(n), odd_number(n),
					       below(4), below(7) };
		if (write(fd, &msg, below(4) ? sizeof(msg) : below(sizeof(msg))) < 0)
			break;
		break;
	case 20:
		if (read(fd, &msg, below(3) ? sizeof(msg) : below(sizeof(msg))) < 0)
			break;
		break;
	case 21:
		ioctl(fd, _IOC(below(4), VHOST_VIRTIO, below(256), below(128)), odd_number(n));
		break;
	}
}

static void set_up(struct vg_net *n)
{
	struct vg_queue *q = &n->q[0];
	unsigned int i;

	ioctl(q->dev.fd, VHOST_SET_OWNER);
	vg_set_features(q->dev.fd, q->dev.features);
	vg_set_mem(q->dev.fd, n->mem);
	for (i = 0; i < 2; i++) {
		vg_vring_file(q->dev.fd, VHOST_NET_SET_BACKEND, i, -1);
		vg_vring_state(q->dev.fd, VHOST_SET_VRING_NUM, i, q->ring[i].num);
		vg_vring_state(q->dev.fd, VHOST_SET_VRING_BASE, i, vg_ring_at(&q->ring[i]));
		vg_vring_addr(q->dev.fd, i, 0, (uintptr_t)q->ring[i].desc,
			      (uintptr_t)q->ring[i].avail, (uintptr_t)q->ring[i].used, 0);
		vg_vring_file(q->dev.fd, VHOST_SET_VRING_KICK, i, q->ring[i].kick);
		vg_vring_file(q->dev.fd, VHOST_NET_SET_BACKEND, i, q->backend);
	}
}

/* A frame for the ring to chew on, both ways. */
static void feed(struct vg_net *n)
{
	static uint8_t f[10 + 300];
	unsigned int i;

	vg_frame(f + 10, 300, 1, 0);
	/* The socket may be full: nobody takes the frames. */
	if (write(n->packet, f, sizeof(f)) < 0)
		usleep(100);
	for (i = 0; i < 2; i++)
		eventfd_write(n->q[0].ring[i].kick, 1);
}

/* The old device goes, and a new one works. */
static void after(struct vg_net *n)
{
	close(n->q[0].dev.fd);
	close(n->q[0].backend);
	close(n->packet);
	usleep(100000);
	vg_alive(vg_net_new(&(struct vg_opts){ .frame = 1514 }));
}

static void fuzz_ioctls(long number)
{
	struct vg_opts o = { .frame = 1514, .depth = 16 };
	unsigned int rounds = kt_scale(20000, 4000), i;
	int fds[3] = { kt_sys(eventfd(0, 0)), kt_sys(open("/dev/null", O_RDWR)), 0 };
	struct vg_net *n = vg_net_new(&o);

	state = vg_seed(0x5eed0000 + number);
	fds[2] = n->packet;
	kt_sys(fcntl(n->q[0].dev.fd, F_SETFL, O_NONBLOCK));
	for (i = 0; i < rounds; i++) {
		if (i % 64 == 0)
			set_up(n);
		if (i % 16 == 0)
			feed(n);
		one_ioctl(n, fds, ARRAY_SIZE(fds));
	}
}

/*
 * Requests at random, by a process of its own: it may tell the device to write
 * into its own memory, and so may die. Only the host must not mind.
 */
static void ioctls(long number)
{
	int status;
	pid_t pid;

	/* A log address near the end of all addresses is a BUG() in stock's log_write(). */
	if (!vg_is_shunt())
		kt_skip("stock does not outlive it: BUG() in log_write()");
	pid = kt_sys(fork());
	if (!pid) {
		fuzz_ioctls(number);
		_exit(0);
	}
	kt_sys(waitpid(pid, &status, 0));
	if (WIFSIGNALED(status))
		kt_note("the process had itself written over: signal %d", WTERMSIG(status));
	else
		kt_check(!WEXITSTATUS(status), "the process failed");
	vg_alive(vg_net_new(&(struct vg_opts){ .frame = 1514 }));
}

/* A descriptor at random, more often sensible than not. */
static void random_desc(struct vg_net *n, struct vring_desc *d, unsigned int num)
{
	const struct vg_region *r = &n->mem->r[1 + below(n->mem->n - 1)];

	d->addr = below(8) ? r->gpa + below(r->size) : odd_number(n);
	d->len = below(8) ? below(3000) : odd_number(n);
	d->flags = below(16) ? below(4) : rnd();
	d->next = below(16) ? below(num) : rnd();
}

/* Write descriptor @i, half of the time in the direction of ring @k. */
static void random_entry(struct vg_net *n, unsigned int k, unsigned int i, struct vring_desc *d)
{
	struct vg_ring *r = &n->q[0].ring[k];

	random_desc(n, d, r->num);
	if (below(2))
		d->flags =
			k == VG_RX ? d->flags | VRING_DESC_F_WRITE : d->flags & ~VRING_DESC_F_WRITE;
	if (!below(3)) {
		/* a table of random entries somewhere in a region */
		uint64_t at = n->mem->r[1].gpa + 16 * below(1000);
		struct vring_desc t;

		random_desc(n, &t, 8);
		vg_put_table(r, at + 16 * below(8), &t, 1);
		*d = (struct vring_desc){ at, below(9) * 16, VRING_DESC_F_INDIRECT, 0 };
	}
	if (r->layout == VG_SPLIT)
		vg_desc(r, i, d->addr, d->len, d->flags, d->next);
}

/* Heads and indices of a split ring; while it is being read the used ring, too. */
static void random_split(struct vg_net *n, unsigned int k)
{
	struct vg_ring *r = &n->q[0].ring[k];
	struct vring_desc d;
	unsigned int i;

	for (i = 0; i < r->num; i++) {
		random_entry(n, k, i, &d);
		r->avail->ring[i] = below(16) ? below(r->num) : rnd();
	}
	r->avail->flags = below(4) ? 0 : rnd();
	__atomic_store_n(&r->avail->idx, vg_used_idx(r) + (below(16) ? below(r->num) : rnd()),
			 __ATOMIC_RELEASE);
	if (!below(8))
		r->used->idx = rnd();
}

/*
 * Flags of this lap more often than not; both event structures. Where the device is in
 * its ring, a guest would know: here it is guessed, and so it is off now and then.
 */
static void random_packed(struct vg_net *n, unsigned int k)
{
	struct vg_ring *r = &n->q[0].ring[k];
	unsigned int i, first = below(2) ? 0 : below(r->num);
	uint64_t lap = below(2) ? 0 : r->num;
	struct vring_desc d;

	for (i = 0; i < r->num; i++) {
		uint16_t flags;

		random_entry(n, k, i, &d);
		flags = d.flags & ~vg_packed_spent(r, 0);
		flags |= below(16) ? vg_packed_avail(r, lap + (i < first ? r->num : 0)) : rnd();
		vg_packed_put(r, i, d.addr, d.len, rnd(), flags);
	}
	if (!below(4))
		__atomic_store_n((uint32_t *)r->driver, rnd(), __ATOMIC_SEQ_CST);
	if (!below(8))
		__atomic_store_n((uint32_t *)r->device, rnd(), __ATOMIC_SEQ_CST);
}

/* Start ring @k again where it is, or anywhere. */
static void go_on(struct vg_net *n, unsigned int k)
{
	struct vg_queue *q = &n->q[0];
	unsigned int base = vg_queue_stop(q, k);

	if (!vg_packed())
		base = vg_used_idx(&q->ring[k]);
	else if (!below(4))
		base = vg_ring_base(&q->ring[k], below(2 * q->ring[k].num));
	else if (!below(4))
		base = rnd();
	kt_sys(vg_vring_state(q->dev.fd, VHOST_SET_VRING_BASE, k, base));
	if (!vg_vring_file(q->dev.fd, VHOST_NET_SET_BACKEND, k, q->backend))
		return;
	/* What it took and could not return may have left it nowhere, or it was put there. */
	kt_check(vg_packed() && errno == EINVAL, "base %#x: %m", base);
	kt_sys(vg_vring_state(q->dev.fd, VHOST_SET_VRING_BASE, k, vg_ring_first(&q->ring[k])));
	vg_queue_start(q, k);
}

/* Rings at random: descriptors, tables, heads and indices, or flags and events. */
static void rings(long number)
{
	struct vg_opts o = {
		.frame = 1514,
		.depth = 16,
		.num = 64,
		.features = number % 2 ? VG_BASIC : VG_BASIC & ~BIT(VIRTIO_RING_F_EVENT_IDX),
		.busyloop = number % 3 ? 0 : 50,
	};
	unsigned int rounds = kt_scale(1500, 300), round, k, erred = 0;
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];

	state = vg_seed(0xfeed0000 + number);
	if (number % 4 == 3) {
		struct vg_pages *log = vg_pages_new(n->mem);
		uint64_t base = (uintptr_t)log->bits;

		kt_sys(ioctl(q->dev.fd, VHOST_SET_LOG_BASE, &base));
		kt_sys(vg_set_features(q->dev.fd, q->dev.features | BIT(VHOST_F_LOG_ALL)));
	}
	for (round = 0; round < rounds; round++) {
		for (k = 0; k < 2; k++) {
			if (vg_packed())
				random_packed(n, k);
			else
				random_split(n, k);
		}
		feed(n);
		vg_host_drain(n);
		for (k = 0; k < 2; k++) {
			if (!vg_ring_erred(&q->ring[k], 0) && below(50))
				continue;
			erred++;
			go_on(n, k);
		}
	}
	kt_note("%u restarts in %u rounds", erred, rounds);
	kt_check(erred > rounds / 100, "hardly a ring erred");
	after(n);
}

static const struct kt_case cases[] = {
	{ "requests at random, 1", ioctls, 1 },	    { "requests at random, 2", ioctls, 2 },
	{ "requests at random, 3", ioctls, 3 },	    { "rings at random, 0", rings, 0 },
	{ "rings at random, 1", rings, 1 },	    { "rings at random, 2, logged", rings, 3 },
	{ "rings at random, 3, logged", rings, 7 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
