// SPDX-License-Identifier: GPL-2.0-only
/*
 * doorbell.c - a queue's doorbell that is mapped by the VMM: frames and requests go by it
 * with no eventfd in between; what cannot be mapped is refused; and a mapping outlives
 * neither the owner's right to it nor the function
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdpa.h"

static volatile uint16_t *try_map(int fd, unsigned int queue)
{
	return mmap(NULL, VG_PAGE, PROT_WRITE, MAP_SHARED, fd, (off_t)queue * VG_PAGE);
}

/* The doorbell of @queue; the case is skipped where it has no page of its own. */
static volatile uint16_t *doorbell(int fd, unsigned int queue)
{
	volatile uint16_t *p = try_map(fd, queue);

	if (p == MAP_FAILED)
		kt_skip("the doorbells of this function have no pages of their own: %m");
	return p;
}

static void wait_used(struct vg_ring *r)
{
	uint64_t end = vg_ms() + VG_STALL_MS;

	while (!vg_ring_pending(r)) {
		kt_check(vg_ms() < end, "the doorbell is not heard");
		usleep(1000);
	}
}

/* A frame or a request without an eventfd. */
static void ring_it(struct vf_unit *u, volatile uint16_t *bell)
{
	static struct vd_io io = { .type = VIRTIO_BLK_T_FLUSH };
	unsigned int queue = u->nring - 1;
	static uint8_t f[1514];

	if (u->net) {
		vg_frame(f, sizeof(f), 1, 0);
		kt_check(vg_tx(&u->net->q[0], f, sizeof(f), NULL), "no room");
	} else {
		kt_check(vd_start(u->disk, 0, &io), "no room");
	}
	*bell = queue;
	wait_used(u->ring[queue]);
	if (u->net)
		kt_check(vg_tx_reap(&u->net->q[0]) == 1, "the frame did not come back");
	else
		kt_check(vd_reap(u->disk, 0), "the request did not come back");
}

static void rings(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){});
	volatile uint16_t *bell = doorbell(u->fd, u->nring - 1);
	unsigned int i;

	(void)arg;
	for (i = 0; i < 50; i++)
		ring_it(u, bell);
	/* It is the same one after a reset. */
	vf_again(u);
	for (i = 0; i < 50; i++)
		ring_it(u, bell);
	vf_alive(u);
}

static void *map_with(int fd, size_t len, int prot, int flags, off_t at)
{
	void *p = mmap(NULL, len, prot, flags, fd, at);

	return p == MAP_FAILED ? (void *)-1 : NULL;
}

static void refused(long arg)
{
	int fd = vf_open();
	uint32_t nvqs = vf_nvqs(fd);

	(void)arg;
	kt_refused(map_with(fd, VG_PAGE, PROT_READ, MAP_SHARED, 0));
	kt_refused(map_with(fd, VG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	kt_refused(map_with(fd, VG_PAGE, PROT_WRITE, MAP_PRIVATE, 0));
	kt_refused(map_with(fd, VG_PAGE, PROT_WRITE | PROT_EXEC, MAP_SHARED, 0));
	kt_refused(map_with(fd, 2 * VG_PAGE, PROT_WRITE, MAP_SHARED, 0));
	kt_refused(map_with(fd, VG_PAGE, PROT_WRITE, MAP_SHARED, (off_t)nvqs * VG_PAGE));
	kt_refused(map_with(fd, VG_PAGE, PROT_WRITE, MAP_SHARED, 1ll << 40));
	kt_refused(map_with(fd, VG_PAGE, PROT_WRITE, MAP_SHARED, 1ll << 62));
}

static sigjmp_buf back;

static void on_bus(int sig)
{
	siglongjmp(back, sig);
}

/* Who closes the node or has another hold it: the mapping's function is never another's. */
static void outlives(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){});
	volatile uint16_t *bell = doorbell(u->fd, u->nring - 1);
	unsigned int queue = u->nring - 1;
	int fd;

	(void)arg;
	signal(SIGBUS, on_bus);
	signal(SIGSEGV, on_bus);
	ring_it(u, bell);
	close(u->fd);
	/* The mapping holds the node: nobody else can have it, or the mapping is no more. */
	fd = open(vg_path(), O_RDWR | O_CLOEXEC);
	if (fd < 0)
		kt_check(errno == EBUSY, "open: %m");
	if (!sigsetjmp(back, 1)) {
		*bell = queue;
		kt_check(fd < 0, "the doorbell of a function that another owner has is rung");
	}
	if (fd >= 0)
		close(fd);
	munmap((void *)bell, VG_PAGE);
	vf_fresh();
}

/* The doorbell is rung all the time, also while nothing is set up, and when the owner ends. */
static void at_any_time(long arg)
{
	unsigned int round;

	(void)arg;
	for (round = 0; round < kt_scale(10, 4); round++) {
		pid_t owner, ringer;
		int fd = vg_open(), status;
		volatile uint16_t *bell = doorbell(fd, 0);

		ringer = kt_sys(fork());
		if (!ringer)
			for (;;)
				*bell = 0;
		munmap((void *)bell, VG_PAGE);
		owner = kt_sys(fork());
		if (!owner) {
			vf_own(fd);
			vf_busy(vf_new_on(fd, &(struct vf_opts){}), 0);
		}
		usleep(60000 + 10000 * round);
		kill(round % 2 ? ringer : owner, SIGKILL);
		usleep(10000);
		close(fd);
		kill(round % 2 ? owner : ringer, SIGKILL);
		kt_sys(waitpid(owner, &status, 0));
		kt_sys(waitpid(ringer, &status, 0));
		close(vf_open());
	}
	vf_fresh();
}

static const struct kt_case cases[] = {
	{ "frames and requests go by the doorbell", rings, 0 },
	{ "mappings that cannot be", refused, 0, 0, VG_ON_ONCE },
	{ "the mapping and the next owner", outlives, 0 },
	{ "the doorbell rings at any time", at_any_time, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
