// SPDX-License-Identifier: GPL-2.0-only
/* Opening a disk and its vhost device: each way in which that fails is told apart. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "uapi/shunt.h"
#include "vhostdev.h"

/* The kernel gives up requests of a device that was closed after a minute. */
#define WAIT_S 90
#define STEPS 10 /* a second */
#define STEP_NS (1000000000 / STEPS)

_Static_assert(DISK_QUEUES_MAX == SHUNT_BLK_QUEUES_MAX, "the kernel's");
_Static_assert(DISK_SERIAL_MAX == SHUNT_BLK_SERIAL, "the kernel's");

static enum status open_failed(const char *path, int error, struct failure *why)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
		return failed(why, ST_QUEUES, "%s: %s", path, strerror(error));
	case EACCES:
	case EPERM:
		return failed(why, ST_PRIVILEGE, "%s: %s", path, strerror(error));
	case ENOENT:
	case ENOTDIR:
	case ENXIO:
	case ENODEV:
	case EROFS:
		return failed(why, ST_NO_DISK, "%s: %s", path, strerror(error));
	default:
		return failed(why, ST_SYSTEM, "%s: %s", path, strerror(error));
	}
}

static bool can_be_served(mode_t mode)
{
	return S_ISBLK(mode) || S_ISREG(mode);
}

static enum status not_disk(const char *path, struct failure *why)
{
	return failed(why, ST_NOT_DISK, "%s: neither a block device nor a file", path);
}

static enum status open_file(const struct disk_wish *wish, int *fd, struct failure *why)
{
	int flags = (wish->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	struct stat st;

	/* Looked at before it is opened, because the open of a FIFO would wait for a writer. */
	if (stat(wish->path, &st))
		return open_failed(wish->path, errno, why);
	if (!can_be_served(st.st_mode))
		return not_disk(wish->path, why);
	*fd = open(wish->path, flags);
	return *fd < 0 ? open_failed(wish->path, errno, why) : ST_OK;
}

/*
 * See that nobody has the disk, waiting for one that is on its way out. The lock is the door's to
 * take, when the guest begins.
 */
static enum status wait_until_free(const struct disk_wish *wish, int fd,
				   void (*waiting)(const char *path), struct failure *why)
{
	const int lock = (wish->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB;
	const struct timespec step = { .tv_nsec = STEP_NS };

	for (unsigned int i = 0; flock(fd, lock); i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return failed(why, ST_SYSTEM, "%s: flock: %s", wish->path, strerror(errno));
		/* That of a guest which is to come here. */
		if (wish->incoming)
			return ST_OK;
		if (i == WAIT_S * STEPS)
			return failed(why, ST_DISK_BUSY, "%s: another process has had it for %d s",
				      wish->path, WAIT_S);
		if (i == STEPS && waiting)
			waiting(wish->path);
		nanosleep(&step, NULL);
	}
	flock(fd, LOCK_UN);
	return ST_OK;
}

static enum status set_disk(const struct disk_wish *wish, const struct disk *disk,
			    struct failure *why)
{
	struct shunt_blk_disk arg = {
		.fd = disk->file,
		.flags = wish->read_only ? SHUNT_BLK_RDONLY : 0,
		.queues = wish->queues,
	};

	if (wish->serial)
		memcpy(arg.serial, wish->serial, strlen(wish->serial));
	if (!ioctl(disk->vhost, SHUNT_BLK_SET_DISK, &arg))
		return ST_OK;
	switch (errno) {
	case ENOTTY:
	case EPERM: /* another kind of vhost device, before it has an owner */
		return failed(why, ST_NOT_VHOST, "%s: does not serve disks", wish->device);
	case ENOTBLK:
		return not_disk(wish->path, why);
	case EOPNOTSUPP:
		return failed(why, ST_NOT_DISK, "%s: a zoned block device is no disk for a guest",
			      wish->path);
	case ETXTBSY:
		return failed(why, ST_DISK_BUSY, "%s: the host swaps to it", wish->path);
	default:
		return failed(why, ST_SYSTEM, "%s: SHUNT_BLK_SET_DISK: %s", wish->path,
			      strerror(errno));
	}
}

enum status disk_open(const struct disk_wish *wish, struct disk *disk,
		      void (*waiting)(const char *path), struct failure *why)
{
	enum status status = ST_OK;

	disk->file = -1;
	disk->vhost = -1;
	if (wish->serial && strlen(wish->serial) > DISK_SERIAL_MAX)
		return failed(why, ST_NUMBER, "serial number '%s': %d bytes at most", wish->serial,
			      DISK_SERIAL_MAX);
	if (!wish->queues || wish->queues > DISK_QUEUES_MAX)
		return failed(why, ST_NUMBER, "%u queues: 1 to %d", wish->queues, DISK_QUEUES_MAX);
	status = vhostdev_open_node(wish->device, &disk->vhost, why);
	if (!status)
		status = open_file(wish, &disk->file, why);
	if (!status)
		status = wait_until_free(wish, disk->file, waiting, why);
	return status ? status : set_disk(wish, disk, why);
}

void disk_close(struct disk *disk)
{
	/* The device first, so that it is not this that keeps the disk. */
	if (disk->vhost >= 0)
		close(disk->vhost);
	if (disk->file >= 0)
		close(disk->file);
	disk->vhost = -1;
	disk->file = -1;
}
