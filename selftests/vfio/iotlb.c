// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotlb.c - what is mapped for a function, and when: in batches, under traffic, again after
 * it was taken back; charged to the limit of locked memory; and messages that make no sense
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdpa.h"

#define SPARE 0x8000000000ull /* where no test's guest memory is */

static void *pages(size_t n, int prot)
{
	void *p = mmap(NULL, n * VG_PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	kt_check(p != MAP_FAILED, "mmap: %m");
	return p;
}

static int map(int fd, uint64_t iova, uint64_t size, const void *p, uint8_t perm)
{
	return vf_msg(fd, VHOST_IOTLB_UPDATE, iova, size, (uintptr_t)p, perm);
}

static int unmap(int fd, uint64_t iova, uint64_t size)
{
	return vf_msg(fd, VHOST_IOTLB_INVALIDATE, iova, size, 0, 0);
}

/* Pages are mapped and unmapped beside the traffic, which goes on. */
struct beside {
	int fd;
	void *p;
	unsigned int round;
};

static void map_beside(void *arg)
{
	struct beside *b = arg;

	if (b->round++ % 2)
		kt_sys(unmap(b->fd, SPARE, 64 * VG_PAGE));
	else
		kt_sys(map(b->fd, SPARE, 64 * VG_PAGE, b->p, VHOST_ACCESS_RW));
}

static void under_traffic(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .queues = 2 });
	struct beside b = { .fd = u->fd, .p = pages(64, PROT_READ | PROT_WRITE) };

	(void)arg;
	vf_run(u, kt_scale(600, 150), map_beside, &b);
}

/* Unmapped between drivers and mapped again, elsewhere in the process or at another address. */
static void again_and_again(long moved)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){});
	unsigned int round;

	for (round = 0; round < 6; round++) {
		vf_run(u, 60, NULL, NULL);
		vf_reset(u);
		vf_unmap(u->fd, u->mem);
		if (moved)
			u->mem->iova_off += 1ull << 32;
		vf_map(u->fd, u->mem, round % 2);
		vf_setup(u);
		vf_start(u);
	}
	vf_alive(u);
}

/* One message takes back several mappings, and pages of it may be mapped anew. */
static void unmapped_at_once(long arg)
{
	const unsigned int n = 32;
	uint8_t *p = pages(n, PROT_READ | PROT_WRITE);
	int fd = vf_open();
	unsigned int i, round;
	int64_t before = vf_pinned();

	(void)arg;
	for (round = 0; round < 4; round++) {
		for (i = 0; i < n; i++)
			kt_sys(map(fd, SPARE + i * VG_PAGE, VG_PAGE, p + (n - 1 - i) * VG_PAGE,
				   VHOST_ACCESS_RW));
		kt_sys(unmap(fd, SPARE, n * VG_PAGE));
	}
	vf_pinned_is(before);
	kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
	kt_sys(map(fd, SPARE, n * VG_PAGE, p, VHOST_ACCESS_RW));
	kt_check(vg_locked() == n * 4, "%lu kB are charged for %u", vg_locked(), n * 4);
}

