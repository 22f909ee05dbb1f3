// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk.c - the module shunt_blk: /dev/shunt-blk, a virtio-blk back end
 *
 * DOC: Theory of Operation
 *
 * Purpose: serve the virtqueues of a virtio-blk device (VIRTIO 1.2, 5.2) from a block
 * device or a file. The device is told what to serve (SHUNT_BLK_SET_DISK), offers
 * what that can do, and is then a vhost device like any other; its queues start by
 * VHOST_BLK_SET_BACKEND. uapi/shunt.h has the ioctls, blk_req.c the path of a request.
 *
 * Non-goals: images in other formats than raw, and what a PCI device is to a guest: the
 * VMM shows that, and the configuration space that we compute.
 *
 * Lifetimes: disk and queues are made by SHUNT_BLK_SET_DISK and go with the file of the
 * device, or when another disk is set; the memory of requests and the helpers come
 * with the first queue that is started and go with the owner.
 */
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "blk.h"

static void watch_size(struct work_struct *work)
{
	struct shunt_blk *blk =
		container_of(to_delayed_work(work), struct shunt_blk, watch);
	const u64 size = shunt_disk_size_now(blk->disk);

	if (size != blk->size) {
		blk->size = size;
		compat_eventfd_signal(blk->config_call);
	}
	queue_delayed_work(system_unbound_wq, &blk->watch, HZ);
}

static void stop_watch(struct shunt_blk *blk)
{
	cancel_delayed_work_sync(&blk->watch);
	if (blk->config_call)
		eventfd_ctx_put(blk->config_call);
	blk->config_call = NULL;
}

