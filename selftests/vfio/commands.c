// SPDX-License-Identifier: GPL-2.0-only
/*
 * commands.c - the ring of a control queue that the module drives: vfio/ctrl_ring.c, compiled
 * here, against a function that is made up, which reads it as VIRTIO 1.2, 2.7 and 2.8 have it,
 * and answers as it should or as the emulator's never does
 */
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vdpa.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define __force
#define cpu_to_le16 htole16
#define cpu_to_le32 htole32
#define cpu_to_le64 htole64
#define le16_to_cpu le16toh
#define le32_to_cpu le32toh
#define U32_MAX	    UINT32_MAX
/* Function and driver take turns here. */
#define READ_ONCE(x)	 (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))
#define dma_wmb()	 __atomic_thread_fence(__ATOMIC_RELEASE)
#define dma_rmb()	 __atomic_thread_fence(__ATOMIC_ACQUIRE)

#include "../../vfio/ctrl_ring.c"

#define IOVA 0xfffffffff000ull

/* What a function knows of the ring, of its own. */
struct function {
	struct svfio_ctrl_ring *ring;
	u16 seen; /* commands */
	u16 next; /* of a packed ring, and its wrap counter */
	bool wrap;
	u16 head; /* of the command that it has */
	u16 id;
};

/* One segment must be this. */
static void segment_is(u64 addr, u32 len, u16 flags, size_t at, u32 want_len, u16 want_flags)
{
	kt_check(addr == IOVA + at && len == want_len && flags == want_flags,
		 "a segment of %u bytes at %#llx, flags %#x; wanted %u at %#llx, %#x", len,
		 (unsigned long long)addr, flags, want_len, (unsigned long long)(IOVA + at),
		 want_flags);
}

static const struct {
	size_t at;
	u16 flags;
} wanted[] = {
	{ offsetof(struct svfio_ctrl_page, hdr), VRING_DESC_F_NEXT },
	{ offsetof(struct svfio_ctrl_page, data), VRING_DESC_F_NEXT },
	{ offsetof(struct svfio_ctrl_page, ack), VRING_DESC_F_WRITE },
};

/* Take the command that is there, one, which begins where the one before ended. */
static void takes(struct function *f, u32 len)
{
	const u32 lens[] = { 2, len, 1 };
	struct svfio_ctrl_page *page = f->ring->page;
	const u16 num = f->ring->num;
	u16 expected = f->seen * SVFIO_CTRL_DESCS % num, i;

	if (!f->ring->is_packed) {
		kt_check(page->avail.idx == (u16)(f->seen + 1), "available index %u after %u",
			 page->avail.idx, f->seen);
		f->head = page->avail.ring[f->seen % num];
		kt_check(f->head == expected, "head %u, not in order: %u", f->head, expected);
		f->id = f->head;
	} else {
		f->head = f->next;
	}
	for (i = 0; i < SVFIO_CTRL_DESCS; i++) {
		const u16 pos = (f->head + i) % num;

		if (!f->ring->is_packed) {
			const struct vring_desc *d = &page->split[pos];

			kt_check(i == SVFIO_CTRL_DESCS - 1 || d->next == (pos + 1) % num,
				 "descriptor %u is followed by %u", pos, d->next);
			segment_is(d->addr, d->len, d->flags, wanted[i].at, lens[i],
				   wanted[i].flags);
		} else {
			const struct vring_packed_desc *d = &page->packed[f->next];
			const u16 mine = f->wrap << VRING_PACKED_DESC_F_AVAIL |
					 !f->wrap << VRING_PACKED_DESC_F_USED;

			segment_is(d->addr, d->len, d->flags, wanted[i].at, lens[i],
				   wanted[i].flags | mine);
			f->id = d->id;
			if (++f->next == num) {
				f->next = 0;
				f->wrap = !f->wrap;
			}
		}
	}
	/* There is no other. */
	if (f->ring->is_packed) {
		const u16 flags = page->packed[f->next].flags;

		kt_check(!(flags & 1 << VRING_PACKED_DESC_F_AVAIL) == f->wrap ||
				 !(flags & 1 << VRING_PACKED_DESC_F_USED) != f->wrap,
			 "another command at %u, flags %#x", f->next, flags);
	}
	f->seen++;
}

