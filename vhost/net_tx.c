// SPDX-License-Identifier: GPL-2.0-only
/*
 * net_tx.c - frames from the guest to the socket
 *
 * DOC: Theory of Operation
 *
 * A batch of requests is fetched, each is one frame behind a virtio-net header.
 * Where the socket takes XDP buffers (TAP and macvtap without a send limit) and
 * the frame fits into a page, it is copied once into a page fragment, and up to
 * SHUNT_BATCH of them are handed over in one call (TUN_MSG_PTR). Other frames go
 * one by one with sendmsg(); what is waiting is sent first, so that order is
 * kept. Then the batch is returned to the driver.
 *
 * Frames are dropped, as on a wire, when they are shorter than their headers or
 * longer than any frame, when the socket refuses them, or memory is short. When
 * the socket is full (-EAGAIN: a TAP with a send limit) the queue waits for room.
 *
 * A request with writable segments, or one whose memory is not there, breaks
 * the queue.
 */
#include <linux/etherdevice.h>
#include <linux/if_tun.h>

#include "compat.h"
#include "net.h"

/* In front of the frame: for the TAP, for XDP programs, and our header. */
#define HEADROOM (XDP_PACKET_HEADROOM + NET_IP_ALIGN)
#define TAILROOM SKB_DATA_ALIGN(sizeof(struct skb_shared_info))

/*
 * The longest request that is taken for a frame, in bytes, header included: more
 * than segmentation can ever leave to us (VIRTIO 1.2, 5.1.6.2), and little
 * enough for a TAP, which counts in int and may ask for all of it in one piece.
 */
#define FRAME_MAX (128 * 1024)

/*
 * Frames are put into pages of 32 KiB, or of the least size when memory is short, and
 * no more of them fit into one than it is given references beforehand: that is an
 * atomic operation or three a page, and none a frame. What is in a full page is sent
 * before another one is looked for: most often nobody has it any more then, and it is
 * the next one. A new page may cost more than the frames that fit into it
 * (init_on_alloc has the kernel clear it).
 */
#define FRAGS_ORDER get_order(32 * 1024)
#define FRAGS_REFS 256

/* What a pass has come to. */
struct tx {
	u32 packets;
	u64 bytes;
	bool over; /* the pass is */
	bool full; /* the socket is */
};

static void send_xdp(struct shunt_net_vq *nvq)
{
	struct tun_msg_ctl ctl = {
		.type = TUN_MSG_PTR,
		.num = nvq->nr_xdp,
		.ptr = nvq->xdp,
	};
	struct msghdr msg = {
		.msg_control = &ctl,
		.msg_controllen = sizeof(ctl),
		.msg_flags = MSG_DONTWAIT,
	};
	u32 i;

	if (!nvq->nr_xdp)
		return;
	if (nvq->sock->ops->sendmsg(nvq->sock, &msg, 0) < 0) {
		/* Nothing was taken: the interface is gone. */
		for (i = 0; i < nvq->nr_xdp; i++)
			put_page(virt_to_head_page(nvq->xdp[i].data));
		nvq->vq.stats.drops += nvq->nr_xdp;
	}
	nvq->nr_xdp = 0;
}

/* Let go of the page: the frames in it keep it for as long as they are there. */
static void put_frags(struct shunt_frags *f)
{
	if (f->page) {
		page_ref_sub(f->page, f->refs - 1);
		put_page(f->page);
	}
	memset(f, 0, sizeof(*f));
}

/* Begin the page anew when no frame is in it any more. Return: whether that is so. */
static bool reuse_frags(struct shunt_frags *f)
{
	if (!f->page || page_ref_count(f->page) != f->refs)
		return false;
	page_ref_add(f->page, FRAGS_REFS - f->refs);
	f->refs = FRAGS_REFS;
	f->offset = 0;
	return true;
}

/* Begin a page: the same, or another one. Return: 0 or -ENOMEM. */
static noinline int refill_frags(struct shunt_frags *f)
{
	const gfp_t gfp = (GFP_KERNEL & ~__GFP_DIRECT_RECLAIM) | __GFP_COMP |
			  __GFP_NOWARN | __GFP_NORETRY;

	BUILD_BUG_ON((PAGE_SIZE << FRAGS_ORDER) / (HEADROOM + TAILROOM) >=
		     FRAGS_REFS);
	if (reuse_frags(f))
		return 0;
	put_frags(f);
	f->page = alloc_pages(gfp, FRAGS_ORDER);
	f->size = PAGE_SIZE << FRAGS_ORDER;
	if (!f->page) {
		f->page = alloc_page(GFP_KERNEL);
		f->size = f->page ? PAGE_SIZE : 0;
	}
	if (!f->page)
		return -ENOMEM;
	f->addr = page_address(f->page);
	page_ref_add(f->page, FRAGS_REFS - 1);
	f->refs = FRAGS_REFS;
	return 0;
}

/*
 * Copy a frame behind those that wait. Return: 0; -ENOMEM; or -EFAULT when the
 * request's memory is not there.
 */
