// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioctl.c - the ioctls of <linux/vhost.h> that are the same for every back end
 *
 * DOC: Theory of Operation
 *
 * Each ioctl is validated here and then handed to the file whose subject it is.
 * All are serialised by the device's mutex; what touches a queue also takes the
 * queue's, so that it happens between two passes. An argument is copied in once
 * and judged by that copy.
 *
 * VHOST_GET_FEATURES, VHOST_SET_FEATURES and their back-end twins are open to
 * whoever has the file, as with the kernel's own vhost devices. Everything else
 * is for the owner: -EPERM for all others. An index that names no queue gives
 * -ENOBUFS, an ioctl that nobody knows -ENOTTY.
 */
#include <linux/module.h>
#include <linux/uaccess.h>

#include "shunt.h"

#define BACKEND_FEATURES BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2)

static u64 offered(const struct shunt_dev *dev)
{
	return SHUNT_FEATURES | dev->offers;
}

/* Bring what the ring caches of the features up to date. */
static void vq_set_features(struct shunt_vq *vq, u64 features)
{
	bool packed = features & BIT_ULL(VIRTIO_F_RING_PACKED);
	struct ring *r = &vq->ring;

	vq->features = features;
	vq->iotlb = shunt_vq_has(vq, VIRTIO_F_ACCESS_PLATFORM) ?
			    vq->dev->iotlb :
			    NULL;
	r->indirect = shunt_vq_has(vq, VIRTIO_RING_F_INDIRECT_DESC);
	r->event_idx = shunt_vq_has(vq, VIRTIO_RING_F_EVENT_IDX);
	r->notify_on_empty = shunt_vq_has(vq, VIRTIO_F_NOTIFY_ON_EMPTY);
	r->in_order = shunt_vq_has(vq, VIRTIO_F_IN_ORDER);
	r->little_endian = shunt_vq_has(vq, VIRTIO_F_VERSION_1) || packed ||
			   !vq->big_endian;
	if (packed == r->packed)
		return;
	r->packed = packed;
	ring_set_base(r, packed ? RING_PACKED_BASE : 0);
}

/* VHOST_SET_FEATURES: while a queue runs, only the dirty log may change. */
static int set_features(struct shunt_dev *dev, u64 features)
{
	u64 changed = dev->features ^ features;
	bool running = false;
	u32 i;
	int err;

	if (features & ~offered(dev))
		return -EOPNOTSUPP;
	if (features & BIT_ULL(VHOST_F_LOG_ALL) &&
	    !shunt_log_valid(dev->umem, dev->log_base))
		return -EFAULT;
	/* Queues start under dev->mutex: none does behind our back. */
	for (i = 0; i < dev->nr_vqs; i++)
		running |= dev->vqs[i]->running;
	if (running && changed & ~BIT_ULL(VHOST_F_LOG_ALL))
		return -EBUSY;
	/* A new start begins without translations, whatever went before. */
	if (!running)
		shunt_iotlb_forget(dev);
	if (features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)) {
		err = shunt_iotlb_enable(dev);
		if (err)
			return err;
	}

	for (i = 0; i < dev->nr_vqs; i++) {
		struct shunt_vq *vq = dev->vqs[i];

		shunt_vq_lock(vq);
		vq_set_features(vq, features);
		shunt_vq_unlock(vq);
	}
	dev->features = features;
	return 0;
}

static int set_log_base(struct shunt_dev *dev, u64 base)
{
	u32 i;

	if (!shunt_log_valid(dev->umem, base))
		return -EFAULT;
	for (i = 0; i < dev->nr_vqs; i++) {
		struct shunt_vq *vq = dev->vqs[i];

		if (vq->log_ring && vq->num &&
		    !shunt_log_ring_valid(vq, base, vq->log_addr))
			return -EFAULT;
	}
	dev->log_base = base;
	for (i = 0; i < dev->nr_vqs; i++) {
		struct shunt_vq *vq = dev->vqs[i];

		shunt_vq_lock(vq);
		vq->log_base = base;
		shunt_vq_unlock(vq);
	}
	return 0;
}

