// SPDX-License-Identifier: GPL-2.0-only
/*
 * door_vdpa.c - a virtio function behind the door
 *
 * With a function that is not there (fakevdpa.h); no root, no VM.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front.h"
#include "ktap.h"

#define BIT(n)	  (1ULL << (n))
#define PACKED	  BIT(VIRTIO_F_RING_PACKED)
#define RUNS	  VIRTIO_CONFIG_S_DRIVER_OK
#define DRIVER_OK 0xfu
#define NO_STATUS BIT(VU_P_STATUS)
#define NO_CONFIG BIT(VU_P_CONFIG)

/* Drivers keep the order that devices want without being told: see function_features(). */
#if defined(__x86_64__) || defined(__i386__)
#define ORDERED BIT(VIRTIO_F_ORDER_PLATFORM)
#else
#define ORDERED 0
#endif

static struct front front;

/* The guest's memory, as the guest has it: two regions of one file. */
static uint8_t *guest;
static int guest_fd;

static void give_memory(void)
{
	union vu_body body = { .table.count = 2 };

	for (unsigned int i = 0; i < 2; i++)
		body.table.regions[i] = (struct vu_region){
			.guest = 2 * i * GUEST_SIZE,
			.size = GUEST_SIZE,
			.user = USER_BASE + 4 * i * GUEST_SIZE,
			.offset = i * GUEST_SIZE,
		};
	front_send(&front, VU_SET_MEM_TABLE, VU_VERSION, &body,
		   VU_TABLE_HEAD + 2 * sizeof(body.table.regions[0]), (int[]){ guest_fd, guest_fd },
		   2);
	kt_check(!front_step(&front), "%s", front.why.text);
}

/* A function, greeted, with memory. */
static void begin(uint32_t kind, uint64_t withheld, uint64_t without)
{
	front_make_function(&front, kind, withheld);
	front_greet(&front, without);
	guest_fd = front_file(2 * GUEST_SIZE);
	guest = mmap(NULL, 2 * GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, guest_fd, 0);
	kt_check(guest != MAP_FAILED, "mmap: %m");
	give_memory();
}

static void end(void)
{
	munmap(guest, 2 * GUEST_SIZE);
	close(guest_fd);
	front_end(&front);
}

/* Describe a ring that begins at its start; it is enabled next. */
static void describe(unsigned int ring)
{
	front_start(&front, ring, 256, ring % 2);
	if (front.door.features & PACKED)
		front_ring(&front, VU_SET_VRING_BASE, ring, 0x80008000u);
}

static void start(unsigned int ring)
{
	describe(ring);
	front_ring(&front, VU_SET_VRING_ENABLE, ring, 1);
}

/* Two rings run, as QEMU has it: the status last. */
static void begin_running(uint32_t kind, uint64_t without)
{
	begin(kind, NO_CONFIG, without);
	start(0);
	start(1);
	front_number(&front, VU_SET_STATUS, DRIVER_OK);
	kt_check(front.function.status & RUNS && front.function.vqs[1].enabled, "does not run");
}

static uint32_t get_base(unsigned int ring)
{
	struct vhost_vring_state state = { .index = ring };
	union vu_body body;

	front_tell(&front, VU_GET_VRING_BASE, &state, sizeof(state), -1);
	kt_check(front_reply(&front, &body) == sizeof(body.state), "size of the reply");
	return body.state.num;
}

/* Where front_start() has the used index of a ring, in the guest's file. */
static uint16_t *used_index(unsigned int ring)
{
	return (uint16_t *)(guest + ring % 2 * GUEST_SIZE + ring * 0x10000 + 0xa002);
}

