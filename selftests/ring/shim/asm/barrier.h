/* SPDX-License-Identifier: GPL-2.0-only */
/* Shim: the kernel's barriers as fences of C11. */
#ifndef SHIM_BARRIER_H
#define SHIM_BARRIER_H

#define smp_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

#endif
