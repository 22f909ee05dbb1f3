// SPDX-License-Identifier: GPL-2.0-only
/*
 * profile.c - samples of what other tasks do: see profile.h
 *
 * A software clock of perf's, whose samples say address and task. What runs with interrupts off
 * is seen where they are allowed again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "profile.h"
#include "task.h"
#include "vguest.h"

#define PERIOD_NS 10007 /* no round number; the kernel allows no less than 10,000 */
#define PAGES	  1024u /* of the ring, a power of two */
#define SYMBOLS	  400000u

struct symbol {
	uint64_t at;
	unsigned int samples;
	char name[48];
};

static int event = -1;
static uint8_t *ring;
static struct symbol *symbols;
static unsigned int nsymbols;

/* A setting that keeps samples from being as frequent, or symbols from being seen. */
static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	kt_check(fd >= 0 && write(fd, value, strlen(value)) > 0, "%s: %m", path);
	close(fd);
}

void vg_profile_begin(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD_NS,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID,
	};

	if (!getenv("SHUNT_BENCH_PARTS"))
		return;
	/* With this at 0 the rate is not limited any more, nor can its limit be changed. */
	set("/proc/sys/kernel/perf_cpu_time_max_percent", "25");
	set("/proc/sys/kernel/perf_event_max_sample_rate", "1000000");
	set("/proc/sys/kernel/perf_cpu_time_max_percent", "0");
	set("/proc/sys/kernel/kptr_restrict", "0");
	event = kt_sys(syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
	ring = mmap(NULL, (size_t)(1 + PAGES) * VG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, event,
		    0);
	kt_check(ring != MAP_FAILED, "mmap of samples: %m");
}

static void read_symbols(void)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	char line[256], type;

	symbols = calloc(SYMBOLS, sizeof(*symbols));
	kt_check(f && symbols, "/proc/kallsyms: %m");
	while (nsymbols < SYMBOLS - 1 && fgets(line, sizeof(line), f)) {
		struct symbol *s = &symbols[nsymbols];

		if (sscanf(line, "%lx %c %47s", &s->at, &type, s->name) == 3 &&
		    (type == 't' || type == 'T' || type == 'w' || type == 'W'))
			nsymbols++;
	}
	fclose(f);
	/* For what has none, and userspace. */
	symbols[nsymbols++] = (struct symbol){ .at = 0, .name = "userspace" };
}

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static int by_samples(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->samples > y->samples ? -1 : x->samples < y->samples;
}

static struct symbol *symbol_of(uint64_t at)
{
	unsigned int lo = 0, hi = nsymbols;

	while (hi - lo > 1) {
		unsigned int mid = (lo + hi) / 2;

		if (symbols[mid].at <= at)
			lo = mid;
		else
			hi = mid;
	}
	return &symbols[lo];
}

/* Whether a task's samples are wanted. */
static bool wanted(const struct vg_tasks *tasks, uint32_t pid, uint32_t tid)
{
	unsigned int i;

	if (!pid || (int)pid == getpid() || (int)pid == getppid())
		return false;
	for (i = 0; i < tasks->n; i++)
		if (tasks->one[i].tid == (int)tid)
			return !vg_is_housekeeping(tasks->one[i].name);
	return false;
}

static void count_samples(void)
{
	const struct perf_event_mmap_page *page = (void *)ring;
	uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE), at = 0;
	static struct vg_tasks tasks;

	vg_tasks(&tasks);
	while (at < head) {
		struct {
			struct perf_event_header head;
			uint64_t ip;
			uint32_t pid, tid;
		} one = {};
		unsigned int i, size = sizeof(one);

		/* A record may go on at the ring's beginning. */
		for (i = 0; i < size; i++)
			((uint8_t *)&one)[i] = ring[VG_PAGE + (at + i) % (PAGES * VG_PAGE)];
		kt_check(one.head.size, "a sample without a size");
		at += one.head.size;
		if (one.head.type != PERF_RECORD_SAMPLE || !wanted(&tasks, one.pid, one.tid))
			continue;
		if ((one.head.misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_USER)
			one.ip = 0;
		symbol_of(one.ip)->samples++;
	}
}

void vg_profile_end(void)
{
	unsigned int i;

	if (event < 0)
		return;
	kt_sys(ioctl(event, PERF_EVENT_IOC_DISABLE, 0));
	read_symbols();
	qsort(symbols, nsymbols, sizeof(*symbols), by_address);
	count_samples();
	qsort(symbols, nsymbols, sizeof(*symbols), by_samples);
	for (i = 0; i < nsymbols && symbols[i].samples; i++)
		printf("# sample %u %s\n", symbols[i].samples, symbols[i].name);
	close(event);
}
