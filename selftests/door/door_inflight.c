// SPDX-License-Identifier: GPL-2.0-only
/*
 * door_inflight.c - the in-flight region of a disk: where its rings were left, for the next door
 *
 * With a kernel that is not there (fake.h); no root, no VM.
 */
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front.h"
#include "ktap.h"
#include "uapi/shunt.h"

#define BIT(n) (1ULL << (n))

static struct front front;

static void greet(unsigned int rings)
{
	front_make_disk(&front, rings);
	front_greet(&front, BIT(VHOST_F_LOG_ALL));
}

/* A region, and where it has the places of rings. */
static int new_region(unsigned int rings, struct shunt_place **places)
{
	union vu_body body;
	int fd = front_get_region(&front, rings, sizeof(body.inflight), &body);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	kt_check(page != MAP_FAILED, "mmap: %m");
	*places = (struct shunt_place *)((char *)page + 64);
	return fd;
}

/* The same, and it is the door's. */
static int take_region(unsigned int rings, struct shunt_place **places)
{
	int fd = new_region(rings, places);

	kt_check(!front_set_region(&front, fd, rings, 4096, 0), "%s", front.why.text);
	return fd;
}

static void gives_a_region(long size)
{
	unsigned int open = front_open_files();
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct shunt_place *places;
	union vu_body body;
	int fd, other;

	greet(4);
	fd = front_get_region(&front, 4, (uint32_t)size, &body);
	kt_check(fd >= 0, "no descriptor");
	kt_check(body.inflight.mmap_size == 4096 && !body.inflight.mmap_offset &&
			 body.inflight.num_queues == 4 && body.inflight.queue_size == 128,
		 "%llu bytes at %llu", (unsigned long long)body.inflight.mmap_size,
		 (unsigned long long)body.inflight.mmap_offset);
	kt_check((fcntl(fd, F_GET_SEALS) & seals) == seals, "seals %#x", fcntl(fd, F_GET_SEALS));
	other = new_region(4, &places);
	kt_check(!front_set_region(&front, fd, 4, 4096, 0) &&
			 !front_set_region(&front, other, 4, 4096, 0),
		 "%s", front.why.text);
	front_memory(&front, 0, 1);
	front_ring(&front, VU_SET_VRING_ENABLE, 2, 1);
	front_start(&front, 2, 128, 0);
	kt_check(places[2].state == SHUNT_PLACE_RUNNING && !places[0].state, "state %u",
		 places[2].state);
	close(fd);
	close(other);
	front_end(&front);
	kt_check(places[2].state == SHUNT_PLACE_STOPPED && places[2].base == 3, "state %u at %u",
		 places[2].state, places[2].base);
	kt_check(front_open_files() == open, "descriptors were leaked");
}

static ino_t inode_of(int fd)
{
	struct stat st;

	kt_sys(fstat(fd, &st));
	return st.st_ino;
}

/* Whoever asks again and again gets one page in all, and each time as new. */
static void makes_one_region(long arg)
{
	unsigned int open = front_open_files();
	struct shunt_place *places;
	union vu_body body;
	struct failure why;
	ino_t first;
	int fd, other;

	(void)arg;
	greet(4);
	fd = new_region(4, &places);
	first = inode_of(fd);
	kt_check(!front_set_region(&front, fd, 4, 4096, 0), "%s", front.why.text);
	front_memory(&front, 0, 1);
	front_ring(&front, VU_SET_VRING_ENABLE, 2, 1);
	front_start(&front, 2, 128, 0);
	front_tell(&front, VU_RESET_DEVICE, NULL, 0, -1);
	kt_check(places[2].state == SHUNT_PLACE_STOPPED, "state %u", places[2].state);
	for (unsigned int i = 0; i < 1000; i++) {
		places[i % 4].base = i;
		other = front_get_region(&front, 4, sizeof(body.inflight), &body);
		kt_check(inode_of(other) == first, "time %u: another one", i);
		kt_check(!places[i % 4].base && !places[2].state, "time %u: not as new", i);
		close(other);
	}
	kt_check(!front_set_region(&front, fd, 4, 4096, 0), "it has no mark: %s", front.why.text);
	/* Of the next connection it is another one: this one may have been kept. */
	places[1].base = 77;
	kt_check(!door_reset(&front.door, &why), "%s", why.text);
	front_greet(&front, BIT(VHOST_F_LOG_ALL));
	other = front_get_region(&front, 4, sizeof(body.inflight), &body);
	kt_check(inode_of(other) != first && places[1].base == 77, "the same one");
	kt_check(!front_set_region(&front, fd, 4, 4096, 0), "the old one is refused: %s",
		 front.why.text);
	close(other);
	close(fd);
	front_end(&front);
	kt_check(front_open_files() == open, "descriptors were leaked");
}

