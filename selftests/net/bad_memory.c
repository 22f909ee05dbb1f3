// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_memory.c - memory tables and ring addresses that make no sense, and
 * memory that goes away under a running device
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vguest.h"

#define KERNEL 0xffff888000000000ull

/* Start both rings anew in the good memory, and see that the card works. */
static void recover(struct vg_net *n)
{
	struct vg_queue *q = &n->q[0];

	kt_sys(vg_set_mem(q->dev.fd, n->mem));
	vg_queue_anew(q, VG_RX);
	vg_queue_anew(q, VG_TX);
	vg_guest_drain(q);
	vg_host_drain(n);
	vg_alive(n);
}

/* One frame each way, whatever becomes of it. */
static void poke(struct vg_net *n)
{
	static uint8_t f[200];

	vg_frame(f, 200, 1, 0);
	vg_tx(&n->q[0], f, 200, NULL);
	vg_ring_kick_always(&n->q[0].ring[VG_TX]);
	vg_host_send(n, f, 200, NULL);
	vg_rx_fill(&n->q[0]);
	vg_ring_kick_always(&n->q[0].ring[VG_RX]);
	usleep(20000);
}

static void tables(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	int fd = n->q[0].dev.fd;
	uint64_t va = (uintptr_t)n->mem->r[0].va, mb = 1 << 20;
	static struct vhost_memory_region many[70000];
	struct vhost_memory_region r[3] = { { 0x100000, mb, va, 0 } };
	unsigned int i;

	(void)arg;
	kt_errno(ioctl(fd, VHOST_SET_MEM_TABLE, (void *)8), EFAULT);
	kt_errno(vg_set_mem_raw(fd, r, 1, 1), EOPNOTSUPP);
	for (i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct vhost_memory_region){ i * mb, mb, va, 0 };
	kt_errno(vg_set_mem_raw(fd, many, ARRAY_SIZE(many), 0), E2BIG);
	/* More regions claimed than are there. */
	{
		struct vhost_memory *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
					      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		kt_sys(munmap((char *)m + 4096, 4096));
		m->nregions = 0xffffffff;
		kt_errno(ioctl(fd, VHOST_SET_MEM_TABLE, m), E2BIG);
		m->nregions = 0x80000000;
		kt_errno(ioctl(fd, VHOST_SET_MEM_TABLE, m), E2BIG);
	}
	vg_alive(n);
	/* No such memory in this process. */
	r[0].userspace_addr = KERNEL;
	kt_refused(vg_set_mem_raw(fd, r, 1, 0));
	r[0].userspace_addr = ~0ull - 4095;
	kt_refused(vg_set_mem_raw(fd, r, 1, 0));
	r[0] = (struct vhost_memory_region){ 0x100000, 1ull << 62, va, 0 };
	kt_refused(vg_set_mem_raw(fd, r, 1, 0));
	r[0] = (struct vhost_memory_region){ ~0ull - 4095, 8192, va, 0 };
	kt_refused(vg_set_mem_raw(fd, r, 1, 0));
	vg_alive(n);
}

/* These may be taken or refused; either way the device lives, and errs at need. */
static void odd_tables(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	uint64_t va = (uintptr_t)n->mem->r[0].va, mb = 1 << 20;
	const struct vhost_memory_region t[][3] = {
		{ { 0, 0, va, 0 } }, /* e2ae38cf3d91: 0..ULONG_MAX */
		{ { 0x100000, 0, va, 0 } },
		{ { 0x100000, mb, va, 0 }, { 0x180000, mb, va, 0 } },
		{ { 0x100000, mb, va, 0 }, { 0x100000, mb, va, 0 } },
		{ { 0x100000, 2 * mb, va, 0 }, { 0x140000, 4096, va, 0 }, { 0x140000, 1, va, 0 } },
		{ { 0x100001, 4097, va + 1, 0 } },
		{ { 0, 0x7fffffff000ull, 0, 0 } },
		{ { 0x100000, mb, 0, 0 } },
		{ { 0x100000, mb, va, ~0ull } },
		{ { 0xfffffffffffff000ull, 4096, va, 0 } },
		{ { 0, 1, va, 0 }, { 1, 1, va, 0 }, { 2, 1, va, 0 } },
	};
	unsigned int i, nr;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		for (nr = 0; nr < 3; nr++)
			if (!t[i][nr].memory_size && !t[i][nr].userspace_addr)
				break;
		vg_set_mem_raw(n->q[0].dev.fd, t[i], nr, 0);
		poke(n);
		recover(n);
	}
	/* No memory at all. */
	vg_set_mem_raw(n->q[0].dev.fd, NULL, 0, 0);
	poke(n);
	recover(n);
}

