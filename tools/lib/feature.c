// SPDX-License-Identifier: GPL-2.0-only
/* Names of feature bits, both ways. */
#include <assert.h>
#include <linux/vhost.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feature.h"

/* Newer than Debian 12's kernel headers. */
#ifndef VIRTIO_F_NOTIFICATION_DATA
#define VIRTIO_F_NOTIFICATION_DATA 38
#endif

#define FEATURE_BITS 64

/* Below this bit a feature is of one kind of device (VIRTIO 1.2, 2.2). */
#define DEVICE_BITS 24

/*
 * Bit 27 means any-layout to virtio, and to vhost-net also that the kernel adds and strips the
 * virtio-net header; devices offer the two together.
 */
static const char *const names[] = {
	[VIRTIO_NET_F_MRG_RXBUF] = "mrg-rxbuf",
	[VIRTIO_F_NOTIFY_ON_EMPTY] = "notify-on-empty",
	[VHOST_F_LOG_ALL] = "log-all",
	[VIRTIO_F_ANY_LAYOUT] = "any-layout",
	[VIRTIO_RING_F_INDIRECT_DESC] = "indirect-desc",
	[VIRTIO_RING_F_EVENT_IDX] = "event-idx",
	[VIRTIO_F_VERSION_1] = "version-1",
	[VIRTIO_F_ACCESS_PLATFORM] = "access-platform",
	[VIRTIO_F_RING_PACKED] = "ring-packed",
	[VIRTIO_F_IN_ORDER] = "in-order",
	[VIRTIO_F_ORDER_PLATFORM] = "order-platform",
	[VIRTIO_F_SR_IOV] = "sr-iov",
	[VIRTIO_F_NOTIFICATION_DATA] = "notification-data",
	[VIRTIO_F_RING_RESET] = "ring-reset",
	[VIRTIO_NET_F_HASH_REPORT] = "hash-report",
	[VIRTIO_NET_F_RSS] = "rss",
	[FEATURE_BITS - 1] = NULL,
};

static_assert(sizeof(names) / sizeof(names[0]) == FEATURE_BITS, "one name a feature bit");
static_assert(VHOST_NET_F_VIRTIO_NET_HDR == VIRTIO_F_ANY_LAYOUT, "bit 27 has two meanings");

static const char *const blk_names[DEVICE_BITS] = {
	[VIRTIO_BLK_F_SIZE_MAX] = "size-max",
	[VIRTIO_BLK_F_SEG_MAX] = "seg-max",
	[VIRTIO_BLK_F_GEOMETRY] = "geometry",
	[VIRTIO_BLK_F_RO] = "ro",
	[VIRTIO_BLK_F_BLK_SIZE] = "blk-size",
	[VIRTIO_BLK_F_FLUSH] = "flush",
	[VIRTIO_BLK_F_TOPOLOGY] = "topology",
	[VIRTIO_BLK_F_CONFIG_WCE] = "config-wce",
	[VIRTIO_BLK_F_MQ] = "mq",
	[VIRTIO_BLK_F_DISCARD] = "discard",
	[VIRTIO_BLK_F_WRITE_ZEROES] = "write-zeroes",
	[VIRTIO_BLK_F_SECURE_ERASE] = "secure-erase",
};

void feature_name(unsigned int bit, char name[FEATURE_NAME_MAX])
{
	if (bit < FEATURE_BITS && names[bit])
		snprintf(name, FEATURE_NAME_MAX, "%s", names[bit]);
	else
		snprintf(name, FEATURE_NAME_MAX, "bit-%u", bit);
}

void feature_name_blk(unsigned int bit, char name[FEATURE_NAME_MAX])
{
	if (bit >= DEVICE_BITS)
		feature_name(bit, name);
	else if (blk_names[bit])
		snprintf(name, FEATURE_NAME_MAX, "%s", blk_names[bit]);
	else
		snprintf(name, FEATURE_NAME_MAX, "bit-%u", bit);
}

/* Bit of the name in the @length bytes at @word, or -1. */
static int bit_of(const char *word, size_t length)
{
	char name[FEATURE_NAME_MAX];

	for (unsigned int bit = 0; bit < FEATURE_BITS; bit++) {
		feature_name(bit, name);
		if (strlen(name) == length && !memcmp(name, word, length))
			return (int)bit;
	}
	return -1;
}

enum status feature_parse(const char *list, uint64_t *mask, struct failure *why)
{
	*mask = 0;
	for (;;) {
		size_t length = strcspn(list, ",");
		int bit = bit_of(list, length);

		if (bit < 0)
			return failed(why, ST_USAGE, "'%.*s' is not the name of a feature",
				      (int)length, list);
		*mask |= 1ULL << bit;
		if (!list[length])
			return ST_OK;
		list += length + 1;
	}
}

void feature_list(uint64_t mask, char *text, size_t size)
{
	char name[FEATURE_NAME_MAX];
	size_t used = 0;

	if (size)
		text[0] = '\0';
	for (unsigned int bit = 0; bit < FEATURE_BITS && used < size; bit++) {
		if (!(mask & (1ULL << bit)))
			continue;
		feature_name(bit, name);
		used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "," : "", name);
	}
}
