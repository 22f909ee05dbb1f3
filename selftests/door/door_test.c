// SPDX-License-Identifier: GPL-2.0-only
/*
 * door_test.c - the vhost-user door behaves as the specification and its header say
 *
 * With a kernel that is not there (fake.h); no root, no VM.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front.h"
#include "ktap.h"

#define BIT(n) (1ULL << (n))

static struct front front;

static struct fake_ring *kernel_ring(unsigned int ring)
{
	return &front.fake.files[ring / 2].rings[ring % 2];
}

static bool runs(unsigned int ring)
{
	return kernel_ring(ring)->backend >= 0;
}

static void offers(long arg)
{
	uint64_t features, protocol;

	(void)arg;
	front_make(&front, 1);
	features = front_ask(&front, VU_GET_FEATURES);
	protocol = front_ask(&front, VU_GET_PROTOCOL_FEATURES);
	kt_check(features & BIT(VU_F_PROTOCOL_FEATURES), "no protocol features");
	kt_check(features & BIT(VIRTIO_F_RING_PACKED), "the kernel's features are not there");
	kt_check(features & BIT(VIRTIO_NET_F_GUEST_TSO4), "the TAP's features are not there");
	kt_check(!(features & BIT(VIRTIO_F_ACCESS_PLATFORM)), "ACCESS_PLATFORM is offered");
	kt_check(!(features & BIT(VIRTIO_F_ANY_LAYOUT)), "bit 27 is offered");
	kt_check(!(features & BIT(VIRTIO_F_RING_RESET)), "RING_RESET is offered");
	kt_check(features & BIT(VIRTIO_NET_F_MQ) && features & BIT(VIRTIO_NET_F_CTRL_VQ),
		 "the TAP's many queues, or the control of them, are not offered");
	kt_check(!(features & BIT(54)), "USO is offered, which the TAP refused");
	kt_check(protocol & BIT(VU_P_LOG_SHMFD) && protocol & BIT(VU_P_REPLY_ACK), "%#llx",
		 (unsigned long long)protocol);
	front_number(&front, VU_SET_PROTOCOL_FEATURES, protocol);
	kt_check(front_ask(&front, VU_GET_QUEUE_NUM) == 2, "number of rings");
	kt_check(front_ask(&front, VU_GET_MAX_MEM_SLOTS) == FAKE_REGIONS, "number of slots");
	front_end(&front);
}

static void carries_set_up_to_the_kernel(long arg)
{
	struct fake_file *file = &front.fake.files[0];
	int event = kt_sys(eventfd(0, EFD_CLOEXEC));

	(void)arg;
	front_running(&front, 1, BIT(VIRTIO_F_RING_PACKED) | BIT(VHOST_F_LOG_ALL));
	kt_check(file->features == (BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
				    BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1)),
		 "features %#llx", (unsigned long long)file->features);
	kt_check(file->regions == 2, "%u regions", file->regions);
	kt_check(file->region[1].guest_phys_addr == 2 * GUEST_SIZE, "guest address");
	kt_check(kernel_ring(1)->num == 256, "size");
	front_tell(&front, VU_SET_VRING_ERR, &(uint64_t){ 1 }, 8, event);
	close(event);
	kt_check(kernel_ring(1)->err >= 0 && kernel_ring(0)->err < 0, "eventfd for errors");
	kt_check(kernel_ring(1)->addr.avail_user_addr ==
			 file->region[1].userspace_addr + 0x10000 + 0x8000,
		 "address of ring 1");
	kt_check(front.fake.offloads & TUN_F_TSO4 && front.fake.header == 12, "offloads %#lx",
		 front.fake.offloads);
	front_end(&front);
}

static void tells_a_legacy_guest_from_a_modern_one(long arg)
{
	(void)arg;
	front_make(&front, 1);
	front_greet(&front, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
				    BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VHOST_F_LOG_ALL));
	kt_check(front.fake.header == 10, "header of %d", front.fake.header);
	kt_check(!front.fake.offloads, "segments without checksum");
	front_end(&front);
}

static void starts_when_enabled_and_kicked(long arg)
{
	(void)arg;
	front_make(&front, 1);
	front_greet(&front, BIT(VHOST_F_LOG_ALL));
	front_memory(&front, 0, 1);
	front_start(&front, 0, 256, 0);
	kt_check(!runs(0), "runs though disabled");
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	kt_check(runs(0), "does not run");
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 0);
	kt_check(!runs(0), "runs though disabled again");
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	kt_check(runs(0) && kernel_ring(0)->base == 3, "went on at %u", kernel_ring(0)->base);
	front_end(&front);
}

static uint64_t calls(unsigned int ring)
{
	uint64_t count = 0;

	if (read(front.door.rings[ring].call, &count, sizeof(count)) < 0)
		kt_check(errno == EAGAIN, "call: %s", strerror(errno));
	return count;
}

/* For what may have been told to nobody: by a back end that was killed, or to another eventfd. */
static void interrupts_when_it_starts(long arg)
{
	uint64_t number = 0;
	int event = kt_sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	(void)arg;
	front_make(&front, 1);
	front_greet(&front, BIT(VHOST_F_LOG_ALL));
	front_memory(&front, 0, 1);
	front_start(&front, 0, 256, 0);
	kt_check(!calls(0), "interrupts though disabled");
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	kt_check(calls(0) == 1, "does not interrupt");
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	kt_check(!calls(0), "interrupts again");
	front_tell(&front, VU_SET_VRING_CALL, &number, sizeof(number), event);
	close(event);
	kt_check(calls(0) == 1, "does not interrupt by another eventfd");
	front_end(&front);
}

