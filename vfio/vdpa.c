// SPDX-License-Identifier: GPL-2.0-only
/*
 * vdpa.c - the device of vhost-vdpa: its ioctls, status, features, configuration
 *
 * DOC: Theory of Operation
 *
 * The device status (VIRTIO 1.2, 2.1 and 3.1) is the function's: what the owner
 * sets is written to it, what it gets is read from it. The owner can only add
 * bits, or reset by 0. Three of them have consequences:
 *   FEATURES_OK: the features go to the function, which may decline them: the
 *	bit is then not there when it is read back;
 *   DRIVER_OK: queues that are ready are set up and enabled, interrupts are
 *	allocated, kicks waited for (queue.c, irq.c, notify.c), and the control
 *	queue of a network function is taken if the owner has none (ctrl.c);
 *   0: the reverse; rings, features and readiness are forgotten, mappings and
 *	eventfds stay.
 * Before DRIVER_OK the function knows nothing of its queues: so they can be
 * changed in any order, and an owner that gives up leaves nothing behind.
 *
 * VIRTIO_F_VERSION_1 and VIRTIO_F_ACCESS_PLATFORM are mandatory: without the
 * latter a function is free to bypass the IOMMU.
 */
#include <linux/delay.h>
#include <linux/seq_file.h>
#include <linux/virtio_ring.h>

#include "compat.h"
#include "vfio.h"

#define BACKEND_FEATURES                                                       \
	(BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2) |                               \
	 BIT_ULL(VHOST_BACKEND_F_IOTLB_BATCH) |                                \
	 BIT_ULL(SVFIO_BACKEND_F_IOTLB_PERSIST))

/* VIRTIO_F_IN_ORDER: older headers do not have it. */
#define F_IN_ORDER 35

#define NEEDED (BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))

/*
 * Of the bits that do not belong to a device type, those that need nothing from
 * a transport but what is here: a kick is the number of a queue (so neither
 * NOTIFICATION_DATA nor NOTIF_CONFIG_DATA), a queue is not reset on its own, and
 * virtual functions are not the guest's.
 */
#define TRANSPORT_FEATURES                                                     \
	(BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |                                \
	 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | NEEDED |                           \
	 BIT_ULL(VIRTIO_F_RING_PACKED) | BIT_ULL(F_IN_ORDER) |                 \
	 BIT_ULL(VIRTIO_F_ORDER_PLATFORM))
#define DEVICE_FEATURES (GENMASK_ULL(23, 0) | GENMASK_ULL(63, 50))

/* A configuration that changes while it is read is read again, so often. */
#define CONFIG_TRIES 100

static u64 offered(const struct svfio *dev)
{
	return dev->offered & (TRANSPORT_FEATURES | DEVICE_FEATURES);
}

/**
 * svfio_config_read() - read the device configuration
 * @dev: the device
 * @off: of the first byte
 * @buf: where to
 * @len: in bytes, the end within dev->config_len
 *
 * Context: svfio.lock held.
 * Return: 0, or -EAGAIN when it never stays the same for long enough.
 */
int svfio_config_read(struct svfio *dev, u32 off, u8 *buf, u32 len)
{
	struct virtio_pci_modern_device *mdev = &dev->mdev;
	int try;
	u32 i;

	for (try = 0; try < CONFIG_TRIES; try++) {
		u32 generation = vp_modern_generation(mdev);

		for (i = 0; i < len; i++)
			buf[i] = vp_ioread8((u8 __iomem *)mdev->device + off +
					    i);
		if (vp_modern_generation(mdev) == generation)
			return 0;
		usleep_range(50, 100);
	}
	return -EAGAIN;
}

/**
 * svfio_config_write() - write the device configuration
 * @dev: the device
 * @off: of the first byte
 * @buf: what
 * @len: in bytes, the end within dev->config_len
 *
 * A MAC address goes by the control queue where we drive it (ctrl.c).
 *
 * Context: svfio.lock held.
 * Return: 0; or a negative error number when the function did not take a MAC
 * address: nothing is written then.
 */
int svfio_config_write(struct svfio *dev, u32 off, const u8 *buf, u32 len)
{
	const int sent = svfio_ctrl_mac(dev, off, buf, len);
	u32 i;

	if (sent < 0)
		return sent;
	for (i = 0; i < len; i++)
		if (off + i >= sent)
			vp_iowrite8(buf[i],
				    (u8 __iomem *)dev->mdev.device + off + i);
	return 0;
}

