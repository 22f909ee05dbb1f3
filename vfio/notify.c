// SPDX-License-Identifier: GPL-2.0-only
/*
 * notify.c - kicks: from an eventfd, or the guest itself, to a doorbell
 *
 * DOC: Theory of Operation
 *
 * A kick is an eventfd that KVM writes when the guest touches its doorbell
 * (ioeventfd). We hang in its wait queue, and write the function's doorbell from
 * there: in the context of whoever wrote the eventfd, with interrupts off. It is
 * one posted write. The counter is never read; so each time that we begin to
 * listen to an eventfd that was ever written, there is one kick too many, which
 * drivers of virtio may do at any time.
 *
 * We are in the wait queue while the queue is enabled and the device has
 * DRIVER_OK. svfio_kick_stop() returns when kick_wake() is not running and will
 * not run again.
 *
 * Where a doorbell has a page of its own in the function's BAR, the owner may map
 * that, and have the guest write it. The page is inserted by the page fault, so
 * that svfio_doorbell_revoke() finds all that ever were.
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/nospec.h>

#include "compat.h"
#include "vfio.h"

static void ring_doorbell(struct svfio_vq *vq)
{
	vq->kicks++;
	vp_iowrite16(vq->index, vq->notify);
}

/* Context: any, with the lock of the wait queue held. */
static int kick_wake(wait_queue_entry_t *wait, unsigned int mode, int sync,
		     void *key)
{
	if (key_to_poll(key) & EPOLLIN)
		ring_doorbell(container_of(wait, struct svfio_vq, wait));
	return 0;
}

static void kick_queue(struct file *file, wait_queue_head_t *head,
		       poll_table *table)
{
	struct svfio_vq *vq = container_of(table, struct svfio_vq, table);

	vq->head = head;
	add_wait_queue(head, &vq->wait);
}

/**
 * svfio_kick_init() - prepare a queue for kicks
 * @vq: the queue; zeroed memory
 */
void svfio_kick_init(struct svfio_vq *vq)
{
	init_waitqueue_func_entry(&vq->wait, kick_wake);
	init_poll_funcptr(&vq->table, kick_queue);
}

/**
 * svfio_kick_start() - pass kicks on
 * @vq: the queue; nothing happens if it has no eventfd, does not run, or is
 *	listened to already
 *
 * Context: svfio.lock held.
 */
void svfio_kick_start(struct svfio_vq *vq)
{
	unsigned long flags;

	if (!svfio_running(vq->dev) || !vq->enabled || !vq->ready ||
	    !vq->kick || vq->head)
		return;
	if (!(vfs_poll(vq->kick, &vq->table) & EPOLLIN) || !vq->head)
		return;
	/* As kick_wake() would, which counts too. */
	spin_lock_irqsave(&vq->head->lock, flags);
	ring_doorbell(vq);
	spin_unlock_irqrestore(&vq->head->lock, flags);
}

/**
 * svfio_kick_stop() - undo svfio_kick_start()
 * @vq: the queue
 *
 * Context: svfio.lock held.
 */
void svfio_kick_stop(struct svfio_vq *vq)
{
	if (!vq->head)
		return;
	remove_wait_queue(vq->head, &vq->wait);
	vq->head = NULL;
}

/**
 * svfio_kick_set() - VHOST_SET_VRING_KICK
 * @vq: the queue
 * @fd: an eventfd of the caller, or VHOST_FILE_UNBIND
 *
 * Context: svfio.lock held.
 * Return: 0, -EBADF, or -EINVAL when it is not an eventfd.
 */
int svfio_kick_set(struct svfio_vq *vq, int fd)
{
	struct file *file = NULL;

	if (fd != VHOST_FILE_UNBIND) {
		file = eventfd_fget(fd);
		if (IS_ERR(file))
			return PTR_ERR(file);
	}
	svfio_kick_stop(vq);
	if (vq->kick)
		fput(vq->kick);
	vq->kick = file;
	svfio_kick_start(vq);
	return 0;
}

/**
 * svfio_ctx_get() - an eventfd to be written to
 * @fd: an eventfd of the caller, or VHOST_FILE_UNBIND
 *
 * Return: a reference for the caller to put; NULL for VHOST_FILE_UNBIND;
 * ERR_PTR(-EBADF), or ERR_PTR(-EINVAL) when it is not an eventfd.
 */
struct eventfd_ctx *svfio_ctx_get(int fd)
{
	return fd == VHOST_FILE_UNBIND ? NULL : eventfd_ctx_fdget(fd);
}

/**
 * svfio_ctx_set() - replace an eventfd that is written to
 * @ctx: the eventfd, or NULL
 * @fd: an eventfd of the caller, or VHOST_FILE_UNBIND
 *
 * Context: whatever keeps others from @ctx.
 * Return: as svfio_kick_set().
 */
int svfio_ctx_set(struct eventfd_ctx **ctx, int fd)
{
	struct eventfd_ctx *new = svfio_ctx_get(fd);

	if (IS_ERR(new))
		return PTR_ERR(new);
	swap(*ctx, new);
	if (new)
		eventfd_ctx_put(new);
	return 0;
}

static vm_fault_t doorbell_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct svfio *dev = vma->vm_file->private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	mutex_lock(&dev->doorbell_lock);
	if (!dev->revoked)
		ret = vmf_insert_pfn(
			vma, vmf->address & PAGE_MASK,
			PHYS_PFN(dev->vqs[vma->vm_pgoff].notify_pa));
	mutex_unlock(&dev->doorbell_lock);
	return ret;
}

static const struct vm_operations_struct doorbell_ops = {
	.fault = doorbell_fault,
};

/**
 * svfio_doorbell_mmap() - file_operations.mmap: the doorbell of a queue
 * @file: the node
 * @vma: one page, shared, for writing; its offset in pages is the queue
 *
 * Context: mmap_lock held.
 * Return: 0; -EINVAL when it is not that; -EOPNOTSUPP when the doorbell has no
 * page of its own; -ENODEV when the function is gone.
 */
int svfio_doorbell_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct svfio *dev = file->private_data;
	int err = -ENODEV;
	u32 index;

	if (vma->vm_end - vma->vm_start != PAGE_SIZE ||
	    !(vma->vm_flags & VM_SHARED) ||
	    vma->vm_flags & (VM_READ | VM_EXEC) || vma->vm_pgoff >= dev->nr_vqs)
		return -EINVAL;
	index = array_index_nospec(vma->vm_pgoff, dev->nr_vqs);
	if (!dev->vqs[index].own_page)
		return -EOPNOTSUPP;
	mutex_lock(&dev->doorbell_lock);
	if (!dev->revoked) {
		compat_vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND |
						 VM_DONTDUMP);
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
		vma->vm_ops = &doorbell_ops;
		err = 0;
	}
	mutex_unlock(&dev->doorbell_lock);
	return err;
}

/**
 * svfio_doorbell_revoke() - unmap all doorbells, and have none mapped any more
 * @dev: the device
 *
 * Who writes to one after that gets a SIGBUS.
 *
 * Context: svfio.lock held.
 */
void svfio_doorbell_revoke(struct svfio *dev)
{
	mutex_lock(&dev->doorbell_lock);
	dev->revoked = true;
	mutex_unlock(&dev->doorbell_lock);
	if (dev->mapping)
		unmap_mapping_range(dev->mapping, 0, 0, 1);
}
