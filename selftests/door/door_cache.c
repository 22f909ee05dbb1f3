// SPDX-License-Identifier: GPL-2.0-only
/*
 * door_cache.c - the write cache of the disk behind the door, where its guest may switch it: off,
 * until the front end has said otherwise, and whenever it may be another guest
 *
 * With a kernel that is not there (fake.h); no root, no VM.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "front.h"
#include "ktap.h"
#include "uapi/shunt.h"

#define BIT(n)	  (1ULL << (n))
#define WRITEBACK DOOR_BLK_WRITABLE

static struct front front;

/* A disk whose write cache the guest may switch, and a front end that has said nothing of it. */
static void greet_switching(unsigned int rings)
{
	front_make_switching(&front, rings);
	front_greet(&front, BIT(VHOST_F_LOG_ALL));
}

/* What the kernel does, and what the front end is told. */
static bool has_cache(void)
{
	const uint32_t wce = front.fake.files[0].wce;
	union vu_body body;

	kt_check(front_get_config(&front, WRITEBACK, 1, &body) && body.config.bytes[0] == wce,
		 "told %u, is %u", body.config.bytes[0], wce);
	return wce;
}

static void set_cache(bool on)
{
	kt_check(!front_set_config(&front, WRITEBACK, (uint8_t[]){ on }, 1, 0), "not taken");
	kt_check(has_cache() == on, "taken, and not so");
}

static void stop(uint32_t ring)
{
	struct vhost_vring_state state = { ring, 0 };
	union vu_body body;

	front_tell(&front, VU_GET_VRING_BASE, &state, sizeof(state), -1);
	front_reply(&front, &body);
}

static void begins_without_a_cache(long arg)
{
	struct failure why;

	(void)arg;
	front_make_switching(&front, 1);
	kt_check(front_ask(&front, VU_GET_FEATURES) & BIT(VIRTIO_BLK_F_CONFIG_WCE),
		 "is not offered");
	for (unsigned int i = 0; i < 2; i++) {
		front_greet(&front, BIT(VHOST_F_LOG_ALL));
		kt_check(front.fake.files[0].features & BIT(VIRTIO_BLK_F_CONFIG_WCE),
			 "the kernel does not know that the guest may switch it");
		kt_check(!has_cache(), "connection %u has a write cache", i);
		set_cache(true);
		kt_check(!door_reset(&front.door, &why), "%s", why.text);
		kt_check(fake_is_new(&front.fake), "it is kept");
	}
	front_end(&front);
}

/*
 * @how: where the configuration begins, and the flags, which with rust-vmm's front ends are 1 for
 * what a guest writes.
 */
static void switches_the_cache(long how)
{
	const uint32_t at = (how & VU_CONFIG_MMIO) + WRITEBACK, flags = how & 1;

	greet_switching(1);
	for (unsigned int i = 0; i < 6; i++) {
		kt_check(!front_set_config(&front, at, (uint8_t[]){ i & 1 }, 1, flags),
			 "not taken");
		kt_check(has_cache() == (i & 1), "round %u: not so", i);
	}
	front_end(&front);
}

static void takes_what_a_migration_brings(long base)
{
	uint8_t all[60] = { 0 };

	greet_switching(1);
	all[WRITEBACK] = 1;
	kt_check(!front_set_config(&front, (uint32_t)base, all, 60, 1), "not taken");
	kt_check(has_cache(), "not so");
	kt_check(!front_set_config(&front, (uint32_t)base, all, WRITEBACK, 1), "what is before it");
	kt_check(!front_set_config(&front, (uint32_t)base + WRITEBACK + 1, all, 20, 1),
		 "what is behind it");
	kt_check(has_cache(), "that has changed it");
	all[WRITEBACK] = 0;
	kt_check(!front_set_config(&front, (uint32_t)base + 8, all + 8, 40, 1), "not taken");
	kt_check(!has_cache(), "not so");
	front_end(&front);
}

