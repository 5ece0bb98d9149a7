// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The index of a cache: linear hashing (Litwin, 1980) over a seeded hash. The
 * table grows by one bucket at a time, as items come: bucket B of the lower half
 * is split between itself and the new bucket B + half. So no request ever pays
 * for more than one split, and no second table is needed. Heads lie in pages
 * taken from the same budget as the items; without a page the chains just grow.
 *
 * A head and a link are 4-byte handles. Hashes are not stored: comparing lengths
 * and keys costs less than 4 bytes in each of 10^7 items.
 */
#include "cache_impl.h"

u64 item_hash(const struct cache *c, struct cache_item *it)
{
	return cache_hash(c, cache_key(it), it->key_len);
}

int index_init(struct cache *c)
{
	c->segments[0] = (u32 *)page_take(c);
	if (!c->segments[0])
		return -ENOMEM;
	memset(c->segments[0], 0, CACHE_PAGE_BYTES);
	c->segments_count = 1;
	c->buckets = CACHE_SEGMENT_HEADS;
	c->split_mask = CACHE_SEGMENT_HEADS - 1;
	return 0;
}

void index_end(struct cache *c)
{
	u32 i;

	for (i = 0; i < c->segments_count; i++)
		c->memory.page_put(c->memory.arg, c->segments[i]);
	c->segments_count = 0;
}

/* Bucket @buckets comes to be. */
static void split(struct cache *c)
{
	u32 half = c->split_mask + 1;
	u32 made = c->buckets;
	u32 segment = made / CACHE_SEGMENT_HEADS;
	u32 *from, *to, handle;

	if (segment == c->segments_count) {
		if (segment == c->segments_max)
			return;
		c->segments[segment] = (u32 *)page_take(c);
		if (!c->segments[segment])
			return;
		memset(c->segments[segment], 0, CACHE_PAGE_BYTES);
		c->segments_count++;
	}
	from = index_head(c, made - half);
	to = index_head(c, made);
	*to = 0;
	c->buckets++;
	if (c->buckets == 2 * half)
		c->split_mask = c->split_mask << 1 | 1;
	handle = *from;
	while (handle) {
		struct cache_item *it = cache_at(c, handle);
		u32 next = it->chain;

		if (item_hash(c, it) & half) {
			*from = next;
			it->chain = *to;
			*to = handle;
		} else {
			from = &it->chain;
		}
		handle = next;
	}
}

void index_add(struct cache *c, u32 handle, u64 hash)
{
	struct cache_item *it = cache_at(c, handle);
	u32 *head;

	if (c->count >= c->buckets)
		split(c);
	head = index_head(c, index_bucket(c, hash));
	it->chain = *head;
	*head = handle;
}

static u32 *link_to(struct cache *c, u32 handle, u64 hash)
{
	u32 *link = index_head(c, index_bucket(c, hash));

	while (*link != handle)
		link = &cache_at(c, *link)->chain;
	return link;
}

void index_remove(struct cache *c, u32 handle, u64 hash)
{
	*link_to(c, handle, hash) = cache_at(c, handle)->chain;
}

void index_moved(struct cache *c, u32 from, u32 to, u64 hash)
{
	*link_to(c, from, hash) = to;
}