static void offers_what_the_function_has(long withheld)
{
	uint64_t features, protocol, mac = withheld ? 0 : BIT(VIRTIO_NET_F_MAC);

	front_make_function(&front, VIRTIO_ID_NET, (uint64_t)withheld);
	features = front_ask(&front, VU_GET_FEATURES);
	protocol = front_ask(&front, VU_GET_PROTOCOL_FEATURES);
	kt_check(features == (BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
			      BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MTU) |
			      BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ) | PACKED | mac |
			      BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) |
			      BIT(VU_F_PROTOCOL_FEATURES) | BIT(VIRTIO_F_VERSION_1)),
		 "%#llx", (unsigned long long)features);
	kt_check(!(protocol & (BIT(VU_P_LOG_SHMFD) | BIT(VU_P_INFLIGHT_SHMFD) | BIT(VU_P_RARP))) &&
			 protocol & BIT(VU_P_STATUS) &&
			 !(protocol & BIT(VU_P_CONFIG)) == !!withheld,
		 "%#llx", (unsigned long long)protocol);
	front_number(&front, VU_SET_PROTOCOL_FEATURES, protocol);
	kt_check(front_ask(&front, VU_GET_QUEUE_NUM) == 4, "the control queue is offered");
	front_end(&front);
}

static void refuses_other_kinds(long arg)
{
	struct door_vdpa vdpa = { .node = FAKE_NODE };
	struct fake_vdpa fake;
	struct failure why;

	(void)arg;
	fake_vdpa_init(&fake, VIRTIO_ID_CONSOLE);
	kt_check(door_vdpa_init(&vdpa, &fake.kernel, &why) == ST_PCI_KIND, "%s", why.text);
}

static void runs_rings_at_the_guests_addresses(long mq)
{
	const struct fake_vq *vq = front.function.vqs;
	uint64_t without = PACKED | BIT(VIRTIO_NET_F_CTRL_VQ) | (mq ? 0 : BIT(VIRTIO_NET_F_MQ));

	begin(VIRTIO_ID_NET, NO_CONFIG, without);
	kt_check(!front.function.status, "began without a ring");
	start(0);
	start(1);
	kt_check(front.function.status == 11 && vq[1].ready, "status %#x", front.function.status);
	front_number(&front, VU_SET_STATUS, DRIVER_OK);
	kt_check(front.function.status == DRIVER_OK && vq[0].enabled && vq[1].enabled, "status %#x",
		 front.function.status);
	kt_check(vq[1].addr.desc_user_addr == 2 * GUEST_SIZE + 0x10000 &&
			 vq[1].addr.avail_user_addr == 2 * GUEST_SIZE + 0x18000 &&
			 vq[1].addr.used_user_addr == 2 * GUEST_SIZE + 0x1a000 && vq[1].num == 256,
		 "ring 1 at %#llx", (unsigned long long)vq[1].addr.desc_user_addr);
	kt_check(vq[0].kick >= 0 && vq[0].call >= 0, "no eventfds");
	kt_check(front.function.features ==
			 (BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
			  BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MTU) |
			  (mq ? BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ) : 0) |
			  BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) |
			  BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | ORDERED),
		 "%#llx", (unsigned long long)front.function.features);
	end();
}

/* Whoever does not tell the status: what is described goes along with the first ring. */
static void begins_with_the_first_ring(long arg)
{
	const struct fake_vq *vq = front.function.vqs;

	(void)arg;
	begin(VIRTIO_ID_NET, NO_STATUS, PACKED);
	for (unsigned int i = 0; i < 4; i++)
		front_start(&front, i, 256, i % 2);
	kt_check(!front.function.status, "began without an enabled ring");
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	kt_check(front.function.status & RUNS && vq[0].enabled && vq[1].enabled,
		 "a pair does not run as a whole");
	kt_check(!vq[2].enabled && !vq[3].enabled, "nobody wants the other pair");
	front_ring(&front, VU_SET_VRING_ENABLE, 1, 1);
	front_ring(&front, VU_SET_VRING_ENABLE, 3, 1);
	kt_check(vq[3].enabled && vq[1].ready, "not enabled later");
	end();
}

static void disables_without_a_reset(long arg)
{
	(void)arg;
	begin_running(VIRTIO_ID_NET, PACKED);
	front_ring(&front, VU_SET_VRING_ENABLE, 1, 0);
	kt_check(!front.function.vqs[1].ready && front.function.status & RUNS, "not disabled");
	front_ring(&front, VU_SET_VRING_ENABLE, 1, 1);
	kt_check(front.function.vqs[1].ready && !front.function.resets, "not enabled");
	end();
}

