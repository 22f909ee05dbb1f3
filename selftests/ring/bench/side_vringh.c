// SPDX-License-Identifier: GPL-2.0-only
/*
 * side_vringh.c - the device side by the kernel's vringh
 */
#include <uapi/linux/virtio_config.h>

#include "vringh_multi.h"
#include "bench.h"

static struct vringh vringh;
static struct vringh_kiov readable[BENCH_BATCH_MAX], writable[BENCH_BATCH_MAX];
static struct kvec pieces[2][BENCH_BATCH_MAX][BENCH_CHAIN_MAX];
static struct vring_used_elem used[BENCH_BATCH_MAX];

static void vringh_start(const struct area *a)
{
	u64 features = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX |
		       1ull << VIRTIO_RING_F_INDIRECT_DESC;
	unsigned int i;

	if (vringh_init_kern(&vringh, features, BENCH_NUM, true, a->desc, a->driver, a->device))
		abort();
	for (i = 0; i < BENCH_BATCH_MAX; i++) {
		vringh_kiov_init(&readable[i], pieces[0][i], BENCH_CHAIN_MAX);
		vringh_kiov_init(&writable[i], pieces[1][i], BENCH_CHAIN_MAX);
	}
}

static int vringh_step(unsigned int max)
{
	unsigned int n;

	for (n = 0; n < max; n++) {
		u16 head;
		int got =
			vringh_getdesc_kern(&vringh, &readable[n], &writable[n], &head, GFP_KERNEL);

		if (got < 0)
			return got;
		if (!got)
			break;
		/* Both in the byte order of VIRTIO 1 and of this processor. */
		used[n].id = head;
		used[n].len = BENCH_LEN * writable[n].used;
	}
	if (!n)
		return 0;
	/* For one there is a shorter way. */
	if (n == 1 ? vringh_complete_kern(&vringh, used->id, used->len) :
		     vringh_complete_multi_kern(&vringh, used, n))
		return -1;
	if (vringh_need_notify_kern(&vringh) < 0)
		return -1;
	return n;
}

const struct device_side vringh_side = { vringh_start, vringh_step };
