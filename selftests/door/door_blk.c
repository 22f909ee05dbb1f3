// SPDX-License-Identifier: GPL-2.0-only
/*
 * door_blk.c - the disk behind the door, and what it tells its front end unasked
 *
 * With a kernel that is not there (fake.h); no root, no VM.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front.h"
#include "ktap.h"

#define BIT(n)	  (1ULL << (n))
#define WRITEBACK offsetof(struct virtio_blk_config, wce)

static struct front front;

static void greet(unsigned int rings)
{
	front_make_disk(&front, rings);
	front_greet(&front, BIT(VHOST_F_LOG_ALL));
}

static void offers_what_the_kernel_has(long arg)
{
	uint64_t features, protocol;

	(void)arg;
	front_make_disk(&front, 4);
	features = front_ask(&front, VU_GET_FEATURES);
	protocol = front_ask(&front, VU_GET_PROTOCOL_FEATURES);
	kt_check(features == (BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_FLUSH) |
			      BIT(VIRTIO_BLK_F_MQ) | BIT(VHOST_F_LOG_ALL) |
			      BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) |
			      BIT(VU_F_PROTOCOL_FEATURES) | BIT(VIRTIO_F_VERSION_1)),
		 "%#llx", (unsigned long long)features);
	kt_check(protocol & BIT(VU_P_CONFIG) && protocol & BIT(VU_P_BACKEND_REQ) &&
			 !(protocol & (BIT(VU_P_RARP) | BIT(VU_P_NET_MTU))),
		 "%#llx", (unsigned long long)protocol);
	front_number(&front, VU_SET_PROTOCOL_FEATURES, protocol);
	kt_check(front_ask(&front, VU_GET_QUEUE_NUM) == 4, "number of rings");
	front_end(&front);
}

static void runs_its_rings(long arg)
{
	const struct fake_file *file = &front.fake.files[0];
	struct vhost_vring_state state = { 3, 0 };
	union vu_body body;

	(void)arg;
	greet(4);
	front_memory(&front, 0, 1);
	for (unsigned int i = 0; i < 4; i++) {
		front_ring(&front, VU_SET_VRING_ENABLE, i, 1);
		front_start(&front, i, 128, 0);
		kt_check(file->rings[i].backend == FAKE_DISK, "ring %u does not run", i);
	}
	front_tell(&front, VU_GET_VRING_BASE, &state, sizeof(state), -1);
	front_reply(&front, &body);
	kt_check(file->rings[3].backend < 0 && file->rings[2].backend >= 0, "the wrong one");
	front_end(&front);
}

/* Rings start when nobody else has the disk any more; and others can have it when none runs. */
static void waits_for_the_disk(long read_only)
{
	const struct fake_ring *rings = front.fake.files[0].rings;
	struct vhost_vring_state state = { 0 };
	unsigned int said = 0, first = 0;
	union vu_body body;
	struct failure why;

	greet(2);
	front.blk.read_only = read_only;
	front.fake.foreign = true;
	front_memory(&front, 0, 1);
	for (unsigned int i = 0; i < 2; i++) {
		front_ring(&front, VU_SET_VRING_ENABLE, i, 1);
		front_start(&front, i, 128, 0);
		kt_check(!front.why.status, "ring %u: said \"%s\"", i, front.why.text);
		kt_check(rings[i].backend < 0 && front.door.waiting, "ring %u does not wait", i);
	}
	/* Messages, or rings, are no measure of time. */
	for (unsigned int i = 0; i < 50; i++)
		front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	for (unsigned int i = 1; i <= 100; i++) {
		kt_check(!door_retry(&front.door, &why) && front.door.waiting, "%s", why.text);
		if (why.status == ST_DISK_BUSY && !said++)
			first = i;
	}
	kt_check(said == 1 && first == 20, "said %u times, in round %u first", said, first);
	front.fake.foreign = false;
	kt_check(!door_retry(&front.door, &why) && !front.door.waiting, "still waiting");
	kt_check(rings[0].backend >= 0 && rings[1].backend >= 0, "does not run");
	kt_check(front.fake.locked == (read_only ? LOCK_SH : LOCK_EX), "lock %d",
		 front.fake.locked);
	front_tell(&front, VU_GET_VRING_BASE, &state, sizeof(state), -1);
	front_reply(&front, &body);
	kt_check(front.fake.locked, "the disk was let go of while a ring runs");
	state.index = 1;
	front_tell(&front, VU_GET_VRING_BASE, &state, sizeof(state), -1);
	front_reply(&front, &body);
	kt_check(!front.fake.locked, "the disk was not let go of");
	/* A ring that waits and is stopped waits no more. */
	front.fake.foreign = true;
	front_start(&front, 1, 128, 0);
	kt_check(front.door.waiting, "does not wait");
	front_tell(&front, VU_GET_VRING_BASE, &state, sizeof(state), -1);
	front_reply(&front, &body);
	kt_check(!door_retry(&front.door, &why) && !front.door.waiting, "waits for nothing");
	front_end(&front);
}

