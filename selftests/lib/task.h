/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * task.h - how long tasks run, kernel threads and others
 */
#ifndef TASK_H
#define TASK_H

#include <stdbool.h>
#include <stdint.h>

/* The number of the task of this name; fails the case. */
int vg_find_task(const char *name);
/* How long a task has run, in nanoseconds. */
uint64_t vg_ran(int task);

/**
 * struct vg_tasks - what each task of the system has run, at one moment
 * @n: tasks
 * @one: of each its number, its name, and how long it has run, in nanoseconds
 */
struct vg_tasks {
	unsigned int n;
	struct vg_one_task {
		int tid;
		char name[32];
		uint64_t ran;
	} one[1024];
};

/*
 * Look at all tasks but this process's and its parent's. What an interrupt takes counts for the
 * task that it hits.
 */
void vg_tasks(struct vg_tasks *t);
/*
 * Print how long they ran between two looks, for each of @n pieces of work: "# cost NS" of all,
 * those that have come in between included, but not the kernel's housekeeping (RCU, ksoftirqd,
 * kworkers); and "# task NS NAME" of each that had a share, whoever it is.
 * @own: what this process did itself of that work, in nanoseconds.
 */
void vg_tasks_print(const struct vg_tasks *before, const struct vg_tasks *after, uint64_t own,
		    unsigned int n);
/* Whether a task of this name is one that keeps the system going, whatever work there is. */
bool vg_is_housekeeping(const char *name);

#endif
