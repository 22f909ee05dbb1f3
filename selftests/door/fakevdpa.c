// SPDX-License-Identifier: GPL-2.0-only
/*
 * fakevdpa.c - a virtio function that is not there: see fakevdpa.h
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "door/vdpa.h"
#include "fake.h"
#include "fakevdpa.h"

#define BIT(n) (1ULL << (n))
#define NEEDED (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))
#define PAGE   4096ull

static bool reaches(const struct fake_vdpa *fake, uint64_t address, uint64_t size)
{
	for (unsigned int i = 0; i < fake->map_count; i++) {
		uint64_t into = address - fake->maps[i].first;

		if (into < fake->maps[i].size && size <= fake->maps[i].size - into)
			return true;
	}
	return false;
}

void fake_vdpa_check(const struct fake_vdpa *fake)
{
	bool packed = fake->features & BIT(VIRTIO_F_RING_PACKED);

	for (unsigned int i = 0; i < FAKE_VQS; i++) {
		const struct fake_vq *vq = &fake->vqs[i];

		if (!vq->enabled && !vq->ready)
			continue;
		MUST(reaches(fake, vq->addr.desc_user_addr, 16ULL * vq->num));
		MUST(reaches(fake, vq->addr.avail_user_addr, packed ? 4 : 6 + 2ULL * vq->num));
		MUST(reaches(fake, vq->addr.used_user_addr, packed ? 4 : 6 + 8ULL * vq->num));
	}
}

static void forget(struct fake_vdpa *fake)
{
	fake->status = 0;
	fake->features = 0;
	for (unsigned int i = 0; i < FAKE_VQS; i++) {
		struct fake_vq *vq = &fake->vqs[i];

		*vq = (struct fake_vq){ .kick = vq->kick, .call = vq->call, .err = vq->err };
	}
}

bool fake_vdpa_is_new(const struct fake_vdpa *fake)
{
	for (unsigned int i = 0; i < FAKE_VQS; i++)
		if (fake->vqs[i].kick >= 0 || fake->vqs[i].call >= 0 || fake->vqs[i].err >= 0)
			return false;
	return !fake->status && !fake->map_count && !fake->mapped && fake->config_call < 0;
}

static int set_status(struct fake_vdpa *fake, uint8_t status)
{
	if (!status) {
		forget(fake);
		fake->resets++;
		return 0;
	}
	MUST(!(fake->status & ~status));
	if (status & ~fake->status & VIRTIO_CONFIG_S_FEATURES_OK) {
		MUST(fake->status & VIRTIO_CONFIG_S_DRIVER);
		MUST((fake->features & NEEDED) == NEEDED);
		if (fake->declines)
			status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	}
	if (status & ~fake->status & VIRTIO_CONFIG_S_DRIVER_OK) {
		MUST(fake->status & VIRTIO_CONFIG_S_FEATURES_OK);
		for (unsigned int i = 0; i < FAKE_VQS; i++)
			fake->vqs[i].enabled = fake->vqs[i].ready;
	}
	fake->status = status;
	return 0;
}

static int set_features(struct fake_vdpa *fake, uint64_t features)
{
	MUST(!(fake->status & VIRTIO_CONFIG_S_FEATURES_OK));
	MUST(!(features & ~fake->offered) && (features & NEEDED) == NEEDED);
	fake->features = features;
	return 0;
}

static int set_addr(struct fake_vq *vq, const struct vhost_vring_addr *addr, bool packed)
{
	MUST(!vq->enabled && !addr->flags);
	MUST(!(addr->desc_user_addr % 16) && !(addr->used_user_addr % 4));
	MUST(!(addr->avail_user_addr % (packed ? 4 : 2)));
	vq->addr = *addr;
	vq->addressed = true;
	return 0;
}

static int set_enable(struct fake_vdpa *fake, struct fake_vq *vq, bool on)
{
	MUST(fake->status & VIRTIO_CONFIG_S_FEATURES_OK);
	MUST(!on || (vq->num && vq->addressed));
	vq->ready = on;
	if (on && fake->status & VIRTIO_CONFIG_S_DRIVER_OK)
		vq->enabled = true;
	return 0;
}

/* Without MQ a card has one pair, and the control queue after it. */
static unsigned int size_of(const struct fake_vdpa *fake, unsigned int index)
{
	bool missing = fake->kind == VIRTIO_ID_NET && index > 1 &&
		       !(fake->features & BIT(VIRTIO_NET_F_MQ)) &&
		       (index > 2 || !(fake->features & BIT(VIRTIO_NET_F_CTRL_VQ)));

	return missing ? 0 : FAKE_NUM;
}

