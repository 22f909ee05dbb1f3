// SPDX-License-Identifier: GPL-2.0-only
/*
 * uffd.c - page faults that only the VMM can answer (userfaultfd), and the end of a VMM
 * that does not
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vguest.h"

int vg_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		kt_skip("no userfaultfd");
	kt_sys(ioctl(fd, UFFDIO_API, &api));
	return fd;
}

void vg_uffd_trap(int uffd, void *page)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)page, .len = VG_PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	kt_sys(madvise(page, VG_PAGE, MADV_REMOVE));
	kt_sys(ioctl(uffd, UFFDIO_REGISTER, &reg));
}

void vg_uffd_wait(int uffd)
{
	struct pollfd p = { .fd = uffd, .events = POLLIN };

	kt_check(poll(&p, 1, VG_STALL_MS) == 1, "nothing faults");
}

void vg_killable(void (*vmm)(int ready, long arg), long arg, unsigned int ms)
{
	uint64_t began;
	int fd[2], status;
	pid_t pid;
	char c;

	kt_sys(pipe(fd));
	pid = kt_sys(fork());
	if (!pid) {
		close(fd[0]);
		vmm(fd[1], arg);
		_exit(1);
	}
	close(fd[1]);
	kt_check(read(fd[0], &c, 1) == 1, "the VMM did not get so far");
	began = vg_ms();
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, WNOHANG) != pid) {
		kt_check(vg_ms() - began < ms, "the VMM cannot be killed");
		usleep(10000);
	}
	kt_note("it took %llu ms", (unsigned long long)(vg_ms() - began));
}
