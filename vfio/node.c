// SPDX-License-Identifier: GPL-2.0-only
/*
 * node.c - /dev/shunt-vfio/BDF: the node of a bound function
 *
 * DOC: Theory of Operation
 *
 * A node has mode 0600 and can be opened once at a time. open() resets the
 * function and gives it an IOMMU domain and bus mastering; release() takes all
 * back. In between, ioctls are those of vhost-vdpa (<linux/vhost.h>), write()
 * takes IOTLB messages, and mmap() maps doorbells.
 *
 * An ioctl copies its argument in, runs under svfio.lock on the copy, and copies
 * it out, as the direction and size in its number say. Only those of the
 * configuration, whose size is in the argument, are on their own.
 *
 * As with vhost-vdpa, whoever has the file may call every ioctl; only memory is
 * the owner's (VHOST_SET_OWNER). When the function is gone everything is -ENODEV.
 */
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "vfio.h"

#define NAME "shunt-vfio"
#define MINORS (MINORMASK + 1)

static dev_t first_devt;
static DEFINE_IDA(minors);

static struct class svfio_class = {
	.name = NAME,
};

/* Context: svfio.lock held. */
static int node_start(struct svfio *dev)
{
	const char *why;
	int err;

	if (dev->state != SVFIO_BOUND)
		return -ENODEV;
	if (dev->opened)
		return -EBUSY;
	why = svfio_reset(dev);
	if (why)
		return svfio_quarantine(dev, why);
	err = svfio_dma_open(dev);
	if (err)
		return err;
	pci_set_master(dev->pdev);
	dev->opened = true;
	return 0;
}

static int node_open(struct inode *inode, struct file *file)
{
	struct svfio *dev = container_of(inode->i_cdev, struct svfio, cdev);
	int err;

	if (mutex_lock_killable(&dev->lock))
		return -EINTR;
	err = node_start(dev);
	if (!err)
		dev->mapping = file->f_mapping;
	mutex_unlock(&dev->lock);
	if (err)
		return err;
	file->private_data = dev;
	return nonseekable_open(inode, file);
}

static int node_release(struct inode *inode, struct file *file)
{
	struct svfio *dev = file->private_data;
	struct svfio_debt debt;

	mutex_lock(&dev->lock);
	svfio_disown(dev, false);
	svfio_dma_owed(&dev->dma, &debt);
	svfio_dma_put_owner(dev);
	dev->mapping = NULL;
	dev->opened = false;
	mutex_unlock(&dev->lock);
	svfio_debt_settle(&debt);
	return 0;
}

/* What vhost-vdpa says of a range of the configuration. */
static int config_check(const struct svfio *dev,
			const struct vhost_vdpa_config *head)
{
	if (!head->len || head->off > dev->config_len)
		return -EINVAL;
	return head->len > dev->config_len - head->off ? -E2BIG : 0;
}

/* VHOST_VDPA_GET_CONFIG, VHOST_VDPA_SET_CONFIG. */
static int config_ioctl(struct svfio *dev, unsigned int cmd,
			struct vhost_vdpa_config __user *user)
{
	struct vhost_vdpa_config head;
	u8 *buf;
	int err;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	err = config_check(dev, &head);
	if (err)
		return err;
	buf = kvzalloc(head.len, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	err = -EFAULT;
	if (cmd == VHOST_VDPA_SET_CONFIG &&
	    copy_from_user(buf, user->buf, head.len))
		goto free;
	err = -EINTR;
	if (mutex_lock_killable(&dev->lock))
		goto free;
	err = 0;
	if (dev->state != SVFIO_BOUND)
		err = -ENODEV;
	else if (cmd == VHOST_VDPA_SET_CONFIG)
		err = svfio_config_write(dev, head.off, buf, head.len);
	else
		err = svfio_config_read(dev, head.off, buf, head.len);
	mutex_unlock(&dev->lock);
	if (!err && cmd == VHOST_VDPA_GET_CONFIG &&
	    copy_to_user(user->buf, buf, head.len))
		err = -EFAULT;
free:
	kvfree(buf);
	return err;
}

static long node_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct svfio *dev = file->private_data;
	void __user *user = (void __user *)arg;
	struct svfio_vq *vq = NULL;
	union svfio_arg copy = {};
	svfio_handler handler;
	bool of_queue;
	int err;

