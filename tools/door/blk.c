// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks: what the door does with /dev/shunt-blk.
 *
 * DOC: Theory of Operation
 *
 * Which disk it is, and what it can do, is the device's since before the first connection. So
 * features and configuration are the kernel's, and asked for each time.
 *
 * That the guest may switch the write cache is offered only where struct door has the field as
 * @writable. No front end says again how it was when it reconnects, or when the guest has
 * migrated. A guest that has switched it off sends no flushes; so wherever it is not known what the
 * guest has said, it is off, and each write durable when it is returned: a guest that sends flushes
 * for a cache that it has not is safe. That is when a connection begins, when the guest has reset
 * its device, and when no ring runs any more, which is all that some front ends tell of a reset.
 *
 * What was taken from a ring when the device goes away, be it that its process was killed, has been
 * returned once it is gone (Documentation/architecture.rst): the used index tells the next back end
 * all. Of packed rings, which have none, the in-flight region does (inflight.c).
 *
 * Nobody else may begin before that. So while rings run there is a lock (flock) on the open file of
 * the disk, which the vhost device keeps open until it has returned everything, whoever else is
 * killed. Rings whose lock somebody else has do not start, and are tried again. A disk without
 * running rings is free for others, be it that none was let run: for the VMM that a guest migrates
 * to.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "blk.h"
#include "uapi/shunt.h"

#define BIT(n) (1ULL << (n))

static int device(const struct door *door, unsigned long request, void *argument)
{
	return door->kernel->control(door->kernel->self, door->files[0], request, argument);
}

/* All that it has is the kernel's. */
static uint64_t blk_offer(struct door *door)
{
	(void)door;
	return 0;
}

static enum status blk_write(struct door *door, bool value, struct failure *why)
{
	uint32_t wce = value;

	if (device(door, SHUNT_BLK_SET_WCE, &wce))
		return failed(why, ST_SYSTEM, "SHUNT_BLK_SET_WCE: %s", strerror(errno));
	return ST_OK;
}

static enum status blk_anew(struct door *door, struct failure *why)
{
	return door->writable ? blk_write(door, false, why) : ST_OK;
}

/* There is nothing beside the device that would have to know. */
static enum status blk_set_features(struct door *door, struct failure *why)
{
	(void)door;
	(void)why;
	return ST_OK;
}

static enum status blk_ready(struct door *door, bool *is, struct failure *why)
{
	struct door_blk *blk = door->self;

	if (!blk->claimed)
		blk->claimed = !door->kernel->lock(door->kernel->self, blk->disk,
						   blk->read_only ? LOCK_SH : LOCK_EX);
	*is = blk->claimed;
	if (blk->claimed) {
		blk->round = 0;
		blk->tries = 0;
		return ST_OK;
	}
	if (errno != EWOULDBLOCK)
		return failed(why, ST_SYSTEM, "flock: %s", strerror(errno));
	/* However many rings wait for it, and messages come meanwhile. */
	if (blk->round == door->rounds)
		return ST_OK;
	blk->round = door->rounds;
	if (++blk->tries == DOOR_TELL_AFTER)
		failed(why, ST_DISK_BUSY, "another process has the disk: waiting for it");
	return ST_OK;
}

/* Unlocking cannot fail, nor could anything be done about it. */
static void let_go(struct door *door)
{
	struct door_blk *blk = door->self;

	if (blk->claimed)
		door->kernel->lock(door->kernel->self, blk->disk, LOCK_UN);
	blk->claimed = false;
}

/* A ring that was refused, or waits for a device that only reads, needs no lock meanwhile. */
static void blk_idle(struct door *door)
{
	const struct door_blk *blk = door->self;

	if (!blk->running)
		let_go(door);
}

static enum status blk_bind(struct door *door, unsigned int ring, bool run, struct failure *why)
{
	struct door_blk *blk = door->self;
	struct vhost_vring_file file = { .fd = run ? blk->disk : -1 };
	const uint64_t once = 1;
	enum status status = door_control(door, ring, VHOST_BLK_SET_BACKEND,
					  "VHOST_BLK_SET_BACKEND", &file, why);

	if (status)
		return status;
	blk->running += run ? 1 : -1u;
	blk_idle(door);
	/* The front end may have missed what changed before; the eventfd has room. */
	if (run && blk->running == 1 && write(door->event, &once, sizeof(once)) < 0)
		return failed(why, ST_SYSTEM, "eventfd: %s", strerror(errno));
	return blk->running ? ST_OK : blk_anew(door, why);
}

static enum status blk_released(struct door *door, struct failure *why)
{
	struct door_blk *blk = door->self;

	(void)why;
	blk->running = 0;
	blk->round = 0;
	blk->tries = 0;
	let_go(door);
	return ST_OK;
}

static enum status blk_config(struct door *door, uint32_t offset, uint32_t size, uint8_t *bytes,
			      struct failure *why)
{
	struct shunt_blk_config config;

	if (device(door, SHUNT_BLK_GET_CONFIG, &config))
		return failed(why, ST_SYSTEM, "SHUNT_BLK_GET_CONFIG: %s", strerror(errno));
	/* Fields that a newer front end knows and this one does not are 0. */
	memset(bytes, 0, size);
	if (offset < sizeof(config.config))
		memcpy(bytes, config.config + offset,
		       size < sizeof(config.config) - offset ? size :
							       sizeof(config.config) - offset);
	return ST_OK;
}

static enum status blk_watch(struct door *door, struct failure *why)
{
	int event = door->event;

	if (device(door, SHUNT_BLK_SET_CONFIG_CALL, &event))
		return failed(why, ST_SYSTEM, "SHUNT_BLK_SET_CONFIG_CALL: %s", strerror(errno));
	return ST_OK;
}

const struct backend door_blk_backend = {
	.name = "blk",
	.drains = true,
	.protocol = BIT(VU_P_MQ) | BIT(VU_P_LOG_SHMFD) | BIT(VU_P_REPLY_ACK) |
		    BIT(VU_P_BACKEND_REQ) | BIT(VU_P_CONFIG) | BIT(VU_P_INFLIGHT_SHMFD) |
		    BIT(VU_P_RESET_DEVICE) | BIT(VU_P_CONFIGURE_MEM_SLOTS) | BIT(VU_P_STATUS),
	/* For what is missing of the rings' features see door_net_backend. */
	.kernel_mask = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
		       BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
		       BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_MQ) |
		       BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES) |
		       BIT(VIRTIO_BLK_F_SECURE_ERASE) | BIT(VIRTIO_F_NOTIFY_ON_EMPTY) |
		       BIT(VHOST_F_LOG_ALL) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
		       BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) |
		       BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER),
	.writable_mask = BIT(VIRTIO_BLK_F_CONFIG_WCE),
	.offer = blk_offer,
	.set_features = blk_set_features,
	.anew = blk_anew,
	.ready = blk_ready,
	.idle = blk_idle,
	.bind = blk_bind,
	.released = blk_released,
	.config = blk_config,
	.write = blk_write,
	.watch = blk_watch,
};
