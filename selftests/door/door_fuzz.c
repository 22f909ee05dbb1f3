// SPDX-License-Identifier: GPL-2.0-only
/*
 * door_fuzz.c - messages under libFuzzer
 *
 * An input is a sequence of messages. A message is its request, flags, size and descriptors, each
 * a byte that chooses among likely and unlikely ones, and then the words of its body, each a byte
 * that chooses a number, or eight bytes of its own. So a byte that changes makes another message,
 * not noise, and rings come to run.
 *
 * Seen to hold: the made-up kernel is never asked what it must not be (fake.c); after a message
 * that was refused, and at the end, a reset leaves nothing; no descriptor is leaked.
 */
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "door/blk.h"
#include "door/net.h"
#include "door/vdpa.h"
#include "door/wire.h"
#include "fake.h"
#include "fakevdpa.h"

#define PAIRS	    2
#define MEMORY_SIZE (1ul << 20)

static const uint8_t *input, *input_end;

static uint8_t take8(void)
{
	return input < input_end ? *input++ : 0;
}

static uint64_t take64(void)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | take8();
	return value;
}

/* Numbers that mean something somewhere. */
static uint64_t word(uint64_t offered)
{
	static const uint64_t some[] = { 256,
					 1024,
					 0x1000,
					 0x2000,
					 0x8000,
					 0x10000,
					 MEMORY_SIZE,
					 2 * MEMORY_SIZE,
					 MEMORY_SIZE - 1,
					 0x7f0000000000,
					 0x7f0000001000,
					 0x7f0000008000,
					 0x7f0000100000,
					 UINT64_MAX,
					 INT64_MAX,
					 UINT32_MAX,
					 1ull << 32 | 1,
					 256ull << 32,
					 256ull << 32 | 1,
					 256ull << 32 | 2,
					 256ull << 32 | 3,
					 1ull << 32,
					 1ull << 32 | 2,
					 1ull << 32 | 3,
					 0x100,
					 0x101,
					 UINT64_MAX - 0xfff,
					 VU_CONFIG_MAX,
					 1ull << 32 | DOOR_BLK_WRITABLE,
					 1ull << 32 | (VU_CONFIG_MMIO + DOOR_BLK_WRITABLE) };
	uint8_t choice = take8();

	if (choice < 64)
		return choice;
	if (choice == 255)
		return take64();
	if (choice == 254)
		return offered;
	if (choice == 253)
		return offered & ~take64();
	return some[choice % (sizeof(some) / sizeof(some[0]))];
}

static void die(const char *what)
{
	fprintf(stderr, "%s\n", what);
	abort();
}

static int memory_fd, event_fd, small_fd, socket_fd;
static int region_fd = -1; /* the in-flight region of this input */

static int some_fd(void)
{
	switch (take8() % 10) {
	case 9:
		return dup(region_fd >= 0 ? region_fd : memory_fd);
	case 8:
		return dup(socket_fd);
	case 0:
		return dup(small_fd);
	case 1:
	case 2:
		return dup(event_fd);
	default:
		return dup(memory_fd);
	}
}

/* What a request's body usually is, so that most are of the right size. */
static uint32_t usual_size(uint32_t request, uint8_t count)
{
	switch (request) {
	case VU_SET_FEATURES:
	case VU_SET_PROTOCOL_FEATURES:
	case VU_SET_VRING_KICK:
	case VU_SET_VRING_CALL:
	case VU_SET_VRING_ERR:
	case VU_SET_VRING_NUM:
	case VU_SET_VRING_BASE:
	case VU_GET_VRING_BASE:
	case VU_SET_VRING_ENABLE:
	case VU_SEND_RARP:
	case VU_NET_SET_MTU:
	case VU_SET_STATUS:
		return 8;
	case VU_SET_VRING_ADDR:
	case VU_ADD_MEM_REG:
	case VU_REM_MEM_REG:
		return 40;
	case VU_SET_LOG_BASE:
		return 16;
	case VU_GET_INFLIGHT_FD:
	case VU_SET_INFLIGHT_FD:
		return sizeof(((union vu_body *)0)->inflight);
	case VU_SET_MEM_TABLE:
		return VU_TABLE_HEAD + 32u * count;
	case VU_GET_CONFIG:
	case VU_SET_CONFIG:
		return VU_CONFIG_HEAD + count;
	default:
		return 0;
	}
}

static void make_message(struct vu_message *message, const struct door *door)
{
	uint8_t how = take8(), count = take8();
	uint64_t offered;

	message_init(message);
	message->head.request = take8();
	offered = message->head.request == VU_SET_PROTOCOL_FEATURES ? door->backend->protocol :
								      door->offered;
	message->head.flags = how & 1 ? VU_VERSION | VU_NEED_REPLY : VU_VERSION;
	if ((how & 0xe) == 0xe)
		message->head.flags = take8();
	message->head.size = usual_size(message->head.request, count & 31);
	if ((how & 0x70) == 0x70)
		message->head.size = (uint32_t)word(0);
	/* What wire_receive() would not let through. */
	if (message->head.size > sizeof(message->body))
		message->head.size = sizeof(message->body);
	for (uint32_t at = 0; at < message->head.size; at += 8) {
		uint64_t value = word(offered);

		memcpy((char *)&message->body + at, &value,
		       message->head.size - at < 8 ? message->head.size - at : 8);
	}
	message->fd_count = how & 0x80 ? count & 31 : count >> 5 & 1;
	for (unsigned int i = 0; i < message->fd_count; i++)
		message->fds[i] = some_fd();
	message->got = sizeof(message->head) + message->head.size;
}

