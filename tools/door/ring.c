// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: what the front end says of them, and handing them to the kernel.
 *
 * DOC: Theory of Operation
 *
 * The messages that describe a ring come in any order, and some while it runs. So all of them are
 * kept, and the kernel is told at two moments: everything when the ring starts (ring_start()), and
 * single things that change while it runs (its addresses, its eventfds).
 *
 * A ring runs in the kernel while it is started (from SET_VRING_KICK to GET_VRING_BASE), enabled,
 * of known size and at known addresses, and while there is a log if it is to be logged: QEMU sends
 * that after the kick. ring_update() makes that so after each message.
 *
 * A back end that is not ready then, because another process still has what it needs, is asked
 * again (door_retry()) until it is, or the ring is stopped.
 *
 * A ring that is started but disabled is not looked at. The specification would have a network
 * device go on emptying its transmit ring; drivers do not fill rings that are disabled.
 *
 * Where a ring starts is the front end's word, but of a device that drains (struct backend) it is
 * known better: a split ring goes on at the used index, a packed one where the in-flight region has
 * it. These differ after a back end was killed: what it had taken would be lost with the base that
 * some front ends send then (the available index), and others send that of the last start. Of a
 * ring that was broken when it was left nobody knows where to go on: it does not run before it is
 * set up anew (a region that is new, or a reset).
 *
 * Whoever served a ring before may have been killed after it returned requests and before it told
 * the guest, which then waits for ever; and QEMU gives the eventfd that reaches the guest after the
 * kick that starts a ring, and throws away what came in by the one before. So there is one
 * interrupt whenever a ring starts, and whenever one that runs gets another eventfd for calls.
 *
 * Addresses are kept as the front end gave them, since those of the same memory here change with
 * each memory table.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "door.h"
#include "uapi/shunt.h"

static bool is_packed(const struct door *door)
{
	return door->features >> VIRTIO_F_RING_PACKED & 1;
}

/* Counted with the event index, which may be looked at. */
void ring_part_sizes(const struct door *door, unsigned int num, uint64_t *desc, uint64_t *avail,
		     uint64_t *used)
{
	*desc = 16ULL * num;
	*avail = is_packed(door) ? 4 : 6 + 2ULL * num;
	*used = is_packed(door) ? 4 : 6 + 8ULL * num;
}

/*
 * What the front end gives an address in the log for is the part that the device writes. Where the
 * descriptors of a packed ring are logged the kernel finds in the memory table.
 */
enum status ring_check_log(const struct door *door, unsigned int ring, uint64_t log_size,
			   struct failure *why)
{
	const struct door_ring *r = &door->rings[ring];
	uint64_t desc, avail, used;

	ring_part_sizes(door, r->num, &desc, &avail, &used);
	if (r->addr.log_guest_addr <= UINT64_MAX - used &&
	    (r->addr.log_guest_addr + used - 1) / VHOST_PAGE_SIZE / 8 < log_size)
		return ST_OK;
	return failed(why, ST_PEER, "ring %u: the log does not reach to %#llx", ring,
		      (unsigned long long)r->addr.log_guest_addr);
}

enum status ring_push_addr(struct door *door, unsigned int ring, struct failure *why)
{
	const struct door_ring *r = &door->rings[ring];
	struct vhost_vring_addr addr = { 0 };
	uint64_t desc, avail, used, host[3];

	ring_part_sizes(door, r->num, &desc, &avail, &used);
	if (!memory_translate(&door->memory, r->addr.desc_user_addr, desc, &host[0]) ||
	    !memory_translate(&door->memory, r->addr.avail_user_addr, avail, &host[1]) ||
	    !memory_translate(&door->memory, r->addr.used_user_addr, used, &host[2]))
		return failed(why, ST_PEER, "ring %u is not in one piece in the guest's memory",
			      ring);
	addr.desc_user_addr = host[0];
	addr.avail_user_addr = host[1];
	addr.used_user_addr = host[2];
	if (r->addr.flags & 1U << VHOST_VRING_F_LOG && door_logs(door)) {
		enum status status = ring_check_log(door, ring, door->log_size, why);

		if (status)
			return status;
		addr.flags = 1U << VHOST_VRING_F_LOG;
		addr.log_guest_addr = r->addr.log_guest_addr;
	}
	return door_control(door, ring, VHOST_SET_VRING_ADDR, "VHOST_SET_VRING_ADDR", &addr, why);
}

enum status rings_push_addr(struct door *door, struct failure *why)
{
	enum status status = ST_OK;

