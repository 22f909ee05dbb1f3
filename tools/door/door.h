/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One vhost-user device and its connection.
 *
 * Nothing here prints, exits or waits. What can go wrong ends the connection, with the reason in a
 * struct failure; the caller then calls door_reset() and is ready for the next.
 */
#ifndef SHUNT_DOOR_H
#define SHUNT_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel.h"
#include "lib/status.h"
#include "memory.h"
#include "proto.h"
#include "wire.h"

/**
 * DOOR_RINGS_MAX - rings that a device can have: messages number them with eight bits
 */
#define DOOR_RINGS_MAX 256

/**
 * DOOR_TELL_AFTER - rounds of door_retry() until it is said what is waited for, since programs such
 * as udev have a disk for a moment
 */
#define DOOR_TELL_AFTER 20

/**
 * DOOR_RING_SIZE_MAX - descriptors that a ring can have
 */
#define DOOR_RING_SIZE_MAX 32768

/**
 * struct door_ring - what the front end has said of a ring, and whether the kernel runs it
 * @started: it was kicked off by SET_VRING_KICK, and not stopped since
 * @enabled: by SET_VRING_ENABLE
 * @running: the kernel has it
 * @addressed: @addr is there
 * @num: descriptors, 0 if not said yet
 * @ran: the kernel has had it in this connection
 * @refused: it is not to run as it was left: the guest has to reset its device
 * @base: where it starts
 * @left: where it was told to start or stopped, whichever was last: what GET_VRING_BASE says,
 *	after a reset as well
 * @addr: its parts by the front end's own addresses
 * @kick: the eventfd, or -1; owned, as the next two
 * @call: the eventfd, or -1
 * @err: the eventfd, or -1
 */
struct door_ring {
	bool started;
	bool enabled;
	bool running;
	bool addressed;
	bool ran;
	bool refused;
	unsigned int num;
	uint32_t base;
	uint32_t left;
	struct vhost_vring_addr addr;
	int kick;
	int call;
	int err;
};

struct backend;
struct shunt_place;

/**
 * struct door - a device
 * @backend: what kind of device it is
 * @self: what the back end knows of its device
 * @kernel: how the kernel is reached
 * @files: open vhost devices; ring R is ring R % backend->rings_per_file of file R / that
 * @file_count: how many
 * @ring_count: how many rings there are
 * @withheld: protocol features of the back end that are not offered
 * @kernel_features: what the vhost device offers
 * @offered: what is offered to the front end
 * @slots: memory regions that the vhost device takes
 * @event: an eventfd that the device writes when its configuration has changed, or -1
 * @writable: where the one byte of its configuration is that the guest may write, and the values of
 *	which are 0 and 1; 0: there is none
 *
 * Up to here it lasts; the rest is the connection's, and empty after door_reset():
 *
 * @features: acknowledged
 * @protocol: acknowledged protocol features
 * @owned: SET_OWNER has come
 * @status: the device status byte
 * @memory: the guest's memory
 * @stale: the memory before, where the kernel may not have let go of it
 * @stale_map: the same of a single mapping
 * @log: the dirty log
 * @log_size: its bytes
 * @inflight: the in-flight region
 * @region: the file of the one that was made in this connection, or -1
 * @log_fd: the eventfd that says that it was written to, or -1
 * @channel: the socket for what the back end asks, or -1; written to only
 * @waiting: a ring would run, but the back end is not ready: door_retry()
 * @rounds: of door_retry(), since something waits
 * @kernel_acked: what the vhost devices have been told to do
 * @rings: the rings
 */
struct door {
	const struct backend *backend;
	void *self;
	const struct kernel *kernel;
	const int *files;
	unsigned int file_count;
	unsigned int ring_count;
	uint64_t withheld;
	uint64_t kernel_features;
	uint64_t offered;
	unsigned int slots;
	int event;
	uint32_t writable;

	uint64_t features;
	uint64_t protocol;
	bool owned;
	uint8_t status;
	struct memory memory;
	struct memory stale;
	struct mapping stale_map;
	struct mapping log;
	uint64_t log_size;
	struct mapping inflight;
	int region;
	int log_fd;
	int channel;
	bool waiting;
	unsigned int rounds;
	uint64_t kernel_acked;
	struct door_ring rings[DOOR_RINGS_MAX];
};

/**
 * struct device - a device of the kernel that is no vhost device, and is told things in its own way
 * @begin: a connection begins: be its owner
 * @let_go: use nothing of the connection any more: rings, memory, eventfds
 * @set_memory: the memory is door->memory from now on; what is not in it is about to be unmapped
 * @start: run a ring that starts at its base; where it is not to run before the guest resets the
 *	device, @refused of the ring is set, @why filled in, and ST_OK returned
 * @stop: stop a ring that runs, and find out where it is; others may stop with it
 * @enable: enable or disable a ring that runs (ring_is_enabled()), if that has changed; it is not
 *	stopped by that
 * @set_status: the front end has set the status, which is not 0
 *
 * Its rings are numbered as the door's, its eventfds are set by the ioctls of vhost, and its
 * features are those that are acknowledged when a ring starts. Each fills in @why when it fails.
 */
