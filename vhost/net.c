// SPDX-License-Identifier: GPL-2.0-only
/*
 * net.c - the module shunt_net: /dev/shunt-net, a virtio-net back end
 *
 * DOC: Theory of Operation
 *
 * Purpose: what /dev/vhost-net is, with the same ioctls and the same meaning:
 * one open file is one pair of virtqueues, 0 receives (net_rx.c), 1 transmits
 * (net_tx.c), each joined to a TAP, a macvtap or a packet socket by
 * VHOST_NET_SET_BACKEND. VIRTIO 1.2, section 5.1.6.
 *
 * Non-goals: the control queue and the device configuration are the VMM's.
 * Checksums and segmentation are the TAP's (TUNSETOFFLOAD): the virtio-net
 * header goes through as it is.
 *
 * Headers: a frame in a virtqueue has a virtio-net header of 12 bytes in front,
 * or of 10 for a legacy driver without mergeable buffers. The socket makes and
 * takes it (IFF_VNET_HDR), unless VHOST_NET_F_VIRTIO_NET_HDR was acknowledged:
 * then it is ours, and the socket sees bare frames.
 *
 * Lifetimes: the file of the back end is referenced from the ioctl that
 * attached it until another is attached, the queue is stopped, or the device is
 * closed. Frames that were taken from its ring by then go back to it.
 */
#include <linux/file.h>
#include <linux/if_arp.h>
#include <linux/if_tap.h>
#include <linux/if_tun.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "net.h"

enum { NET_RX, NET_TX, NET_VQS };

struct shunt_net {
	struct shunt_dev dev;
	struct shunt_vq *vqs[NET_VQS];
	struct shunt_net_vq vq[NET_VQS];
};

static bool stand_in;
module_param(stand_in, bool, 0444);
MODULE_PARM_DESC(stand_in,
		 "Be /dev/vhost-net too, where the stock module is not loaded");

/* The socket of a file that may be a back end. No reference is taken. */
static struct socket *back_end_socket(struct file *file)
{
	struct socket *sock = tun_get_socket(file);

	if (IS_ERR(sock))
		sock = tap_get_socket(file);
	if (IS_ERR(sock)) {
		sock = sock_from_file(file);
		if (!sock || sock->sk->sk_family != AF_PACKET ||
		    sock->sk->sk_type != SOCK_RAW)
			return ERR_PTR(-ENOTSOCK);
	} else if (vfs_poll(file, NULL) == EPOLLERR) {
		/* A TAP file that no interface is attached to. */
		return ERR_PTR(-EINVAL);
	}
	return sock;
}

/* The ring in which a TAP leaves frames. */
static struct ptr_ring *back_end_ring(struct file *file)
{
	struct ptr_ring *ring = tun_get_tx_ring(file);

	if (IS_ERR(ring))
		ring = tap_get_ptr_ring(file);
	return IS_ERR(ring) ? NULL : ring;
}

/* shunt_ops.stop: let go of the back end. */
static void net_detach(struct shunt_vq *vq)
{
	struct shunt_net_vq *nvq = to_net_vq(vq);

	if (!nvq->file)
		return;
	shunt_poll_stop(&nvq->poll);
	if (vq->index == NET_RX)
		shunt_net_rx_detach(nvq);
	else
		shunt_net_tx_detach(nvq);
	fput(nvq->file);
	nvq->file = NULL;
	nvq->sock = NULL;
}

static void net_attach(struct shunt_vq *vq, struct file *file,
		       struct socket *sock)
{
	struct shunt_net_vq *nvq = to_net_vq(vq);
	struct ptr_ring *ring = back_end_ring(file);

	nvq->file = file;
	nvq->sock = sock;
	nvq->tap = ring;
	if (vq->index == NET_RX)
		nvq->ring = ring;
	shunt_worker_wake(vq);
}

/* shunt_ops.run */
static int net_run(struct shunt_vq *vq)
{
	struct shunt_net_vq *nvq = to_net_vq(vq);
	u32 hlen = sizeof(struct virtio_net_hdr);

	if (shunt_vq_has(vq, VIRTIO_NET_F_MRG_RXBUF) ||
	    shunt_vq_has(vq, VIRTIO_F_VERSION_1))
		hlen = sizeof(struct virtio_net_hdr_mrg_rxbuf);
	nvq->vhost_hlen = 0;
	nvq->sock_hlen = 0;
	if (shunt_vq_has(vq, VHOST_NET_F_VIRTIO_NET_HDR))
		nvq->vhost_hlen = hlen;
	else
		nvq->sock_hlen = hlen;
	return vq->index == NET_RX ? shunt_net_rx(vq) : shunt_net_tx(vq);
}

