// SPDX-License-Identifier: GPL-2.0-only
/*
 * isolation.c - what a function is told to read or write outside of what is mapped for it
 * it does not reach: buffers, tables, whole rings; memory that is taken back under traffic,
 * or mapped for reading alone. The function may be broken by it until it is reset; the host
 * and the next owner are not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vdpa.h"

#define CANARY 0x3c
#define ROOM   (64 * VG_PAGE)
#define SPARE  0x8000000000ull

/* Memory of this process that is never mapped, or not any more. */
static uint8_t *canary(void)
{
	uint8_t *p = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	kt_check(p != MAP_FAILED, "mmap: %m");
	memset(p, CANARY, ROOM);
	return p;
}

static void untouched(const uint8_t *p, const char *what)
{
	size_t i;

	usleep(100000);
	for (i = 0; i < ROOM; i++)
		kt_check(p[i] == CANARY, "byte %zu of %s was written: %#x", i, what, p[i]);
}

/* Offer a buffer for the function to write to at @iova: a receive buffer, or a read's data. */
static void offer_write(struct vf_unit *u, uint64_t iova, uint32_t len)
{
	struct vg_ring *r = u->ring[0];

	vg_ring_reset(r, vg_ring_first(r));
	if (u->net) {
		vg_desc(r, 0, iova, len, VRING_DESC_F_WRITE, 0);
	} else {
		static const struct virtio_blk_outhdr h = { .type = VIRTIO_BLK_T_IN };
		uint64_t at = vg_alloc(u->mem, 64, 64);

		vg_put(u->mem, at, &h, sizeof(h));
		vg_desc(r, 0, at + u->mem->iova_off, sizeof(h), VRING_DESC_F_NEXT, 1);
		vg_desc(r, 1, iova, len, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 2);
		vg_desc(r, 2, at + u->mem->iova_off + 32, 1, VRING_DESC_F_WRITE, 0);
	}
	vg_publish(r, 0);
}

/* Have it done: a frame comes in, or the request is begun. */
static void provoke(struct vf_unit *u)
{
	static uint8_t f[1514];
	unsigned int i;

	vg_ring_kick_always(u->ring[0]);
	vg_frame(f, sizeof(f), 1, 0);
	for (i = 0; u->net && i < 8; i++)
		vg_host_send(u->net, f, sizeof(f), NULL);
}

static void begin(struct vf_unit *u)
{
	kt_sys(vf_enable(u->fd, 0, 1));
	if (u->nring > 1)
		kt_sys(vf_enable(u->fd, 1, 1));
	kt_sys(vf_set_status(u->fd, VF_RUNNING));
}

/* Then the function is reset, and works; for this owner and for the next. */
static void afterwards(struct vf_unit *u)
{
	vf_again(u);
	vf_alive(u);
	vf_free(u);
	vf_fresh();
}

enum { NEVER, TAKEN_BACK, READ_ONLY, FAR };

static void buffers(long how)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .stopped = true });
	uint64_t at = how == FAR ? 0x7f00000000000000ull : SPARE;
	uint8_t *p = canary();

	if (how == READ_ONLY)
		kt_sys(vf_msg(u->fd, VHOST_IOTLB_UPDATE, at, ROOM, (uintptr_t)p, VHOST_ACCESS_RO));
	if (how == TAKEN_BACK) {
		kt_sys(vf_msg(u->fd, VHOST_IOTLB_UPDATE, at, ROOM, (uintptr_t)p, VHOST_ACCESS_RW));
		kt_sys(vf_msg(u->fd, VHOST_IOTLB_INVALIDATE, at, ROOM, 0, 0));
	}
	begin(u);
	offer_write(u, at + 512, 8 * VD_SECTOR);
	provoke(u);
	untouched(p, "memory that is not mapped for writing");
	afterwards(u);
}

/* The proof of the others: where it is mapped, the same does write. */
static void buffers_that_are_mapped(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .stopped = true });
	uint8_t *p = canary();
	uint64_t end = vg_ms() + VG_STALL_MS;
	unsigned int i;

	(void)arg;
	kt_sys(vf_msg(u->fd, VHOST_IOTLB_UPDATE, SPARE, ROOM, (uintptr_t)p, VHOST_ACCESS_RW));
	begin(u);
	offer_write(u, SPARE + 512, 8 * VD_SECTOR);
	provoke(u);
	for (;;) {
		for (i = 512; i < 512 + 8 * VD_SECTOR; i++)
			if (*(volatile uint8_t *)&p[i] != CANARY)
				break;
		if (i < 512 + 8 * VD_SECTOR)
			break;
		kt_check(vg_ms() < end, "nothing was written where it is mapped");
		usleep(1000);
	}
	usleep(50000);
	for (i = 0; i < 512; i++)
		kt_check(p[i] == CANARY, "byte %u before the buffer was written", i);
	for (i = 512 + 8 * VD_SECTOR; i < ROOM; i++)
		kt_check(p[i] == CANARY, "byte %u behind the buffer was written", i);
	afterwards(u);
}