/* A guest may write anything, and its front end passes that on: its connection goes on. */
static void refuses_other_writes(long arg)
{
	static const struct {
		uint32_t offset, size, flags;
		uint8_t value; /* of each byte */
	} bad[] = {
		{ WRITEBACK, 1, 0, 2 },
		{ WRITEBACK, 1, 0, 255 },
		{ WRITEBACK, 1, 1, 2 },
		{ WRITEBACK, 0, 0, 0 },
		{ WRITEBACK, 2, 0, 1 },
		{ WRITEBACK - 1, 1, 0, 1 },
		{ WRITEBACK + 1, 1, 0, 1 },
		{ WRITEBACK - 1, 2, 0, 1 },
		{ 0, 60, 0, 1 },
		{ 0, 60, 1, 2 },
		{ 0, 1, 0, 0 },
		{ 0, 0, 0, 0 },
		{ VU_CONFIG_MMIO, 1, 0, 1 },
		{ VU_CONFIG_MMIO + WRITEBACK, 1, 0, 2 },
	};

	(void)arg;
	greet_switching(1);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		const bool was = bad[i].value != 1;
		uint8_t bytes[60];

		set_cache(was);
		memset(bytes, bad[i].value, sizeof(bytes));
		kt_check(front_set_config(&front, bad[i].offset, bytes, bad[i].size,
					  bad[i].flags) == 1 &&
				 front.why.status == ST_FEATURE,
			 "%u bytes of %u at %u, flags %u: %s", bad[i].size, bad[i].value,
			 bad[i].offset, bad[i].flags, front.why.text);
		kt_check(has_cache() == was, "it was written");
	}
	front_end(&front);
}

/* What no guest can have its front end send. */
static void ends_with_writes_that_have_no_meaning(long arg)
{
	static const struct {
		uint32_t offset, flags;
	} bad[] = {
		{ WRITEBACK, 2 },
		{ 2 * VU_CONFIG_MMIO, 0 },
		{ 2 * VU_CONFIG_MMIO + WRITEBACK, 0 },
	};

	(void)arg;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		const union vu_body body = { .config = { .offset = bad[i].offset,
							 .size = 1,
							 .flags = bad[i].flags,
							 .bytes = { 1 } } };

		greet_switching(1);
		front_send(&front, VU_SET_CONFIG, VU_VERSION, &body, VU_CONFIG_HEAD + 1, NULL, 0);
		kt_check(front_step(&front) == ST_PEER, "at %u, flags %u", bad[i].offset,
			 bad[i].flags);
		kt_check(!front.fake.files[0].wce, "it was written");
		front_end(&front);
	}
}

/* Before the front end may write any, and when the kernel does not take it. */
static void refuses_writes_that_cannot_be(long arg)
{
	union vu_body body = { .config = { .offset = WRITEBACK, .size = 1, .bytes = { 1 } } };

	(void)arg;
	front_make_switching(&front, 1);
	front_send(&front, VU_SET_CONFIG, VU_VERSION, &body, VU_CONFIG_HEAD + 1, NULL, 0);
	kt_check(front_step(&front) == ST_PEER, "before protocol features");
	front_end(&front);
	greet_switching(1);
	front.fake.fail.request = SHUNT_BLK_SET_WCE;
	front.fake.fail.error = ENODEV;
	kt_check(front_set_config(&front, WRITEBACK, (uint8_t[]){ 1 }, 1, 0) == 1,
		 "the front end is not told");
	kt_check(!has_cache(), "it was written");
	front_end(&front);
}

