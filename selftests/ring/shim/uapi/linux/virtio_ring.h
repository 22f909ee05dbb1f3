/* SPDX-License-Identifier: GPL-2.0-only */
/* Shim: userspace has the ABI's headers without the prefix. */
#include <linux/virtio_ring.h>