/* What ends before it begins, or has no size, or is not made of pages. */
static void ranges(long mapped)
{
	static const struct {
		uint64_t iova, size;
	} bad[] = {
		{ SPARE, 0 },
		{ 0, 0 },
		{ ~0ull, 0 },
		{ 0, ~0ull },
		{ 0, 1ull << 63 },
		{ 1, ~0ull },
		{ SPARE, ~0ull },
		{ SPARE, -SPARE },
		{ SPARE, -SPARE + VG_PAGE },
		{ -(uint64_t)VG_PAGE, 2 * VG_PAGE },
		{ -(uint64_t)VG_PAGE, VG_PAGE },
		{ ~0ull, 1 },
		{ ~0ull, ~0ull },
		{ SPARE + 1, VG_PAGE },
		{ SPARE + 512, VG_PAGE },
		{ SPARE, 1 },
		{ SPARE, VG_PAGE - 1 },
		{ SPARE, VG_PAGE + 1 },
		{ 1ull << 63, VG_PAGE },
	};
	uint8_t *p = pages(4, PROT_READ | PROT_WRITE);
	struct vf_unit *u = NULL;
	int64_t before;
	unsigned int i;
	int fd;

	if (mapped) {
		u = vf_new(&(struct vf_opts){});
		fd = u->fd;
	} else {
		fd = vf_open();
	}
	before = vf_pinned();
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		kt_refused(map(fd, bad[i].iova, bad[i].size, p, VHOST_ACCESS_RW));
	/* Process addresses that are not of a page, or run over the end of all. */
	kt_refused(map(fd, SPARE, VG_PAGE, p + 1, VHOST_ACCESS_RW));
	kt_refused(map(fd, SPARE, VG_PAGE, p + 2048, VHOST_ACCESS_RW));
	kt_refused(map(fd, SPARE, 1ull << 47, p, VHOST_ACCESS_RW));
	kt_refused(map(fd, SPARE, 2 * VG_PAGE, (void *)-(uintptr_t)VG_PAGE, VHOST_ACCESS_RW));
	kt_refused(map(fd, SPARE, VG_PAGE, NULL, VHOST_ACCESS_RW));
	kt_refused(map(fd, SPARE, VG_PAGE, (void *)0xffff888000000000ull, VHOST_ACCESS_RW));
	/* The interrupts' window is the host's. */
	kt_refused(map(fd, 0xfee00000, VG_PAGE, p, VHOST_ACCESS_RW));
	kt_refused(map(fd, 0xfee00000 - VG_PAGE, 2 * VG_PAGE, p, VHOST_ACCESS_RW));
	kt_refused(map(fd, 0xfeeff000, 2 * VG_PAGE, p, VHOST_ACCESS_RW));
	/* No access, or one that there is not. */
	kt_refused(map(fd, SPARE, VG_PAGE, p, 0));
	kt_refused(map(fd, SPARE, VG_PAGE, p, 4));
	kt_refused(map(fd, SPARE, VG_PAGE, p, 0xff));
	vf_pinned_is(before);
	/* Taken back that was never given: an error or nothing, and no hang (e2ae38cf3d91). */
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (u && bad[i].size > 1ull << 32)
			continue;
		unmap(fd, bad[i].iova, bad[i].size);
	}
	kt_sys(map(fd, SPARE, VG_PAGE, p, VHOST_ACCESS_RW));
	if (u) {
		vf_alive(u);
		return;
	}
	/* All of it at once, too. */
	if (unmap(fd, 0, ~0ull))
		kt_sys(unmap(fd, SPARE, VG_PAGE));
	vf_pinned_is(before);
}

static void messages(long arg)
{
	struct vhost_msg_v2 m = { .type = VHOST_IOTLB_MSG_V2 };
	int fd = vf_open();
	uint8_t *p = pages(1, PROT_READ | PROT_WRITE);
	unsigned int i;

	(void)arg;
	for (i = 0; i < 256; i++) {
		if (i == VHOST_IOTLB_UPDATE || i == VHOST_IOTLB_INVALIDATE ||
		    i == VHOST_IOTLB_BATCH_BEGIN || i == VHOST_IOTLB_BATCH_END)
			continue;
		kt_refused(vf_msg(fd, i, SPARE, VG_PAGE, (uintptr_t)p, VHOST_ACCESS_RW));
	}
	m.iotlb = (struct vhost_iotlb_msg){ SPARE, VG_PAGE, (uintptr_t)p, VHOST_ACCESS_RW,
					    VHOST_IOTLB_UPDATE };
	for (i = 0; i < sizeof(m); i++)
		kt_check(write(fd, &m, i) <= 0, "a message of %u bytes was taken", i);
	m.type = 77;
	kt_refused(write(fd, &m, sizeof(m)));
	m.type = VHOST_IOTLB_MSG_V2;
	/* An address space that there is not. */
	m.asid = 1u << 31;
	kt_refused(write(fd, &m, sizeof(m)));
	kt_errno(write(fd, pages(1, PROT_NONE), sizeof(m)), EFAULT);
	/* Batches that do not end, or never began. */
	for (i = 0; i < 10; i++)
		vf_msg(fd, VHOST_IOTLB_BATCH_END, 0, 0, 0, 0);
	for (i = 0; i < 10; i++)
		vf_msg(fd, VHOST_IOTLB_BATCH_BEGIN, 0, 0, 0, 0);
	kt_sys(map(fd, SPARE, VG_PAGE, p, VHOST_ACCESS_RW));
	close(fd);
	vf_fresh();
}

static void overlaps(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){});
	uint8_t *p = pages(8, PROT_READ | PROT_WRITE);
	const struct vg_region *r = &u->mem->r[0];
	uint64_t at = r->gpa + u->mem->iova_off;
	int64_t before = vf_pinned();

	(void)arg;
	kt_refused(map(u->fd, at, VG_PAGE, p, VHOST_ACCESS_RW));
	kt_refused(map(u->fd, at + r->size - VG_PAGE, 2 * VG_PAGE, p, VHOST_ACCESS_RW));
	kt_refused(map(u->fd, at - VG_PAGE, 2 * VG_PAGE, p, VHOST_ACCESS_RW));
	kt_refused(map(u->fd, at, r->size, r->va, VHOST_ACCESS_RW));
	kt_refused(map(u->fd, at + 16 * VG_PAGE, VG_PAGE, r->va, VHOST_ACCESS_RO));
	vf_pinned_is(before);
	vf_alive(u);
}

