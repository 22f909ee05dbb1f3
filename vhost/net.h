/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * net.h - what net.c, net_rx.c and net_tx.c share
 */
#ifndef SHUNT_NET_H
#define SHUNT_NET_H

#include <linux/ptr_ring.h>
#include <linux/virtio_net.h>
#include <net/sock.h>
#include <net/xdp.h>

#include "shunt.h"

/**
 * struct shunt_frags - the page, of some order, that frames to be sent are put into
 * @page: it, or NULL
 * @addr: its address
 * @size: of it, in bytes; 0 without one
 * @offset: where the next frame goes
 * @refs: references to it that are ours; a frame takes one of them along
 */
struct shunt_frags {
	struct page *page;
	void *addr;
	u32 size;
	u32 offset;
	int refs;
};

/**
 * struct shunt_net_vq - a virtqueue and the socket behind it
 * @vq: the queue; its mutex protects everything here
 * @file: the back end, referenced while attached, or NULL
 * @sock: its socket; lives as long as @file
 * @tap: it is a TAP or a macvtap, no packet socket
 * @poll: for the socket: frames to receive, or room to transmit
 * @vhost_hlen: bytes of virtio-net header that are ours to make or to strip
 * @sock_hlen: bytes of virtio-net header that go through to the socket
 * @ring: where a TAP or macvtap leaves frames, NULL for a packet socket
 * @queue: frames taken from @ring, not yet in the guest: skbs or, from a TAP,
 *	xdp_frames with a bit set
 * @head: first one in @queue
 * @tail: behind the last one in @queue
 * @xdp: frames for the socket, not yet sent
 * @nr_xdp: how many
 * @frags: where the next ones go
 */
struct shunt_net_vq {
	struct shunt_vq vq;
	struct file *file;
	struct socket *sock;
	bool tap;
	struct shunt_poll poll;
	u32 vhost_hlen;
	u32 sock_hlen;
	union {
		struct {
			struct ptr_ring *ring;
			void *queue[SHUNT_BATCH];
			u32 head;
			u32 tail;
		};
		struct {
			struct xdp_buff xdp[SHUNT_BATCH];
			u32 nr_xdp;
			struct shunt_frags frags;
		};
	};
};

static inline struct shunt_net_vq *to_net_vq(struct shunt_vq *vq)
{
	return container_of(vq, struct shunt_net_vq, vq);
}

/**
 * shunt_net_over() - account for frames, and say whether a pass is over
 * @packets: of this pass so far, counted up here
 * @bytes: of this pass so far, counted up here
 * @nr: how many frames
 * @len: of them all, in bytes
 */
static inline bool shunt_net_over(u32 *packets, u64 *bytes, u32 nr, size_t len)
{
	*packets += nr;
	*bytes += len;
	return *packets >= SHUNT_PASS_PACKETS || *bytes >= SHUNT_PASS_BYTES;
}

/* net_rx.c */
int shunt_net_rx(struct shunt_vq *vq);
void shunt_net_rx_detach(struct shunt_net_vq *nvq);

/* net_tx.c */
int shunt_net_tx(struct shunt_vq *vq);
void shunt_net_tx_detach(struct shunt_net_vq *nvq);

#endif