	/* What is known of it by the guest's addresses does not move with the memory here. */
	if (door->backend->device)
		return ST_OK;
	for (unsigned int i = 0; !status && i < door->ring_count; i++)
		if (door->rings[i].running)
			status = ring_push_addr(door, i, why);
	return status;
}

static enum status push_fd(struct door *door, unsigned int ring, unsigned long request,
			   const char *what, int fd, struct failure *why)
{
	struct vhost_vring_file file = { .fd = fd };

	return door_control(door, ring, request, what, &file, why);
}

enum status ring_push_fds(struct door *door, unsigned int ring, struct failure *why)
{
	const struct door_ring *r = &door->rings[ring];
	enum status status;

	status = push_fd(door, ring, VHOST_SET_VRING_ERR, "VHOST_SET_VRING_ERR", r->err, why);
	if (!status)
		status = push_fd(door, ring, VHOST_SET_VRING_CALL, "VHOST_SET_VRING_CALL", r->call,
				 why);
	if (!status)
		status = push_fd(door, ring, VHOST_SET_VRING_KICK, "VHOST_SET_VRING_KICK", r->kick,
				 why);
	return status;
}

/*
 * Where a ring is whose device drains, if that is known better than by the front end's word: it is
 * left in @base, which does not change if not. Of a ring that is @state RUNNING or BROKEN nothing
 * is known.
 */
static enum status find_base(const struct door *door, unsigned int ring, uint32_t *base,
			     enum shunt_place_state *state, struct failure *why)
{
	const struct door_ring *r = &door->rings[ring];
	struct shunt_place place;
	enum status status;
	uint64_t host;
	uint16_t used;

	*state = SHUNT_PLACE_NONE;
	if (!door->backend->drains)
		return ST_OK;
	status = inflight_find(door, ring, &place, why);
	if (status)
		return status;
	*state = place.state;
	if (*state == SHUNT_PLACE_RUNNING || *state == SHUNT_PLACE_BROKEN)
		return ST_OK;
	if (is_packed(door) && *state == SHUNT_PLACE_STOPPED)
		*base = place.base;
	if (is_packed(door) || !r->addressed)
		return ST_OK;
	/* The index comes after the flags. */
	if (!memory_translate(&door->memory, r->addr.used_user_addr, 4, &host))
		return failed(why, ST_PEER, "ring %u is not in the guest's memory", ring);
	if (door->kernel->peek(door->kernel->self, (void *)(uintptr_t)(host + 2), &used,
			       sizeof(used)) != sizeof(used))
		return failed(why, ST_PEER, "ring %u cannot be read: %s", ring, strerror(errno));
	*base = door->features >> VIRTIO_F_VERSION_1 & 1 ? le16toh(used) : used;
	return ST_OK;
}

enum status ring_settle(struct door *door, unsigned int ring, struct failure *why)
{
	struct door_ring *r = &door->rings[ring];
	enum shunt_place_state state;
	enum status status;

	if (r->ran)
		return ST_OK;
	status = find_base(door, ring, &r->left, &state, why);
	if (status)
		return status;
	if (state == SHUNT_PLACE_RUNNING)
		return failed(why, ST_PEER, "where ring %u is is not known: another device has it",
			      ring);
	if (state == SHUNT_PLACE_BROKEN)
		return failed(why, ST_PEER,
			      "where ring %u is is not known: it was broken when it was left",
			      ring);
	return ST_OK;
}

/* The kernel has seen that it is an eventfd; one that is full is not waited for. */
static void interrupt(const struct door_ring *ring)
{
	struct pollfd room = { .fd = ring->call, .events = POLLOUT };
	const struct timespec now = { 0 };
	const uint64_t once = 1;

	if (ppoll(&room, 1, &now, NULL) == 1 && room.revents & POLLOUT &&
	    write(ring->call, &once, sizeof(once)) < 0)
		return;
}

/* A ring as all of them start, in a vhost device. */
static enum status push_ring(struct door *door, unsigned int ring, struct failure *why)
{
	const struct door_ring *r = &door->rings[ring];
	struct vhost_vring_state num = { .num = r->num }, base = { .num = r->base };
	enum status status;

	status = door_control(door, ring, VHOST_SET_VRING_NUM, "VHOST_SET_VRING_NUM", &num, why);
	if (!status)
		status = door_control(door, ring, VHOST_SET_VRING_BASE, "VHOST_SET_VRING_BASE",
				      &base, why);
	if (!status)
		status = ring_push_addr(door, ring, why);
	if (!status)
		status = ring_push_fds(door, ring, why);
	return status ? status : door->backend->bind(door, ring, true, why);
}

