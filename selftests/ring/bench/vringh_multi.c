// SPDX-License-Identifier: GPL-2.0-only
/*
 * vringh_multi.c - the kernel's vringh, and the one verb that it lacks
 *
 * vringh.c itself is compiled here, out of the kernel's source package and over
 * the shims of the kernel's own userspace build of it (tools/virtio). It returns
 * many requests at once only to rings in user memory. That verb is made for rings
 * in kernel memory too, since it is vringh at its best that we want to meet.
 */
#include "vringh.c"

#include "vringh_multi.h"

/* What tools/virtio's shims want defined; nothing here comes by them. */
void *__kmalloc_fake, *__kfree_ignore_start, *__kfree_ignore_end;
void *__user_addr_min, *__user_addr_max;

int vringh_complete_multi_kern(struct vringh *vrh, const struct vring_used_elem *used,
			       unsigned int n)
{
	return __vringh_complete(vrh, used, n, putu16_kern, putused_kern);
}
