// SPDX-License-Identifier: GPL-2.0-only
/*
 * ctrl_ring.c - a control queue as its driver has it: one command at a time
 *
 * DOC: Theory of Operation
 *
 * A command has three descriptors: what it is, what it is about, and room for the
 * acknowledgment (VIRTIO 1.2, 5.1.6.5). It begins where the one before ended, and
 * the next one is added when this one was used: so descriptors are taken in the
 * order of the ring, which is what VIRTIO_F_IN_ORDER asks for, and in a packed
 * ring a command is used where it begins.
 *
 * What the function writes is compared with the only thing that it may be, but for
 * the length of what it wrote: that may be an underestimate (VIRTIO 1.2, 2.7.8.2),
 * and some write 0 or all of the chain. What counts is the acknowledgment, which
 * is none before. The ring's state is not kept where the function could change it.
 *
 * Barriers: what is written before svfio_ctrl_ring_add() says that it is there
 * pairs with the function's reading of that; svfio_ctrl_ring_get() reads the rest
 * after that the command was used, and pairs with the function's writing.
 */
#include "ctrl_ring.h"

/* An acknowledgment that is none. */
#define NO_ACK 0xff

/* One segment of a command. */
struct part {
	u64 iova;
	u32 len;
	u16 flags;
};

#define IOVA_OF(ring, what)                                                    \
	((ring)->iova + offsetof(struct svfio_ctrl_page, what))

/**
 * svfio_ctrl_ring_init() - a ring of which nothing was used yet
 * @ring: with its page, size and layout
 * @event_idx: VIRTIO_F_EVENT_IDX was negotiated
 *
 * No interrupt is wanted, as far as that can be said.
 */
void svfio_ctrl_ring_init(struct svfio_ctrl_ring *ring, bool event_idx)
{
	ring->next = 0;
	ring->used = 0;
	ring->wrap = true;
	if (ring->is_packed)
		ring->page->driver.flags =
			cpu_to_le16(VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (!event_idx)
		ring->page->avail.flags =
			cpu_to_le16(VRING_AVAIL_F_NO_INTERRUPT);
}

/* VIRTIO 1.2, 2.7.13. */
static void split_add(struct svfio_ctrl_ring *ring, const struct part *part)
{
	struct svfio_ctrl_page *page = ring->page;
	u16 i;

	for (i = 0; i < SVFIO_CTRL_DESCS; i++) {
		const u16 pos = (ring->next + i) % ring->num;
		const u16 next = (pos + 1) % ring->num;

		page->split[pos] = (struct vring_desc){
			.addr = (__force __virtio64)cpu_to_le64(part[i].iova),
			.len = (__force __virtio32)cpu_to_le32(part[i].len),
			.flags = (__force __virtio16)cpu_to_le16(part[i].flags),
			.next = (__force __virtio16)cpu_to_le16(next),
		};
	}
	page->avail.ring[ring->used % ring->num] = cpu_to_le16(ring->next);
	/* The index says that the rest is there. */
	dma_wmb();
	WRITE_ONCE(page->avail.idx, cpu_to_le16(ring->used + 1));
}

/* VIRTIO 1.2, 2.7.14. */
static bool split_get(const struct svfio_ctrl_ring *ring, u32 *id)
{
	const struct svfio_ctrl_page *page = ring->page;
	const u16 pos = ring->used % ring->num;
	const u16 idx = le16_to_cpu(READ_ONCE(page->used.idx));

	if (idx == ring->used)
		return false;
	dma_rmb();
	*id = le32_to_cpu(READ_ONCE(page->used.ring[pos].id));
	/* There was one command: with any other index it is as an id that is none. */
	if (idx != (u16)(ring->used + 1))
		*id = U32_MAX;
	return true;
}

/* VIRTIO 1.2, 2.8.21. */
static void packed_add(struct svfio_ctrl_ring *ring, const struct part *part)
{
	int i;

	/* The first one last: its flags say that the rest is there. */
	for (i = SVFIO_CTRL_DESCS - 1; i >= 0; i--) {
		const u16 pos = (ring->next + i) % ring->num;
		const bool wrap = ring->wrap ^ (ring->next + i >= ring->num);
		struct vring_packed_desc *desc = &ring->page->packed[pos];

		desc->addr = cpu_to_le64(part[i].iova);
		desc->len = cpu_to_le32(part[i].len);
		desc->id = cpu_to_le16(ring->next);
		if (!i)
			dma_wmb();
		WRITE_ONCE(desc->flags,
			   cpu_to_le16(part[i].flags |
				       wrap << VRING_PACKED_DESC_F_AVAIL |
				       !wrap << VRING_PACKED_DESC_F_USED));
	}
}

static bool packed_get(const struct svfio_ctrl_ring *ring, u32 *id)
{
	const struct vring_packed_desc *desc = &ring->page->packed[ring->next];
	const u16 flags = le16_to_cpu(READ_ONCE(desc->flags));

	if (!(flags & 1U << VRING_PACKED_DESC_F_AVAIL) == ring->wrap ||
	    !(flags & 1U << VRING_PACKED_DESC_F_USED) == ring->wrap)
		return false;
	dma_rmb();
	*id = le16_to_cpu(READ_ONCE(desc->id));
	return true;
}

/**
 * svfio_ctrl_ring_add() - make a command available; the function is to be notified
 * @ring: none of whose commands is under way
 * @class: VIRTIO_NET_CTRL_*
 * @cmd: likewise
 * @data: what it is about, little-endian
 * @len: in bytes, 1 to SVFIO_CTRL_DATA
 */
void svfio_ctrl_ring_add(struct svfio_ctrl_ring *ring, u8 class, u8 cmd,
			 const void *data, u32 len)
{
	struct svfio_ctrl_page *page = ring->page;
	const struct part part[SVFIO_CTRL_DESCS] = {
		{ IOVA_OF(ring, hdr), sizeof(page->hdr), VRING_DESC_F_NEXT },
		{ IOVA_OF(ring, data), len, VRING_DESC_F_NEXT },
		{ IOVA_OF(ring, ack), sizeof(page->ack), VRING_DESC_F_WRITE },
	};

	page->hdr.class = class;
	page->hdr.cmd = cmd;
	memcpy(page->data, data, len);
	page->ack = NO_ACK;
	if (ring->is_packed)
		packed_add(ring, part);
	else
		split_add(ring, part);
}

/**
 * svfio_ctrl_ring_get() - what became of the command that was added
 * @ring: after svfio_ctrl_ring_add()
 *
 * Return: SVFIO_CTRL_NONE: it is under way. SVFIO_CTRL_NONSENSE: the ring is not
 * to be used any more. Else another command can be added.
 */
enum svfio_ctrl_answer svfio_ctrl_ring_get(struct svfio_ctrl_ring *ring)
{
	u32 id;
	u8 ack;

	if (ring->is_packed ? !packed_get(ring, &id) : !split_get(ring, &id))
		return SVFIO_CTRL_NONE;
	ack = READ_ONCE(ring->page->ack);
	if (id != ring->next || (ack != VIRTIO_NET_OK && ack != VIRTIO_NET_ERR))
		return SVFIO_CTRL_NONSENSE;
	ring->used++;
	ring->next += SVFIO_CTRL_DESCS;
	if (ring->next >= ring->num) {
		ring->next -= ring->num;
		ring->wrap = !ring->wrap;
	}
	return ack == VIRTIO_NET_OK ? SVFIO_CTRL_OK : SVFIO_CTRL_REFUSED;
}
