// SPDX-License-Identifier: GPL-2.0-only
/*
 * ctrl.c - the control queue of a network function, for owners that have none
 *
 * DOC: Theory of Operation
 *
 * A front end of vhost-user answers the guest's control queue by itself, and only
 * says which queues are enabled. A function begins with one pair, and uses more
 * only when it is told so in its control queue (VIRTIO 1.2, 5.1.6.5.5). So when at
 * DRIVER_OK an owner has negotiated VIRTIO_NET_F_CTRL_VQ and not described that
 * queue, it is ours until the next reset, and the function is told by it
 *   - how many pairs are enabled: with VIRTIO_NET_F_MQ, when more than one is, and
 *	whenever that changes. Those count that are enabled from the first one on,
 *	both queues of each; without the first one nothing is said, as a VMM that is
 *	about to reset the device disables one queue after the other;
 *   - the MAC address that the owner writes to the configuration, with
 *	VIRTIO_NET_F_CTRL_MAC_ADDR.
 * A queue that was described is the owner's, also if it is enabled only later.
 *
 * Ring and command are in one page of ours, which is mapped at an IOVA that the
 * owner cannot map (svfio_dma.kept), from DRIVER_OK until the function was reset.
 * There is one command at a time (ctrl_ring.c). The function is always notified,
 * whatever it wants by VIRTIO_F_EVENT_IDX, and sends no interrupt, since the queue
 * has no vector: we look at the ring until it has answered.
 *
 * Trust: the function writes into that page when and what it likes, and a guest may
 * have it do so, by naming the page's address in a descriptor. So nothing else is
 * in the page, what we have to know is not kept in it, and what is read is
 * compared with the only thing that it may be. A function that does not answer in
 * time, or nonsense, gets no command any more until it is reset, which is how its
 * owner goes on; if it does not even do that, quarantine follows from there.
 */
#include <linux/delay.h>
#include <linux/if_ether.h>
#include <linux/log2.h>
#include <linux/sched/signal.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include "compat.h"
#include "vfio.h"

/* How long a command may take, as a reset. */
#define CTRL_MS 5000

static_assert(sizeof(struct svfio_ctrl_page) <= PAGE_SIZE);
static_assert(SVFIO_CTRL_DATA >= ETH_ALEN);

/**
 * svfio_ctrl_possible() - whether a function may have a control queue of ours
 * @dev: the device, whose features are known
 */
bool svfio_ctrl_possible(const struct svfio *dev)
{
	return dev->mdev.id.device == VIRTIO_ID_NET &&
	       dev->offered & BIT_ULL(VIRTIO_NET_F_CTRL_VQ);
}

/* The control queue, behind all pairs (VIRTIO 1.2, 5.1.2); NULL: it is nowhere. */
static struct svfio_vq *find(struct svfio *dev)
{
	const u32 where =
		offsetof(struct virtio_net_config, max_virtqueue_pairs);
	__le16 pairs = cpu_to_le16(1);
	u32 index;

	if (svfio_has(dev, VIRTIO_NET_F_MQ) ||
	    svfio_has(dev, VIRTIO_NET_F_RSS)) {
		if (where + sizeof(pairs) > dev->config_len ||
		    svfio_config_read(dev, where, (u8 *)&pairs, sizeof(pairs)))
			return NULL;
	}
	index = 2 * le16_to_cpu(pairs);
	return index && index < dev->nr_vqs ? &dev->vqs[index] : NULL;
}

/**
 * svfio_ctrl_take() - have the control queue if the owner does not
 * @dev: the device, with interrupts, before svfio_queues_start(), which starts it
 *
 * What the owner said of a queue that it has not described is forgotten by that.
 *
 * Context: svfio.lock held. To be undone by svfio_ctrl_release().
 * Return: 0, also when there is nothing to take; -ENOMEM, or what the IOMMU's
 * driver returns: nothing was done then.
 */