/* A connection with memory and, unless it is -1, this region. */
static void connect_with(int fd, bool packed)
{
	uint64_t features;

	front_greet(&front, BIT(VHOST_F_LOG_ALL));
	features = front_ask(&front, VU_GET_FEATURES);
	kt_check(features & BIT(VIRTIO_F_RING_PACKED), "packed rings are not offered");
	if (packed)
		front_number(&front, VU_SET_FEATURES, features & ~BIT(VHOST_F_LOG_ALL));
	if (fd >= 0)
		kt_check(!front_set_region(&front, fd, 1, 4096, 0), "%s", front.why.text);
	front_memory(&front, 0, 1);
}

/* Have ring 0 started where the front end says; where the kernel starts it. */
static uint32_t start_at(uint32_t base)
{
	front_start(&front, 0, 128, 0);
	front_ring(&front, VU_SET_VRING_BASE, 0, base);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	return front.fake.files[0].rings[0].base;
}

/* GET_VRING_BASE of ring 0; false: the door does not know. */
static bool ask_base(uint32_t *base)
{
	struct vhost_vring_state state = { 0 };
	union vu_body body;
	uint32_t size;

	front_tell(&front, VU_GET_VRING_BASE, &state, sizeof(state), -1);
	size = front_reply(&front, &body);
	kt_check(!size || (size == sizeof(body.state) && !body.state.index), "size %u", size);
	kt_check(!size == !!front.why.status, "said \"%s\"", front.why.text);
	*base = size ? body.state.num : 0;
	return size;
}

static uint32_t stop(void)
{
	uint32_t base;

	kt_check(ask_base(&base), "%s", front.why.text);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 0);
	return base;
}

/* The region knows more than a front end whose back end was killed, and less than any other. */
static void goes_on_by_the_region(long arg)
{
	const uint32_t fresh = 0x80008000;
	struct shunt_place *places;
	struct failure why;
	uint32_t base;
	int fd;

	(void)arg;
	front_make_disk(&front, 1);
	connect_with(-1, true);
	fd = take_region(1, &places);
	kt_check(start_at(fresh) == fresh, "base %#x", front.fake.files[0].rings[0].base);
	kt_check(!door_reset(&front.door, &why), "%s", why.text);
	connect_with(fd, true);
	base = start_at(fresh);
	kt_check(base == fresh + 3, "goes on at %#x", base);
	/* Once it ran, the front end is told where it stops. */
	base = stop();
	kt_check(base == fresh + 6, "stopped at %#x", base);
	kt_check(start_at(fresh) == fresh, "the guest may have begun anew");
	kt_check(stop() == fresh + 3, "stopped");
	/* A region that is new, as after a reset of the guest, knows nothing. */
	kt_check(!door_reset(&front.door, &why), "%s", why.text);
	close(fd);
	connect_with(-1, true);
	fd = take_region(1, &places);
	kt_check(start_at(fresh + 7) == fresh + 7, "base");
	close(fd);
	front_end(&front);
}

