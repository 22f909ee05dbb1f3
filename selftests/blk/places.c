// SPDX-License-Identifier: GPL-2.0-only
/*
 * places.c - where rings were left (SHUNT_BLK_SET_PLACES): written when they start and stop,
 * however that comes about, and right for whoever goes on there
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdisk.h"

/* A page that lives as long as this process and its children. */
static struct shunt_place *shared_page(void)
{
	void *page = mmap(NULL, VG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	kt_check(page != MAP_FAILED, "mmap: %m");
	return page;
}

static int set_places(int dev, const void *at)
{
	const uint64_t addr = (uintptr_t)at;

	return ioctl(dev, SHUNT_BLK_SET_PLACES, &addr);
}

static void expect(const struct shunt_place *p, uint32_t state, uint32_t base)
{
	kt_check(p->state == state && p->base == base, "state %u at %#x instead of %u at %#x",
		 p->state, p->base, state, base);
}

/* A disk of two queues that do not run yet, with places. */
static void make(struct vd_disk *d, struct shunt_place *places)
{
	struct vd_opts o = { .queues = 2 };

	vd_open(d, &o);
	vd_setup(d);
	kt_sys(set_places(d->dev.fd, places));
}

/* Close the device, and have another one for the same disk and memory, with places. */
static void reopen(struct vd_disk *d, struct shunt_place *places)
{
	vd_reopen(d);
	kt_sys(set_places(d->dev.fd, places));
}

static void start_and_stop(long arg)
{
	struct shunt_place *places = shared_page(), elsewhere[2] __attribute__((aligned(64)));
	struct vd_disk d;
	uint32_t base;

	(void)arg;
	memset(elsewhere, 0, sizeof(elsewhere));
	make(&d, places);
	base = vg_ring_first(&d.q[0].ring);
	expect(&places[0], SHUNT_PLACE_NONE, 0);
	vd_queue_start(&d, 0);
	expect(&places[0], SHUNT_PLACE_RUNNING, base);
	expect(&places[1], SHUNT_PLACE_NONE, 0);
	kt_errno(set_places(d.dev.fd, elsewhere), EBUSY);
	vd_queue_start(&d, 1);
	vd_alive(&d);
	expect(&places[0], SHUNT_PLACE_RUNNING, base);

	base = vd_queue_stop(&d, 0);
	expect(&places[0], SHUNT_PLACE_STOPPED, base);
	kt_check(places[1].state == SHUNT_PLACE_RUNNING, "the other one does not run");
	kt_sys(vd_backend(&d, 0, -1)); /* again: nothing changes */
	expect(&places[0], SHUNT_PLACE_STOPPED, base);
	vd_queue_setup(&d, 0, places[0].base);
	vd_queue_start(&d, 0);
	expect(&places[0], SHUNT_PLACE_RUNNING, base);
	vd_alive(&d);

	/* Others, and none. */
	base = vd_queue_stop(&d, 0);
	vd_queue_stop(&d, 1);
	kt_sys(set_places(d.dev.fd, elsewhere));
	vd_queue_setup(&d, 0, base);
	vd_queue_start(&d, 0);
	expect(&places[0], SHUNT_PLACE_STOPPED, base);
	expect(&elsewhere[0], SHUNT_PLACE_RUNNING, base);
	base = vd_queue_stop(&d, 0);
	kt_sys(set_places(d.dev.fd, NULL));
	vd_queue_start(&d, 0);
	expect(&elsewhere[0], SHUNT_PLACE_STOPPED, base);
	kt_sys(ioctl(d.dev.fd, VHOST_RESET_OWNER));
	expect(&elsewhere[0], SHUNT_PLACE_STOPPED, base);
}

/* Closed, or given up by its owner, with requests in flight, again and again. */
static void ends(long by_reset)
{
	struct shunt_place *places = shared_page();
	static struct vd_io io[16];
	static uint8_t buf[16][4096];
	struct vd_disk d;
	unsigned int round, i, q;

	make(&d, places);
	for (q = 0; q < 2; q++)
		vd_queue_start(&d, q);
	for (round = 0; round < kt_scale(40, 8); round++) {
		for (i = 0; i < 8 + round % 8; i++) {
			io[i] = (struct vd_io){ .type = VIRTIO_BLK_T_IN,
						.in = buf[i],
						.in_len = sizeof(buf[i]) };
			kt_check(vd_start(&d, i % 2, &io[i]), "no room for request %u", i);
		}
		for (q = 0; q < 2; q++)
			vg_ring_kick(&d.q[q].ring);
		if (by_reset)
			kt_sys(ioctl(d.dev.fd, VHOST_RESET_OWNER));
		else
			close(d.dev.fd);
		for (q = 0; q < 2; q++)
			expect(&places[q], SHUNT_PLACE_STOPPED, vg_ring_at(&d.q[q].ring));
		if (!by_reset)
			d.dev.fd = kt_sys(open("/dev/null", O_RDONLY | O_CLOEXEC));
		reopen(&d, places);
		for (q = 0; q < 2; q++) {
			vd_queue_setup(&d, q, places[q].base);
			vd_queue_start(&d, q);
			/* It goes on with what had not been taken. */
			vg_ring_kick_always(&d.q[q].ring);
			while (d.q[q].ring.in_flight)
				kt_check(vd_wait(&d, q)->status == VIRTIO_BLK_S_OK, "a read");
		}
	}
	vd_alive(&d);
}

/* What a child tells of its requests, behind its places. */
struct progress {
	volatile uint64_t begun, ended;
};

/* One request after the other, of three descriptors each. */
static void run_for_ever(struct shunt_place *places, struct progress *progress)
{
	static uint8_t buf[4096];
	struct vd_disk d;

	make(&d, places);
	vd_queue_start(&d, 0);
	for (;;) {
		progress->begun++;
		kt_check(vd_read(&d, 0, 0, buf, sizeof(buf)) == VIRTIO_BLK_S_OK, "a read");
		progress->ended++;
	}
}

static void killed(long arg)
{
	struct shunt_place *places = shared_page();
	struct progress *progress = (void *)&places[16];
	const unsigned int each = vg_packed() ? 3 : 1;
	struct vd_opts o = { .queues = 2 };
	struct vd_disk *d = vd_new(&o);
	unsigned int round;

	(void)arg;
	for (round = 0; round < kt_scale(15, 4); round++) {
		uint64_t begun, ended;
		pid_t child;
		int status;

		memset(places, 0, VG_PAGE);
		child = kt_sys(fork());
		if (!child)
			run_for_ever(places, progress);
		while (progress->ended < 20 + round)
			usleep(1000);
		kt_sys(kill(child, SIGKILL));
		kt_check(waitpid(child, &status, 0) == child && WIFSIGNALED(status),
			 "the owner ended by itself, status %#x", status);
		begun = progress->begun;
		ended = progress->ended;
		kt_check(places[0].state == SHUNT_PLACE_STOPPED &&
				 (places[0].base == vg_ring_base(&d->q[0].ring, each * ended) ||
				  places[0].base == vg_ring_base(&d->q[0].ring, each * begun)),
			 "state %u at %#x, after %llu to %llu requests", places[0].state,
			 places[0].base, (unsigned long long)ended, (unsigned long long)begun);
		expect(&places[1], SHUNT_PLACE_NONE, 0);
	}
	vd_free(d);
}

/* A driver that breaks the rules: nobody is to go on there as if nothing had been. */
static void broken(long arg)
{
	struct shunt_place *places = shared_page();
	struct vd_disk d;
	struct vg_ring *r;

	(void)arg;
	make(&d, places);
	vd_queue_start(&d, 0);
	r = &d.q[0].ring;
	/* A header that is not there. */
	vg_desc(r, 0, 1ull << 62, 16, 0, 0);
	vg_publish(r, 0);
	vg_ring_kick_always(r);
	kt_check(vg_ring_erred(r, VG_STALL_MS), "the queue does not break");
	kt_sys(vd_backend(&d, 0, -1));
	kt_check(places[0].state == SHUNT_PLACE_BROKEN, "state %u", places[0].state);
	vd_queue_anew(&d, 0);
	kt_check(places[0].state == SHUNT_PLACE_RUNNING, "state %u", places[0].state);
	vd_queue_start(&d, 1);
	vd_alive(&d);
}

static void refused(long arg)
{
	struct shunt_place *places = shared_page();
	struct vd_opts o = { .queues = 2 };
	char *end = (char *)places + VG_PAGE;
	void *read_only = mmap(NULL, VG_PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct vd_disk d;
	int dev = vg_open();

	(void)arg;
	kt_errno(set_places(dev, places), EPERM);
	vd_open(&d, &o);
	kt_errno(set_places(d.dev.fd, places), EPERM);
	vd_setup(&d);
	kt_errno(ioctl(d.dev.fd, SHUNT_BLK_SET_PLACES, NULL), EFAULT);
	kt_errno(set_places(d.dev.fd, (char *)places + 4), EINVAL);
	kt_errno(set_places(d.dev.fd, (char *)places + 1), EINVAL);
	kt_errno(set_places(d.dev.fd, end - 8), EINVAL);
	kt_errno(set_places(d.dev.fd, (void *)8), EFAULT);
	kt_errno(set_places(d.dev.fd, (void *)(~0ul - 0xfff)), EFAULT);
	kt_errno(set_places(d.dev.fd, (void *)(1ul << 62)), EFAULT);
	kt_check(read_only != MAP_FAILED, "mmap: %m");
	kt_errno(set_places(d.dev.fd, read_only), EFAULT);
	/* Now it has none; and then the last ones of a page. */
	vd_queue_start(&d, 0);
	vd_queue_start(&d, 1);
	vd_alive(&d);
	vd_queue_stop(&d, 0);
	vd_queue_stop(&d, 1);
	kt_check(!places[0].state && !places[0].base, "written to what is no place");
	kt_sys(set_places(d.dev.fd, end - 16));
	vd_queue_anew(&d, 1);
	kt_check(places[VG_PAGE / 8 - 1].state == SHUNT_PLACE_RUNNING, "not the last one");
	kt_check(places[VG_PAGE / 8 - 2].state == SHUNT_PLACE_NONE, "not the last but one");
}

/* Unmapped, truncated and protected under the kernel: that harms nobody. */
static void taken_away(long arg)
{
	const int fd = kt_sys(memfd_create("places", MFD_CLOEXEC));
	struct vd_disk d;
	void *at;

	(void)arg;
	kt_sys(ftruncate(fd, VG_PAGE));
	at = mmap(NULL, VG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	kt_check(at != MAP_FAILED, "mmap: %m");
	make(&d, at);
	vd_queue_start(&d, 0);
	kt_sys(ftruncate(fd, 0));
	vd_queue_stop(&d, 0);
	kt_sys(munmap(at, VG_PAGE));
	vd_queue_anew(&d, 0);
	vd_queue_start(&d, 1);
	vd_alive(&d);
	close(d.dev.fd);
}

/* The page counts as locked memory, and no longer than it is needed. */
static void limited(long arg)
{
	struct shunt_place *places[] = { shared_page(), shared_page() };
	struct vd_opts o = { .queues = 2 };
	unsigned long before, with;
	struct vd_disk d;
	unsigned int i;

	(void)arg;
	vd_open(&d, &o);
	/* Without the privilege to lock memory, which is looked at when it becomes the owner. */
	vg_drop_ipc_lock();
	vg_limit_locked(0);
	vd_setup(&d);
	kt_errno(set_places(d.dev.fd, places[0]), ENOMEM);
	for (i = 0; i < 2; i++)
		vd_queue_start(&d, i);
	vd_alive(&d);
	for (i = 0; i < 2; i++)
		vd_queue_stop(&d, i);

	/* With room for one page there can be the next one only if the last is given back. */
	before = vg_locked();
	with = before + VG_PAGE / 1024;
	vg_limit_locked(1024ull * with);
	for (i = 0; i < 8; i++) {
		kt_sys(set_places(d.dev.fd, places[i % 2]));
		kt_check(vg_locked() == with, "time %u: %lu KiB are locked instead of %lu", i,
			 vg_locked(), with);
	}
	/* Where that fails, and where there are to be none. */
	for (i = 0; i < 3; i++) {
		kt_errno(set_places(d.dev.fd, (void *)8), EFAULT);
		kt_check(vg_locked() == before, "%lu KiB are locked by an error", vg_locked());
		kt_sys(set_places(d.dev.fd, places[0]));
		kt_sys(set_places(d.dev.fd, NULL));
		kt_check(vg_locked() == before, "%lu KiB are locked for none", vg_locked());
		kt_sys(set_places(d.dev.fd, places[0]));
	}
	/* The device closed; given up by its owner; and closed without one. */
	reopen(&d, places[1]);
	kt_check(vg_locked() == with, "%lu KiB are locked by the next device", vg_locked());
	kt_sys(ioctl(d.dev.fd, VHOST_RESET_OWNER));
	kt_check(vg_locked() == before, "%lu KiB are locked after a reset", vg_locked());
	reopen(&d, places[0]);
	kt_check(vg_locked() == with, "%lu KiB are locked again", vg_locked());
	close(d.dev.fd);
	kt_check(vg_locked() == before, "%lu KiB are locked at the end", vg_locked());
}

static const struct kt_case cases[] = {
	{ "queues that start and stop say where", start_and_stop, 0 },
	{ "closed with requests in flight, it says where it stopped", ends, 0 },
	{ "given up with requests in flight, too", ends, 1 },
	{ "a killed owner's rings are where they were left", killed, 0 },
	{ "a broken queue says that it is", broken, 0 },
	{ "what cannot be a place is refused", refused, 0, 0, VG_ON_ONCE },
	{ "memory that is taken away harms nobody", taken_away, 0, 0, VG_ON_ONCE },
	{ "the page is charged, and given back", limited, 0, 0, VG_ON_ONCE },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