/* A guest that reboots: everything stops, and begins anew; also where it is told by GET alone. */
static void begins_anew_after_a_reset(long by_status)
{
	begin_running(VIRTIO_ID_NET, PACKED);
	*used_index(0) = 77;
	*used_index(1) = 5;
	if (by_status)
		front_number(&front, VU_SET_STATUS, 0);
	kt_check(get_base(0) == 77, "base of ring 0");
	kt_check(!front.function.status && front.function.resets == 1, "not reset");
	kt_check(front.function.vqs[0].kick < 0 && front.function.vqs[1].kick < 0,
		 "the kernel keeps the eventfds of rings that stopped");
	kt_check(get_base(1) == 5 && front.function.resets == 1, "base of ring 1, or twice reset");
	*used_index(0) = *used_index(1) = 0;
	start(0);
	start(1);
	front_number(&front, VU_SET_STATUS, DRIVER_OK);
	kt_check(front.function.vqs[0].enabled && front.function.vqs[1].enabled, "not again");
	kt_check(front.function.updates == 2, "mapped %u times", front.function.updates);
	end();
}

static uint16_t *packed_flags(unsigned int ring, unsigned int descriptor)
{
	return (uint16_t *)(guest + ring * (GUEST_SIZE + 0x10000) + 16 * descriptor + 14);
}

/* A VMM that goes on, or reconnects, in the middle. The guest resets the device, and has it. */
static void does_not_go_on_in_the_middle(long packed)
{
	const struct vhost_vring_state enable = { 0, 1 };
	uint32_t base;

	begin_running(VIRTIO_ID_BLOCK, packed ? 0 : PACKED);
	if (packed)
		*packed_flags(0, 255) = 0x8080;
	else
		*used_index(0) = 3;
	front_number(&front, VU_SET_STATUS, 0);
	base = get_base(0);
	kt_check(base == (packed ? 0xff00ffu : 3), "base %#x", base);
	describe(0);
	/* A base that is the start does not help. */
	front_send(&front, VU_SET_VRING_ENABLE, VU_VERSION, &enable, sizeof(enable), NULL, 0);
	kt_check(!front_step(&front) && front.why.status == ST_PEER &&
			 strstr(front.why.text, "begin at the start only"),
		 "\"%s\"", front.why.text);
	kt_check(!front.function.status, "it runs");
	front_number(&front, VU_SET_STATUS, DRIVER_OK);
	kt_check(!front.function.status, "it runs");
	front_number(&front, VU_SET_STATUS, 0);
	*packed_flags(0, 255) = 0;
	*used_index(0) = 0;
	start(0);
	front_number(&front, VU_SET_STATUS, DRIVER_OK);
	kt_check(front.function.vqs[0].enabled, "does not run after a reset");
	end();
}

/* What a fresh packed ring looks like: filled by the driver, nothing of it used. */
static void runs_a_packed_ring_that_is_new(long arg)
{
	(void)arg;
	begin(VIRTIO_ID_BLOCK, NO_CONFIG, 0);
	for (unsigned int i = 0; i < 256; i++)
		*packed_flags(0, i) = 0x0082;
	start(0);
	front_number(&front, VU_SET_STATUS, DRIVER_OK);
	kt_check(front.function.vqs[0].enabled, "does not run");
	front_number(&front, VU_SET_STATUS, 0);
	kt_check(get_base(0) == 0x80008000u, "nothing was used");
	end();
}

static void refuses_a_base_in_the_middle(long arg)
{
	const struct vhost_vring_state enable = { 0, 1 };

	(void)arg;
	begin(VIRTIO_ID_BLOCK, NO_CONFIG, PACKED);
	front_start(&front, 0, 256, 0);
	front_ring(&front, VU_SET_VRING_BASE, 0, 12);
	front_send(&front, VU_SET_VRING_ENABLE, VU_VERSION, &enable, sizeof(enable), NULL, 0);
	kt_check(!front_step(&front) && front.why.status == ST_PEER, "\"%s\"", front.why.text);
	kt_check(!front.function.status, "it runs");
	kt_check(get_base(0) == 12, "base");
	end();
}

static void refuses_legacy_drivers(long arg)
{
	const struct vhost_vring_state enable = { 0, 1 };

	(void)arg;
	begin(VIRTIO_ID_NET, NO_CONFIG, PACKED | BIT(VIRTIO_F_VERSION_1));
	front_start(&front, 0, 256, 0);
	front_send(&front, VU_SET_VRING_ENABLE, VU_VERSION, &enable, sizeof(enable), NULL, 0);
	kt_check(!front_step(&front) && strstr(front.why.text, "legacy"), "\"%s\"", front.why.text);
	kt_check(!front.function.status, "it runs");
	end();
}

