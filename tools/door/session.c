// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's life over one connection after the other, and the requests that are about the device
 * as a whole.
 *
 * DOC: Theory of Operation
 *
 * The vhost devices are opened once, by whoever may, before privileges are dropped; so they must do
 * for every connection. What lies between two is VHOST_RESET_OWNER, which makes them as new. It is
 * what door_reset() begins with: once the kernel has let go, descriptors are closed and memory is
 * unmapped.
 *
 * Order of one connection, as QEMU has it: features, protocol features, SET_OWNER, features again,
 * memory, then ring by ring size, base, addresses, kick; GET_VRING_BASE for each at the end. Others
 * differ, and nothing here depends on more of it than check.c asks for.
 *
 * With several queue pairs QEMU repeats what is the device's for each of them, while the first ones
 * run already: what changes nothing is never refused.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "door.h"

int door_file(const struct door *door, unsigned int ring, unsigned int *index)
{
	unsigned int per_file = door->backend->rings_per_file;

	if (!per_file) {
		*index = ring;
		return door->files[0];
	}
	*index = ring % per_file;
	return door->files[ring / per_file];
}

enum status door_control(struct door *door, unsigned int ring, unsigned long request,
			 const char *what, void *argument, struct failure *why)
{
	unsigned int index;
	int fd = door_file(door, ring, &index);

	memcpy(argument, &index, sizeof(index));
	if (!door->kernel->control(door->kernel->self, fd, request, argument))
		return ST_OK;
	return failed(why, ST_SYSTEM, "ring %u: %s: %s", ring, what, strerror(errno));
}

enum status door_control_all(struct door *door, unsigned long request, const char *what,
			     void *argument, struct failure *why)
{
	for (unsigned int i = 0; i < door->file_count; i++)
		if (door->kernel->control(door->kernel->self, door->files[i], request, argument))
			return failed(why, ST_SYSTEM, "%s: %s", what, strerror(errno));
	return ST_OK;
}

/* What a front end finds: nothing is acknowledged, which the kernel has to be told, too. */
static enum status begin(struct door *door, struct failure *why)
{
	uint64_t none = 0;
	enum status status;

	if (door->backend->device) {
		status = door->backend->device->begin(door, why);
		return status ? status : door->backend->set_features(door, why);
	}
	status = door_control_all(door, VHOST_SET_OWNER, "VHOST_SET_OWNER", NULL, why);
	if (!status)
		status = door->backend->set_features(door, why);
	if (!status)
		status = door_control_all(door, VHOST_SET_FEATURES, "VHOST_SET_FEATURES", &none,
					  why);
	if (!status && door->backend->anew)
		status = door->backend->anew(door, why);
	return status;
}

uint64_t door_passed_on(const struct door *door)
{
	uint64_t mask = door->backend->kernel_mask;

	if (door->writable)
		mask |= door->backend->writable_mask;
	return door->kernel_features & mask;
}

enum status door_init(struct door *door, struct failure *why)
{
	enum status status;

	door->kernel_features = ~0ULL;
	for (unsigned int i = 0; i < door->file_count; i++) {
		uint64_t features;

		if (door->kernel->control(door->kernel->self, door->files[i], VHOST_GET_FEATURES,
					  &features))
			return failed(why, ST_SYSTEM, "VHOST_GET_FEATURES: %s", strerror(errno));
		door->kernel_features &= features;
	}
	door->offered =
		door_passed_on(door) | door->backend->offer(door) | 1ULL << VU_F_PROTOCOL_FEATURES;
	for (unsigned int i = 0; i < DOOR_RINGS_MAX; i++)
		door->rings[i] = (struct door_ring){ .kick = -1, .call = -1, .err = -1 };
	door->region = -1;
	door->log_fd = -1;
	door->channel = -1;
	if (!memory_init(&door->memory, door->slots))
		return failed(why, ST_SYSTEM, "out of memory");
	status = begin(door, why);
	if (status)
		memory_end(&door->memory);
	return status;
}

/*
 * After this the kernel uses nothing of the connection. The rings are not stopped one by one
 * before: a worker may be waiting for a page that the front end does not deliver, and what frees it
 * is the reset.
 */
static enum status let_go(struct door *door, struct failure *why)
{
	enum status status;

	status = door->backend->device ?
			 door->backend->device->let_go(door, why) :
			 door_control_all(door, VHOST_RESET_OWNER, "VHOST_RESET_OWNER", NULL, why);
	if (status)
		return status;
	for (unsigned int i = 0; i < door->ring_count; i++)
		door->rings[i].running = false;
	return door->backend->released ? door->backend->released(door, why) : ST_OK;
}

static void close_channel(struct door *door)
{
	if (door->channel >= 0)
		close(door->channel);
	door->channel = -1;
}

