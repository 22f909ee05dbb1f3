/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shim of the benchmark: unlike in the tests, clamping an index costs here what
 * it costs in the kernel on x86: a comparison, a subtraction and a mask.
 */
#ifndef SHIM_NOSPEC_H
#define SHIM_NOSPEC_H

static inline unsigned long shim_nospec(unsigned long index, unsigned long size)
{
	/* The compiler must not remember that it was compared before. */
	__asm__ volatile("" : "+r"(index));
	return index & -(unsigned long)(index < size);
}

#define array_index_nospec(index, size) ((__typeof__(index))shim_nospec(index, size))

#endif
