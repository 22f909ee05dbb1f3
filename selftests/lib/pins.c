// SPDX-License-Identifier: GPL-2.0-only
/*
 * pins.c - pages that are pinned, and what is mapped in IOMMUs, as the kernel counts them
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vdpa.h"

#define TRACE "/sys/kernel/tracing/"

int64_t vf_pinned(void)
{
	long long got = 0, back = 0;
	unsigned int found = 0;
	char line[128];
	FILE *f;

	/* Each processor's share is added now and then, or now. */
	kt_sys(vf_put("1", "/proc/sys/vm/stat_refresh"));
	f = fopen("/proc/vmstat", "r");
	kt_check(f, "/proc/vmstat: %m");
	while (fgets(line, sizeof(line), f)) {
		found += sscanf(line, "nr_foll_pin_acquired %lld", &got) == 1;
		found += sscanf(line, "nr_foll_pin_released %lld", &back) == 1;
	}
	fclose(f);
	kt_check(found == 2, "/proc/vmstat does not say what is pinned");
	return got - back;
}

void vf_pinned_is(int64_t before)
{
	uint64_t end = vg_ms() + VG_STALL_MS;

	while (vf_pinned() > before) {
		kt_check(vg_ms() < end, "%lld pages stay pinned",
			 (long long)(vf_pinned() - before));
		usleep(100000);
	}
}

static void events(const char *on)
{
	if (vf_put(on, TRACE "events/iommu/map/enable") ||
	    vf_put(on, TRACE "events/iommu/unmap/enable"))
		kt_skip("this kernel has no tracepoints of its IOMMUs: %s", strerror(errno));
}

void vf_trace_begin(void)
{
	events("0");
	kt_sys(vf_put("8192", TRACE "buffer_size_kb"));
	/* Opening it like this empties it. */
	close(kt_sys(open(TRACE "trace", O_WRONLY | O_TRUNC | O_CLOEXEC)));
	events("1");
}

void vf_trace_end(uint64_t *mapped, uint64_t *unmapped)
{
	unsigned long long in = 0, written = 0, n;
	char line[512];
	FILE *f;

	events("0");
	f = fopen(TRACE "trace", "r");
	kt_check(f, "%strace: %m", TRACE);
	*mapped = 0;
	*unmapped = 0;
	while (fgets(line, sizeof(line), f)) {
		const char *at;

		if (sscanf(line, "# entries-in-buffer/entries-written: %llu/%llu", &in, &written) ==
		    2)
			kt_check(in == written, "the trace has %llu of %llu entries", in, written);
		at = strstr(line, " unmapped_size=");
		if (at && sscanf(at, " unmapped_size=%llu", &n) == 1) {
			*unmapped += n;
			continue;
		}
		at = strstr(line, " size=");
		if (at && strstr(line, " map: ") && sscanf(at, " size=%llu", &n) == 1)
			*mapped += n;
	}
	fclose(f);
}
