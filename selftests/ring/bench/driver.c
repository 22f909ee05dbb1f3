// SPDX-License-Identifier: GPL-2.0-only
/*
 * driver.c - the driver's side of both layouts, for ringbench
 *
 * As lean as may be, since in the timing with two threads it is the other half.
 * All requests are alike and come back in the order in which they were offered,
 * which is checked.
 */
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_ring.h>

#include "bench.h"

#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1u << VRING_PACKED_DESC_F_USED)

static struct area *area;
static unsigned int slots;	       /* descriptors that a request takes */
static unsigned int offered, reaped;   /* requests, both run freely */
static unsigned int place, used_place; /* packed: the next descriptor, */
static bool wrap, used_wrap;	       /* and the wrap counters there */
static char data[BENCH_LEN];
static char tables[BENCH_NUM][BENCH_CHAIN_MAX * sizeof(struct vring_desc)]
	__attribute__((aligned(64)));

static void *fresh(size_t size)
{
	void *p = aligned_alloc(4096, (size + 4095) & ~4095ul);

	memset(p, 0, size);
	return p;
}

/* Tell us of the next one that comes back. */
static void want_packed(void)
{
	struct vring_packed_desc_event *event = area->driver;

	event->off_wrap = used_place | used_wrap << VRING_PACKED_EVENT_F_WRAP_CTR;
	event->flags = VRING_PACKED_EVENT_FLAG_DESC;
}

void driver_start(struct area *a)
{
	free(a->desc);
	free(a->driver);
	free(a->device);
	a->desc = fresh(BENCH_NUM * sizeof(struct vring_desc));
	a->driver = fresh(6 + 2 * BENCH_NUM);
	a->device = fresh(6 + 8 * BENCH_NUM);
	area = a;
	slots = a->indirect ? 1 : a->chain;
	offered = reaped = place = used_place = 0;
	wrap = used_wrap = true;
	if (a->packed)
		want_packed();
}

/* Whether piece @i of a request is one that the device writes. */
static unsigned int direction(unsigned int i)
{
	return i || area->chain == 1 ? VRING_DESC_F_WRITE : 0;
}

static void fill_split(struct vring_desc *table, unsigned int first, unsigned int mask)
{
	unsigned int i;

	for (i = 0; i < area->chain; i++) {
		struct vring_desc *d = &table[(first + i) & mask];

		d->addr = (uintptr_t)data;
		d->len = BENCH_LEN;
		d->next = (first + i + 1) & mask;
		d->flags = direction(i) | (i + 1 < area->chain ? VRING_DESC_F_NEXT : 0);
	}
}

/* The first descriptor of a request of a split ring. */
static unsigned int head_of(unsigned int request)
{
	return request * slots % BENCH_NUM;
}

static void offer_split(unsigned int n)
{
	struct vring_avail *avail = area->driver;
	struct vring_desc *desc = area->desc;
	unsigned int i;

	for (i = 0; i < n; i++, offered++) {
		unsigned int head = head_of(offered);

		if (area->indirect) {
			fill_split((void *)tables[head], 0, ~0u);
			desc[head].addr = (uintptr_t)tables[head];
			desc[head].len = area->chain * sizeof(*desc);
			desc[head].flags = VRING_DESC_F_INDIRECT;
		} else {
			fill_split(desc, head, BENCH_NUM - 1);
		}
		avail->ring[offered % BENCH_NUM] = head;
	}
	__atomic_store_n(&avail->idx, (uint16_t)offered, __ATOMIC_RELEASE);
}

static unsigned int reap_split(void)
{
	struct vring_used *used = area->device;
	uint16_t idx = __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
	unsigned int n = (uint16_t)(idx - (uint16_t)reaped), last = reaped + n;

	if (!n)
		return 0;
	while (reaped != last) {
		unsigned int id = used->ring[reaped % BENCH_NUM].id;

		/* With IN_ORDER an entry may stand for those up to its own. */
		if (area->in_order)
			while (reaped != last && id != head_of(reaped))
				reaped++;
		if (reaped == last || id != head_of(reaped))
			abort();
		reaped++;
	}
	/* used_event: tell us of the next one that comes back. */
	((struct vring_avail *)area->driver)->ring[BENCH_NUM] = reaped;
	return n;
}

static void offer_packed(unsigned int n)
{
	struct vring_packed_desc *desc = area->desc, *first = &desc[place];
	unsigned int i, k, first_flags = 0;

	for (i = 0; i < n; i++, offered++) {
		if (area->indirect) {
			struct vring_packed_desc *t = (void *)tables[offered % BENCH_NUM];

			for (k = 0; k < area->chain; k++) {
				t[k].addr = (uintptr_t)data;
				t[k].len = BENCH_LEN;
				t[k].flags = direction(k);
			}
		}
		for (k = 0; k < slots; k++) {
			struct vring_packed_desc *d = &desc[place];
			unsigned int flags = wrap ? AVAIL : USED;

			d->id = offered % BENCH_NUM;
			if (area->indirect) {
				d->addr = (uintptr_t)tables[offered % BENCH_NUM];
				d->len = area->chain * sizeof(*d);
				flags |= VRING_DESC_F_INDIRECT;
			} else {
				d->addr = (uintptr_t)data;
				d->len = BENCH_LEN;
				flags |= direction(k) | (k + 1 < slots ? VRING_DESC_F_NEXT : 0);
			}
			/* The first of the batch becomes visible last. */
			if (d == first)
				first_flags = flags;
			else
				d->flags = flags;
			if (++place == BENCH_NUM) {
				place = 0;
				wrap = !wrap;
			}
		}
	}
	__atomic_store_n(&first->flags, (uint16_t)first_flags, __ATOMIC_RELEASE);
}

static unsigned int reap_packed(void)
{
	struct vring_packed_desc *desc = area->desc;
	const unsigned int both = AVAIL | USED;
	unsigned int n = 0;

	for (;;) {
		struct vring_packed_desc *d = &desc[used_place];
		unsigned int flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE), got = 1;

		if (reaped == offered || (flags & both) != (used_wrap ? both : 0))
			break;
		if (area->in_order)
			got += (d->id - reaped) % BENCH_NUM;
		else if (d->id != reaped % BENCH_NUM)
			abort();
		reaped += got;
		n += got;
		used_place += got * slots;
		if (used_place >= BENCH_NUM) {
			used_place -= BENCH_NUM;
			used_wrap = !used_wrap;
		}
	}
	if (n)
		want_packed();
	return n;
}

void driver_offer(unsigned int n)
{
	if (area->packed)
		offer_packed(n);
	else
		offer_split(n);
}

unsigned int driver_reap(void)
{
	return area->packed ? reap_packed() : reap_split();
}
