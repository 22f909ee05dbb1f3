// SPDX-License-Identifier: GPL-2.0-only
/*
 * setup.c - the ioctls of a disk: what they refuse and with what, who may call them and
 * when; what is offered; and that a change of size is seen
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdisk.h"

static int set_disk(int dev, int fd, uint32_t flags, uint32_t queues)
{
	struct shunt_blk_disk arg = { .fd = fd, .flags = flags, .queues = queues };

	return ioctl(dev, SHUNT_BLK_SET_DISK, &arg);
}

static void wrong_disks(long arg)
{
	int dev = vg_open(), fd = kt_sys(open(vd_path(), O_RDWR | O_CLOEXEC)), pipes[2];
	int bad;

	(void)arg;
	kt_errno(set_disk(dev, -1, 0, 1), EBADF);
	kt_errno(set_disk(dev, 9999, 0, 1), EBADF);
	kt_errno(set_disk(dev, fd, 2, 1), EINVAL);
	kt_errno(set_disk(dev, fd, ~0u, 1), EINVAL);
	kt_errno(set_disk(dev, fd, 0, 0), EINVAL);
	kt_errno(set_disk(dev, fd, 0, SHUNT_BLK_QUEUES_MAX + 1), EINVAL);
	kt_errno(set_disk(dev, fd, 0, ~0u), EINVAL);
	kt_errno(ioctl(dev, SHUNT_BLK_SET_DISK, NULL), EFAULT);
	kt_errno(set_disk(dev, dev, 0, 1), ENOTBLK);
	kt_sys(pipe(pipes));
	kt_errno(set_disk(dev, pipes[0], 0, 1), ENOTBLK);
	bad = kt_sys(open("/tmp", O_RDONLY | O_CLOEXEC));
	kt_errno(set_disk(dev, bad, 0, 1), ENOTBLK);
	bad = kt_sys(open("/dev/null", O_RDWR | O_CLOEXEC));
	kt_errno(set_disk(dev, bad, 0, 1), ENOTBLK);
	bad = kt_sys(open(vd_path(), O_WRONLY | O_CLOEXEC));
	kt_errno(set_disk(dev, bad, 0, 1), EACCES);
	bad = kt_sys(open(vd_path(), O_PATH | O_CLOEXEC));
	kt_errno(set_disk(dev, bad, 0, 1), EBADF);
	/* None of it did any harm. */
	kt_sys(set_disk(dev, fd, 0, 1));
	kt_sys(set_disk(dev, fd, SHUNT_BLK_RDONLY, 64));
	kt_sys(set_disk(dev, fd, 0, 3));
}

static void without_a_disk(long arg)
{
	struct shunt_blk_config c;
	int dev = vg_open(), ev = kt_sys(eventfd(0, EFD_CLOEXEC));
	uint32_t wce = 1;

	(void)arg;
	kt_errno(ioctl(dev, SHUNT_BLK_GET_CONFIG, &c), ENODEV);
	kt_errno(ioctl(dev, SHUNT_BLK_SET_WCE, &wce), EPERM);
	kt_errno(vg_vring_file(dev, VHOST_BLK_SET_BACKEND, 0, ev), EPERM);
	kt_sys(ioctl(dev, VHOST_SET_OWNER));
	kt_errno(ioctl(dev, SHUNT_BLK_SET_WCE, &wce), ENODEV);
	kt_errno(ioctl(dev, SHUNT_BLK_SET_CONFIG_CALL, &ev), ENODEV);
	kt_errno(vg_vring_file(dev, VHOST_BLK_SET_BACKEND, 0, ev), ENOTBLK);
	kt_errno(vg_vring_file(dev, VHOST_BLK_SET_BACKEND, 0, 9999), EBADF);
	kt_errno(vg_vring_file(dev, VHOST_BLK_SET_BACKEND, 1, ev), ENOBUFS);
	kt_errno(vg_vring_file(dev, VHOST_NET_SET_BACKEND, 0, ev), ENOTTY);
}

