/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SHA-256 (FIPS 180-4), for naming contents by their hash where no cryptographic
 * library is linked: the command `virgo`, libvirgo and the kernel module. Not for
 * secrets: no effort is made to hide them from who watches the time.
 */
#ifndef VIRGO_CORE_SHA256_H
#define VIRGO_CORE_SHA256_H

#include "env.h"

enum { SHA256_BYTES = 32, SHA256_BLOCK = 64 };

struct sha256 {
	u32 state[8];
	u64 bytes;
	u8 block[SHA256_BLOCK];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_end(struct sha256 *s, u8 out[SHA256_BYTES]);

#endif
