// SPDX-License-Identifier: GPL-2.0-only
/*
 * mem.c - guest memory: a memfd in regions, see vguest.h
 *
 * Region 0 holds the rings and is mapped in one piece. The others hold
 * buffers. Every mapping has an unmapped page on either side, so that a device
 * that runs over the end of a region faults instead of hitting the next one.
 * What a guest address is, is also where it lies in the memfd: a VMM can have the
 * file for its guest's memory as it is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vguest.h"

#define RING_BYTES (8u << 20)
#define GPA_BASE   0x100000ull
#define GPA_GAP	   0x10000ull
#define FILE_UNIT  0x100000ull /* VMMs want memory of whole MiB */

static uint64_t round_up(uint64_t x, uint64_t to)
{
	return (x + to - 1) / to * to;
}

/* Map one region out of the memfd between two pages without access. */
static uint8_t *map_region(int fd, uint64_t off, uint64_t size)
{
	uint8_t *p = mmap(NULL, size + 2 * VG_PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	kt_check(p != MAP_FAILED, "mmap of a region: %m");
	p = mmap(p + VG_PAGE, size, PROT_READ | PROT_WRITE,
		 (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED) | MAP_FIXED, fd, off);
	kt_check(p != MAP_FAILED, "mmap of a region: %m");
	return p;
}

struct vg_mem *vg_mem_new(unsigned int n, uint64_t data, enum vg_layout layout)
{
	struct vg_mem *m = calloc(1, sizeof(*m));
	uint64_t each, gpa = GPA_BASE;
	unsigned int i;

	kt_check(m && n, "vg_mem_new: bad arguments or no memory");
	m->r = calloc(n, sizeof(*m->r));
	kt_check(m->r, "no memory");
	m->n = n;
	m->layout = layout;
	m->next = n > 1;
	m->fd = layout == VG_PRIVATE ? -1 : kt_sys(memfd_create("vguest", MFD_CLOEXEC));
	each = round_up(n > 1 ? data / (n - 1) + 1 : data, VG_PAGE);
	for (i = 0; i < n; i++) {
		struct vg_region *r = &m->r[i];

		r->size = i ? each : RING_BYTES + (n > 1 ? 0 : each);
		r->gpa = gpa;
		gpa += r->size;
		if (layout != VG_ADJACENT || !i)
			gpa += GPA_GAP;
		r->va = map_region(m->fd, r->gpa, r->size);
	}
	if (m->fd >= 0)
		kt_sys(ftruncate(m->fd, round_up(vg_mem_end(m), FILE_UNIT)));
	return m;
}

void vg_mem_free(struct vg_mem *m)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		munmap(m->r[i].va - VG_PAGE, m->r[i].size + 2 * VG_PAGE);
	close(m->fd);
	free(m->r);
	free(m);
}

uint64_t vg_mem_end(const struct vg_mem *m)
{
	return m->r[m->n - 1].gpa + m->r[m->n - 1].size;
}

static uint64_t alloc_in(struct vg_region *r, uint64_t size, uint64_t align)
{
	uint64_t at = round_up(r->gpa + r->used, align) - r->gpa;

	if (at + size > r->size)
		return 0;
	r->used = at + size;
	return r->gpa + at;
}

uint64_t vg_alloc_ring(struct vg_mem *m, uint64_t size, uint64_t align)
{
	uint64_t gpa = alloc_in(&m->r[0], size, align);

	kt_check(gpa, "no ring memory left for %llu bytes", (unsigned long long)size);
	return gpa;
}

/* Adjacent regions are one run of guest addresses: go on where the last ended. */
static uint64_t alloc_across(struct vg_mem *m, uint64_t size, uint64_t align)
{
	struct vg_region *first = &m->r[1];
	uint64_t at = round_up(first->gpa + first->used, align);

	kt_check(at + size <= vg_mem_end(m), "guest memory is used up");
	first->used = at + size - first->gpa;
	return at;
}

uint64_t vg_alloc(struct vg_mem *m, uint64_t size, uint64_t align)
{
	unsigned int i;

	if (m->n == 1)
		return vg_alloc_ring(m, size, align);
	if (m->layout == VG_ADJACENT)
		return alloc_across(m, size, align);
	for (i = 1; i < m->n; i++) {
		uint64_t gpa = alloc_in(&m->r[m->next], size, align);

		m->next = m->next + 1 < m->n ? m->next + 1 : 1;
		if (gpa)
			return gpa;
	}
	kt_fail("guest memory is used up: no room for %llu bytes", (unsigned long long)size);
}