/**
 * svfio_vdpa_forget() - what the device is after a reset
 * @dev: the device
 *
 * Context: svfio.lock held, kicks are stopped and interrupts freed.
 */
void svfio_vdpa_forget(struct svfio *dev)
{
	u32 i;

	dev->status = 0;
	dev->features = 0;
	dev->ctrl.has_mac = false;
	for (i = 0; i < dev->nr_vqs; i++)
		svfio_queue_forget(&dev->vqs[i]);
}

static int reset(struct svfio *dev)
{
	const char *why;

	svfio_queues_silence(dev);
	why = svfio_reset(dev);
	if (why)
		return svfio_quarantine(dev, why);
	svfio_irqs_free(dev);
	svfio_ctrl_release(dev);
	svfio_vdpa_forget(dev);
	return 0;
}

static int read_status(struct svfio *dev, u8 *status)
{
	*status = vp_modern_get_status(&dev->mdev);
	if (*status == 0xff)
		return svfio_quarantine(dev, "its registers read all ones");
	return 0;
}

static int get_status(struct svfio *dev, struct svfio_vq *vq,
		      union svfio_arg *arg)
{
	return read_status(dev, &arg->status);
}

/* Write a status, with what it took of it left in dev->status. */
static int write_status(struct svfio *dev, u8 status)
{
	u8 now;
	int err;

	vp_modern_set_status(&dev->mdev, status);
	err = read_status(dev, &now);
	if (!err)
		dev->status = status & (now | (u8)~VIRTIO_CONFIG_S_FEATURES_OK);
	return err;
}

static int negotiate(struct svfio *dev)
{
	if ((dev->features & NEEDED) != NEEDED)
		return -EINVAL;
	vp_modern_set_features(&dev->mdev, dev->features);
	return 0;
}

static int set_status(struct svfio *dev, struct svfio_vq *vq,
		      union svfio_arg *arg)
{
	/* That one is the function's own; it is in what the owner has read. */
	const u8 status = arg->status & ~VIRTIO_CONFIG_S_NEEDS_RESET;
	const u8 begun = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	const u8 added = status & ~dev->status;
	int err;

	if (!arg->status)
		return reset(dev);
	if (dev->status & ~status)
		return -EINVAL;
	if (added & VIRTIO_CONFIG_S_FEATURES_OK) {
		err = (status & begun) == begun ? negotiate(dev) : -EINVAL;
		if (err)
			return err;
		err = write_status(dev, status & ~VIRTIO_CONFIG_S_DRIVER_OK);
		if (err)
			return err;
		svfio_queues_negotiated(dev);
	}
	if (!(added & VIRTIO_CONFIG_S_DRIVER_OK))
		return write_status(dev, status);

	if (!(dev->status & VIRTIO_CONFIG_S_FEATURES_OK) ||
	    status & VIRTIO_CONFIG_S_FAILED)
		return -EINVAL;
	/* What the owner said of its queues is not lost by an error. */
	err = svfio_queues_check(dev);
	if (err)
		return err;
	err = svfio_irqs_alloc(dev);
	if (err)
		return err;
	err = svfio_ctrl_take(dev);
	if (err) {
		svfio_irqs_free(dev);
		return err;
	}
	svfio_queues_start(dev);
	err = write_status(dev, status);
	if (err)
		return err;
	svfio_queues_listen(dev);
	err = svfio_ctrl_begin(dev);
	/* It runs, but not as it was to: the owner has to begin anew. */
	return err ? reset(dev) ?: err : 0;
}

static int get_features(struct svfio *dev, struct svfio_vq *vq,
			union svfio_arg *arg)
{
	arg->features = offered(dev);
	return 0;
}

static int set_features(struct svfio *dev, struct svfio_vq *vq,
			union svfio_arg *arg)
{
	if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return -EBUSY;
	if (arg->features & ~offered(dev) || (arg->features & NEEDED) != NEEDED)
		return -EINVAL;
	dev->features = arg->features;
	return 0;
}

static int get_backend_features(struct svfio *dev, struct svfio_vq *vq,
				union svfio_arg *arg)
{
	arg->features = BACKEND_FEATURES;
	return 0;
}

