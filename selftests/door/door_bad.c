// SPDX-License-Identifier: GPL-2.0-only
/*
 * door_bad.c - what a front end that breaks the rules can do to the door: nothing
 *
 * Each bad message ends the connection with a reason (ST_PEER), after which the door is as new and
 * has not leaked a descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front.h"
#include "ktap.h"

#define BIT(n) (1ULL << (n))

static struct front front;

/* Greeted, with memory, ring 0 running. */
static void make(void)
{
	front_make(&front, 1);
	front_greet(&front, BIT(VIRTIO_F_RING_PACKED));
	front_memory(&front, 0, 2);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	front_start(&front, 0, 256, 0);
}

/* Whatever is received next must be refused, and leave nothing. */
static void must_refuse(const char *what)
{
	enum status status = front_step(&front);
	struct failure why;

	kt_check(status == ST_PEER, "%s: status %d: %s", what, status, front.why.text);
	kt_check(front.why.text[0], "%s: no reason", what);
	kt_check(!door_reset(&front.door, &why), "%s", why.text);
	kt_check(fake_is_new(&front.fake), "%s: the kernel still has something", what);
}

static void bad(uint32_t request, uint32_t flags, const void *body, uint32_t size,
		unsigned int fd_count, const char *what)
{
	int fds[64], event = kt_sys(eventfd(0, EFD_CLOEXEC));
	unsigned int files;

	make();
	files = front_open_files();
	for (unsigned int i = 0; i < fd_count; i++)
		fds[i] = event;
	front_send(&front, request, flags, body, size, fds, fd_count);
	must_refuse(what);
	kt_check(front_open_files() <= files, "%s: descriptors leak", what);
	front_end(&front);
	close(event);
}

/* The reason that bad() was given. */
static void because(const char *words)
{
	kt_check(strstr(front.why.text, words), "refused for another reason: %s", front.why.text);
}

static void sizes(long arg)
{
	static const unsigned char zeros[4096];

	(void)arg;
	for (uint32_t request = 0; request < VU_COUNT + 3; request++) {
		bad(request, VU_VERSION, zeros, 1, 0, "1 byte");
		bad(request, VU_VERSION, zeros, 7, 0, "7 bytes");
		bad(request, VU_VERSION, zeros, 41, 0, "41 bytes");
	}
	bad(VU_SET_FEATURES, VU_VERSION, zeros, 16, 0, "16 bytes for 8");
	bad(VU_GET_FEATURES, VU_VERSION, zeros, 8, 0, "8 bytes for none");
	bad(VU_SET_FEATURES, VU_VERSION, zeros, 0, 0, "nothing for 8 bytes");
	bad(VU_SET_FEATURES, VU_VERSION, zeros, 4096, 0, "4096 bytes");
	bad(0, VU_VERSION, zeros, 0, 0, "request 0");
	bad(1000, VU_VERSION, zeros, 0, 0, "request 1000");
	bad(UINT32_MAX, VU_VERSION, zeros, 0, 0, "request UINT32_MAX");
}

static void flags(long arg)
{
	(void)arg;
	bad(VU_GET_FEATURES, 0, NULL, 0, 0, "version 0");
	bad(VU_GET_FEATURES, 2, NULL, 0, 0, "version 2");
	bad(VU_GET_FEATURES, VU_VERSION | VU_REPLY, NULL, 0, 0, "a reply");
	bad(VU_GET_FEATURES, VU_VERSION | 1u << 31, NULL, 0, 0, "an unknown flag");
}

