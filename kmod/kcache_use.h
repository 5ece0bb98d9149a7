/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The caches of this and of other nodes for the kernel: virgo_cache_get() and
 * virgo_cache_set(). Between nodes they are two functions that virgo.ko itself
 * registers, so that they come over the same connections, under the same rules and
 * within the same limits as all others:
 *
 *	"virgo.cache.get"	port (2 bytes), key
 *				gives: flags (4), value
 *	"virgo.cache.set"	port (2), length of key (1), 0 (1), flags (4),
 *				seconds to live (4), key, value
 *				gives nothing
 *
 * Numbers are little-endian; port 0 is the first cache that was started. Both run where
 * they were received: all they wait for is a shard's lock, held for one command.
 */
#ifndef VIRGO_KMOD_KCACHE_USE_H
#define VIRGO_KMOD_KCACHE_USE_H

int kcache_use_init(void);
/* Nobody calls them any more when it returns. */
void kcache_use_exit(void);

#endif