static int vq_control(struct fake_vdpa *fake, unsigned long request, void *argument)
{
	struct vhost_vring_state *state = argument;
	const struct vhost_vring_file *file = argument;
	bool packed = fake->features & BIT(VIRTIO_F_RING_PACKED);
	struct fake_vq *vq;

	MUST(state->index < FAKE_VQS);
	vq = &fake->vqs[state->index];
	switch (request) {
	case VHOST_VDPA_GET_VRING_SIZE:
		MUST(fake->status & VIRTIO_CONFIG_S_FEATURES_OK);
		state->num = size_of(fake, state->index);
		return 0;
	case VHOST_SET_VRING_NUM:
		MUST(!vq->enabled && fake->status & VIRTIO_CONFIG_S_FEATURES_OK);
		MUST(state->num && state->num <= size_of(fake, state->index));
		MUST(packed || !(state->num & (state->num - 1)));
		vq->num = state->num;
		return 0;
	case VHOST_SET_VRING_BASE:
		MUST(!vq->enabled);
		MUST(packed ? state->num == 0x80008000u || state->num == 0x8000u : !state->num);
		return 0;
	case VHOST_SET_VRING_ADDR:
		return set_addr(vq, argument, packed);
	case VHOST_SET_VRING_KICK:
		return fake_set_eventfd(&vq->kick, file->fd);
	case VHOST_SET_VRING_CALL:
		return fake_set_eventfd(&vq->call, file->fd);
	case VHOST_SET_VRING_ERR:
		return fake_set_eventfd(&vq->err, file->fd);
	case VHOST_VDPA_SET_VRING_ENABLE:
		return set_enable(fake, vq, state->num);
	}
	return fake_refuse(ENOTTY);
}

static size_t config_size(const struct fake_vdpa *fake)
{
	return fake->kind == VIRTIO_ID_NET ? sizeof(struct virtio_net_config) :
					     sizeof(struct virtio_blk_config);
}

static int get_config(const struct fake_vdpa *fake, struct vhost_vdpa_config *config)
{
	const struct virtio_net_config net = { .mac = { 2, 3, 4, 5, 6, 7 },
					       .max_virtqueue_pairs = htole16(fake->pairs),
					       .mtu = htole16(1500) };
	const struct virtio_blk_config blk = { .capacity = htole64(0x070605040302),
					       .num_queues = htole16(fake->pairs) };
	const void *whole = fake->kind == VIRTIO_ID_NET ? (const void *)&net : &blk;

	MUST(config->len && config->len <= config_size(fake) &&
	     config->off <= config_size(fake) - config->len);
	memcpy(config->buf, (const uint8_t *)whole + config->off, config->len);
	return 0;
}

static int fake_control(void *self, int fd, unsigned long request, void *argument)
{
	const uint64_t backend = BIT(VHOST_BACKEND_F_IOTLB_MSG_V2);
	struct vhost_vdpa_iova_range *range = argument;
	struct fake_vdpa *fake = self;
	uint64_t *features = argument;
	uint32_t *number = argument;
	uint8_t *status = argument;

	MUST(fd == FAKE_NODE);
	if (fake->gone)
		return fake_refuse(ENODEV);
	switch (request) {
	case VHOST_GET_FEATURES:
		*features = fake->offered;
		return 0;
	case VHOST_SET_FEATURES:
		return set_features(fake, *features);
	case VHOST_GET_BACKEND_FEATURES:
		*features = backend;
		return 0;
	case VHOST_SET_BACKEND_FEATURES:
		MUST(*features == backend);
		return 0;
	case VHOST_SET_OWNER:
		MUST(!fake->owned);
		fake->owned = true;
		return 0;
	case VHOST_VDPA_GET_DEVICE_ID:
		*number = fake->kind;
		return 0;
	case VHOST_VDPA_GET_VQS_COUNT:
		*number = FAKE_VQS;
		return 0;
	case VHOST_VDPA_GET_CONFIG_SIZE:
		*number = (uint32_t)config_size(fake);
		return 0;
	case VHOST_VDPA_GET_CONFIG:
		return get_config(fake, argument);
	case VHOST_VDPA_GET_IOVA_RANGE:
		*range = (struct vhost_vdpa_iova_range){ FAKE_FIRST, FAKE_LAST };
		return 0;
	case VHOST_VDPA_GET_STATUS:
		*status = fake->status;
		return 0;
	case VHOST_VDPA_SET_STATUS:
		return set_status(fake, *status);
	case VHOST_VDPA_SET_CONFIG_CALL:
		return fake_set_eventfd(&fake->config_call, *(int *)argument);
	default:
		return vq_control(fake, request, argument);
	}
}