int svfio_ctrl_take(struct svfio *dev)
{
	struct svfio_ctrl *ctrl = &dev->ctrl;
	const u64 iova = dev->dma.kept;
	struct svfio_vq *vq;
	unsigned long page;
	int err;

	if (!svfio_ctrl_possible(dev) || !svfio_has(dev, VIRTIO_NET_F_CTRL_VQ))
		return 0;
	vq = find(dev);
	if (vq && vq->has_addr)
		return 0;
	if (!vq || vq->max < SVFIO_CTRL_DESCS + 1) {
		dev_warn_ratelimited(
			&dev->pdev->dev,
			"its control queue is not where it should be\n");
		return 0;
	}
	page = get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!page)
		return -ENOMEM;
	err = compat_iommu_map(dev->dma.domain, iova,
			       virt_to_phys((void *)page), PAGE_SIZE,
			       IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE);
	if (err) {
		free_page(page);
		return err;
	}
	vq->num = min_t(u16, SVFIO_CTRL_NUM, rounddown_pow_of_two(vq->max));
	vq->desc = iova + offsetof(struct svfio_ctrl_page, split);
	vq->driver = iova + offsetof(struct svfio_ctrl_page, avail);
	vq->device = iova + offsetof(struct svfio_ctrl_page, used);
	vq->has_addr = true;
	vq->ready = true;
	ctrl->ring = (struct svfio_ctrl_ring){
		.page = (void *)page,
		.iova = iova,
		.num = vq->num,
		.is_packed = svfio_has(dev, VIRTIO_F_RING_PACKED),
	};
	svfio_ctrl_ring_init(&ctrl->ring,
			     svfio_has(dev, VIRTIO_RING_F_EVENT_IDX));
	ctrl->broken = false;
	ctrl->pairs = 1;
	ctrl->vq = vq;
	vp_modern_queue_vector(&dev->mdev, vq->index, VIRTIO_MSI_NO_VECTOR);
	return 0;
}

/**
 * svfio_ctrl_release() - undo svfio_ctrl_take()
 * @dev: the device, which was reset, or is about to lose its domain; then
 *	svfio_queue_forget() has the rest of the queue
 *
 * Context: svfio.lock held. When this returns the function does not reach the
 * page any more, which is then freed.
 */
void svfio_ctrl_release(struct svfio *dev)
{
	struct svfio_ctrl *ctrl = &dev->ctrl;

	if (!ctrl->vq)
		return;
	iommu_unmap(dev->dma.domain, dev->dma.kept, PAGE_SIZE);
	free_page((unsigned long)ctrl->ring.page);
	ctrl->ring.page = NULL;
	ctrl->vq->has_run = false;
	ctrl->vq = NULL;
}

/* No more of them until the reset. */
static int give_up(struct svfio *dev, int err, const char *why)
{
	dev->ctrl.broken = true;
	dev_err_ratelimited(&dev->pdev->dev, "its control queue %s\n", why);
	return err;
}

/* Send a command, and wait until it was used. */
static int command(struct svfio *dev, u8 class, u8 cmd, const void *data,
		   u32 len)
{
	const unsigned long end = jiffies + msecs_to_jiffies(CTRL_MS);
	struct svfio_ctrl *ctrl = &dev->ctrl;
	bool late;

	svfio_ctrl_ring_add(&ctrl->ring, class, cmd, data, len);
	vp_iowrite16(ctrl->vq->index, ctrl->vq->notify);
	for (;;) {
		/* Before the look, so that there is one at the end. */
		late = time_after(jiffies, end);
		switch (svfio_ctrl_ring_get(&ctrl->ring)) {
		case SVFIO_CTRL_OK:
			return 0;
		case SVFIO_CTRL_REFUSED:
			return -EIO;
		case SVFIO_CTRL_NONSENSE:
			return give_up(dev, -EIO, "answers nonsense");
		case SVFIO_CTRL_NONE:
			break;
		}
		if (late)
			return give_up(dev, -ETIMEDOUT, "does not answer");
		if (fatal_signal_pending(current))
			return give_up(dev, -EINTR,
				       "was left when its owner ended");
		/* Read from a function that was removed all bits are set. */
		if (vp_modern_get_status(&dev->mdev) == 0xff)
			return give_up(dev, -EIO, "is gone");
		usleep_range(50, 200);
	}
}

/* Whether commands can be sent: 1; 0: the queue is not ours, or not yet; -EIO. */
static int usable(const struct svfio *dev)
{
	if (!dev->ctrl.vq || !svfio_running(dev))
		return 0;
	return dev->ctrl.broken ? -EIO : 1;
}

/* Pairs that are enabled, from the first one on. */
static u16 enabled_pairs(const struct svfio *dev)
{
	u32 i;

	for (i = 0; i < dev->ctrl.vq->index; i++)
		if (!dev->vqs[i].ready || !dev->vqs[i].enabled)
			break;
	return i / 2;
}

/**
 * svfio_ctrl_pairs() - tell the function how many pairs are enabled
 * @dev: the device, one of whose queues was enabled, or is not to be used any more
 *
 * Nothing is said if the queue is not ours, without VIRTIO_NET_F_MQ, if that many
 * are what the function was told, or if the first pair is not enabled.
 *
 * Context: svfio.lock held; sleeps, for CTRL_MS at most.
 * Return: 0; -ETIMEDOUT: the function does not answer; -EIO: it refuses that, or
 * answers nonsense, or did not answer before, or is gone; -EINTR: the owner is
 * killed meanwhile. The log says which.
 */