static void descriptors(long arg)
{
	union vu_body body = { .u64 = 0 };

	(void)arg;
	bad(VU_GET_FEATURES, VU_VERSION, NULL, 0, 1, "one for none");
	bad(VU_SET_VRING_KICK, VU_VERSION, &body, 8, 0, "none for one");
	bad(VU_SET_VRING_KICK, VU_VERSION, &body, 8, 2, "two for one");
	body.u64 = VU_RING_NO_FD;
	bad(VU_SET_VRING_CALL, VU_VERSION, &body, 8, 1, "one, and the word that there is none");
	body.u64 = 0;
	bad(VU_SET_LOG_FD, VU_VERSION, NULL, 0, 0, "no log descriptor");
	bad(VU_SET_MEM_TABLE, VU_VERSION, &body, VU_TABLE_HEAD, 1, "one for an empty table");
	bad(VU_REM_MEM_REG, VU_VERSION, &body, sizeof(body.one), 2, "two to remove");
	bad(VU_SET_FEATURES, VU_VERSION, &body, 8, 32, "as many as there can be");
	bad(VU_SET_FEATURES, VU_VERSION, &body, 8, 60, "more than there can be");
	/* An event is no memory. */
	body.one.region = (struct vu_region){ 1ull << 40, 4096, 4096, 0 };
	bad(VU_ADD_MEM_REG, VU_VERSION, &body, sizeof(body.one), 1, "an event as memory");
	because("not of a file");
	body.log.size = 4096;
	body.log.offset = 0;
	bad(VU_SET_LOG_BASE, VU_VERSION, &body, sizeof(body.log), 1, "an event as log");
	because("not of a file");
	body.u64 = VU_RING_NO_FD;
	bad(VU_SET_VRING_KICK, VU_VERSION, &body, 8, 0, "a ring to be polled");
	because("no eventfd");
}

static void rings(long arg)
{
	static const uint32_t requests[] = { VU_SET_VRING_NUM, VU_SET_VRING_BASE, VU_GET_VRING_BASE,
					     VU_SET_VRING_ENABLE };
	union vu_body body = { 0 };

	(void)arg;
	for (unsigned int i = 0; i < ARRAY_SIZE(requests); i++) {
		body.state = (struct vhost_vring_state){ 2, 1 };
		bad(requests[i], VU_VERSION, &body, sizeof(body.state), 0, "ring 2 of 2");
		body.state.index = UINT32_MAX;
		bad(requests[i], VU_VERSION, &body, sizeof(body.state), 0, "ring UINT32_MAX");
	}
	body.addr = (struct vhost_vring_addr){ .index = 2 };
	bad(VU_SET_VRING_ADDR, VU_VERSION, &body, sizeof(body.addr), 0, "addresses of ring 2");
	body.u64 = 2 | VU_RING_NO_FD;
	bad(VU_SET_VRING_ERR, VU_VERSION, &body, 8, 0, "err of ring 2");
	body.u64 = 0x10000 | VU_RING_NO_FD;
	bad(VU_SET_VRING_ERR, VU_VERSION, &body, 8, 0, "err of ring 65536");
	body.u64 = BIT(63) | VU_RING_NO_FD;
	bad(VU_SET_VRING_ERR, VU_VERSION, &body, 8, 0, "err of ring 1 << 63");

	body.state = (struct vhost_vring_state){ 1, 0 };
	bad(VU_SET_VRING_NUM, VU_VERSION, &body, sizeof(body.state), 0, "no descriptors");
	body.state.num = 32769;
	bad(VU_SET_VRING_NUM, VU_VERSION, &body, sizeof(body.state), 0, "32769 descriptors");
	body.state = (struct vhost_vring_state){ 1, 2 };
	bad(VU_SET_VRING_ENABLE, VU_VERSION, &body, sizeof(body.state), 0, "enable is 2");
	body.state = (struct vhost_vring_state){ 0, 128 };
	bad(VU_SET_VRING_NUM, VU_VERSION, &body, sizeof(body.state), 0, "size of a running ring");
	bad(VU_SET_VRING_BASE, VU_VERSION, &body, sizeof(body.state), 0, "base of a running ring");
}

