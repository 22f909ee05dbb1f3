// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_fds.c - file descriptors of the wrong kind are refused; those that are
 * replaced, and those of a device that is closed, are given back
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <pthread.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vguest.h"

/* One of everything that is no eventfd. */
static unsigned int strangers(int *fd, int vhost)
{
	unsigned int n = 0;
	int p[2];

	kt_sys(pipe(p));
	fd[n++] = p[0];
	fd[n++] = p[1];
	fd[n++] = kt_sys(open("/dev/null", O_RDWR));
	fd[n++] = kt_sys(open("/", O_RDONLY));
	fd[n++] = kt_sys(open("/", O_PATH));
	fd[n++] = kt_sys(memfd_create("stranger", 0));
	fd[n++] = kt_sys(epoll_create1(0));
	fd[n++] = kt_sys(timerfd_create(CLOCK_MONOTONIC, 0));
	fd[n++] = kt_sys(socket(AF_UNIX, SOCK_STREAM, 0));
	fd[n++] = kt_sys(socket(AF_UNIX, SOCK_DGRAM, 0));
	fd[n++] = kt_sys(socket(AF_INET, SOCK_STREAM, 0));
	fd[n++] = kt_sys(socket(AF_INET, SOCK_DGRAM, 0));
	fd[n++] = kt_sys(socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
	fd[n++] = kt_sys(socket(AF_NETLINK, SOCK_RAW, 0));
	/* CVE-2020-10942 */
	fd[n++] = kt_sys(socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL)));
	fd[n++] = vhost;
	fd[n++] = vg_open();
	fd[n++] = 987654;
	fd[n++] = -2;
	fd[n++] = 0x7fffffff;
	return n;
}

static void eventfds(long arg)
{
	static const unsigned long reqs[] = {
		VHOST_SET_VRING_KICK,
		VHOST_SET_VRING_CALL,
		VHOST_SET_VRING_ERR,
	};
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	int fd[32], vhost = n->q[0].dev.fd;
	unsigned int nr = strangers(fd, vhost), i, k;

	(void)arg;
	for (i = 0; i < nr; i++) {
		for (k = 0; k < ARRAY_SIZE(reqs); k++) {
			kt_refused(vg_vring_file(vhost, reqs[k], VG_TX, fd[i]));
			kt_check(errno == EINVAL || errno == EBADF, "errno %d", errno);
		}
		kt_refused(ioctl(vhost, VHOST_SET_LOG_FD, &fd[i]));
	}
	/* The eventfds that were there are there still. */
	vg_alive(n);
}

static void back_ends(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	int fd[32], vhost = n->q[0].dev.fd;
	unsigned int nr, i, k;

	(void)arg;
	nr = strangers(fd, vhost);
	fd[nr++] = kt_sys(eventfd(0, 0));
	/* A tun file that is attached to no interface. */
	fd[nr++] = kt_sys(open("/dev/net/tun", O_RDWR));
	for (k = 0; k < 2; k++) {
		for (i = 0; i < nr; i++)
			kt_refused(vg_vring_file(vhost, VHOST_NET_SET_BACKEND, k, fd[i]));
	}
	/* A running ring keeps the back end that it has, */
	vg_alive(n);
	/* and a stopped one gets none. */
	vg_queue_stop(&n->q[0], VG_TX);
	for (i = 0; i < nr; i++)
		kt_refused(vg_vring_file(vhost, VHOST_NET_SET_BACKEND, VG_TX, fd[i]));
	vg_queue_setup(&n->q[0], VG_TX, vg_get_base(vhost, VG_TX));
	vg_queue_start(&n->q[0], VG_TX);
	vg_alive(n);
}

/* The same back end again changes nothing; another one takes over. */
static void twice(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	unsigned int i, k;
	int tap;

	(void)arg;
	for (i = 0; i < 10; i++) {
		for (k = 0; k < 2; k++)
			vg_queue_start(q, k);
		vg_alive(n);
	}
	tap = vg_tap("vgtap1", IFF_VNET_HDR, n->hdr_len, 0);
	vg_link_up("vgtap1", true);
	close(n->packet);
	n->packet = vg_packet("vgtap1");
	for (k = 0; k < 2; k++)
		kt_sys(vg_vring_file(q->dev.fd, VHOST_NET_SET_BACKEND, k, tap));
	vg_alive(n);
	/* The first TAP is ours alone again: with our fd it goes. */
	close(q->backend);
	q->backend = tap;
	for (i = 0; i < 100 && if_nametoindex("vgtap0"); i++)
		usleep(20000);
	kt_check(!if_nametoindex("vgtap0"), "the replaced back end is still held");
	vg_alive(n);
}

