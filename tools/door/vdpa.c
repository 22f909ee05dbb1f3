// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtio function of shunt_vfio: what the door does with /dev/shunt-vfio/BDF.
 *
 * DOC: Theory of Operation
 *
 * The function has the guest's rings, at the guest's own addresses, and nothing of them is looked
 * at here but where they are (below). Features and configuration are the function's, as far as they
 * need no control queue: that one is the front end's own business. Three features are the door's:
 * ACCESS_PLATFORM, without which a function is not behind the IOMMU; CTRL_VQ, by which the kernel
 * tells a card how many pairs are enabled; and ORDER_PLATFORM, without which hardware may decline.
 *
 * A driver sets a device up and then says DRIVER_OK, at which it begins. A front end with STATUS
 * says it here, too. For others it is when the first ring is to run, of a card when the function
 * has both of the first pair; hardware need not take queues after that, so those that are described
 * by then go with it, of a card none but that pair.
 *
 * A function cannot stop a ring, but only be reset as a whole. So GET_VRING_BASE of one stops all.
 * A ring that is merely disabled stays with it.
 *
 * It begins each ring at its start, and does not tell where it is. Where it got to can be seen in
 * the ring: by the used index, or, in a packed ring, by descriptors that were used. One that has
 * been used is not run, since the function would do again what it has done; its guest has to reset
 * the device first, as it does when it boots. So it is after the VM was stopped, or this process
 * killed. Of a packed ring it cannot be told where it is, but only that it is not at the start;
 * what is answered to GET_VRING_BASE then is a place that is none to start at.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "vdpa.h"

#define BIT(n) (1ULL << (n))

#define STATUS_READY \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

/* Index 0 and wrap counter 1, of what is available and of what is used. */
#define PACKED_START 0x80008000u

/* Bytes of a ring that are looked at at once. */
#define LOOK 4096u

int vdpa_control(const struct door *door, unsigned long request, void *argument)
{
	const struct door_vdpa *vdpa = door->self;

	return door->kernel->control(door->kernel->self, vdpa->node, request, argument);
}

static bool is_packed(const struct door *door)
{
	return door->features >> VIRTIO_F_RING_PACKED & 1;
}

static enum status vdpa_begin(struct door *door, struct failure *why)
{
	struct door_vdpa *vdpa = door->self;

	/* For as long as the node is open. */
	if (!vdpa->owned && vdpa_control(door, VHOST_SET_OWNER, NULL))
		return failed(why, ST_SYSTEM, "VHOST_SET_OWNER: %s", strerror(errno));
	vdpa->owned = true;
	return ST_OK;
}

static enum status write_status(struct door *door, uint8_t value, struct failure *why)
{
	struct door_vdpa *vdpa = door->self;

	if (vdpa_control(door, VHOST_VDPA_SET_STATUS, &value))
		return failed(why, ST_SYSTEM, "VHOST_VDPA_SET_STATUS: %#x: %s", value,
			      strerror(errno));
	vdpa->status = value;
	return ST_OK;
}

static enum status reset(struct door *door, struct failure *why)
{
	struct door_vdpa *vdpa = door->self;
	enum status status = vdpa->status ? write_status(door, 0, why) : ST_OK;

	if (!status)
		memset(vdpa->rings, 0, sizeof(vdpa->rings));
	return status;
}

static enum status vdpa_let_go(struct door *door, struct failure *why)
{
	static const struct {
		unsigned long request;
		const char *what;
	} unset[] = {
		{ VHOST_SET_VRING_KICK, "VHOST_SET_VRING_KICK" },
		{ VHOST_SET_VRING_CALL, "VHOST_SET_VRING_CALL" },
		{ VHOST_SET_VRING_ERR, "VHOST_SET_VRING_ERR" },
	};
	enum status status = reset(door, why);
	int none = -1;

	if (!status)
		status = vdpa_unmap_all(door, why);
	for (unsigned int i = 0; !status && i < 3 * door->ring_count; i++) {
		struct vhost_vring_file file = { .fd = -1 };

		status = door_control(door, i / 3, unset[i % 3].request, unset[i % 3].what, &file,
				      why);
	}
	if (!status && vdpa_control(door, VHOST_VDPA_SET_CONFIG_CALL, &none))
		status = failed(why, ST_SYSTEM, "VHOST_VDPA_SET_CONFIG_CALL: %s", strerror(errno));
	return status;
}

