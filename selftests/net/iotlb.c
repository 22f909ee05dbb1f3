// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotlb.c - ACCESS_PLATFORM: the device asks for translations that it lacks,
 * in both versions of the messages, and goes on when it gets them
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vguest.h"

static unsigned long long misses(struct vg_net *n)
{
	return __atomic_load_n(&n->q[0].dev.tlb.misses, __ATOMIC_SEQ_CST);
}

/* arg: version, and 10 more for translations of single pages */
static void traffic(long arg)
{
	struct vg_opts o = {
		.iotlb = arg % 10,
		.grain = arg >= 10 ? VG_PAGE : 0,
		.frame = 9014,
		.depth = 64,
		.num = 1024,
	};
	struct vg_net *n = vg_net_new(&o);
	struct vg_traffic t = { .tx = kt_scale(1500, 300), .rx = kt_scale(1500, 300), .min = 14 };

	vg_run(n, &t);
	/* Indirect tables are translated like buffers. */
	n->o.indirect = true;
	vg_alive(n);
	kt_check(misses(n) > 0, "the device asked for nothing");
	kt_note("%llu misses", misses(n));
}

struct inval {
	unsigned int round;
	uint64_t seed;
};

/* Take away a piece of some region now and then, and everything rarely. */
static void invalidate(struct vg_net *n, void *arg)
{
	struct inval *s = arg;
	const struct vg_region *r;
	uint64_t at;

	if (++s->round % 4)
		return;
	s->seed = s->seed * 6364136223846793005ull + 1442695040888963407ull;
	r = &n->mem->r[(s->seed >> 33) % n->mem->n];
	at = r->gpa + (s->seed >> 20) % r->size / VG_PAGE * VG_PAGE;
	if (s->round % 40 == 0)
		kt_sys(vg_iotlb_unmap(&n->q[0].dev, n->mem->r[0].gpa, vg_mem_end(n->mem)));
	else
		kt_sys(vg_iotlb_unmap(&n->q[0].dev, at, r->gpa + r->size - at));
}

static void invalidated(long arg)
{
	struct vg_opts o = {
		.iotlb = arg % 10,
		.grain = arg >= 10 ? VG_PAGE : 0,
		.depth = 64,
	};
	struct vg_net *n = vg_net_new(&o);
	struct inval s = { .seed = 42 };
	unsigned int runs;

	/* How often the hook is called is for the machine's speed to say. */
	for (runs = 0; misses(n) <= 10; runs++) {
		struct vg_traffic t = {
			.tx = kt_scale(3000, 1500),
			.rx = kt_scale(3000, 1500),
			.hook = invalidate,
			.arg = &s,
		};

		kt_check(runs < 10, "only %llu misses in %u invalidations", misses(n), s.round / 4);
		vg_run(n, &t);
	}
	kt_note("%llu misses", misses(n));
}

static bool saw_ring;

static bool watch_ring(struct vg_dev *d, uint64_t iova, uint8_t perm)
{
	uint64_t gpa = iova - d->mem->iova_off;

	(void)perm;
	if (gpa >= d->mem->r[0].gpa && gpa < d->mem->r[0].gpa + d->mem->r[0].size)
		__atomic_store_n(&saw_ring, true, __ATOMIC_SEQ_CST);
	return false;
}

/* A ring whose translation was taken away is not touched before it is asked for anew. */
static void ring_invalidated(long version)
{
	struct vg_opts o = { .iotlb = version, .hook = watch_ring };
	struct vg_net *n = vg_net_new(&o);
	unsigned int i;

	vg_alive(n);
	for (i = 0; i < 10; i++) {
		saw_ring = false;
		kt_sys(vg_iotlb_unmap(&n->q[0].dev, n->mem->r[0].gpa, n->mem->r[0].size));
		vg_alive(n);
		kt_check(__atomic_load_n(&saw_ring, __ATOMIC_SEQ_CST),
			 "the rings went on without their translation");
	}
}

static volatile bool hold;
static uint64_t held;

