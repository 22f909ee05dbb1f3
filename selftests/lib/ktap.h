/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ktap.h - run the cases of one test program and report them as KTAP
 *
 * Every case runs in a child process of its own, so that whatever it opens,
 * maps or starts is gone when it ends, a crash is one failed case, and a hang
 * is ended by its time limit. A case passes by returning, fails through
 * kt_fail() or a failed kt_check(), and is skipped, with a reason, by
 * kt_skip(). The program's exit status follows kselftest: 0 passed, 1 failed,
 * 4 all cases skipped.
 */
#ifndef KTAP_H
#define KTAP_H

#include <stdbool.h>
#include <stddef.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/**
 * struct kt_case - one case of a program
 * @name: words that say the behaviour; becomes the KTAP name
 * @run: the case; it gets @arg
 * @arg: a number for cases that share a function
 * @seconds: time limit before the case is killed and failed, 0 for the default
 * @on: the rings (VG_ON_* of vguest.h) that the case is about, 0 for all; where
 *	the test runs on others it does not have this case
 */
struct kt_case {
	const char *name;
	void (*run)(long arg);
	long arg;
	unsigned int seconds;
	unsigned int on;
};

/*
 * Run every case that is for these rings, or of them those whose name contains
 * argv[1]. With --rings, print the rings that the device has instead: see vg_rings().
 * Returns the exit status.
 */
int kt_main(int argc, char **argv, const struct kt_case *cases, size_t n);

/* Scale a count by SHUNT_TEST_SCALE (per cent, default 100); never less than @least. */
unsigned int kt_scale(unsigned int count, unsigned int least);

/* A line of comment in the output. */
void kt_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* End the case as skipped, with the reason. */
void kt_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

void kt_fail_at(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));

/* End the case as failed, with the reason. */
#define kt_fail(...) kt_fail_at(__FILE__, __LINE__, __VA_ARGS__)

/* Fail the case unless @cond holds; the rest is a printf reason. */
#define kt_check(cond, ...)                                          \
	do {                                                         \
		if (!(cond))                                         \
			kt_fail_at(__FILE__, __LINE__, __VA_ARGS__); \
	} while (0)

/* Fail the case unless a call that returns a negative number with errno worked. */
#define kt_sys(expr)                                                     \
	({                                                               \
		long kt_r_ = (long)(expr);                               \
		if (kt_r_ < 0)                                           \
			kt_fail_at(__FILE__, __LINE__, "%s: %m", #expr); \
		kt_r_;                                                   \
	})

/* Fail the case unless a call fails with exactly errno @want. */
#define kt_errno(expr, want)                                                                    \
	do {                                                                                    \
		long kt_r_ = (long)(expr);                                                      \
		int kt_e_ = errno;                                                              \
		if (kt_r_ >= 0)                                                                 \
			kt_fail_at(__FILE__, __LINE__, "%s worked, wanted errno %d", #expr,     \
				   (want));                                                     \
		if (kt_e_ != (want))                                                            \
			kt_fail_at(__FILE__, __LINE__, "%s: errno %d, wanted %d", #expr, kt_e_, \
				   (want));                                                     \
	} while (0)

/* Fail the case unless a call fails, with whatever errno. */
#define kt_refused(expr)                                                                      \
	do {                                                                                  \
		if ((long)(expr) >= 0)                                                        \
			kt_fail_at(__FILE__, __LINE__, "%s worked, wanted a refusal", #expr); \
	} while (0)

#endif