static const struct vg_region *find(const struct vg_mem *m, uint64_t gpa)
{
	unsigned int lo = 0, hi = m->n;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;
		const struct vg_region *r = &m->r[mid];

		if (gpa < r->gpa)
			hi = mid;
		else if (gpa >= r->gpa + r->size)
			lo = mid + 1;
		else
			return r;
	}
	kt_fail("guest address %#llx is not in memory", (unsigned long long)gpa);
}

void *vg_va(const struct vg_mem *m, uint64_t gpa, uint64_t len)
{
	const struct vg_region *r = find(m, gpa);

	kt_check(gpa + len <= r->gpa + r->size, "guest range %#llx+%llu leaves its region",
		 (unsigned long long)gpa, (unsigned long long)len);
	return r->va + (gpa - r->gpa);
}

/* The piece of [gpa, gpa+len) that lies in gpa's region. */
static uint8_t *piece(const struct vg_mem *m, uint64_t gpa, uint64_t len, uint64_t *n)
{
	const struct vg_region *r = find(m, gpa);
	uint64_t left = r->gpa + r->size - gpa;

	*n = len < left ? len : left;
	return r->va + (gpa - r->gpa);
}

void vg_put(const struct vg_mem *m, uint64_t gpa, const void *buf, uint64_t len)
{
	const uint8_t *b = buf;
	uint64_t n;

	for (; len; gpa += n, b += n, len -= n) {
		uint8_t *p = piece(m, gpa, len, &n);

		memcpy(p, b, n);
	}
}

void vg_get(const struct vg_mem *m, uint64_t gpa, void *buf, uint64_t len)
{
	uint8_t *b = buf;
	uint64_t n;

	for (; len; gpa += n, b += n, len -= n) {
		const uint8_t *p = piece(m, gpa, len, &n);

		memcpy(b, p, n);
	}
}

void vg_fill(const struct vg_mem *m, uint64_t gpa, int byte, uint64_t len)
{
	uint64_t n;

	for (; len; gpa += n, len -= n) {
		uint8_t *p = piece(m, gpa, len, &n);

		memset(p, byte, n);
	}
}

bool vg_filled(const struct vg_mem *m, uint64_t gpa, int byte, uint64_t len)
{
	uint64_t n;

	for (; len; gpa += n, len -= n) {
		const uint8_t *p = piece(m, gpa, len, &n);

		if (p[0] != byte || memcmp(p, p + 1, n - 1))
			return false;
	}
	return true;
}

struct vg_pages *vg_pages_new(const struct vg_mem *m)
{
	struct vg_pages *p = calloc(1, sizeof(*p));
	size_t bytes;

	kt_check(p, "no memory");
	p->n = vg_mem_end(m) / VG_PAGE;
	bytes = round_up(p->n / 8 + 8, VG_PAGE);
	/* A guard behind it, like behind a region: the log is written by the device. */
	p->bits = mmap(NULL, bytes + VG_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	kt_check(p->bits != MAP_FAILED, "mmap: %m");
	kt_sys(mprotect(p->bits, bytes, PROT_READ | PROT_WRITE));
	return p;
}

void vg_pages_clear(struct vg_pages *p)
{
	uint64_t i;

	for (i = 0; i < p->n / 8 + 1; i++)
		__atomic_store_n(&p->bits[i], 0, __ATOMIC_SEQ_CST);
}

void vg_pages_add(struct vg_pages *p, uint64_t gpa, uint64_t len)
{
	uint64_t i;

	for (i = gpa / VG_PAGE; len && i <= (gpa + len - 1) / VG_PAGE; i++)
		p->bits[i / 8] |= 1 << i % 8;
}

bool vg_pages_has(const struct vg_pages *p, uint64_t page)
{
	return __atomic_load_n(&p->bits[page / 8], __ATOMIC_SEQ_CST) >> page % 8 & 1;
}

int64_t vg_pages_extra(const struct vg_pages *a, const struct vg_pages *b)
{
	uint64_t i;

	for (i = 0; i < a->n; i++)
		if (vg_pages_has(a, i) && !vg_pages_has(b, i))
			return i;
	return -1;
}
