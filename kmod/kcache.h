/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kmemcache: a cache in the kernel that memcached's clients use, on a port of the
 * loopback of its namespace. The engine and the protocol are core/memcached.h;
 * here are its memory, its clock, its port and its connections.
 *
 * A cache has a power of two of shards, each with a mutex that is held for one
 * command. Commands come from connections' io only, so they may sleep for memory.
 *
 * Memory is bounded by the budget given at the start; below it the kernel may take
 * pages back while they are above the floor (shrinker), if it gets a shard's lock
 * without waiting.
 *
 * Locks: caches.lock (start and stop) over a shard's; both over conn.h's. Who uses a
 * cache finds it without caches.lock (kcache_enter()) and is counted: its end waits for
 * him, so a connection's io may, too, since no cache waits for other connections.
 */
#ifndef VIRGO_KMOD_KCACHE_H
#define VIRGO_KMOD_KCACHE_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct instance;
struct kcache;
struct memcached;

struct caches {
	struct mutex lock;
	struct list_head list; /* changed under lock, read under RCU */
	u32 count; /* under lock */
	bool ended; /* under lock */
};

enum { KCACHE_HOT_PERCENT = 20, KCACHE_WARM_PERCENT = 40 }; /* memcached's */

/* What may change while it is served. */
struct kcache_terms {
	u32 idle_s; /* a connection may be quiet; 0: for ever */
	u32 stall_s; /* the same for one that is in the middle of a command or
		      * does not read its answers
		      */
	u32 clients; /* connections; 0: as many as the instance may have */
	u32 hot_percent; /* as cache_set_ratio(); variables go before */
	u32 warm_percent;
};

struct kcache_setup {
	u16 port; /* not 0 */
	u64 budget_bytes; /* 0: the default; clamped */
	u32 value_max; /* 0: the default; clamped */
	struct kcache_terms terms; /* changed under caches.lock; READ_ONCE */
};

struct kcache_state {
	struct kcache_setup setup; /* as clamped */
	u64 held_bytes;
	u64 items;
	u32 connections;
};

void caches_init(struct caches *cs);
/* Stops all, and no more are started. May sleep. */
void caches_end(struct instance *in);

/* -EINVAL, -EADDRINUSE, -EUSERS too many, -ENOMEM, -ENODEV. May sleep. */
int kcache_start(struct instance *in, const struct kcache_setup *setup);
/* For the connections that there are, too. 0, -EINVAL, -ENOENT. May sleep. */
int kcache_set(struct instance *in, u16 port, const struct kcache_terms *terms);
/* Ends its connections and forgets its items. 0 or -ENOENT. May sleep. */
int kcache_stop(struct instance *in, u16 port);
/* The cache of @port (0: the first that was started), which stays until it is left;
 * NULL. Does not wait.
 */
struct kcache *kcache_enter(struct instance *in, u16 port);
void kcache_leave(struct kcache *kc);
struct memcached *kcache_memcached(struct kcache *kc);
/* The state of the @n-th; -ENOENT. May sleep. */
int kcache_state(struct instance *in, u32 n, struct kcache_state *out);

#endif
