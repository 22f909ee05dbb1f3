// SPDX-License-Identifier: GPL-2.0-only
/*
 * notify.c - kicks reach the function and its interrupts the call eventfds: those of rings
 * and that of the configuration; also while either is changed, which VMMs do when a guest
 * masks an interrupt; and none comes that was not asked for
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vdpa.h"

/* The ring whose interrupts are looked at: a card's transmit ring, a disk's only one. */
static struct vg_ring *looked_at(struct vf_unit *u)
{
	return u->ring[u->nring - 1];
}

/* One frame to the host, or one request, without a wait for its end. */
static void offer(struct vf_unit *u)
{
	static struct vd_io io = { .type = VIRTIO_BLK_T_FLUSH };
	static uint8_t f[1514];

	if (u->net) {
		vg_frame(f, sizeof(f), 1, 0);
		kt_check(vg_tx(&u->net->q[0], f, sizeof(f), NULL), "no room for a frame");
	} else {
		kt_check(vd_start(u->disk, 0, &io), "no room for a request");
	}
	vg_ring_kick(looked_at(u));
}

static void take(struct vf_unit *u)
{
	if (u->net)
		kt_check(vg_tx_reap(&u->net->q[0]) == 1, "the frame did not come back");
	else
		kt_check(vd_reap(u->disk, 0), "the request did not come back");
}

/* Wait until the ring moves, without its eventfd. */
static void wait_used(struct vg_ring *r)
{
	uint64_t end = vg_ms() + VG_STALL_MS;

	while (!vg_ring_pending(r)) {
		kt_check(vg_ms() < end, "the function does not use what it was offered");
		usleep(1000);
	}
}

static bool called(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t v;

	return kt_sys(poll(&p, 1, ms)) == 1 && read(fd, &v, sizeof(v)) == sizeof(v);
}

static void each_is_called_for(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .features = arg });
	struct vg_ring *r = looked_at(u);
	unsigned int i;
	char key[32];

	for (i = 0; i < 50; i++) {
		kt_check(!vg_ring_arm(r), "something is used already");
		offer(u);
		kt_check(called(r->call, VG_STALL_MS), "no call for number %u", i);
		wait_used(r);
		take(u);
	}
	/* None that was not asked for: what is used is seen, and then no call is. */
	vg_ring_disarm(r);
	called(r->call, 0);
	for (i = 0; i < 20; i++) {
		offer(u);
		wait_used(r);
		take(u);
	}
	kt_check(!called(r->call, 200), "calls, although none were asked for");
	snprintf(key, sizeof(key), "vq%u-interrupts", u->nring - 1);
	kt_check(vg_fdinfo_u64(u->fd, key) >= 50, "fdinfo: %s %llu", key,
		 (unsigned long long)vg_fdinfo_u64(u->fd, key));
	snprintf(key, sizeof(key), "vq%u-kicks", u->nring - 1);
	kt_check(vg_fdinfo_u64(u->fd, key) >= 50, "fdinfo: %s %llu", key,
		 (unsigned long long)vg_fdinfo_u64(u->fd, key));
}

/* The eventfd is another one, or none, while frames and requests go on. */
struct swap {
	struct vf_unit *u;
	int call[2], kick[2];
	unsigned int round;
};

static void swap_call(void *arg)
{
	struct swap *s = arg;
	struct vg_ring *r = looked_at(s->u);
	unsigned int i = s->u->nring - 1;

	if (s->round++ % 3)
		return;
	if (s->round % 2)
		kt_sys(vg_vring_file(s->u->fd, VHOST_SET_VRING_CALL, i, -1));
	/* What was signalled on the old one is looked for in the ring, as a VMM does. */
	r->call = s->call[s->round / 3 % 2];
	kt_sys(vg_vring_file(s->u->fd, VHOST_SET_VRING_CALL, i, r->call));
	kt_sys(eventfd_write(r->call, 1));
}

static void swap_kick(void *arg)
{
	struct swap *s = arg;
	struct vg_ring *r = looked_at(s->u);

	if (s->round++ % 3)
		return;
	r->kick = s->kick[s->round / 3 % 2];
	kt_sys(vg_vring_file(s->u->fd, VHOST_SET_VRING_KICK, s->u->nring - 1, r->kick));
	vg_ring_kick_always(r);
}

static void changed(long kick)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){});
	struct vg_ring *r = looked_at(u);
	struct swap s = {
		.u = u,
		.call = { r->call, kt_sys(eventfd(0, EFD_NONBLOCK)) },
		.kick = { r->kick, kt_sys(eventfd(0, EFD_NONBLOCK)) },
	};

	vf_run(u, kt_scale(600, 150), kick ? swap_kick : swap_call, &s);
}

/* A kick that was written before the function was told of its eventfd is not lost. */
static void early_kick(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .stopped = true });
	struct vg_ring *r = looked_at(u);

	(void)arg;
	offer(u);
	vg_ring_kick_always(r);
	vf_start(u);
	wait_used(r);
	take(u);
	vf_alive(u);
}