struct device {
	enum status (*begin)(struct door *door, struct failure *why);
	enum status (*let_go)(struct door *door, struct failure *why);
	enum status (*set_memory)(struct door *door, struct failure *why);
	enum status (*start)(struct door *door, unsigned int ring, struct failure *why);
	enum status (*stop)(struct door *door, unsigned int ring, struct failure *why);
	enum status (*enable)(struct door *door, unsigned int ring, struct failure *why);
	enum status (*set_status)(struct door *door, struct failure *why);
};

/**
 * struct backend - a kind of device
 * @name: its name
 * @rings_per_file: rings of one open vhost device; 0: all of them
 * @drains: its vhost device returns all that it took before it stops
 * @device: how the kernel's device is told things; NULL: it is a vhost device
 * @protocol: protocol features that it can offer
 * @kernel_mask: features that are passed on from the vhost device
 * @writable_mask: those that are only where struct door has something @writable
 * @offer: features that it has beside the vhost device's
 * @set_features: the front end has acknowledged these; none, when a connection begins
 * @anew: what the guest said before does not count any more: a connection begins, or the guest has
 *	reset its device; may be missing
 * @ready: find out whether a ring can be run now; if not (*@is is false), it is asked again some
 *	time later, and @why may be filled in with something to be told; may be missing
 * @idle: a ring that @ready said could be run does not run after all: let go of what no ring has
 *	a use for; may be missing
 * @bind: let the kernel run a ring (ring number of the device), or stop it
 * @released: the kernel has let go of all rings at once, without @bind
 * @config: fill in @size bytes of configuration from @offset
 * @write: the byte that is @writable was written
 * @watch: have the device write @event when its configuration changes, until the connection ends
 * @set_mtu: the MTU that the guest will use; ST_MTU if it cannot be
 * @send_rarp: tell the network that this address is here now
 *
 * Those from @config on may be missing where @protocol lacks their feature, @write where struct
 * door has nothing @writable, @watch where it has no @event, and @bind and @released where there is
 * a @device. Each fills in @why when it fails.
 */
struct backend {
	const char *name;
	unsigned int rings_per_file;
	bool drains;
	const struct device *device;
	uint64_t protocol;
	uint64_t kernel_mask;
	uint64_t writable_mask;
	uint64_t (*offer)(struct door *door);
	enum status (*set_features)(struct door *door, struct failure *why);
	enum status (*anew)(struct door *door, struct failure *why);
	enum status (*ready)(struct door *door, bool *is, struct failure *why);
	void (*idle)(struct door *door);
	enum status (*bind)(struct door *door, unsigned int ring, bool run, struct failure *why);
	enum status (*released)(struct door *door, struct failure *why);
	enum status (*config)(struct door *door, uint32_t offset, uint32_t size, uint8_t *bytes,
			      struct failure *why);
	enum status (*write)(struct door *door, bool value, struct failure *why);
	enum status (*watch)(struct door *door, struct failure *why);
	enum status (*set_mtu)(struct door *door, uint64_t mtu, struct failure *why);
	enum status (*send_rarp)(struct door *door, const uint8_t mac[6], struct failure *why);
};

/**
 * door_init() - make a device of open vhost devices, and take ownership of them
 * @door: all but what lasts a connection is filled in, and kernel_features and offered, which are
 *	filled in here
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_SYSTEM.
 */
enum status door_init(struct door *door, struct failure *why);

/**
 * door_reset() - forget a connection: stop all rings, give back its memory and descriptors
 * @door: the device
 * @why: filled in on failure, after which the device is of no use any more
 *
 * Return: ST_OK or ST_SYSTEM.
 */
enum status door_reset(struct door *door, struct failure *why);

/**
 * door_end() - door_reset() for the last time
 * @door: not to be used afterwards; the vhost devices stay open
 */
void door_end(struct door *door);

/**
 * door_receive() - check one message and do what it says
 * @door: the device
 * @message: complete; receives the reply. Descriptors that were taken over are gone from it
 * @reply: whether there is a reply to be sent, also where the status is not ST_OK
 * @why: filled in on failure, and also where a request was refused without ending the connection
 *	(ST_OK is returned, and why->status is not)
 *
 * Return: ST_OK, or what ends the connection.
 */
enum status door_receive(struct door *door, struct vu_message *message, bool *reply,
			 struct failure *why);

/**
 * door_event() - the configuration has changed: tell the front end, if it wants to know
 * @door: the device; its @event can be read
 */
void door_event(struct door *door);

/**
 * door_retry() - start the rings that could not be started before
 * @door: the device, which is @waiting
 * @why: filled in on failure, and where there is something to be told
 *
 * Return: ST_OK, or what ends the connection.
 */