/*
 * What a driver that was told of no ORDER_PLATFORM does all the same (VIRTIO 1.2, 6.1). Drivers
 * have the barriers of processors then; on x86 those of devices are no stronger for memory.
 */
#if defined(__x86_64__) || defined(__i386__)
#define KEPT_BY_ALL BIT(VIRTIO_F_ORDER_PLATFORM)
#else
#define KEPT_BY_ALL 0
#endif

/* What the function is told; see the theory above for those that no front end sees. */
static uint64_t function_features(const struct door *door)
{
	uint64_t features = door->features & door->kernel_features;

	features |= BIT(VIRTIO_F_ACCESS_PLATFORM) | (door->kernel_features & KEPT_BY_ALL);
	if (door->backend == &door_vdpa_net_backend) {
		features &= ~BIT(VIRTIO_NET_F_CTRL_VQ);
		if (features & BIT(VIRTIO_NET_F_MQ))
			features |= BIT(VIRTIO_NET_F_CTRL_VQ);
	}
	return features;
}

static enum status negotiate(struct door *door, struct failure *why)
{
	uint64_t features = function_features(door);
	enum status status;
	uint8_t now;

	status = write_status(door, VIRTIO_CONFIG_S_ACKNOWLEDGE, why);
	if (!status)
		status = write_status(door, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER,
				      why);
	if (!status && vdpa_control(door, VHOST_SET_FEATURES, &features))
		status = failed(why, ST_SYSTEM, "VHOST_SET_FEATURES: %#llx: %s",
				(unsigned long long)features, strerror(errno));
	if (!status)
		status = write_status(door, STATUS_READY, why);
	if (!status && vdpa_control(door, VHOST_VDPA_GET_STATUS, &now))
		status = failed(why, ST_SYSTEM, "VHOST_VDPA_GET_STATUS: %s", strerror(errno));
	if (!status && !(now & VIRTIO_CONFIG_S_FEATURES_OK))
		status = failed(why, ST_PEER, "the function declines the features %#llx",
				(unsigned long long)features);
	return status;
}

/* Read a piece of the front end's memory: false if it is not there. */
static bool look(const struct door *door, uint64_t user, void *to, size_t size)
{
	uint64_t host;

	return memory_translate(&door->memory, user, size, &host) &&
	       door->kernel->peek(door->kernel->self, (void *)(uintptr_t)host, to, size) ==
		       (long)size;
}

/* Whether a descriptor of a packed ring was used, ever: see VIRTIO 1.2, 2.8.1. */
static bool packed_was_used(const struct door *door, const struct door_ring *r, bool *was)
{
	uint8_t bytes[LOOK];
	uint64_t size = 16ULL * r->num;

	*was = false;
	for (uint64_t at = 0; !*was && at < size; at += LOOK) {
		size_t piece = size - at < LOOK ? size - at : LOOK;

		if (!look(door, r->addr.desc_user_addr + at, bytes, piece))
			return false;
		/* The flags are the last word; in the first round USED is set by use alone. */
		for (size_t i = 0; i < piece; i += 16)
			*was |= bytes[i + 15] >> 7;
	}
	return true;
}

/* A place of a packed ring that is none to start at: its last descriptor, in no first round. */
static uint32_t not_the_start(const struct door_ring *r)
{
	return (r->num - 1) | (r->num - 1) << 16;
}

/* Where a ring is, by what is in it; false if that cannot be read. */
static bool find_place(const struct door *door, unsigned int ring, uint32_t *place)
{
	const struct door_ring *r = &door->rings[ring];
	uint16_t used;
	bool was;

	if (is_packed(door)) {
		if (!packed_was_used(door, r, &was))
			return false;
		*place = was ? not_the_start(r) : PACKED_START;
		return true;
	}
	/* The index comes after the flags. */
	if (!look(door, r->addr.used_user_addr + 2, &used, sizeof(used)))
		return false;
	*place = le16toh(used);
	return true;
}

static enum status refuse(struct door *door, unsigned int ring, const char *what,
			  struct failure *why)
{
	door->rings[ring].refused = true;
	failed(why, ST_PEER, "ring %u: %s: it stays so until its guest resets the device", ring,
	       what);
	return ST_OK;
}

/* See that a ring can run in a function; it is refused if not. */
static enum status check(struct door *door, unsigned int ring, struct failure *why)
{
	const struct door_ring *r = &door->rings[ring];
	uint32_t place, start = is_packed(door) ? PACKED_START : 0;

