/* SPDX-License-Identifier: GPL-2.0-only */
/* Shim: memcpy() and its like are the C library's. */
#include <string.h>
