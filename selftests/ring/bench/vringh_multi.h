/* SPDX-License-Identifier: GPL-2.0-only */
/* The verb of vringh_multi.c: as vringh_complete_multi_user(). */
#ifndef RINGBENCH_VRINGH_MULTI_H
#define RINGBENCH_VRINGH_MULTI_H

#include <linux/kernel.h>
#include <linux/vringh.h>

int vringh_complete_multi_kern(struct vringh *vrh, const struct vring_used_elem *used,
			       unsigned int n);

#endif