static int add_xdp(struct shunt_net_vq *nvq, const struct shunt_req *req,
		   size_t len)
{
	u32 size = SKB_DATA_ALIGN(HEADROOM + len) + TAILROOM;
	static const struct virtio_net_hdr none;
	const struct virtio_net_hdr *gso = &none;
	struct shunt_frags *f = &nvq->frags;
	void *buf;
	int err;

	BUILD_BUG_ON(HEADROOM <
		     compat_tun_xdp_headroom() +
			     sizeof(struct virtio_net_hdr_mrg_rxbuf));
	if (unlikely(f->offset + size > f->size)) {
		send_xdp(nvq);
		err = refill_frags(f);
		if (err)
			return err;
	}
	buf = f->addr + f->offset;

	/* Header and frame with one copy; the header is then looked at here. */
	err = shunt_mem_read_page(req->iov, req->out, nvq->vhost_hlen,
				  buf + HEADROOM - nvq->sock_hlen,
				  nvq->sock_hlen + len);
	if (err)
		return err;
	if (nvq->sock_hlen)
		gso = buf + HEADROOM - nvq->sock_hlen;
	compat_tun_xdp_init(&nvq->xdp[nvq->nr_xdp++], buf, size, HEADROOM, len,
			    gso);
	f->refs--;
	f->offset += size;
	if (nvq->nr_xdp == SHUNT_BATCH)
		send_xdp(nvq);
	return 0;
}

/* Return: 0, or what the socket returned. */
static int send_one(struct shunt_net_vq *nvq, const struct shunt_req *req)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT };
	int err;

	iov_iter_init(&msg.msg_iter, WRITE, req->iov, req->out, req->out_len);
	iov_iter_advance(&msg.msg_iter, nvq->vhost_hlen);
	err = nvq->sock->ops->sendmsg(nvq->sock, &msg,
				      iov_iter_count(&msg.msg_iter));
	return min(err, 0);
}

/*
 * One frame. @xdp: the socket takes XDP buffers. Return: 0: it was sent or dropped;
 * -EAGAIN; or a fatal error.
 */
static int transmit(struct shunt_net_vq *nvq, const struct shunt_req *req,
		    bool xdp)
{
	u32 hlen = nvq->vhost_hlen + nvq->sock_hlen;
	size_t len;
	int err;

	if (unlikely(req->in))
		return -EINVAL;
	if (unlikely(req->out_len < hlen + ETH_HLEN ||
		     req->out_len > FRAME_MAX)) {
		nvq->vq.stats.drops++;
		return 0;
	}
	len = req->out_len - hlen;

	if (xdp && SKB_DATA_ALIGN(HEADROOM + len) + TAILROOM <= PAGE_SIZE) {
		err = add_xdp(nvq, req, len);
	} else {
		send_xdp(nvq);
		err = send_one(nvq, req);
	}
	switch (err) {
	case 0:
		nvq->vq.stats.packets++;
		nvq->vq.stats.bytes += len;
		return 0;
	case -EAGAIN:
	case -EFAULT:
		return err;
	default:
		nvq->vq.stats.drops++;
		return 0;
	}
}

/* Serve the first @n requests of the batch; what is not served is put back. */
static int transmit_batch(struct shunt_net_vq *nvq, struct tx *tx, u32 n)
{
	const bool xdp =
		nvq->tap && READ_ONCE(nvq->sock->sk->sk_sndbuf) == INT_MAX;
	struct shunt_vq *vq = &nvq->vq;
	int err = 0, push;
	u32 i;

	/* A TAP has mostly done with the last batch: no need for another page. */
	if (nvq->frags.offset)
		reuse_frags(&nvq->frags);
	for (i = 0; i < n && !tx->over; i++) {
		const struct shunt_req *req = &vq->req[i];

		err = transmit(nvq, req, xdp);
		if (err)
			break;
		tx->over = shunt_net_over(&tx->packets, &tx->bytes, 1,
					  req->out_len);
	}
	send_xdp(nvq);
	shunt_vq_unfetch(vq, i);
	shunt_vq_done_reading(vq);
	push = shunt_vq_push(vq);
	if (err == -EAGAIN) {
		tx->full = true;
		err = 0;
	}
	return err ? err : push;
}

static bool ring_has_more(void *vq)
{
	return shunt_vq_pending(vq);
}

/**
 * shunt_net_tx() - a pass over a transmit queue
 * @vq: the queue
 *
 * Context and return: as shunt_ops.run.
 */
int shunt_net_tx(struct shunt_vq *vq)
{
	struct shunt_net_vq *nvq = to_net_vq(vq);
	struct tx tx = {};
	int err;

	shunt_poll_stop(&nvq->poll);
	err = shunt_vq_suppress(vq);
	while (!err && !tx.over && !tx.full) {
		int n = shunt_vq_fetch(vq, SHUNT_BATCH);

		if (n < 0)
			return n;
		if (n > 0) {
			err = transmit_batch(nvq, &tx, n);
			/* A look costs less than a fetch that finds nothing. */
			if (err || tx.over || tx.full || n == SHUNT_BATCH ||
			    shunt_vq_pending(vq))
				continue;
		} else {
			/* A guest may have us look in vain: that counts as well. */
			tx.over = shunt_net_over(&tx.packets, &tx.bytes, 1, 0);
		}
		if (shunt_worker_busy_poll(vq, ring_has_more, vq))
			continue;
		n = shunt_vq_arm(vq);
		if (n <= 0)
			return n;
		err = shunt_vq_suppress(vq);
	}
	if (tx.full)
		shunt_poll_start(&nvq->poll, nvq->file);
	else if (tx.over)
		shunt_worker_wake(vq);
	return err;
}

/**
 * shunt_net_tx_detach() - give back what transmitting holds
 * @nvq: a transmit queue, between two passes
 */
void shunt_net_tx_detach(struct shunt_net_vq *nvq)
{
	put_frags(&nvq->frags);
}
