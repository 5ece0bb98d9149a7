/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One shard of a cache: items of a key and a value in a fixed budget of memory.
 * It has no locks: the caller holds the shard's during every call. It takes its
 * memory in pages from its caller, asks for nothing else after cache_init(), and
 * learns the time by cache_set_time().
 *
 * An item is named by a handle, which stays the same while the item is held
 * (cache_hold(), or not yet linked) and may change at any other time when the
 * shard rebalances. Handle 0 is no item.
 *
 * The budget counts pages of items and of the index and the directories. When
 * it is used up, storing evicts the coldest item of the same size class, or takes
 * a page from a class whose items are colder.
 */
#ifndef VIRGO_CORE_CACHE_H
#define VIRGO_CORE_CACHE_H

#include "env.h"
#include "siphash.h"

enum {
	CACHE_PAGE_BYTES = 64 << 10,
	CACHE_KEY_MAX = 250,
	CACHE_BUDGET_MIN = 1 << 20,
	CACHE_VALUE_LIMIT = 64 << 20, /* no value limit may be set higher */
	CACHE_CLASSES_MAX = 112,
	CACHE_HOLDS_MAX = 60000, /* of one item at a time */
};

struct cache_memory {
	/* CACHE_PAGE_BYTES, aligned to 8, or NULL when there are none now. */
	void *(*page_get)(void *arg);
	void (*page_put)(void *arg, void *page);
	/* Zeroed; only from cache_init() and cache_end(). */
	void *(*table_get)(void *arg, size_t bytes);
	void (*table_put)(void *arg, void *table, size_t bytes);
	void *arg;
};

struct cache_setup {
	struct cache_memory memory;
	u64 budget_bytes; /* at least CACHE_BUDGET_MIN */
	u64 floor_bytes; /* cache_shrink() stops here */
	u64 seed[2]; /* secret: of the hash */
	u8 hot_percent; /* of a class's items: as they were stored */
	u8 warm_percent; /* fetched at least twice */
};

enum cache_list { CACHE_HOT, CACHE_WARM, CACHE_COLD, CACHE_LISTS };

enum cache_command { /* cache_class.commands */
	CACHE_SETS,
	CACHE_DELETES,
	CACHE_INCREASES,
	CACHE_DECREASES,
	CACHE_CAS_HITS,
	CACHE_CAS_MISMATCHES,
	CACHE_TOUCHES,
	CACHE_COMMANDS,
};

enum cache_bits { /* cache_item.bits */
	CACHE_LINKED = 1 << 0, /* in the index and on a list */
	CACHE_LIST_0 = 1 << 1, /* enum cache_list, two bits */
	CACHE_LIST_1 = 1 << 2,
	CACHE_FETCHED = 1 << 3,
	CACHE_ACTIVE = 1 << 4, /* fetched twice since it came onto its list */
	CACHE_FLAGS = 1 << 5, /* has client flags */
	CACHE_PARTS = 1 << 6, /* value goes on in parts */
	CACHE_STALE = 1 << 7, /* the caller's, like the next two */
	CACHE_TOKEN_SENT = 1 << 8,
	CACHE_KEY_BINARY = 1 << 9,
	CACHE_ITEM = 1 << 10, /* set in every item */
};

/* As it lies in memory; then client flags if CACHE_FLAGS, the handle of the first
 * part if CACHE_PARTS, key, value.
 */
struct cache_item {
	u16 bits;
	u8 class;
	u8 key_len;
	u32 chain; /* next in the bucket */
	u32 newer;
	u32 older;
	u32 value_len;
	u32 expires; /* second; 0 never */
	u32 touched; /* second */
	u32 unique_low; /* number of this version, for compare and swap */
	u32 unique_high;
	u16 holds; /* how often it is held */
	u8 data[];
};