static void owned(long arg)
{
	struct vd_opts o = { .queues = 2 };
	struct vd_disk *d = vd_new(&o);
	int other = kt_sys(open("/dev/null", O_RDWR | O_CLOEXEC)), dev = d->dev.fd, status;
	uint32_t wce = 2;
	pid_t child;

	(void)arg;
	kt_errno(set_disk(dev, d->backing, 0, 1), EBUSY);
	kt_errno(ioctl(dev, SHUNT_BLK_SET_WCE, &wce), EINVAL);
	kt_errno(ioctl(dev, SHUNT_BLK_SET_CONFIG_CALL, &other), EINVAL);
	kt_errno(vd_backend(d, 0, other), EBUSY);
	kt_errno(vd_backend(d, 2, d->backing), ENOBUFS);
	kt_errno(vd_backend(d, ~0u, d->backing), ENOBUFS);
	child = kt_sys(fork());
	if (!child) {
		struct virtio_blk_config c;

		/* Whoever has the file may look; all else is the owner's. */
		vd_get_config(dev, &c);
		wce = 0;
		_exit(ioctl(dev, SHUNT_BLK_SET_WCE, &wce) == -1 && errno == EPERM &&
				      vd_backend(d, 0, -1) == -1 && errno == EPERM ?
			      0 :
			      1);
	}
	kt_check(waitpid(child, &status, 0) == child && !status, "another process may do it");
	vd_alive(d);
	vd_free(d);
}

/* Queues that come and go between two owners know nothing of what was before. */
static void more_and_less_queues(long arg)
{
	struct vd_opts o = { .queues = 2 };
	struct vd_disk d;

	(void)arg;
	vd_open(&d, &o);
	kt_sys(vg_set_features(d.dev.fd, VD_BASIC | BIT(VIRTIO_F_ACCESS_PLATFORM)));
	kt_errno(set_disk(d.dev.fd, d.backing, 0, 1), EBUSY);
	kt_sys(vg_set_features(d.dev.fd, 0));
	kt_sys(set_disk(d.dev.fd, d.backing, 0, 1));
	kt_sys(ioctl(d.dev.fd, VHOST_SET_OWNER));
	kt_sys(ioctl(d.dev.fd, VHOST_RESET_OWNER));
	kt_sys(set_disk(d.dev.fd, d.backing, 0, 2));
	vd_setup(&d);
	vd_queue_start(&d, 0);
	vd_queue_start(&d, 1);
	vd_alive(&d);
}

/* A block device that is made read-only while it is in use is not written any more. */
static void made_read_only(long arg)
{
	struct vd_opts o = { 0 };
	static uint8_t buf[4096];
	struct vd_disk *d = vd_new(&o);
	int on = 1, off = 0;
	struct stat st;

	(void)arg;
	kt_sys(fstat(d->backing, &st));
	if (!S_ISBLK(st.st_mode))
		kt_skip("this disk is no block device");
	vd_alive(d);
	kt_sys(ioctl(d->backing, BLKROSET, &on));
	kt_check(vd_write(d, 0, 0, buf, sizeof(buf)) == VIRTIO_BLK_S_IOERR, "written all the same");
	kt_check(vd_read(d, 0, 0, buf, sizeof(buf)) == VIRTIO_BLK_S_OK, "cannot be read");
	kt_sys(ioctl(d->backing, BLKROSET, &off));
	vd_alive(d);
	vd_free(d);
}

/* As a VMM does it that knows the ioctl of Virtuozzo alone. */
static void by_backend_alone(long arg)
{
	struct vd_opts o = { 0 };
	struct vd_disk d;

	(void)arg;
	vd_open(&d, &o);
	close(d.dev.fd);
	d.dev.fd = vg_open();
	vd_setup(&d);
	vd_queue_start(&d, 0);
	vd_alive(&d);
	kt_sys(vd_backend(&d, 0, d.backing));
	vd_alive(&d);
}

