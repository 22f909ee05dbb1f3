// SPDX-License-Identifier: GPL-2.0-only
/*
 * host.c - the host's side of a disk: its errors reach the driver, its limits for the
 * VMM's cgroup hold, and fdinfo counts
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vdisk.h"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	kt_check(fd >= 0, "open %s: %m", path);
	kt_check(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "'%s' to %s: %m", text,
		 path);
	close(fd);
}

static void need(const char *kind)
{
	const char *is = getenv("SHUNT_TEST_DISK_KIND");

	if (!is || strcmp(is, kind))
		kt_skip("this takes a disk that is %s", kind);
}

/* Some sectors of the device are bad. */
static void errors(long arg)
{
	static const char list[] = "/sys/kernel/config/nullb/shunt/badblocks";
	struct vd_opts o = { 0 };
	static uint8_t buf[65536];
	struct vd_disk *d;
	struct virtio_blk_discard_write_zeroes z = { 96, 16, 0 };
	struct vd_io io = { .type = VIRTIO_BLK_T_WRITE_ZEROES, .out = &z, .out_len = sizeof(z) };

	(void)arg;
	need("null");
	d = vd_new(&o);
	vd_alive(d);
	write_file(list, "+100-101");
	kt_check(vd_read(d, 0, 100, buf, 512) == VIRTIO_BLK_S_IOERR, "read of a bad sector");
	kt_check(vd_write(d, 0, 101, buf, 512) == VIRTIO_BLK_S_IOERR, "write of a bad sector");
	kt_check(vd_read(d, 0, 0, buf, sizeof(buf)) == VIRTIO_BLK_S_IOERR, "one of them is bad");
	kt_check(vd_do(d, 0, &io) == VIRTIO_BLK_S_IOERR, "write zeroes to it");
	kt_check(vd_read(d, 0, 102, buf, 4096) == VIRTIO_BLK_S_OK, "those behind are good");
	write_file(list, "-100-101");
	kt_check(vd_read(d, 0, 0, buf, sizeof(buf)) == VIRTIO_BLK_S_OK, "they are good again");
	vd_alive(d);
	vd_free(d);
}

#define GONE "/sys/kernel/config/nullb/shunt-gone"

/* A block device of 16 MiB, to be removed with GONE. @path: receives its path. */
static void make_gone(char *path, size_t size)
{
	char index[16] = "";
	FILE *file;

	kt_sys(mkdir(GONE, 0755));
	write_file(GONE "/memory_backed", "1");
	write_file(GONE "/size", "16");
	write_file(GONE "/power", "1");
	snprintf(path, size, "/dev/shunt-gone");
	if (!access(path, F_OK))
		return;
	/* As null_blk's disks were once called. */
	file = fopen(GONE "/index", "re");
	kt_check(file && fscanf(file, "%15s", index) == 1, GONE "/index: %m");
	fclose(file);
	snprintf(path, size, "/dev/nullb%s", index);
}

/* The device goes away under requests: they end, and so do those that come later. */
static void disappears(long arg)
{
	static uint8_t buf[65536];
	char path[32];
	struct vd_opts o = { .path = path };
	struct vd_io io[16] = { 0 };
	struct vd_disk *d;
	unsigned int i, n = 0;

	(void)arg;
	need("null");
	make_gone(path, sizeof(path));
	d = vd_new(&o);
	kt_check(vd_write(d, 0, 0, buf, sizeof(buf)) == VIRTIO_BLK_S_OK, "write");
	for (i = 0; i < 16; i++) {
		io[i].type = VIRTIO_BLK_T_OUT;
		io[i].sector = i * 128;
		io[i].out = buf;
		io[i].out_len = sizeof(buf);
		n += vd_start(d, 0, &io[i]);
	}
	vg_ring_kick_always(&d->q[0].ring);
	write_file(GONE "/power", "0");
	while (n--) {
		const struct vd_io *done = vd_wait(d, 0);

		kt_check(done->status == VIRTIO_BLK_S_OK || done->status == VIRTIO_BLK_S_IOERR,
			 "status %d of a request in flight", done->status);
	}
	kt_check(vd_read(d, 0, 0, buf, sizeof(buf)) == VIRTIO_BLK_S_IOERR, "read");
	kt_check(vd_write(d, 0, 0, buf, sizeof(buf)) == VIRTIO_BLK_S_IOERR, "write");
	vd_free(d);
	kt_sys(rmdir(GONE));
}

/* The device of the disk: a block device, or what is below a file system. */
static dev_t device(void)
{
	struct stat st;

	kt_sys(stat(vd_path(), &st));
	return S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
}

