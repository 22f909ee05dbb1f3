// SPDX-License-Identifier: GPL-2.0-only
/*
 * door_jail.c - what the jail does not allow
 *
 * Each case forks a process that goes to jail and does what it must not. Without sanitizers, which
 * make such calls themselves; what has to be allowed, door_serve.c does. As root.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "door/jail.h"
#include "ktap.h"

static void is_killed_for_the_rest(long what)
{
	const struct jail jail = { 65534, 65534, NULL, 0, -1, what == 9 };
	struct failure why;
	int status;
	pid_t pid;

	if (geteuid())
		kt_skip("needs root, to become somebody else");
	pid = kt_sys(fork());
	if (!pid) {
		kt_check(!jail_enter(&jail, &why), "%s", why.text);
		switch (what) {
		case 0:
			open("/etc/passwd", O_RDONLY);
			break;
		case 1:
			socket(AF_UNIX, SOCK_STREAM, 0);
			break;
		case 2:
			fork();
			break;
		case 3:
			mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			break;
		case 4:
			ioctl(0, 0x5401, NULL);
			break;
		case 5:
			sendmsg(0, &(struct msghdr){ 0 }, 0);
			break;
		case 6:
			sendto(0, "", 0, 0, &(struct sockaddr){ 0 }, sizeof(struct sockaddr));
			break;
		case 7:
			syscall(SYS_tgkill, getppid(), getppid(), 0);
			break;
		case 8:
			if (read(0, &what, 1) < 0)
				_exit(1);
			break;
		case 9:
			fcntl(0, F_DUPFD, 0);
			break;
		case 10:
			memfd_create("x", 0);
			break;
		case 11:
			if (pwrite(1, "", 1, 0) < 0)
				_exit(1);
			break;
		}
		_exit(0);
	}
	kt_sys(waitpid(pid, &status, 0));
	kt_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "status %#x", status);
}

/* What a disk's door needs for its in-flight region, and gives away. */
static void makes_a_region(long arg)
{
	const struct jail jail = { 65534, 65534, NULL, 0, -1, true };
	struct msghdr nothing = { 0 };
	struct failure why;
	int pair[2], status;
	pid_t pid;

	(void)arg;
	if (geteuid())
		kt_skip("needs root, to become somebody else");
	kt_sys(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = kt_sys(fork());
	if (!pid) {
		int fd;

		kt_check(!jail_enter(&jail, &why), "%s", why.text);
		fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		_exit(fd < 0 || pwrite(fd, "", 1, 0) != 1 ||
		      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) ||
		      sendmsg(pair[0], &nothing, MSG_DONTWAIT) < 0);
	}
	kt_sys(waitpid(pid, &status, 0));
	kt_check(!status, "status %#x", status);
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = {
		{ .name = "cannot open files in the jail", .run = is_killed_for_the_rest },
		{ .name = "cannot make sockets in the jail",
		  .run = is_killed_for_the_rest,
		  .arg = 1 },
		{ .name = "cannot fork in the jail", .run = is_killed_for_the_rest, .arg = 2 },
		{ .name = "cannot map code in the jail", .run = is_killed_for_the_rest, .arg = 3 },
		{ .name = "cannot use other ioctls in the jail",
		  .run = is_killed_for_the_rest,
		  .arg = 4 },
		{ .name = "cannot send descriptors in the jail",
		  .run = is_killed_for_the_rest,
		  .arg = 5 },
		{ .name = "cannot send to an address in the jail",
		  .run = is_killed_for_the_rest,
		  .arg = 6 },
		{ .name = "cannot signal others in the jail",
		  .run = is_killed_for_the_rest,
		  .arg = 7 },
		{ .name = "cannot read in the jail", .run = is_killed_for_the_rest, .arg = 8 },
		{ .name = "cannot duplicate descriptors in a disk's jail",
		  .run = is_killed_for_the_rest,
		  .arg = 9 },
		{ .name = "cannot make memory files in the jail",
		  .run = is_killed_for_the_rest,
		  .arg = 10 },
		{ .name = "cannot write anywhere in files in the jail",
		  .run = is_killed_for_the_rest,
		  .arg = 11 },
		{ .name = "can make an in-flight region in a disk's jail", .run = makes_a_region },
	};

	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