/* What the guest's ring says is done. */
static void set_used(unsigned int ring, uint16_t used)
{
	const struct vhost_memory_region *region = &front.fake.files[0].region[0];

	*(uint16_t *)(uintptr_t)(region->userspace_addr + ring * 0x10000 + 0xa002) = used;
}

static void goes_on_at_the_used_index(long packed)
{
	front_make(&front, 1);
	front_greet(&front, BIT(VHOST_F_LOG_ALL) | (packed ? 0 : BIT(VIRTIO_F_RING_PACKED)));
	front_memory(&front, 0, 1);
	set_used(0, 65530);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	front_start(&front, 0, 256, 0);
	kt_check(kernel_ring(0)->base == (packed ? 0 : 65530), "base %u", kernel_ring(0)->base);
	front_end(&front);
}

static void starts_at_once_without_protocol_features(long arg)
{
	(void)arg;
	front_make(&front, 1);
	front_greet(&front, BIT(VU_F_PROTOCOL_FEATURES) | BIT(VHOST_F_LOG_ALL));
	front_memory(&front, 0, 1);
	front_start(&front, 0, 256, 0);
	kt_check(runs(0), "does not run");
	front_end(&front);
}

static void stops_and_tells_the_base(long packed)
{
	uint32_t base = packed ? 0x80058003 : 7;
	struct vhost_vring_state state = { 0 };
	union vu_body body;

	front_running(&front, 1, packed ? 0 : BIT(VIRTIO_F_RING_PACKED));
	front_tell(&front, VU_GET_VRING_BASE, &state, sizeof(state), -1);
	kt_check(front_reply(&front, &body) == sizeof(body.state), "size of the reply");
	kt_check(body.state.num == 3 && !runs(0) && runs(1), "base %u", body.state.num);
	kt_check(kernel_ring(0)->kick < 0 && kernel_ring(0)->call >= 0, "eventfds");
	/* And on from elsewhere. */
	front_start(&front, 0, 256, 0);
	front_tell(&front, VU_GET_VRING_BASE, &state, sizeof(state), -1);
	front_reply(&front, &body);
	front_ring(&front, VU_SET_VRING_BASE, 0, base);
	front_tell(&front, VU_GET_VRING_BASE, &state, sizeof(state), -1);
	front_reply(&front, &body);
	kt_check(body.state.num == base, "of a stopped ring: %#x", body.state.num);
	front_end(&front);
}