/* Requests are the VMM's: io.max of its cgroup slows them down. */
static void limited(long arg)
{
	char root[] = "/tmp/shunt-cgroup-XXXXXX", path[256], text[128];
	struct vd_opts o = { .room = 65536 };
	static uint8_t buf[65536];
	struct vd_disk *d;
	uint64_t began, fast, slow;
	unsigned int i, dead;

	(void)arg;
	if (!major(device()))
		kt_skip("this disk has no device whose use could be limited");
	kt_check(mkdtemp(root), "mkdtemp: %m");
	kt_sys(mount("none", root, "cgroup2", 0, NULL));
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
	write_file(path, "+io");
	snprintf(path, sizeof(path), "%s/shunt-test", root);
	kt_check(!mkdir(path, 0755) || errno == EEXIST, "mkdir %s: %m", path);
	snprintf(path, sizeof(path), "%s/shunt-test/io.max", root);
	if (access(path, F_OK)) {
		umount2(root, MNT_DETACH);
		kt_skip("this kernel has no io.max");
	}
	snprintf(text, sizeof(text), "%u:%u rbps=1048576 wbps=1048576", major(device()),
		 minor(device()));
	write_file(path, text);

	began = vg_ms();
	d = vd_new(&o);
	/* Written, too: what a file does not have is not read from anywhere. */
	for (i = 0; i < 32; i++) {
		kt_check(vd_write(d, 0, i * 128, buf, sizeof(buf)) == VIRTIO_BLK_S_OK, "write");
		kt_check(vd_read(d, 0, i * 128, buf, sizeof(buf)) == VIRTIO_BLK_S_OK, "read");
	}
	vd_free(d);
	fast = vg_ms() - began;

	snprintf(path, sizeof(path), "%s/shunt-test/cgroup.procs", root);
	write_file(path, "0");
	began = vg_ms();
	d = vd_new(&o);
	for (i = 0; i < 32; i++)
		kt_check(vd_read(d, 0, i * 128, buf, sizeof(buf)) == VIRTIO_BLK_S_OK, "read");
	slow = vg_ms() - began;
	vd_free(d);
	/* 2 MiB at 1 MiB a second, less what may go at once. */
	kt_note("%llu ms without a limit, %llu with it", (unsigned long long)fast,
		(unsigned long long)slow);
	kt_check(slow >= 1000, "the limit does not hold: %llu ms for 2 MiB",
		 (unsigned long long)slow);

	snprintf(path, sizeof(path), "%s/cgroup.procs", root);
	write_file(path, "0");
	snprintf(path, sizeof(path), "%s/shunt-test", root);
	for (dead = 0; rmdir(path) && dead < 50; dead++)
		usleep(100000);
	umount(root);
	rmdir(root);
}

static void counted(long arg)
{
	struct vd_opts o = { .queues = 2 };
	struct vd_disk *d = vd_new(&o);
	static uint8_t buf[4096];
	char text[64];
	unsigned int i;

	(void)arg;
	kt_check(vg_fdinfo(d->dev.fd, "shunt-device", text, sizeof(text)) && !strcmp(text, "blk"),
		 "fdinfo names another device");
	for (i = 0; i < 10; i++)
		kt_check(vd_read(d, 1, 8 * i, buf, sizeof(buf)) == VIRTIO_BLK_S_OK, "read");
	kt_check(vd_read(d, 1, d->sectors, buf, sizeof(buf)) == VIRTIO_BLK_S_IOERR, "read behind");
	kt_check(vg_fdinfo_u64(d->dev.fd, "vq1-requests") == 11, "requests");
	kt_check(vg_fdinfo_u64(d->dev.fd, "vq1-bytes") == 40960, "bytes");
	kt_check(vg_fdinfo_u64(d->dev.fd, "vq1-drops") == 1, "drops");
	kt_check(vg_fdinfo_u64(d->dev.fd, "vq0-requests") == 0, "requests of the other queue");
	vd_free(d);
}

/*
 * The guest's memory becomes a file on ext4, which keeps track of who writes to its pages: rings in
 * it are not kept pinned, but used as any memory.
 */
