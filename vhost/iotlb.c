// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotlb.c - the device IOTLB of VIRTIO_F_ACCESS_PLATFORM
 *
 * DOC: Theory of Operation
 *
 * Purpose: where the guest has an IOMMU, what is in its rings are IOVAs, and
 * only the VMM knows what they mean. It tells by messages written to the device
 * (VHOST_IOTLB_UPDATE, VHOST_IOTLB_INVALIDATE); what is missing is asked for by
 * messages that it reads (VHOST_IOTLB_MISS). Both formats of <linux/vhost.h>
 * are understood: vhost_msg, and vhost_msg_v2 where the VMM acknowledged
 * VHOST_BACKEND_F_IOTLB_MSG_V2.
 *
 * A queue that misses stops at once: so it has one miss outstanding at the
 * most, and the miss is part of the queue. Nothing is allocated for it. The
 * worker sleeps until an update covers the address; a kick or a frame in the
 * meantime has it ask once more, and sleep again.
 *
 * An invalidation is done when the write returns: the range is out of the tree,
 * and each queue has been between two passes since.
 *
 * The number of entries is bounded (max_iotlb_entries); the oldest makes room.
 */
#include <linux/module.h>
#include <linux/uaccess.h>

#include "shunt.h"

static unsigned int max_iotlb_entries = 2048;
module_param(max_iotlb_entries, uint, 0444);
MODULE_PARM_DESC(max_iotlb_entries,
		 "Most entries of a device IOTLB (default 2048)");

/**
 * shunt_iotlb_enable() - VIRTIO_F_ACCESS_PLATFORM was negotiated
 * @dev: the device
 *
 * Context: @dev->mutex held.
 * Return: 0 or -ENOMEM.
 */
int shunt_iotlb_enable(struct shunt_dev *dev)
{
	if (!dev->iotlb)
		dev->iotlb = vhost_iotlb_alloc(max(max_iotlb_entries, 2u),
					       VHOST_IOTLB_FLAG_RETIRE);
	return dev->iotlb ? 0 : -ENOMEM;
}

/**
 * shunt_iotlb_find() - look an IOVA up, for @vq->hit
 * @vq: the queue that wants it
 * @addr: the IOVA
 * @access: VHOST_ACCESS_*, for the message to the VMM
 *
 * Context: @vq->mutex held. Does not sleep.
 * Return: 0; or -EAGAIN: the VMM has been asked, and @vq will be woken.
 */
int shunt_iotlb_find(struct shunt_vq *vq, u64 addr, u32 access)
{
	struct shunt_dev *dev = vq->dev;
	const struct vhost_iotlb_map *map;

	spin_lock(&dev->lock);
	map = vhost_iotlb_itree_first(vq->iotlb, addr, addr);
	if (map) {
		shunt_vq_hit(vq, map);
	} else {
		vq->miss = SHUNT_MISS_QUEUED;
		vq->miss_iova = addr;
		vq->miss_access = access;
	}
	spin_unlock(&dev->lock);
	if (map)
		return 0;
	wake_up_interruptible_poll(&dev->miss_wait, EPOLLIN | EPOLLRDNORM);
	return -EAGAIN;
}

/* Whether a ring's part lies in a range of IOVAs. */
static bool ring_overlaps(const struct shunt_vq *vq, u64 start, u64 last)
{
	u32 part;

	for (part = 0; part < RING_PARTS; part++) {
		u64 addr = vq->area[part].addr;
		u32 size = ring_part_size(&vq->ring, part, vq->num);

		if (addr <= last && addr + (size - 1) >= start)
			return true;
	}
	return false;
}

/* A range is out of the tree: see that no queue uses it any more. */
static void forget(struct shunt_dev *dev, u64 start, u64 last)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++) {
		struct shunt_vq *vq = dev->vqs[i];

		/* Who is killed here gives up the device, and this with it. */
		bool paused = !shunt_vq_pause(vq);

		shunt_vq_lock(vq);
		vq->hit.perm = 0;
		if (vq->mapped && !vq->in_flight &&
		    ring_overlaps(vq, start, last))
			shunt_mem_unmap_ring(vq);
		shunt_vq_unlock(vq);
		if (paused)
			shunt_vq_resume(vq);
	}
}