static void not_set_up(long arg)
{
	struct vd_opts o = { 0 };
	struct vd_disk d;

	(void)arg;
	vd_open(&d, &o);
	kt_sys(ioctl(d.dev.fd, VHOST_SET_OWNER));
	kt_errno(vd_backend(&d, 0, d.backing), EFAULT);
	kt_sys(ioctl(d.dev.fd, VHOST_RESET_OWNER));
	vd_setup(&d);
	kt_sys(vd_backend(&d, 0, -1)); /* stopped already */
	kt_sys(vg_vring_addr(d.dev.fd, 0, 0, 0x10000, 0x20000, 0x30000, 0));
	kt_errno(vd_backend(&d, 0, d.backing), EFAULT);
	vd_queue_setup(&d, 0, vg_ring_first(&d.q[0].ring));
	vd_queue_start(&d, 0);
	vd_alive(&d);
}

static void features(long arg)
{
	const uint64_t always = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
				BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_TOPOLOGY) |
				BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_CONFIG_WCE) |
				BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_WRITE_ZEROES) |
				BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_PACKED);
	struct vd_opts o = { .queues = 3 };
	struct vd_disk *d = vd_new(&o);
	const uint64_t f = vg_features(d->dev.fd);
	struct stat st;

	(void)arg;
	kt_check((f & always) == always, "offered: %#llx", (unsigned long long)f);
	kt_check(!(f & (BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_F_IN_ORDER) | BIT(VIRTIO_BLK_F_SCSI) |
			BIT(VIRTIO_BLK_F_GEOMETRY))),
		 "offered: %#llx", (unsigned long long)f);
	kt_check(d->config.num_queues == 3, "%u queues", d->config.num_queues);
	kt_check(d->config.wce == 1, "no write cache at first");
	kt_check(d->config.blk_size == 512 || d->config.blk_size == 4096, "blocks of %u",
		 d->config.blk_size);
	kt_check(d->config.seg_max >= 100 && d->config.size_max >= 4096, "segments: %u of %u",
		 d->config.seg_max, d->config.size_max);
	kt_sys(fstat(d->backing, &st));
	kt_check(d->sectors == (uint64_t)lseek(d->backing, 0, SEEK_END) / 512, "%llu sectors",
		 (unsigned long long)d->sectors);
	vd_free(d);
}

/* A file grows and shrinks; the driver is told, and finds what is there now. */
static void resize(long arg)
{
	char path[] = "/tmp/shunt-resize-XXXXXX";
	int file = kt_sys(mkstemp(path)), ev = kt_sys(eventfd(0, EFD_CLOEXEC));
	struct pollfd p = { .fd = ev, .events = POLLIN };
	struct vd_opts o = { .path = path };
	static uint8_t buf[4096];
	struct virtio_blk_config c;
	struct vd_disk *d;
	uint64_t count;

	(void)arg;
	kt_sys(ftruncate(file, 1 << 20));
	d = vd_new(&o);
	unlink(path);
	kt_sys(ioctl(d->dev.fd, SHUNT_BLK_SET_CONFIG_CALL, &ev));
	kt_check(kt_sys(poll(&p, 1, 2500)) == 0, "told of a change that was none");
	kt_check(vd_write(d, 0, 2048, buf, 4096) == VIRTIO_BLK_S_IOERR, "wrote behind the end");

	kt_sys(ftruncate(file, 2 << 20));
	kt_check(kt_sys(poll(&p, 1, VG_STALL_MS)) == 1, "not told that it grew");
	kt_sys(read(ev, &count, sizeof(count)));
	vd_get_config(d->dev.fd, &c);
	kt_check(c.capacity == 4096, "%llu sectors", (unsigned long long)c.capacity);
	kt_check(vd_write(d, 0, 2048, buf, 4096) == VIRTIO_BLK_S_OK, "the new part is not there");

	kt_sys(ftruncate(file, 1 << 20));
	kt_check(kt_sys(poll(&p, 1, VG_STALL_MS)) == 1, "not told that it shrank");
	kt_check(vd_read(d, 0, 2048, buf, 4096) == VIRTIO_BLK_S_IOERR, "read what is gone");
	kt_check(vd_read(d, 0, 2047, buf, 512) == VIRTIO_BLK_S_OK, "the last sector is gone");

	ev = -1;
	kt_sys(ioctl(d->dev.fd, SHUNT_BLK_SET_CONFIG_CALL, &ev));
	vd_alive(d);
	vd_free(d);
}