/* Half of a buffer is mapped: what is not is not written. */
static void half_a_buffer(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .stopped = true });
	uint8_t *p = canary(), *q = canary();

	(void)arg;
	kt_sys(vf_msg(u->fd, VHOST_IOTLB_UPDATE, SPARE, ROOM, (uintptr_t)p, VHOST_ACCESS_RW));
	kt_sys(vf_msg(u->fd, VHOST_IOTLB_UPDATE, SPARE + ROOM, ROOM, (uintptr_t)q,
		      VHOST_ACCESS_RW));
	kt_sys(vf_msg(u->fd, VHOST_IOTLB_INVALIDATE, SPARE + ROOM, ROOM, 0, 0));
	begin(u);
	offer_write(u, SPARE + ROOM - 512, 8 * VD_SECTOR);
	provoke(u);
	untouched(q, "memory that was taken back");
	afterwards(u);
}

/* Whole rings where nothing is, or where it may only be read. */
enum { NOWHERE, RING_READ_ONLY, END_OF_ALL, INTERRUPTS, ODD };

static void rings(long how)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .stopped = true });
	uint8_t *p = canary();
	uint64_t at = SPARE;
	unsigned int i;
	int r = 0;

	if (how == RING_READ_ONLY) {
		memset(p, 0, ROOM);
		kt_sys(vf_msg(u->fd, VHOST_IOTLB_UPDATE, at, ROOM, (uintptr_t)p, VHOST_ACCESS_RO));
	}
	if (how == END_OF_ALL)
		at = -(uint64_t)VG_PAGE;
	if (how == INTERRUPTS)
		at = 0xfee00000;
	if (how == ODD)
		at = SPARE + 1;
	for (i = 0; i < u->nring; i++)
		r |= vg_vring_addr(u->fd, i, 0, at, at + 3 * 4096, at + 6 * 4096, 0);
	/* Refused here, or at the start, or it runs and does not get anywhere. */
	for (i = 0; i < u->nring; i++)
		r |= vf_enable(u->fd, i, 1);
	r |= vf_set_status(u->fd, VF_RUNNING);
	kt_note("it is %s", r ? "refused" : "taken");
	for (i = 0; i < 5; i++) {
		provoke(u);
		usleep(20000);
	}
	if (how == RING_READ_ONLY)
		for (i = 0; i < ROOM; i++)
			kt_check(!p[i], "byte %u of a ring that is read only was written", i);
	afterwards(u);
}

/*
 * QEMU (10.0) looks at a packed ring of its disk for ever once it has given up on it: whether
 * such a ring is empty does not depend on that.
 */
static void not_for_ever(void)
{
	if (!vf_is_net() && vg_packed())
		kt_skip("the emulator would not come back from it");
}

/* Copies of all regions from @first on. */
static void copy_memory(struct vf_unit *u, unsigned int first, uint8_t **copy)
{
	unsigned int i;

	for (i = first; i < u->mem->n; i++)
		memcpy(copy[i], u->mem->r[i].va, u->mem->r[i].size);
}

static bool same_memory(struct vf_unit *u, unsigned int first, uint8_t **copy)
{
	unsigned int i;

	for (i = first; i < u->mem->n; i++)
		if (memcmp(copy[i], u->mem->r[i].va, u->mem->r[i].size))
			return false;
	return true;
}

/*
 * Memory goes while it works: from then on nothing is written there. An emulated disk may
 * still end a request whose memory it had looked up before, as no real function would.
 */
static void taken_under_traffic(long all)
{
	const unsigned int first = all ? 0 : 1;
	unsigned int round, i;

	not_for_ever();
	for (round = 0; round < kt_scale(10, 4); round++) {
		struct vf_unit *u = vf_new(&(struct vf_opts){ .depth = 64, .num = 256 });
		uint64_t end = vg_ms() + VG_STALL_MS;
		uint8_t *copy[8] = { NULL };

		for (i = first; i < u->mem->n; i++) {
			copy[i] = malloc(u->mem->r[i].size);
			kt_check(copy[i], "no memory");
		}
		vf_busy(u, 30 + 13 * round);
		for (i = first; i < u->mem->n; i++)
			kt_sys(vf_msg(u->fd, VHOST_IOTLB_INVALIDATE,
				      u->mem->r[i].gpa + u->mem->iova_off, u->mem->r[i].size, 0,
				      0));
		do {
			copy_memory(u, first, copy);
			usleep(u->disk ? 200000 : 0);
			kt_check(vg_ms() < end,
				 "memory that was taken back is written and written");
		} while (u->disk && !same_memory(u, first, copy));
		for (i = 0; i < 5; i++) {
			provoke(u);
			usleep(10000);
		}
		kt_check(same_memory(u, first, copy), "memory that was taken back was written");
		/* Mapped again and begun anew, all is well. */
		for (i = first; i < u->mem->n; i++) {
			free(copy[i]);
			kt_sys(vf_msg(u->fd, VHOST_IOTLB_UPDATE,
				      u->mem->r[i].gpa + u->mem->iova_off, u->mem->r[i].size,
				      (uintptr_t)u->mem->r[i].va, VHOST_ACCESS_RW));
		}
		vf_again(u);
		vf_alive(u);
		vf_free(u);
	}
	vf_fresh();
}