/* Of a back end that was killed nothing is in flight: the index says what it returned. */
static void goes_on_at_the_used_index(long arg)
{
	const struct fake_file *file = &front.fake.files[0];

	(void)arg;
	greet(1);
	front_memory(&front, 0, 1);
	*(uint16_t *)(uintptr_t)(file->region[0].userspace_addr + 0xa002) = 65530;
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	front_start(&front, 0, 256, 0);
	kt_check(file->rings[0].base == 65530, "base %u", file->rings[0].base);
	front_end(&front);
}

/* @base: where the configuration begins for this front end. */
static void tells_the_configuration(long base)
{
	const uint64_t capacity = FAKE_CAPACITY;
	union vu_body body;

	greet(1);
	kt_check(front_get_config(&front, (uint32_t)base, 60, &body) == VU_CONFIG_HEAD + 60,
		 "size");
	kt_check(body.config.offset == base && body.config.size == 60, "not what was asked for");
	kt_check(!memcmp(body.config.bytes, &capacity, 8), "capacity");
	kt_check(body.config.bytes[WRITEBACK] == 1, "writeback");
	kt_check(front_get_config(&front, (uint32_t)base + 1, 2, &body) &&
			 body.config.bytes[0] == 0x34,
		 "a part");
	kt_check(front_get_config(&front, (uint32_t)base, VU_CONFIG_MAX, &body) ==
			 VU_CONFIG_HEAD + VU_CONFIG_MAX,
		 "all that can be asked for");
	kt_check(!body.config.bytes[120] && !body.config.bytes[255], "what does not exist");
	front_end(&front);
}

static void refuses_configuration_elsewhere(long arg)
{
	static const uint32_t places[][2] = {
		{ 200, 100 }, { 0x100 + 200, 100 }, { 0x200, 1 }, { UINT32_MAX, 1 }
	};
	union vu_body body;

	(void)arg;
	for (unsigned int i = 0; i < ARRAY_SIZE(places); i++) {
		greet(1);
		body = (union vu_body){ .config = { .offset = places[i][0],
						    .size = places[i][1] } };
		front_send(&front, VU_GET_CONFIG, VU_VERSION, &body, VU_CONFIG_HEAD + places[i][1],
			   NULL, 0);
		kt_check(front_step(&front) == ST_PEER, "%u bytes at %u", places[i][1],
			 places[i][0]);
		front_end(&front);
	}
}

static void writes_no_configuration(long base)
{
	const struct fake_file *file = &front.fake.files[0];
	uint8_t all[60] = { 0 };

	greet(1);
	kt_check(front_set_config(&front, (uint32_t)base + WRITEBACK, (uint8_t[]){ 0 }, 1, 0) == 1,
		 "the write cache");
	kt_check(front_set_config(&front, (uint32_t)base, all, 60, 0) == 1, "everything");
	kt_check(!front_set_config(&front, (uint32_t)base, all, 60, 1), "what a migration brings");
	kt_check(file->wce, "it was written");
	front_end(&front);
}