/* One message that has to be taken, as most sessions begin. */
static void say(struct door *door, uint32_t request, const void *body, uint32_t size, int fd)
{
	struct vu_message message;
	struct failure why;
	bool reply;

	message_init(&message);
	message.head = (struct vu_header){ request, VU_VERSION, size };
	memcpy(&message.body, body, size);
	if (fd >= 0)
		message.fds[message.fd_count++] = dup(fd);
	if (door_receive(door, &message, &reply, &why))
		die(why.text);
	message_clear(&message);
}

/* Give the door the in-flight region that it made before, or have it make one. */
static void remember(struct door *door)
{
	union vu_body body = { .inflight = { .num_queues = FAKE_RINGS, .queue_size = 256 } };
	struct vu_message message;
	struct failure why;
	bool reply;

	if (region_fd < 0) {
		message_init(&message);
		message.head =
			(struct vu_header){ VU_GET_INFLIGHT_FD, VU_VERSION, sizeof(body.inflight) };
		message.body = body;
		if (door_receive(door, &message, &reply, &why))
			die(why.text);
		region_fd = dup(message.reply_fd);
		message_clear(&message);
	}
	body.inflight.mmap_size = 4096;
	say(door, VU_SET_INFLIGHT_FD, &body, sizeof(body.inflight), region_fd);
}

/* Whether the device is a function, and not a vhost device. */
static bool is_function(const struct door *door)
{
	return door->backend->device;
}

/* Some rings that run, in one region of memory. */
static void begin(struct door *door, uint8_t how)
{
	union vu_body body = { 0 };
	uint64_t number;

	if (!(how & 1))
		return;
	say(door, VU_SET_PROTOCOL_FEATURES, &door->backend->protocol, 8, -1);
	say(door, VU_SET_OWNER, &body, 0, -1);
	if (door->writable && how & 8) {
		body.config.offset = door->writable;
		body.config.size = 1;
		body.config.bytes[0] = 1;
		say(door, VU_SET_CONFIG, &body, VU_CONFIG_HEAD + 1, -1);
	}
	if (!(how & 2))
		return;
	number = how & 4 ? door->offered : door->offered & ~(1ull << VIRTIO_F_RING_PACKED);
	say(door, VU_SET_FEATURES, &number, 8, -1);
	body.table.count = 1;
	body.table.regions[0] = (struct vu_region){ 0, MEMORY_SIZE, 0x7f0000000000, 0 };
	say(door, VU_SET_MEM_TABLE, &body, VU_TABLE_HEAD + 32, memory_fd);
	if (door->protocol >> VU_P_INFLIGHT_SHMFD & 1 && how & 8)
		remember(door);
	for (uint64_t i = 0; i < (how >> 4 & 3) && i < door->ring_count; i++) {
		body.state = (struct vhost_vring_state){ (uint32_t)i, 256 };
		say(door, VU_SET_VRING_NUM, &body, 8, -1);
		body.addr = (struct vhost_vring_addr){ .index = (uint32_t)i,
						       .flags = how >> 3 & 1,
						       .desc_user_addr = 0x7f0000001000,
						       .avail_user_addr = 0x7f0000008000,
						       .used_user_addr = 0x7f0000010000 };
		say(door, VU_SET_VRING_ADDR, &body, sizeof(body.addr), -1);
		if (is_function(door) && how & 4) {
			body.state = (struct vhost_vring_state){ (uint32_t)i, 0x80008000u };
			say(door, VU_SET_VRING_BASE, &body, 8, -1);
		}
		say(door, VU_SET_VRING_KICK, &i, 8, event_fd);
		body.state = (struct vhost_vring_state){ (uint32_t)i, 1 };
		say(door, VU_SET_VRING_ENABLE, &body, 8, -1);
	}
}

/* The input as it is, over a socket. */
static void as_bytes(struct door *door)
{
	struct vu_message message;
	struct failure why;
	bool reply;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("cannot make sockets");
	if (input < input_end &&
	    send(pair[0], input, (size_t)(input_end - input), MSG_DONTWAIT) < 0)
		die("cannot send");
	input = input_end;
	shutdown(pair[0], SHUT_WR);
	message_init(&message);
	while (wire_receive(pair[1], &message, &why) == WIRE_MESSAGE) {
		if (door_receive(door, &message, &reply, &why))
			break;
		if (reply && wire_reply(pair[1], &message, &why))
			break;
		message_clear(&message);
	}
	message_clear(&message);
	close(pair[0]);
	close(pair[1]);
}