static int set_log_fd(struct shunt_dev *dev, int fd)
{
	struct eventfd_ctx *ctx = shunt_notify_get_ctx(fd);
	u32 i;

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	swap(dev->log_ctx, ctx);
	for (i = 0; i < dev->nr_vqs; i++) {
		struct shunt_vq *vq = dev->vqs[i];

		shunt_vq_lock(vq);
		vq->log_ctx = dev->log_ctx;
		shunt_vq_unlock(vq);
	}
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

static int set_num(struct shunt_vq *vq, u32 num)
{
	if (vq->running)
		return -EBUSY;
	if (!ring_num_valid(&vq->ring, num))
		return -EINVAL;
	vq->num = num;
	return 0;
}

static int set_base(struct shunt_vq *vq, u32 base)
{
	if (vq->running)
		return -EBUSY;
	if (!vq->ring.packed && base > U16_MAX)
		return -EINVAL;
	/* Some VMMs (DPDK's virtio-user) give 16 bits of the first base only. */
	if (vq->ring.packed && base == (RING_PACKED_BASE & U16_MAX))
		base = RING_PACKED_BASE;
	ring_set_base(&vq->ring, base);
	return 0;
}

/*
 * A byte order that differs from the host's is for legacy guests on kernels
 * that were built for it (VIRTIO 1.2, 2.4.3: the guest's native endian).
 */
static int set_endian(struct shunt_vq *vq, u32 endian)
{
	if (!IS_ENABLED(CONFIG_VHOST_CROSS_ENDIAN_LEGACY))
		return -ENOIOCTLCMD;
	if (vq->running)
		return -EBUSY;
	if (endian != VHOST_VRING_LITTLE_ENDIAN &&
	    endian != VHOST_VRING_BIG_ENDIAN)
		return -EINVAL;
	vq->big_endian = endian == VHOST_VRING_BIG_ENDIAN;
	vq_set_features(vq, vq->features);
	return 0;
}

static int get_endian(struct shunt_vq *vq, u32 *endian)
{
	if (!IS_ENABLED(CONFIG_VHOST_CROSS_ENDIAN_LEGACY))
		return -ENOIOCTLCMD;
	*endian = vq->big_endian ? VHOST_VRING_BIG_ENDIAN :
				   VHOST_VRING_LITTLE_ENDIAN;
	return 0;
}

/* VHOST_SET_VRING_ADDR: a running queue may move, or turn its log on or off. */
static int set_addr(struct shunt_vq *vq, const struct vhost_vring_addr *a)
{
	const u64 addr[RING_PARTS] = {
		[RING_DESC] = a->desc_user_addr,
		[RING_DRIVER] = a->avail_user_addr,
		[RING_DEVICE] = a->used_user_addr,
	};
	bool log = a->flags & BIT(VHOST_VRING_F_LOG);
	bool moved = false;
	u32 part;

	if (a->flags & ~BIT(VHOST_VRING_F_LOG))
		return -EOPNOTSUPP;
	if (a->log_guest_addr & (VRING_USED_ALIGN_SIZE - 1))
		return -EINVAL;
	for (part = 0; part < RING_PARTS; part++) {
		u64 size = ring_part_size(&vq->ring, part, vq->num);

		if (!IS_ALIGNED(addr[part], ring_part_align(&vq->ring, part)))
			return -EINVAL;
		if (addr[part] + size < addr[part])
			return -EFAULT;
		/* Addresses are the owner's, but for those of an IOMMU. */
		if (!vq->iotlb && !access_ok(u64_to_user_ptr(addr[part]), size))
			return -EFAULT;
		moved |= vq->area[part].addr != addr[part];
	}
	if (vq->running && log &&
	    !shunt_log_ring_valid(vq, vq->log_base, a->log_guest_addr))
		return -EFAULT;

	if (moved)
		shunt_mem_unmap_ring(vq);
	for (part = 0; part < RING_PARTS; part++)
		vq->area[part].addr = addr[part];
	vq->has_addr = true;
	vq->log_ring = log;
	vq->log_addr = a->log_guest_addr;
	vq->ring.log = log;
	return 0;
}

/* Ioctls that name a queue. */
static long vring_ioctl(struct shunt_dev *dev, unsigned int cmd,
			void __user *arg)
{
	union {
		u32 index; /* comes first in each */
		struct vhost_vring_state state;
		struct vhost_vring_file file;
		struct vhost_vring_addr addr;
	} a;
	size_t size = _IOC_SIZE(cmd);
	struct shunt_vq *vq;
	bool reply = false;
	long err;

	if (copy_from_user(&a, arg, size))
		return -EFAULT;
	if (a.index >= dev->nr_vqs)
		return -ENOBUFS;
	vq = dev->vqs[array_index_nospec(a.index, dev->nr_vqs)];
	/* The ring may move. */
	if (cmd == VHOST_SET_VRING_ADDR && shunt_vq_pause(vq))
		return -EINTR;

	shunt_vq_lock(vq);
	switch (cmd) {
	case VHOST_SET_VRING_NUM:
		err = set_num(vq, a.state.num);
		break;
	case VHOST_SET_VRING_BASE:
		err = set_base(vq, a.state.num);
		break;
	case VHOST_GET_VRING_BASE:
		a.state.num = ring_base(&vq->ring);
		reply = true;
		err = 0;
		break;
	case VHOST_SET_VRING_ENDIAN:
		err = set_endian(vq, a.state.num);
		break;
	case VHOST_GET_VRING_ENDIAN:
		err = get_endian(vq, &a.state.num);
		reply = !err;
		break;
	case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
		vq->busyloop = a.state.num;
		err = 0;
		break;
	case VHOST_GET_VRING_BUSYLOOP_TIMEOUT:
		a.state.num = vq->busyloop;
		reply = true;
		err = 0;
		break;
	case VHOST_SET_VRING_ADDR:
		err = set_addr(vq, &a.addr);
		break;
	case VHOST_SET_VRING_KICK:
		err = shunt_notify_set_kick(vq, a.file.fd);
		break;
	case VHOST_SET_VRING_CALL:
		err = shunt_notify_set_ctx(vq, &vq->call, a.file.fd);
		break;
	default: /* VHOST_SET_VRING_ERR */
		err = shunt_notify_set_ctx(vq, &vq->err, a.file.fd);
		break;
	}
	shunt_vq_unlock(vq);
	if (cmd == VHOST_SET_VRING_ADDR)
		shunt_vq_resume(vq);

	if (reply && copy_to_user(arg, &a, size))
		return -EFAULT;
	return err;
}

static long feature_ioctl(struct shunt_dev *dev, unsigned int cmd,
			  u64 __user *arg)
{
	u64 features;

	switch (cmd) {
	case VHOST_GET_FEATURES:
		return put_user(offered(dev), arg);
	case VHOST_GET_BACKEND_FEATURES:
		return put_user(BACKEND_FEATURES, arg);
	}
	if (get_user(features, arg))
		return -EFAULT;
	if (cmd == VHOST_SET_FEATURES)
		return set_features(dev, features);
	if (features & ~BACKEND_FEATURES)
		return -EOPNOTSUPP;
	dev->backend_features = features;
	return 0;
}

static long dispatch(struct shunt_dev *dev, unsigned int cmd, void __user *arg)
{
	long err;
	u64 base;
	int fd;

	switch (cmd) {
	case VHOST_GET_FEATURES:
	case VHOST_SET_FEATURES:
	case VHOST_GET_BACKEND_FEATURES:
	case VHOST_SET_BACKEND_FEATURES:
		return feature_ioctl(dev, cmd, arg);
	case VHOST_SET_OWNER:
		return shunt_dev_set_owner(dev);
	case VHOST_RESET_OWNER:
		return shunt_dev_reset_owner(dev);
	}

	if (dev->ops->setup) {
		err = dev->ops->setup(dev, cmd, arg);
		if (err != -ENOIOCTLCMD)
			return err;
	}
	err = shunt_dev_check_owner(dev);
	if (err)
		return err;
	switch (cmd) {
	case VHOST_SET_MEM_TABLE:
		return shunt_mem_set_table(dev, arg);
	case VHOST_SET_LOG_BASE:
		if (copy_from_user(&base, arg, sizeof(base)))
			return -EFAULT;
		return set_log_base(dev, base);
	case VHOST_SET_LOG_FD:
		if (get_user(fd, (int __user *)arg))
			return -EFAULT;
		return set_log_fd(dev, fd);
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_GET_VRING_BASE:
	case VHOST_SET_VRING_ENDIAN:
	case VHOST_GET_VRING_ENDIAN:
	case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
	case VHOST_GET_VRING_BUSYLOOP_TIMEOUT:
	case VHOST_SET_VRING_ADDR:
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
		return vring_ioctl(dev, cmd, arg);
	default:
		return dev->ops->ioctl(dev, cmd, arg);
	}
}

/**
 * shunt_dev_ioctl() - any ioctl on a vhost device
 * @dev: the device
 * @cmd: as in <linux/vhost.h>, or one of the back end's own
 * @arg: the caller's
 *
 * Context: process context; may wait for a pass to end.
 * Return: as ioctls do.
 */
long shunt_dev_ioctl(struct shunt_dev *dev, unsigned int cmd, unsigned long arg)
{
	long err;

	if (mutex_lock_killable(&dev->mutex))
		return -EINTR;
	err = dispatch(dev, cmd, (void __user *)arg);
	mutex_unlock(&dev->mutex);
	return err;
}