/*
 * Indices and descriptors that make no sense are the function's to refuse; the host's not.
 *
 * Of packed rings the lengths are below 64 KiB. QEMU (10.0) counts what a card's ring has room for
 * by walking through indirect tables, of which one may say that it has 4 GiB, so 2^28 entries; each
 * is looked up in its IOMMU, and where nothing is there it reads as one more entry. Meanwhile the
 * VM stands still.
 */
static void broken_rings(long arg)
{
	uint64_t random = vg_seed(0xb40c0000);
	unsigned int round, i;
	struct vf_unit *u;

	(void)arg;
	not_for_ever();
	u = vf_new(&(struct vf_opts){});
	for (round = 0; round < kt_scale(60, 20); round++) {
		for (i = 0; i < u->nring; i++) {
			volatile uint8_t *desc = (void *)u->ring[i]->desc;
			volatile uint8_t *avail = (void *)u->ring[i]->avail;
			unsigned int k;

			for (k = 0; k < 16 * u->ring[i]->num; k++)
				desc[k] = vg_packed() && k % 16 / 2 == 5 ? 0 : vg_random(&random);
			for (k = 0; k < 4 + (vg_packed() ? 0 : 2 * u->ring[i]->num); k++)
				avail[k] = vg_random(&random);
		}
		provoke(u);
		usleep(2000);
		vf_again(u);
	}
	vf_alive(u);
	vf_free(u);
	vf_fresh();
}

/*
 * All bits of the status set, by the owner and by a function that met a ring of nonsense: that
 * is no function that has gone.
 */
static void all_ones(long arg)
{
	uint64_t end = vg_ms() + 2000;
	uint8_t status = 0;
	struct vf_unit *u;
	struct vg_ring *r;

	(void)arg;
	not_for_ever();
	u = vf_new(&(struct vf_opts){});
	r = u->ring[u->nring - 1];
	/* A chain that has no end, or a length of nothing. */
	vg_desc(r, 0, ~0ull, ~0u, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 0);
	vg_publish(r, 0);
	vg_ring_kick_always(r);
	while (vg_ms() < end && !(status & VIRTIO_CONFIG_S_NEEDS_RESET)) {
		kt_sys(ioctl(u->fd, VHOST_VDPA_GET_STATUS, &status));
		usleep(1000);
	}
	kt_note("status %#x", status);
	if (vf_set_status(u->fd, status | 0x30))
		kt_note("bits that there are not: %m");
	if (vf_set_status(u->fd, vf_status(u->fd) | VIRTIO_CONFIG_S_FAILED))
		kt_note("FAILED: %m");
	status = 0;
	kt_sys(ioctl(u->fd, VHOST_VDPA_GET_STATUS, &status));
	kt_note("status %#x", status);
	afterwards(u);
}

static const struct kt_case cases[] = {
	{ "a buffer that is mapped is written", buffers_that_are_mapped, 0 },
	{ "a buffer that never was mapped", buffers, NEVER },
	{ "a buffer that was taken back", buffers, TAKEN_BACK },
	{ "a buffer that is mapped read only", buffers, READ_ONLY },
	{ "a buffer beyond all addresses", buffers, FAR },
	{ "half a buffer", half_a_buffer, 0 },
	{ "rings where nothing is mapped", rings, NOWHERE },
	{ "rings in memory that is read only", rings, RING_READ_ONLY },
	{ "rings at the end of all addresses", rings, END_OF_ALL },
	{ "rings where interrupts are", rings, INTERRUPTS },
	{ "rings at an odd address", rings, ODD },
	{ "buffers are taken back under traffic", taken_under_traffic, 0 },
	{ "all memory is taken back under traffic", taken_under_traffic, 1 },
	{ "rings full of nonsense", broken_rings, 0 },
	{ "a status of all ones", all_ones, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