static void forget_connection(struct door *door)
{
	for (unsigned int i = 0; i < door->ring_count; i++)
		ring_forget(&door->rings[i], true);
	if (door->region >= 0)
		close(door->region);
	door->region = -1;
	if (door->log_fd >= 0)
		close(door->log_fd);
	door->log_fd = -1;
	close_channel(door);
	mapping_end(&door->log);
	door->log_size = 0;
	mapping_end(&door->inflight);
	mapping_end(&door->stale_map);
	memory_end(&door->stale);
	memory_clear(&door->memory);
	door->features = 0;
	door->protocol = 0;
	door->owned = false;
	door->status = 0;
	door->waiting = false;
	door->rounds = 0;
	door->kernel_acked = 0;
}

enum status door_reset(struct door *door, struct failure *why)
{
	enum status status = let_go(door, why);

	/* Unmapping under a kernel that would not let go is left to the end of the process. */
	if (status)
		return status;
	forget_connection(door);
	return begin(door, why);
}

void door_end(struct door *door)
{
	struct failure ignored;

	if (!let_go(door, &ignored))
		forget_connection(door);
	memory_end(&door->memory);
}

/* As after a reset of the guest's device. Memory, eventfds and features are the connection's. */
static enum status reset_rings(struct door *door, struct failure *why)
{
	enum status status = ST_OK;
	struct failure ignored;

	for (unsigned int i = 0; !status && i < door->ring_count; i++) {
		status = ring_stop(door, i, why);
		if (status)
			break;
		/* It may be asked for afterwards, when what tells it is forgotten. */
		(void)ring_settle(door, i, &ignored);
		ring_forget(&door->rings[i], false);
	}
	door->status = 0;
	if (!status && door->backend->anew)
		status = door->backend->anew(door, why);
	return status;
}

static enum status answer(struct vu_message *message, uint64_t number)
{
	message->body.u64 = number;
	message->head.size = sizeof(message->body.u64);
	return ST_OK;
}

/*
 * Packed rings of a disk only where an in-flight region tells the next back end where they were
 * left: a front end does not know that of one that was killed, and the disk would stand still.
 */
static uint64_t offered(const struct door *door)
{
	if (door->backend->protocol & ~door->protocol & 1ULL << VU_P_INFLIGHT_SHMFD)
		return door->offered & ~(1ULL << VIRTIO_F_RING_PACKED);
	return door->offered;
}

static enum status on_get_features(struct door *door, struct vu_message *message,
				   struct failure *why)
{
	(void)why;
	return answer(message, offered(door));
}

enum status door_update(struct door *door, struct failure *why)
{
	enum status status = door_push_features(door, why);

	if (!status)
		status = rings_push_addr(door, why);
	for (unsigned int i = 0; !status && i < door->ring_count; i++)
		status = ring_update(door, i, why);
	return status;
}

enum status door_retry(struct door *door, struct failure *why)
{
	enum status status = ST_OK;

	why->status = ST_OK;
	door->waiting = false;
	door->rounds++;
	for (unsigned int i = 0; !status && i < door->ring_count; i++)
		status = ring_update(door, i, why);
	if (!door->waiting)
		door->rounds = 0;
	return status;
}

static enum status on_set_features(struct door *door, struct vu_message *message,
				   struct failure *why)
{
	uint64_t features = message->body.u64, changed = features ^ door->features;
	enum status status;

	if (features & ~offered(door))
		return failed(why, ST_PEER, "features %#llx were not offered",
			      (unsigned long long)(features & ~offered(door)));
	if (!changed)
		return ST_OK;
	for (unsigned int i = 0; i < door->ring_count; i++)
		if (door->rings[i].running && changed & ~(1ULL << VHOST_F_LOG_ALL))
			return failed(why, ST_PEER, "features %#llx changed while ring %u runs",
				      (unsigned long long)changed, i);
	door->features = features;
	/* A log is the kernel's business alone, and comes and goes while rings run. */
	status = changed & ~(1ULL << VHOST_F_LOG_ALL) ? door->backend->set_features(door, why) :
							ST_OK;
	return status ? status : door_update(door, why);
}

static enum status on_set_owner(struct door *door, struct vu_message *message, struct failure *why)
{
	(void)message;
	(void)why;
	door->owned = true;
	return ST_OK;
}

/* Deprecated; the specification has it ignored. */
static enum status on_reset_owner(struct door *door, struct vu_message *message,
				  struct failure *why)
{
	(void)door;
	(void)message;
	(void)why;
	return ST_OK;
}

static uint64_t offered_protocol(const struct door *door)
{
	return door->backend->protocol & ~door->withheld;
}

static enum status on_get_protocol_features(struct door *door, struct vu_message *message,
					    struct failure *why)
{
	(void)why;
	return answer(message, offered_protocol(door));
}