/* As cloud-hypervisor resets a device: rings are disabled, and described anew. */
static void starts_again_without_being_stopped(long arg)
{
	(void)arg;
	front_running(&front, 1, BIT(VHOST_F_LOG_ALL));
	for (unsigned int i = 0; i < 2; i++)
		front_ring(&front, VU_SET_VRING_ENABLE, i, 0);
	front_number(&front, VU_SET_FEATURES,
		     front.door.features & ~BIT(VIRTIO_F_RING_PACKED) & ~BIT(VIRTIO_NET_F_CSUM));
	/* Where the rings were there is nothing any more. */
	front_memory(&front, 5, 2);
	for (unsigned int i = 0; i < 2; i++)
		front_start(&front, i, 64, 5);
	kt_check(!runs(0) && !runs(1), "runs though disabled");
	for (unsigned int i = 0; i < 2; i++)
		front_ring(&front, VU_SET_VRING_ENABLE, i, 1);
	kt_check(runs(0) && runs(1) && kernel_ring(1)->num == 64, "does not run");
	front_end(&front);
}

static void keeps_rings_over_a_new_memory_table(long arg)
{
	uint64_t before;

	(void)arg;
	front_running(&front, 1, BIT(VHOST_F_LOG_ALL));
	before = kernel_ring(0)->addr.desc_user_addr;
	front_memory(&front, 0, 3);
	kt_check(kernel_ring(0)->addr.desc_user_addr != before, "the ring was not moved");
	kt_check(runs(0) && runs(1), "stopped");
	/* Without the memory that ring 1 is in. */
	front_send(&front, VU_SET_MEM_TABLE, VU_VERSION, &(uint64_t){ 0 }, 8, NULL, 0);
	kt_check(front_step(&front) == ST_PEER, "an empty table was taken");
	front_end(&front);
}

static void adds_and_removes_regions(long arg)
{
	struct vu_region more = { 0x40000000, 0x3000, 0x10000000, 0x1800 };
	union vu_body body = { .one.region = more };
	struct fake_file *file = &front.fake.files[0];
	int fd = front_file(0x5000);

	(void)arg;
	front_running(&front, 1, BIT(VHOST_F_LOG_ALL));
	front_tell(&front, VU_ADD_MEM_REG, &body, sizeof(body.one), fd);
	kt_check(file->regions == 3 && file->region[2].memory_size == 0x3000, "not added");
	kt_check((file->region[2].userspace_addr & 0xfff) == 0x800, "not at its offset");
	body.one.region.offset = 0;
	front_tell(&front, VU_REM_MEM_REG, &body, sizeof(body.one), fd);
	kt_check(file->regions == 2, "not removed");
	/* Once for each of two queue pairs, as QEMU does. */
	body.one.region.offset = more.offset;
	for (int pair = 0; pair < 2; pair++) {
		front_tell(&front, VU_ADD_MEM_REG, &body, sizeof(body.one), fd);
		kt_check(file->regions == 3, "added %d times: %u regions", pair + 1, file->regions);
	}
	for (int pair = 0; pair < 2; pair++) {
		front_tell(&front, VU_REM_MEM_REG, &body, sizeof(body.one), -1);
		kt_check(file->regions == 3 - (unsigned int)pair, "removed %d times: %u regions",
			 pair + 1, file->regions);
	}
	front_send(&front, VU_REM_MEM_REG, VU_VERSION, &body, sizeof(body.one), NULL, 0);
	kt_check(front_step(&front) == ST_PEER, "removed twice");
	close(fd);
	front_end(&front);
}

