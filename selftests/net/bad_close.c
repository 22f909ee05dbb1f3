// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_close.c - a device closed, or its owner killed, at any moment under
 * traffic: nothing stays behind, and the next device works
 */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vguest.h"

enum { KILLED, EXITED, CLOSED, RESET };

static unsigned int seed = 20240611;

/* Ends the process or the device at the hook of some round. */
struct end {
	int how;
	unsigned int round, at;
};

static void end(struct vg_net *n, void *arg)
{
	struct end *e = arg;
	unsigned int i;

	if (e->round++ != e->at)
		return;
	switch (e->how) {
	case EXITED:
		_exit(0);
	case RESET:
		kt_sys(ioctl(n->q[0].dev.fd, VHOST_RESET_OWNER));
		_exit(0);
	case CLOSED:
		for (i = 0; i < n->o.pairs; i++)
			close(n->q[i].dev.fd);
		_exit(0);
	}
}

/* The life of one owner; it ends by itself or is killed from outside. */
static void owner(int how, unsigned int iotlb, unsigned int at)
{
	struct vg_opts o = {
		.frame = 3000,
		.depth = 64,
		.pairs = 2,
		.iotlb = iotlb,
		.rx_buf = 1526,
		.busyloop = at % 3 ? 0 : 100,
	};
	struct end e = { .how = how, .at = at };
	struct vg_traffic t = {
		.tx = 1u << 30,
		.rx = 1u << 30,
		.spread = true,
		.hook = end,
		.arg = &e,
	};

	vg_run(vg_net_new(&o), &t);
}

static void ended(long how)
{
	unsigned int round, rounds = kt_scale(15, 4);
	struct vg_net *n;
	int status;
	pid_t pid;

	for (round = 0; round < rounds; round++) {
		unsigned int wait = rand_r(&seed) % 400;
		unsigned int at = rand_r(&seed) % kt_scale(60, 15);

		pid = kt_sys(fork());
		if (!pid) {
			/* The thread that answers misses does not survive the device. */
			owner(how, round % 3 == 2 && how <= EXITED ? 2 : 0, at);
			_exit(1);
		}
		if (how == KILLED) {
			usleep(wait * 1000);
			kill(pid, SIGKILL);
		}
		kt_sys(waitpid(pid, &status, 0));
		if (how == KILLED)
			kt_check(WIFSIGNALED(status), "the owner ended by itself, round %u", round);
		else
			kt_check(WIFEXITED(status) && !WEXITSTATUS(status),
				 "the owner ended with %#x, round %u", status, round);
	}
	n = vg_net_new(&(struct vg_opts){ .frame = 1514 });
	vg_alive(n);
}

/* Open, set up in part, close. */
static void half_way(long arg)
{
	unsigned int round, i;

	(void)arg;
	vg_netns();
	for (round = 0; round < kt_scale(100, 20); round++) {
		struct vg_opts o = { .frame = 1514, .no_backend = true };
		struct vg_net *n = vg_net_new(&o);

		for (i = 0; i < round % 3; i++)
			vg_queue_start(&n->q[0], i);
		if (round % 2)
			vg_rx_fill(&n->q[0]);
		vg_net_free(n);
	}
	for (round = 0; round < 50; round++)
		close(vg_open());
}

/*
 * The owner dies while another process holds the device: its memory is gone,
 * the device is not, until the last holder closes it.
 */
static void inherited(long how)
{
	unsigned int round;

	for (round = 0; round < kt_scale(12, 4); round++) {
		int sv[2], status, fd = vg_open();
		char c;
		pid_t pid;

		kt_sys(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
		pid = kt_sys(fork());
		if (!pid) {
			struct vg_opts o = { .frame = 1514, .no_backend = true };
			struct vg_net *n = vg_net_new(&o);
			struct vg_queue *q = &n->q[0];
			unsigned int i;

			/* The card goes over to the device that the parent holds too. */
			close(q->dev.fd);
			q->dev.fd = fd;
			kt_sys(ioctl(fd, VHOST_SET_OWNER));
			kt_sys(vg_set_features(fd, q->dev.features));
			kt_sys(vg_set_mem(fd, n->mem));
			for (i = 0; i < 2; i++) {
				vg_queue_setup(q, i, vg_ring_first(&q->ring[i]));
				vg_queue_start(q, i);
			}
			vg_alive(n);
			kt_sys(write(sv[1], "x", 1));
			if (how == EXITED)
				_exit(0);
			for (;;)
				vg_alive(n);
		}
		kt_check(read(sv[0], &c, 1) == 1, "the owner did not get so far");
		usleep(1000 * (rand_r(&seed) % 50));
		kill(pid, SIGKILL);
		kt_sys(waitpid(pid, &status, 0));
		/* Of a dead owner's device nothing can be had but its features. */
		kt_check(vg_features(fd), "no features");
		kt_errno(vg_vring_state(fd, VHOST_SET_VRING_NUM, 0, 256), EPERM);
		kt_errno(vg_vring_file(fd, VHOST_NET_SET_BACKEND, 0, -1), EPERM);
		kt_errno(ioctl(fd, VHOST_SET_OWNER), EBUSY);
		kt_sys(close(fd));
		close(sv[0]);
		close(sv[1]);
	}
	vg_alive(vg_net_new(&(struct vg_opts){ .frame = 1514 }));
}

static const struct kt_case cases[] = {
	{ "the owner is killed", ended, KILLED, 180 },
	{ "the owner exits", ended, EXITED, 180 },
	{ "the device is closed", ended, CLOSED, 180 },
	{ "the owner is reset", ended, RESET, 180 },
	{ "closed half way", half_way, 0 },
	{ "the owner exits, another process holds the device", inherited, EXITED },
	{ "the owner is killed, another process holds the device", inherited, KILLED },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