enum status door_retry(struct door *door, struct failure *why);

/**
 * message_check() - the one validator: see that a message may come, now, in this form
 * @door: the device
 * @message: complete
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_PEER.
 */
enum status message_check(const struct door *door, const struct vu_message *message,
			  struct failure *why);

/**
 * request_name() - name of a request, for people
 * @request: any number
 *
 * Return: the name, ``request`` if there is none.
 */
const char *request_name(uint32_t request);

/*
 * What the parts of the door have for each other. All return ST_OK, or ST_PEER or ST_SYSTEM with
 * @why filled in.
 */

/* The file of a ring, and its number there. */
int door_file(const struct door *door, unsigned int ring, unsigned int *index);

/* An ioctl on the file of a ring; @what names it. @argument begins with the ring's number there. */
enum status door_control(struct door *door, unsigned int ring, unsigned long request,
			 const char *what, void *argument, struct failure *why);

/* Whether the front end wants a ring to run, enabled or not. */
bool ring_is_set_up(const struct door *door, unsigned int ring);

/* Whether a ring is enabled, as all are for who has not acknowledged protocol features. */
bool ring_is_enabled(const struct door *door, unsigned int ring);

/* Bytes of the parts of a ring of @num descriptors. */
void ring_part_sizes(const struct door *door, unsigned int num, uint64_t *desc, uint64_t *avail,
		     uint64_t *used);

/* An ioctl on all files. */
enum status door_control_all(struct door *door, unsigned long request, const char *what,
			     void *argument, struct failure *why);

/* Features of the vhost device that are offered; it is told which of them are acknowledged. */
uint64_t door_passed_on(const struct door *door);

/* Tell the kernel the features, VHOST_F_LOG_ALL only once there is a log. */
enum status door_push_features(struct door *door, struct failure *why);

/* Do what follows from other features, or from a log: for the kernel, and for each ring. */
enum status door_update(struct door *door, struct failure *why);

/* Have the kernel log no more, and unmap the log. */
enum status log_drop(struct door *door, struct failure *why);

/* Whether the kernel has been told to log. */
bool door_logs(const struct door *door);

/* Whether a log of @log_size bytes has room for a ring's place in it. */
enum status ring_check_log(const struct door *door, unsigned int ring, uint64_t log_size,
			   struct failure *why);

/* Hand the kernel a ring's addresses, translated. */
enum status ring_push_addr(struct door *door, unsigned int ring, struct failure *why);

/* Hand the kernel a ring's eventfds, that for kicks last: with it the ring may begin. */
enum status ring_push_fds(struct door *door, unsigned int ring, struct failure *why);

/* Hand the kernel the addresses of all rings that run. */
enum status rings_push_addr(struct door *door, struct failure *why);

/* What the in-flight region says of a ring: nothing, if there is none, or the ring ran since. */
enum status inflight_find(const struct door *door, unsigned int ring, struct shunt_place *place,
			  struct failure *why);

/* Start or stop a ring in the kernel, as what is known of it says. */
enum status ring_update(struct door *door, unsigned int ring, struct failure *why);

/*
 * Learn where a ring is that has not run in this connection, for GET_VRING_BASE. It fails where
 * nobody knows.
 */
enum status ring_settle(struct door *door, unsigned int ring, struct failure *why);

/* Stop a ring in the kernel and learn its base. */
enum status ring_stop(struct door *door, unsigned int ring, struct failure *why);

/* Forget what the front end said of a ring; it does not run. @fds: also its descriptors. */
void ring_forget(struct door_ring *ring, bool fds);

/* Handlers: one request each. They are called with what message_check() has passed. */
typedef enum status (*handler)(struct door *door, struct vu_message *message, struct failure *why);

enum status on_set_vring_num(struct door *door, struct vu_message *message, struct failure *why);
enum status on_set_vring_addr(struct door *door, struct vu_message *message, struct failure *why);
enum status on_set_vring_base(struct door *door, struct vu_message *message, struct failure *why);
enum status on_get_vring_base(struct door *door, struct vu_message *message, struct failure *why);
enum status on_set_vring_fd(struct door *door, struct vu_message *message, struct failure *why);
enum status on_set_vring_enable(struct door *door, struct vu_message *message, struct failure *why);
enum status on_set_mem_table(struct door *door, struct vu_message *message, struct failure *why);
enum status on_add_mem_reg(struct door *door, struct vu_message *message, struct failure *why);
enum status on_rem_mem_reg(struct door *door, struct vu_message *message, struct failure *why);
enum status on_set_log_base(struct door *door, struct vu_message *message, struct failure *why);
enum status on_get_inflight_fd(struct door *door, struct vu_message *message, struct failure *why);
enum status on_set_inflight_fd(struct door *door, struct vu_message *message, struct failure *why);
enum status on_set_log_fd(struct door *door, struct vu_message *message, struct failure *why);

#endif
