// SPDX-License-Identifier: GPL-2.0-only
/*
 * queue.c - the virtqueues of a function: their rings, in the function and here
 *
 * What the owner says of a queue is kept until DRIVER_OK, and then written to the
 * function (queue_start()), as VIRTIO 1.2, 4.1.5.1.3 has it: size, addresses,
 * vector, enable. After that a queue can still be enabled; it can be disabled
 * only by a reset of the function.
 *
 * Addresses of rings are IOVAs, and are the function's to use: one that is not
 * mapped is blocked by the IOMMU.
 *
 * A function begins at the start of a ring, and does not say where it is: a queue
 * that has run has no position that could be got, until the owner sets one, which
 * can only be the start.
 */
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "compat.h"
#include "layout.h"
#include "vfio.h"

/* Descriptors that a queue may have: VIRTIO 1.2, 2.7 and 2.8. */
#define QUEUE_MAX 32768

/* VHOST_GET_VRING_BASE of a packed ring: index 0, wrap counter 1, twice. */
#define PACKED_BASE 0x80008000U

static u32 first_base(const struct svfio *dev)
{
	return svfio_has(dev, VIRTIO_F_RING_PACKED) ? PACKED_BASE : 0;
}

/**
 * svfio_queue_forget() - what a queue is after a reset
 * @vq: the queue
 *
 * Context: svfio.lock held, its kick is stopped.
 */
void svfio_queue_forget(struct svfio_vq *vq)
{
	vq->max = vq->most;
	vq->num = vq->max;
	vq->has_addr = false;
	vq->ready = false;
	vq->enabled = false;
}

/* Whether a page of the function's holds one doorbell, and nothing else of its. */
static bool has_own_page(struct svfio_vq *vq)
{
	struct pci_dev *pdev = vq->dev->pdev;
	resource_size_t last = vq->notify_pa + PAGE_SIZE - 1;
	int bar;

	if (!PAGE_ALIGNED(vq->notify_pa) ||
	    !vq->dev->mdev.notify_offset_multiplier ||
	    !PAGE_ALIGNED(vq->dev->mdev.notify_offset_multiplier))
		return false;
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (pci_resource_flags(pdev, bar) & IORESOURCE_MEM &&
		    pci_resource_start(pdev, bar) <= vq->notify_pa &&
		    pci_resource_end(pdev, bar) >= last)
			return !svfio_page_taken(
				pdev, bar,
				vq->notify_pa - pci_resource_start(pdev, bar));
	return false;
}

/*
 * Get the function to tell of all its queues: a network function may have the
 * further pairs, and its control queue behind them, only for who knows of them.
 */
static void ask_for_all(struct svfio *dev)
{
	struct virtio_pci_modern_device *mdev = &dev->mdev;
	const u64 more =
		BIT_ULL(VIRTIO_NET_F_CTRL_VQ) | BIT_ULL(VIRTIO_NET_F_MQ);
	u8 status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	vp_modern_set_status(mdev, status);
	vp_modern_set_features(mdev, BIT_ULL(VIRTIO_F_VERSION_1) |
					     BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) |
					     (dev->offered & more));
	vp_modern_set_status(mdev, status | VIRTIO_CONFIG_S_FEATURES_OK);
	/* Reading has the writes arrive; what it says does not matter. */
	vp_modern_get_status(mdev);
}

/**
 * svfio_queues_probe() - find out what queues the function has
 * @dev: the device, reset, and to be reset afterwards
 *
 * Return: 0; -EINVAL: none, too many, or doorbells that are nowhere; -ENOMEM.
 */
