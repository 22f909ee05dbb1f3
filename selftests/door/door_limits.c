// SPDX-License-Identifier: GPL-2.0-only
/*
 * door_limits.c - what a virtio function behind the door can do, and what a front end is told of
 * what it cannot
 *
 * With a function that is not there (fakevdpa.h); no root, no VM.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "front.h"
#include "ktap.h"

#define BIT(n)	  (1ULL << (n))
#define PACKED	  BIT(VIRTIO_F_RING_PACKED)
#define RUNS	  VIRTIO_CONFIG_S_DRIVER_OK
#define NO_CONFIG BIT(VU_P_CONFIG)
#define NO_STATUS BIT(VU_P_STATUS)

static struct front front;

/* A function, greeted, with two regions of memory. */
static void begin(uint32_t kind, uint64_t withheld, uint64_t without)
{
	front_make_function(&front, kind, withheld);
	front_greet(&front, without);
	front_memory(&front, 0, 2);
}

/* Describe a ring that begins at its start; it is enabled next. */
static void describe(unsigned int ring, unsigned int num)
{
	front_start(&front, ring, num, ring % 2);
	if (front.door.features & PACKED)
		front_ring(&front, VU_SET_VRING_BASE, ring, 0x80008000u);
}

/* Enable a ring; the connection ends by it, as the front end's fault, and for this reason. */
static void ends_with(unsigned int ring, const char *reason)
{
	const struct vhost_vring_state enable = { ring, 1 };

	front_send(&front, VU_SET_VRING_ENABLE, VU_VERSION, &enable, sizeof(enable), NULL, 0);
	kt_check(front_step(&front) == ST_PEER && strstr(front.why.text, reason), "\"%s\"",
		 front.why.text);
	kt_check(!(front.function.status & RUNS), "it runs");
	front_end(&front);
}

static void refuses_rings_larger_than_its_own(long packed)
{
	begin(VIRTIO_ID_NET, NO_CONFIG, packed ? 0 : PACKED);
	describe(0, FAKE_NUM);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	front_end(&front);
	begin(VIRTIO_ID_NET, NO_CONFIG, packed ? 0 : PACKED);
	describe(0, packed ? FAKE_NUM + 1 : 2 * FAKE_NUM);
	ends_with(0, "the function takes 1024 at most");
}

/* @num: of a ring that goes along with another one. */
static void refuses_such_rings_that_go_along(long num)
{
	begin(VIRTIO_ID_NET, NO_CONFIG | NO_STATUS, PACKED);
	describe(0, 256);
	describe(1, (unsigned int)num);
	ends_with(0, num > FAKE_NUM ? "ring 1 has 2048 descriptors" : "ring 1: 100 descriptors");
}

static void refuses_rings_of_features_that_it_was_not_given(long arg)
{
	(void)arg;
	begin(VIRTIO_ID_NET, NO_CONFIG, PACKED | BIT(VIRTIO_NET_F_MQ));
	describe(2, 256);
	ends_with(2, "no ring 2");
}

