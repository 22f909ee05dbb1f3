// SPDX-License-Identifier: GPL-2.0-only
/*
 * shunt_fault.c - a page fault that only the VMM can answer holds up nobody else
 *
 * With userfaultfd a VMM decides when a fault in its memory ends (as it does in
 * a post-copy migration). Neither the worker that copies from such memory, nor
 * an ioctl whose argument lies there, may make the VMM unkillable or hang those
 * who look at it. For shunt only: a stock worker of 6.1 waits for ever.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vguest.h"

/* A page of guest memory that holds nothing yet. */
static uint64_t empty_page(struct vg_net *n)
{
	return vg_alloc(n->mem, VG_PAGE, VG_PAGE);
}

static void *set_call(void *arg)
{
	struct vg_queue *q = arg;

	vg_vring_file(q->dev.fd, VHOST_SET_VRING_CALL, VG_TX, q->ring[VG_TX].call);
	return NULL;
}

/* The VMM's life until its worker is stuck. Tells by @ready. */
static void get_stuck(int ready, long with_ioctl)
{
	int uffd = vg_uffd(); /* before the device: closed after it */
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	uint64_t gpa = empty_page(n);
	pthread_t t;

	vg_uffd_trap(uffd, vg_va(n->mem, gpa, VG_PAGE));
	vg_desc(&q->ring[VG_TX], 0, gpa, 100, 0, 0);
	vg_publish(&q->ring[VG_TX], 0);
	vg_ring_kick_always(&q->ring[VG_TX]);
	vg_uffd_wait(uffd);
	if (with_ioctl) {
		kt_check(!pthread_create(&t, NULL, set_call, q), "pthread_create");
		usleep(200000);
	}
	kt_sys(write(ready, "x", 1));
	pause();
}

static void killed(long with_ioctl)
{
	vg_need_shunt();
	vg_killable(get_stuck, with_ioctl, VG_STALL_MS);
}

static void answered(long arg)
{
	int uffd = vg_uffd();
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	uint64_t gpa = empty_page(n);
	void *page = vg_va(n->mem, gpa, VG_PAGE);
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)page, .len = VG_PAGE },
	};
	uint64_t drops;

	(void)arg;
	vg_need_shunt();
	drops = vg_fdinfo_u64(q->dev.fd, "vq1-packets");
	vg_uffd_trap(uffd, page);
	vg_desc(&q->ring[VG_TX], 0, gpa, 100, 0, 0);
	vg_publish(&q->ring[VG_TX], 0);
	vg_ring_kick_always(&q->ring[VG_TX]);
	vg_uffd_wait(uffd);
	usleep(100000);
	kt_check(vg_used_idx(&q->ring[VG_TX]) == 0, "used before the page was there");
	kt_sys(ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	kt_check(vg_ring_wait(&q->ring[VG_TX], VG_STALL_MS), "not used after the answer");
	kt_check(vg_fdinfo_u64(q->dev.fd, "vq1-packets") == drops + 1, "the frame was lost");
}

struct stuck_ioctl {
	int fd;
	void *arg;
};

static void *set_table(void *arg)
{
	struct stuck_ioctl *s = arg;

	ioctl(s->fd, VHOST_SET_MEM_TABLE, s->arg);
	return NULL;
}

static void looked_at(long arg)
{
	int uffd = vg_uffd();
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	void *page = vg_va(n->mem, empty_page(n), VG_PAGE);
	struct stuck_ioctl s = { .fd = q->dev.fd, .arg = page };
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)page, .len = VG_PAGE },
	};
	pthread_t t;

	(void)arg;
	vg_need_shunt();
	vg_uffd_trap(uffd, page);
	kt_check(!pthread_create(&t, NULL, set_table, &s), "pthread_create");
	vg_uffd_wait(uffd);
	/* A time-out of the case is what a hang would be. */
	kt_check(vg_fdinfo_u64(q->dev.fd, "shunt-regions") == n->mem->n, "another table");
	kt_sys(ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	kt_check(!pthread_join(t, NULL), "pthread_join");
}

static const struct kt_case cases[] = {
	{ "a frame waits for its page", answered, 0, 30 },
	{ "killed while the worker waits for a page", killed, 0, 60 },
	{ "killed while an ioctl waits for that worker", killed, 1, 60 },
	{ "looked at while an ioctl waits for its argument", looked_at, 0, 30 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