/* Buffers that are no longer in the table break the ring, not the device. */
static void taken_out(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	struct vhost_memory_region r = { n->mem->r[0].gpa, n->mem->r[0].size,
					 (uintptr_t)n->mem->r[0].va, 0 };
	unsigned int i;

	(void)arg;
	for (i = 0; i < 5; i++) {
		vg_alive(n);
		kt_sys(vg_set_mem_raw(q->dev.fd, &r, 1, 0));
		poke(n);
		kt_check(vg_ring_erred(&q->ring[VG_TX], VG_STALL_MS), "no error on transmission");
		kt_check(vg_ring_erred(&q->ring[VG_RX], VG_STALL_MS), "no error on reception");
		recover(n);
	}
}

struct flip {
	struct vg_net *n;
	volatile bool stop;
	volatile unsigned int rounds;
};

/* The whole table and one region of it, in turn, as fast as it goes. */
static void *flip_tables(void *arg)
{
	struct flip *f = arg;
	struct vg_mem *m = f->n->mem;
	struct vhost_memory_region r = { m->r[0].gpa, m->r[0].size, (uintptr_t)m->r[0].va, 0 };

	while (!f->stop) {
		kt_sys(vg_set_mem_raw(f->n->q[0].dev.fd, &r, 1, 0));
		kt_sys(vg_set_mem(f->n->q[0].dev.fd, m));
		f->rounds++;
	}
	return NULL;
}

static void flipped(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct flip f = { .n = n };
	uint64_t end = vg_ms() + VG_STALL_MS;
	pthread_t t;
	unsigned int i, k;

	(void)arg;
	kt_check(!pthread_create(&t, NULL, flip_tables, &f), "pthread_create");
	/* A round waits for readers of RCU: on a busy machine few are made meanwhile. */
	for (i = 0; i < kt_scale(300, 100) || (f.rounds < 4 && vg_ms() < end); i++) {
		static uint8_t fr[1500], in[70000];
		size_t len;

		vg_frame(fr, 1500, i, 0);
		vg_tx(&n->q[0], fr, 1500, NULL);
		vg_ring_kick_always(&n->q[0].ring[VG_TX]);
		vg_host_send(n, fr, 1500, NULL);
		vg_rx_fill(&n->q[0]);
		vg_ring_kick_always(&n->q[0].ring[VG_RX]);
		vg_tx_reap(&n->q[0]);
		while (vg_rx(&n->q[0], in, sizeof(in), &len, NULL))
			;
		vg_host_drain(n);
		/* A ring that broke in the moment without its buffers is started anew. */
		for (k = 0; k < 2; k++) {
			if (!vg_ring_erred(&n->q[0].ring[k], 0))
				continue;
			vg_queue_anew(&n->q[0], k);
		}
	}
	f.stop = true;
	pthread_join(t, NULL);
	kt_note("%u rounds of tables", f.rounds);
	kt_check(f.rounds >= 4, "only %u rounds of tables", f.rounds);
	recover(n);
}