static void ends_where_features_are_declined(long arg)
{
	const struct vhost_vring_state enable = { 0, 1 };

	(void)arg;
	begin(VIRTIO_ID_NET, NO_CONFIG, PACKED);
	front.function.declines = true;
	front_start(&front, 0, 256, 0);
	front_send(&front, VU_SET_VRING_ENABLE, VU_VERSION, &enable, sizeof(enable), NULL, 0);
	kt_check(front_step(&front) == ST_PEER && strstr(front.why.text, "declines"), "\"%s\"",
		 front.why.text);
	end();
}

/* ADD_MEM_REG or REM_MEM_REG; what became of it. */
static enum status change(uint32_t request, uint64_t at, uint64_t size, uint64_t user, int fd)
{
	const union vu_body body = { .one.region = { at, size, user, 0 } };

	front_send(&front, request, VU_VERSION, &body, sizeof(body.one), &fd, fd >= 0);
	return front_step(&front);
}

static void maps_what_is_new_alone(long arg)
{
	int fd = front_file(GUEST_SIZE);

	(void)arg;
	begin_running(VIRTIO_ID_NET, PACKED);
	kt_check(front.function.updates == 2 && front.function.mapped == 2 * GUEST_SIZE, "mapped");
	give_memory();
	kt_check(front.function.updates == 2, "the same memory was mapped again");
	kt_check(!change(VU_ADD_MEM_REG, 1ull << 32, GUEST_SIZE, 1ull << 46, fd), "%s",
		 front.why.text);
	kt_check(front.function.updates == 3 && front.function.map_count == 3, "not added");
	/* No ring is there. */
	kt_check(!change(VU_REM_MEM_REG, 1ull << 32, GUEST_SIZE, 1ull << 46, -1), "%s",
		 front.why.text);
	kt_check(front.function.map_count == 2 && front.function.status & RUNS, "not removed");
	close(fd);
	end();
}

/* @how: a region goes, is sent of another file, or of another size. */
static void keeps_memory_that_a_ring_is_in(long how)
{
	begin_running(VIRTIO_ID_NET, PACKED);
	if (how) {
		union vu_body body = { .table.count = 1 };
		int fd = how == 1 ? front_file(GUEST_SIZE) : dup(guest_fd);

		body.table.regions[0] =
			(struct vu_region){ .size = how == 1 ? GUEST_SIZE : GUEST_SIZE / 2,
					    .user = USER_BASE };
		front_send(&front, VU_SET_MEM_TABLE, VU_VERSION, &body,
			   VU_TABLE_HEAD + sizeof(body.table.regions[0]), &fd, 1);
		close(fd);
		front_step(&front);
	} else {
		change(VU_REM_MEM_REG, 2 * GUEST_SIZE, GUEST_SIZE, USER_BASE + 4 * GUEST_SIZE, -1);
	}
	kt_check(front.status == ST_PEER && strstr(front.why.text, "has ring"), "\"%s\"",
		 front.why.text);
	kt_check(front.function.map_count == 2, "memory went under a ring");
	end();
}

static void lets_memory_go_with_the_rings(long arg)
{
	(void)arg;
	begin_running(VIRTIO_ID_NET, PACKED);
	front_number(&front, VU_SET_STATUS, 0);
	kt_check(
		!change(VU_REM_MEM_REG, 2 * GUEST_SIZE, GUEST_SIZE, USER_BASE + 4 * GUEST_SIZE, -1),
		"%s", front.why.text);
	kt_check(front.function.map_count == 1, "not unmapped");
	end();
}

