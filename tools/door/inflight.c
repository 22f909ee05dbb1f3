// SPDX-License-Identifier: GPL-2.0-only
/*
 * The in-flight region: memory that outlives the door, because the front end keeps it.
 *
 * DOC: Theory of Operation
 *
 * Who asks (GET_INFLIGHT_FD) gets a page in a memfd, and gives it back (SET_INFLIGHT_FD) before its
 * rings start; after it has reconnected to another door as well. What is in it is the back end's
 * matter. Ours has a mark, so that a region of another back end is not taken for one, and where
 * each ring was left (struct shunt_place), which the kernel writes when a ring starts and when it
 * stops, also when the door is killed. Requests are not in it: a device that drains (struct
 * backend) has returned them by then.
 *
 * A connection has one such page: who asks again, as QEMU does when its guest has reset the device,
 * gets the same one, as new. Else a front end could have any number of them made, of memory that is
 * not charged to it.
 *
 * The region counts for the first start of a ring in a connection. Later the front end has been
 * told where a ring stopped, and may have begun anew (a guest that was reset).
 *
 * The front end can write there what it likes. The kernel never reads it. What is read here says
 * where a ring goes on, which the kernel checks as any base that a front end sends; it is copied by
 * a system call, so a file that was truncated gives an error, and no signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "door.h"
#include "uapi/shunt.h"

/* Bytes of a region: a page, which is what the kernel takes. */
#define REGION_SIZE 4096u

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

/* "shunt" and the version of the layout. */
#define MARK 0x0001746e75687300ULL

/* The most rings there is room for: those of the largest disk. */
#define PLACES SHUNT_BLK_QUEUES_MAX

/**
 * struct inflight_page - a region
 * @mark: MARK
 * @reserved: 0
 * @places: of the rings
 */
struct inflight_page {
	uint64_t mark;
	uint64_t reserved[7];
	struct shunt_place places[PLACES];
};

_Static_assert(sizeof(struct inflight_page) <= REGION_SIZE, "one page");

static enum status check_inflight(const struct door *door, const struct vu_message *message,
				  struct failure *why)
{
	unsigned int rings = message->body.inflight.num_queues;

	if (!rings || rings > door->ring_count || rings > PLACES ||
	    !message->body.inflight.queue_size ||
	    message->body.inflight.queue_size > DOOR_RING_SIZE_MAX)
		return failed(why, ST_PEER, "%u rings of %u descriptors", rings,
			      message->body.inflight.queue_size);
	/* Of those that run the kernel writes down where they are, in the region as it is. */
	for (unsigned int i = 0; i < door->ring_count; i++)
		if (door->rings[i].running)
			return failed(why, ST_PEER, "ring %u is running", i);
	return ST_OK;
}

/* Make a region as new: false with errno. */
static bool fill_region(int fd)
{
	static const union {
		struct inflight_page page;
		uint8_t whole[REGION_SIZE];
	} fresh = { .page = { .mark = MARK } };

	return pwrite(fd, &fresh, sizeof(fresh), 0) == sizeof(fresh);
}

/* A new region, which nobody can make shorter. -1 with errno. */
static int make_region(void)
{
	int fd = memfd_create("shunt-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	int error;

	/* Hosts may insist on that flag (vm.memfd_noexec), which came with Linux 6.3. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("shunt-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (fill_region(fd) && !fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

enum status on_get_inflight_fd(struct door *door, struct vu_message *message, struct failure *why)
{
	enum status status = check_inflight(door, message, why);

	if (status)
		return status;
	if (door->region < 0)
		door->region = make_region();
	else if (!fill_region(door->region))
		return failed(why, ST_SYSTEM, "the region: %s", strerror(errno));
	if (door->region < 0)
		return failed(why, ST_SYSTEM, "memory for it: %s", strerror(errno));
	message->body.inflight.mmap_size = REGION_SIZE;
	message->body.inflight.mmap_offset = 0;
	message->reply_fd = door->region;
	return ST_OK;
}

enum status on_set_inflight_fd(struct door *door, struct vu_message *message, struct failure *why)
{
	uint64_t size = message->body.inflight.mmap_size,
		 offset = message->body.inflight.mmap_offset;
	enum status status = check_inflight(door, message, why);
	struct mapping new, old = door->inflight;
	uint64_t mark, places;

	if (status)
		return status;
	if (size != REGION_SIZE || offset % REGION_SIZE)
		return failed(why, ST_PEER,
			      "a region of %llu bytes at %llu is not one of this back end",
			      (unsigned long long)size, (unsigned long long)offset);
	status = mapping_make(message->fds[0], offset, size, &new, why);
	if (status)
		return status;
	if (door->kernel->peek(door->kernel->self, (void *)(uintptr_t) new.host, &mark,
			       sizeof(mark)) != sizeof(mark) ||
	    mark != MARK) {
		mapping_end(&new);
		return failed(why, ST_PEER, "the region is not one of this back end");
	}
	places = new.host + offsetof(struct inflight_page, places);
	status = door_control_all(door, SHUNT_BLK_SET_PLACES, "SHUNT_BLK_SET_PLACES", &places, why);
	/* Wherever that failed, the kernel has the old one no more. */
	door->inflight = new;
	mapping_end(&old);
	for (unsigned int i = 0; i < door->ring_count; i++)
		door->rings[i].refused = false;
	return status;
}

enum status inflight_find(const struct door *door, unsigned int ring, struct shunt_place *place,
			  struct failure *why)
{
	uint64_t at = door->inflight.host + offsetof(struct inflight_page, places) +
		      ring * sizeof(*place);

	*place = (struct shunt_place){ 0 };
	if (!door->inflight.start || ring >= PLACES || door->rings[ring].ran)
		return ST_OK;
	if (door->kernel->peek(door->kernel->self, (void *)(uintptr_t)at, place, sizeof(*place)) ==
	    sizeof(*place))
		return ST_OK;
	return failed(why, ST_PEER, "ring %u: the in-flight region cannot be read: %s", ring,
		      strerror(errno));
}
