/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shim: the kernel's barriers as functions of the program that is linked with
 * the ring, so that it can watch them, and leave them out.
 */
#ifndef SHIM_BARRIERS_BARRIER_H
#define SHIM_BARRIERS_BARRIER_H

void shim_mb(void);
void shim_rmb(void);
void shim_wmb(void);

#define smp_mb()  shim_mb()
#define smp_rmb() shim_rmb()
#define smp_wmb() shim_wmb()

#endif
