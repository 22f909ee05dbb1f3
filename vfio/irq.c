// SPDX-License-Identifier: GPL-2.0-only
/*
 * irq.c - interrupts of a function, and the eventfds that they signal
 *
 * DOC: Theory of Operation
 *
 * With DRIVER_OK come MSI-X vectors: one for changes of the configuration and one
 * a queue; if there are not that many, one for all queues; if there is only one,
 * it is for everything, and each interrupt signals every eventfd: a guest's
 * driver finds nothing to do then, and does nothing.
 *
 * The hard interrupt signals the eventfd, which for a guest of KVM is an irqfd: it
 * injects from there. A vector that is one queue's alone is also offered as
 * producer to the IRQ bypass manager: where the hardware posts interrupts, KVM,
 * which waits for the same eventfd, has it sent to the guest's processor, and
 * neither is called.
 */
#include <linux/interrupt.h>
#include <linux/pci.h>

#include "compat.h"
#include "vfio.h"

#define NAME "shunt-vfio"

static void call_signal(struct svfio_call *call)
{
	unsigned long flags;

	spin_lock_irqsave(&call->lock, flags);
	call->interrupts++;
	if (call->ctx)
		compat_eventfd_signal(call->ctx);
	spin_unlock_irqrestore(&call->lock, flags);
}

static irqreturn_t queue_interrupt(int irq, void *arg)
{
	call_signal(arg);
	return IRQ_HANDLED;
}

static irqreturn_t queues_interrupt(int irq, void *arg)
{
	struct svfio *dev = arg;
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++)
		if (dev->vqs[i].enabled)
			call_signal(&dev->vqs[i].call);
	return IRQ_HANDLED;
}

static irqreturn_t config_interrupt(int irq, void *arg)
{
	struct svfio *dev = arg;

	call_signal(&dev->config);
	if (dev->vectors == 1)
		queues_interrupt(irq, dev);
	return IRQ_HANDLED;
}

/* Whoever waits for the eventfd may take the interrupt itself. */
static void call_offer(struct svfio_call *call)
{
	if (!call->irq || !call->ctx || call->offered)
		return;
	memset(&call->producer, 0, sizeof(call->producer));
	/* What goes wrong is that an eventfd is used twice: then without. */
	call->offered = !compat_irq_bypass_register(&call->producer, call->ctx,
						    call->irq);
}

static void call_withdraw(struct svfio_call *call)
{
	if (call->offered)
		irq_bypass_unregister_producer(&call->producer);
	call->offered = false;
}

/**
 * svfio_call_init() - prepare for an interrupt
 * @call: zeroed memory
 */
void svfio_call_init(struct svfio_call *call)
{
	spin_lock_init(&call->lock);
}

/**
 * svfio_call_set() - VHOST_SET_VRING_CALL, VHOST_VDPA_SET_CONFIG_CALL
 * @call: the interrupt, allocated or not
 * @fd: an eventfd of the caller, or VHOST_FILE_UNBIND
 *
 * An interrupt signals the old one or the new one; when this returns, the new.
 *
 * Context: svfio.lock held.
 * Return: 0, -EBADF, or -EINVAL when it is not an eventfd.
 */
int svfio_call_set(struct svfio_call *call, int fd)
{
	struct eventfd_ctx *new = svfio_ctx_get(fd);

	if (IS_ERR(new))
		return PTR_ERR(new);
	call_withdraw(call);
	spin_lock_irq(&call->lock);
	swap(call->ctx, new);
	spin_unlock_irq(&call->lock);
	if (new)
		eventfd_ctx_put(new);
	call_offer(call);
	return 0;
}

/* Tell the function which vector is whose; it may have none left itself. */
static int set_vectors(struct svfio *dev)
{
	const bool own = dev->vectors > dev->nr_vqs;
	u32 i;

	if (vp_modern_config_vector(&dev->mdev, 0) != 0)
		return -ENOSPC;
	for (i = 0; i < dev->nr_vqs; i++) {
		u16 vector = own ? i + 1 : dev->vectors > 1;

		if (dev->vqs[i].max &&
		    vp_modern_queue_vector(&dev->mdev, i, vector) != vector)
			return -ENOSPC;
	}
	return 0;
}

static int request(struct svfio *dev)
{
	const bool own = dev->vectors > dev->nr_vqs;
	int irq, err;
	u32 i;

	irq = pci_irq_vector(dev->pdev, 0);
	err = request_irq(irq, config_interrupt, 0, NAME, dev);
	if (err)
		return err;
	dev->config_irq = irq;
	if (dev->vectors == 1)
		return 0;
	if (!own) {
		irq = pci_irq_vector(dev->pdev, 1);
		err = request_irq(irq, queues_interrupt, 0, NAME, dev);
		if (!err)
			dev->queues_irq = irq;
		return err;
	}
	for (i = 0; i < dev->nr_vqs; i++) {
		struct svfio_vq *vq = &dev->vqs[i];

		if (!vq->max)
			continue;
		snprintf(vq->name, sizeof(vq->name), NAME "-%s-%u",
			 pci_name(dev->pdev), i);
		irq = pci_irq_vector(dev->pdev, i + 1);
		err = request_irq(irq, queue_interrupt, 0, vq->name, &vq->call);
		if (err)
			return err;
		vq->call.irq = irq;
		call_offer(&vq->call);
	}
	return 0;
}

/**
 * svfio_irqs_alloc() - allocate interrupts, and tell the function
 * @dev: the device, none of whose queues is enabled
 *
 * Context: svfio.lock held.
 * Return: 0, or a negative error number: there is not even one.
 */
int svfio_irqs_alloc(struct svfio *dev)
{
	const int all = dev->nr_vqs + 1;
	int vectors = pci_alloc_irq_vectors(dev->pdev, 1, all, PCI_IRQ_MSIX);
	int err;

	if (vectors < 0)
		return vectors;
	/* Those beyond the second are of use only if all are there. */
	dev->vectors = vectors == all ? all : min(vectors, 2);
	err = request(dev);
	if (!err)
		err = set_vectors(dev);
	if (err)
		svfio_irqs_free(dev);
	return err;
}

/**
 * svfio_irqs_free() - undo svfio_irqs_alloc()
 * @dev: the device, with interrupts or without
 *
 * Context: svfio.lock held; waits for handlers that are running.
 */
void svfio_irqs_free(struct svfio *dev)
{
	u32 i;

	if (!dev->vectors)
		return;
	for (i = 0; i < dev->nr_vqs; i++) {
		struct svfio_vq *vq = &dev->vqs[i];

		call_withdraw(&vq->call);
		if (vq->call.irq)
			free_irq(vq->call.irq, &vq->call);
		vq->call.irq = 0;
	}
	if (dev->queues_irq)
		free_irq(dev->queues_irq, dev);
	dev->queues_irq = 0;
	if (dev->config_irq)
		free_irq(dev->config_irq, dev);
	dev->config_irq = 0;
	pci_free_irq_vectors(dev->pdev);
	dev->vectors = 0;
}
