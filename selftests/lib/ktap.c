// SPDX-License-Identifier: GPL-2.0-only
/*
 * ktap.c - cases in child processes, KTAP on stdout: see ktap.h
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ktap.h"

/* Of vring.c, where a program is linked with it: which rings it runs on. */
unsigned int vg_rings(void) __attribute__((weak));
int vg_rings_print(void) __attribute__((weak));

#define KT_PASS	   0
#define KT_FAIL	   1
#define KT_SKIP	   4
#define KT_SECONDS 180

/* Shared with the child: why it skipped. */
static char *skip_why;
#define SKIP_WHY_SIZE 512

unsigned int kt_scale(unsigned int count, unsigned int least)
{
	const char *s = getenv("SHUNT_TEST_SCALE");
	unsigned long long scaled = count;

	if (s && atoi(s) > 0)
		scaled = scaled * atoi(s) / 100;
	return scaled < least ? least : scaled;
}

void kt_note(const char *fmt, ...)
{
	va_list ap;

	flockfile(stdout);
	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	funlockfile(stdout);
}

void kt_fail_at(const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	va_list ap;

	flockfile(stdout);
	printf("# %s:%d: ", base ? base + 1 : file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	_exit(KT_FAIL);
}

void kt_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(skip_why, SKIP_WHY_SIZE, fmt, ap);
	va_end(ap);
	fflush(stdout);
	_exit(KT_SKIP);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/*
 * Wait for @pid; past its time kill its whole process group, and past another ten
 * seconds leave it to whoever started us: the kernel holds it. -1: timed out.
 */
static int reap(pid_t pid, double limit)
{
	double end = now() + limit;
	bool killed = false;
	int status;

	for (;;) {
		pid_t r = waitpid(pid, &status, WNOHANG);

		if (r == pid)
			return killed ? -1 : status;
		if (r < 0 && errno != EINTR)
			return -1;
		if (now() > end) {
			if (killed)
				return -1;
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
			killed = true;
			end += 10;
		}
		usleep(2000);
	}
}

static int run_case(const struct kt_case *c)
{
	unsigned int limit = c->seconds ? c->seconds : KT_SECONDS;
	const char *slow = getenv("SHUNT_TEST_SLOW");
	int status;
	pid_t pid;

	if (slow && atoi(slow) > 1)
		limit *= atoi(slow);
	skip_why[0] = 0;
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		printf("# fork: %s\n", strerror(errno));
		return KT_FAIL;
	}
	if (!pid) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		c->run(c->arg);
		fflush(stdout);
		_exit(KT_PASS);
	}
	status = reap(pid, limit);
	/* What the case forked and forgot must not disturb the next one. */
	kill(-pid, SIGKILL);
	if (status == -1) {
		printf("# no end after %u s: killed\n", limit);
		return KT_FAIL;
	}
	if (WIFSIGNALED(status)) {
		printf("# died of signal %d\n", WTERMSIG(status));
		return KT_FAIL;
	}
	status = WEXITSTATUS(status);
	return status == KT_PASS || status == KT_SKIP ? status : KT_FAIL;
}

static bool wanted(const struct kt_case *c, const char *only)
{
	return (!c->on || !vg_rings || c->on & vg_rings()) && (!only || strstr(c->name, only));
}

int kt_main(int argc, char **argv, const struct kt_case *cases, size_t n)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	unsigned int run = 0, failed = 0, skipped = 0;
	size_t i;

	if (only && vg_rings_print && !strcmp(only, "--rings"))
		return vg_rings_print();
	skip_why = mmap(NULL, SKIP_WHY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			0);
	if (skip_why == MAP_FAILED)
		return KT_FAIL;
	for (i = 0; i < n; i++)
		run += wanted(&cases[i], only);
	printf("TAP version 13\n1..%u\n", run);
	run = 0;
	for (i = 0; i < n; i++) {
		double t = now();
		int r;

		if (!wanted(&cases[i], only))
			continue;
		run++;
		r = run_case(&cases[i]);
		if (r == KT_SKIP) {
			printf("ok %u %s # SKIP %s\n", run, cases[i].name, skip_why);
			skipped++;
		} else {
			printf("%sok %u %s\n", r ? "not " : "", run, cases[i].name);
			failed += r != KT_PASS;
		}
		if (getenv("SHUNT_TEST_TIMES"))
			printf("# %.1f s\n", now() - t);
		fflush(stdout);
	}
	if (failed || (only && !run))
		return KT_FAIL;
	return skipped == run ? KT_SKIP : KT_PASS;
}
