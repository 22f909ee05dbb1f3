// SPDX-License-Identifier: GPL-2.0-only
/*
 * random.c - numbers at random, from a seed that is printed: see vguest.h
 */
#include <stdlib.h>

#include "random.h"

uint64_t vg_seed(uint64_t def)
{
	const char *s = getenv("SHUNT_TEST_SEED");
	uint64_t seed = s ? strtoull(s, NULL, 0) : def;

	kt_note("seed %llu", (unsigned long long)seed);
	return seed;
}

uint64_t vg_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

unsigned int vg_below(uint64_t *state, unsigned int n)
{
	return (vg_random(state) >> 11) % n;
}

uint64_t vg_odd_number(uint64_t *state, const struct vg_mem *m)
{
	const struct vg_region *r = &m->r[vg_below(state, m->n)];
	const uint64_t pick[] = {
		0,
		1,
		2,
		4096,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		0x100000000ull,
		~0ull,
		~0ull - 4095,
		1ull << 47,
		(1ull << 47) - 4096,
		0xffff888000000000ull,
		1ull << 63,
		r->gpa,
		r->gpa + r->size,
		r->gpa + r->size - 1,
		(uintptr_t)r->va,
		(uintptr_t)r->va + r->size,
		(uintptr_t)r->va + r->size - 8,
		vg_random(state),
		vg_random(state) >> 32,
		vg_below(state, 70000),
		vg_below(state, 300),
	};

	return pick[vg_below(state, ARRAY_SIZE(pick))];
}