static void in_a_file(long arg)
{
	struct vd_opts o = { 0 };
	struct vd_disk *d;
	struct vg_region *r;
	unsigned long before;
	uint32_t base;
	char path[256], map[64];
	int fd;

	(void)arg;
	need("ext4");
	d = vd_new(&o);
	vd_alive(d);
	base = vd_queue_stop(d, 0);
	before = vg_locked();
	r = &d->mem->r[0];
	kt_check((size_t)snprintf(path, sizeof(path), "%s.memory", vd_path()) < sizeof(path),
		 "the path of the disk is too long");
	fd = kt_sys(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	kt_sys(unlink(path));
	kt_check(write(fd, r->va, r->size) == (ssize_t)r->size, "write %s: %m", path);
	kt_check(mmap(r->va, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
			 r->va,
		 "mmap: %m");
	vd_queue_setup(d, 0, base);
	vd_queue_start(d, 0);
	vd_alive(d);
	kt_check(vg_fdinfo(d->dev.fd, "vq0-map", map, sizeof(map)) && !strcmp(map, "user"),
		 "the ring is %s", map);
	kt_check(vg_locked() == before, "%lu kB are charged, %lu before", vg_locked(), before);
	vd_queue_stop(d, 0);
	vd_free(d);
	close(fd);
}

#define SLOW	"shunt-slow"
#define SLOW_MS 8000 /* a write */
#define RANGES	16

/* The first line that a command prints. */
static void line_of(const char *command, char *line, size_t size)
{
	FILE *f = popen(command, "re");

	kt_check(f && fgets(line, (int)size, f), "'%s' says nothing", command);
	line[strcspn(line, "\n")] = 0;
	kt_check(!pclose(f), "'%s' failed", command);
}

/* The VMM's life until a disk that is slow is to write zeroes, in many places. */
static void zero_slowly(int ready, long arg)
{
	char name[32], path[64];
	struct vd_opts o = { .path = path };
	struct virtio_blk_discard_write_zeroes z[RANGES];
	struct vd_io io = { .type = VIRTIO_BLK_T_WRITE_ZEROES, .out = z, .out_len = sizeof(z) };
	struct vd_disk *d;
	unsigned int i;

	(void)arg;
	line_of("dmsetup info -c --noheadings -o blkdevname " SLOW, name, sizeof(name));
	snprintf(path, sizeof(path), "/dev/%s", name);
	d = vd_new(&o);
	for (i = 0; i < RANGES; i++)
		z[i] = (struct virtio_blk_discard_write_zeroes){ 64 * i, 8, 0 };
	kt_check(vd_start(d, 0, &io), "no room");
	vg_ring_kick_always(&d->q[0].ring);
	while (!vg_fdinfo_u64(d->dev.fd, "vq0-requests"))
		usleep(1000);
	kt_sys(write(ready, "x", 1));
	pause();
}

/* A request that was given up ends with what the disk is doing, not with all that it asked for. */
static void ends_between_ranges(long arg)
{
	char command[256];
	int64_t size;
	int fd;

	(void)arg;
	need("null");
	fd = kt_sys(open(vd_path(), O_RDONLY | O_CLOEXEC));
	size = lseek(fd, 0, SEEK_END) / VD_SECTOR;
	close(fd);
	snprintf(command, sizeof(command),
		 "dmsetup create --noudevsync " SLOW " --table '0 %lld delay %s 0 0 %s 0 %d'",
		 (long long)size, vd_path(), vd_path(), SLOW_MS);
	kt_check(!system(command), "'%s' failed", command);
	/* A minute, the range that is under way, and less than the others. */
	vg_killable(zero_slowly, 0, 60000 + SLOW_MS + VG_STALL_MS);
	kt_check(!system("dmsetup remove --noudevsync --retry " SLOW), "it is in use");
}

#define LARGE (5u << 18) /* bytes; more than one piece of a request */
#define MANY  100	 /* of them: more than may be in flight */

/*
 * A disk that has ended all when it was asked: what is in flight ends in the pass that began it,
 * and nothing but that pass can see that there is room again.
 */
static void ends_at_once(long arg)
{
	struct vd_opts o = {
		.path = "/dev/ram0", .num = 256, .depth = MANY, .room = LARGE, .indirect = true
	};
	static uint8_t buf[LARGE];
	static struct vd_io io[MANY];
	struct vd_disk *d;
	unsigned int i;

	(void)arg;
	need("null");
	if (system("modprobe -q brd rd_nr=1 rd_size=16384"))
		kt_skip("this kernel has no brd");
	d = vd_new(&o);
	for (i = 0; i < MANY; i++) {
		io[i] = (struct vd_io){ .type = VIRTIO_BLK_T_OUT, .out = buf, .out_len = LARGE };
		kt_check(vd_start(d, 0, &io[i]), "no room for request %u", i);
	}
	vg_ring_kick(&d->q[0].ring);
	for (i = 0; i < MANY; i++)
		kt_check(vd_wait(d, 0)->status == VIRTIO_BLK_S_OK, "request %u", i);
	vd_free(d);
	kt_check(!system("rmmod brd"), "it is in use");
}

static const struct kt_case cases[] = {
	{ "errors of the device reach the driver", errors, 0 },
	{ "a device that disappears fails requests", disappears, 0 },
	{ "the cgroup of the owner limits its requests", limited, 0 },
	{ "fdinfo counts requests", counted, 0 },
	{ "ranges that were not begun with are left when the VMM is gone", ends_between_ranges, 0,
	  180, VG_ON_ONCE },
	{ "more requests than may be in flight, of a disk that ends them at once", ends_at_once,
	  0 },
	{ "rings in a file of ext4 are not kept pinned", in_a_file, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