static void refuses_memory(long which)
{
	static const struct {
		uint64_t guest, size;
		const char *says;
	} bad[] = {
		{ (1ull << 32) + 512, GUEST_SIZE, "whole pages" },
		{ 1ull << 32, GUEST_SIZE - 512, "whole pages" },
		{ FAKE_LAST + 1 - GUEST_SIZE / 2, GUEST_SIZE, "not within" },
		{ 1ull << 60, GUEST_SIZE, "not within" },
		{ FAKE_RESERVED - GUEST_SIZE / 2, GUEST_SIZE, "reserved" },
		{ GUEST_SIZE / 2, GUEST_SIZE, "overlap" },
		{ UINT64_MAX - GUEST_SIZE / 2, GUEST_SIZE, "a memory region of" },
	};
	int fd = front_file(GUEST_SIZE);

	begin_running(VIRTIO_ID_NET, PACKED);
	kt_check(change(VU_ADD_MEM_REG, bad[which].guest, bad[which].size, 1ull << 46, fd) ==
				 ST_PEER &&
			 strstr(front.why.text, bad[which].says),
		 "\"%s\"", front.why.text);
	close(fd);
	end();
}

static void says_that_the_limit_is_too_low(long arg)
{
	int fd = front_file(GUEST_SIZE);

	(void)arg;
	begin_running(VIRTIO_ID_NET, PACKED);
	front.function.most = 2 * GUEST_SIZE;
	kt_check(change(VU_ADD_MEM_REG, 1ull << 32, GUEST_SIZE, 1ull << 46, fd) == ST_PEER &&
			 strstr(front.why.text, "RLIMIT_MEMLOCK"),
		 "\"%s\"", front.why.text);
	close(fd);
	end();
}