static enum status ring_start(struct door *door, unsigned int ring, struct failure *why)
{
	struct door_ring *r = &door->rings[ring];
	enum shunt_place_state state;
	enum status status;

	if (!is_packed(door) && r->num & (r->num - 1))
		return failed(why, ST_PEER, "ring %u: %u descriptors are no power of two", ring,
			      r->num);
	if (!is_packed(door) && r->base > UINT16_MAX)
		return failed(why, ST_PEER, "ring %u: base %#x", ring, r->base);
	status = find_base(door, ring, &r->base, &state, why);
	if (status)
		return status;
	/* Who only reads a disk has not got it alone: another device may still drain. */
	if (state == SHUNT_PLACE_RUNNING) {
		door->waiting = true;
		if (door->rounds == DOOR_TELL_AFTER)
			failed(why, ST_DISK_BUSY, "another device has ring %u: waiting for it",
			       ring);
		return ST_OK;
	}
	if (state == SHUNT_PLACE_BROKEN) {
		r->refused = true;
		failed(why, ST_PEER,
		       "ring %u was broken when it was left: it stays so until its "
		       "guest resets the device",
		       ring);
		return ST_OK;
	}
	status = door->backend->device ? door->backend->device->start(door, ring, why) :
					 push_ring(door, ring, why);
	if (status || r->refused)
		return status;
	r->running = true;
	r->ran = true;
	interrupt(r);
	return ST_OK;
}

enum status ring_stop(struct door *door, unsigned int ring, struct failure *why)
{
	struct door_ring *r = &door->rings[ring];
	struct vhost_vring_state base = { 0 };
	enum status status;

	if (!r->running)
		return ST_OK;
	if (door->backend->device)
		return door->backend->device->stop(door, ring, why);
	status = door->backend->bind(door, ring, false, why);
	if (status)
		return status;
	r->running = false;
	status = door_control(door, ring, VHOST_GET_VRING_BASE, "VHOST_GET_VRING_BASE", &base, why);
	if (!status)
		r->base = r->left = base.num;
	return status;
}

bool ring_is_set_up(const struct door *door, unsigned int ring)
{
	const struct door_ring *r = &door->rings[ring];
	bool waits = r->addr.flags & 1U << VHOST_VRING_F_LOG &&
		     door->features >> VHOST_F_LOG_ALL & 1 && !door->log.start;

	return r->started && r->num && r->addressed && !waits && !r->refused;
}

bool ring_is_enabled(const struct door *door, unsigned int ring)
{
	return door->rings[ring].enabled || !(door->features >> VU_F_PROTOCOL_FEATURES & 1);
}

enum status ring_update(struct door *door, unsigned int ring, struct failure *why)
{
	struct door_ring *r = &door->rings[ring];
	bool set_up = ring_is_set_up(door, ring), wanted = set_up && ring_is_enabled(door, ring);

	if (r->running && set_up && door->backend->device)
		return door->backend->device->enable(door, ring, why);
	if (wanted && !r->running) {
		bool ready = true;
		enum status status = ST_OK;

		if (door->backend->ready)
			status = door->backend->ready(door, &ready, why);
		if (status || !ready) {
			door->waiting = true;
			return status;
		}
		status = ring_start(door, ring, why);
		if (!r->running && door->backend->idle)
			door->backend->idle(door);
		return status;
	}
	if (!wanted && r->running)
		return ring_stop(door, ring, why);
	return ST_OK;
}

static void replace_fd(int *old, int fd)
{
	if (*old >= 0)
		close(*old);
	*old = fd;
}

void ring_forget(struct door_ring *ring, bool fds)
{
	replace_fd(&ring->kick, -1);
	if (fds) {
		replace_fd(&ring->call, -1);
		replace_fd(&ring->err, -1);
	}
	*ring = (struct door_ring){
		.kick = -1,
		.call = ring->call,
		.err = ring->err,
		.left = fds ? 0 : ring->left,
		.ran = !fds && ring->ran,
	};
}

enum status on_set_vring_num(struct door *door, struct vu_message *message, struct failure *why)
{
	const struct vhost_vring_state *state = &message->body.state;

	if (!state->num || state->num > DOOR_RING_SIZE_MAX)
		return failed(why, ST_PEER, "ring %u: %u descriptors", state->index, state->num);
	door->rings[state->index].num = state->num;
	return ring_update(door, state->index, why);
}

