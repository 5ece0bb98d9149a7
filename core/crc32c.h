/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), the checksum of frame
 * headers. Table of 8 slices after Kounavis and Berry, "Novel table
 * lookup-based algorithms for high-performance CRC generation" (2008).
 */
#ifndef VIRGO_CORE_CRC32C_H
#define VIRGO_CORE_CRC32C_H

#include "env.h"

/* CRC of @len bytes, continuing from @crc (0 to start). */
u32 crc32c(u32 crc, const void *data, size_t len);

#endif
