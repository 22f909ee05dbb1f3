// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints how many nanoseconds of the VM's clock a fixed loop of system calls
 * takes. With the lab's --icount these are instructions, and repeat.
 */
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

int main(void)
{
	long long began;

	for (int i = 0; i < 1000; i++)
		syscall(SYS_getppid);
	began = now();
	for (int i = 0; i < 100000; i++)
		syscall(SYS_getppid);
	printf("%lld\n", now() - began);
	return 0;
}