static enum status on_set_protocol_features(struct door *door, struct vu_message *message,
					    struct failure *why)
{
	if (message->body.u64 & ~offered_protocol(door))
		return failed(why, ST_PEER, "protocol features %#llx were not offered",
			      (unsigned long long)(message->body.u64 & ~offered_protocol(door)));
	door->protocol = message->body.u64;
	return ST_OK;
}

/* Rings, where QEMU means pairs of them for a network device: it only asks whether they suffice. */
static enum status on_get_queue_num(struct door *door, struct vu_message *message,
				    struct failure *why)
{
	(void)why;
	return answer(message, door->ring_count);
}

static enum status on_get_max_mem_slots(struct door *door, struct vu_message *message,
					struct failure *why)
{
	(void)why;
	return answer(message, door->slots);
}

static enum status on_send_rarp(struct door *door, struct vu_message *message, struct failure *why)
{
	uint8_t mac[6];

	memcpy(mac, &message->body.u64, sizeof(mac));
	return door->backend->send_rarp(door, mac, why);
}

static enum status on_net_set_mtu(struct door *door, struct vu_message *message,
				  struct failure *why)
{
	return door->backend->set_mtu(door, message->body.u64, why);
}

/*
 * Whether a socket can be kept as the channel. Nothing is ever read from it; that its other end
 * cannot be written to any more is also how the front end's own end of the connection would be
 * found out, which may not be kept (see serve.c). Nor may that end wait in it, unread.
 */
static bool fits_as_channel(int fd)
{
	struct iovec byte = { &(char){ 0 }, 1 };
	struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1 };
	socklen_t size = sizeof(int);
	int domain;

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) && domain == AF_UNIX &&
	       !shutdown(fd, SHUT_RD) && !recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);
}

static enum status on_set_backend_req_fd(struct door *door, struct vu_message *message,
					 struct failure *why)
{
	close_channel(door);
	door->channel = message_take_fd(message);
	if (fits_as_channel(door->channel))
		return door->backend->watch(door, why);
	close_channel(door);
	return failed(why, ST_PEER, "not an empty UNIX socket");
}

void door_event(struct door *door)
{
	const struct vu_header change = { VU_BACKEND_CONFIG_CHANGE, VU_VERSION, 0 };
	uint64_t count;

	if (read(door->event, &count, sizeof(count)) < 0 || door->channel < 0 ||
	    !(door->protocol >> VU_P_CONFIG & 1))
		return;
	/* Whoever has not taken the last ones yet will find what is new by them. */
	if (send(door->channel, &change, sizeof(change), MSG_DONTWAIT | MSG_NOSIGNAL) ==
		    sizeof(change) ||
	    errno == EAGAIN)
		return;
	close_channel(door);
}

/* Where the first byte of a message about the configuration is in it. */
static uint32_t config_offset(const struct vu_message *message)
{
	return message->body.config.offset % VU_CONFIG_MMIO;
}

/* An empty body says that it could not be read. */
static enum status on_get_config(struct door *door, struct vu_message *message, struct failure *why)
{
	uint32_t offset = config_offset(message), size = message->body.config.size;

	if (door->backend->config(door, offset, size, message->body.config.bytes, why))
		message->head.size = 0;
	return ST_OK;
}

/*
 * The byte of the configuration that is @writable, within a message; NULL if it is not in it, or
 * there is none.
 */
static const uint8_t *config_written(const struct door *door, const struct vu_message *message)
{
	uint32_t offset = config_offset(message);

	if (!door->writable || door->writable < offset ||
	    door->writable - offset >= message->body.config.size)
		return NULL;
	return &message->body.config.bytes[door->writable - offset];
}

/*
 * Front ends pass on what their guest writes, so that may be anything: what may not be written is
 * refused, and the connection goes on. What a migration brings may be all of the configuration; of
 * that the rest is what is said here anyway.
 */
static enum status on_set_config(struct door *door, struct vu_message *message, struct failure *why)
{
	const uint8_t *byte = config_written(door, message);
	uint32_t flags = message->body.config.flags, size = message->body.config.size;

	if (flags > VU_CONFIG_MIGRATION)
		return failed(why, ST_PEER, "SET_CONFIG with flags %#x", flags);
	if (!byte && flags == VU_CONFIG_MIGRATION)
		return ST_OK;
	if (!byte || (size != 1 && flags != VU_CONFIG_MIGRATION))
		return failed(why, ST_FEATURE,
			      "configuration is not to be written (%u bytes at %u)", size,
			      config_offset(message));
	if (*byte > 1)
		return failed(why, ST_FEATURE, "%u is written at %u, which can be 0 and 1", *byte,
			      door->writable);
	return door->backend->write(door, *byte, why);
}