/* As of a disk that is only read, which several processes may have. */
static void waits_for_a_ring_that_runs(long arg)
{
	const uint32_t fresh = 0x80008000;
	const struct fake_ring *ring = &front.fake.files[0].rings[0];
	struct shunt_place *places;
	struct failure why;
	int fd;

	(void)arg;
	front_make_disk(&front, 1);
	connect_with(-1, true);
	fd = take_region(1, &places);
	places[0] = (struct shunt_place){ fresh, SHUNT_PLACE_RUNNING };
	start_at(fresh);
	kt_check(ring->backend < 0 && front.door.waiting, "it runs");
	for (unsigned int i = 1; i <= 100; i++) {
		kt_check(!door_retry(&front.door, &why) && ring->backend < 0 && front.door.waiting,
			 "%s", why.text);
		kt_check((why.status == ST_DISK_BUSY) == (i == DOOR_TELL_AFTER), "round %u", i);
	}
	places[0] = (struct shunt_place){ fresh + 5, SHUNT_PLACE_STOPPED };
	kt_check(!door_retry(&front.door, &why) && ring->backend >= 0 && !front.door.waiting,
		 "does not run: %s", why.text);
	kt_check(ring->base == fresh + 5, "goes on at %#x", ring->base);
	close(fd);
	front_end(&front);
}

/*
 * A guest that migrates is asked where its rings are, even if they have not run here. @how: 0, a
 * ring that waits for the disk; 1, and its device is reset first, as QEMU 7.2 does; 2 and 3, the
 * same of a split ring.
 */
static void tells_where_a_ring_waits(long how)
{
	const uint32_t fresh = how & 2 ? 0 : 0x80008000;
	const uint32_t place = how & 2 ? 65530 : 0x80018001;
	struct shunt_place *places;
	uint32_t base;
	int fd;

	front_make_disk(&front, 1);
	connect_with(-1, !(how & 2));
	fd = take_region(1, &places);
	if (how & 2)
		*(uint16_t *)(uintptr_t)(front.fake.files[0].region[0].userspace_addr + 0xa002) =
			(uint16_t)place;
	else
		places[0] = (struct shunt_place){ place, SHUNT_PLACE_STOPPED };
	front.fake.foreign = true;
	start_at(fresh);
	kt_check(!front.door.rings[0].running && front.door.waiting, "it runs");
	if (how & 1)
		front_number(&front, VU_SET_STATUS, 0);
	kt_check(ask_base(&base) && base == place, "told %#x: %s", base, front.why.text);
	close(fd);
	/* Of what is not in a region that is new, the front end knows. */
	if (!(how & 2)) {
		close(new_region(1, &places));
		start_at(fresh + 7);
		kt_check(ask_base(&base) && base == fresh + 7, "told %#x", base);
	}
	front_end(&front);
}

/* Those of rust-vmm would wait for a reply's body. */
static void ends_where_nobody_knows_the_place(long arg)
{
	const struct vhost_vring_state state = { 0 };
	struct shunt_place *places;
	int fd;

	(void)arg;
	greet(1);
	front_number(&front, VU_SET_PROTOCOL_FEATURES, front.door.protocol & ~BIT(VU_P_STATUS));
	fd = take_region(1, &places);
	places[0].state = SHUNT_PLACE_BROKEN;
	front_send(&front, VU_GET_VRING_BASE, VU_VERSION, &state, sizeof(state), NULL, 0);
	kt_check(front_step(&front) == ST_PEER && strstr(front.why.text, "not known"), "\"%s\"",
		 front.why.text);
	close(fd);
	front_end(&front);
}