static void answers(struct function *f, u32 id, u32 len, u16 flags, u8 ack)
{
	struct svfio_ctrl_page *page = f->ring->page;
	const u16 num = f->ring->num;

	page->ack = ack;
	if (!f->ring->is_packed) {
		page->used.ring[(u16)(f->seen - 1) % num].id = id;
		page->used.ring[(u16)(f->seen - 1) % num].len = len;
		page->used.idx = f->seen;
	} else {
		struct vring_packed_desc *d = &page->packed[f->head];
		/* The wrap counter where the command began. */
		const bool wrap = f->wrap ^ (f->next < f->head);

		d->id = id;
		d->len = len;
		d->flags = flags | wrap << VRING_PACKED_DESC_F_AVAIL |
			   wrap << VRING_PACKED_DESC_F_USED;
	}
}

static void begin(struct function *f, bool packed, u16 num)
{
	struct svfio_ctrl_ring *ring = calloc(1, sizeof(*ring));

	kt_check(ring, "no memory");
	ring->page = calloc(1, VG_PAGE);
	kt_check(ring->page, "no memory");
	ring->iova = IOVA;
	ring->num = num;
	ring->is_packed = packed;
	svfio_ctrl_ring_init(ring, false);
	*f = (struct function){ .ring = ring, .wrap = true };
}

/* Many more than any index counts, in rings whose ends fall anywhere. */
static void one_after_the_other(long packed)
{
	static const u16 sizes[] = { 4, 8, 16 };
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct function f;

		begin(&f, packed, sizes[i]);
		for (n = 0; n < 200000; n++) {
			const u8 data[] = { n, n >> 8, n >> 16, 4, 5, 6 };
			const u32 len = 1 + n % sizeof(data);
			const bool refused = n % 7 == 3;

			svfio_ctrl_ring_add(f.ring, n % 5, n % 3, data, len);
			kt_check(svfio_ctrl_ring_get(f.ring) == SVFIO_CTRL_NONE,
				 "an answer that there is not to command %u", n);
			takes(&f, len);
			kt_check(f.ring->page->hdr.class == n % 5 &&
					 f.ring->page->hdr.cmd == n % 3 &&
					 !memcmp(f.ring->page->data, data, len),
				 "command %u is another", n);
			kt_check(f.ring->page->ack > VIRTIO_NET_ERR, "command %u has an ack", n);
			kt_check(svfio_ctrl_ring_get(f.ring) == SVFIO_CTRL_NONE,
				 "an answer that there is not yet to command %u", n);
			answers(&f, f.id, 1, n % 2 ? VRING_DESC_F_WRITE : 0, refused);
			kt_check(svfio_ctrl_ring_get(f.ring) ==
					 (refused ? SVFIO_CTRL_REFUSED : SVFIO_CTRL_OK),
				 "the answer to command %u", n);
		}
		free(f.ring->page);
		free(f.ring);
	}
}