int svfio_queues_probe(struct svfio *dev)
{
	u32 i, nr;

	if (dev->mdev.id.device == VIRTIO_ID_NET)
		ask_for_all(dev);
	nr = vp_modern_get_num_queues(&dev->mdev);
	if (!nr || nr > SVFIO_VQS_MAX)
		return -EINVAL;
	dev->vqs = kvcalloc(nr, sizeof(*dev->vqs), GFP_KERNEL);
	if (!dev->vqs)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		struct svfio_vq *vq = &dev->vqs[i];

		vq->dev = dev;
		vq->index = i;
		svfio_kick_init(vq);
		svfio_call_init(&vq->call);
		dev->nr_vqs = i + 1;

		vq->most = vp_modern_get_queue_size(&dev->mdev, i);
		if (vq->most > QUEUE_MAX)
			goto invalid;
		svfio_queue_forget(vq);
		if (!vq->max)
			continue;
		vq->notify =
			vp_modern_map_vq_notify(&dev->mdev, i, &vq->notify_pa);
		if (!vq->notify)
			goto invalid;
		vq->own_page = has_own_page(vq);
	}
	return 0;
invalid:
	svfio_queues_remove(dev);
	return -EINVAL;
}

/**
 * svfio_queues_negotiated() - which queues there are depends on the features
 * @dev: the device, which has just got FEATURES_OK
 *
 * Context: svfio.lock held.
 */
void svfio_queues_negotiated(struct svfio *dev)
{
	const u32 nr = vp_modern_get_num_queues(&dev->mdev);
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++) {
		struct svfio_vq *vq = &dev->vqs[i];
		u16 max = 0;

		if (i < nr && vq->notify)
			max = vp_modern_get_queue_size(&dev->mdev, i);
		vq->max = max > QUEUE_MAX ? 0 : max;
		if (vq->num > vq->max || !vq->num)
			vq->num = vq->max;
	}
}

/**
 * svfio_queues_remove() - undo svfio_queues_probe()
 * @dev: the device, disowned; its queues stay in memory until it goes
 */
void svfio_queues_remove(struct svfio *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++) {
		struct svfio_vq *vq = &dev->vqs[i];

		/* Else they are all in one mapping, which is the library's. */
		if (vq->notify && dev->mdev.notify_map_cap)
			pci_iounmap(dev->mdev.pci_dev, vq->notify);
		vq->notify = NULL;
	}
}

/* Whether a queue that is ready can be enabled. */
static int queue_check(struct svfio *dev, const struct svfio_vq *vq)
{
	if (!vq->has_addr || !vq->max)
		return -EINVAL;
	if (!svfio_has(dev, VIRTIO_F_RING_PACKED) && !is_power_of_2(vq->num))
		return -EINVAL;
	return 0;
}

/* Its vector was set with those of all others. */
static void queue_start(struct svfio *dev, struct svfio_vq *vq)
{
	struct virtio_pci_modern_device *mdev = &dev->mdev;

	vp_modern_set_queue_size(mdev, vq->index, vq->num);
	vp_modern_queue_address(mdev, vq->index, vq->desc, vq->driver,
				vq->device);
	/* An interrupt that comes at once is for it. */
	vq->enabled = true;
	vq->has_run = true;
	vp_modern_set_queue_enable(mdev, vq->index, true);
}

/* Ready, and there: VMMs also enable queues that the guest did not set up. */
static bool queue_starts(const struct svfio_vq *vq)
{
	return vq->ready && vq->has_addr && vq->max;
}

/**
 * svfio_queues_check() - whether all queues that are ready can be enabled
 * @dev: the device, before DRIVER_OK
 *
 * One that was not described, or that the features left out, is passed over.
 *
 * Context: svfio.lock held.
 * Return: 0, or -EINVAL for a size that is none.
 */
int svfio_queues_check(struct svfio *dev)
{
	int err;
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++) {
		err = queue_starts(&dev->vqs[i]) ?
			      queue_check(dev, &dev->vqs[i]) :
			      0;
		if (err)
			return err;
	}
	return 0;
}

/**
 * svfio_queues_start() - set up and enable all queues that are ready
 * @dev: the device, with interrupts, before DRIVER_OK, after svfio_queues_check()
 *
 * Context: svfio.lock held.
 */