/*
 * VHOST_NET_SET_BACKEND: join a queue to a socket and start it, join a running
 * queue to another socket, or (VHOST_FILE_UNBIND) stop it.
 *
 * -ENOBUFS: no such queue; -EBADF; -ENOTSOCK: the file is no back end; -EINVAL:
 * the TAP has no interface; or what shunt_vq_start() returns.
 */
static long set_backend(struct shunt_dev *dev, void __user *arg)
{
	struct vhost_vring_file a;
	struct file *file = NULL;
	struct socket *sock = NULL;
	struct shunt_vq *vq;
	int err = 0;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.index >= dev->nr_vqs)
		return -ENOBUFS;
	vq = dev->vqs[array_index_nospec(a.index, dev->nr_vqs)];
	if (a.fd != VHOST_FILE_UNBIND) {
		file = fget(a.fd);
		if (!file)
			return -EBADF;
		sock = back_end_socket(file);
		if (IS_ERR(sock)) {
			fput(file);
			return PTR_ERR(sock);
		}
	}

	shunt_vq_lock(vq);
	if (!file || vq->broken)
		shunt_vq_stop(vq);
	if (file && !vq->running)
		err = shunt_vq_start(vq);
	if (!err || !vq->running)
		net_detach(vq);
	if (file && !err) {
		net_attach(vq, file, sock);
		file = NULL;
	}
	shunt_vq_unlock(vq);
	if (file)
		fput(file);
	return err;
}

/* shunt_ops.ioctl */
static long net_ioctl(struct shunt_dev *dev, unsigned int cmd, void __user *arg)
{
	return cmd == VHOST_NET_SET_BACKEND ? set_backend(dev, arg) :
					      -ENOIOCTLCMD;
}

static const struct shunt_ops net_ops = {
	.name = "net",
	.unit = "packets",
	.features = BIT_ULL(VIRTIO_NET_F_MRG_RXBUF) |
		    BIT_ULL(VHOST_NET_F_VIRTIO_NET_HDR) |
		    BIT_ULL(VIRTIO_F_IN_ORDER),
	.run = net_run,
	.stop = net_detach,
	.ioctl = net_ioctl,
};

static int net_open(struct inode *inode, struct file *file)
{
	static const struct {
		const char *role;
		__poll_t mask;
	} queue[NET_VQS] = {
		[NET_RX] = { "rx", EPOLLIN },
		[NET_TX] = { "tx", EPOLLOUT },
	};
	struct shunt_net *net = kvzalloc(sizeof(*net), GFP_KERNEL_ACCOUNT);
	u32 i;

	if (!net)
		return -ENOMEM;
	shunt_dev_init(&net->dev, net->vqs, &net_ops);
	for (i = 0; i < NET_VQS; i++) {
		struct shunt_net_vq *nvq = &net->vq[i];

		shunt_dev_add_vq(&net->dev, &nvq->vq);
		nvq->vq.role = queue[i].role;
		shunt_poll_init(&nvq->poll, &nvq->vq, queue[i].mask);
	}
	file->private_data = &net->dev;
	return 0;
}

static int net_release(struct inode *inode, struct file *file)
{
	struct shunt_dev *dev = file->private_data;

	shunt_dev_destroy(dev);
	kvfree(container_of(dev, struct shunt_net, dev));
	return 0;
}

static const struct file_operations net_fops = {
	.owner = THIS_MODULE,
	.open = net_open,
	.release = net_release,
	SHUNT_FILE_OPERATIONS,
};

static struct miscdevice net_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "shunt-net",
	.fops = &net_fops,
};

static struct miscdevice stand_in_misc = {
	.minor = VHOST_NET_MINOR,
	.name = "vhost-net",
	.fops = &net_fops,
};

static int __init net_init(void)
{
	int err = misc_register(&net_misc);

	if (err)
		return err;
	if (stand_in) {
		err = misc_register(&stand_in_misc);
		if (err) {
			pr_err("shunt_net: /dev/vhost-net is taken, is vhost_net loaded?\n");
			misc_deregister(&net_misc);
		}
	}
	return err;
}
module_init(net_init);

static void __exit net_exit(void)
{
	if (stand_in)
		misc_deregister(&stand_in_misc);
	misc_deregister(&net_misc);
}
module_exit(net_exit);

MODULE_DESCRIPTION("Shunt: in-kernel virtio-net back end");
MODULE_LICENSE("GPL");
