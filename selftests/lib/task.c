// SPDX-License-Identifier: GPL-2.0-only
/*
 * task.c - kernel threads, as /proc shows them: see task.h
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task.h"
#include "vguest.h"

int vg_find_task(const char *name)
{
	char path[300], comm[64];
	struct dirent *e;
	int found = 0;
	DIR *d = opendir("/proc");

	kt_check(d, "/proc: %m");
	while (!found && (e = readdir(d))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		/* Names are cut to 15 characters, unless it is a kernel thread's. */
		if (fgets(comm, sizeof(comm), f) && !strcmp(strtok(comm, "\n"), name))
			found = atoi(e->d_name);
		fclose(f);
	}
	closedir(d);
	kt_check(found, "no task is called %s", name);
	return found;
}

uint64_t vg_ran(int task)
{
	char path[64];
	uint64_t ns;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", task);
	f = fopen(path, "r");
	kt_check(f && fscanf(f, "%lu", &ns) == 1, "%s: %m", path);
	fclose(f);
	return ns;
}
