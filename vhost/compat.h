/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compat.h - the only file that knows how kernels differ
 *
 * Each difference is found by a compile probe (scripts/compat) that is run
 * against the headers of the kernel that is built for; its answer is in
 * compat_probes.h. There are no comparisons of version numbers.
 */
#ifndef SHUNT_COMPAT_H
#define SHUNT_COMPAT_H

#include <linux/eventfd.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/xdp.h>

#include "compat_probes.h"

/**
 * compat_eventfd_signal() - add one to an eventfd's counter
 * @ctx: the eventfd
 *
 * Context: any. The count was an argument until Linux 6.8.
 */
static inline void compat_eventfd_signal(struct eventfd_ctx *ctx)
{
#ifdef HAVE_EVENTFD_SIGNAL_COUNT
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

/**
 * compat_tun_xdp_headroom() - room that a TAP wants in front of an XDP buffer
 *
 * The TAP finds the virtio-net header and, until Linux 7.0, the size of the
 * buffer at its very start.
 */
static inline u32 compat_tun_xdp_headroom(void)
{
#ifdef HAVE_TUN_XDP_HDR
	return sizeof(struct tun_xdp_hdr);
#else
	return sizeof(struct virtio_net_hdr);
#endif
}

/**
 * compat_tun_xdp_init() - make an XDP buffer for TUN_MSG_PTR
 * @xdp: the buffer's descriptor, written here
 * @hard_start: its memory, starting with compat_tun_xdp_headroom() bytes
 * @size: of the memory, the room for skb_shared_info at its end included
 * @headroom: where the frame starts
 * @len: of the frame, in bytes
 * @gso: its virtio-net header
 */
static inline void compat_tun_xdp_init(struct xdp_buff *xdp, void *hard_start,
				       u32 size, u32 headroom, u32 len,
				       const struct virtio_net_hdr *gso)
{
#ifdef HAVE_TUN_XDP_HDR
	struct tun_xdp_hdr *hdr = hard_start;

	hdr->buflen = size;
	hdr->gso = *gso;
#else
	*(struct virtio_net_hdr *)hard_start = *gso;
#endif
	xdp_init_buff(xdp, size, NULL);
	xdp_prepare_buff(xdp, hard_start, headroom, len, true);
}

#endif