void svfio_queues_start(struct svfio *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++)
		if (queue_starts(&dev->vqs[i]))
			queue_start(dev, &dev->vqs[i]);
}

/**
 * svfio_queues_listen() - pass kicks on from now on
 * @dev: the device, with DRIVER_OK
 *
 * Context: svfio.lock held.
 */
void svfio_queues_listen(struct svfio *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++)
		svfio_kick_start(&dev->vqs[i]);
}

/**
 * svfio_queues_silence() - undo svfio_queues_listen()
 * @dev: the device
 *
 * Context: svfio.lock held. No doorbell is written by a kick any more.
 */
void svfio_queues_silence(struct svfio *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++)
		svfio_kick_stop(&dev->vqs[i]);
}

/**
 * svfio_queues_release() - let go of all eventfds
 * @dev: the device, silenced, without interrupts
 * @lost: signal the error eventfds before
 *
 * Context: svfio.lock held.
 */
void svfio_queues_release(struct svfio *dev, bool lost)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++) {
		struct svfio_vq *vq = &dev->vqs[i];

		if (lost && vq->err)
			compat_eventfd_signal(vq->err);
		svfio_kick_set(vq, VHOST_FILE_UNBIND);
		svfio_call_set(&vq->call, VHOST_FILE_UNBIND);
		svfio_ctx_set(&vq->err, VHOST_FILE_UNBIND);
		vq->has_run = false;
	}
	svfio_call_set(&dev->config, VHOST_FILE_UNBIND);
}

/**
 * svfio_queues_num() - a number of descriptors that every queue can have
 * @dev: the device
 */
u16 svfio_queues_num(const struct svfio *dev)
{
	u16 num = 0;
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++)
		if (dev->vqs[i].max && (!num || dev->vqs[i].max < num))
			num = dev->vqs[i].max;
	return num;
}

/**
 * svfio_vq_get_size() - VHOST_VDPA_GET_VRING_SIZE: the most descriptors
 * @dev: the device
 * @vq: the queue
 * @arg: struct vhost_vring_state
 *
 * Context: svfio.lock held.
 * Return: 0.
 */
int svfio_vq_get_size(struct svfio *dev, struct svfio_vq *vq,
		      union svfio_arg *arg)
{
	arg->state.num = vq->max;
	return 0;
}

/**
 * svfio_vq_set_num() - VHOST_SET_VRING_NUM
 * @dev: the device
 * @vq: the queue
 * @arg: struct vhost_vring_state
 *
 * Context: svfio.lock held.
 * Return: 0; -EINVAL for 0 and more than the queue can have, and for what is no
 * power of two unless VIRTIO_F_RING_PACKED was set; -EBUSY for one that runs.
 */
int svfio_vq_set_num(struct svfio *dev, struct svfio_vq *vq,
		     union svfio_arg *arg)
{
	const u32 num = arg->state.num;

	if (vq->enabled)
		return -EBUSY;
	if (!num || num > vq->max ||
	    (!svfio_has(dev, VIRTIO_F_RING_PACKED) && !is_power_of_2(num)))
		return -EINVAL;
	vq->num = num;
	return 0;
}

/**
 * svfio_vq_set_addr() - VHOST_SET_VRING_ADDR
 * @dev: the device
 * @vq: the queue
 * @arg: struct vhost_vring_addr, of IOVAs
 *
 * Context: svfio.lock held.
 * Return: 0; -EINVAL when not aligned as VIRTIO 1.2, 2.7 and 2.8 want it;
 * -EOPNOTSUPP for flags: nothing can be logged; -EBUSY for one that runs.
 */
int svfio_vq_set_addr(struct svfio *dev, struct svfio_vq *vq,
		      union svfio_arg *arg)
{
	const struct vhost_vring_addr *addr = &arg->addr;

