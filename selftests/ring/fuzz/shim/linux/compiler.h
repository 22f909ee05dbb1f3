/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shim of the fuzzer: where the ring is mapped, its loads are seen too, so that
 * memory can change before each of them, and so that they are counted.
 */
#ifndef FUZZ_COMPILER_H
#define FUZZ_COMPILER_H

#include_next <linux/compiler.h>

void memory_load(const volatile void *at, unsigned long size);

#undef READ_ONCE
#define READ_ONCE(x)                                   \
	({                                             \
		memory_load(&(x), sizeof(x));          \
		*(const volatile __typeof__(x) *)&(x); \
	})

#endif