/* SHUNT_BLK_SET_CONFIG_CALL */
static long set_config_call(struct shunt_blk *blk, int __user *arg)
{
	struct eventfd_ctx *ctx;
	int fd;

	if (!blk->disk)
		return -ENODEV;
	if (get_user(fd, arg))
		return -EFAULT;
	ctx = fd == VHOST_FILE_UNBIND ? NULL : eventfd_ctx_fdget(fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	stop_watch(blk);
	blk->config_call = ctx;
	blk->size = shunt_disk_size(blk->disk);
	if (ctx)
		queue_delayed_work(system_unbound_wq, &blk->watch, HZ);
	return 0;
}

/* SHUNT_BLK_SET_WCE */
static long set_wce(struct shunt_blk *blk, u32 __user *arg)
{
	u32 wce;

	if (!blk->disk)
		return -ENODEV;
	if (get_user(wce, arg))
		return -EFAULT;
	if (wce > 1)
		return -EINVAL;
	WRITE_ONCE(blk->wce, wce);
	return 0;
}

/* SHUNT_BLK_SET_PLACES */
static long set_places(struct shunt_blk *blk, u64 __user *arg)
{
	u64 addr;

	if (get_user(addr, arg))
		return -EFAULT;
	return shunt_places_set(&blk->dev, addr);
}

/* SHUNT_BLK_GET_CONFIG */
static long get_config(struct shunt_blk *blk, void __user *arg)
{
	struct virtio_blk_config config = {};
	struct shunt_blk_config reply = { .len = sizeof(config) };

	BUILD_BUG_ON(sizeof(config) > sizeof(reply.config));
	if (!blk->disk)
		return -ENODEV;
	shunt_disk_config(blk->disk, blk->wce, &config);
	memcpy(reply.config, &config, sizeof(config));
	return copy_to_user(arg, &reply, sizeof(reply)) ? -EFAULT : 0;
}

/* See that there are queues enough; those that are too many stay, unused. */
static long set_queues(struct shunt_blk *blk, u32 nr)
{
	if (nr == blk->dev.nr_vqs)
		return 0;
	while (blk->made < nr) {
		struct shunt_blk_vq *bvq =
			kzalloc(sizeof(*bvq), GFP_KERNEL_ACCOUNT);

		if (!bvq)
			return -ENOMEM;
		bvq->vq.role = "request";
		shunt_dev_set_nr_vqs(&blk->dev, blk->made++);
		shunt_dev_add_vq(&blk->dev, &bvq->vq);
	}
	shunt_dev_set_nr_vqs(&blk->dev, nr);
	return 0;
}

/*
 * Give the device another disk, with as many queues as @arg says; it has no owner, or has
 * so many already and started none.
 */
static long change_disk(struct shunt_blk *blk, const struct shunt_blk_disk *arg)
{
	struct shunt_disk *disk = shunt_disk_new(arg);
	long err;

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	err = set_queues(blk, arg->queues);
	if (err) {
		shunt_disk_free(disk);
		return err;
	}
	stop_watch(blk);
	shunt_disk_free(blk->disk);
	blk->disk = disk;
	blk->wce = true;
	blk->dev.offers = disk->features;
	return 0;
}

/* SHUNT_BLK_SET_DISK */
static long set_disk(struct shunt_blk *blk, void __user *from)
{
	struct shunt_blk_disk arg;

	/* Queues that are added, or go out of use, know of no features. */
	if (blk->dev.mm || blk->dev.features)
		return -EBUSY;
	if (copy_from_user(&arg, from, sizeof(arg)))
		return -EFAULT;
	return change_disk(blk, &arg);
}

/* See that the disk is this file, and that all is there to serve it. */
static long ready(struct shunt_blk *blk, struct shunt_blk_vq *bvq, int fd)
{
	struct shunt_blk_disk arg = { .fd = fd, .queues = blk->dev.nr_vqs };
	struct file *file;
	bool same;
	long err;

	if (!blk->disk) {
		err = change_disk(blk, &arg);
		if (err)
			return err;
	}
	file = fget(fd);
	if (!file)
		return -EBADF;
	same = file->f_mapping == blk->disk->file->f_mapping;
	fput(file);
	if (!same)
		return -EBUSY;
	err = shunt_blk_helpers_start(blk);
	return err ? err : shunt_blk_vq_alloc(bvq);
}

/* VHOST_BLK_SET_BACKEND */
static long set_backend(struct shunt_blk *blk, void __user *from)
{
	struct vhost_vring_file arg;
	struct shunt_vq *vq;
	long err = 0;

	if (copy_from_user(&arg, from, sizeof(arg)))
		return -EFAULT;
	if (arg.index >= blk->dev.nr_vqs)
		return -ENOBUFS;
	vq = blk->vqs[array_index_nospec(arg.index, blk->dev.nr_vqs)];
	if (arg.fd != VHOST_FILE_UNBIND)
		err = ready(blk, to_blk_vq(vq), arg.fd);
	if (!err)
		err = shunt_vq_pause(vq);
	if (err)
		return err;
	shunt_vq_lock(vq);
	if (arg.fd == VHOST_FILE_UNBIND || vq->broken)
		shunt_vq_stop(vq);
	if (arg.fd != VHOST_FILE_UNBIND && !vq->running)
		err = shunt_vq_start(vq);
	shunt_vq_unlock(vq);
	shunt_vq_resume(vq);
	return err;
}

/* shunt_ops.setup */
static long blk_setup(struct shunt_dev *dev, unsigned int cmd, void __user *arg)
{
	switch (cmd) {
	case SHUNT_BLK_SET_DISK:
		return set_disk(to_blk(dev), arg);
	case SHUNT_BLK_GET_CONFIG:
		return get_config(to_blk(dev), arg);
	default:
		return -ENOIOCTLCMD;
	}
}

/* shunt_ops.ioctl */
static long blk_ioctl(struct shunt_dev *dev, unsigned int cmd, void __user *arg)
{
	switch (cmd) {
	case VHOST_BLK_SET_BACKEND:
		return set_backend(to_blk(dev), arg);
	case SHUNT_BLK_SET_WCE:
		return set_wce(to_blk(dev), arg);
	case SHUNT_BLK_SET_CONFIG_CALL:
		return set_config_call(to_blk(dev), arg);
	case SHUNT_BLK_SET_PLACES:
		return set_places(to_blk(dev), arg);
	default:
		return -ENOIOCTLCMD;
	}
}

/* shunt_ops.stop: what a queue serves is the device's; nothing is its own. */
static void blk_stop(struct shunt_vq *vq)
{
}

/* shunt_ops.release */
static void blk_release_owner(struct shunt_dev *dev)
{
	struct shunt_blk *blk = to_blk(dev);
	u32 i;

	shunt_blk_helpers_stop(blk);
	for (i = 0; i < dev->nr_vqs; i++)
		shunt_blk_vq_free(to_blk_vq(dev->vqs[i]));
	stop_watch(blk);
	blk->wce = true;
}

static const struct shunt_ops blk_ops = {
	.name = "blk",
	.unit = "requests",
	.features =
		BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) | BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |
		BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) | BIT_ULL(VIRTIO_BLK_F_FLUSH),
	.run = shunt_blk_run,
	.drop = shunt_blk_drop,
	.interrupt = shunt_blk_interrupt,
	.stop = blk_stop,
	.release = blk_release_owner,
	.setup = blk_setup,
	.ioctl = blk_ioctl,
};

static void free_blk(struct shunt_blk *blk)
{
	while (blk->made)
		kfree(to_blk_vq(blk->vqs[--blk->made]));
	shunt_disk_free(blk->disk);
	kfree(blk);
}

static int blk_open(struct inode *inode, struct file *file)
{
	struct shunt_blk *blk = kzalloc(sizeof(*blk), GFP_KERNEL_ACCOUNT);

	if (!blk)
		return -ENOMEM;
	blk->wce = true;
	INIT_DELAYED_WORK(&blk->watch, watch_size);
	spin_lock_init(&blk->lock);
	INIT_LIST_HEAD(&blk->deferred);
	init_waitqueue_head(&blk->wait);
	shunt_dev_init(&blk->dev, blk->vqs, &blk_ops);
	if (set_queues(blk, 1)) {
		free_blk(blk);
		return -ENOMEM;
	}
	file->private_data = &blk->dev;
	return 0;
}

static int blk_close(struct inode *inode, struct file *file)
{
	struct shunt_dev *dev = file->private_data;

	shunt_dev_destroy(dev);
	free_blk(to_blk(dev));
	return 0;
}

static const struct file_operations blk_fops = {
	.owner = THIS_MODULE,
	.open = blk_open,
	.release = blk_close,
	SHUNT_FILE_OPERATIONS,
};

static struct miscdevice blk_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "shunt-blk",
	.fops = &blk_fops,
};
module_misc_device(blk_misc);

MODULE_DESCRIPTION("Shunt: in-kernel virtio-blk back end");
MODULE_LICENSE("GPL");