/**
 * shunt_iotlb_forget() - drop all translations and all misses
 * @dev: the device
 *
 * Context: @dev->mutex held.
 */
void shunt_iotlb_forget(struct shunt_dev *dev)
{
	u32 i;

	spin_lock(&dev->lock);
	if (dev->iotlb)
		vhost_iotlb_reset(dev->iotlb);
	for (i = 0; i < dev->nr_vqs; i++)
		dev->vqs[i]->miss = SHUNT_MISS_NONE;
	spin_unlock(&dev->lock);
	forget(dev, 0, U64_MAX);
}

static int update(struct shunt_dev *dev, const struct vhost_iotlb_msg *msg)
{
	u64 last = msg->iova + msg->size - 1;
	bool replaced;
	u32 i;
	int err;

	if (!(msg->perm & VHOST_ACCESS_RW) || msg->perm & ~VHOST_ACCESS_RW)
		return -EINVAL;
	if (!access_ok(u64_to_user_ptr(msg->uaddr), msg->size))
		return -EFAULT;

	/* What was there before is gone, and so is no contradiction. */
	spin_lock(&dev->lock);
	replaced = vhost_iotlb_itree_first(dev->iotlb, msg->iova, last);
	if (replaced)
		vhost_iotlb_del_range(dev->iotlb, msg->iova, last);
	err = vhost_iotlb_add_range(dev->iotlb, msg->iova, last, msg->uaddr,
				    msg->perm);
	spin_unlock(&dev->lock);
	if (replaced)
		forget(dev, msg->iova, last);
	if (err)
		return err;

	for (i = 0; i < dev->nr_vqs; i++) {
		struct shunt_vq *vq = dev->vqs[i];
		bool answered;

		spin_lock(&dev->lock);
		answered = vq->miss != SHUNT_MISS_NONE &&
			   vq->miss_iova >= msg->iova && vq->miss_iova <= last;
		if (answered)
			vq->miss = SHUNT_MISS_NONE;
		spin_unlock(&dev->lock);
		if (answered)
			shunt_worker_wake(vq);
	}
	return 0;
}

static int invalidate(struct shunt_dev *dev, const struct vhost_iotlb_msg *msg)
{
	u64 last = msg->iova + msg->size - 1;

	spin_lock(&dev->lock);
	vhost_iotlb_del_range(dev->iotlb, msg->iova, last);
	spin_unlock(&dev->lock);
	forget(dev, msg->iova, last);
	return 0;
}

/**
 * shunt_dev_write_iter() - take a message from the VMM
 * @dev: the device
 * @from: struct vhost_msg or struct vhost_msg_v2, told apart by its type
 *
 * Context: process context, the caller is the owner.
 * Return: the size of the message; -EINVAL for one that is cut short, of
 * another type, for another address space than 0, with an empty range or one
 * that wraps around; -EFAULT without VIRTIO_F_ACCESS_PLATFORM, or for memory
 * that is not the owner's; -EPERM when the caller is not the owner; -ENOMEM;
 * -EINTR when the caller is killed.
 */
ssize_t shunt_dev_write_iter(struct shunt_dev *dev, struct iov_iter *from)
{
	size_t size = iov_iter_count(from);
	union {
		u32 type;
		struct vhost_msg v1;
		struct vhost_msg_v2 v2;
	} msg = {};
	struct vhost_iotlb_msg *iotlb;
	ssize_t err;

	if (size < sizeof(msg.v1))
		return -EINVAL;
	size = min(size, sizeof(msg));
	if (!copy_from_iter_full(&msg, size, from))
		return -EFAULT;
	switch (msg.type) {
	case VHOST_IOTLB_MSG:
		iotlb = &msg.v1.iotlb;
		size = sizeof(msg.v1);
		break;
	case VHOST_IOTLB_MSG_V2:
		if (size < sizeof(msg.v2) || msg.v2.asid)
			return -EINVAL;
		iotlb = &msg.v2.iotlb;
		break;
	default:
		return -EINVAL;
	}
	if (!iotlb->size || iotlb->iova + iotlb->size - 1 < iotlb->iova)
		return -EINVAL;

	if (mutex_lock_killable(&dev->mutex))
		return -EINTR;
	err = shunt_dev_check_owner(dev);
	if (err)
		goto unlock;
	err = -EFAULT;
	if (!(dev->features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)))
		goto unlock;
	switch (iotlb->type) {
	case VHOST_IOTLB_UPDATE:
		err = update(dev, iotlb);
		break;
	case VHOST_IOTLB_INVALIDATE:
		err = invalidate(dev, iotlb);
		break;
	default:
		err = -EINVAL;
	}
