// SPDX-License-Identifier: GPL-2.0-only
/* Probe that compiles everywhere: shows that the kernel's headers can be used. */
#include <linux/module.h>

void probe(void);
void probe(void)
{
}