/* @where: bytes that the parts are off, eight bits each. */
static void refuses_rings_that_are_not_aligned(long where)
{
	const bool packed = where >> 24 & 1;
	struct vhost_vring_addr addr = { .desc_user_addr = USER_BASE + (where & 0xff),
					 .avail_user_addr =
						 USER_BASE + 0x8000 + (where >> 8 & 0xff),
					 .used_user_addr =
						 USER_BASE + 0xa000 + (where >> 16 & 0xff) };

	begin(VIRTIO_ID_BLOCK, NO_CONFIG, packed ? 0 : PACKED);
	describe(0, 256);
	front_tell(&front, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	ends_with(0, "is not aligned");
}

static void takes_rings_that_are_just_aligned(long packed)
{
	struct vhost_vring_addr addr = { .desc_user_addr = USER_BASE + 16,
					 .avail_user_addr = USER_BASE + 0x8000 + (packed ? 4 : 2),
					 .used_user_addr = USER_BASE + 0xa000 + 4 };

	begin(VIRTIO_ID_BLOCK, NO_CONFIG, packed ? 0 : PACKED);
	describe(0, 256);
	front_tell(&front, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	kt_check(front.function.vqs[0].ready, "it is not given");
	front_end(&front);
}

/* One that sets up, kicks and enables ring after ring, and does not tell the status. */
static void begins_with_both_rings_of_a_pair(long first)
{
	const unsigned int second = !first;

	begin(VIRTIO_ID_NET, NO_CONFIG | NO_STATUS, PACKED);
	for (unsigned int ring = 2; ring < 4; ring++) {
		describe(ring, 256);
		front_ring(&front, VU_SET_VRING_ENABLE, ring, 1);
	}
	describe((unsigned int)first, 256);
	front_ring(&front, VU_SET_VRING_ENABLE, (unsigned int)first, 1);
	kt_check(!(front.function.status & RUNS), "began with ring %ld alone", first);
	describe(second, 256);
	front_ring(&front, VU_SET_VRING_ENABLE, second, 1);
	kt_check(front.function.status & RUNS, "does not run");
	for (unsigned int ring = 0; ring < 4; ring++)
		kt_check(front.function.vqs[ring].enabled, "without ring %u", ring);
	front_end(&front);
}

static void begins_with_the_first_ring_of_a_disk(long arg)
{
	(void)arg;
	begin(VIRTIO_ID_BLOCK, NO_CONFIG | NO_STATUS, PACKED);
	describe(0, 256);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	kt_check(front.function.status & RUNS && front.function.vqs[0].enabled, "does not run");
	front_end(&front);
}

/* The number of pairs or queues, as a front end reads it: at once, and bytewise. */
static unsigned int told(uint32_t at)
{
	union vu_body body;
	uint8_t low, high;
	unsigned int whole;

	front_get_config(&front, at - 2, 6, &body);
	whole = body.config.bytes[2] | body.config.bytes[3] << 8;
	front_get_config(&front, at, 1, &body);
	low = body.config.bytes[0];
	front_get_config(&front, at + 1, 1, &body);
	high = body.config.bytes[0];
	kt_check(whole == (unsigned int)(low | high << 8), "%u, and %u and %u", whole, low, high);
	return whole;
}

#define MANY (BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ))

static void has_as_many_pairs_as_it_says(long arg)
{
	static const struct {
		uint64_t lacks;
		uint16_t pairs;	     /* of the function, which has five queues */
		unsigned int queues; /* that are asked for */
		unsigned int rings;
	} cards[] = {
		{ 0, 2, 0, 4 },	    { 0, 1, 0, 2 },
		{ 0, 0x102, 0, 4 }, { BIT(VIRTIO_NET_F_MQ), 2, 0, 2 },
		{ MANY, 2, 0, 2 },  { BIT(VIRTIO_NET_F_CTRL_VQ), 2, 0, 2 },
		{ 0, 2, 1, 2 },	    { 0, 2, 2, 4 },
		{ 0, 2, 3, 4 },
	};

	(void)arg;
	for (unsigned int i = 0; i < ARRAY_SIZE(cards); i++) {
		uint64_t features;

		front_have_function(&front, VIRTIO_ID_NET);
		front.function.offered &= ~cards[i].lacks;
		front.function.pairs = cards[i].pairs;
		front.vdpa.queues = cards[i].queues;
		front_plug_function(&front, 0);
		front_greet(&front, 0);
		features = front_ask(&front, VU_GET_FEATURES);
		kt_check(front_ask(&front, VU_GET_QUEUE_NUM) == cards[i].rings, "card %u: %u rings",
			 i, front.door.ring_count);
		kt_check((features & MANY) == (cards[i].rings > 2 ? MANY : 0),
			 "card %u offers %#llx", i, (unsigned long long)features);
		if (!cards[i].lacks)
			kt_check(told(offsetof(struct virtio_net_config, max_virtqueue_pairs)) ==
					 cards[i].rings / 2,
				 "card %u says other pairs than it has", i);
		front_end(&front);
	}
}

static void has_as_many_queues_as_are_asked_for(long queues)
{
	const unsigned int expected = queues ? (unsigned int)queues : FAKE_VQS;

	front_have_function(&front, VIRTIO_ID_BLOCK);
	front.vdpa.queues = (unsigned int)queues;
	front_plug_function(&front, 0);
	front_greet(&front, 0);
	kt_check(front_ask(&front, VU_GET_QUEUE_NUM) == expected, "%u rings",
		 front.door.ring_count);
	kt_check(told(offsetof(struct virtio_blk_config, num_queues)) == expected, "told");
	front_end(&front);
}

static void refuses_functions_without_queues(long kind)
{
	struct failure why;

	front_have_function(&front, (uint32_t)kind);
	front.function.pairs = 0;
	kt_check(door_vdpa_init(&front.vdpa, &front.function.kernel, &why) == ST_PCI_KIND, "taken");
}

static void takes_what_mtu_it_can_have(long unlimited)
{
	static const struct {
		uint64_t mtu;
		bool limited, unlimited; /* whether it is taken */
	} mtus[] = { { 0, false, false },	  { 67, false, false },
		     { 68, true, true },	  { 1500, true, true },
		     { 1501, false, true },	  { 9000, false, true },
		     { UINT16_MAX, false, true }, { UINT16_MAX + 1, false, false },
		     { UINT64_MAX, false, false } };

	front_have_function(&front, VIRTIO_ID_NET);
	if (unlimited)
		front.function.offered &= ~BIT(VIRTIO_NET_F_MTU);
	front_plug_function(&front, NO_CONFIG);
	front_greet(&front, PACKED);
	for (unsigned int i = 0; i < ARRAY_SIZE(mtus); i++) {
		union vu_body body;

		front_send(&front, VU_NET_SET_MTU, VU_VERSION | VU_NEED_REPLY, &mtus[i].mtu,
			   sizeof(mtus[i].mtu), NULL, 0);
		kt_check(!front_step(&front), "%s", front.why.text);
		front_reply(&front, &body);
		kt_check((body.u64 == 0) == (unlimited ? mtus[i].unlimited : mtus[i].limited),
			 "%llu: \"%s\"", (unsigned long long)mtus[i].mtu, front.why.text);
	}
	front_end(&front);
}

static void tells_whose_fault_a_mapping_is(long arg)
{
	static const struct {
		int error;
		enum status status;
		const char *says;
	} errors[] = {
		{ ENOSPC, ST_PEER, "too many mappings" },
		{ ENOMEM, ST_PEER, "RLIMIT_MEMLOCK" },
		{ EINVAL, ST_PEER, "reserved" },
		{ EFAULT, ST_PEER, "pinned" },
		{ ENODEV, ST_SYSTEM, "gone" },
		{ EPERM, ST_SYSTEM, "cannot be mapped" },
		{ EINTR, ST_SYSTEM, "cannot be mapped" },
	};
	const union vu_body body = { .one.region = { 1ull << 32, GUEST_SIZE, 1ull << 46, 0 } };
	int fd = front_file(GUEST_SIZE);

	(void)arg;
	for (unsigned int i = 0; i < ARRAY_SIZE(errors); i++) {
		begin(VIRTIO_ID_NET, NO_CONFIG, PACKED);
		front.function.unmappable = errors[i].error;
		front_send(&front, VU_ADD_MEM_REG, VU_VERSION, &body, sizeof(body.one), &fd, 1);
		kt_check(front_step(&front) == errors[i].status &&
				 strstr(front.why.text, errors[i].says),
			 "%s: \"%s\"", strerror(errors[i].error), front.why.text);
		front_end(&front);
	}
	close(fd);
}

/* They end at multiples of 1 GiB. What is mapped of a region goes when the rest cannot be. */
static void maps_large_memory_in_pieces(long arg)
{
	const union vu_body body = { .one.region = { 11ull << 29, 5ull << 29, 1ull << 46, 0 } };
	const struct vu_region *region = &body.one.region;
	int fd = front_file(region->size);

	(void)arg;
	begin(VIRTIO_ID_NET, NO_CONFIG, PACKED);
	front.function.most = 4ull << 30;
	front_tell(&front, VU_ADD_MEM_REG, &body, sizeof(body.one), fd);
	kt_check(front.function.updates == 5 &&
			 front.function.mapped == region->size + 2 * GUEST_SIZE,
		 "%u, and %llu bytes", front.function.updates,
		 (unsigned long long)front.function.mapped);
	kt_check(front.function.maps[2].first == 11ull << 29 &&
			 front.function.maps[3].first == 6ull << 30 &&
			 front.function.maps[4].first == 7ull << 30,
		 "other pieces");
	front_tell(&front, VU_REM_MEM_REG, &body, sizeof(body.one), -1);
	kt_check(front.function.map_count == 2, "not unmapped");
	front.function.most = 2ull << 30;
	front_send(&front, VU_ADD_MEM_REG, VU_VERSION, &body, sizeof(body.one), &fd, 1);
	kt_check(front_step(&front) == ST_PEER && strstr(front.why.text, "RLIMIT_MEMLOCK"),
		 "\"%s\"", front.why.text);
	kt_check(front.function.map_count == 4, "it was the first piece");
	close(fd);
	front_end(&front);
}

/* What the function does not offer it is not told. */
static void orders_as_the_function_can(long arg)
{
	(void)arg;
	front_have_function(&front, VIRTIO_ID_BLOCK);
	front.function.offered &= ~BIT(VIRTIO_F_ORDER_PLATFORM);
	front_plug_function(&front, NO_CONFIG);
	front_greet(&front, PACKED);
	front_memory(&front, 0, 2);
	describe(0, 256);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	kt_check(front.function.vqs[0].ready &&
			 !(front.function.features & BIT(VIRTIO_F_ORDER_PLATFORM)),
		 "%#llx", (unsigned long long)front.function.features);
	front_end(&front);
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = {
		{ .name = "refuses rings that are larger than its own",
		  .run = refuses_rings_larger_than_its_own },
		{ .name = "refuses packed rings that are larger than its own",
		  .run = refuses_rings_larger_than_its_own,
		  .arg = 1 },
		{ .name = "refuses larger rings that go along with another one",
		  .run = refuses_such_rings_that_go_along,
		  .arg = 2048 },
		{ .name = "refuses sizes that are no power of two, that go along",
		  .run = refuses_such_rings_that_go_along,
		  .arg = 100 },
		{ .name = "refuses rings that the features do not have",
		  .run = refuses_rings_of_features_that_it_was_not_given },
		{ .name = "refuses descriptors that are not aligned",
		  .run = refuses_rings_that_are_not_aligned,
		  .arg = 8 },
		{ .name = "refuses an available ring that is not aligned",
		  .run = refuses_rings_that_are_not_aligned,
		  .arg = 1 << 8 },
		{ .name = "refuses a used ring that is not aligned",
		  .run = refuses_rings_that_are_not_aligned,
		  .arg = 2 << 16 },
		{ .name = "refuses a packed ring whose driver area is not aligned",
		  .run = refuses_rings_that_are_not_aligned,
		  .arg = 1 << 24 | 2 << 8 },
		{ .name = "takes split rings that are just aligned",
		  .run = takes_rings_that_are_just_aligned },
		{ .name = "takes packed rings that are just aligned",
		  .run = takes_rings_that_are_just_aligned,
		  .arg = 1 },
		{ .name = "begins with both rings of a pair",
		  .run = begins_with_both_rings_of_a_pair },
		{ .name = "begins with both, the second first",
		  .run = begins_with_both_rings_of_a_pair,
		  .arg = 1 },
		{ .name = "begins with the first ring of a disk",
		  .run = begins_with_the_first_ring_of_a_disk },
		{ .name = "has as many pairs as the function says",
		  .run = has_as_many_pairs_as_it_says },
		{ .name = "has all queues of a disk", .run = has_as_many_queues_as_are_asked_for },
		{ .name = "has as many queues of a disk as are asked for",
		  .run = has_as_many_queues_as_are_asked_for,
		  .arg = 2 },
		{ .name = "refuses a card without pairs",
		  .run = refuses_functions_without_queues,
		  .arg = VIRTIO_ID_NET },
		{ .name = "refuses a disk without queues",
		  .run = refuses_functions_without_queues,
		  .arg = VIRTIO_ID_BLOCK },
		{ .name = "takes an MTU that it can have", .run = takes_what_mtu_it_can_have },
		{ .name = "takes any MTU where the function tells none",
		  .run = takes_what_mtu_it_can_have,
		  .arg = 1 },
		{ .name = "tells whose fault it is that memory cannot be mapped",
		  .run = tells_whose_fault_a_mapping_is },
		{ .name = "maps large memory in pieces", .run = maps_large_memory_in_pieces },
		{ .name = "is told of no order that it does not offer",
		  .run = orders_as_the_function_can },
	};

	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
