// SPDX-License-Identifier: GPL-2.0-only
/*
 * removal.c - the function goes while it works: its driver is unbound, the PCI device
 * removed, unplugged by whoever runs this machine. That does not wait for the owner, whose
 * node answers ENODEV from then on; nothing stays mapped or pinned; and when the function
 * is there again it works.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdpa.h"

#define DEVICES "/sys/bus/pci/devices/"

enum { UNBOUND, REMOVED, UNPLUGGED };

static void take_away(int how)
{
	switch (how) {
	case UNBOUND:
		kt_sys(vf_put(vf_bdf(), DEVICES "%s/driver/unbind", vf_bdf()));
		break;
	case REMOVED:
		kt_sys(vf_put("1", DEVICES "%s/remove", vf_bdf()));
		break;
	case UNPLUGGED:
		vf_unplug();
		break;
	}
	kt_check(access(vg_path(), F_OK), "%s is still there", vg_path());
}

static void bring_back(int how)
{
	if (how == REMOVED)
		kt_sys(vf_put("1", "/sys/bus/pci/rescan"));
	if (how == UNPLUGGED)
		vf_plug("");
	vf_bind();
}

/* Whatever is asked of it: it is gone. Only the end is as ever. */
static void answers(struct vf_unit *u)
{
	const struct vg_ring *r = u->ring[0];
	uint64_t f = 0;
	uint32_t v = 0;
	uint8_t s = 0;
	int fd = u->fd;

	kt_errno(ioctl(fd, VHOST_GET_FEATURES, &f), ENODEV);
	kt_errno(ioctl(fd, VHOST_VDPA_GET_DEVICE_ID, &v), ENODEV);
	kt_errno(ioctl(fd, VHOST_VDPA_GET_STATUS, &s), ENODEV);
	kt_errno(vf_set_status(fd, 0), ENODEV);
	kt_errno(vf_set_status(fd, VF_RUNNING), ENODEV);
	kt_errno(vf_get_config(fd, 0, NULL, 4), ENODEV);
	kt_errno(vg_vring_state(fd, VHOST_SET_VRING_NUM, 0, 64), ENODEV);
	kt_errno(vg_vring_file(fd, VHOST_SET_VRING_KICK, 0, r->kick), ENODEV);
	kt_errno(vg_vring_file(fd, VHOST_SET_VRING_CALL, 0, r->call), ENODEV);
	kt_errno(vf_enable(fd, 0, 1), ENODEV);
	kt_errno(vf_msg(fd, VHOST_IOTLB_UPDATE, 0x8000000000ull, VG_PAGE, (uintptr_t)r->desc,
			VHOST_ACCESS_RW),
		 ENODEV);
	kt_errno(vf_msg(fd, VHOST_IOTLB_INVALIDATE, 0, ~0ull, 0, 0), ENODEV);
	kt_check(mmap(NULL, VG_PAGE, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED,
		 "a doorbell of what is gone is mapped");
	vg_ring_kick_always(u->ring[0]);
	vg_ring_kick_always(u->ring[u->nring - 1]);
}

/*
 * Each case binds the function first: one that failed may have left it without its driver.
 * Another process takes it away while this one works with it.
 */
static void under_traffic(long how)
{
	int64_t before = vf_pinned();
	unsigned int round;

	vf_bind();
	for (round = 0; round < (how == UNPLUGGED ? 2 : kt_scale(6, 3)); round++) {
		struct vf_unit *u = vf_new(&(struct vf_opts){
			.queues = 2,
			.depth = 64,
			.num = 256,
		});
		int status;
		pid_t pid;

		vf_busy(u, 30);
		pid = kt_sys(fork());
		if (!pid) {
			take_away(how);
			_exit(0);
		}
		while (!waitpid(pid, &status, WNOHANG)) {
			unsigned int i;

			for (i = 0; i < u->nring; i++)
				vg_ring_kick_always(u->ring[i]);
			if (u->disk)
				vd_load_turn(&u->load, true, false);
			usleep(500);
		}
		if (WIFEXITED(status) && WEXITSTATUS(status) == 4)
			kt_skip("the monitor of this machine is not to be had");
		kt_check(WIFEXITED(status) && !WEXITSTATUS(status), "it was not taken away");
		answers(u);
		kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
		vf_pinned_is(before);
		/* It is back before the old owner has noticed, or not. */
		if (round % 2) {
			bring_back(how);
			vf_fresh();
			answers(u);
			vf_free(u);
		} else {
			vf_free(u);
			bring_back(how);
		}
		vf_fresh();
	}
	vf_pinned_is(before);
}

/* With nobody who has it. */
static void idle(long how)
{
	unsigned int round;

	vf_bind();
	for (round = 0; round < 4; round++) {
		take_away(how);
		bring_back(how);
		vf_fresh();
	}
}

/* All that was mapped is unmapped by the removal, not by the owner's end. */
static void unmapped(long how)
{
	uint64_t mapped, gone;
	struct vf_unit *u;

	vf_bind();
	vf_trace_begin();
	u = vf_new(&(struct vf_opts){});
	vf_busy(u, 30);
	take_away(how);
	vf_trace_end(&mapped, &gone);
	kt_check(mapped && mapped == gone, "%llu bytes were mapped, %llu unmapped",
		 (unsigned long long)mapped, (unsigned long long)gone);
	vf_free(u);
	bring_back(how);
	vf_fresh();
}

static struct vf_unit *bound(void)
{
	vf_bind();
	return vf_new(&(struct vf_opts){});
}

static sigjmp_buf back;

static void on_bus(int sig)
{
	siglongjmp(back, sig);
}

/* A doorbell that was mapped leads nowhere then, whoever has it. */
static void doorbells(long how)
{
	struct vf_unit *u = bound();
	volatile uint16_t *bell = mmap(NULL, VG_PAGE, PROT_WRITE, MAP_SHARED, u->fd, 0);
	volatile uint16_t *later = mmap(NULL, VG_PAGE, PROT_WRITE, MAP_SHARED, u->fd, VG_PAGE);
	volatile uint16_t *const bells[] = { bell, later };
	unsigned int i;

	if (bell == MAP_FAILED)
		kt_skip("the doorbells of this function have no pages of their own: %m");
	kt_check(later != MAP_FAILED, "the second doorbell: %m");
	signal(SIGBUS, on_bus);
	for (i = 0; i < 100; i++)
		*bell = 0;
	/* The second one is not touched before. */
	take_away(how);
	for (i = 0; i < ARRAY_SIZE(bells); i++) {
		if (sigsetjmp(back, 1))
			continue;
		*bells[i] = 0;
		kt_fail("doorbell %u of a function that has gone can be written", i);
	}
	bring_back(how);
	for (i = 0; i < ARRAY_SIZE(bells); i++) {
		if (sigsetjmp(back, 1))
			continue;
		*bells[i] = 0;
		kt_fail("doorbell %u is that of the function that is back", i);
	}
	vf_fresh();
	vf_free(u);
	vf_fresh();
}

static int stuck_fd;
static void *stuck_page;
static int stuck_end; /* error number that the message ended with */

static void *stuck_map(void *arg)
{
	(void)arg;
	if (vf_msg(stuck_fd, VHOST_IOTLB_UPDATE, 0x8000000000ull, VG_PAGE, (uintptr_t)stuck_page,
		   VHOST_ACCESS_RW))
		__atomic_store_n(&stuck_end, errno, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Wait until it waits for its memory. Before 6.2 a long-term pin does not, but fails. */
static void wait_stuck(int uffd)
{
	struct pollfd p = { .fd = uffd, .events = POLLIN };
	uint64_t end = vg_ms() + VG_STALL_MS;
	int e;

	while (!kt_sys(poll(&p, 1, 50))) {
		e = __atomic_load_n(&stuck_end, __ATOMIC_SEQ_CST);
		if (e) {
			kt_check(e == EFAULT, "memory that does not come: error %d", e);
			kt_note("this kernel does not wait for the memory that it pins");
			return;
		}
		kt_check(vg_ms() < end, "nothing faults");
	}
}

/* An owner whose memory does not come: it holds nobody up, and can be killed. */
static void memory_that_does_not_come(int ready, long how)
{
	int uffd = vg_uffd(), memfd = kt_sys(memfd_create("stuck", MFD_CLOEXEC));
	pthread_t id;

	stuck_fd = vf_open();
	kt_sys(ftruncate(memfd, VG_PAGE));
	stuck_page = mmap(NULL, VG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	kt_check(stuck_page != MAP_FAILED, "mmap: %m");
	vg_uffd_trap(uffd, stuck_page);
	kt_check(!pthread_create(&id, NULL, stuck_map, NULL), "pthread_create");
	wait_stuck(uffd);
	kt_check(!vf_status(stuck_fd), "status %#x", vf_status(stuck_fd));
	kt_sys(vf_set_status(stuck_fd, VF_STATUS1));
	kt_sys(vf_set_status(stuck_fd, 0));
	if (how >= 0)
		take_away(how);
	kt_sys(write(ready, "x", 1));
	for (;;)
		pause();
}

static void stuck(long how)
{
	int64_t before = vf_pinned();

	vf_bind();
	close(vg_uffd());
	vg_killable(memory_that_does_not_come, how, 30000);
	if (how >= 0)
		bring_back(how);
	vf_pinned_is(before);
	vf_fresh();
}

static const struct kt_case cases[] = {
	{ "its driver is unbound with no owner", idle, UNBOUND },
	{ "it is removed with no owner", idle, REMOVED },
	{ "its driver is unbound under traffic", under_traffic, UNBOUND },
	{ "it is removed under traffic", under_traffic, REMOVED },
	{ "it is unplugged under traffic", under_traffic, UNPLUGGED },
	{ "what was mapped is unmapped with it", unmapped, UNBOUND },
	{ "doorbells that were mapped lead nowhere", doorbells, UNBOUND },
	{ "killed while it maps memory that does not come", stuck, -1 },
	{ "its driver is unbound meanwhile", stuck, UNBOUND },
	{ "it is removed meanwhile", stuck, REMOVED },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
