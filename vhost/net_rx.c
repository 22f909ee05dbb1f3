// SPDX-License-Identifier: GPL-2.0-only
/*
 * net_rx.c - frames from the socket to the guest
 *
 * DOC: Theory of Operation
 *
 * A TAP leaves its frames in a ring of pointers, from which up to SHUNT_BATCH
 * are taken at once. For each, as many of the guest's buffers are taken as it
 * needs: one, or with VIRTIO_NET_F_MRG_RXBUF any number. The socket copies the
 * frame into them (recvmsg() with the frame as msg_control). What a packet
 * socket has is looked at in its receive queue instead. After a batch the
 * buffers are returned together.
 *
 * Nearly all frames come from a TAP that makes the whole header, and fit into one
 * buffer of one piece, which need not be logged. deliver_usual() has a loop for runs of
 * these, in which nothing is asked that is the same for all of them; the others go by
 * deliver().
 *
 * Waiting: without frames, for the socket; the guest is not asked to kick.
 * Without buffers, for a kick; the socket is not polled, so that a sender does
 * not wake us in vain. Frames that wait fill the TAP's queue, and then are
 * dropped there.
 *
 * A pass that ends for want of frames leaves the socket's poll on, and the next one
 * does not touch it while it is short: lone frames, a pass each, cost no change of the
 * wait queue. A pass of many frames puts it off, so that a sender need not wake who is
 * awake, and so does one that ends in another way, or each frame would wake in vain. No
 * wake is lost by that. While the poll is on, whoever queues a frame then sets the
 * worker's bit, with a full barrier between, and the worker clears it, with a full
 * barrier, before it looks at the queue (worker.c): either it finds the frame, or the
 * bit is set once more and there is another pass. Where the poll is off at the end,
 * it is put on after the last look, and looks once more itself (shunt_poll_start()).
 * It also stays on where a pass cannot begin (queue.c: a broken queue, or a ring whose
 * translation is missing): there frames do wake in vain, until the TAP's queue is full.
 *
 * A frame that does not fit into the one buffer it may have, or into merged ones
 * of SHUNT_REQ_MAX requests and SHUNT_SEG_MAX segments, is dropped. A buffer with
 * readable segments, one with no room at all, or one whose memory is not there,
 * breaks the queue.
 */
#include <linux/if_tun.h>
#include <linux/if_vlan.h>

#include "net.h"

/*
 * What a pass has come to. @next is the first request in hand. @msg is for the
 * socket: what is in it stays, but for where a frame goes, which one it is, and flags
 * that the socket sets and nobody reads.
 */
struct rx {
	struct msghdr msg;
	u32 next;
	u32 packets;
	u64 bytes;
	bool over; /* the pass is */
};

static int frame_len(void *frame)
{
	struct sk_buff *skb = frame;

	if (tun_is_xdp_frame(frame))
		return tun_ptr_to_xdp(frame)->len;
	return skb->len + (skb_vlan_tag_present(skb) ? VLAN_HLEN : 0);
}

/* Length in bytes of the next frame, or -1. */
static int peek_len(struct shunt_net_vq *nvq)
{
	struct sk_buff_head *queue = &nvq->sock->sk->sk_receive_queue;
	struct sk_buff *skb;
	unsigned long flags;
	int len = -1;

	if (nvq->ring) {
		if (nvq->head == nvq->tail) {
			nvq->head = 0;
			nvq->tail = ptr_ring_consume_batched(
				nvq->ring, nvq->queue, SHUNT_BATCH);
			if (!nvq->tail)
				return -1;
		}
		return frame_len(nvq->queue[nvq->head]);
	}
	spin_lock_irqsave(&queue->lock, flags);
	skb = skb_peek(queue);
	if (skb)
		len = frame_len(skb);
	spin_unlock_irqrestore(&queue->lock, flags);
	return len;
}

static bool socket_has_more(void *arg)
{
	struct shunt_net_vq *nvq = arg;

	if (nvq->ring)
		return !ptr_ring_empty(nvq->ring);
	return !skb_queue_empty_lockless(&nvq->sock->sk->sk_receive_queue);
}

