// SPDX-License-Identifier: GPL-2.0-only
/*
 * side_shunt.c - the device side by the ring files of vhost/
 */
#include <string.h>

#include "ring.h"
#include "bench.h"

static struct ring ring;
static struct ring_req reqs[BENCH_BATCH_MAX];
static struct ring_seg segs[BENCH_BATCH_MAX * BENCH_CHAIN_MAX];
static struct ring_done done[BENCH_BATCH_MAX];
static struct ring_batch batch = {
	.req = reqs,
	.seg = segs,
	.max_req = BENCH_BATCH_MAX,
	.max_seg = BENCH_BATCH_MAX * BENCH_CHAIN_MAX,
};

/* The ring is mapped: these two are never asked. */
int ring_env_read(struct ring *r, enum ring_part part, u32 off, void *to, u32 len)
{
	(void)r, (void)part, (void)off, (void)to, (void)len;
	return -EFAULT;
}

int ring_env_write(struct ring *r, enum ring_part part, u32 off, const void *from, u32 len)
{
	(void)r, (void)part, (void)off, (void)from, (void)len;
	return -EFAULT;
}

int ring_env_wrote(struct ring *r, enum ring_part part, u32 off, u32 len)
{
	(void)r, (void)part, (void)off, (void)len;
	return -EFAULT;
}

/* The driver's addresses are ours, as they are to vringh's kernel side. */
int ring_env_table(struct ring *r, u64 addr, void *to, u32 len)
{
	(void)r;
	memcpy(to, (void *)(uintptr_t)addr, len);
	return 0;
}

static void shunt_start(const struct area *a)
{
	memset(&ring, 0, sizeof(ring));
	ring.map[RING_DESC] = a->desc;
	ring.map[RING_DRIVER] = a->driver;
	ring.map[RING_DEVICE] = a->device;
	ring.num = BENCH_NUM;
	ring.packed = a->packed;
	ring.indirect = true;
	ring.event_idx = true;
	ring.in_order = a->in_order;
	ring.little_endian = true;
	ring_set_base(&ring, a->packed ? 0x80008000 : 0);
	if (ring_start(&ring))
		__builtin_trap();
}

static int shunt_step(unsigned int max)
{
	int n = ring_fetch(&ring, &batch, max), i;

	if (n <= 0)
		return n;
	for (i = 0; i < n; i++) {
		done[i].id = reqs[i].id;
		done[i].slots = reqs[i].slots;
		done[i].len = BENCH_LEN * reqs[i].in;
		done[i].whole = true;
	}
	if (ring_push(&ring, done, n) || ring_need_signal(&ring) < 0)
		return -1;
	return n;
}

const struct device_side shunt_side = { shunt_start, shunt_step };