static void acknowledges_when_asked(long arg)
{
	uint64_t mtu = 1500;
	union vu_body body;

	(void)arg;
	front_make(&front, 1);
	front_greet(&front, BIT(VHOST_F_LOG_ALL));
	front_send(&front, VU_NET_SET_MTU, VU_VERSION | VU_NEED_REPLY, &mtu, 8, NULL, 0);
	kt_check(!front_step(&front), "%s", front.why.text);
	kt_check(front_reply(&front, &body) == 8 && !body.u64, "not acknowledged");
	mtu = 9000;
	front_send(&front, VU_NET_SET_MTU, VU_VERSION | VU_NEED_REPLY, &mtu, 8, NULL, 0);
	kt_check(!front_step(&front) && front.why.status == ST_MTU, "%s", front.why.text);
	kt_check(front_reply(&front, &body) == 8 && body.u64, "an MTU too large was taken");
	/* With a reply of its own there is one only. */
	front_send(&front, VU_GET_FEATURES, VU_VERSION | VU_NEED_REPLY, NULL, 0, NULL, 0);
	kt_check(!front_step(&front), "%s", front.why.text);
	front_reply(&front, &body);
	kt_check(recv(front.mine, &body, 1, MSG_DONTWAIT) < 0, "a second reply");
	/* There is nothing in the configuration that a guest could write. */
	body.config.offset = 0;
	body.config.size = 6;
	body.config.flags = 0;
	front_send(&front, VU_SET_CONFIG, VU_VERSION | VU_NEED_REPLY, &body, VU_CONFIG_HEAD + 6,
		   NULL, 0);
	kt_check(!front_step(&front), "%s", front.why.text);
	kt_check(front_reply(&front, &body) == 8 && body.u64, "configuration was written");
	/* Nor is there a reply where the feature was not acknowledged. */
	front_number(&front, VU_SET_PROTOCOL_FEATURES, 0);
	front_send(&front, VU_SET_OWNER, VU_VERSION | VU_NEED_REPLY, NULL, 0, NULL, 0);
	kt_check(!front_step(&front), "%s", front.why.text);
	kt_check(recv(front.mine, &body, 1, MSG_DONTWAIT) < 0, "a reply without REPLY_ACK");
	front_number(&front, VU_SET_PROTOCOL_FEATURES, BIT(VU_P_REPLY_ACK));
	/* What ends the connection is answered first. */
	mtu = 1ull << 63;
	front_send(&front, VU_SET_FEATURES, VU_VERSION | VU_NEED_REPLY, &mtu, 8, NULL, 0);
	kt_check(front_step(&front) == ST_PEER, "a feature that was not offered");
	kt_check(front_reply(&front, &body) == 8 && body.u64, "not refused");
	front_end(&front);
}

static void sends_a_RARP(long arg)
{
	static const unsigned char want[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54,
					      0,    1,	  2,	3,    0x80, 0x35, 0,	1,
					      8,    0,	  6,	4,    0,    3,	  0x52, 0x54 };
	uint64_t mac = 0;

	(void)arg;
	memcpy(&mac, want + 6, 6);
	front_make(&front, 1);
	front_greet(&front, BIT(VHOST_F_LOG_ALL));
	front_number(&front, VU_SEND_RARP, mac);
	kt_check(front.fake.frame.size == 12 + 60, "%ld bytes", front.fake.frame.size);
	for (unsigned int i = 0; i < 12; i++)
		kt_check(!front.fake.frame.bytes[i], "the header is not empty");
	kt_check(!memcmp(front.fake.frame.bytes + 12, want, sizeof(want)), "another frame");
	front_end(&front);
}

static void tells_its_configuration(long arg)
{
	union vu_body body = { .config = { .offset = 6, .size = 6 } };
	uint16_t pairs, mtu;

	(void)arg;
	front_make(&front, 1);
	front_greet(&front, BIT(VHOST_F_LOG_ALL));
	front_tell(&front, VU_GET_CONFIG, &body, VU_CONFIG_HEAD + 6, -1);
	kt_check(front_reply(&front, &body) == VU_CONFIG_HEAD + 6, "size of the reply");
	memcpy(&pairs, body.config.bytes + 2, 2);
	memcpy(&mtu, body.config.bytes + 4, 2);
	kt_check(pairs == FAKE_FILES && mtu == 1500, "%u pairs, MTU %u", pairs, mtu);
	/* Far behind all that there is. */
	body.config.offset = 200;
	body.config.size = 56;
	front_tell(&front, VU_GET_CONFIG, &body, VU_CONFIG_HEAD + 56, -1);
	kt_check(front_reply(&front, &body) == VU_CONFIG_HEAD + 56, "size of the reply");
	for (unsigned int i = 0; i < 56; i++)
		kt_check(!body.config.bytes[i], "something is there");
	front_end(&front);
}