static int set_backend_features(struct svfio *dev, struct svfio_vq *vq,
				union svfio_arg *arg)
{
	/* What is offered is so anyway. */
	return arg->features & ~BACKEND_FEATURES ? -EOPNOTSUPP : 0;
}

static int set_owner(struct svfio *dev, struct svfio_vq *vq,
		     union svfio_arg *arg)
{
	return svfio_dma_set_owner(dev);
}

static int get_device_id(struct svfio *dev, struct svfio_vq *vq,
			 union svfio_arg *arg)
{
	arg->value = dev->mdev.id.device;
	return 0;
}

static int get_vring_num(struct svfio *dev, struct svfio_vq *vq,
			 union svfio_arg *arg)
{
	arg->num = svfio_queues_num(dev);
	return 0;
}

static int get_config_size(struct svfio *dev, struct svfio_vq *vq,
			   union svfio_arg *arg)
{
	arg->value = dev->config_len;
	return 0;
}

static int get_vqs_count(struct svfio *dev, struct svfio_vq *vq,
			 union svfio_arg *arg)
{
	arg->value = dev->nr_vqs;
	return 0;
}

static int get_iova_range(struct svfio *dev, struct svfio_vq *vq,
			  union svfio_arg *arg)
{
	arg->range.first = dev->dma.first;
	arg->range.last = dev->dma.last;
	return 0;
}

static int set_config_call(struct svfio *dev, struct svfio_vq *vq,
			   union svfio_arg *arg)
{
	return svfio_call_set(&dev->config, arg->fd);
}

/* A function has one IOMMU domain: there is one group of queues, one space. */
static int get_one(struct svfio *dev, struct svfio_vq *vq, union svfio_arg *arg)
{
	arg->value = 1;
	return 0;
}

static int get_group(struct svfio *dev, struct svfio_vq *vq,
		     union svfio_arg *arg)
{
	arg->state.num = 0;
	return 0;
}

static int set_group_asid(struct svfio *dev, struct svfio_vq *vq,
			  union svfio_arg *arg)
{
	return arg->state.index || arg->state.num ? -EINVAL : 0;
}

/* A virtio PCI function can be reset, and nothing else. */
static int not_supported(struct svfio *dev, struct svfio_vq *vq,
			 union svfio_arg *arg)
{
	return -EOPNOTSUPP;
}

static int set_kick(struct svfio *dev, struct svfio_vq *vq,
		    union svfio_arg *arg)
{
	return svfio_kick_set(vq, arg->file.fd);
}

static int set_call(struct svfio *dev, struct svfio_vq *vq,
		    union svfio_arg *arg)
{
	return svfio_call_set(&vq->call, arg->file.fd);
}

static int set_err(struct svfio *dev, struct svfio_vq *vq, union svfio_arg *arg)
{
	return svfio_ctx_set(&vq->err, arg->file.fd);
}

static const struct {
	unsigned int cmd;
	bool of_queue;
	svfio_handler handler;
} table[] = {
	{ VHOST_GET_FEATURES, false, get_features },
	{ VHOST_SET_FEATURES, false, set_features },
	{ VHOST_GET_BACKEND_FEATURES, false, get_backend_features },
	{ VHOST_SET_BACKEND_FEATURES, false, set_backend_features },
	{ VHOST_SET_OWNER, false, set_owner },
	{ VHOST_VDPA_GET_DEVICE_ID, false, get_device_id },
	{ VHOST_VDPA_GET_STATUS, false, get_status },
	{ VHOST_VDPA_SET_STATUS, false, set_status },
	{ VHOST_VDPA_GET_VRING_NUM, false, get_vring_num },
	{ VHOST_VDPA_GET_CONFIG_SIZE, false, get_config_size },
	{ VHOST_VDPA_GET_VQS_COUNT, false, get_vqs_count },
	{ VHOST_VDPA_GET_IOVA_RANGE, false, get_iova_range },
	{ VHOST_VDPA_SET_CONFIG_CALL, false, set_config_call },
	{ VHOST_VDPA_GET_GROUP_NUM, false, get_one },
	{ VHOST_VDPA_GET_AS_NUM, false, get_one },
	{ VHOST_VDPA_GET_VRING_GROUP, true, get_group },
	{ VHOST_VDPA_SET_GROUP_ASID, false, set_group_asid },
	{ VHOST_VDPA_SUSPEND, false, not_supported },
	{ VHOST_VDPA_RESUME, false, not_supported },
	{ VHOST_VDPA_SET_VRING_ENABLE, true, svfio_vq_set_enable },
	{ VHOST_VDPA_GET_VRING_SIZE, true, svfio_vq_get_size },
	{ VHOST_SET_VRING_NUM, true, svfio_vq_set_num },
	{ VHOST_SET_VRING_ADDR, true, svfio_vq_set_addr },
	{ VHOST_SET_VRING_BASE, true, svfio_vq_set_base },
	{ VHOST_GET_VRING_BASE, true, svfio_vq_get_base },
	{ VHOST_SET_VRING_KICK, true, set_kick },
	{ VHOST_SET_VRING_CALL, true, set_call },
	{ VHOST_SET_VRING_ERR, true, set_err },
};