/* @num: of which the function has not that many, or too many for the region. */
static void refuses_rings(long num)
{
	const struct vhost_vring_state state = { 0, (unsigned int)num };
	struct vhost_vring_addr addr = { .desc_user_addr = USER_BASE,
					 .avail_user_addr = USER_BASE + 0x8000,
					 .used_user_addr = num == 256 ?
								   USER_BASE + GUEST_SIZE - 1024 :
								   USER_BASE + 0xa000 };
	int event = kt_sys(eventfd(0, EFD_CLOEXEC));
	uint64_t ring = 0;

	begin(VIRTIO_ID_NET, NO_CONFIG, PACKED);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	front_tell(&front, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	front_tell(&front, VU_SET_VRING_NUM, &state, sizeof(state), -1);
	front_send(&front, VU_SET_VRING_KICK, VU_VERSION, &ring, sizeof(ring), &event, 1);
	kt_check(front_step(&front), "it was taken");
	close(event);
	end();
}

static void keeps_a_running_ring_where_it_is(long arg)
{
	struct vhost_vring_addr addr = { .desc_user_addr = USER_BASE + 0x40000 };

	(void)arg;
	begin_running(VIRTIO_ID_NET, PACKED);
	front_send(&front, VU_SET_VRING_ADDR, VU_VERSION, &addr, sizeof(addr), NULL, 0);
	kt_check(front_step(&front) == ST_PEER, "it moved");
	end();
}

static void refuses_to_log(long arg)
{
	int event = kt_sys(eventfd(0, EFD_CLOEXEC));

	(void)arg;
	begin_running(VIRTIO_ID_NET, PACKED);
	front_send(&front, VU_SET_LOG_FD, VU_VERSION, NULL, 0, &event, 1);
	kt_check(front_step(&front) == ST_PEER, "it was taken");
	close(event);
	end();
}

static void passes_eventfds_on(long arg)
{
	uint64_t ring = 1;
	int event = kt_sys(eventfd(0, EFD_CLOEXEC)), before;

	(void)arg;
	begin_running(VIRTIO_ID_NET, PACKED);
	before = front.function.vqs[1].call;
	front_tell(&front, VU_SET_VRING_CALL, &ring, sizeof(ring), event);
	kt_check(front.function.vqs[1].call != before && front.function.vqs[1].call >= 0, "call");
	close(event);
	end();
}

static void tells_the_configuration(long arg)
{
	union vu_body body = { .config = { .size = 60 } };
	uint64_t count;
	int pair[2];

	(void)arg;
	begin(VIRTIO_ID_BLOCK, 0, PACKED);
	front_tell(&front, VU_GET_CONFIG, &body, VU_CONFIG_HEAD + 60, -1);
	kt_check(front_reply(&front, &body) == VU_CONFIG_HEAD + 60, "size");
	kt_check(body.config.bytes[0] == 2 && body.config.bytes[5] == 7, "what the function says");
	kt_check(!body.config.bytes[59], "what it does not have");
	kt_sys(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	front_tell(&front, VU_SET_BACKEND_REQ_FD, NULL, 0, pair[1]);
	kt_check(front.function.config_call == front.door.event, "it would not hear of changes");
	start(0);
	kt_check(read(front.door.event, &count, sizeof(count)) < 0, "too early");
	front_number(&front, VU_SET_STATUS, DRIVER_OK);
	kt_check(read(front.door.event, &count, sizeof(count)) == sizeof(count), "missed");
	close(pair[0]);
	close(pair[1]);
	end();
}

static void ends_when_the_function_is_gone(long arg)
{
	struct failure why;

	(void)arg;
	begin_running(VIRTIO_ID_NET, PACKED);
	front.function.gone = true;
	kt_check(door_reset(&front.door, &why) == ST_SYSTEM && why.text[0], "it goes on");
	front.function.gone = false;
	end();
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = {
		{ .name = "offers what a card has", .run = offers_what_the_function_has },
		{ .name = "withholds a card's configuration",
		  .run = offers_what_the_function_has,
		  .arg = NO_CONFIG },
		{ .name = "refuses other kinds of functions", .run = refuses_other_kinds },
		{ .name = "runs rings at the guest's addresses",
		  .run = runs_rings_at_the_guests_addresses },
		{ .name = "runs rings of many pairs",
		  .run = runs_rings_at_the_guests_addresses,
		  .arg = 1 },
		{ .name = "begins with the first ring", .run = begins_with_the_first_ring },
		{ .name = "disables a ring without a reset", .run = disables_without_a_reset },
		{ .name = "begins anew after a reset by the status",
		  .run = begins_anew_after_a_reset,
		  .arg = 1 },
		{ .name = "begins anew after rings were stopped",
		  .run = begins_anew_after_a_reset },
		{ .name = "does not go on in the middle", .run = does_not_go_on_in_the_middle },
		{ .name = "does not go on in the middle of a packed ring",
		  .run = does_not_go_on_in_the_middle,
		  .arg = 1 },
		{ .name = "runs a packed ring that is new", .run = runs_a_packed_ring_that_is_new },
		{ .name = "refuses a base in the middle", .run = refuses_a_base_in_the_middle },
		{ .name = "refuses legacy drivers", .run = refuses_legacy_drivers },
		{ .name = "ends where features are declined",
		  .run = ends_where_features_are_declined },
		{ .name = "maps what is new alone", .run = maps_what_is_new_alone },
		{ .name = "keeps memory that a ring is in", .run = keeps_memory_that_a_ring_is_in },
		{ .name = "keeps memory that is sent of another file",
		  .run = keeps_memory_that_a_ring_is_in,
		  .arg = 1 },
		{ .name = "keeps memory that is sent smaller",
		  .run = keeps_memory_that_a_ring_is_in,
		  .arg = 2 },
		{ .name = "lets memory go with the rings", .run = lets_memory_go_with_the_rings },
		{ .name = "refuses memory that begins in a page", .run = refuses_memory },
		{ .name = "refuses memory that ends in a page", .run = refuses_memory, .arg = 1 },
		{ .name = "refuses memory that ends beyond the range",
		  .run = refuses_memory,
		  .arg = 2 },
		{ .name = "refuses memory beyond the range", .run = refuses_memory, .arg = 3 },
		{ .name = "refuses memory that is reserved", .run = refuses_memory, .arg = 4 },
		{ .name = "refuses memory that overlaps", .run = refuses_memory, .arg = 5 },
		{ .name = "refuses memory that wraps around", .run = refuses_memory, .arg = 6 },
		{ .name = "says that the limit is too low", .run = says_that_the_limit_is_too_low },
		{ .name = "refuses rings that are too large", .run = refuses_rings, .arg = 2048 },
		{ .name = "refuses rings that leave their region",
		  .run = refuses_rings,
		  .arg = 256 },
		{ .name = "keeps a running ring where it is",
		  .run = keeps_a_running_ring_where_it_is },
		{ .name = "refuses to log", .run = refuses_to_log },
		{ .name = "passes eventfds on", .run = passes_eventfds_on },
		{ .name = "tells the configuration, and changes", .run = tells_the_configuration },
		{ .name = "ends when the function is gone", .run = ends_when_the_function_is_gone },
	};

	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
