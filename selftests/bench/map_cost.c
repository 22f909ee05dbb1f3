// SPDX-License-Identifier: GPL-2.0-only
/*
 * map_cost.c - what it costs to map memory for a function, and how that grows with its size
 *
 *   map_cost [MIB]
 *
 * Maps 16 MiB and then twice as much each time, up to MIB (512 by default) by one message,
 * of pages of 4 KiB and of 2 MiB (as many as can be had), and takes it back. Memory is there
 * before. Prints microseconds in all and nanoseconds for each MiB. The node is SHUNT_DEV.
 * A benchmark: no figure makes it fail.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vdpa.h"

#define HUGE (2ull << 20)
#define IOVA (1ull << 38)

static uint64_t ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void *memory(uint64_t size, bool huge)
{
	uint8_t *p = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | (huge ? MAP_HUGETLB : 0), -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (!huge)
		madvise(p, size + HUGE, MADV_NOHUGEPAGE);
	memset(p, 1, size + (huge ? HUGE : 0));
	return p;
}

static void measure(int fd, uint64_t mib, bool huge)
{
	uint64_t size = mib << 20, begin, mapped, gone;
	uint8_t *p = memory(size, huge);

	if (!p) {
		printf("%6llu MiB of %s: not to be had\n", (unsigned long long)mib,
		       huge ? "2 MiB" : "4 KiB");
		return;
	}
	begin = ns();
	kt_sys(vf_msg(fd, VHOST_IOTLB_UPDATE, IOVA, size, (uintptr_t)p, VHOST_ACCESS_RW));
	mapped = ns();
	kt_sys(vf_msg(fd, VHOST_IOTLB_INVALIDATE, IOVA, size, 0, 0));
	gone = ns();
	printf("%6llu MiB of %s: map %8llu us, %9llu ns/MiB; unmap %8llu us, %9llu ns/MiB\n",
	       (unsigned long long)mib, huge ? "2 MiB" : "4 KiB",
	       (unsigned long long)(mapped - begin) / 1000,
	       (unsigned long long)(mapped - begin) / mib,
	       (unsigned long long)(gone - mapped) / 1000,
	       (unsigned long long)(gone - mapped) / mib);
	munmap(p, size + HUGE);
}

int main(int argc, char **argv)
{
	uint64_t most = argc > 1 ? strtoull(argv[1], NULL, 0) : 512, mib;
	int fd = vf_open();
	FILE *f = fopen("/proc/sys/vm/nr_hugepages", "w");

	if (f) {
		fprintf(f, "%llu\n", (unsigned long long)most / 2 + 1);
		fclose(f);
	}
	for (mib = 16; mib <= most; mib *= 2)
		measure(fd, mib, true);
	for (mib = 16; mib <= most; mib *= 2)
		measure(fd, mib, false);
	return 0;
}
