/* SPDX-License-Identifier: GPL-2.0-only */
/* Shim: conversions between a virtqueue's byte order and the processor's. */
#ifndef SHIM_VIRTIO_BYTEORDER_H
#define SHIM_VIRTIO_BYTEORDER_H

#include <endian.h>
#include <linux/virtio_types.h>

#define SHIM_CONVERT(bits)                                                                         \
	static inline uint##bits##_t __virtio##bits##_to_cpu(bool little_endian, __virtio##bits v) \
	{                                                                                          \
		return little_endian ? le##bits##toh(v) : be##bits##toh(v);                        \
	}                                                                                          \
	static inline __virtio##bits __cpu_to_virtio##bits(bool little_endian, uint##bits##_t v)   \
	{                                                                                          \
		return little_endian ? htole##bits(v) : htobe##bits(v);                            \
	}
SHIM_CONVERT(16)
SHIM_CONVERT(32)
SHIM_CONVERT(64)

#endif