int svfio_ctrl_pairs(struct svfio *dev)
{
	__le16 data;
	u16 pairs;
	int err;

	if (!dev->ctrl.vq || !svfio_running(dev) ||
	    !svfio_has(dev, VIRTIO_NET_F_MQ))
		return 0;
	pairs = enabled_pairs(dev);
	if (!pairs || pairs == dev->ctrl.pairs)
		return 0;
	if (dev->ctrl.broken)
		return -EIO;
	data = cpu_to_le16(pairs);
	err = command(dev, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
		      &data, sizeof(data));
	if (!err)
		dev->ctrl.pairs = pairs;
	else if (!dev->ctrl.broken)
		dev_err_ratelimited(&dev->pdev->dev,
				    "it refuses %u queue pairs\n", pairs);
	return err;
}

static int send_mac(struct svfio *dev, const u8 *mac)
{
	int err = command(dev, VIRTIO_NET_CTRL_MAC,
			  VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, ETH_ALEN);

	if (err && !dev->ctrl.broken)
		dev_err_ratelimited(&dev->pdev->dev,
				    "it refuses the MAC address %pM\n", mac);
	return err;
}

/**
 * svfio_ctrl_mac() - the owner writes to the configuration, perhaps a MAC address
 * @dev: the device
 * @off: of the first byte
 * @buf: what
 * @len: in bytes, the end within dev->config_len
 *
 * Bytes of the address that are not written stay as they are. Before DRIVER_OK it
 * is kept, and sent then (svfio_ctrl_begin()).
 *
 * Context: svfio.lock held; sleeps, for CTRL_MS at most.
 * Return: how many bytes of the configuration, from its start, are not to be
 * written to the function's registers any more; or as svfio_ctrl_pairs().
 */
int svfio_ctrl_mac(struct svfio *dev, u32 off, const u8 *buf, u32 len)
{
	struct svfio_ctrl *ctrl = &dev->ctrl;
	u8 mac[ETH_ALEN];
	int err;

	/* It is what a configuration begins with: VIRTIO 1.2, 5.1.4. */
	if (!svfio_ctrl_possible(dev) || off >= ETH_ALEN ||
	    dev->config_len < ETH_ALEN)
		return 0;
	if (svfio_running(dev)) {
		if (!svfio_has(dev, VIRTIO_NET_F_CTRL_MAC_ADDR))
			return 0;
		err = usable(dev);
		if (err <= 0)
			return err;
	}
	if (ctrl->has_mac) {
		memcpy(mac, ctrl->mac, ETH_ALEN);
	} else {
		err = svfio_config_read(dev, 0, mac, ETH_ALEN);
		if (err)
			return err;
	}
	memcpy(mac + off, buf, min_t(u32, len, ETH_ALEN - off));
	if (svfio_running(dev)) {
		err = send_mac(dev, mac);
		if (err)
			return err;
	}
	memcpy(ctrl->mac, mac, ETH_ALEN);
	ctrl->has_mac = true;
	return svfio_running(dev) ? ETH_ALEN : 0;
}

/**
 * svfio_ctrl_begin() - tell the function what the owner wanted before DRIVER_OK
 * @dev: the device, with DRIVER_OK
 *
 * Context: svfio.lock held; sleeps, for CTRL_MS at most.
 * Return: as svfio_ctrl_pairs().
 */
int svfio_ctrl_begin(struct svfio *dev)
{
	int err = 0;

	if (usable(dev) > 0 && dev->ctrl.has_mac &&
	    svfio_has(dev, VIRTIO_NET_F_CTRL_MAC_ADDR))
		err = send_mac(dev, dev->ctrl.mac);
	return err ?: svfio_ctrl_pairs(dev);
}

/**
 * svfio_ctrl_show() - lines of fdinfo
 * @m: where to
 * @dev: the device, in whatever state
 *
 * Context: takes no lock.
 */
void svfio_ctrl_show(struct seq_file *m, const struct svfio *dev)
{
	const bool ours = READ_ONCE(dev->ctrl.vq);
	const char *who = "none";

	if (!svfio_ctrl_possible(dev))
		return;
	if (ours)
		who = "module";
	else if (svfio_running(dev) && svfio_has(dev, VIRTIO_NET_F_CTRL_VQ))
		who = "owner";
	seq_printf(m, "shunt-control:\t%s\n", who);
	if (ours)
		seq_printf(m, "shunt-pairs:\t%u\n", READ_ONCE(dev->ctrl.pairs));
}
