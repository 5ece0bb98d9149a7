/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the cache know of each other; nobody else includes it. */
#ifndef VIRGO_CORE_CACHE_IMPL_H
#define VIRGO_CORE_CACHE_IMPL_H

#include "cache.h"
#include "scan.h"

enum {
	/* A longer item has its first slot of this size and goes on in parts. */
	CACHE_SLOT_MAX = CACHE_PAGE_BYTES / 4,
	CACHE_SLOT_MIN = 40,
	CACHE_SEGMENT_HEADS = CACHE_PAGE_BYTES / 4,
	CACHE_HEADER = offsetof(struct cache_item, data),
	CACHE_PART_HEADER = 16,
	CACHE_PART_ROOM = CACHE_SLOT_MAX - CACHE_PART_HEADER,
	/* Items of a list that are looked at before giving up. */
	CACHE_TRIES = 50,
};

enum cache_slot { /* first field of a slot says what is in it */
	CACHE_SLOT_FREE = 0,
	CACHE_SLOT_PART = 1 << 15,
};

/* More of the value of the item @owner. */
struct cache_part {
	u16 bits; /* CACHE_SLOT_PART */
	u8 class;
	u8 unused;
	u32 next; /* part, 0 after the last */
	u32 owner;
	u32 len;
	u8 data[];
};

struct cache_vacant {
	u16 bits; /* CACHE_SLOT_FREE */
	u16 next; /* slot of the page + 1 */
};

static inline void *slot_at(const struct cache *c, u32 handle)
{
	return cache_at(c, handle);
}

static inline u32 handle_of(u32 page, u32 offset)
{
	return page << 13 | offset >> 3;
}

static inline u32 page_of(u32 handle)
{
	return handle >> 13;
}

/* Handle of the first part; the item has CACHE_PARTS. */
static inline u8 *first_part(struct cache_item *it)
{
	return it->data + (it->bits & CACHE_FLAGS ? 4 : 0);
}

static inline bool slot_is_item(u16 bits)
{
	return bits & CACHE_ITEM;
}

/* Bytes of the item's header, key and value, and what it takes in front. */
static inline u32 item_front(const struct cache_item *it)
{
	return CACHE_HEADER + (it->bits & CACHE_FLAGS ? 4 : 0) +
	       (it->bits & CACHE_PARTS ? 4 : 0) + it->key_len;
}

static inline u32 index_bucket(const struct cache *c, u64 hash)
{
	u32 b = (u32)hash & (c->split_mask << 1 | 1);

	return b < c->buckets ? b : b & c->split_mask;
}

static inline u32 *index_head(const struct cache *c, u32 bucket)
{
	return &c->segments[bucket / CACHE_SEGMENT_HEADS]
			   [bucket % CACHE_SEGMENT_HEADS];
}

static inline u32 index_find(struct cache *c, const void *key, u32 len, u64 hash)
{
	u32 handle = *index_head(c, index_bucket(c, hash));

	while (handle) {
		struct cache_item *it = cache_at(c, handle);

		c->stats.probes++;
		if (it->key_len == len && bytes_equal(cache_key(it), key, len))
			return handle;
		handle = it->chain;
	}
	return 0;
}

/* As memcached 1.6: a flush takes what was last used up to its second, and what
 * got its number before it.
 */
static inline bool item_is_flushed(const struct cache *c,
				   const struct cache_item *it)
{
	if (!c->flush_at || c->flush_at > c->now)
		return false;
	return it->touched <= c->flush_at ||
	       (c->flush_unique && cache_unique(it) < c->flush_unique);
}

/* It has expired or was flushed. */
static inline bool item_is_gone(const struct cache *c, const struct cache_item *it)
{
	return (it->expires && it->expires <= c->now) || item_is_flushed(c, it);
}

/* cache_index.c */
int index_init(struct cache *c);
void index_end(struct cache *c);
void index_add(struct cache *c, u32 handle, u64 hash);
/* Both: @handle is in the index. */
void index_remove(struct cache *c, u32 handle, u64 hash);
void index_moved(struct cache *c, u32 from, u32 to, u64 hash);
u64 item_hash(const struct cache *c, struct cache_item *it);

/* cache_slab.c */
int slab_init(struct cache *c);
void slab_end(struct cache *c);
/* A page of memory within the budget, or NULL. */
u8 *page_take(struct cache *c);
/* Smallest class whose slots have @bytes. */
u32 class_for(const struct cache *c, u32 bytes);
/* A slot of class @k, evicting if need be; 0 when there is none to be had. */
u32 slot_take(struct cache *c, u32 k);
/* The same without evicting. */
u32 slot_vacant(struct cache *c, u32 k);
void slot_give(struct cache *c, u32 handle, u32 k);
/* Empties a page of class @k, keeping its warmest items at the cost of the
 * coldest elsewhere, into the list of empty pages. False when all are held.
 */
bool page_reclaim(struct cache *c, u32 k);

/* cache_lru.c */
void lru_add(struct cache *c, u32 handle, enum cache_list list);
void lru_remove(struct cache *c, u32 handle);
void lru_moved(struct cache *c, u32 from, u32 to);
void lru_balance(struct cache *c, u32 k);
/* Removes the coldest item of class @k that can be; false when there is none. */
bool lru_evict(struct cache *c, u32 k);
/* Seconds since class @k's coldest item was used; false when it has none. */
bool lru_age(const struct cache *c, u32 k, u32 *age);
/* The class to take a page from for @k (CACHE_CLASSES_MAX: for nobody);
 * CACHE_CLASSES_MAX when none.
 */
u32 lru_donor(const struct cache *c, u32 k, bool must);

/* cache.c */
/* Frees the slots of an item that is neither linked nor held. */
void item_free(struct cache *c, u32 handle);
void item_drop(struct cache *c, u32 handle);

#endif
