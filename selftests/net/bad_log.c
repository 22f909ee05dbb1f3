// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_log.c - the dirty log with hostile chains and hostile addresses: the log
 * is never overrun (CVE-2019-14835), and where it cannot be written the host
 * does not care
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vguest.h"

#define WRITE VRING_DESC_F_WRITE
#define NEXT  VRING_DESC_F_NEXT

static uint8_t f[70000];

/* Receive chains with many descriptors of no length among others, logging on. */
static void zero_lengths(long indirect)
{
	struct vg_opts o = { .frame = 9014, .depth = 8, .num = 1024 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[VG_RX];
	struct vg_pages *log = vg_pages_new(n->mem);
	uint64_t base = (uintptr_t)log->bits, buf = q->buf[VG_RX][0].gpa;
	/* the end of region 0, where no ring is */
	uint64_t table = n->mem->r[0].gpa + n->mem->r[0].size - 65536;
	static struct vring_desc d[1000];
	unsigned int round, i, nr;

	vg_alive(n);
	kt_sys(ioctl(q->dev.fd, VHOST_SET_LOG_BASE, &base));
	kt_sys(vg_set_features(q->dev.fd, q->dev.features | BIT(VHOST_F_LOG_ALL)));
	for (round = 0; round < 12; round++) {
		static const unsigned int counts[] = { 1, 2, 63, 64, 65, 127, 500, 1000 };

		vg_queue_anew(q, VG_RX);
		nr = counts[round % 8];
		for (i = 0; i < nr; i++) {
			d[i] = (struct vring_desc){
				.addr = round % 3 ? buf : vg_mem_end(n->mem) - 1,
				/* all empty, or a byte now and then */
				.len = round < 4 ? 0 : i % 7 == 0,
				.flags = WRITE | (i + 1 < nr ? NEXT : 0),
				.next = i + 1,
			};

			if (!indirect)
				vg_desc(r, i, d[i].addr, d[i].len, d[i].flags, d[i].next);
		}
		if (indirect) {
			vg_put_table(r, table, d, nr);
			vg_desc(r, 0, table, 16 * nr, VRING_DESC_F_INDIRECT, 0);
		}
		vg_publish(r, 0);
		vg_frame(f, 1000, 1, 0);
		vg_host_send(n, f, 1000, NULL);
		vg_ring_kick_always(r);
		usleep(50000);
	}
	vg_queue_anew(q, VG_RX);
	vg_guest_drain(q);
	vg_alive(n);
}

/* Addresses for the log itself. */
static void log_base(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	int fd = n->q[0].dev.fd;
	struct vg_pages *log = vg_pages_new(n->mem);
	void *hole = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *ro = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t base;
	unsigned int i;

	(void)arg;
	base = (uintptr_t)log->bits;
	kt_sys(ioctl(fd, VHOST_SET_LOG_BASE, &base));
	kt_sys(vg_set_features(fd, n->q[0].dev.features | BIT(VHOST_F_LOG_ALL)));
	vg_alive(n);
	base = 0xffff888000000000ull;
	kt_refused(ioctl(fd, VHOST_SET_LOG_BASE, &base));
	base = ~0ull - 100;
	kt_refused(ioctl(fd, VHOST_SET_LOG_BASE, &base));
	vg_alive(n);
	/* The kernel's memory as a used ring to log: beyond any log. */
	kt_refused(vg_vring_addr(fd, VG_RX, 1, (uintptr_t)n->q[0].ring[VG_RX].desc,
				 (uintptr_t)n->q[0].ring[VG_RX].avail,
				 (uintptr_t)n->q[0].ring[VG_RX].used, 1ull << 63));
	vg_alive(n);
	/* Not writable: seen only when it is written. The data path may stop or go on. */
	for (i = 0; i < 3; i++) {
		base = i == 0 ? (uintptr_t)hole : i == 1 ? (uintptr_t)ro : 8;
		if (ioctl(fd, VHOST_SET_LOG_BASE, &base))
			continue;
		vg_rx_fill(&n->q[0]);
		vg_ring_kick_always(&n->q[0].ring[VG_RX]);
		vg_frame(f, 1000, 1, 0);
		vg_host_send(n, f, 1000, NULL);
		usleep(50000);
		base = (uintptr_t)log->bits;
		kt_sys(ioctl(fd, VHOST_SET_LOG_BASE, &base));
		vg_queue_anew(&n->q[0], VG_RX);
		vg_guest_drain(&n->q[0]);
		vg_alive(n);
	}
}

/* A log that is too short for the memory: nothing behind it is written. */
static void too_short(long arg)
{
	struct vg_opts o = { .frame = 1514, .regions = 20 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_pages *log = vg_pages_new(n->mem);
	uint64_t base = (uintptr_t)log->bits;
	unsigned int i;

	(void)arg;
	/* The guard page of the log is where it would be written. */
	base += VG_PAGE - 40;
	kt_sys(ioctl(n->q[0].dev.fd, VHOST_SET_LOG_BASE, &base));
	kt_sys(vg_set_features(n->q[0].dev.fd, n->q[0].dev.features | BIT(VHOST_F_LOG_ALL)));
	for (i = 0; i < 50; i++) {
		vg_rx_fill(&n->q[0]);
		vg_ring_kick_always(&n->q[0].ring[VG_RX]);
		vg_frame(f, 1000, i, 0);
		vg_host_send(n, f, 1000, NULL);
	}
	usleep(100000);
	kt_sys(vg_set_features(n->q[0].dev.fd, n->q[0].dev.features));
	vg_queue_anew(&n->q[0], VG_RX);
	vg_guest_drain(&n->q[0]);
	vg_alive(n);
}

static const struct kt_case cases[] = {
	{ "descriptors without length", zero_lengths, 0 },
	{ "descriptors without length in a table", zero_lengths, 1 },
	{ "addresses of the log", log_base, 0 },
	{ "a log too short", too_short, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
