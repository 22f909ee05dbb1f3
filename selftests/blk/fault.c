// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault.c - a page fault that only the VMM can answer (userfaultfd) holds up the VMM's end
 * for no longer than a disk may take: whether a worker or a helper waits in it
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdisk.h"

static int open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		kt_skip("no userfaultfd");
	kt_sys(ioctl(fd, UFFDIO_API, &api));
	return fd;
}

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

enum { HEADER, DATA };

/* The VMM's life until the header, or the data, of a request is not there. Tells by @ready. */
static void get_stuck(int ready, long where)
{
	int uffd = open_uffd();
	struct vd_opts o = { .num = 64 };
	struct vd_disk *d = vd_new(&o);
	struct vg_ring *r = &d->q[0].ring;
	const uint64_t gpa = vg_alloc(d->mem, 2 * VG_PAGE, VG_PAGE), page = gpa + VG_PAGE;
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_OUT };
	struct pollfd p = { .fd = uffd, .events = POLLIN };

	vg_put(d->mem, gpa, &hdr, sizeof(hdr));
	vg_desc(r, 0, where == HEADER ? page : gpa, 16, VRING_DESC_F_NEXT, 1);
	vg_desc(r, 1, where == DATA ? page : gpa, 512, VRING_DESC_F_NEXT, 2);
	vg_desc(r, 2, gpa + 1024, 1, VRING_DESC_F_WRITE, 0);
	trap(uffd, vg_va(d->mem, page, VG_PAGE));
	vg_publish(r, 0);
	vg_ring_kick_always(r);
	kt_check(poll(&p, 1, VG_STALL_MS) == 1, "nothing faults");
	kt_sys(write(ready, "x", 1));
	pause();
}

static void killed(long where)
{
	uint64_t began;
	int fd[2], status;
	pid_t pid;
	char c;

	kt_sys(pipe(fd));
	pid = kt_sys(fork());
	if (!pid) {
		close(fd[0]);
		get_stuck(fd[1], where);
		_exit(1);
	}
	close(fd[1]);
	kt_check(read(fd[0], &c, 1) == 1, "the VMM did not get so far");
	began = vg_ms();
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, WNOHANG) != pid) {
		/* A helper's wait is no other than that for a disk, which has a minute. */
		kt_check(vg_ms() - began < (where == DATA ? 60000 : 0) + VG_STALL_MS,
			 "the VMM cannot be killed");
		usleep(10000);
	}
	kt_note("it took %llu ms", (unsigned long long)(vg_ms() - began));
}

static const struct kt_case cases[] = {
	{ "a VMM whose request's header does not come can be killed", killed, HEADER },
	{ "a VMM whose request's data do not come can be killed", killed, DATA, 120, VG_ON_ONCE },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