/* The second ring, with one thing wrong. */
static void bad_ring(unsigned int num, uint32_t base, uint64_t desc, uint64_t avail, uint64_t used,
		     const char *what)
{
	struct vhost_vring_addr addr = {
		.index = 1, .desc_user_addr = desc, .avail_user_addr = avail, .used_user_addr = used
	};
	uint64_t kick = 1 | VU_RING_NO_FD;

	make();
	front_ring(&front, VU_SET_VRING_ENABLE, 1, 1);
	front_ring(&front, VU_SET_VRING_NUM, 1, num);
	front_ring(&front, VU_SET_VRING_BASE, 1, base);
	front_tell(&front, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	front_send(&front, VU_SET_VRING_KICK, VU_VERSION, &kick, sizeof(kick), NULL, 0);
	must_refuse(what);
	front_end(&front);
}

static void ring_places(long arg)
{
	const uint64_t at = USER_BASE, end = USER_BASE + GUEST_SIZE;

	(void)arg;
	bad_ring(255, 0, at, at, at, "a size that is no power of two");
	bad_ring(256, 0x10000, at, at, at, "a base beyond 16 bits");
	bad_ring(256, 0, at - 1, at, at, "begins before memory");
	bad_ring(256, 0, end - 256 * 16 + 1, at, at, "descriptors end beyond memory");
	bad_ring(256, 0, at, end - (6 + 512) + 1, at, "available part ends beyond memory");
	bad_ring(256, 0, at, at, end - (6 + 2048) + 1, "used part ends beyond memory");
	bad_ring(256, 0, 0, 0, 0, "nowhere");
	bad_ring(256, 0, UINT64_MAX, at, at, "at the end of all numbers");
	bad_ring(32768, 0, UINT64_MAX - 524288 + 1, at, at, "over the end of all numbers");
}

static void bad_region(uint64_t guest, uint64_t size, uint64_t user, uint64_t offset,
		       unsigned long file, const char *what)
{
	union vu_body body = { .one.region = { guest, size, user, offset } };
	unsigned int files;
	int fd;

	make();
	files = front_open_files();
	fd = front_file(file);
	front_send(&front, VU_ADD_MEM_REG, VU_VERSION, &body, sizeof(body.one), &fd, 1);
	close(fd);
	must_refuse(what);
	kt_check(front_open_files() <= files, "%s: descriptors leak", what);
	front_end(&front);
}

static void regions(long arg)
{
	const uint64_t free = 1ull << 40;

	(void)arg;
	bad_region(free, 0, free, 0, 4096, "empty");
	bad_region(free, 4097, free, 0, 4096, "larger than its file");
	bad_region(free, 4096, free, 1, 4096, "beyond its file by its offset");
	bad_region(free, 4096, free, UINT64_MAX, 4096, "offset UINT64_MAX");
	bad_region(free, 4096, free, INT64_MAX - 100, 4096, "offset INT64_MAX");
	bad_region(free, UINT64_MAX, free, 0, 4096, "size UINT64_MAX");
	bad_region(UINT64_MAX - 4095, 4097, free, 0, 8192, "guest addresses wrap");
	bad_region(free, 4097, UINT64_MAX - 4095, 0, 8192, "user addresses wrap");
	bad_region(0, 4096, free, 0, 4096, "guest addresses are there already");
	bad_region(free, 4096, USER_BASE + GUEST_SIZE - 1, 0, 4096, "user addresses overlap");
	bad_region(GUEST_SIZE / 2, 3 * GUEST_SIZE, free, 0, 3 * GUEST_SIZE, "lies around another");
}

/* The same addresses twice are the same region only if it is the same piece of the same file. */
static void a_region_that_changes(long arg)
{
	union vu_body body = { .one.region = { 1ull << 40, 0x4000, 1ull << 40, 0 } };

	(void)arg;
	for (int other_file = 0; other_file < 2; other_file++) {
		int fd = front_file(0x8000), other = front_file(0x8000);

		make();
		body.one.region.offset = 0;
		front_tell(&front, VU_ADD_MEM_REG, &body, sizeof(body.one), fd);
		if (!other_file)
			body.one.region.offset = 0x1000;
		front_send(&front, VU_ADD_MEM_REG, VU_VERSION, &body, sizeof(body.one),
			   other_file ? &other : &fd, 1);
		must_refuse(other_file ? "another file" : "another offset");
		close(fd);
		close(other);
		front_end(&front);
	}
}

static void too_many_regions(long arg)
{
	union vu_body body = { 0 };
	int fd;

	(void)arg;
	front_make(&front, 1);
	front_greet(&front, 0);
	fd = front_file(4096);
	for (unsigned int i = 0; i < FAKE_REGIONS; i++) {
		body.one.region = (struct vu_region){ i * 4096, 4096, i * 4096, 0 };
		front_tell(&front, VU_ADD_MEM_REG, &body, sizeof(body.one), fd);
	}
	body.one.region.guest = body.one.region.user = 1 << 30;
	front_send(&front, VU_ADD_MEM_REG, VU_VERSION, &body, sizeof(body.one), &fd, 1);
	must_refuse("one region more than there are slots");
	close(fd);
	front_end(&front);
}

static void table_counts(long arg)
{
	union vu_body body = { 0 };

	(void)arg;
	body.table.count = 1;
	bad(VU_SET_MEM_TABLE, VU_VERSION, &body, VU_TABLE_HEAD, 1, "a region that is not there");
	body.table.count = UINT32_MAX;
	bad(VU_SET_MEM_TABLE, VU_VERSION, &body, sizeof(body.table), 1, "UINT32_MAX regions");
	because("malformed");
	body.table.count = 0x08000001; /* times 32 is 32 in 32 bits */
	bad(VU_SET_MEM_TABLE, VU_VERSION, &body, VU_TABLE_HEAD + 32, 1, "a count that wraps");
	because("malformed");
	body.table.count = 2;
	bad(VU_SET_MEM_TABLE, VU_VERSION, &body, VU_TABLE_HEAD + 64, 1, "a descriptor is missing");
}

static void configuration(long arg)
{
	union vu_body body = { .config = { .offset = 0, .size = 257 } };

	(void)arg;
	bad(VU_GET_CONFIG, VU_VERSION, &body, VU_CONFIG_HEAD + 257, 0, "257 bytes");
	because("malformed");
	body.config.size = 16;
	bad(VU_GET_CONFIG, VU_VERSION, &body, VU_CONFIG_HEAD, 0, "bytes that are not there");
	body.config.offset = 250;
	bad(VU_GET_CONFIG, VU_VERSION, &body, VU_CONFIG_HEAD + 16, 0, "beyond the end");
	body.config.offset = UINT32_MAX;
	bad(VU_GET_CONFIG, VU_VERSION, &body, VU_CONFIG_HEAD + 16, 0, "offset UINT32_MAX");
	body.config.offset = 0;
	body.config.flags = 2;
	bad(VU_SET_CONFIG, VU_VERSION, &body, VU_CONFIG_HEAD + 16, 0, "flags 2");
}

static void states(long arg)
{
	union vu_body body = { .table.count = 0 };

	(void)arg;
	front_make(&front, 1);
	front_send(&front, VU_SET_MEM_TABLE, VU_VERSION, &body, VU_TABLE_HEAD, NULL, 0);
	must_refuse("memory before SET_OWNER");
	front_send(&front, VU_GET_QUEUE_NUM, VU_VERSION, NULL, 0, NULL, 0);
	must_refuse("a protocol feature that was not acknowledged");
	body.u64 = BIT(VU_P_INFLIGHT_SHMFD);
	front_send(&front, VU_SET_PROTOCOL_FEATURES, VU_VERSION, &body, 8, NULL, 0);
	must_refuse("a protocol feature that was not offered");
	body.u64 = BIT(VIRTIO_F_ACCESS_PLATFORM);
	front_send(&front, VU_SET_FEATURES, VU_VERSION, &body, 8, NULL, 0);
	must_refuse("a feature that was not offered");
	front_end(&front);
	body.u64 = 0;
	bad(VU_SET_FEATURES, VU_VERSION, &body, 8, 0, "other features while a ring runs");
	body.u64 = 256;
	bad(VU_SET_STATUS, VU_VERSION, &body, 8, 0, "status 256");
}

/* A file that is truncated later is the kernel's to fail at: the door never looks. */
static void a_file_that_shrinks(long arg)
{
	union vu_body body = { .one.region = { 1ull << 40, 0x4000, 1ull << 40, 0 } };
	int fd = front_file(0x4000);

	(void)arg;
	make();
	front_tell(&front, VU_ADD_MEM_REG, &body, sizeof(body.one), fd);
	kt_sys(ftruncate(fd, 0));
	front_memory(&front, 0, 3);
	close(fd);
	front_end(&front);
}

/* A ring in memory whose file has shrunk: an error, not a signal. */
static void a_ring_that_is_not_there(long arg)
{
	union vu_body body = { .one.region = { 1ull << 40, 0x4000, 1ull << 40, 0 } };
	struct vhost_vring_addr addr = { .index = 1,
					 .desc_user_addr = 1ull << 40,
					 .avail_user_addr = 1ull << 40,
					 .used_user_addr = 1ull << 40 };
	uint64_t kick = 1 | VU_RING_NO_FD;
	int fd = front_file(0x4000);

	(void)arg;
	make();
	front_tell(&front, VU_ADD_MEM_REG, &body, sizeof(body.one), fd);
	kt_sys(ftruncate(fd, 0));
	close(fd);
	front_ring(&front, VU_SET_VRING_ENABLE, 1, 1);
	front_ring(&front, VU_SET_VRING_NUM, 1, 16);
	front_tell(&front, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	front_send(&front, VU_SET_VRING_KICK, VU_VERSION, &kick, sizeof(kick), NULL, 0);
	must_refuse("a ring in memory that is not there");
	front_end(&front);
}

static void sealed_against_writing(long arg)
{
	union vu_body body = { .one.region = { 1ull << 40, 0x4000, 1ull << 40, 0 } };
	int fd = kt_sys(memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));

	(void)arg;
	kt_sys(ftruncate(fd, 0x4000));
	kt_sys(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	make();
	front_send(&front, VU_ADD_MEM_REG, VU_VERSION, &body, sizeof(body.one), &fd, 1);
	must_refuse("memory that cannot be written");
	close(fd);
	front_end(&front);
}

/* One byte at a time, with the descriptor at any of them. */
static void crumbs(long arg)
{
	struct {
		struct vu_header head;
		uint64_t ring;
	} __attribute__((packed)) message = { { VU_SET_VRING_CALL, VU_VERSION, 8 }, 1 };
	const char *bytes = (const char *)&message;
	int event = kt_sys(eventfd(0, EFD_CLOEXEC));

	(void)arg;
	make();
	for (size_t with = 0; with < sizeof(message); with++) {
		for (size_t i = 0; i < sizeof(message); i++) {
			char control[CMSG_SPACE(sizeof(int))] = { 0 };
			struct iovec part = { (void *)(bytes + i), 1 };
			struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
			enum wire_state state;

			if (i == with) {
				struct cmsghdr *c = (struct cmsghdr *)control;

				c->cmsg_level = SOL_SOCKET;
				c->cmsg_type = SCM_RIGHTS;
				c->cmsg_len = CMSG_LEN(sizeof(int));
				memcpy(CMSG_DATA(c), &event, sizeof(int));
				header.msg_control = control;
				header.msg_controllen = sizeof(control);
			}
			kt_sys(sendmsg(front.mine, &header, 0));
			if (i + 1 == sizeof(message))
				break;
			state = wire_receive(front.its, &front.incoming, &front.why);
			kt_check(state == WIRE_MORE, "state %d after %zu bytes", state, i + 1);
		}
		kt_check(!front_step(&front), "%s", front.why.text);
		kt_check(front.door.rings[1].call >= 0, "the descriptor is lost");
	}
	front_end(&front);
	close(event);
}

/* Kept, it would keep the connection open that the front end closes. */
static void its_own_end(long arg)
{
	uint64_t ring = 0;

	(void)arg;
	make();
	front_send(&front, VU_SET_VRING_CALL, VU_VERSION, &ring, sizeof(ring), &front.mine, 1);
	must_refuse("the front end's own end of the connection");
	because("socket");
	front_end(&front);
}

static void a_message_that_ends_early(long arg)
{
	struct vu_header head = { VU_SET_FEATURES, VU_VERSION, 8 };

	for (size_t size = 1; size < sizeof(head) + (size_t)arg; size++) {
		make();
		kt_sys(send(front.mine, &head, size > sizeof(head) ? sizeof(head) : size, 0));
		kt_sys(shutdown(front.mine, SHUT_WR));
		must_refuse("a part of a message");
		front_end(&front);
	}
}

static void replies_that_nobody_reads(long arg)
{
	struct vu_header head = { VU_GET_FEATURES, VU_VERSION, 0 };
	unsigned int rounds;

	(void)arg;
	front_make(&front, 1);
	for (rounds = 0; rounds < 1000000; rounds++) {
		struct failure why;
		bool reply;

		kt_sys(send(front.mine, &head, sizeof(head), 0));
		kt_check(wire_receive(front.its, &front.incoming, &why) == WIRE_MESSAGE, "lost");
		kt_check(!door_receive(&front.door, &front.incoming, &reply, &why), "%s", why.text);
		if (wire_reply(front.its, &front.incoming, &why))
			break;
		message_clear(&front.incoming);
	}
	kt_check(rounds < 1000000, "it takes replies without end");
	front_end(&front);
}

/* An interrupt is written there when the ring starts. */
static void full_eventfd(long arg)
{
	uint64_t number = 0, most = UINT64_MAX - 1;
	int event = kt_sys(eventfd(0, EFD_CLOEXEC));

	(void)arg;
	kt_check(write(event, &most, sizeof(most)) == sizeof(most), "eventfd: %s", strerror(errno));
	make();
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 0);
	front_tell(&front, VU_SET_VRING_CALL, &number, sizeof(number), event);
	close(event);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	kt_check(front.door.rings[0].running, "does not run");
	front_end(&front);
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = {
		{ .name = "refuses bodies of a wrong size, and unknown requests", .run = sizes },
		{ .name = "refuses flags that are no request's", .run = flags },
		{ .name = "refuses descriptors too many, too few or of a wrong kind",
		  .run = descriptors },
		{ .name = "refuses rings that are not there, and sizes that cannot be",
		  .run = rings },
		{ .name = "refuses rings that are not in memory", .run = ring_places },
		{ .name = "refuses memory regions that cannot be", .run = regions },
		{ .name = "refuses a region that changes", .run = a_region_that_changes },
		{ .name = "refuses more regions than slots", .run = too_many_regions },
		{ .name = "refuses tables whose count lies", .run = table_counts },
		{ .name = "refuses configuration out of bounds", .run = configuration },
		{ .name = "refuses what does not make sense yet, or any more", .run = states },
		{ .name = "does not touch memory whose file shrinks", .run = a_file_that_shrinks },
		{ .name = "refuses a ring whose memory has gone", .run = a_ring_that_is_not_there },
		{ .name = "refuses memory that is sealed", .run = sealed_against_writing },
		{ .name = "takes messages that come byte by byte", .run = crumbs },
		{ .name = "refuses a socket", .run = its_own_end },
		{ .name = "refuses a message that ends early",
		  .run = a_message_that_ends_early,
		  .arg = 1 },
		{ .name = "does not wait for an eventfd that is full", .run = full_eventfd },
		{ .name = "gives up a front end that reads no replies",
		  .run = replies_that_nobody_reads },
	};

	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
