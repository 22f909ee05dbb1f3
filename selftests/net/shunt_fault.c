// SPDX-License-Identifier: GPL-2.0-only
/*
 * shunt_fault.c - a page fault that only the VMM can answer holds up nobody else
 *
 * With userfaultfd a VMM decides when a fault in its memory ends (as it does in
 * a post-copy migration). Neither the worker that copies from such memory, nor
 * an ioctl whose argument lies there, may make the VMM unkillable or hang those
 * who look at it. For shunt only: a stock worker of 6.1 waits for ever.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vguest.h"

/* Faults in this page of the process now wait for whoever reads the fd. */
static void trap(int uffd, void *page)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)page, .len = VG_PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	kt_sys(madvise(page, VG_PAGE, MADV_REMOVE));
	kt_sys(ioctl(uffd, UFFDIO_REGISTER, &reg));
}

static int open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		kt_skip("no userfaultfd");
	kt_sys(ioctl(fd, UFFDIO_API, &api));
	return fd;
}

static void wait_for_fault(int uffd)
{
	struct pollfd p = { .fd = uffd, .events = POLLIN };

	kt_check(poll(&p, 1, VG_STALL_MS) == 1, "nothing faults");
}

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
	int uffd = open_uffd(); /* before the device: closed after it */
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	uint64_t gpa = empty_page(n);
	pthread_t t;

	trap(uffd, vg_va(n->mem, gpa, VG_PAGE));
	vg_desc(&q->ring[VG_TX], 0, gpa, 100, 0, 0);
	vg_publish(&q->ring[VG_TX], 0);
	vg_ring_kick_always(&q->ring[VG_TX]);
	wait_for_fault(uffd);
	if (with_ioctl) {
		kt_check(!pthread_create(&t, NULL, set_call, q), "pthread_create");
		usleep(200000);
	}
	kt_sys(write(ready, "x", 1));
	pause();
}

static void killed(long with_ioctl)
{
	int fd[2], status, i;
	pid_t pid;
	char c;

	vg_need_shunt();
	kt_sys(pipe(fd));
	pid = kt_sys(fork());
	if (!pid) {
		close(fd[0]);
		get_stuck(fd[1], with_ioctl);
		_exit(1);
	}
	close(fd[1]);
	kt_check(read(fd[0], &c, 1) == 1, "the VMM did not get so far");
	kill(pid, SIGKILL);
	for (i = 0; i < VG_STALL_MS / 10; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return;
		usleep(10000);
	}
	kt_fail("the VMM cannot be killed");
}

static void answered(long arg)
{
	int uffd = open_uffd();
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
	trap(uffd, page);
	vg_desc(&q->ring[VG_TX], 0, gpa, 100, 0, 0);
	vg_publish(&q->ring[VG_TX], 0);
	vg_ring_kick_always(&q->ring[VG_TX]);
	wait_for_fault(uffd);
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
	int uffd = open_uffd();
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
	trap(uffd, page);
	kt_check(!pthread_create(&t, NULL, set_table, &s), "pthread_create");
	wait_for_fault(uffd);
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
