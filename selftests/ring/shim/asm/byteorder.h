/* SPDX-License-Identifier: GPL-2.0-only */
/* Shim: the kernel's conversions beside the system's header. */
#ifndef SHIM_BYTEORDER_H
#define SHIM_BYTEORDER_H

#include_next <asm/byteorder.h>
#include <endian.h>

#define le16_to_cpu(v) le16toh(v)
#define le32_to_cpu(v) le32toh(v)
#define le64_to_cpu(v) le64toh(v)
#define cpu_to_le16(v) htole16(v)
#define cpu_to_le32(v) htole32(v)
#define cpu_to_le64(v) htole64(v)

#endif