unlock:
	mutex_unlock(&dev->mutex);
	return err ? err : size;
}

/* Whether there is a miss to be read; takes the first one if @msg is there. */
static bool next_miss(struct shunt_dev *dev, struct vhost_iotlb_msg *msg)
{
	const u32 nr_vqs = smp_load_acquire(&dev->nr_vqs);
	bool found = false;
	u32 i;

	spin_lock(&dev->lock);
	for (i = 0; i < nr_vqs && !found; i++) {
		struct shunt_vq *vq = dev->vqs[i];

		found = vq->miss == SHUNT_MISS_QUEUED;
		if (found && msg) {
			msg->iova = vq->miss_iova;
			msg->perm = vq->miss_access;
			msg->type = VHOST_IOTLB_MISS;
			vq->miss = SHUNT_MISS_SENT;
		}
	}
	spin_unlock(&dev->lock);
	return found;
}

/**
 * shunt_dev_read_iter() - give the VMM a message
 * @dev: the device
 * @to: room for a struct vhost_msg, or vhost_msg_v2 where acknowledged
 * @nonblock: do not wait for one
 *
 * Context: process context; sleeps, interruptibly, unless @nonblock.
 * Return: the size of the message, 0 when there is not room for one, -EAGAIN
 * when there is none, -EBADFD without VIRTIO_F_ACCESS_PLATFORM, -ERESTARTSYS, or
 * -EFAULT (the message is then lost to the reader, not to the queue: it is sent
 * again).
 */
ssize_t shunt_dev_read_iter(struct shunt_dev *dev, struct iov_iter *to,
			    bool nonblock)
{
	union {
		struct vhost_msg v1;
		struct vhost_msg_v2 v2;
	} msg = {}; /* no stale byte leaves the kernel */
	struct vhost_iotlb_msg *iotlb = &msg.v1.iotlb;
	size_t size = sizeof(msg.v1);

	if (dev->backend_features & BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2)) {
		msg.v2.type = VHOST_IOTLB_MSG_V2;
		iotlb = &msg.v2.iotlb;
		size = sizeof(msg.v2);
	} else {
		msg.v1.type = VHOST_IOTLB_MSG;
	}
	if (iov_iter_count(to) < size)
		return 0;

	while (!next_miss(dev, iotlb)) {
		int err;

		if (nonblock)
			return -EAGAIN;
		/* There never will be one. */
		if (!(READ_ONCE(dev->features) &
		      BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)))
			return -EBADFD;
		err = wait_event_interruptible(dev->miss_wait,
					       next_miss(dev, NULL));
		if (err)
			return err;
	}
	if (copy_to_iter(&msg, size, to) == size)
		return size;

	/* Not delivered: put it back, unless it was answered meanwhile. */
	spin_lock(&dev->lock);
	for (u32 i = 0; i < dev->nr_vqs; i++) {
		struct shunt_vq *vq = dev->vqs[i];

		if (vq->miss == SHUNT_MISS_SENT && vq->miss_iova == iotlb->iova)
			vq->miss = SHUNT_MISS_QUEUED;
	}
	spin_unlock(&dev->lock);
	return -EFAULT;
}

/**
 * shunt_dev_poll() - poll method: readable while a miss waits
 * @dev: the device
 * @file: its file
 * @wait: as in poll methods
 *
 * Return: EPOLL* events.
 */
__poll_t shunt_dev_poll(struct shunt_dev *dev, struct file *file,
			poll_table *wait)
{
	poll_wait(file, &dev->miss_wait, wait);
	return next_miss(dev, NULL) ? EPOLLIN | EPOLLRDNORM : 0;
}
