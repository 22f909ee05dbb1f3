// SPDX-License-Identifier: GPL-2.0-only
/*
 * shunt_fdinfo.c - what /proc/PID/fdinfo says of a device is true: owner,
 * states, and counters that agree with the traffic
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vguest.h"

static const char *const per_ring[] = {
	"num",	   "kicks",	 "passes", "batches", "packets",   "bytes",
	"signals", "suppressed", "drops",  "errors",  "busypolls",
};

static uint64_t ring_u64(int fd, unsigned int i, const char *what)
{
	char key[48];

	snprintf(key, sizeof(key), "vq%u-%s", i, what);
	return vg_fdinfo_u64(fd, key);
}

static void ring_is(int fd, unsigned int i, const char *what, const char *want)
{
	char key[48], val[64];

	snprintf(key, sizeof(key), "vq%u-%s", i, what);
	kt_check(vg_fdinfo(fd, key, val, sizeof(val)), "fdinfo has no %s", key);
	kt_check(!strcmp(val, want), "%s is '%s', wanted '%s'", key, val, want);
}

static void life(long arg)
{
	struct vg_opts o = { .regions = 7, .num = 512, .no_backend = true };
	int fd = vg_open();
	unsigned int i, k;
	struct vg_net *n;
	char val[64];

	(void)arg;
	kt_check(vg_fdinfo(fd, "shunt-device", val, sizeof(val)) && !strcmp(val, "net"),
		 "shunt-device is not net");
	kt_check(!vg_fdinfo_u64(fd, "shunt-owner"), "a new device has an owner");
	for (i = 0; i < 2; i++)
		ring_is(fd, i, "state", "stopped");
	kt_sys(ioctl(fd, VHOST_SET_OWNER));
	kt_check(vg_fdinfo_u64(fd, "shunt-owner") == (uint64_t)getpid(), "owner is %llu",
		 (unsigned long long)vg_fdinfo_u64(fd, "shunt-owner"));
	kt_sys(ioctl(fd, VHOST_RESET_OWNER));
	kt_check(!vg_fdinfo_u64(fd, "shunt-owner"), "a reset device has an owner");

	n = vg_net_new(&o);
	kt_check(vg_fdinfo_u64(fd, "shunt-id") != vg_fdinfo_u64(n->q[0].dev.fd, "shunt-id"),
		 "two devices have one id");
	fd = n->q[0].dev.fd;
	kt_check(vg_fdinfo_u64(fd, "shunt-features") == n->o.features, "features %#llx",
		 (unsigned long long)vg_fdinfo_u64(fd, "shunt-features"));
	kt_check(vg_fdinfo_u64(fd, "shunt-regions") == 7, "regions");
	ring_is(fd, VG_RX, "role", "rx");
	ring_is(fd, VG_TX, "role", "tx");
	for (i = 0; i < 2; i++) {
		ring_is(fd, i, "state", "stopped");
		vg_queue_start(&n->q[0], i);
		ring_is(fd, i, "state", "running");
		ring_is(fd, i, "layout", vg_packed() ? "packed" : "split");
		kt_check(ring_u64(fd, i, "num") == 512, "ring size");
		for (k = 0; k < ARRAY_SIZE(per_ring); k++)
			ring_u64(fd, i, per_ring[k]);
	}
	vg_alive(n);
	for (i = 0; i < 2; i++) {
		vg_queue_stop(&n->q[0], i);
		ring_is(fd, i, "state", "stopped");
	}
}

static void counters(long size)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = { .tx = 500, .rx = 700, .min = size, .max = size };
	int fd = n->q[0].dev.fd;
	unsigned int i;

	vg_run(n, &t);
	for (i = 0; i < 2; i++) {
		uint64_t packets = ring_u64(fd, i, "packets"), bytes = ring_u64(fd, i, "bytes");
		uint64_t want = i == VG_TX ? t.tx : t.rx;

		kt_check(packets == want, "vq%u-packets is %llu, wanted %llu", i,
			 (unsigned long long)packets, (unsigned long long)want);
		/* With or without the virtio header, but the same for all. */
		kt_check(bytes == want * size || bytes == want * (size + n->hdr_len),
			 "vq%u-bytes is %llu for %llu frames of %ld", i, (unsigned long long)bytes,
			 (unsigned long long)want, size);
		kt_check(!ring_u64(fd, i, "errors") && !ring_u64(fd, i, "drops"),
			 "errors or drops on ring %u", i);
		kt_check(ring_u64(fd, i, "batches") <= packets && ring_u64(fd, i, "batches"),
			 "%llu batches", (unsigned long long)ring_u64(fd, i, "batches"));
		kt_check(ring_u64(fd, i, "passes"), "no passes on ring %u", i);
	}
	kt_check(ring_u64(fd, VG_TX, "kicks") <= n->q[0].ring[VG_TX].kicks &&
			 ring_u64(fd, VG_TX, "kicks"),
		 "%llu kicks counted of %llu", (unsigned long long)ring_u64(fd, VG_TX, "kicks"),
		 (unsigned long long)n->q[0].ring[VG_TX].kicks);
	kt_check(ring_u64(fd, VG_RX, "signals") >= n->q[0].ring[VG_RX].calls,
		 "%llu signals counted, %llu calls came",
		 (unsigned long long)ring_u64(fd, VG_RX, "signals"),
		 (unsigned long long)n->q[0].ring[VG_RX].calls);
	kt_check(ring_u64(fd, VG_RX, "signals") + ring_u64(fd, VG_RX, "suppressed"),
		 "neither signalled nor suppressed");
}

/* A ring that the guest broke says so, until it is started anew. */
static void broken(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	unsigned int base;

	(void)arg;
	vg_alive(n);
	base = vg_ring_at(&q->ring[VG_TX]);
	vg_desc(&q->ring[VG_TX], 0, ~0ull, 1, 0, 0);
	vg_publish(&q->ring[VG_TX], 0);
	vg_ring_kick_always(&q->ring[VG_TX]);
	kt_check(vg_ring_erred(&q->ring[VG_TX], VG_STALL_MS), "no error was signalled");
	ring_is(q->dev.fd, VG_TX, "state", "broken");
	ring_is(q->dev.fd, VG_RX, "state", "running");
	kt_check(ring_u64(q->dev.fd, VG_TX, "errors") >= 1, "no error was counted");
	vg_queue_stop(q, VG_TX);
	vg_ring_reset(&q->ring[VG_TX], base);
	vg_queue_setup(q, VG_TX, base);
	vg_queue_start(q, VG_TX);
	ring_is(q->dev.fd, VG_TX, "state", "running");
	vg_alive(n);
}

static const struct kt_case cases[] = {
	{ "from open to stop", life, 0 },
	{ "counters for frames of 60", counters, 60 },
	{ "counters for frames of 1514", counters, 1514 },
	{ "a broken ring", broken, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