/* A TAP goes when its last holder goes: the device holds it only while it runs. */
static void tap_released(long how)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	unsigned int i;

	vg_alive(n);
	close(n->packet);
	close(q->backend);
	usleep(50000);
	kt_check(if_nametoindex("vgtap0"), "the TAP went while the device used it");
	switch (how) {
	case 0:
		vg_queue_stop(q, VG_RX);
		vg_queue_stop(q, VG_TX);
		break;
	case 1:
		kt_sys(ioctl(q->dev.fd, VHOST_RESET_OWNER));
		break;
	case 2:
		close(q->dev.fd);
		break;
	}
	for (i = 0; i < 250 && if_nametoindex("vgtap0"); i++)
		usleep(20000);
	kt_check(!if_nametoindex("vgtap0"), "the TAP is still held");
}

static long open_files(void)
{
	long n = 0;
	FILE *f = fopen("/proc/sys/fs/file-nr", "r");

	kt_check(f && fscanf(f, "%ld", &n) == 1, "/proc/sys/fs/file-nr: %m");
	fclose(f);
	return n;
}

/* CVE-2015-6252: what is replaced is given back. */
static void replaced(long arg)
{
	static const unsigned long reqs[] = {
		VHOST_SET_VRING_KICK,
		VHOST_SET_VRING_CALL,
		VHOST_SET_VRING_ERR,
	};
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_ring *r = &n->q[0].ring[VG_TX];
	int vhost = n->q[0].dev.fd, mine[3] = { r->kick, r->call, r->err };
	unsigned int rounds = 2000, i, k;
	long before, after;

	(void)arg;
	before = open_files();
	for (i = 0; i < rounds; i++) {
		for (k = 0; k < 3; k++) {
			int e = kt_sys(eventfd(0, 0));

			kt_sys(vg_vring_file(vhost, reqs[k], VG_TX, e));
			if (i % 2)
				kt_sys(vg_vring_file(vhost, reqs[k], VG_TX, -1));
			close(e);
		}
		k = kt_sys(eventfd(0, 0));
		kt_sys(ioctl(vhost, VHOST_SET_LOG_FD, &k));
		close(k);
		/* A wrong one must not cost a reference either. */
		vg_vring_file(vhost, reqs[i % 3], VG_TX, vhost);
		vg_vring_file(vhost, VHOST_NET_SET_BACKEND, VG_TX, r->call);
	}
	for (k = 0; k < 3; k++)
		kt_sys(vg_vring_file(vhost, reqs[k], VG_TX, mine[k]));
	usleep(300000);
	after = open_files();
	kt_note("%ld files open before, %ld after", before, after);
	/* The kernel's own count is kept per CPU and exact to some hundred. */
	kt_check(after - before < 1000, "%ld of %u files are still open", after - before,
		 4 * rounds);
	vg_alive(n);
}

struct swap {
	volatile bool stop;
	int slot;
	const int *from;
	unsigned int nr;
};

/* What a file descriptor number stands for changes all the time. */
static void *swap_files(void *arg)
{
	struct swap *s = arg;
	unsigned int i;

	for (i = 0; !s->stop; i++)
		kt_sys(dup2(s->from[i % s->nr], s->slot));
	return NULL;
}

/* CVE-2023-1838: a number is looked up once, or what was checked is not what is used. */
static void resolved_once(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	int from[4] = { q->backend, q->ring[0].call, kt_sys(open("/dev/null", O_RDWR)),
			vg_packet_plain(n->ifname) };
	struct swap s = { .slot = kt_sys(dup(q->backend)), .from = from, .nr = 4 };
	unsigned int i, base, worked = 0, refused = 0;
	pthread_t t;

	(void)arg;
	vg_alive(n);
	kt_check(!pthread_create(&t, NULL, swap_files, &s), "pthread_create");
	for (i = 0; i < kt_scale(3000, 500); i++) {
		unsigned int k = i % 2;

		base = vg_queue_stop(q, k);
		kt_sys(vg_vring_state(q->dev.fd, VHOST_SET_VRING_BASE, k, base));
		if (vg_vring_file(q->dev.fd, VHOST_NET_SET_BACKEND, k, s.slot))
			refused++;
		else
			worked++;
		vg_vring_file(q->dev.fd, VHOST_SET_VRING_ERR, k, s.slot);
	}
	s.stop = true;
	pthread_join(t, NULL);
	kt_note("%u taken, %u refused", worked, refused);
	kt_check(worked && refused, "the race was not run");
	/* Frames without headers came, and into buffers that were not used up. */
	vg_queue_anew(q, VG_RX);
	vg_queue_anew(q, VG_TX);
	vg_guest_drain(q);
	vg_host_drain(n);
	vg_alive(n);
}

static const struct kt_case cases[] = {
	{ "eventfds of the wrong kind", eventfds, 0 },
	{ "back ends of the wrong kind", back_ends, 0 },
	{ "a back end set twice, and changed", twice, 0 },
	{ "a stop gives the TAP back", tap_released, 0 },
	{ "a reset gives the TAP back", tap_released, 1 },
	{ "a close gives the TAP back", tap_released, 2 },
	{ "replaced eventfds are given back", replaced, 0 },
	{ "a number that changes its file meanwhile", resolved_once, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