/* Whatever an answer says that it cannot say, and what it may. */
static void nonsense(long packed)
{
	static const struct {
		u32 id, len;
		u16 flags, skip;
		u8 ack;
		enum svfio_ctrl_answer packed, split;
	} bad[] = {
		{ 6, 1, VRING_DESC_F_WRITE, 0, 0, SVFIO_CTRL_OK, SVFIO_CTRL_OK },
		{ 5, 1, VRING_DESC_F_WRITE, 0, 0, SVFIO_CTRL_NONSENSE, SVFIO_CTRL_NONSENSE },
		{ 0, 1, VRING_DESC_F_WRITE, 0, 0, SVFIO_CTRL_NONSENSE, SVFIO_CTRL_NONSENSE },
		{ 0xffff, 1, 0, 0, 0, SVFIO_CTRL_NONSENSE, SVFIO_CTRL_NONSENSE },
		{ 0x10006, 1, 0, 0, 0, SVFIO_CTRL_OK, SVFIO_CTRL_NONSENSE }, /* has 16 bits there */
		/* Lengths say nothing, neither with an acknowledgment nor without. */
		{ 6, 0, VRING_DESC_F_WRITE, 0, 0, SVFIO_CTRL_OK, SVFIO_CTRL_OK },
		{ 6, 0, VRING_DESC_F_WRITE, 0, 1, SVFIO_CTRL_REFUSED, SVFIO_CTRL_REFUSED },
		{ 6, 9, VRING_DESC_F_WRITE, 0, 0, SVFIO_CTRL_OK, SVFIO_CTRL_OK },
		{ 6, ~0u, VRING_DESC_F_WRITE, 0, 0, SVFIO_CTRL_OK, SVFIO_CTRL_OK },
		{ 6, 77, 0, 0, 0, SVFIO_CTRL_OK, SVFIO_CTRL_OK },
		{ 6, 0, VRING_DESC_F_WRITE, 0, 0xff, SVFIO_CTRL_NONSENSE, SVFIO_CTRL_NONSENSE },
		{ 6, 1, VRING_DESC_F_WRITE, 0, 2, SVFIO_CTRL_NONSENSE, SVFIO_CTRL_NONSENSE },
		{ 6, 1, VRING_DESC_F_WRITE, 0, 0xff, SVFIO_CTRL_NONSENSE, SVFIO_CTRL_NONSENSE },
		{ 6, 1, VRING_DESC_F_WRITE, 1, 0, SVFIO_CTRL_OK, SVFIO_CTRL_NONSENSE },
		{ 6, 1, VRING_DESC_F_WRITE, 0x8000, 0, SVFIO_CTRL_OK, SVFIO_CTRL_NONSENSE },
		{ 6, 1, VRING_DESC_F_WRITE, 0xfffe, 0, SVFIO_CTRL_OK, SVFIO_CTRL_NONSENSE },
	};
	const u8 data[] = { 2, 0 };
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		enum svfio_ctrl_answer got, want = packed ? bad[i].packed : bad[i].split;
		struct function f;

		begin(&f, packed, 16);
		for (n = 0; n < 2; n++) {
			svfio_ctrl_ring_add(f.ring, 4, 0, data, sizeof(data));
			takes(&f, sizeof(data));
			answers(&f, f.id, 1, VRING_DESC_F_WRITE, 0);
			kt_check(svfio_ctrl_ring_get(f.ring) == SVFIO_CTRL_OK, "command %u", n);
		}
		svfio_ctrl_ring_add(f.ring, 4, 0, data, sizeof(data));
		takes(&f, sizeof(data));
		answers(&f, bad[i].id, bad[i].len, bad[i].flags, bad[i].ack);
		/* A split ring's index says that more were used, or fewer. */
		if (!packed)
			f.ring->page->used.idx += bad[i].skip;
		got = svfio_ctrl_ring_get(f.ring);
		kt_check(got == want, "number %u: %d, wanted %d", i, got, want);
		free(f.ring->page);
		free(f.ring);
	}
}

/* Interrupts are not wanted; with EVENT_IDX a split ring's flags are to be 0 (2.7.7.1). */
static void no_interrupts(long packed)
{
	struct function f;

	begin(&f, packed, 16);
	if (packed) {
		kt_check(f.ring->page->driver.flags == VRING_PACKED_EVENT_FLAG_DISABLE, "flags %#x",
			 f.ring->page->driver.flags);
		return;
	}
	kt_check(f.ring->page->avail.flags == VRING_AVAIL_F_NO_INTERRUPT, "flags %#x",
		 f.ring->page->avail.flags);
	memset(f.ring->page, 0, VG_PAGE);
	svfio_ctrl_ring_init(f.ring, true);
	kt_check(!f.ring->page->avail.flags, "flags %#x", f.ring->page->avail.flags);
}

static const struct kt_case cases[] = {
	{ "one command after the other", one_after_the_other, 0, 0, VG_ON_SPLIT },
	{ "one command after the other, packed", one_after_the_other, 1, 0, VG_ON_PACKED },
	{ "answers that make no sense", nonsense, 0, 0, VG_ON_SPLIT },
	{ "answers that make no sense, packed", nonsense, 1, 0, VG_ON_PACKED },
	{ "no interrupts are wanted", no_interrupts, 0, 0, VG_ON_SPLIT },
	{ "no interrupts are wanted, packed", no_interrupts, 1, 0, VG_ON_PACKED },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