	if (cmd == VHOST_VDPA_GET_CONFIG || cmd == VHOST_VDPA_SET_CONFIG)
		return config_ioctl(dev, cmd, user);
	handler = svfio_vdpa_handler(cmd, &of_queue);
	if (!handler)
		return -ENOTTY;
	if (_IOC_DIR(cmd) & _IOC_WRITE &&
	    copy_from_user(&copy, user, _IOC_SIZE(cmd)))
		return -EFAULT;
	if (of_queue) {
		/* In all of them the index is first. */
		u32 index = copy.state.index;

		if (index >= dev->nr_vqs)
			return -ENOBUFS;
		vq = &dev->vqs[array_index_nospec(index, dev->nr_vqs)];
	}
	if (mutex_lock_killable(&dev->lock))
		return -EINTR;
	err = dev->state == SVFIO_BOUND ? handler(dev, vq, &copy) : -ENODEV;
	mutex_unlock(&dev->lock);
	/* What a quarantine left to be given back. */
	if (err == -ENODEV)
		svfio_dma_settle(dev);
	if (!err && _IOC_DIR(cmd) & _IOC_READ &&
	    copy_to_user(user, &copy, _IOC_SIZE(cmd)))
		return -EFAULT;
	return err;
}

static ssize_t node_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	return svfio_iotlb_message(iocb->ki_filp->private_data, from);
}

static void node_show_fdinfo(struct seq_file *m, struct file *file)
{
	svfio_vdpa_show(m, file->private_data);
}

static const struct file_operations node_fops = {
	.owner = THIS_MODULE,
	.open = node_open,
	.release = node_release,
	.unlocked_ioctl = node_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.write_iter = node_write_iter,
	.mmap = svfio_doorbell_mmap,
	.show_fdinfo = node_show_fdinfo,
};

/* struct device's release: neither binding nor file is left. */
static void node_free(struct device *device)
{
	struct svfio *dev = container_of(device, struct svfio, dev);

	ida_free(&minors, MINOR(device->devt));
	kvfree(dev->vqs);
	mutex_destroy(&dev->doorbell_lock);
	mutex_destroy(&dev->lock);
	kfree(dev);
}

/**
 * svfio_node_alloc() - memory for a function that is being bound
 * @pdev: the function
 *
 * Return: the device, with one reference, which put_device() gives back; or
 * ERR_PTR.
 */
struct svfio *svfio_node_alloc(struct pci_dev *pdev)
{
	struct svfio *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	int minor, err;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	minor = ida_alloc_max(&minors, MINORS - 1, GFP_KERNEL);
	if (minor < 0) {
		kfree(dev);
		return ERR_PTR(minor);
	}
	mutex_init(&dev->lock);
	mutex_init(&dev->doorbell_lock);
	svfio_call_init(&dev->config);
	dev->pdev = pdev;
	dev->mdev.pci_dev = pdev;

	device_initialize(&dev->dev);
	dev->dev.class = &svfio_class;
	dev->dev.parent = &pdev->dev;
	dev->dev.release = node_free;
	dev->dev.devt = MKDEV(MAJOR(first_devt), minor);
	/* The ! becomes a / in /dev. */
	err = dev_set_name(&dev->dev, NAME "!%s", pci_name(pdev));
	if (err) {
		put_device(&dev->dev);
		return ERR_PTR(err);
	}
	return dev;
}

/**
 * svfio_node_add() - make the node
 * @dev: the device, ready to be opened
 *
 * Context: svfio.lock held, which keeps who opens it at once waiting.
 * Return: 0 or a negative error number.
 */
int svfio_node_add(struct svfio *dev)
{
	int err;

	cdev_init(&dev->cdev, &node_fops);
	dev->cdev.owner = THIS_MODULE;
	dev->has_node = true;
	err = cdev_device_add(&dev->cdev, &dev->dev);
	if (err)
		dev->has_node = false;
	return err;
}

/**
 * svfio_node_del() - take the node away; files that are open stay
 * @dev: the device, with a node or without
 *
 * Context: svfio.lock held.
 */
void svfio_node_del(struct svfio *dev)
{
	if (!dev->has_node)
		return;
	dev->has_node = false;
	cdev_device_del(&dev->cdev, &dev->dev);
}

/**
 * svfio_node_init() - module init: numbers and the class
 *
 * Return: 0 or a negative error number.
 */
int svfio_node_init(void)
{
	int err = alloc_chrdev_region(&first_devt, 0, MINORS, NAME);

	if (err)
		return err;
	err = class_register(&svfio_class);
	if (err)
		unregister_chrdev_region(first_devt, MINORS);
	return err;
}

/** svfio_node_exit() - module exit: undo svfio_node_init(); no node is left */
void svfio_node_exit(void)
{
	class_unregister(&svfio_class);
	unregister_chrdev_region(first_devt, MINORS);
	ida_destroy(&minors);
}