	if (vq->enabled)
		return -EBUSY;
	if (addr->flags)
		return -EOPNOTSUPP;
	/* Packed rings want 4 of the second, and any allocator gives it. */
	if (!IS_ALIGNED(addr->desc_user_addr, VRING_DESC_ALIGN_SIZE) ||
	    !IS_ALIGNED(addr->avail_user_addr, VRING_AVAIL_ALIGN_SIZE) ||
	    !IS_ALIGNED(addr->used_user_addr, VRING_USED_ALIGN_SIZE))
		return -EINVAL;
	vq->desc = addr->desc_user_addr;
	vq->driver = addr->avail_user_addr;
	vq->device = addr->used_user_addr;
	vq->has_addr = true;
	return 0;
}

/**
 * svfio_vq_set_base() - VHOST_SET_VRING_BASE
 * @dev: the device, whose features are known
 * @vq: the queue
 * @arg: struct vhost_vring_state: split, the next available index; packed, two
 *	indices with their wrap counters, the second of which may be left 0
 *
 * Context: svfio.lock held.
 * Return: 0; -EOPNOTSUPP for what is not the start of the ring: a virtio PCI
 * function cannot go on from elsewhere; -EBUSY for one that runs.
 */
int svfio_vq_set_base(struct svfio *dev, struct svfio_vq *vq,
		      union svfio_arg *arg)
{
	const u32 first = first_base(dev);
	const u32 base = arg->state.num;

	if (vq->enabled)
		return -EBUSY;
	if (base != first && base != (first & 0xffff))
		return -EOPNOTSUPP;
	vq->has_run = false;
	return 0;
}

/**
 * svfio_vq_get_base() - VHOST_GET_VRING_BASE
 * @dev: the device, whose features are known
 * @vq: the queue
 * @arg: struct vhost_vring_state
 *
 * Context: svfio.lock held.
 * Return: 0; -EOPNOTSUPP for a queue that has run since its base was set, also
 * after a reset of the device: where it got to is in the ring alone.
 */
int svfio_vq_get_base(struct svfio *dev, struct svfio_vq *vq,
		      union svfio_arg *arg)
{
	if (vq->has_run)
		return -EOPNOTSUPP;
	arg->state.num = first_base(dev);
	return 0;
}

/**
 * svfio_vq_set_enable() - VHOST_VDPA_SET_VRING_ENABLE
 * @dev: the device
 * @vq: the queue
 * @arg: struct vhost_vring_state, of which num is 0 or not 0
 *
 * Before DRIVER_OK it is kept; after it, a queue is enabled at once. A function
 * cannot disable one that runs but by a reset: it is no longer kicked, and goes on
 * with what it knows of. VMMs disable all queues before they reset the device, and
 * would not reset it after an error. Where the control queue is ours, a network
 * function is told how many pairs are enabled then.
 *
 * Context: svfio.lock held.
 * Return: 0, also for what is so already; -EINVAL for a queue that the function
 * does not have, or was not described; -EBUSY for a control queue that is ours;
 * or as svfio_ctrl_pairs(), where the queue is enabled all the same. To disable one
 * does not fail for what a function answers.
 */
int svfio_vq_set_enable(struct svfio *dev, struct svfio_vq *vq,
			union svfio_arg *arg)
{
	const bool ready = arg->state.num;
	int err;

	if (svfio_ctrl_has(vq))
		return ready ? -EBUSY : 0;
	if (!vq->max)
		return ready == vq->ready ? 0 : -EINVAL;
	if (vq->enabled && ready) {
		vq->ready = true;
		svfio_kick_start(vq);
	} else if (vq->enabled) {
		svfio_kick_stop(vq);
	} else if (ready && svfio_running(dev)) {
		err = queue_check(dev, vq);
		if (err)
			return err;
		queue_start(dev, vq);
		vq->ready = true;
		svfio_kick_start(vq);
	}
	vq->ready = ready;
	err = svfio_ctrl_pairs(dev);
	return ready ? err : 0;
}
