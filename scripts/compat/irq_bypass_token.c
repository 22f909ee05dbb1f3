// SPDX-License-Identifier: GPL-2.0-only
/* Probe: eventfd and interrupt are members of an irq_bypass_producer (until Linux 6.16). */
#include <linux/irqbypass.h>

int probe(struct irq_bypass_producer *producer, void *token);
int probe(struct irq_bypass_producer *producer, void *token)
{
	producer->token = token;
	return irq_bypass_register_producer(producer);
}
