// SPDX-License-Identifier: GPL-2.0-only
/* Probe: eventfd_signal() takes a count (until Linux 6.8). */
#include <linux/eventfd.h>

void probe(struct eventfd_ctx *ctx);
void probe(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}