	if (!(door->features & BIT(VIRTIO_F_VERSION_1)))
		return refuse(door, ring,
			      "a legacy driver, without VIRTIO_F_VERSION_1, cannot have a function",
			      why);
	if (!find_place(door, ring, &place))
		return failed(why, ST_PEER, "ring %u is not in one piece in the guest's memory",
			      ring);
	/* Of the second place of a packed ring not every front end tells. */
	if (place != start || (r->base != start && r->base != (start & UINT16_MAX)))
		return refuse(door, ring,
			      "was used before, and a function can begin at the start only", why);
	return ST_OK;
}

/* Where a ring is for the function. */
static enum status locate(const struct door *door, unsigned int ring, struct vdpa_ring *at,
			  struct failure *why)
{
	const struct door_ring *r = &door->rings[ring];

	*at = (struct vdpa_ring){ .given = true, .num = r->num };
	ring_part_sizes(door, r->num, &at->size[0], &at->size[1], &at->size[2]);
	if (!memory_to_guest(&door->memory, r->addr.desc_user_addr, at->size[0], &at->at[0]) ||
	    !memory_to_guest(&door->memory, r->addr.avail_user_addr, at->size[1], &at->at[1]) ||
	    !memory_to_guest(&door->memory, r->addr.used_user_addr, at->size[2], &at->at[2]))
		return failed(why, ST_PEER, "ring %u is not in one piece in the guest's memory",
			      ring);
	/* VIRTIO 1.2, 2.7 and 2.8. */
	if (at->at[0] % 16 || at->at[1] % (is_packed(door) ? 4 : 2) || at->at[2] % 4)
		return failed(why, ST_PEER,
			      "ring %u is not aligned: its parts are at guest "
			      "%#llx, %#llx and %#llx",
			      ring, (unsigned long long)at->at[0], (unsigned long long)at->at[1],
			      (unsigned long long)at->at[2]);
	return ST_OK;
}

/* See that a ring has a size that the function takes, which may depend on the features. */
static enum status check_size(struct door *door, unsigned int ring, struct failure *why)
{
	const unsigned int num = door->rings[ring].num;
	struct vhost_vring_state most = { 0 };
	enum status status = door_control(door, ring, VHOST_VDPA_GET_VRING_SIZE,
					  "VHOST_VDPA_GET_VRING_SIZE", &most, why);

	if (status)
		return status;
	/* Of those that go along with another one nobody has seen to that yet. */
	if (!is_packed(door) && num & (num - 1))
		return failed(why, ST_PEER, "ring %u: %u descriptors are no power of two", ring,
			      num);
	if (num <= most.num)
		return ST_OK;
	if (!most.num)
		return failed(
			why, ST_PEER,
			"the function has no ring %u with the features that were acknowledged",
			ring);
	return failed(why, ST_PEER,
		      "ring %u has %u descriptors, the function takes %u at most: give the VMM's "
		      "device rings (queues) of that size",
		      ring, num, most.num);
}

/* Let the function have a ring that check() did not refuse. */
static enum status give(struct door *door, unsigned int ring, struct failure *why)
{
	struct door_vdpa *vdpa = door->self;
	const struct door_ring *r = &door->rings[ring];
	struct vhost_vring_state num = { .num = r->num }, base = { .num = r->base },
				 enable = { .num = 1 };
	struct vhost_vring_addr addr = { 0 };
	enum status status;
	struct vdpa_ring at;

	status = locate(door, ring, &at, why);
	if (!status)
		status = check_size(door, ring, why);
	if (status)
		return status;
	addr.desc_user_addr = at.at[0];
	addr.avail_user_addr = at.at[1];
	addr.used_user_addr = at.at[2];
	status = door_control(door, ring, VHOST_SET_VRING_NUM, "VHOST_SET_VRING_NUM", &num, why);
	if (!status)
		status = door_control(door, ring, VHOST_SET_VRING_BASE, "VHOST_SET_VRING_BASE",
				      &base, why);
	if (!status)
		status = door_control(door, ring, VHOST_SET_VRING_ADDR, "VHOST_SET_VRING_ADDR",
				      &addr, why);
	if (!status)
		status = ring_push_fds(door, ring, why);
	if (!status)
		status = door_control(door, ring, VHOST_VDPA_SET_VRING_ENABLE,
				      "VHOST_VDPA_SET_VRING_ENABLE", &enable, why);
	if (!status)
		vdpa->rings[ring] = at;
	return status;
}

