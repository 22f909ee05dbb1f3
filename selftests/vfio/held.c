// SPDX-License-Identifier: GPL-2.0-only
/*
 * held.c - memory of a file whose page somebody else holds locked, for as long as he likes,
 * when it is to be unpinned. The owner waits; nobody else does: not a request on the node, not
 * the next owner, not who unbinds the driver.
 *
 * The page is that of a block device which is suspended (device mapper) while the page is on
 * its way there, and which somebody is punching a hole into: he has the page's lock, and waits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdpa.h"

#define SPARE 0x8000000000ull
#define NAME  "shunt-held"
/* When it is let go by itself, so that a failure ends; nobody else may wait half as long. */
#define HELD_S 60

static char file[64], loop[64], device[80];

/* The first line that a command of the shell prints. */
static void shell(char *line, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void shell(char *line, size_t size, const char *fmt, ...)
{
	char cmd[512];
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	f = popen(cmd, "r");
	kt_check(f, "%s: %m", cmd);
	line[0] = 0;
	if (fgets(line, size, f))
		line[strcspn(line, "\n")] = 0;
	kt_check(!pclose(f), "%s failed", cmd);
}

static void device_new(void)
{
	char node[64], none[8];
	int fd;

	snprintf(file, sizeof(file), "/tmp/%s.%d", NAME, getpid());
	fd = kt_sys(open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	kt_sys(ftruncate(fd, 1 << 20));
	close(fd);
	/* Also after a case that failed. */
	shell(none, sizeof(none),
	      "modprobe -q loop; modprobe -q dm_mod; dmsetup remove --noudevsync %s 2>&-; true",
	      NAME);
	shell(loop, sizeof(loop), "losetup --find --show %s", file);
	shell(none, sizeof(none), "dmsetup create --noudevsync %s --table '0 2048 linear %s 0'",
	      NAME, loop);
	shell(node, sizeof(node), "dmsetup info --columns --noheadings --options blkdevname %s",
	      NAME);
	snprintf(device, sizeof(device), "/dev/%s", node);
}

static void device_free(void)
{
	char none[8];

	shell(none, sizeof(none), "dmsetup remove --noudevsync --retry %s", NAME);
	shell(none, sizeof(none), "losetup --detach %s && rm %s", loop, file);
}

static bool waits(pid_t pid)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (f)
		fclose(f);
	return state == 'D';
}

struct held {
	int fd;		/* of the block device */
	void *page;	/* its first one */
	pid_t holder;	/* has the page's lock */
	pid_t guardian; /* lets go when the time is up */
};

static void page_new(struct held *h)
{
	h->fd = kt_sys(open(device, O_RDWR | O_CLOEXEC));
	h->page = mmap(NULL, VG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, h->fd, 0);
	kt_check(h->page != MAP_FAILED, "mmap of %s: %m", device);
	memset(h->page, 0x5a, VG_PAGE);
}

/* Pin the page for the function; skips where the kernel does not pin those of files. */
static void page_map(struct held *h, int node)
{
	if (!vf_msg(node, VHOST_IOTLB_UPDATE, SPARE, VG_PAGE, (uintptr_t)h->page, VHOST_ACCESS_RW))
		return;
	kt_check(errno == EFAULT, "the page is not mapped: %m");
	kt_skip("this kernel pins no pages of files that it writes back");
}

/* Whoever pinned the page has to wait for its lock from now on, to mark it dirty. */
static void page_hold(struct held *h)
{
	uint64_t end = vg_ms() + VG_STALL_MS;
	char none[8];

	shell(none, sizeof(none), "dmsetup suspend --noflush --nolockfs %s", NAME);
	h->guardian = kt_sys(fork());
	if (!h->guardian) {
		sleep(HELD_S);
		execlp("dmsetup", "dmsetup", "resume", "--noudevsync", NAME, NULL);
		_exit(1);
	}
	kt_sys(sync_file_range(h->fd, 0, VG_PAGE, SYNC_FILE_RANGE_WRITE));
	h->holder = kt_sys(fork());
	if (!h->holder) {
		fallocate(h->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, VG_PAGE);
		_exit(0);
	}
	while (!waits(h->holder)) {
		kt_check(vg_ms() < end, "nobody waits for the suspended device");
		usleep(1000);
	}
}

static void page_release(struct held *h)
{
	char none[8];

	kt_check(waits(h->holder), "the page's lock is not held any more");
	kill(h->guardian, SIGKILL);
	shell(none, sizeof(none), "dmsetup resume --noudevsync %s", NAME);
	kt_sys(waitpid(h->guardian, NULL, 0));
	kt_sys(waitpid(h->holder, NULL, 0));
}

static int node_fd;
static bool back;

static void *take_back(void *arg)
{
	(void)arg;
	kt_sys(vf_msg(node_fd, VHOST_IOTLB_INVALIDATE, SPARE, VG_PAGE, 0, 0));
	__atomic_store_n(&back, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/* One thread of the owner waits: the function works on, and whoever takes it away can. */
static void taken_back(long unbind)
{
	int64_t before = vf_pinned();
	struct vf_unit *u;
	struct held h;
	pthread_t id;
	uint64_t began;

	vf_bind();
	device_new();
	page_new(&h);
	u = vf_new(&(struct vf_opts){});
	node_fd = u->fd;
	page_map(&h, u->fd);
	page_hold(&h);
	began = vg_ms();
	kt_check(!pthread_create(&id, NULL, take_back, NULL), "pthread_create");
	usleep(300000);
	kt_check(!back, "the page is taken back without its lock");
	if (unbind)
		kt_sys(vf_put(vf_bdf(), "/sys/bus/pci/devices/%s/driver/unbind", vf_bdf()));
	else
		kt_check(vf_status(u->fd) == VF_RUNNING, "status %#x", vf_status(u->fd));
	kt_check(vg_ms() - began < HELD_S * 500, "that took %llu ms",
		 (unsigned long long)(vg_ms() - began));
	kt_check(!back, "the page is taken back without its lock");
	if (!unbind)
		vf_alive(u);
	page_release(&h);
	kt_check(!pthread_join(id, NULL), "pthread_join");
	kt_sys(munmap(h.page, VG_PAGE));
	close(h.fd);
	vf_free(u);
	kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
	vf_pinned_is(before);
	if (unbind)
		vf_bind();
	device_free();
	vf_fresh();
}

/* The owner is killed, and does not end; the function is the next one's. */
static void killed(long arg)
{
	int64_t before = vf_pinned();
	struct held h;
	uint64_t began;
	pid_t owner;
	int ready[2];
	char c;

	(void)arg;
	vf_bind();
	device_new();
	page_new(&h);
	kt_sys(pipe(ready));
	owner = kt_sys(fork());
	if (!owner) {
		struct vf_unit *u = vf_new(&(struct vf_opts){});

		page_map(&h, u->fd);
		kt_sys(write(ready[1], "x", 1));
		vf_busy(u, 0);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1) {
		int status;

		kt_sys(waitpid(owner, &status, 0));
		device_free();
		kt_check(WIFEXITED(status) && WEXITSTATUS(status) == 4, "the owner failed");
		kt_skip("this kernel pins no pages of files that it writes back");
	}
	page_hold(&h);
	began = vg_ms();
	kill(owner, SIGKILL);
	/* In its last moments it still has the node. */
	while (access(vg_path(), F_OK) || (node_fd = open(vg_path(), O_RDWR | O_CLOEXEC)) < 0) {
		kt_check(vg_ms() - began < HELD_S * 500, "the next owner waits, too: %m");
		usleep(10000);
	}
	close(node_fd);
	vf_fresh();
	kt_check(!waitpid(owner, NULL, WNOHANG), "the owner ended without the page's lock");
	kt_check(vg_ms() - began < HELD_S * 500, "that took %llu ms",
		 (unsigned long long)(vg_ms() - began));
	page_release(&h);
	kt_sys(waitpid(owner, NULL, 0));
	kt_sys(munmap(h.page, VG_PAGE));
	close(h.fd);
	vf_pinned_is(before);
	device_free();
}

static const struct kt_case cases[] = {
	{ "the owner takes it back", taken_back, 0, 0, VG_ON_ONCE },
	{ "the driver is unbound meanwhile", taken_back, 1, 0, VG_ON_ONCE },
	{ "the owner is killed", killed, 0, 0, VG_ON_ONCE },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