/* Memory that is not there, in whole or at its end; that may not be written; that is a device's. */
static void user_memory(long arg)
{
	uint8_t *p = pages(8, PROT_READ | PROT_WRITE), *ro = pages(2, PROT_READ);
	int fd = vf_open();
	int64_t before = vf_pinned();

	(void)arg;
	kt_sys(munmap(p + 4 * VG_PAGE, 2 * VG_PAGE));
	kt_refused(map(fd, SPARE, VG_PAGE, p + 4 * VG_PAGE, VHOST_ACCESS_RW));
	kt_refused(map(fd, SPARE, 8 * VG_PAGE, p, VHOST_ACCESS_RW));
	kt_refused(map(fd, SPARE, 8 * VG_PAGE, p, VHOST_ACCESS_RO));
	kt_refused(map(fd, SPARE, VG_PAGE, ro, VHOST_ACCESS_RW));
	kt_refused(map(fd, SPARE, VG_PAGE, ro, VHOST_ACCESS_WO));
	kt_sys(mprotect(p, VG_PAGE, PROT_NONE));
	kt_refused(map(fd, SPARE, VG_PAGE, p, VHOST_ACCESS_RO));
	vf_pinned_is(before);
	kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
	/* What is read only for the process may be so for the function. */
	if (map(fd, SPARE, VG_PAGE, ro, VHOST_ACCESS_RO))
		kt_note("memory that is read only: %m");
	kt_sys(map(fd, SPARE + 16 * VG_PAGE, 3 * VG_PAGE, p + VG_PAGE, VHOST_ACCESS_RW));
	/* Unmapped in the process, it stays the function's until that is told. */
	kt_sys(munmap(p + VG_PAGE, 3 * VG_PAGE));
	kt_sys(unmap(fd, SPARE + 16 * VG_PAGE, 3 * VG_PAGE));
	close(fd);
	vf_fresh();
}

static void charged(long arg)
{
	int64_t before = vf_pinned();
	int fd = vf_open();
	uint8_t *p = pages(1024, PROT_READ | PROT_WRITE);
	unsigned int i;

	(void)arg;
	kt_check(!vg_locked(), "%lu kB are charged before anything is mapped", vg_locked());
	kt_sys(map(fd, SPARE, 512 * VG_PAGE, p, VHOST_ACCESS_RW));
	kt_check(vg_locked() == 2048, "%lu kB are charged for 2048", vg_locked());
	kt_check(vf_pinned() - before >= 512, "%lld pages are pinned for 512",
		 (long long)(vf_pinned() - before));
	kt_sys(map(fd, SPARE + 512 * VG_PAGE, 512 * VG_PAGE, p + 512 * VG_PAGE, VHOST_ACCESS_RW));
	kt_check(vg_locked() == 4096, "%lu kB are charged for 4096", vg_locked());
	kt_sys(unmap(fd, SPARE, 512 * VG_PAGE));
	kt_check(vg_locked() == 2048, "%lu kB are charged for 2048", vg_locked());
	for (i = 0; i < 3; i++) {
		/* Reset does not take memory away, and does not charge it again. */
		kt_sys(vf_set_status(fd, 0));
		kt_check(vg_locked() == 2048, "%lu kB are charged for 2048", vg_locked());
	}
	close(fd);
	kt_check(!vg_locked(), "%lu kB stay charged when the node is closed", vg_locked());
	vf_pinned_is(before);
}

static void limited(long arg)
{
	uint8_t *p = pages(1024, PROT_READ | PROT_WRITE);
	int64_t before = vf_pinned();
	unsigned int i;
	int fd;

	(void)arg;
	vg_limit_locked(1u << 20);
	vg_drop_ipc_lock();
	fd = vf_open();
	kt_errno(map(fd, SPARE, 512 * VG_PAGE, p, VHOST_ACCESS_RW), ENOMEM);
	kt_check(!vg_locked(), "%lu kB are charged for nothing", vg_locked());
	vf_pinned_is(before);
	kt_sys(map(fd, SPARE, 200 * VG_PAGE, p, VHOST_ACCESS_RW));
	kt_errno(map(fd, SPARE + 512 * VG_PAGE, 100 * VG_PAGE, p, VHOST_ACCESS_RW), ENOMEM);
	kt_check(vg_locked() == 800, "%lu kB are charged for 800", vg_locked());
	/* Page by page it ends at the limit, too: the same page again counts again. */
	for (i = 0; i < 100; i++)
		if (map(fd, SPARE + (1024 + i) * VG_PAGE, VG_PAGE, p, VHOST_ACCESS_RW))
			break;
	kt_check(i == 56 && errno == ENOMEM, "%u pages more, %m", i);
	kt_sys(unmap(fd, SPARE, 200 * VG_PAGE));
	kt_sys(map(fd, SPARE, 150 * VG_PAGE, p, VHOST_ACCESS_RW));
	kt_sys(unmap(fd, SPARE, 150 * VG_PAGE));
	close(fd);
	kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
	vf_pinned_is(before);
}

