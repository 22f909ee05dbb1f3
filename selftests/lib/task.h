/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * task.h - how long kernel threads run
 */
#ifndef TASK_H
#define TASK_H

#include <stdint.h>

/* The number of the task of this name; fails the case. */
int vg_find_task(const char *name);
/* How long a task has run, in nanoseconds. */
uint64_t vg_ran(int task);

#endif