static void reset(struct door *door, const struct fake *fake, const struct fake_vdpa *function)
{
	struct failure why;

	if (door_reset(door, &why))
		die(why.text);
	if (is_function(door) ? !fake_vdpa_is_new(function) : !fake_is_new(fake))
		die("the kernel still has something");
}

/* The lowest number that is free tells of a leak. */
static int next_fd(void)
{
	int fd = dup(small_fd);

	close(fd);
	return fd;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	memory_fd = memfd_create("memory", MFD_CLOEXEC);
	small_fd = memfd_create("small", MFD_CLOEXEC);
	event_fd = eventfd(0, EFD_CLOEXEC);
	socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (memory_fd < 0 || socket_fd < 0 || small_fd < 0 || event_fd < 0 ||
	    ftruncate(memory_fd, 2 * MEMORY_SIZE) || ftruncate(small_fd, 100))
		die("cannot make files");
	return 0;
}

/* A network device, with its TAP. */
static void make_net(struct door *door, struct fake *fake, struct tap *tap, struct door_net *net)
{
	struct failure why;

	fake_init(fake);
	*tap = (struct tap){ .name = "tap", .queues = FAKE_FILES };
	for (int i = 0; i < FAKE_FILES; i++)
		tap->fds[i] = FAKE_TAP + i;
	*net = (struct door_net){ .tap = tap, .mtu = 1500 };
	door->backend = &door_net_backend;
	door->self = net;
	door->file_count = PAIRS;
	door->ring_count = 2 * PAIRS;
	door->event = -1;
	if (door_net_init(net, &fake->kernel, &why))
		die(why.text);
}

static void make_disk(struct door *door, struct fake *fake, struct door_blk *blk)
{
	fake_init_disk(fake);
	fake->foreign = take8() & 1;
	fake->breaks = take8() & 1;
	fake->switches = take8() & 1;
	door->writable = fake->switches ? DOOR_BLK_WRITABLE : 0;
	*blk = (struct door_blk){ .disk = FAKE_DISK };
	door->backend = &door_blk_backend;
	door->self = blk;
	door->file_count = 1;
	door->ring_count = FAKE_RINGS;
	door->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static void make_function(struct door *door, struct fake_vdpa *function, struct door_vdpa *vdpa)
{
	struct failure why;

	fake_vdpa_init(function, take8() & 1 ? VIRTIO_ID_BLOCK : VIRTIO_ID_NET);
	*vdpa = (struct door_vdpa){ .node = FAKE_NODE, .queues = take8() & 3 };
	door->kernel = &function->kernel;
	if (door_vdpa_init(vdpa, door->kernel, &why))
		die(why.text);
	door->backend = vdpa->backend;
	door->self = vdpa;
	door->files = &vdpa->node;
	door->file_count = 1;
	door->ring_count = vdpa->ring_count;
	door->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/* What the loop does beside messages. */
static enum status look_after(struct door *door, struct fake *fake, struct failure *why)
{
	if (door->event >= 0 && !eventfd_write(door->event, 1))
		door_event(door);
	if (!door->waiting)
		return ST_OK;
	fake->foreign = take8() & 1;
	return door_retry(door, why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int files[PAIRS] = { FAKE_VHOST, FAKE_VHOST + 1 };
	static struct fake_vdpa function;
	static struct door_vdpa vdpa;
	static struct fake fake;
	static struct door door;
	struct door_net net;
	struct door_blk blk;
	struct tap tap;
	int fd = next_fd();
	struct failure why;
	uint8_t start, kind;

	input = data;
	input_end = data + size;
	memset(&door, 0, sizeof(door));
	door.kernel = &fake.kernel;
	door.files = files;
	kind = take8();
	if (kind & 2)
		make_function(&door, &function, &vdpa);
	else if (kind & 1)
		make_disk(&door, &fake, &blk);
	else
		make_net(&door, &fake, &tap, &net);
	door.slots = FAKE_REGIONS;
	if (door_init(&door, &why))
		die(why.text);

	/* Most sessions begin well. */
	start = take8();
	begin(&door, start);
	if (start >> 6 == 3)
		as_bytes(&door);
	while (input < input_end) {
		struct vu_message message;
		enum status status;
		bool reply;

		make_message(&message, &door);
		reply = false;
		status = look_after(&door, &fake, &why);
		if (!status)
			status = door_receive(&door, &message, &reply, &why);
		if (reply && message.head.size > sizeof(message.body))
			die("a reply that is too long");
		message_clear(&message);
		if (status) {
			if (status == ST_OK || !why.text[0])
				die("no reason");
			reset(&door, &fake, &function);
			begin(&door, start);
		} else if (is_function(&door)) {
			fake_vdpa_check(&function);
		} else {
			fake_check(&fake);
		}
	}
	reset(&door, &fake, &function);
	door_end(&door);
	if (door.event >= 0)
		close(door.event);
	if (region_fd >= 0)
		close(region_fd);
	region_fd = -1;
	if (next_fd() != fd)
		die("a descriptor was leaked");
	return 0;
}