/* Buffers whose memory the VMM unmaps or protects while they are offered. */
static void unmapped(long prot)
{
	struct vg_opts o = { .frame = 1514, .regions = 4 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_region *r;
	unsigned int i;

	for (i = 1; i < 4; i++) {
		vg_alive(n);
		r = &n->mem->r[i];
		if (prot < 0) {
			kt_sys(munmap(r->va, r->size));
		} else {
			kt_sys(mprotect(r->va, r->size, prot));
		}
		/* Frames into every buffer, so also into those that are gone. */
		{
			static uint8_t f[200];
			unsigned int k;

			vg_frame(f, 200, 1, 0);
			for (k = 0; k < 140; k++)
				vg_host_send(n, f, 200, NULL);
			vg_ring_kick_always(&n->q[0].ring[VG_RX]);
			for (k = 0; k < 128; k++) {
				struct vg_seg s = { r->gpa + k * 256, 200 };

				vg_ring_add(&n->q[0].ring[VG_TX], &s, 1, 0, false, NULL);
			}
			vg_ring_kick_always(&n->q[0].ring[VG_TX]);
		}
		usleep(100000);
		for (unsigned int k = 0; k < 2; k++)
			kt_sys(vg_vring_file(n->q[0].dev.fd, VHOST_NET_SET_BACKEND, k, -1));
		if (prot < 0)
			kt_check(mmap(r->va, r->size, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_FIXED, n->mem->fd, r->gpa) == r->va,
				 "mmap: %m");
		else
			kt_sys(mprotect(r->va, r->size, PROT_READ | PROT_WRITE));
		recover(n);
	}
}

/* Ring addresses: refused, or an error of the ring, and never more than that. */
static void ring_addresses(long i)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[i];
	int fd = q->dev.fd;
	uint64_t good[3] = { (uintptr_t)r->desc, (uintptr_t)r->avail, (uintptr_t)r->used };
	uint64_t hole =
		(uintptr_t)mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t ro = (uintptr_t)mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t bad[] = { 0,	     4096,	 hole,	       ro,
				 KERNEL,     ~0ull - 15, ~0ull - 4095, 0x7ffffffff000ull - 16,
				 1ull << 47, hole - 16 };
	unsigned int k, part;

	vg_alive(n);
	/* Of a running ring: refused at once. */
	kt_refused(vg_vring_addr(fd, i, 0, KERNEL, good[1], good[2], 0));
	kt_refused(vg_vring_addr(fd, i, 0, good[0], KERNEL, good[2], 0));
	kt_refused(vg_vring_addr(fd, i, 0, good[0], good[1], KERNEL, 0));
	kt_errno(vg_vring_addr(fd, i, 0, good[0], good[1] + 1, good[2], 0), EINVAL);
	kt_errno(vg_vring_addr(fd, i, 0, good[0], good[1], good[2] + 2, 0), EINVAL);
	kt_errno(vg_vring_addr(fd, i, 0, good[0], good[1], good[2], 2), EINVAL);
	kt_errno(vg_vring_addr(fd, i, 2, good[0], good[1], good[2], 0), EOPNOTSUPP);
	vg_alive(n);
	for (k = 0; k < ARRAY_SIZE(bad); k++) {
		for (part = 0; part < 3; part++) {
			uint64_t a[3] = { good[0], good[1], good[2] };
			bool started;

			a[part] = bad[k];
			vg_queue_stop(q, i);
			vg_queue_forget(q, i);
			vg_ring_reset(r, vg_ring_first(r));
			kt_sys(vg_vring_state(fd, VHOST_SET_VRING_BASE, i, vg_ring_first(r)));
			if (vg_vring_addr(fd, i, 0, a[0], a[1], a[2], 0)) {
				kt_check(errno == EFAULT || errno == EINVAL, "errno %d", errno);
				started = false;
			} else {
				started = !vg_vring_file(fd, VHOST_NET_SET_BACKEND, i, q->backend);
			}
			if (started) {
				/* Reading from what is only readable is no error. */
				poke(n);
				kt_sys(vg_vring_file(fd, VHOST_NET_SET_BACKEND, i, -1));
			}
			kt_check(!started || bad[k] != KERNEL,
				 "a ring in the kernel's memory was started");
			kt_check(!started || part != 2 || bad[k] == hole - 16,
				 "a used ring at %#llx was started", (unsigned long long)bad[k]);
			recover(n);
		}
	}
}

/* A descriptor table at any address works or is refused. */
static void unaligned(long off)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[VG_TX];

	vg_alive(n);
	vg_queue_stop(q, VG_TX);
	vg_vring_addr(q->dev.fd, VG_TX, 0, (uintptr_t)r->desc + off, (uintptr_t)r->avail,
		      (uintptr_t)r->used, 0);
	vg_vring_file(q->dev.fd, VHOST_NET_SET_BACKEND, VG_TX, q->backend);
	poke(n);
	recover(n);
}

/* The memory of the rings themselves goes away under a running device. */
static void rings_unmapped(long iotlb)
{
	struct vg_opts o = { .frame = 1514, .iotlb = iotlb };
	struct vg_net *n = vg_net_new(&o);
	struct vg_region *r = &n->mem->r[0];
	unsigned int k;
	uint64_t one = 1;

	vg_alive(n);
	kt_sys(munmap(r->va, r->size));
	for (k = 0; k < 50; k++) {
		static uint8_t f[200];

		vg_frame(f, 200, k, 0);
		vg_host_send(n, f, 200, NULL);
		kt_sys(write(n->q[0].ring[k % 2].kick, &one, sizeof(one)));
	}
	usleep(200000);
	for (k = 0; k < 2; k++) {
		kt_sys(vg_vring_file(n->q[0].dev.fd, VHOST_NET_SET_BACKEND, k, -1));
		/* Without its memory it does not start. */
		if (!iotlb)
			kt_refused(vg_vring_file(n->q[0].dev.fd, VHOST_NET_SET_BACKEND, k,
						 n->q[0].backend));
	}
	kt_check(mmap(r->va, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, n->mem->fd,
		      r->gpa) == r->va,
		 "mmap: %m");
	recover(n);
}

static const struct kt_case cases[] = {
	{ "memory tables that are refused", tables, .on = VG_ON_ONCE },
	{ "odd memory tables", odd_tables, 0 },
	{ "buffers no longer in the table", taken_out, 0 },
	{ "tables changed under traffic", flipped, 0 },
	{ "buffers unmapped", unmapped, -1 },
	{ "buffers without access", unmapped, PROT_NONE },
	{ "buffers read-only", unmapped, PROT_READ },
	{ "addresses of the receive ring", ring_addresses, VG_RX, 120 },
	{ "addresses of the transmit ring", ring_addresses, VG_TX, 120 },
	{ "a descriptor table off by 1", unaligned, 1 },
	{ "a descriptor table off by 8", unaligned, 8 },
	{ "rings unmapped while they run", rings_unmapped, 0 },
	{ "rings unmapped while they run behind an IOTLB", rings_unmapped, 2 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