/* A number of what lies beneath, of its field @n in /sys/block/…/stat; -1: no block device. */
static int64_t stat_of(unsigned int n)
{
	char path[128], line[512] = "";
	const char *name = strrchr(vd_path(), '/') + 1;
	char *p = line;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", name);
	f = fopen(path, "r");
	if (!f)
		return -1;
	kt_check(fgets(line, sizeof(line), f), "%s is empty", path);
	fclose(f);
	while (n--)
		strtoull(p, &p, 10);
	return strtoull(p, NULL, 10);
}

#define FLUSHES 15

/*
 * A write reaches stable storage when it is completed, or by the flush after it: the
 * device beneath, which has a write cache, is flushed just then.
 */
static void durable(long features)
{
	struct vd_opts o = { .features = features };
	struct vd_disk *d = vd_new(&o);
	static uint8_t buf[4096];
	const bool cached = features & (BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_CONFIG_WCE));
	uint32_t wce = 0;
	int64_t before;
	unsigned int i;
	const char *kind = getenv("SHUNT_TEST_DISK_KIND");

	if (!kind || strcmp(kind, "loop4k"))
		kt_skip("this disk has no write cache whose flushes are counted");
	before = stat_of(FLUSHES);
	kt_check(before >= 0, "no counters");
	for (i = 0; i < 10; i++)
		kt_check(vd_write(d, 0, 8 * i, buf, sizeof(buf)) == VIRTIO_BLK_S_OK, "write");
	if (!cached) {
		kt_check(stat_of(FLUSHES) >= before + 10, "%lld flushes for 10 writes",
			 (long long)(stat_of(FLUSHES) - before));
		vd_free(d);
		return;
	}
	kt_check(stat_of(FLUSHES) == before, "writes were flushed that need not be");
	kt_check(vd_flush(d, 0) == VIRTIO_BLK_S_OK, "flush");
	kt_check(stat_of(FLUSHES) == before + 1, "a flush was not passed on");
	if (features & BIT(VIRTIO_BLK_F_CONFIG_WCE)) {
		kt_sys(ioctl(d->dev.fd, SHUNT_BLK_SET_WCE, &wce));
		vd_get_config(d->dev.fd, &d->config);
		kt_check(!d->config.wce, "the write cache stays on");
		before = stat_of(FLUSHES);
		kt_check(vd_write(d, 0, 0, buf, sizeof(buf)) == VIRTIO_BLK_S_OK, "write");
		kt_check(stat_of(FLUSHES) > before, "a write through was not flushed");
	}
	vd_free(d);
}

#define NO_FLUSH (VD_BASIC & ~BIT(VIRTIO_BLK_F_FLUSH))

static const struct kt_case cases[] = {
	{ "what cannot be a disk is refused", wrong_disks, 0 },
	{ "a device without a disk says so", without_a_disk, 0 },
	{ "a device with an owner keeps its disk", owned, 0 },
	{ "queues come and go between two owners", more_and_less_queues, 0 },
	{ "a device that is made read-only is not written", made_read_only, 0 },
	{ "VHOST_BLK_SET_BACKEND alone makes a disk", by_backend_alone, 0 },
	{ "a queue that is not set up does not start", not_set_up, 0 },
	{ "features and configuration are those of the disk", features, 0 },
	{ "a change of size is told and obeyed", resize, 0 },
	{ "with a write cache, a flush makes writes durable", durable, VD_BASIC },
	{ "without one, each write is durable", durable, NO_FLUSH },
	{ "the write cache is switched off", durable, VD_BASIC | BIT(VIRTIO_BLK_F_CONFIG_WCE) },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