/*
 * Receive the next frame into @iov, behind our header, or with @nr 0 throw it away.
 * Return: bytes received, the socket's header included, or an error number.
 */
static __always_inline int receive(struct shunt_net_vq *nvq, struct msghdr *msg,
				   const struct iovec *iov, u32 nr, size_t room,
				   size_t len)
{
	const size_t skip = nvq->vhost_hlen;

	if (likely(nr == 1)) {
		iov_iter_ubuf(&msg->msg_iter, READ, iov->iov_base + skip,
			      room - skip);
	} else {
		iov_iter_init(&msg->msg_iter, READ, iov, nr, room);
		iov_iter_advance(&msg->msg_iter, min(skip, room));
	}
	if (nvq->ring) {
		void *frame = nvq->queue[nvq->head++];

		if (!nr) {
			tun_ptr_free(frame);
			return 0;
		}
		msg->msg_control = frame; /* consumed in any case */
	}
	return nvq->sock->ops->recvmsg(nvq->sock, msg, len,
				       MSG_DONTWAIT | MSG_TRUNC);
}

static void drop(struct shunt_net_vq *nvq, struct rx *rx)
{
	receive(nvq, &rx->msg, NULL, 0, 0, 0);
	nvq->vq.stats.drops++;
}

/*
 * How many requests in hand, from @first on, hold @need bytes. Return: 0 when
 * all are too few; -EMSGSIZE when one is all that a frame may have and it is
 * too small; -EINVAL when one is no receive buffer.
 */
static __always_inline int count_buffers(const struct shunt_vq *vq, u32 first,
					 size_t need)
{
	bool merge = shunt_vq_has(vq, VIRTIO_NET_F_MRG_RXBUF);
	size_t room = 0;
	u32 i;

	for (i = first; i < vq->batch.nr_req; i++) {
		const struct shunt_req *req = &vq->req[i];

		if (unlikely(req->out || !req->in_len))
			return -EINVAL;
		room += req->in_len;
		if (room >= need)
			return i + 1 - first;
		if (!merge)
			return -EMSGSIZE;
	}
	return 0;
}

/*
 * Fetch buffers for @need bytes: first as many as there are frames and then, when
 * those in hand are too few for one, more, up to as many as can be.
 * Return: how many requests from @rx->next on; 0: the guest has too few;
 * -EMSGSIZE: the frame will never fit; or an error number for run() to return.
 */
static noinline int fetch_buffers(struct shunt_net_vq *nvq, struct rx *rx,
				  size_t need)
{
	struct shunt_vq *vq = &nvq->vq;
	bool all;
	int n;

	do {
		u32 have = vq->batch.nr_req - rx->next;
		u32 max = have ? clamp_t(u32, 8 * have, SHUNT_BATCH,
					 SHUNT_REQ_MAX) :
				 max_t(u32, nvq->tail - nvq->head, 1);

		shunt_vq_unfetch(vq, rx->next);
		rx->next = 0;
		n = shunt_vq_fetch(vq, max);
		if (n <= 0)
			return n;
		all = n < max || max == SHUNT_REQ_MAX;
		n = count_buffers(vq, 0, need);
		if (n)
			return n;
	} while (!all);
	if (vq->fetch_err)
		return vq->fetch_err;
	/* These were all that one frame may have, or all there are. */
	return vq->batch.full || vq->batch.nr_req == SHUNT_REQ_MAX ? -EMSGSIZE :
								     0;
}

/* The virtio-net header's own part: how many buffers (VIRTIO 1.2, 5.1.6.4). */
static int write_header(struct shunt_net_vq *nvq, const struct iovec *iov,
			u32 nr, u16 buffers)
{
	struct virtio_net_hdr_mrg_rxbuf hdr = {};
	__virtio16 num = __cpu_to_virtio16(nvq->vq.ring.little_endian, buffers);

	if (likely(nvq->sock_hlen == sizeof(hdr)))
		return shunt_mem_write16(
			iov, nr, offsetof(typeof(hdr), num_buffers), num);
	if (!nvq->vhost_hlen)
		return 0;
	hdr.num_buffers = num;
	return shunt_mem_write(iov, nr, 0, &hdr, nvq->vhost_hlen);
}

