// SPDX-License-Identifier: GPL-2.0-only
/* Opening a vhost net device: each way in which that fails is told apart. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "feature.h"
#include "vhostdev.h"

/*
 * A modern guest (VERSION_1) has the 12-byte header of merged buffers on a TAP that carries one.
 * vhost-vsock and vhost-scsi answer the same ioctl, and lack mrg-rxbuf.
 */
#define ALWAYS_NEEDED ((1ULL << VIRTIO_F_VERSION_1) | (1ULL << VIRTIO_NET_F_MRG_RXBUF))

static enum status open_failed(const char *path, int error, struct failure *why)
{
	switch (error) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return failed(why, ST_NO_DEVICE, "%s: no such device: is its module loaded?", path);
	case EACCES:
	case EPERM:
		return failed(why, ST_PRIVILEGE, "%s: %s", path, strerror(error));
	case EMFILE:
	case ENFILE:
		return failed(why, ST_QUEUES, "%s: %s", path, strerror(error));
	default:
		return failed(why, ST_SYSTEM, "%s: %s", path, strerror(error));
	}
}

enum status vhostdev_open_node(const char *path, int *fd, struct failure *why)
{
	struct stat st;

	/* Looked at before it is opened, because the open of a FIFO would wait for a writer. */
	if (stat(path, &st))
		return open_failed(path, errno, why);
	if (!S_ISCHR(st.st_mode))
		return failed(why, ST_NOT_VHOST, "%s: not a character device", path);

	*fd = open(path, O_RDWR | O_CLOEXEC);
	return *fd < 0 ? open_failed(path, errno, why) : ST_OK;
}

enum status vhostdev_open(const char *path, uint64_t need, int *fd, struct failure *why)
{
	uint64_t features, missing;
	enum status status;
	char names[256];
	int file;

	status = vhostdev_open_node(path, &file, why);
	if (status)
		return status;
	if (ioctl(file, VHOST_GET_FEATURES, &features)) {
		status = failed(why, ST_NOT_VHOST, "%s: not a vhost device: %s", path,
				strerror(errno));
		goto out_close;
	}
	missing = (need | ALWAYS_NEEDED) & ~features;
	if (missing) {
		feature_list(missing, names, sizeof(names));
		status = failed(why, ST_FEATURE, "%s: lacks needed features: %s", path, names);
		goto out_close;
	}
	*fd = file;
	return ST_OK;

out_close:
	close(file);
	return status;
}
