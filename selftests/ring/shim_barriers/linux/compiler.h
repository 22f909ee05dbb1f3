/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shim: accesses to shared memory that somebody looks at.
 *
 * litmus.c (LITMUS) decides itself what a load finds and when a store is seen.
 *
 * ThreadSanitizer (TSAN) knows nothing of fences, only of what one atomic store
 * releases and one atomic load acquires. So READ_ONCE() remembers what it loaded,
 * for the shim_rmb() behind it, and WRITE_ONCE() releases when a shim_wmb() was
 * before it.
 */
#ifndef SHIM_BARRIERS_COMPILER_H
#define SHIM_BARRIERS_COMPILER_H

#include_next <linux/compiler.h>

#undef READ_ONCE
#undef WRITE_ONCE

#ifdef LITMUS
void litmus_load(const void *from, void *to, unsigned int len);
void litmus_store(void *to, const void *from, unsigned int len);

#define READ_ONCE(x)                               \
	({                                         \
		_Alignas(8) char got[sizeof(x)];   \
		litmus_load(&(x), got, sizeof(x)); \
		*(__typeof__(&(x)))(void *)got;    \
	})
#define WRITE_ONCE(x, v)                               \
	do {                                           \
		__typeof__(x) put = (v);               \
		litmus_store(&(x), &put, sizeof(put)); \
	} while (0)
#else
extern __thread const volatile void *shim_loaded;
extern __thread int shim_release; /* order of the next store */

#define READ_ONCE(x)                                     \
	({                                               \
		shim_loaded = &(x);                      \
		__atomic_load_n(&(x), __ATOMIC_RELAXED); \
	})
#define WRITE_ONCE(x, v)                                             \
	do {                                                         \
		if (shim_release)                                    \
			__atomic_store_n(&(x), v, __ATOMIC_RELEASE); \
		else                                                 \
			__atomic_store_n(&(x), v, __ATOMIC_RELAXED); \
		shim_release = 0;                                    \
	} while (0)
#endif

#endif