/* Whatever tells that there is another guest, or may be: it has not said anything yet. */
static void forgets_what_a_guest_said(long request)
{
	greet_switching(2);
	front_memory(&front, 0, 1);
	for (unsigned int i = 0; i < 2; i++)
		front_ring(&front, VU_SET_VRING_ENABLE, i, 1);
	/* Also one that says it before its rings run, or has none. */
	set_cache(true);
	if (request) {
		if (request == VU_SET_STATUS)
			front_number(&front, VU_SET_STATUS, 0);
		else
			front_tell(&front, (uint32_t)request, NULL, 0, -1);
		kt_check(!has_cache(), "that of a guest without rings is kept");
		set_cache(true);
	}
	for (unsigned int i = 0; i < 2; i++) {
		front_ring(&front, VU_SET_VRING_ENABLE, i, 1);
		front_start(&front, i, 128, 0);
	}
	kt_check(has_cache(), "what it said before its rings ran is lost");
	if (request == VU_SET_STATUS) {
		front_number(&front, VU_SET_STATUS, 7);
		kt_check(has_cache(), "any status is taken for a reset");
		front_number(&front, VU_SET_STATUS, 0);
	} else if (request) {
		front_tell(&front, (uint32_t)request, NULL, 0, -1);
	} else {
		stop(1);
		kt_check(has_cache(), "one ring is taken for all");
		stop(0);
	}
	kt_check(!has_cache(), "it is kept");
	front_end(&front);
}

/* What QEMU 7.2 sends when its VM is stopped and goes on: it does not say again what was said. */
static void stops_and_goes_on_without_a_cache(long arg)
{
	(void)arg;
	greet_switching(2);
	front_memory(&front, 0, 1);
	front_start(&front, 0, 128, 0);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	front_number(&front, VU_SET_STATUS, 15);
	set_cache(true);
	for (unsigned int i = 0; i < 2; i++) {
		front_number(&front, VU_SET_STATUS, 0);
		kt_check(!has_cache(), "stopped: it is kept");
		front_ring(&front, VU_SET_VRING_ENABLE, 0, 0);
		front_ring(&front, VU_SET_VRING_ENABLE, 1, 0);
		stop(0);
		front_number(&front, VU_SET_FEATURES, front.door.features);
		front_number(&front, VU_SET_STATUS, 8);
		front_start(&front, 0, 128, 0);
		front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
		front_ring(&front, VU_SET_VRING_ENABLE, 1, 1);
		front_number(&front, VU_SET_STATUS, 15);
		kt_check(front.door.rings[0].running && !has_cache(), "goes on with a cache");
		/* The guest switches it off and on. */
		set_cache(false);
		set_cache(true);
	}
	front_end(&front);
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = {
		{ .name = "begins without a write cache", .run = begins_without_a_cache },
		{ .name = "has the write cache switched", .run = switches_the_cache },
		{ .name = "has it switched by those who begin at 0x100",
		  .run = switches_the_cache,
		  .arg = VU_CONFIG_MMIO },
		{ .name = "has it switched by those whose flags are 1",
		  .run = switches_the_cache,
		  .arg = 1 },
		{ .name = "takes it with what a migration brings",
		  .run = takes_what_a_migration_brings },
		{ .name = "takes it from those who begin at 0x100",
		  .run = takes_what_a_migration_brings,
		  .arg = VU_CONFIG_MMIO },
		{ .name = "refuses to have anything else written", .run = refuses_other_writes },
		{ .name = "ends with writes that have no meaning",
		  .run = ends_with_writes_that_have_no_meaning },
		{ .name = "refuses what cannot be written now",
		  .run = refuses_writes_that_cannot_be },
		{ .name = "forgets the write cache of a guest whose rings stopped",
		  .run = forgets_what_a_guest_said },
		{ .name = "forgets that of a guest whose status is 0",
		  .run = forgets_what_a_guest_said,
		  .arg = VU_SET_STATUS },
		{ .name = "forgets that of a guest that was reset",
		  .run = forgets_what_a_guest_said,
		  .arg = VU_RESET_DEVICE },
		{ .name = "forgets that of one that was stopped and goes on",
		  .run = stops_and_goes_on_without_a_cache },
	};

	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
