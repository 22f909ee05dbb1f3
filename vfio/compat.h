/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compat.h - the only file here that knows how kernels differ
 *
 * Beside what vhost/compat.h has for both, and in the same way.
 */
#ifndef SVFIO_COMPAT_H
#define SVFIO_COMPAT_H

#include <linux/iommu.h>
#include <linux/irqbypass.h>
#include <linux/irqdomain.h>
#include <linux/mm.h>
#include <linux/vhost.h>

#include "../vhost/compat.h"

/* Parts of the ABI that came after Linux 6.1: in 6.3, 6.6, and 6.10. */
#ifndef VHOST_VDPA_RESUME
#define VHOST_VDPA_RESUME _IO(VHOST_VIRTIO, 0x7E)
#endif
#ifndef VHOST_VDPA_GET_VRING_SIZE
#define VHOST_VDPA_GET_VRING_SIZE                                              \
	_IOWR(VHOST_VIRTIO, 0x82, struct vhost_vring_state)
#endif
/* A bit of VHOST_GET_BACKEND_FEATURES: mappings outlive a reset. */
#define SVFIO_BACKEND_F_IOTLB_PERSIST 0x8

/**
 * compat_domain_alloc() - make an IOMMU domain that nobody else manages
 * @dev: a device that will be attached to it
 *
 * By bus until Linux 6.11.
 *
 * Return: the domain, or ERR_PTR.
 */
static inline struct iommu_domain *compat_domain_alloc(struct device *dev)
{
#ifdef HAVE_IOMMU_PAGING_DOMAIN_ALLOC
	return iommu_paging_domain_alloc(dev);
#else
	struct iommu_domain *domain = iommu_domain_alloc(dev->bus);

	return domain ?: ERR_PTR(-ENOMEM);
#endif
}

/**
 * compat_iommu_map() - iommu_map()
 * @domain: the domain
 * @iova: where to
 * @phys: what
 * @size: how much of it
 * @prot: IOMMU_*
 *
 * Context: may sleep. The kind of allocation is an argument since Linux 6.3.
 * Return: 0 or a negative error number.
 */
static inline int compat_iommu_map(struct iommu_domain *domain,
				   unsigned long iova, phys_addr_t phys,
				   size_t size, int prot)
{
#ifdef HAVE_IOMMU_MAP_GFP
	return iommu_map(domain, iova, phys, size, prot, GFP_KERNEL_ACCOUNT);
#else
	return iommu_map(domain, iova, phys, size, prot);
#endif
}

/**
 * compat_isolated_msi() - whether a function's interrupts are remapped
 * @dev: the function
 * @group: its IOMMU group
 *
 * Since Linux 6.3 the group is asked, of which the two questions below are part.
 */
static inline bool compat_isolated_msi(struct device *dev,
				       struct iommu_group *group)
{
#ifdef HAVE_IOMMU_GROUP_HAS_ISOLATED_MSI
	return iommu_group_has_isolated_msi(group);
#else
	return irq_domain_check_msi_remap() ||
	       device_iommu_capable(dev, IOMMU_CAP_INTR_REMAP);
#endif
}

/**
 * compat_irq_bypass_register() - offer an interrupt to whoever waits for @ctx
 * @producer: zeroed memory
 * @ctx: the eventfd that the interrupt signals
 * @irq: the interrupt
 *
 * Eventfd and interrupt are arguments since Linux 6.17.
 *
 * Return: 0 or a negative error number.
 */
static inline int
compat_irq_bypass_register(struct irq_bypass_producer *producer,
			   struct eventfd_ctx *ctx, int irq)
{
#ifdef HAVE_IRQ_BYPASS_TOKEN
	producer->token = ctx;
	producer->irq = irq;
	return irq_bypass_register_producer(producer);
#else
	return irq_bypass_register_producer(producer, ctx, irq);
#endif
}

/**
 * compat_vm_flags_set() - add to a mapping's flags
 * @vma: the mapping
 * @flags: VM_*
 *
 * Not to be written directly since Linux 6.3.
 */
static inline void compat_vm_flags_set(struct vm_area_struct *vma,
				       vm_flags_t flags)
{
#ifdef HAVE_VM_FLAGS_SET
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

#endif