static bool hold_back(struct vg_dev *d, uint64_t iova, uint8_t perm)
{
	uint64_t gpa = iova - d->mem->iova_off;

	(void)perm;
	if (!hold || gpa < d->mem->r[1].gpa)
		return false;
	__atomic_store_n(&held, iova, __ATOMIC_SEQ_CST);
	return true;
}

/* Jiffies that the kernel threads of vhost devices have used so far. */
static unsigned long worker_time(unsigned int *workers)
{
	unsigned long total = 0;
	struct dirent *p, *t;
	DIR *proc = opendir("/proc"), *tasks;

	*workers = 0;
	kt_check(proc, "/proc: %m");
	while ((p = readdir(proc))) {
		char path[600];

		if (p->d_name[0] < '0' || p->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/task", p->d_name);
		tasks = opendir(path);
		while (tasks && (t = readdir(tasks))) {
			unsigned long utime, stime;
			char line[512], *end;
			FILE *f;

			snprintf(path, sizeof(path), "/proc/%.20s/task/%.20s/stat", p->d_name,
				 t->d_name);
			f = t->d_name[0] == '.' ? NULL : fopen(path, "r");
			if (!f)
				continue;
			if (fgets(line, sizeof(line), f) &&
			    (strstr(line, "(vhost-") || strstr(line, "(shunt")) &&
			    (end = strrchr(line, ')')) &&
			    sscanf(end + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
				   &utime, &stime) == 2) {
				total += utime + stime;
				++*workers;
			}
			fclose(f);
		}
		if (tasks)
			closedir(tasks);
	}
	closedir(proc);
	return total;
}

/* A worker that waits for a translation sleeps; an answer, however late, wakes it. */
static void pending(long version)
{
	struct vg_opts o = { .iotlb = version, .hook = hold_back, .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_dev *d = &n->q[0].dev;
	static uint8_t f[2048];
	unsigned long before, after, hz = sysconf(_SC_CLK_TCK);
	unsigned int workers, queue;
	uint64_t end = vg_ms() + VG_STALL_MS;
	uint32_t seq;
	size_t len;

	vg_alive(n);
	hold = true;
	kt_sys(vg_iotlb_unmap(d, n->mem->r[1].gpa, vg_mem_end(n->mem)));
	vg_frame(f, 100, 1, 0);
	kt_check(vg_tx(&n->q[0], f, 100, NULL), "no room");
	vg_ring_kick(&n->q[0].ring[VG_TX]);
	while (!__atomic_load_n(&held, __ATOMIC_SEQ_CST)) {
		kt_check(vg_ms() < end, "no miss came");
		usleep(1000);
	}
	usleep(100000);
	before = worker_time(&workers);
	kt_check(workers, "found no worker thread of a vhost device");
	sleep(2);
	after = worker_time(&workers);
	kt_note("%lu of %lu ticks used while a miss was pending", after - before, 2 * hz);
	kt_check(after - before < hz / 2, "the worker was busy while a miss was pending");
	hold = false;
	kt_sys(vg_iotlb_map(d, held - n->mem->iova_off, 1, VHOST_ACCESS_RW));
	kt_check(vg_host_recv(n, f, sizeof(f), &len, NULL, VG_STALL_MS),
		 "the frame did not go out after the answer");
	kt_check(!vg_frame_check(f, len, &seq, &queue) && seq == 1, "another frame");
	kt_check(vg_ring_wait(&n->q[0].ring[VG_TX], VG_STALL_MS), "not used");
	vg_tx_reap(&n->q[0]);
	vg_alive(n);
}

/* With a miss never answered, the ring can be stopped and the device closed. */
static void unanswered(long version)
{
	struct vg_opts o = { .iotlb = version, .hook = hold_back };
	struct vg_net *n = vg_net_new(&o);
	struct vg_dev *d = &n->q[0].dev;
	unsigned int base;

	vg_alive(n);
	hold = true;
	kt_sys(vg_iotlb_unmap(d, n->mem->r[1].gpa, vg_mem_end(n->mem)));
	vg_frame((uint8_t[100]){ 0 }, 100, 1, 0);
	kt_check(vg_tx(&n->q[0], (uint8_t[100]){ 0 }, 100, NULL), "no room");
	vg_ring_kick(&n->q[0].ring[VG_TX]);
	usleep(200000);
	base = vg_queue_stop(&n->q[0], VG_TX);
	kt_check(base == vg_ring_at(&n->q[0].ring[VG_TX]), "stopped at %#x, used up to %#x", base,
		 vg_ring_at(&n->q[0].ring[VG_TX]));
	hold = false;
	vg_queue_setup(&n->q[0], VG_TX, base);
	vg_queue_start(&n->q[0], VG_TX);
	kt_check(vg_ring_wait(&n->q[0].ring[VG_TX], VG_STALL_MS),
		 "the frame that waited for a translation was not taken up again");
	vg_tx_reap(&n->q[0]);
	vg_host_drain(n);
	vg_alive(n);
	hold = true;
	kt_sys(vg_iotlb_unmap(d, n->mem->r[0].gpa, vg_mem_end(n->mem)));
	kt_check(vg_tx(&n->q[0], (uint8_t[100]){ 0 }, 100, NULL), "no room");
	vg_ring_kick(&n->q[0].ring[VG_TX]);
	vg_net_free(n);
}

static bool read_only(struct vg_dev *d, uint64_t iova, uint8_t perm)
{
	uint64_t gpa = (iova - d->mem->iova_off) & -(uint64_t)VG_PAGE;

	(void)perm;
	if (!hold || gpa < d->mem->r[1].gpa)
		return false;
	kt_sys(vg_iotlb_map(d, gpa, VG_PAGE, VHOST_ACCESS_RO));
	return true;
}

/* A buffer that may only be read is not written. */
static void permission(long version)
{
	struct vg_opts o = { .iotlb = version, .hook = read_only, .depth = 4 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_dev *d = &n->q[0].dev;
	static uint8_t f[2048];
	unsigned int i;

	vg_alive(n);
	hold = true;
	kt_sys(vg_iotlb_unmap(d, n->mem->r[1].gpa, vg_mem_end(n->mem)));
	vg_frame(f, 100, 1, 0);
	vg_host_send(n, f, 100, NULL);
	vg_ring_kick_always(&n->q[0].ring[VG_RX]);
	kt_check(!vg_ring_wait(&n->q[0].ring[VG_RX], 500), "a read-only buffer was used");
	for (i = 0; i < n->q[0].nbuf; i++) {
		struct vg_buf *b = &n->q[0].buf[VG_RX][i];

		kt_check(!b->busy || vg_filled(n->mem, b->gpa, 0xa7, b->room),
			 "a read-only buffer was written");
	}
	/* Given the right, a ring started anew goes on. */
	hold = false;
	kt_sys(vg_iotlb_unmap(d, n->mem->r[1].gpa, vg_mem_end(n->mem)));
	vg_queue_setup(&n->q[0], VG_RX, vg_queue_stop(&n->q[0], VG_RX));
	vg_queue_start(&n->q[0], VG_RX);
	kt_check(vg_ring_wait(&n->q[0].ring[VG_RX], VG_STALL_MS), "the ring did not go on");
}

/* Messages that make no sense are refused, and leave what is there as it is. */
static void bad_messages(long version)
{
	struct vg_opts o = { .iotlb = version };
	struct vg_net *n = vg_net_new(&o);
	struct vg_dev *d = &n->q[0].dev;
	uint64_t va = (uintptr_t)n->mem->r[0].va, iova = n->mem->r[0].gpa + n->mem->iova_off;
	uint32_t raw[32];
	unsigned int i;

	vg_alive(n);
	kt_refused(vg_iotlb_send(d, VHOST_IOTLB_UPDATE, iova, 0, va, VHOST_ACCESS_RW));
	kt_refused(vg_iotlb_send(d, VHOST_IOTLB_UPDATE, 0, ~0ull, va, VHOST_ACCESS_RW));
	kt_refused(vg_iotlb_send(d, VHOST_IOTLB_UPDATE, 0, ~0ull, 0, VHOST_ACCESS_RW));
	kt_refused(
		vg_iotlb_send(d, VHOST_IOTLB_UPDATE, iova, VG_PAGE, ~0ull - 100, VHOST_ACCESS_RW));
	kt_refused(
		vg_iotlb_send(d, VHOST_IOTLB_UPDATE, iova, VG_PAGE, 1ull << 63, VHOST_ACCESS_RW));
	kt_refused(vg_iotlb_send(d, VHOST_IOTLB_MISS, iova, VG_PAGE, va, VHOST_ACCESS_RW));
	kt_refused(vg_iotlb_send(d, 0, iova, VG_PAGE, va, VHOST_ACCESS_RW));
	kt_refused(vg_iotlb_send(d, 200, iova, VG_PAGE, va, VHOST_ACCESS_RW));
	for (i = 0; i < 40; i += 3) {
		memset(raw, 0, sizeof(raw));
		raw[0] = VHOST_IOTLB_MSG_V2;
		kt_refused(write(d->fd, raw, i));
		raw[0] = i + 3;
		kt_refused(write(d->fd, raw, sizeof(raw)));
	}
	vg_alive(n);
	/* e2ae38cf3d91: the whole address space, and its very end */
	vg_iotlb_send(d, VHOST_IOTLB_UPDATE, ~0ull - VG_PAGE + 1, VG_PAGE, va, VHOST_ACCESS_RW);
	vg_iotlb_send(d, VHOST_IOTLB_INVALIDATE, 0, ~0ull, 0, 0);
	vg_alive(n);
	vg_iotlb_send(d, VHOST_IOTLB_INVALIDATE, 0, 0, 0, 0);
	vg_iotlb_send(d, VHOST_IOTLB_INVALIDATE, 1, ~0ull, 0, 0);
	vg_iotlb_send(d, VHOST_IOTLB_INVALIDATE, ~0ull, ~0ull, 0, 0);
	vg_alive(n);
}

/* More translations than the device keeps: it forgets some and asks again. */
static void many(long version)
{
	struct vg_opts o = { .iotlb = version, .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_dev *d = &n->q[0].dev;
	uint64_t va = (uintptr_t)n->mem->r[0].va, at = 0x10000000000ull;
	unsigned int i;

	for (i = 0; i < 5000; i++)
		kt_sys(vg_iotlb_send(d, VHOST_IOTLB_UPDATE, at + 2ull * i * VG_PAGE, VG_PAGE, va,
				     VHOST_ACCESS_RO));
	vg_alive(n);
}

/* Without the feature there is nothing to read or write. */
static void not_enabled(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	char buf[200];

	(void)arg;
	n->q[0].dev.tlb.version = 2;
	kt_errno(vg_iotlb_send(&n->q[0].dev, VHOST_IOTLB_UPDATE, 0, VG_PAGE,
			       (uintptr_t)n->mem->r[0].va, VHOST_ACCESS_RW),
		 EFAULT);
	kt_errno(read(n->q[0].dev.fd, buf, sizeof(buf)), EBADFD);
	kt_sys(fcntl(n->q[0].dev.fd, F_SETFL, O_NONBLOCK));
	kt_errno(read(n->q[0].dev.fd, buf, sizeof(buf)), EAGAIN);
	kt_check(read(n->q[0].dev.fd, buf, 8) <= 0, "a short read gave something");
	vg_alive(n);
}

static const struct kt_case cases[] = {
	{ "version 1, translations of regions", traffic, 1 },
	{ "version 2, translations of regions", traffic, 2 },
	{ "version 1, translations of pages", traffic, 11 },
	{ "version 2, translations of pages", traffic, 12 },
	{ "version 1, taken away under traffic", invalidated, 1 },
	{ "version 2, taken away under traffic", invalidated, 12 },
	{ "a ring's own translation is asked for anew", ring_invalidated, 2 },
	{ "a pending miss costs no time", pending, 2 },
	{ "a miss that is never answered", unanswered, 2 },
	{ "a read-only buffer", permission, 2 },
	{ "bad messages of version 1", bad_messages, 1 },
	{ "bad messages of version 2", bad_messages, 2 },
	{ "more translations than are kept", many, 2 },
	{ "messages without the feature", not_enabled, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
