/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SipHash-1-3 (Aumasson, Bernstein): a keyed hash for tables whose keys come
 * from strangers. Without the key nobody can choose inputs that collide.
 */
#ifndef VIRGO_CORE_SIPHASH_H
#define VIRGO_CORE_SIPHASH_H

#include "env.h"

u64 sip_hash(u64 k0, u64 k1, const void *data, size_t len);

#endif
