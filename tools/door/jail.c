// SPDX-License-Identifier: GPL-2.0-only
/*
 * The jail.
 *
 * DOC: What is left, and why
 *
 * The process holds a TAP, vhost devices, and the guest's memory, and its one input is a VMM that
 * may be an attacker. Should he get to run code here, then as a user without any privilege, who
 * can open nothing, and do with what is open no more than the door does:
 * - messages: ppoll, accept4, recvmsg, close, and sendto without an address: a descriptor of a
 * network device can be sent to nobody;
 * - memory: mmap and munmap, never executable; fstat, fstatfs and madvise with them; brk for
 * malloc;
 * - process_vm_readv of itself: reading an index that may not be there without a signal;
 * - ioctl: the requests that its command names;
 * - write: log lines, frames to the TAP or messages about memory to a function, and an interrupt
 * when a ring starts;
 * - flock: of a disk;
 * - memfd_create, pwrite, fcntl to seal, and sendmsg: an in-flight region; only where there are
 * such. A disk's front end could be sent the disk then, which its guest can read and write anyway;
 * - read of the eventfd that tells of another configuration, and getsockopt and shutdown, of one
 * direction, of the channel for that: only where there is one;
 * - alarm, and clock_gettime, where the kernel does not answer it without a call;
 * - the end: exit, exit_group, rt_sigreturn, and what abort() does.
 *
 * Any other system call kills the process.
 *
 * The process is not dumpable: others of the same user, as which several devices may run, cannot
 * trace it or open its descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jail.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const int calls[] = {
	SCMP_SYS(ppoll),	   SCMP_SYS(accept4),
	SCMP_SYS(recvmsg),	   SCMP_SYS(close),
	SCMP_SYS(alarm),	   SCMP_SYS(munmap),
	SCMP_SYS(fstat),	   SCMP_SYS(fstatfs),
	SCMP_SYS(madvise),	   SCMP_SYS(brk),
	SCMP_SYS(write),	   SCMP_SYS(exit),
	SCMP_SYS(exit_group),	   SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(gettid),	   SCMP_SYS(getpid),
	SCMP_SYS(futex),	   SCMP_SYS(clock_gettime),
	SCMP_SYS(flock),
};

/* What making a region, giving it away, and making it as new takes. */
static const int inflight_calls[] = {
	SCMP_SYS(memfd_create),
	SCMP_SYS(pwrite64),
	SCMP_SYS(sendmsg),
};

static void raise_limit(int which, rlim_t least)
{
	struct rlimit limit;

	if (getrlimit(which, &limit) || limit.rlim_cur >= least)
		return;
	limit.rlim_cur = least;
	if (limit.rlim_max < least)
		limit.rlim_max = least;
	if (!setrlimit(which, &limit) || getrlimit(which, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(which, &limit);
}

void jail_raise_limits(unsigned int files, size_t locked)
{
	raise_limit(RLIMIT_NOFILE, files);
	raise_limit(RLIMIT_MEMLOCK, locked);
}

static enum status drop_privileges(const struct jail *jail, struct failure *why)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (!geteuid()) {
		if (setgroups(0, NULL) || setresgid(jail->gid, jail->gid, jail->gid) ||
		    setresuid(jail->uid, jail->uid, jail->uid))
			return failed(why, ST_PRIVILEGE, "cannot become user %u, group %u: %s",
				      (unsigned int)jail->uid, (unsigned int)jail->gid,
				      strerror(errno));
	}
	if (syscall(SYS_capset, &header, none))
		return failed(why, ST_PRIVILEGE, "cannot drop capabilities: %s", strerror(errno));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return failed(why, ST_SYSTEM, "prctl: %s", strerror(errno));
	return ST_OK;
}

enum status jail_forgo(unsigned int capability, struct failure *why)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	uint32_t bit = CAP_TO_MASK(capability);

	if (syscall(SYS_capget, &header, data))
		return failed(why, ST_SYSTEM, "capget: %s", strerror(errno));
	data[CAP_TO_INDEX(capability)].effective &= ~bit;
	data[CAP_TO_INDEX(capability)].permitted &= ~bit;
	data[CAP_TO_INDEX(capability)].inheritable &= ~bit;
	if (syscall(SYS_capset, &header, data))
		return failed(why, ST_SYSTEM, "capset: %s", strerror(errno));
	return ST_OK;
}

/* 0 or a negative errno, as libseccomp returns them. */
static int add_ioctls(scmp_filter_ctx filter, const unsigned long *requests, size_t count)
{
	int error = 0;

	/* The kernel looks at 32 bits of a request. */
	for (size_t i = 0; !error && i < count; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
					 SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, requests[i]));
	return error;
}

static int add_rules(scmp_filter_ctx filter, const struct jail *jail)
{
	int error = 0;

	for (size_t i = 0; !error && i < COUNT(calls); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
					 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
					 SCMP_A4(SCMP_CMP_EQ, 0));
	/* Of its own memory, and to itself, only. */
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(process_vm_readv), 1,
					 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
					 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (!error && jail->event >= 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1,
					 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)jail->event));
	if (!error && jail->event >= 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(shutdown), 1,
					 SCMP_A1(SCMP_CMP_EQ, SHUT_RD));
	if (!error && jail->event >= 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 0);
	for (size_t i = 0; !error && jail->inflight && i < COUNT(inflight_calls); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, inflight_calls[i], 0);
	if (!error && jail->inflight)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
					 SCMP_A1(SCMP_CMP_EQ, F_ADD_SEALS));
	/* How a newer C library does fstat(). A path cannot be told from none here. */
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
					 SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH));
	if (!error)
		error = add_ioctls(filter, jail->ioctls, jail->ioctl_count);
	return error;
}

enum status jail_enter(const struct jail *jail, struct failure *why)
{
	scmp_filter_ctx filter;
	enum status status;
	int error;

	/* Made while privileged, since nothing is to go wrong half way. */
	filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!filter)
		return failed(why, ST_SYSTEM, "seccomp: out of memory");
	error = add_rules(filter, jail);
	status = error ? failed(why, ST_SYSTEM, "seccomp: %s", strerror(-error)) :
			 drop_privileges(jail, why);
	if (!status) {
		error = seccomp_load(filter);
		if (error)
			status = failed(why, ST_SYSTEM, "seccomp: %s", strerror(-error));
	}
	seccomp_release(filter);
	return status;
}
