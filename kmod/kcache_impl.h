/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of kmemcache know of each other; see kcache.h.
 *
 *	kcache.c	starting, stopping, its clock, its state
 *	kcache_shard.c	its memory
 *	kcache_client.c	its connections
 */
#ifndef VIRGO_KMOD_KCACHE_IMPL_H
#define VIRGO_KMOD_KCACHE_IMPL_H

#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "core/memcached.h"
#include "kcache.h"
#include "listen.h"
#include "shrink.h"

enum {
	/* A shard needs room for each size class. */
	SHARD_BYTES_MIN = 8 << 20,
};

struct kcache {
	struct list_head link; /* in caches.list */
	struct rcu_head rcu;
	struct instance *in; /* which outlives it */
	struct kcache_setup setup;
	struct memcached m;
	struct memcached_shard *shards;
	struct mutex *locks; /* one a shard */
	struct listener listener;
	struct shrink shrink;
	struct delayed_work tick;
	u32 hot_slot, warm_slot; /* of the variables; tick's own */
	u64 origin_s; /* of the clock */

	spinlock_t lock; /* innermost */
	struct list_head replies; /* under lock */
	u32 replies_kept; /* under lock */
	u32 connections; /* under lock */
	u32 users; /* under lock: between kcache_enter() and kcache_leave() */
	bool ending; /* under lock: no more users */
	wait_queue_head_t none; /* of either */
	atomic64_t total, rejected, idle_kicks, bytes_in, bytes_out;
};

/* --- kcache_shard.c --- */

/* As kc->setup says. 0 or -ENOMEM. */
int kcache_make_shards(struct kcache *kc);
void kcache_end_shards(struct kcache *kc);
/* For struct memcached and struct shrink. */
void kcache_lock_shard(void *arg, u32 shard);
void kcache_unlock_shard(void *arg, u32 shard);
unsigned long kcache_shrink_count(struct shrink *s);
unsigned long kcache_shrink_scan(struct shrink *s, unsigned long pages);

/* --- kcache_client.c --- */

/* For struct listener; takes @sock over. */
void kcache_accepted(struct listener *l, struct socket *sock);
/* And waits for those who use it by kcache_enter(). */
void kcache_close_clients(struct kcache *kc);
void kcache_free_replies(struct kcache *kc);
/* Has its connections keep to the terms that it now has. */
void kcache_tell_clients(struct kcache *kc);

#endif