/**
 * svfio_vdpa_handler() - what serves an ioctl
 * @cmd: the ioctl, other than VHOST_VDPA_GET_CONFIG and VHOST_VDPA_SET_CONFIG
 * @of_queue: set to whether it is about a queue, whose index is first in its
 *	argument
 *
 * Return: a function that is called with svfio.lock held, and a bound device; or
 * NULL for an ioctl that is not known.
 */
svfio_handler svfio_vdpa_handler(unsigned int cmd, bool *of_queue)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		BUILD_BUG_ON(sizeof(union svfio_arg) <
			     sizeof(struct vhost_vring_addr));
		if (table[i].cmd == cmd) {
			*of_queue = table[i].of_queue;
			return table[i].handler;
		}
	}
	return NULL;
}

static void show_vq(struct seq_file *m, const struct svfio_vq *vq)
{
	const u32 i = vq->index;

	seq_printf(m, "vq%u-state:\t%s\n", i,
		   vq->enabled ? "running" : "stopped");
	seq_printf(m, "vq%u-num:\t%u\n", i, vq->num);
	seq_printf(m, "vq%u-kicks:\t%llu\n", i, vq->kicks);
	seq_printf(m, "vq%u-interrupts:\t%llu\n", i, vq->call.interrupts);
	seq_printf(m, "vq%u-vector:\t%s\n", i,
		   svfio_ctrl_has(vq) ? "none" :
		   vq->call.irq	      ? "own" :
					"shared");
	seq_printf(m, "vq%u-doorbell:\t%s\n", i,
		   vq->own_page ? "page" : "kick");
}

/**
 * svfio_vdpa_show() - /proc/PID/fdinfo/FD
 * @m: where to
 * @dev: the device, in whatever state
 *
 * As shunt_dev_show_fdinfo(): lines of "key:<tab>value". Takes no lock.
 */
void svfio_vdpa_show(struct seq_file *m, struct svfio *dev)
{
	static const char *const state[] = {
		[SVFIO_BOUND] = "bound",
		[SVFIO_QUARANTINED] = "quarantined",
		[SVFIO_REMOVED] = "removed",
	};
	u32 i;

	seq_puts(m, "shunt-device:\tvfio\n");
	seq_printf(m, "shunt-function:\t%s\n",
		   strchr(dev_name(&dev->dev), '!') + 1);
	seq_printf(m, "shunt-state:\t%s\n", state[READ_ONCE(dev->state)]);
	seq_printf(m, "shunt-status:\t0x%02x\n", dev->status);
	seq_printf(m, "shunt-features:\t0x%016llx\n", dev->features);
	seq_printf(m, "shunt-maps:\t%u\n", dev->dma.nr_maps);
	seq_printf(m, "shunt-mapped:\t%llu kB\n",
		   dev->dma.mapped << (PAGE_SHIFT - 10));
	seq_printf(m, "shunt-pinned:\t%llu kB\n",
		   dev->dma.pinned << (PAGE_SHIFT - 10));
	seq_printf(m, "shunt-vectors:\t%d\n", dev->vectors);
	svfio_ctrl_show(m, dev);
	seq_printf(m, "config-interrupts:\t%llu\n", dev->config.interrupts);
	for (i = 0; i < dev->nr_vqs; i++)
		show_vq(m, &dev->vqs[i]);
}