/* A lock that cannot be had, ever, is nothing to wait for. */
static void ends_where_there_are_no_locks(long arg)
{
	const struct vhost_vring_state enable = { 0, 1 };

	(void)arg;
	greet(1);
	front.fake.no_locks = true;
	front_memory(&front, 0, 1);
	front_start(&front, 0, 128, 0);
	front_send(&front, VU_SET_VRING_ENABLE, VU_VERSION, &enable, sizeof(enable), NULL, 0);
	kt_check(front_step(&front) == ST_SYSTEM, "goes on");
	front_end(&front);
}

/* A front end may have missed a change while it was not connected. */
static void tells_when_it_starts(long arg)
{
	uint64_t count;

	(void)arg;
	greet(2);
	front_memory(&front, 0, 1);
	kt_check(read(front.door.event, &count, sizeof(count)) < 0, "too early");
	for (unsigned int i = 0; i < 2; i++) {
		front_ring(&front, VU_SET_VRING_ENABLE, i, 1);
		front_start(&front, i, 128, 0);
	}
	kt_check(read(front.door.event, &count, sizeof(count)) == sizeof(count) && count == 1,
		 "not once");
	front_end(&front);
}

/* Give the door a channel; the front end's end of it. */
static int give_channel(void)
{
	int pair[2];

	kt_sys(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	front_tell(&front, VU_SET_BACKEND_REQ_FD, NULL, 0, pair[1]);
	close(pair[1]);
	return pair[0];
}

static void change(void)
{
	const uint64_t once = 1;

	kt_check(write(front.door.event, &once, sizeof(once)) == sizeof(once), "eventfd: %m");
	door_event(&front.door);
}

static bool was_told(int channel)
{
	struct vu_header head;
	ssize_t got = recv(channel, &head, sizeof(head), MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return false;
	kt_check(got == sizeof(head) && head.request == VU_BACKEND_CONFIG_CHANGE &&
			 head.flags == VU_VERSION && !head.size,
		 "%zd bytes, request %u", got, head.request);
	return true;
}

static void tells_of_changes(long arg)
{
	uint64_t count;
	int channel, next;

	(void)arg;
	greet(1);
	change();
	channel = give_channel();
	kt_check(!was_told(channel), "of what was before");
	change();
	kt_check(was_told(channel) && !was_told(channel), "not once");
	kt_check(read(front.door.event, &count, sizeof(count)) < 0, "the event is still there");
	next = give_channel();
	change();
	kt_check(was_told(next), "not over the next channel");
	kt_check(!recv(channel, &count, 1, MSG_DONTWAIT), "the first one is still open");
	/* A front end that is gone, and one that does not listen. */
	close(next);
	change();
	change();
	next = give_channel();
	for (unsigned int i = 0; i < 10000; i++)
		change();
	kt_check(was_told(next), "not at all");
	close(next);
	close(channel);
	front_end(&front);
}

static void keeps_no_channel(long arg)
{
	unsigned int open = front_open_files();
	struct failure why;
	uint64_t byte;
	int channel;

	(void)arg;
	greet(1);
	channel = give_channel();
	kt_check(!door_reset(&front.door, &why), "%s", why.text);
	kt_check(!recv(channel, &byte, 1, MSG_DONTWAIT), "still open");
	close(channel);
	front_greet(&front, BIT(VHOST_F_LOG_ALL));
	kt_check(front.fake.files[0].config_call < 0, "watched for nobody");
	channel = give_channel();
	kt_check(front.fake.files[0].config_call == front.door.event,
		 "the next connection would not hear of changes");
	close(channel);
	front_end(&front);
	kt_check(front_open_files() == open, "descriptors were leaked");
}

static void refuses_other_channels(long what)
{
	unsigned int open = front_open_files();
	int pair[2], fd = -1;

	kt_sys(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	switch (what) {
	case 0: /* no socket */
		greet(1);
		fd = kt_sys(eventfd(0, EFD_CLOEXEC));
		front_send(&front, VU_SET_BACKEND_REQ_FD, VU_VERSION, NULL, 0, &fd, 1);
		break;
	case 1: /* two */
		greet(1);
		front_send(&front, VU_SET_BACKEND_REQ_FD, VU_VERSION, NULL, 0, pair, 2);
		break;
	case 2: /* none */
		greet(1);
		front_send(&front, VU_SET_BACKEND_REQ_FD, VU_VERSION, NULL, 0, NULL, 0);
		break;
	case 3: /* a message that is not complete would be kept */
		greet(1);
		front_send(&front, VU_SET_BACKEND_REQ_FD, VU_VERSION, &what, sizeof(what), pair, 1);
		break;
	case 5: /* one with something in it, that may be anything */
		greet(1);
		kt_check(write(pair[0], "", 1) == 1, "write: %m");
		front_send(&front, VU_SET_BACKEND_REQ_FD, VU_VERSION, NULL, 0, pair + 1, 1);
		break;
	case 6: /* of a network, whose locks others may have */
		greet(1);
		fd = kt_sys(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		front_send(&front, VU_SET_BACKEND_REQ_FD, VU_VERSION, NULL, 0, &fd, 1);
		break;
	case 4: /* of a device that has nothing to say */
		front_make(&front, 1);
		front_greet(&front, BIT(VHOST_F_LOG_ALL));
		front_send(&front, VU_SET_BACKEND_REQ_FD, VU_VERSION, NULL, 0, pair, 1);
		break;
	}
	kt_check(front_step(&front) == ST_PEER, "taken");
	if (fd >= 0)
		close(fd);
	close(pair[0]);
	close(pair[1]);
	front_end(&front);
	kt_check(front_open_files() == open, "descriptors were leaked");
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = {
		{ .name = "offers what the kernel's disk has", .run = offers_what_the_kernel_has },
		{ .name = "runs its rings on the disk", .run = runs_its_rings },
		{ .name = "waits for who has the disk", .run = waits_for_the_disk },
		{ .name = "waits for who writes to it", .run = waits_for_the_disk, .arg = 1 },
		{ .name = "goes on at the used index", .run = goes_on_at_the_used_index },
		{ .name = "tells the configuration", .run = tells_the_configuration },
		{ .name = "tells it to those who begin at 0x100",
		  .run = tells_the_configuration,
		  .arg = VU_CONFIG_MMIO },
		{ .name = "refuses configuration that cannot be",
		  .run = refuses_configuration_elsewhere },
		{ .name = "writes no configuration", .run = writes_no_configuration },
		{ .name = "writes none for those who begin at 0x100",
		  .run = writes_no_configuration,
		  .arg = VU_CONFIG_MMIO },
		{ .name = "ends where there are no locks", .run = ends_where_there_are_no_locks },
		{ .name = "tells of changes when it starts", .run = tells_when_it_starts },
		{ .name = "tells of changes over the channel", .run = tells_of_changes },
		{ .name = "keeps no channel of a connection that ended", .run = keeps_no_channel },
		{ .name = "refuses a channel that is no socket", .run = refuses_other_channels },
		{ .name = "refuses two channels", .run = refuses_other_channels, .arg = 1 },
		{ .name = "refuses no channel", .run = refuses_other_channels, .arg = 2 },
		{ .name = "refuses a channel with a body",
		  .run = refuses_other_channels,
		  .arg = 3 },
		{ .name = "refuses a channel that has something in it",
		  .run = refuses_other_channels,
		  .arg = 5 },
		{ .name = "refuses a channel over a network",
		  .run = refuses_other_channels,
		  .arg = 6 },
		{ .name = "has no channel for a network device",
		  .run = refuses_other_channels,
		  .arg = 4 },
	};

	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