static enum status on_reset_device(struct door *door, struct vu_message *message,
				   struct failure *why)
{
	enum status status = reset_rings(door, why);

	(void)message;
	/* What comes next begins anew, whatever the in-flight region has of before. */
	for (unsigned int i = 0; i < door->ring_count; i++)
		door->rings[i].ran = true;
	return status;
}

static enum status on_set_status(struct door *door, struct vu_message *message, struct failure *why)
{
	if (message->body.u64 > UINT8_MAX)
		return failed(why, ST_PEER, "device status %#llx",
			      (unsigned long long)message->body.u64);
	if (!message->body.u64)
		return reset_rings(door, why);
	door->status = (uint8_t)message->body.u64;
	return door->backend->device ? door->backend->device->set_status(door, why) : ST_OK;
}

static enum status on_get_status(struct door *door, struct vu_message *message, struct failure *why)
{
	(void)why;
	return answer(message, door->status);
}

/**
 * struct action - what is done with a request
 * @run: does it
 * @replies: it has a reply of its own, which @run leaves in the message
 * @may_refuse: a failure other than ST_PEER is the request's alone: the connection goes on
 */
struct action {
	handler run;
	bool replies;
	bool may_refuse;
};

static const struct action actions[VU_COUNT] = {
	[VU_GET_FEATURES] = { on_get_features, true, false },
	[VU_SET_FEATURES] = { on_set_features, false, false },
	[VU_SET_OWNER] = { on_set_owner, false, false },
	[VU_RESET_OWNER] = { on_reset_owner, false, false },
	[VU_SET_MEM_TABLE] = { on_set_mem_table, false, false },
	[VU_SET_LOG_BASE] = { on_set_log_base, true, false },
	[VU_SET_LOG_FD] = { on_set_log_fd, false, false },
	[VU_SET_VRING_NUM] = { on_set_vring_num, false, false },
	[VU_SET_VRING_ADDR] = { on_set_vring_addr, false, false },
	[VU_SET_VRING_BASE] = { on_set_vring_base, false, false },
	[VU_GET_VRING_BASE] = { on_get_vring_base, true, false },
	[VU_SET_VRING_KICK] = { on_set_vring_fd, false, false },
	[VU_SET_VRING_CALL] = { on_set_vring_fd, false, false },
	[VU_SET_VRING_ERR] = { on_set_vring_fd, false, false },
	[VU_GET_PROTOCOL_FEATURES] = { on_get_protocol_features, true, false },
	[VU_SET_PROTOCOL_FEATURES] = { on_set_protocol_features, false, false },
	[VU_GET_QUEUE_NUM] = { on_get_queue_num, true, false },
	[VU_SET_VRING_ENABLE] = { on_set_vring_enable, false, false },
	[VU_SEND_RARP] = { on_send_rarp, false, true },
	[VU_NET_SET_MTU] = { on_net_set_mtu, false, true },
	[VU_SET_BACKEND_REQ_FD] = { on_set_backend_req_fd, false, false },
	[VU_GET_CONFIG] = { on_get_config, true, false },
	[VU_SET_CONFIG] = { on_set_config, false, true },
	[VU_GET_INFLIGHT_FD] = { on_get_inflight_fd, true, false },
	[VU_SET_INFLIGHT_FD] = { on_set_inflight_fd, false, false },
	[VU_RESET_DEVICE] = { on_reset_device, false, false },
	[VU_GET_MAX_MEM_SLOTS] = { on_get_max_mem_slots, true, false },
	[VU_ADD_MEM_REG] = { on_add_mem_reg, false, false },
	[VU_REM_MEM_REG] = { on_rem_mem_reg, false, false },
	[VU_SET_STATUS] = { on_set_status, false, false },
	[VU_GET_STATUS] = { on_get_status, true, false },
};

enum status door_receive(struct door *door, struct vu_message *message, bool *reply,
			 struct failure *why)
{
	const struct action *action;
	struct failure reason;
	enum status status;
	bool acknowledge;

	*reply = false;
	why->status = ST_OK;
	status = message_check(door, message, &reason);
	if (status) {
		*why = reason;
		return status;
	}
	action = &actions[message->head.request];
	acknowledge = message->head.flags & VU_NEED_REPLY && door->protocol >> VU_P_REPLY_ACK & 1 &&
		      !action->replies;
	reason.status = ST_OK;
	status = action->run(door, message, &reason);
	if (reason.status)
		failed(why, reason.status, "%s: %s", request_name(message->head.request),
		       reason.text);
	if (acknowledge)
		answer(message, status ? 1 : 0);
	*reply = acknowledge || (action->replies && !status);
	if (action->may_refuse && status != ST_PEER)
		return ST_OK;
	return status;
}