enum status on_set_vring_addr(struct door *door, struct vu_message *message, struct failure *why)
{
	const struct vhost_vring_addr *addr = &message->body.addr;
	struct door_ring *ring = &door->rings[addr->index];

	if (ring->running && door->backend->device)
		return failed(why, ST_PEER, "ring %u is running", addr->index);
	if (addr->flags & ~(1U << VHOST_VRING_F_LOG))
		return failed(why, ST_PEER, "ring %u: flags %#x", addr->index, addr->flags);
	ring->addr = *addr;
	ring->addressed = true;
	if (ring->running) {
		enum status status = ring_push_addr(door, addr->index, why);

		if (status)
			return status;
	}
	return ring_update(door, addr->index, why);
}

enum status on_set_vring_base(struct door *door, struct vu_message *message, struct failure *why)
{
	struct door_ring *ring = &door->rings[message->body.state.index];

	(void)why;
	ring->base = ring->left = message->body.state.num;
	return ST_OK;
}

/*
 * Stops the ring; what comes next for it begins with a new kick. Its other eventfds stay. It may
 * have been stopped before, by a reset: QEMU 7.2 sets the status to 0 when it stops its guest, asks
 * then, and goes on from the answer. With the last ring goes the log, since QEMU's does: there is
 * another one when it starts them again.
 *
 * Where the place is not known that fails: who migrates the guest must not go on from a place that
 * is made up. The specification does not say what that looks like. QEMU takes a reply without body
 * for it, as of GET_CONFIG, and the connection has to go on: the next thing may be the reset that a
 * broken ring waits for, and QEMU 7.2 takes no notice of a connection that ends while it stops a
 * device. Front ends made with rust-vmm's crates would wait for the body for ever. QEMU is known by
 * having acknowledged STATUS.
 */
enum status on_get_vring_base(struct door *door, struct vu_message *message, struct failure *why)
{
	unsigned int index = message->body.state.index;
	struct door_ring *ring = &door->rings[index];
	bool ran = ring->running;
	enum status status;

	status = ring_stop(door, index, why);
	if (!status && ran)
		status =
			push_fd(door, index, VHOST_SET_VRING_KICK, "VHOST_SET_VRING_KICK", -1, why);
	if (status)
		return status;
	ring->started = false;
	ring->refused = false;
	replace_fd(&ring->kick, -1);
	status = ring_settle(door, index, why);
	if (status && !(door->protocol >> VU_P_STATUS & 1))
		return status;
	if (status)
		message->head.size = 0;
	else
		message->body.state.num = ring->left;
	for (unsigned int i = 0; i < door->ring_count; i++)
		if (door->rings[i].started)
			return ST_OK;
	return log_drop(door, why);
}

/* SET_VRING_KICK, SET_VRING_CALL and SET_VRING_ERR. */
enum status on_set_vring_fd(struct door *door, struct vu_message *message, struct failure *why)
{
	unsigned int index = message->body.u64 & VU_RING_MASK;
	struct door_ring *ring = &door->rings[index];
	unsigned long request;
	enum status status = ST_OK;
	int *place, old;

	/* That would be a ring that is looked at without end, which the kernel does not do. */
	if (message->head.request == VU_SET_VRING_KICK && message->body.u64 & VU_RING_NO_FD)
		return failed(why, ST_PEER, "ring %u: no eventfd for kicks", index);

	switch (message->head.request) {
	case VU_SET_VRING_KICK:
		place = &ring->kick;
		request = VHOST_SET_VRING_KICK;
		break;
	case VU_SET_VRING_CALL:
		place = &ring->call;
		request = VHOST_SET_VRING_CALL;
		break;
	default:
		place = &ring->err;
		request = VHOST_SET_VRING_ERR;
	}
	old = *place;
	*place = message_take_fd(message);
	if (ring->running)
		status = push_fd(door, index, request, request_name(message->head.request), *place,
				 why);
	if (old >= 0)
		close(old);
	if (status)
		return status;
	if (ring->running && place == &ring->call)
		interrupt(ring);
	if (message->head.request == VU_SET_VRING_KICK)
		ring->started = true;
	return ring_update(door, index, why);
}

enum status on_set_vring_enable(struct door *door, struct vu_message *message, struct failure *why)
{
	const struct vhost_vring_state *state = &message->body.state;

	if (state->num > 1)
		return failed(why, ST_PEER, "ring %u: enable is %u", state->index, state->num);
	door->rings[state->index].enabled = state->num;
	return ring_update(door, state->index, why);
}