/* What happened since cache_init() or cache_stats_reset(). */
struct cache_stats {
	u64 links;
	u64 evictions;
	u64 evicted_unfetched;
	u64 evicted_active;
	u64 expired; /* found expired when asked for */
	u64 flushed; /* found flushed when asked for */
	u64 reclaimed; /* found so when memory was needed */
	u64 crawled; /* slots looked at by the crawler */
	u64 crawler_reclaimed;
	u64 expired_unfetched;
	u64 pages_moved; /* from one class to another */
	u64 relocations; /* items moved out of such a page */
	u64 moves_to_warm;
	u64 moves_to_cold;
	u64 moves_within;
	u64 out_of_memory;
	u64 probes; /* items looked at in the index */
};

struct cache_class {
	u32 slot_bytes;
	u32 slots_per_page;
	u32 pages; /* how many */
	u32 page_first; /* those with room come first */
	u32 page_last;
	u32 slots_used; /* of items and of parts */
	u32 window_evictions; /* since the class last asked for a page */
	u32 items[CACHE_LISTS];
	u32 newest[CACHE_LISTS];
	u32 oldest[CACHE_LISTS];
	u64 bytes; /* of its items: header, key and value */
	/* Counters of stats items and stats slabs. */
	u64 evicted;
	u64 evicted_nonzero;
	u64 evicted_unfetched;
	u64 evicted_active;
	u64 reclaimed;
	u64 expired_unfetched;
	u64 crawler_reclaimed;
	u64 crawler_checked;
	u64 moves_to_cold;
	u64 moves_to_warm;
	u64 moves_within;
	u64 out_of_memory;
	u64 hits[CACHE_LISTS];
	u64 commands[CACHE_COMMANDS]; /* counted by who executes them */
	u32 evicted_age; /* of the last one evicted, seconds */
};

struct cache_page {
	u8 *memory; /* NULL: this entry is free */
	u32 next;
	u32 prev;
	u16 used; /* slots that hold something */
	u16 bump; /* slots from here on were never used */
	u16 free; /* first of the others that are free, + 1 */
	u16 pins; /* held items and parts in it: it must stay */
	u8 class;
	u8 state; /* owned by cache_slab.c */
};

struct cache {
	struct cache_memory memory;
	u64 k0, k1;
	u32 now;
	u32 classes_count;
	u32 pages_max; /* budget */
	u32 pages_floor;
	u32 pages_held; /* items, index and empty */
	u32 entries; /* of pages[], the first is not used */
	struct cache_page *pages;
	u32 entry_free; /* list of entries without memory */
	u32 entry_next; /* entries from here on were never used */
	u32 empty; /* list of pages with memory that belong to no class */
	u32 empty_count;
	u8 hot_percent;
	u8 warm_percent;
	bool fixed; /* pages stay with their class */

	u32 **segments; /* the index: pages of bucket heads */
	u32 segments_max;
	u32 segments_count;
	u32 buckets;
	u32 split_mask; /* of the power of two at or below buckets */

	u64 count; /* linked items */
	u64 bytes; /* of them: header, key and value */
	u64 pending_bytes; /* of items not linked yet */
	u64 unique; /* last number given */
	u32 flush_at; /* items touched up to this second are gone then */
	u64 flush_unique; /* and those with lower numbers */
	u32 crawl_page;
	u32 crawl_slot;
	struct cache_stats stats;
	struct cache_class classes[CACHE_CLASSES_MAX];
};

/* 0; -EINVAL for a budget below CACHE_BUDGET_MIN, percentages above 80 together,
 * or a floor above the budget; -ENOMEM.
 */
int cache_init(struct cache *c, const struct cache_setup *s);
/* Nothing may be held. Harmless for a zeroed struct. */
void cache_end(struct cache *c);

/* Seconds from an origin of the caller's; never back, and at least 2. */
void cache_set_time(struct cache *c, u32 now);

static inline struct cache_item *cache_at(const struct cache *c, u32 handle)
{
	return (struct cache_item *)(c->pages[handle >> 13].memory +
				     ((handle & 8191) << 3));
}

