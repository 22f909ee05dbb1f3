// SPDX-License-Identifier: GPL-2.0-only
/*
 * places.c - where each ring was left, in memory that outlives the process
 *
 * DOC: Theory of Operation
 *
 * A process that has a device may be killed, and another one, which opens a device of
 * its own, go on with the rings. Of requests it need know nothing: what was taken from
 * a ring is returned before the device is closed (device.c, drain()). But it has to know
 * where to go on, which of a packed ring is not in the guest's memory.
 *
 * So the owner may give an array of struct shunt_place (SHUNT_BLK_SET_PLACES), in memory
 * that it shares with whoever keeps it, such as the region of vhost-user's
 * INFLIGHT_SHMFD. The kernel writes an entry when its queue starts, and when it stops,
 * be it that the device is closed; nothing while requests go through. A queue that is
 * broken when it stops is marked so: what it took may not have been returned.
 *
 * The array lies within a page, which is pinned until there is another one, or the
 * owner gives the device up. What the owner, or whoever else has that memory, writes there
 * is never read.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "shunt.h"
#include "uapi/shunt.h"

/**
 * shunt_places_forget() - have the places of rings written nowhere
 * @dev: the device; no queue runs
 */
void shunt_places_forget(struct shunt_dev *dev)
{
	shunt_unpin_area(dev, &dev->places);
}

/**
 * shunt_places_set() - have the places of rings written to an array, or to none
 * @dev: the device
 * @addr: address of the caller: struct shunt_place for each queue; or 0
 *
 * Where it fails, but for -EBUSY, they are written nowhere.
 *
 * Context: @dev->mutex held, the caller is the owner. May sleep.
 * Return: 0; -EBUSY while a queue runs; -EINVAL when it is not aligned or not within
 * a page; and as shunt_pin_area().
 */
int shunt_places_set(struct shunt_dev *dev, u64 addr)
{
	const size_t size = dev->nr_vqs * sizeof(struct shunt_place);
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++)
		if (dev->vqs[i]->running)
			return -EBUSY;
	shunt_places_forget(dev);
	if (!addr)
		return 0;
	if (!IS_ALIGNED(addr, sizeof(struct shunt_place)) ||
	    offset_in_page(addr) + size > PAGE_SIZE)
		return -EINVAL;
	if (!access_ok(u64_to_user_ptr(addr), size))
		return -EFAULT;
	dev->places.addr = addr;
	dev->places.offset = offset_in_page(addr);
	dev->places.nr = 1;
	dev->places_user = addr & PAGE_MASK;
	dev->places.user = &dev->places_user;
	return shunt_pin_area(dev, &dev->places);
}
EXPORT_SYMBOL_GPL(shunt_places_set);

/**
 * shunt_place_put() - write down where a queue is
 * @vq: the queue, whose ring has a place
 * @state: SHUNT_PLACE_*
 *
 * Context: @vq->mutex held.
 */
void shunt_place_put(struct shunt_vq *vq, u32 state)
{
	struct shunt_area *places = &vq->dev->places;
	union {
		struct shunt_place place;
		u64 word;
	} now = { .place = { ring_base(&vq->ring), state } };
	u64 *to;

	if (!places->map)
		return;
	to = places->map + places->offset;
	/* At once: whoever looks finds the one or the other. */
	WRITE_ONCE(to[vq->index], now.word);
}