static bool tells_status(const struct door *door)
{
	return door->protocol >> VU_P_STATUS & 1;
}

/* Let the function have what is described of the rings that begin together with this one. */
static enum status give_others(struct door *door, unsigned int ring, struct failure *why)
{
	unsigned int count = door->backend == &door_vdpa_net_backend ? 2 : door->ring_count;
	enum status status = ST_OK;

	for (unsigned int i = 0; !status && i < count; i++) {
		if (i == ring || door->rings[i].running || !ring_is_set_up(door, i))
			continue;
		status = check(door, i, why);
		if (status || door->rings[i].refused)
			continue;
		status = give(door, i, why);
		door->rings[i].running = !status;
		door->rings[i].ran = !status;
	}
	return status;
}

/*
 * Whether the function has what it begins with, for a front end that does not say when. There are
 * those that describe, kick and enable ring after ring.
 */
static bool has_first_rings(const struct door *door)
{
	const struct door_vdpa *vdpa = door->self;

	return door->backend != &door_vdpa_net_backend ||
	       (vdpa->rings[0].given && vdpa->rings[1].given);
}

/* DRIVER_OK, when it is time. */
static enum status go(struct door *door, struct failure *why)
{
	struct door_vdpa *vdpa = door->self;
	const uint64_t once = 1;
	enum status status;

	if (vdpa->status != STATUS_READY)
		return ST_OK;
	if (tells_status(door) ? !(door->status & VIRTIO_CONFIG_S_DRIVER_OK) :
				 !has_first_rings(door))
		return ST_OK;
	status = write_status(door, STATUS_READY | VIRTIO_CONFIG_S_DRIVER_OK, why);
	/* The front end may have missed what changed before; the eventfd has room. */
	if (!status && door->event >= 0 && write(door->event, &once, sizeof(once)) < 0)
		status = failed(why, ST_SYSTEM, "eventfd: %s", strerror(errno));
	return status;
}

static enum status vdpa_start(struct door *door, unsigned int ring, struct failure *why)
{
	struct door_vdpa *vdpa = door->self;
	enum status status;

	status = check(door, ring, why);
	if (status || door->rings[ring].refused)
		return status;
	if (!vdpa->status)
		status = negotiate(door, why);
	if (!status)
		status = give(door, ring, why);
	if (!status && vdpa->status == STATUS_READY && !tells_status(door))
		status = give_others(door, ring, why);
	return status ? status : go(door, why);
}

static enum status vdpa_stop(struct door *door, unsigned int ring, struct failure *why)
{
	enum status status = reset(door, why);

	if (status)
		return status;
	for (unsigned int i = 0; i < door->ring_count; i++) {
		struct vhost_vring_file none = { .fd = -1 };
		struct door_ring *r = &door->rings[i];

		if (!r->running)
			continue;
		/* The front end may write to its eventfds what it likes from now on. */
		status = door_control(door, i, VHOST_SET_VRING_KICK, "VHOST_SET_VRING_KICK", &none,
				      why);
		if (status)
			return status;
		r->running = false;
		/* It begins again only when it is kicked off again. */
		if (i != ring)
			r->started = false;
		/* Memory that is not there any more does not say that it was not used. */
		if (!find_place(door, i, &r->left))
			r->left = is_packed(door) ? not_the_start(r) : 1;
		r->base = r->left;
	}
	return ST_OK;
}

static enum status vdpa_enable(struct door *door, unsigned int ring, struct failure *why)
{
	struct door_vdpa *vdpa = door->self;
	struct vhost_vring_state enable = { .num = ring_is_enabled(door, ring) };
	enum status status;

	if (vdpa->rings[ring].disabled == !enable.num)
		return ST_OK;
	status = door_control(door, ring, VHOST_VDPA_SET_VRING_ENABLE,
			      "VHOST_VDPA_SET_VRING_ENABLE", &enable, why);
	if (!status)
		vdpa->rings[ring].disabled = !ring_is_enabled(door, ring);
	return status;
}

const struct device vdpa_device = {
	.begin = vdpa_begin,
	.let_go = vdpa_let_go,
	.set_memory = vdpa_set_memory,
	.start = vdpa_start,
	.stop = vdpa_stop,
	.enable = vdpa_enable,
	.set_status = go,
};