static void withholds_configuration(long arg)
{
	union vu_body body = { .config = { .offset = 0, .size = 6 } };

	(void)arg;
	front_make(&front, 1);
	front.door.withheld = BIT(VU_P_CONFIG);
	front_greet(&front, BIT(VHOST_F_LOG_ALL));
	front_send(&front, VU_GET_CONFIG, VU_VERSION, &body, VU_CONFIG_HEAD + 6, NULL, 0);
	kt_check(front_step(&front) == ST_PEER, "told though withheld");
	front_end(&front);
}

static void resets_the_device(long by_status)
{
	const struct vhost_vring_state state = { .index = 1 };
	union vu_body body;

	front_running(&front, 1, BIT(VHOST_F_LOG_ALL));
	if (by_status) {
		front_number(&front, VU_SET_STATUS, 15);
		kt_check(front_ask(&front, VU_GET_STATUS) == 15, "status");
		front_number(&front, VU_SET_STATUS, 0);
	} else {
		front_tell(&front, VU_RESET_DEVICE, NULL, 0, -1);
	}
	kt_check(!runs(0) && !runs(1), "still runs");
	/* QEMU 7.2 resets the status when it stops its guest, and asks then. */
	front_tell(&front, VU_GET_VRING_BASE, &state, sizeof(state), -1);
	kt_check(front_reply(&front, &body) == sizeof(body.state), "size of the reply");
	kt_check(body.state.num == 3, "where it stopped is not known any more: %u", body.state.num);
	kt_check(front.fake.files[0].regions == 2, "the memory is gone");
	kt_check(!front_ask(&front, VU_GET_STATUS), "status");
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	kt_check(!runs(0), "runs without being started");
	front_start(&front, 0, 128, 0);
	kt_check(runs(0) && kernel_ring(0)->num == 128 && !kernel_ring(0)->base, "not started");
	front_end(&front);
}

static void uses_a_queue_of_the_TAP_for_a_pair(long arg)
{
	(void)arg;
	front_running(&front, 3, BIT(VHOST_F_LOG_ALL));
	kt_check(!front.fake.unused[2] && front.fake.unused[3], "queues in use");
	front_ring(&front, VU_SET_VRING_ENABLE, 4, 0);
	kt_check(!front.fake.unused[2], "one ring of two still runs");
	front_ring(&front, VU_SET_VRING_ENABLE, 5, 0);
	kt_check(front.fake.unused[2] && !front.fake.unused[1], "queues in use");
	/* QEMU says for each pair what it has said before. */
	front_number(&front, VU_SET_FEATURES, front.door.features);
	kt_check(runs(0), "stopped");
	front_end(&front);
}

static void is_new_for_the_next_front_end(long arg)
{
	unsigned int files;

	(void)arg;
	front_make(&front, 2);
	files = front_open_files();
	for (unsigned int round = 0; round < 20; round++) {
		front_greet(&front, 0);
		front_memory(&front, round, 2);
		for (unsigned int i = 0; i < 4; i++) {
			front_ring(&front, VU_SET_VRING_ENABLE, i, 1);
			front_start(&front, i, 256, round + i % 2);
		}
		kt_check(!door_reset(&front.door, &front.why), "%s", front.why.text);
		kt_check(fake_is_new(&front.fake), "the kernel still has something");
		kt_check(front_open_files() == files, "descriptors leak");
	}
	front_end(&front);
}