static inline enum cache_list cache_list_of(const struct cache_item *it)
{
	return (enum cache_list)(it->bits >> 1 & 3);
}

static inline u32 cache_client_flags(const struct cache_item *it)
{
	return it->bits & CACHE_FLAGS ? get_u32(it->data) : 0;
}

static inline u8 *cache_key(struct cache_item *it)
{
	return it->data + (it->bits & CACHE_FLAGS ? 4 : 0) +
	       (it->bits & CACHE_PARTS ? 4 : 0);
}

static inline u64 cache_unique(const struct cache_item *it)
{
	return (u64)it->unique_high << 32 | it->unique_low;
}

void cache_set_unique(struct cache_item *it, u64 unique);
u64 cache_next_unique(struct cache *c);

static inline u64 cache_hash(const struct cache *c, const void *key, u32 len)
{
	return sip_hash(c->k0, c->k1, key, len);
}

/* The item of @key, or 0. One that has expired or was flushed is removed. Says
 * nothing about use: see cache_bump().
 */
u32 cache_find(struct cache *c, const void *key, u32 len, u64 hash);

/* An item was fetched: decides how long it stays. Its handle may be used on. */
void cache_bump(struct cache *c, u32 handle);
/* An item was changed in place or was to be added again: it counts as used now. */
void cache_update(struct cache *c, u32 handle);

/* A new item, not linked, held once, its value undefined; 0 when there is no
 * memory or @value_len is above CACHE_VALUE_LIMIT. @flags 0 costs nothing.
 * Every other item that is not held may be evicted or change its handle.
 */
u32 cache_alloc(struct cache *c, const void *key, u32 key_len, u32 flags,
		u32 expires, u32 value_len);

/* Makes a new item findable, in place of any other of the same key (@old, which
 * cache_find() gave in this critical section, or 0), and gives it a new number.
 */
void cache_link(struct cache *c, u32 handle, u64 hash, u32 old);
/* Removes a linked item; its memory goes when nobody holds it. */
void cache_unlink(struct cache *c, u32 handle, u64 hash);

/* A held item keeps its place and its bytes, linked or not. False when it is
 * held CACHE_HOLDS_MAX times already.
 */
bool cache_hold(struct cache *c, u32 handle);
void cache_release(struct cache *c, u32 handle);
static inline bool cache_held(const struct cache_item *it)
{
	return it->holds != 0;
}

/* All of the value of an item without CACHE_PARTS. */
static inline u8 *cache_whole_value(struct cache_item *it)
{
	return it->data + (it->bits & CACHE_FLAGS ? 4 : 0) + it->key_len;
}

/* The bytes of the value from @at on that lie together: their address, and how
 * many in @len (0 at the end).
 */
u8 *cache_value(const struct cache *c, u32 handle, u32 at, u32 *len);
/* Copies into or out of the value; the range must lie within it. */
void cache_write(struct cache *c, u32 handle, u32 at, const void *data,
		 u32 len);
void cache_read(const struct cache *c, u32 handle, u32 at, void *out, u32 len);

/* What was stored before goes: at second @at, which may lie ahead. */
void cache_flush(struct cache *c, u32 at);

/* Looks at @slots slots for what has expired; gives how many it removed. To be
 * called now and then: nothing else finds what nobody asks for.
 */
u32 cache_crawl(struct cache *c, u32 slots);

/* Gives @pages pages back to the caller, the coldest items' first, but does not
 * go below the floor. How many it gave.
 */
u32 cache_shrink(struct cache *c, u32 pages);
/* Pages that cache_shrink() could give. */
u32 cache_shrinkable(const struct cache *c);

/* -EINVAL as for cache_init(). */
int cache_set_ratio(struct cache *c, u8 hot_percent, u8 warm_percent);
bool cache_ratio_is_good(u32 hot_percent, u32 warm_percent);
void cache_stats_reset(struct cache *c);

#endif