/*
 * The socket has received @got bytes, or failed: into @iov, behind our header, the @nr
 * entries with @room bytes of the requests from @rx->next on. Return: as deliver().
 */
static int delivered(struct shunt_net_vq *nvq, struct rx *rx,
		     const struct iovec *iov, u32 nr, size_t room, int got)
{
	struct shunt_vq *vq = &nvq->vq;
	const struct shunt_req *req = &vq->req[rx->next];
	size_t left;
	u32 i;
	int err;

	if (unlikely(got == -EFAULT))
		return got;
	left = got + nvq->vhost_hlen;
	if (unlikely(got <= 0 || left > room)) {
		vq->stats.drops++;
		return 0;
	}
	vq->stats.packets++;
	vq->stats.bytes += left - nvq->vhost_hlen - nvq->sock_hlen;

	/* It may have become shorter than it looked. */
	for (i = 1, room = req->in_len; room < left; i++)
		room += req[i].in_len;
	err = write_header(nvq, iov, nr, i);
	/* The guest is to find all of a frame's buffers at once (5.1.6.4). */
	if (!err && unlikely(vq->nr_done + i > SHUNT_REQ_MAX))
		err = shunt_vq_push(vq);
	while (!err && left) {
		size_t used = min(left, req->in_len);

		err = shunt_vq_done(vq, rx->next, used);
		rx->next++;
		req++;
		left -= used;
	}
	return err;
}

/*
 * Put the next frame, of @len bytes, into the @n requests from @rx->next on.
 * Return: 0, also when the frame was lost; or an error number for run().
 */
static int deliver(struct shunt_net_vq *nvq, struct rx *rx, u32 n, u32 len)
{
	const struct shunt_req *req = &nvq->vq.req[rx->next];
	const struct iovec *iov = req->iov;
	size_t room = req->in_len;
	u32 i, nr = req->in;
	int got;

	/* The scatter lists of a batch follow one another. */
	for (i = 1; i < n; i++) {
		nr += req[i].in;
		room += req[i].in_len;
	}
	got = receive(nvq, &rx->msg, iov, nr, room, nvq->sock_hlen + len);
	rx->over = shunt_net_over(&rx->packets, &rx->bytes, 1, len);
	return delivered(nvq, rx, iov, nr, room, got);
}

/*
 * Put frames into a request each, for as long as both are of the usual kind and in
 * hand, up to the end of a batch. Return: whether there was one; or an error number
 * for run().
 */
static int deliver_usual(struct shunt_net_vq *nvq, struct rx *rx)
{
	const int hlen = sizeof(struct virtio_net_hdr_mrg_rxbuf);
	struct shunt_vq *vq = &nvq->vq;
	const __virtio16 one = __cpu_to_virtio16(vq->ring.little_endian, 1);
	const struct shunt_req *req = &vq->req[rx->next];
	const struct shunt_req *const first = req;
	struct socket *const sock = nvq->sock;
	const struct proto_ops *const ops = sock->ops;
	const struct ring_req *raw = &vq->batch.req[rx->next];
	struct ring_done *done = &vq->done[vq->nr_done];
	void **frame = &nvq->queue[nvq->head];
	u32 n = min(nvq->tail - nvq->head, vq->batch.nr_req - rx->next);
	u64 room = SHUNT_PASS_BYTES - rx->bytes, bytes = 0;
	int err = 0, got = 0, want = 0;
	void **end;

	if (unlikely(nvq->sock_hlen != hlen ||
		     shunt_vq_has(vq, VHOST_F_LOG_ALL)))
		return 0;
	n = min(n, SHUNT_BATCH - vq->nr_done);
	n = min(n, SHUNT_PASS_PACKETS - rx->packets);
	end = frame + n;
	while (frame < end && bytes < room) {
		const int len = frame_len(*frame);

		if (unlikely(req->in != 1 || req->out ||
			     req->in_len < hlen + len))
			break;
		iov_iter_ubuf(&rx->msg.msg_iter, READ, req->iov->iov_base,
			      req->in_len);
		rx->msg.msg_control = *frame++; /* consumed in any case */
		bytes += len;
		want = hlen + len;
		got = ops->recvmsg(sock, &rx->msg, want,
				   MSG_DONTWAIT | MSG_TRUNC);
		if (unlikely(got != want))
			break;
		err = shunt_mem_write16(
			req->iov, 1,
			offsetof(struct virtio_net_hdr_mrg_rxbuf, num_buffers),
			one);
		if (unlikely(err))
			break;
		shunt_done_set(done++, raw++, want, want == req->in_len);
		req++;
	}
	n = frame - &nvq->queue[nvq->head];
	nvq->head += n;
	rx->next += req - first;
	vq->nr_done += req - first;
	rx->over = shunt_net_over(&rx->packets, &rx->bytes, n, bytes);
	vq->stats.packets += req - first;
	vq->stats.bytes += bytes;
	if (unlikely(got != want)) {
		vq->stats.bytes -= want - hlen;
		err = delivered(nvq, rx, req->iov, 1, req->in_len, got);
	}
	return err ? err : n > 0;
}

