/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * random.h - numbers at random
 */
#ifndef RANDOM_H
#define RANDOM_H

#include "vguest.h"

/* The seed of a case: @def, or SHUNT_TEST_SEED, which repeats a run. It is printed. */
uint64_t vg_seed(uint64_t def);
/* The next number that follows from @state, which is not 0; and one that is less than @n. */
uint64_t vg_random(uint64_t *state);
unsigned int vg_below(uint64_t *state, unsigned int n);
/* Numbers near which mistakes live: of addresses, of @m too, of sizes, of counts. */
uint64_t vg_odd_number(uint64_t *state, const struct vg_mem *m);

#endif
