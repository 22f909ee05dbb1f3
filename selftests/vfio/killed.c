// SPDX-License-Identifier: GPL-2.0-only
/*
 * killed.c - an owner that ends at any moment under traffic: killed, by exit, by closing
 * the node. The function is free at once; nothing stays pinned, and all that was mapped in
 * the IOMMU is unmapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdpa.h"

enum { KILLED, EXITED, CLOSED };

/* The life of an owner; @ready gets a byte when it is under way. */
static void live(int how, int ready, unsigned int ms)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .queues = 2, .depth = 64, .num = 256 });

	kt_sys(write(ready, "x", 1));
	if (how == KILLED)
		vf_busy(u, 0);
	vf_busy(u, ms);
	if (how == CLOSED) {
		close(u->fd);
		/* Rings and buffers are the process's alone now. */
		kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
	}
	_exit(0);
}

static void ended(long how)
{
	const unsigned int rounds = how == KILLED ? 20 : kt_scale(8, 4);
	uint64_t random = vg_seed(0xdead0000 + how);
	int64_t before = vf_pinned();
	unsigned int round;

	for (round = 0; round < rounds; round++) {
		unsigned int ms = 1 + vg_below(&random, 100); /* 0 would be for ever */
		int fds[2], status;
		pid_t pid;
		char c;
		int fd;

		kt_sys(pipe(fds));
		pid = kt_sys(fork());
		if (!pid) {
			live(how, fds[1], ms);
			_exit(1);
		}
		close(fds[1]);
		kt_check(read(fds[0], &c, 1) == 1, "the owner did not get so far, round %u", round);
		if (how == KILLED) {
			usleep(ms * 1000);
			kill(pid, SIGKILL);
		}
		kt_sys(waitpid(pid, &status, 0));
		if (how == KILLED)
			kt_check(WIFSIGNALED(status), "the owner ended by itself, round %u", round);
		else
			kt_check(WIFEXITED(status) && !WEXITSTATUS(status),
				 "the owner ended with %#x, round %u", status, round);
		close(fds[0]);
		/* At once. */
		fd = vf_open();
		kt_check(!vf_status(fd), "status %#x", vf_status(fd));
		close(fd);
		vf_pinned_is(before);
	}
	vf_fresh();
	vf_pinned_is(before);
}

static void unmapped(long how)
{
	uint64_t mapped, gone;
	int fds[2], status;
	unsigned int round;
	pid_t pid;
	char c;

	for (round = 0; round < 3; round++) {
		vf_trace_begin();
		kt_sys(pipe(fds));
		pid = kt_sys(fork());
		if (!pid) {
			live(how, fds[1], 50);
			_exit(1);
		}
		close(fds[1]);
		kt_check(read(fds[0], &c, 1) == 1, "the owner did not get so far");
		usleep(50000);
		kill(pid, SIGKILL);
		kt_sys(waitpid(pid, &status, 0));
		vf_trace_end(&mapped, &gone);
		close(fds[0]);
		kt_check(mapped > 8u << 20, "%llu bytes were mapped", (unsigned long long)mapped);
		kt_check(mapped == gone, "%llu bytes were mapped, %llu unmapped",
			 (unsigned long long)mapped, (unsigned long long)gone);
	}
	kt_note("%llu bytes mapped and unmapped", (unsigned long long)mapped);
	vf_fresh();
}

/* The owner is gone, its memory too; who has the node still can do no harm with it. */
static void inherited(long arg)
{
	unsigned int round;

	(void)arg;
	for (round = 0; round < kt_scale(6, 3); round++) {
		int fds[2], status, fd = vg_open();
		pid_t pid;
		char c;

		kt_sys(pipe(fds));
		pid = kt_sys(fork());
		if (!pid) {
			struct vf_unit *u;

			vf_own(fd);
			u = vf_new_on(fd, &(struct vf_opts){});
			vf_alive(u);
			kt_sys(write(fds[1], "x", 1));
			vf_busy(u, 0);
		}
		close(fds[1]);
		kt_check(read(fds[0], &c, 1) == 1, "the driver did not get so far");
		usleep(20000);
		kill(pid, SIGKILL);
		kt_sys(waitpid(pid, &status, 0));
		/* The pages are still there, pinned: the function may go on, but only in them. */
		usleep(20000);
		kt_sys(vf_set_status(fd, 0));
		close(fd);
		close(fds[0]);
		vf_fresh();
	}
}

static const struct kt_case cases[] = {
	{ "the owner is killed, 20 times", ended, KILLED, 300 },
	{ "the owner exits", ended, EXITED },
	{ "the node is closed", ended, CLOSED },
	{ "what was mapped is unmapped: killed", unmapped, KILLED },
	{ "what was mapped is unmapped: closed", unmapped, CLOSED },
	{ "another process holds the node", inherited, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
