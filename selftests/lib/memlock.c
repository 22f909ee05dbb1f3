// SPDX-License-Identifier: GPL-2.0-only
/*
 * memlock.c - what memory is locked or pinned, and the limit of it
 */
#include <linux/capability.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vguest.h"

unsigned long vg_locked(void)
{
	unsigned long total = 0, kb;
	char line[128];
	FILE *f = fopen("/proc/self/status", "r");

	kt_check(f, "/proc/self/status: %m");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %lu", &kb) == 1 || sscanf(line, "VmPin: %lu", &kb) == 1)
			total += kb;
	fclose(f);
	return total;
}

void vg_limit_locked(unsigned long long bytes)
{
	struct rlimit r = { bytes, bytes };

	kt_sys(setrlimit(RLIMIT_MEMLOCK, &r));
}

void vg_drop_ipc_lock(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	kt_sys(syscall(SYS_capget, &h, d));
	d[0].effective &= ~(1u << CAP_IPC_LOCK);
	d[0].permitted &= ~(1u << CAP_IPC_LOCK);
	d[0].inheritable &= ~(1u << CAP_IPC_LOCK);
	kt_sys(syscall(SYS_capset, &h, d));
}