/*
 * The guest has too few buffers: ask for a kick. Return: 1: it has more now; 0:
 * wait; or an error number for run().
 */
static int wait_for_buffers(struct shunt_vq *vq)
{
	int err = shunt_vq_push(vq);

	return err ? err : shunt_vq_arm(vq);
}

/* Put back what is in hand, and return what was served. */
static int settle(struct shunt_vq *vq, struct rx *rx)
{
	shunt_vq_unfetch(vq, rx->next);
	rx->next = 0;
	vq->batch.nr_req = 0;
	return shunt_vq_push(vq);
}

/**
 * shunt_net_rx() - a pass over a receive queue
 * @vq: the queue
 *
 * Context and return: as shunt_ops.run.
 */
int shunt_net_rx(struct shunt_vq *vq)
{
	struct shunt_net_vq *nvq = to_net_vq(vq);
	u32 hlen = nvq->vhost_hlen + nvq->sock_hlen;
	bool idle = false;
	struct rx rx = {};
	int err, n = 1;

	/* Who looks for frames himself need not be woken for each of them as well. */
	if (vq->busyloop)
		shunt_poll_stop(&nvq->poll);
	vq->batch.nr_req = 0;
	err = shunt_vq_suppress(vq);
	while (!err && n && !rx.over) {
		int len = peek_len(nvq);

		if (len < 0) {
			err = settle(vq, &rx);
			idle = !shunt_worker_busy_poll(vq, socket_has_more,
						       nvq);
			if (err || idle)
				break;
			continue;
		}
		n = count_buffers(vq, rx.next, hlen + len);
		if (!n)
			n = fetch_buffers(nvq, &rx, hlen + len);
		if (n > 0) {
			err = n == 1 ? deliver_usual(nvq, &rx) : 0;
			if (!err)
				err = deliver(nvq, &rx, n, len);
			err = min(err, 0);
			if (!err && vq->nr_done >= SHUNT_BATCH)
				err = shunt_vq_push(vq);
			if (rx.packets >= SHUNT_BATCH)
				shunt_poll_stop(&nvq->poll);
			continue;
		}
		/* All buffers were looked at in vain: once in a pass. */
		if (n == -EMSGSIZE) {
			drop(nvq, &rx);
			rx.over = true;
		} else {
			if (!n)
				n = wait_for_buffers(vq);
			err = min(n, 0);
			rx.over = n > 0;
		}
	}
	if (idle && !err) {
		shunt_poll_start(&nvq->poll, nvq->file);
		return 0;
	}
	n = settle(vq, &rx);
	err = err ? err : n;
	shunt_poll_stop(&nvq->poll);
	if (rx.over)
		shunt_worker_wake(vq);
	return err;
}

/**
 * shunt_net_rx_detach() - give frames back that are not in the guest yet
 * @nvq: a receive queue, between two passes
 */
void shunt_net_rx_detach(struct shunt_net_vq *nvq)
{
	if (nvq->ring && nvq->head != nvq->tail)
		ptr_ring_unconsume(nvq->ring, nvq->queue + nvq->head,
				   nvq->tail - nvq->head, tun_ptr_free);
	nvq->head = 0;
	nvq->tail = 0;
	nvq->ring = NULL;
}