static int map(struct fake_vdpa *fake, const struct vhost_iotlb_msg *msg)
{
	MUST(msg->size && !((msg->iova | msg->size | msg->uaddr) % PAGE));
	MUST(msg->iova <= FAKE_LAST && msg->size - 1 <= FAKE_LAST - msg->iova);
	MUST(fake_is_mapped(msg->uaddr, msg->size));
	MUST(fake->map_count < FAKE_MAPS);
	for (unsigned int i = 0; i < fake->map_count; i++)
		MUST(msg->iova - fake->maps[i].first >= fake->maps[i].size &&
		     fake->maps[i].first - msg->iova >= msg->size);
	if (fake->unmappable)
		return fake_refuse(fake->unmappable);
	if (FAKE_RESERVED - msg->iova < msg->size)
		return fake_refuse(EINVAL);
	if (msg->size > fake->most - fake->mapped)
		return fake_refuse(ENOMEM);
	fake->maps[fake->map_count].first = msg->iova;
	fake->maps[fake->map_count++].size = msg->size;
	fake->mapped += msg->size;
	fake->updates++;
	return 0;
}

/* All mappings that are in a range, none of which is there in part. */
static int unmap(struct fake_vdpa *fake, const struct vhost_iotlb_msg *msg)
{
	uint64_t left = msg->size;

	for (unsigned int i = fake->map_count; i; i--) {
		const uint64_t first = fake->maps[i - 1].first, size = fake->maps[i - 1].size;

		if (first - msg->iova >= msg->size) {
			MUST(msg->iova - first >= size);
			continue;
		}
		MUST(size <= msg->size - (first - msg->iova));
		fake->maps[i - 1] = fake->maps[--fake->map_count];
		fake->mapped -= size;
		left -= size;
	}
	MUST(!left);
	return 0;
}

static long fake_inject(void *self, int fd, const void *frame, size_t size)
{
	const struct vhost_msg_v2 *msg = frame;
	struct fake_vdpa *fake = self;
	int bad;

	MUST(fd == FAKE_NODE && size == sizeof(*msg));
	MUST(msg->type == VHOST_IOTLB_MSG_V2 && !msg->asid && fake->owned);
	if (fake->gone)
		return fake_refuse(ENODEV);
	MUST(msg->iotlb.type == VHOST_IOTLB_UPDATE || msg->iotlb.type == VHOST_IOTLB_INVALIDATE);
	bad = msg->iotlb.type == VHOST_IOTLB_UPDATE ? map(fake, &msg->iotlb) :
						      unmap(fake, &msg->iotlb);
	return bad ? -1 : (long)size;
}

void fake_vdpa_init(struct fake_vdpa *fake, uint32_t kind)
{
	*fake = (struct fake_vdpa){
		.kernel = { .control = fake_control,
			    .peek = fake_peek,
			    .inject = fake_inject,
			    .self = fake },
		.kind = kind,
		.offered = NEEDED | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			   BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_RING_PACKED) |
			   BIT(VIRTIO_F_ORDER_PLATFORM),
		.pairs = kind == VIRTIO_ID_NET ? FAKE_VQS / 2 : FAKE_VQS,
		.most = 1ull << 30,
		.config_call = -1,
	};
	if (kind == VIRTIO_ID_NET)
		fake->offered |= BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_MAC) |
				 BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_STATUS) |
				 BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_CTRL_VQ) |
				 BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_MQ);
	else
		fake->offered |= BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_FLUSH) |
				 BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_MQ);
	for (unsigned int i = 0; i < FAKE_VQS; i++)
		fake->vqs[i] = (struct fake_vq){ .kick = -1, .call = -1, .err = -1 };
}