static void ends_when_the_kernel_refuses(long request)
{
	struct failure why;

	front_make(&front, 1);
	front_greet(&front, BIT(VHOST_F_LOG_ALL));
	front_memory(&front, 0, 2);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	for (unsigned int i = 0; i < 2; i++)
		if (request != (long)VHOST_SET_MEM_TABLE)
			front.door.rings[i].started = true;
	front.fake.fail.request = (unsigned long)request;
	front.fake.fail.error = ENOMEM;
	if (request == (long)VHOST_SET_MEM_TABLE) {
		union vu_body body = { 0 };

		front_send(&front, VU_SET_MEM_TABLE, VU_VERSION, &body, VU_TABLE_HEAD, NULL, 0);
	} else {
		front.door.rings[0].num = 256;
		front.door.rings[0].addr = (struct vhost_vring_addr){
			.desc_user_addr = USER_BASE,
			.avail_user_addr = USER_BASE + 0x8000,
			.used_user_addr = USER_BASE + 0xa000,
		};
		front.door.rings[0].addressed = true;
		kt_check(ring_update(&front.door, 0, &why) == ST_SYSTEM, "went on");
		kt_check(strstr(why.text, "Cannot allocate"), "%s", why.text);
		kt_check(!front.door.rings[0].running, "runs");
		front_end(&front);
		return;
	}
	kt_check(front_step(&front) == ST_SYSTEM, "went on");
	front_end(&front);
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = {
		{ .name = "offers what kernel and TAP have, less what means two things",
		  .run = offers },
		{ .name = "carries what is set up to the kernel, translated",
		  .run = carries_set_up_to_the_kernel },
		{ .name = "gives a legacy guest a short header and no offloads",
		  .run = tells_a_legacy_guest_from_a_modern_one },
		{ .name = "runs a ring while it is kicked off and enabled",
		  .run = starts_when_enabled_and_kicked },
		{ .name = "interrupts when a ring starts", .run = interrupts_when_it_starts },
		{ .name = "goes on at the used index of a split ring",
		  .run = goes_on_at_the_used_index },
		{ .name = "goes on where it is told in a packed ring",
		  .run = goes_on_at_the_used_index,
		  .arg = 1 },
		{ .name = "runs a ring at once without protocol features",
		  .run = starts_at_once_without_protocol_features },
		{ .name = "stops a split ring and tells its base",
		  .run = stops_and_tells_the_base },
		{ .name = "stops a packed ring and tells its base",
		  .run = stops_and_tells_the_base,
		  .arg = 1 },
		{ .name = "starts rings again that were only disabled",
		  .run = starts_again_without_being_stopped },
		{ .name = "moves running rings to a new memory table",
		  .run = keeps_rings_over_a_new_memory_table },
		{ .name = "adds and removes single memory regions",
		  .run = adds_and_removes_regions },
		{ .name = "acknowledges when asked to", .run = acknowledges_when_asked },
		{ .name = "sends a RARP from the TAP", .run = sends_a_RARP },
		{ .name = "tells its configuration", .run = tells_its_configuration },
		{ .name = "withholds its configuration", .run = withholds_configuration },
		{ .name = "resets the device by RESET_DEVICE", .run = resets_the_device },
		{ .name = "resets the device by its status", .run = resets_the_device, .arg = 1 },
		{ .name = "uses a queue of the TAP while a ring of the pair runs",
		  .run = uses_a_queue_of_the_TAP_for_a_pair },
		{ .name = "is new for the next front end, and leaks nothing",
		  .run = is_new_for_the_next_front_end },
		{ .name = "ends when the kernel refuses a ring's size",
		  .run = ends_when_the_kernel_refuses,
		  .arg = (long)VHOST_SET_VRING_NUM },
		{ .name = "ends when the kernel refuses a back end",
		  .run = ends_when_the_kernel_refuses,
		  .arg = (long)VHOST_NET_SET_BACKEND },
		{ .name = "ends when the kernel refuses a memory table",
		  .run = ends_when_the_kernel_refuses,
		  .arg = (long)VHOST_SET_MEM_TABLE },
	};

	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
