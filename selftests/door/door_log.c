// SPDX-License-Identifier: GPL-2.0-only
/*
 * door_log.c - the dirty log is where the front end says, as long as it says so, and long enough
 */
#include <linux/vhost.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "front.h"
#include "ktap.h"

#define BIT(n) (1ULL << (n))

static struct front front;

static struct fake_ring *ring_0(void)
{
	return &front.fake.files[0].rings[0];
}

static int log_base(uint64_t size, uint64_t offset)
{
	union vu_body body = { .log = { size, offset } };
	int fd = front_file(size + offset);

	front_send(&front, VU_SET_LOG_BASE, VU_VERSION, &body, sizeof(body.log), &fd, 1);
	close(fd);
	return front_step(&front);
}

static void logs_when_there_is_a_log(long arg)
{
	struct fake_file *file = &front.fake.files[0];
	struct vhost_vring_addr addr;
	union vu_body body;

	(void)arg;
	front_running(&front, 1, 0);
	kt_check(!(file->features & BIT(VHOST_F_LOG_ALL)), "logs without a log");
	addr = front.door.rings[0].addr;
	addr.index = 0;
	addr.flags = 1 << VHOST_VRING_F_LOG;
	addr.log_guest_addr = 0xa000;
	front_tell(&front, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	kt_check(!ring_0()->addr.flags, "the ring is logged without a log");
	kt_check(ring_0()->backend < 0, "runs though it cannot be logged");
	kt_check(!log_base(4096, 4096), "%s", front.why.text);
	kt_check(ring_0()->backend >= 0, "does not run");
	kt_check(front_reply(&front, &body) == 8 && !body.u64, "reply");
	kt_check(file->features & BIT(VHOST_F_LOG_ALL), "does not log");
	kt_check(ring_0()->addr.flags == 1 && !file->rings[1].addr.flags, "rings' flags");
	/* Another one in its place, and off again. */
	kt_check(!log_base(8192, 0), "%s", front.why.text);
	front_reply(&front, &body);
	front_number(&front, VU_SET_FEATURES, front.door.features & ~BIT(VHOST_F_LOG_ALL));
	kt_check(!(file->features & BIT(VHOST_F_LOG_ALL)), "still logs");
	kt_check(!ring_0()->addr.flags, "the ring is still logged");
	front_end(&front);
}

static void refuses_a_log_that_is_too_short(long arg)
{
	/* Two regions: the second ends at 3 MiB, so its log at byte 96. */
	(void)arg;
	front_running(&front, 1, 0);
	kt_check(log_base(95, 0) == ST_PEER, "95 bytes were taken");
	front_end(&front);
	front_running(&front, 1, 0);
	kt_check(!log_base(96, 0), "%s", front.why.text);
	front_end(&front);
	/* The ring's own place in the log. */
	front_running(&front, 1, 0);
	kt_check(!log_base(96, 0), "%s", front.why.text);
	front.door.rings[0].addr.flags = 1;
	front.door.rings[0].addr.log_guest_addr = 96 * 8 * 4096 - 3;
	kt_check(ring_push_addr(&front.door, 0, &front.why) == ST_PEER, "a ring beyond the log");
	front_end(&front);
	/* A ring that runs, logged where the next log does not reach: it never gets there. */
	front_running(&front, 1, 0);
	kt_check(!log_base(4096, 0), "%s", front.why.text);
	{
		struct vhost_vring_addr addr = front.door.rings[0].addr;
		uint64_t old = front.fake.files[0].log_base;

		addr.flags = 1;
		addr.log_guest_addr = 96 * 8 * 4096;
		front_tell(&front, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
		kt_check(log_base(96, 0) == ST_PEER, "a log that is too short for a ring");
		kt_check(front.fake.files[0].log_base == old, "the kernel has got it");
	}
	front_end(&front);
	/* Memory that grows beyond it. */
	front_running(&front, 1, 0);
	kt_check(!log_base(96, 0), "%s", front.why.text);
	kt_check(!front.door.stale_map.start, "something is left");
	{
		union vu_body body = { .one.region = { 0x40000000, 0x1000, 0x1000, 0 } };
		int fd = front_file(0x1000);

		front_send(&front, VU_ADD_MEM_REG, VU_VERSION, &body, sizeof(body.one), &fd, 1);
		close(fd);
		kt_check(front_step(&front) == ST_PEER, "memory beyond the log");
	}
	front_end(&front);
}

/* As QEMU does when a device starts during a migration: features, kick, and only then the log. */
static void waits_for_the_log(long arg)
{
	struct fake_file *file = &front.fake.files[0];
	struct vhost_vring_state stop = { .index = 0 };
	struct vhost_vring_addr addr;
	union vu_body body;

	(void)arg;
	front_running(&front, 1, 0);
	for (unsigned int again = 0; again < 2; again++) {
		addr = front.door.rings[0].addr;
		for (unsigned int i = 0; i < 2; i++) {
			stop.index = i;
			front_tell(&front, VU_GET_VRING_BASE, &stop, sizeof(stop), -1);
			front_reply(&front, &body);
		}
		kt_check(!front.door.log.start && !(file->features & BIT(VHOST_F_LOG_ALL)),
			 "the log of before is still there");
		addr.index = 0;
		addr.flags = 1 << VHOST_VRING_F_LOG;
		addr.log_guest_addr = 0xa000;
		front_start(&front, 0, 256, 0);
		/* front_start() has described it as one that is not logged. */
		front_tell(&front, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
		kt_check(ring_0()->backend < 0, "runs before there is a log");
		kt_check(!log_base(4096, 0), "%s", front.why.text);
		front_reply(&front, &body);
		kt_check(ring_0()->backend >= 0 && ring_0()->addr.flags == 1, "is not logged");
	}
	front_end(&front);
}

static void hands_on_who_listens_to_the_log(long arg)
{
	unsigned int files = front_open_files();

	(void)arg;
	front_running(&front, 1, 0);
	for (unsigned int again = 0; again < 2; again++) {
		int event = kt_sys(eventfd(0, EFD_CLOEXEC));

		front_tell(&front, VU_SET_LOG_FD, NULL, 0, event);
		close(event);
		kt_check(front.fake.files[0].log_fd == front.door.log_fd && front.door.log_fd >= 0,
			 "the kernel has %d", front.fake.files[0].log_fd);
	}
	front_end(&front);
	kt_check(front_open_files() == files, "descriptors leak");
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = {
		{ .name = "logs from when there is a log", .run = logs_when_there_is_a_log },
		{ .name = "refuses a log that does not cover memory",
		  .run = refuses_a_log_that_is_too_short },
		{ .name = "runs no ring before its log is there", .run = waits_for_the_log },
		{ .name = "hands on who listens to the log",
		  .run = hands_on_who_listens_to_the_log },
	};

	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
