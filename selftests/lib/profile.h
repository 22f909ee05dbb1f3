/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * profile.h - where other tasks are while they work, by samples
 */
#ifndef PROFILE_H
#define PROFILE_H

/*
 * Begin to sample all tasks but this process's and its parent's, those of processor 0. Does
 * nothing unless SHUNT_BENCH_PARTS is set.
 */
void vg_profile_begin(void);
/*
 * End it, and print for each function of the kernel "# sample COUNT FUNCTION", the most frequent
 * one first; of userspace "# sample COUNT userspace". The idle task is left out, and so is the
 * kernel's housekeeping.
 */
void vg_profile_end(void);

#endif
