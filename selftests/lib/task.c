// SPDX-License-Identifier: GPL-2.0-only
/*
 * task.c - tasks, as /proc shows them: see task.h
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void look_at(struct vg_tasks *t, const char *pid, const char *tid)
{
	struct vg_one_task *one = &t->one[t->n];
	char path[600];
	FILE *f;

	kt_check(t->n < ARRAY_SIZE(t->one), "too many tasks");
	snprintf(path, sizeof(path), "/proc/%s/task/%s/schedstat", pid, tid);
	f = fopen(path, "r");
	/* It may have ended. */
	if (!f)
		return;
	one->tid = atoi(tid);
	if (fscanf(f, "%lu", &one->ran) == 1)
		t->n++;
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%s/task/%s/comm", pid, tid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%31[^\n]", one->name) != 1)
		strcpy(one->name, "?");
	if (f)
		fclose(f);
}

void vg_tasks(struct vg_tasks *t)
{
	DIR *all = opendir("/proc"), *own;
	struct dirent *p, *e;
	char path[300];

	t->n = 0;
	kt_check(all, "/proc: %m");
	while ((p = readdir(all))) {
		int pid = atoi(p->d_name);

		if (!pid || pid == getpid() || pid == getppid())
			continue;
		snprintf(path, sizeof(path), "/proc/%s/task", p->d_name);
		own = opendir(path);
		while (own && (e = readdir(own)))
			if (atoi(e->d_name))
				look_at(t, p->d_name, e->d_name);
		if (own)
			closedir(own);
	}
	closedir(all);
}

/* What softirqs do for a packet they do within the task that sent it, not in ksoftirqd. */
bool vg_is_housekeeping(const char *name)
{
	static const char *const names[] = { "rcu_",	"ksoftirqd/", "kcompactd",
					     "kdamond", "migration/", "kworker/" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

void vg_tasks_print(const struct vg_tasks *before, const struct vg_tasks *after, uint64_t own,
		    unsigned int n)
{
	uint64_t ran, sum = own;
	unsigned int i, k;

	for (i = 0; i < after->n; i++) {
		ran = after->one[i].ran;
		for (k = 0; k < before->n; k++)
			if (before->one[k].tid == after->one[i].tid)
				ran -= before->one[k].ran;
		if (ran >= n)
			printf("# task %.0f %s\n", (double)ran / n, after->one[i].name);
		if (!vg_is_housekeeping(after->one[i].name))
			sum += ran;
	}
	printf("# cost %.0f\n", (double)sum / n);
}