/* All that an address range takes, page by page: bounded by the limit, given back at the end. */
static void many_pages(long arg)
{
	const unsigned int n = kt_scale(20000, 3000);
	int64_t before = vf_pinned();
	uint8_t *p = pages(1, PROT_READ | PROT_WRITE);
	int fd = vf_open();
	unsigned int i;

	(void)arg;
	for (i = 0; i < n; i++)
		kt_sys(map(fd, SPARE + 2ull * i * VG_PAGE, VG_PAGE, p, VHOST_ACCESS_RW));
	kt_check(vg_locked() == 4ul * n, "%lu kB are charged for %u pages", vg_locked(), n);
	close(fd);
	vf_pinned_is(before);
	kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
	vf_fresh();
}

/*
 * One page, far and wide: each place takes a page table, which may outlive the mapping. They
 * are bounded although no more is mapped at a time than may be; where something was mapped
 * before, it can be again, and the next owner finds nothing of it.
 */
static void far_and_wide(long arg)
{
	const uint64_t apart = 2ull << 20; /* what one table is for */
	const unsigned int at_once = 40000, most = 65535;
	uint8_t *p = pages(1, PROT_READ | PROT_WRITE);
	int fd = vf_open();
	unsigned int i, taken;

	(void)arg;
	for (i = 0; i < 2 * most; i++) {
		if (i == at_once)
			kt_sys(unmap(fd, SPARE, i * apart));
		if (map(fd, SPARE + i * apart, VG_PAGE, p, VHOST_ACCESS_RW))
			break;
	}
	taken = i;
	kt_check(taken >= most && taken < most + 1000 && errno == ENOSPC,
		 "%u places were taken, then: %m", taken);
	kt_errno(map(fd, SPARE + (taken + 1) * apart, VG_PAGE, p, VHOST_ACCESS_RW), ENOSPC);
	for (i = 0; i < 100; i++)
		kt_sys(map(fd, SPARE + i * apart + VG_PAGE * (i + 1), VG_PAGE, p, VHOST_ACCESS_RW));
	close(fd);
	fd = vf_open();
	kt_sys(map(fd, SPARE + (taken + 1) * apart, VG_PAGE, p, VHOST_ACCESS_RW));
	close(fd);
	kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
	vf_fresh();
}

/* A process that is not the owner, but has its descriptor, maps no memory of its own. */
static void another_process(long arg)
{
	uint8_t *p = pages(16, PROT_READ | PROT_WRITE);
	int64_t before = vf_pinned();
	int fd = vf_open(), status;
	pid_t pid;

	(void)arg;
	pid = kt_sys(fork());
	if (!pid) {
		kt_errno(map(fd, SPARE, 16 * VG_PAGE, p, VHOST_ACCESS_RW), EPERM);
		_exit(0);
	}
	kt_sys(waitpid(pid, &status, 0));
	kt_check(WIFEXITED(status) && !WEXITSTATUS(status), "another process maps memory");
	kt_sys(map(fd, SPARE, 16 * VG_PAGE, p, VHOST_ACCESS_RW));
	close(fd);
	kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
	vf_pinned_is(before);
	vf_fresh();
}

static const struct kt_case cases[] = {
	{ "pages are mapped and unmapped under traffic", under_traffic, 0 },
	{ "all is unmapped and mapped again", again_and_again, 0 },
	{ "all is unmapped and mapped elsewhere", again_and_again, 1 },
	{ "one message takes several mappings back", unmapped_at_once, 0, 0, VG_ON_ONCE },
	{ "ranges that cannot be", ranges, 0, 0, VG_ON_ONCE },
	{ "ranges that cannot be, while it runs", ranges, 1 },
	{ "messages that there are not", messages, 0, 0, VG_ON_ONCE },
	{ "ranges that are mapped already", overlaps, 0, 0, VG_ON_ONCE },
	{ "memory that the process does not have", user_memory, 0, 0, VG_ON_ONCE },
	{ "what is mapped is charged", charged, 0, 0, VG_ON_ONCE },
	{ "the limit of locked memory holds", limited, 0, 0, VG_ON_ONCE },
	{ "many pages", many_pages, 0, 0, VG_ON_ONCE },
	{ "one page far and wide", far_and_wide, 0, 300, VG_ON_ONCE },
	{ "another process with the descriptor", another_process, 0, 0, VG_ON_ONCE },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
