/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ctrl_ring.h - a control queue as its driver has it: one command at a time
 *
 * ctrl_ring.c needs nothing of Linux but byte order and barriers, and is also compiled in
 * userspace, for functions that are made up.
 */
#ifndef SVFIO_CTRL_RING_H
#define SVFIO_CTRL_RING_H

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

/* Descriptors that are of use, and those of a command. */
#define SVFIO_CTRL_NUM 16
#define SVFIO_CTRL_DESCS 3
/* The most bytes that a command is about. */
#define SVFIO_CTRL_DATA 6

/**
 * struct svfio_ctrl_page - memory that the function reads and writes
 * @split, @packed: descriptors, in either layout (VIRTIO 1.2, 2.7 and 2.8)
 * @avail, @driver: the driver's part
 * @used, @device: the device's part
 * @hdr, @data, @ack: a command
 */
struct svfio_ctrl_page {
	union {
		struct vring_desc split[SVFIO_CTRL_NUM];
		struct vring_packed_desc packed[SVFIO_CTRL_NUM];
	};
	union {
		struct {
			__le16 flags;
			__le16 idx;
			__le16 ring[SVFIO_CTRL_NUM];
			__le16 used_event;
		} avail;
		struct vring_packed_desc_event driver;
	};
	union {
		struct {
			__le16 flags;
			__le16 idx;
			struct {
				__le32 id;
				__le32 len;
			} ring[SVFIO_CTRL_NUM];
			__le16 avail_event;
		} used;
		struct vring_packed_desc_event device;
	} __attribute__((aligned(VRING_USED_ALIGN_SIZE)));
	struct virtio_net_ctrl_hdr hdr;
	u8 data[SVFIO_CTRL_DATA];
	virtio_net_ctrl_ack ack;
};

/**
 * struct svfio_ctrl_ring - what the driver knows, and does not read from the page
 * @page: zeroed memory
 * @iova: where the function sees it
 * @num: descriptors in use, SVFIO_CTRL_DESCS at least
 * @is_packed: the layout
 * @next: the descriptor that the next command begins at
 * @used: of a split ring: commands so far, modulo 2^16
 * @wrap: of a packed ring: the driver's wrap counter at @next
 */
struct svfio_ctrl_ring {
	struct svfio_ctrl_page *page;
	u64 iova;
	u16 num;
	bool is_packed;
	u16 next;
	u16 used;
	bool wrap;
};

enum svfio_ctrl_answer {
	SVFIO_CTRL_NONE,
	SVFIO_CTRL_OK,
	SVFIO_CTRL_REFUSED,
	SVFIO_CTRL_NONSENSE,
};

void svfio_ctrl_ring_init(struct svfio_ctrl_ring *ring, bool event_idx);
void svfio_ctrl_ring_add(struct svfio_ctrl_ring *ring, u8 class, u8 cmd,
			 const void *data, u32 len);
enum svfio_ctrl_answer svfio_ctrl_ring_get(struct svfio_ctrl_ring *ring);

#endif