/* Neither a base that is made up, nor the end of the connection: the guest may be reset. */
static void tells_no_place_that_nobody_knows(long state)
{
	struct shunt_place *places;
	uint32_t base;
	int fd;

	for (int packed = 0; packed < 2; packed++) {
		front_make_disk(&front, 1);
		connect_with(-1, packed);
		fd = take_region(1, &places);
		places[0] = (struct shunt_place){ 5, (uint32_t)state };
		kt_check(!ask_base(&base), "told %#x before it was to start", base);
		start_at(7);
		kt_check(!front.door.rings[0].running, "it runs");
		kt_check(!ask_base(&base), "told %#x", base);
		front_number(&front, VU_SET_STATUS, 0);
		kt_check(!ask_base(&base), "told %#x after a reset", base);
		front_tell(&front, VU_RESET_DEVICE, NULL, 0, -1);
		kt_check(start_at(9) == (packed ? 9 : 0), "does not begin anew");
		kt_check(ask_base(&base), "does not know it: %s", front.why.text);
		close(fd);
		front_end(&front);
	}
}

static void leaves_broken_rings_alone(long packed)
{
	uint32_t base;
	const struct fake_ring *ring = &front.fake.files[0].rings[0];
	struct shunt_place *places, *others;
	struct failure why;
	int fd;

	front_make_disk(&front, 1);
	front.fake.breaks = true;
	connect_with(-1, packed);
	fd = take_region(1, &places);
	start_at(0);
	kt_check(!door_reset(&front.door, &why), "%s", why.text);
	kt_check(places[0].state == SHUNT_PLACE_BROKEN, "state %u", places[0].state);
	connect_with(fd, packed);
	start_at(0);
	kt_check(ring->backend < 0, "it runs");
	kt_check(front.why.status && strstr(front.why.text, "broken"), "said \"%s\"",
		 front.why.text);
	front_ring(&front, VU_SET_VRING_NUM, 0, 128);
	kt_check(ring->backend < 0 && !front.why.status && !front.door.waiting, "is tried again");
	kt_check(!ask_base(&base), "told %#x", base);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 0);
	start_at(0);
	kt_check(ring->backend < 0, "it runs after it was stopped");
	kt_check(!ask_base(&base), "told %#x", base);
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 0);
	/* The guest has reset its device. */
	close(fd);
	fd = take_region(1, &others);
	start_at(0);
	kt_check(ring->backend >= 0, "does not run");
	close(fd);
	front_end(&front);
}

/* A disk is free for others when none of its rings came to run; and stays locked if one did. */
static void locks_the_disk_for_no_refused_ring(long state)
{
	struct vhost_vring_state first = { 0 };
	struct shunt_place *places;
	union vu_body body;
	struct failure why;
	int fd;

	greet(2);
	fd = take_region(2, &places);
	front_memory(&front, 0, 1);
	places[1] = (struct shunt_place){ 0, (uint32_t)state };
	front_ring(&front, VU_SET_VRING_ENABLE, 1, 1);
	front_start(&front, 1, 128, 0);
	kt_check(!front.door.rings[1].running && !front.fake.locked, "locked at the refusal");
	kt_check(!door_retry(&front.door, &why) && !front.fake.locked, "locked while it waits");
	/* Of two rings one runs: the disk is in use as long. */
	front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
	front_start(&front, 0, 128, 0);
	kt_check(front.door.rings[0].running && front.fake.locked, "does not run");
	kt_check(!door_retry(&front.door, &why) && front.fake.locked, "let go of while one runs");
	front_tell(&front, VU_GET_VRING_BASE, &first, sizeof(first), -1);
	front_reply(&front, &body);
	kt_check(!front.fake.locked, "still locked after the last ring");
	kt_check(!door_retry(&front.door, &why) && !front.fake.locked, "locked again");
	close(fd);
	front_end(&front);
}

