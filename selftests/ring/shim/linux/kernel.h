/* SPDX-License-Identifier: GPL-2.0-only */
/* Shim: what ring.h takes from the kernel's header of this name. */
#ifndef SHIM_KERNEL_H
#define SHIM_KERNEL_H

#include <stddef.h>

#define min(a, b)	  ((a) < (b) ? (a) : (b))
#define min3(a, b, c)	  min(min(a, b), c)
#define min_t(type, a, b) min((type)(a), (type)(b))

#endif