static void without_eventfds(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .stopped = true });
	unsigned int i;

	(void)arg;
	for (i = 0; i < u->nring; i++)
		kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_CALL, i, -1));
	vf_start(u);
	for (i = 0; i < 10; i++) {
		offer(u);
		wait_used(looked_at(u));
		take(u);
	}
	for (i = 0; i < u->nring; i++)
		kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_KICK, i, -1));
	/* Nobody hears of these. */
	vg_ring_kick_always(looked_at(u));
	for (i = 0; i < u->nring; i++) {
		kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_KICK, i, u->ring[i]->kick));
		kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_CALL, i, u->ring[i]->call));
	}
	vf_alive(u);
}

static void fds_of_the_wrong_kind(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){});
	int pipes[2], bad[7], other;
	unsigned int i, k;

	(void)arg;
	kt_sys(pipe(pipes));
	bad[0] = 9999;
	bad[1] = -2;
	bad[2] = u->fd;
	bad[3] = pipes[0];
	bad[4] = kt_sys(open("/dev/null", O_RDWR | O_CLOEXEC));
	bad[5] = kt_sys(epoll_create1(EPOLL_CLOEXEC));
	bad[6] = kt_sys(memfd_create("none", MFD_CLOEXEC));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (k = 0; k < u->nring; k++) {
			kt_refused(vg_vring_file(u->fd, VHOST_SET_VRING_KICK, k, bad[i]));
			kt_refused(vg_vring_file(u->fd, VHOST_SET_VRING_CALL, k, bad[i]));
		}
		kt_refused(ioctl(u->fd, VHOST_VDPA_SET_CONFIG_CALL, &bad[i]));
	}
	/* What was there before is there still. */
	vf_alive(u);
	/* One for all: kicks of one ring are kicks of each, and calls of any are heard. */
	other = kt_sys(eventfd(0, EFD_NONBLOCK));
	for (k = 0; k < u->nring; k++)
		kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_KICK, k, other));
	kt_sys(eventfd_write(other, 1));
	for (k = 0; k < u->nring; k++)
		kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_KICK, k, u->ring[k]->kick));
	vf_alive(u);
}

/* The same eventfd is kick and call: the function's interrupt rings its own bell. */
static void ring_of_bells(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .features = arg });
	unsigned int k, i;
	int one = kt_sys(eventfd(0, EFD_NONBLOCK));

	for (k = 0; k < u->nring; k++) {
		kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_CALL, k, one));
		kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_KICK, k, one));
	}
	vg_ring_arm(looked_at(u));
	for (i = 0; i < 10; i++) {
		offer(u);
		kt_sys(eventfd_write(one, 1));
		wait_used(looked_at(u));
		take(u);
		vg_ring_arm(looked_at(u));
	}
	vf_free(u);
	vf_fresh();
}

/* The wire goes down and up again: the function says so by its configuration's interrupt. */
static void configuration_changes(long arg)
{
	struct virtio_net_config c;
	struct vf_unit *u;
	int call, up;

	(void)arg;
	vf_need(VIRTIO_ID_NET);
	u = vf_new(&(struct vf_opts){ .features = VG_BASIC | BIT(VIRTIO_NET_F_STATUS) });
	call = kt_sys(eventfd(0, EFD_NONBLOCK));
	kt_sys(ioctl(u->fd, VHOST_VDPA_SET_CONFIG_CALL, &call));
	kt_sys(vf_get_config(u->fd, 0, &c, 10));
	kt_check(c.status & VIRTIO_NET_S_LINK_UP, "the link is down");
	called(call, 0);
	for (up = 0; up < 2; up++) {
		vf_monitor("set_link %s %s", getenv("SHUNT_TEST_NAME"), up ? "on" : "off");
		kt_check(called(call, VG_STALL_MS), "no call for a link that goes %s",
			 up ? "up" : "down");
		kt_sys(vf_get_config(u->fd, 0, &c, 10));
		kt_check(!(c.status & VIRTIO_NET_S_LINK_UP) == !up, "the link's status is %#x",
			 c.status);
	}
	call = -1;
	kt_sys(ioctl(u->fd, VHOST_VDPA_SET_CONFIG_CALL, &call));
	vf_alive(u);
}

static const struct kt_case cases[] = {
	{ "a call for each, and none that was not asked for", each_is_called_for, 0 },
	{ "the same without EVENT_IDX", each_is_called_for, BIT(VIRTIO_F_VERSION_1) },
	{ "the call eventfd changes under traffic", changed, 0 },
	{ "the kick eventfd changes under traffic", changed, 1 },
	{ "a kick before the start is not lost", early_kick, 0 },
	{ "no call eventfd, and no kick eventfd", without_eventfds, 0 },
	{ "descriptors of the wrong kind", fds_of_the_wrong_kind, 0 },
	{ "kick and call are one eventfd", ring_of_bells, 0 },
	{ "the configuration changes", configuration_changes, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