static void needs_a_region_for_packed_rings(long arg)
{
	uint64_t protocol, all;

	(void)arg;
	front_make_disk(&front, 1);
	protocol = front_ask(&front, VU_GET_PROTOCOL_FEATURES);
	front_number(&front, VU_SET_PROTOCOL_FEATURES, protocol & ~BIT(VU_P_INFLIGHT_SHMFD));
	all = front_ask(&front, VU_GET_FEATURES);
	kt_check(!(all & BIT(VIRTIO_F_RING_PACKED)), "offered without");
	all |= BIT(VIRTIO_F_RING_PACKED);
	front_send(&front, VU_SET_FEATURES, VU_VERSION, &all, sizeof(all), NULL, 0);
	kt_check(front_step(&front) == ST_PEER, "taken without");
	front_end(&front);
}

static void refuses_other_regions(long what)
{
	unsigned int open = front_open_files();
	int fd, wrong = -1, two[2];
	struct shunt_place *places;
	union vu_body body = { .inflight = { 4096, 0, 1, 128 } };

	greet(4);
	fd = new_region(4, &places);
	switch (what) {
	case 0:
		kt_check(front_set_region(&front, fd, 4, 8192, 0) == ST_PEER, "another size");
		break;
	case 1:
		kt_check(front_set_region(&front, fd, 4, 4096, 8) == ST_PEER, "an odd place");
		break;
	case 2:
		kt_check(front_set_region(&front, fd, 4, 4096, 4096) == ST_PEER, "behind the end");
		break;
	case 3:
		kt_check(front_set_region(&front, fd, 4, 4096, UINT64_MAX - 4095) == ST_PEER,
			 "at the end of all");
		break;
	case 4:
		kt_check(front_set_region(&front, fd, 5, 4096, 0) == ST_PEER, "too many rings");
		break;
	case 5:
		kt_check(front_set_region(&front, fd, 0, 4096, 0) == ST_PEER, "no rings");
		break;
	case 6:
		kt_check(front_set_region(&front, -1, 4, 4096, 0) == ST_PEER, "no descriptor");
		break;
	case 7: /* of another back end */
		wrong = front_file(4096);
		kt_check(front_set_region(&front, wrong, 4, 4096, 0) == ST_PEER, "taken");
		break;
	case 8:
		wrong = kt_sys(eventfd(0, EFD_CLOEXEC));
		kt_check(front_set_region(&front, wrong, 4, 4096, 0) == ST_PEER, "taken");
		break;
	case 9:
		two[0] = two[1] = fd;
		front_send(&front, VU_SET_INFLIGHT_FD, VU_VERSION, &body, sizeof(body.inflight),
			   two, 2);
		kt_check(front_step(&front) == ST_PEER, "two");
		break;
	case 10:
		front_send(&front, VU_GET_INFLIGHT_FD, VU_VERSION, &body, 16, NULL, 0);
		kt_check(front_step(&front) == ST_PEER, "half a body");
		break;
	case 11:
		body.inflight.num_queues = UINT16_MAX;
		front_send(&front, VU_GET_INFLIGHT_FD, VU_VERSION, &body, sizeof(body.inflight),
			   NULL, 0);
		kt_check(front_step(&front) == ST_PEER, "more rings than there are");
		break;
	case 12: /* taken, under rings that run; or made as new */
	case 13:
		front_memory(&front, 0, 1);
		front_ring(&front, VU_SET_VRING_ENABLE, 0, 1);
		front_start(&front, 0, 128, 0);
		front_send(&front, what == 12 ? VU_SET_INFLIGHT_FD : VU_GET_INFLIGHT_FD, VU_VERSION,
			   &body, sizeof(body.inflight), &fd, what == 12);
		kt_check(front_step(&front) == ST_PEER && strstr(front.why.text, "is running"),
			 "under a ring that runs: \"%s\"", front.why.text);
		break;
	case 14:
		body.inflight.queue_size = DOOR_RING_SIZE_MAX + 1;
		front_send(&front, VU_GET_INFLIGHT_FD, VU_VERSION, &body, sizeof(body.inflight),
			   NULL, 0);
		kt_check(front_step(&front) == ST_PEER, "larger rings than there are");
		break;
	}
	close(fd);
	if (wrong >= 0)
		close(wrong);
	front_end(&front);
	kt_check(front_open_files() == open, "descriptors were leaked");
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = {
		{ .name = "gives an in-flight region and takes it back",
		  .run = gives_a_region,
		  .arg = sizeof(((union vu_body *)0)->inflight) },
		{ .name = "gives one to who sends no padding",
		  .run = gives_a_region,
		  .arg = VU_INFLIGHT_SIZE },
		{ .name = "makes one region in a connection", .run = makes_one_region },
		{ .name = "goes on where the region has a packed ring",
		  .run = goes_on_by_the_region },
		{ .name = "waits for a ring that another device still has",
		  .run = waits_for_a_ring_that_runs },
		{ .name = "tells where a packed ring is that waits",
		  .run = tells_where_a_ring_waits },
		{ .name = "tells it after a reset, too",
		  .run = tells_where_a_ring_waits,
		  .arg = 1 },
		{ .name = "tells where a split ring is that waits",
		  .run = tells_where_a_ring_waits,
		  .arg = 2 },
		{ .name = "tells that after a reset, too",
		  .run = tells_where_a_ring_waits,
		  .arg = 3 },
		{ .name = "does not tell where a ring is that another device has",
		  .run = tells_no_place_that_nobody_knows,
		  .arg = SHUNT_PLACE_RUNNING },
		{ .name = "ends a connection that would wait for it",
		  .run = ends_where_nobody_knows_the_place },
		{ .name = "does not tell where one is that was left broken",
		  .run = tells_no_place_that_nobody_knows,
		  .arg = SHUNT_PLACE_BROKEN },
		{ .name = "leaves a ring alone that was left broken",
		  .run = leaves_broken_rings_alone },
		{ .name = "leaves a packed one alone, too",
		  .run = leaves_broken_rings_alone,
		  .arg = 1 },
		{ .name = "locks the disk for no ring that was left broken",
		  .run = locks_the_disk_for_no_refused_ring,
		  .arg = SHUNT_PLACE_BROKEN },
		{ .name = "locks it for none that another device still has",
		  .run = locks_the_disk_for_no_refused_ring,
		  .arg = SHUNT_PLACE_RUNNING },
		{ .name = "has no packed rings without a region",
		  .run = needs_a_region_for_packed_rings },
		{ .name = "refuses a region of another size", .run = refuses_other_regions },
		{ .name = "refuses one between pages", .run = refuses_other_regions, .arg = 1 },
		{ .name = "refuses one behind the end", .run = refuses_other_regions, .arg = 2 },
		{ .name = "refuses one at the end of all numbers",
		  .run = refuses_other_regions,
		  .arg = 3 },
		{ .name = "refuses one for too many rings",
		  .run = refuses_other_regions,
		  .arg = 4 },
		{ .name = "refuses one for no rings", .run = refuses_other_regions, .arg = 5 },
		{ .name = "refuses none at all", .run = refuses_other_regions, .arg = 6 },
		{ .name = "refuses one of another back end",
		  .run = refuses_other_regions,
		  .arg = 7 },
		{ .name = "refuses what is no file", .run = refuses_other_regions, .arg = 8 },
		{ .name = "refuses two regions", .run = refuses_other_regions, .arg = 9 },
		{ .name = "gives none for half a body", .run = refuses_other_regions, .arg = 10 },
		{ .name = "gives none for rings that are not there",
		  .run = refuses_other_regions,
		  .arg = 11 },
		{ .name = "takes none while a ring runs", .run = refuses_other_regions, .arg = 12 },
		{ .name = "gives none while a ring runs", .run = refuses_other_regions, .arg = 13 },
		{ .name = "gives none for rings that are too large",
		  .run = refuses_other_regions,
		  .arg = 14 },
	};

	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
