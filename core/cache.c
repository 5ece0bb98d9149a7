// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A cache's items: made, linked, found, held, removed. The index, the slots and
 * the lists are in cache_index.c, cache_slab.c and cache_lru.c.
 *
 * An item is in one of three states: made (held by its maker, not linked),
 * linked (perhaps held), and unlinked but still held. When it is neither linked
 * nor held its slots are free. A hold pins every page in which the item has a
 * slot, since a page that is taken away moves what is in it.
 */
#include "cache_impl.h"

bool cache_ratio_is_good(u32 hot_percent, u32 warm_percent)
{
	return hot_percent + warm_percent <= 80;
}

int cache_init(struct cache *c, const struct cache_setup *s)
{
	u64 pages;
	int ret;

	memset(c, 0, sizeof(*c));
	/* A directory entry for every page, a segment for every eighth. */
	pages = div_u64(s->budget_bytes, CACHE_PAGE_BYTES +
					 sizeof(struct cache_page) +
					 sizeof(u32 *));
	if (s->budget_bytes < CACHE_BUDGET_MIN || pages >= 1 << 19 ||
	    s->floor_bytes > s->budget_bytes ||
	    !cache_ratio_is_good(s->hot_percent, s->warm_percent))
		return -EINVAL;
	c->memory = s->memory;
	c->k0 = s->seed[0];
	c->k1 = s->seed[1];
	c->now = 2;
	c->pages_max = (u32)pages;
	c->pages_floor = (u32)(s->floor_bytes / CACHE_PAGE_BYTES);
	c->hot_percent = s->hot_percent;
	c->warm_percent = s->warm_percent;
	ret = slab_init(c);
	if (!ret)
		ret = index_init(c);
	if (ret)
		cache_end(c);
	return ret;
}

void cache_end(struct cache *c)
{
	if (c->pages && c->segments)
		index_end(c);
	slab_end(c);
}

void cache_set_time(struct cache *c, u32 now)
{
	c->now = now;
}

int cache_set_ratio(struct cache *c, u8 hot_percent, u8 warm_percent)
{
	if (!cache_ratio_is_good(hot_percent, warm_percent))
		return -EINVAL;
	c->hot_percent = hot_percent;
	c->warm_percent = warm_percent;
	return 0;
}

void cache_set_unique(struct cache_item *it, u64 unique)
{
	it->unique_low = (u32)unique;
	it->unique_high = (u32)(unique >> 32);
}

u64 cache_next_unique(struct cache *c)
{
	return ++c->unique;
}

void cache_flush(struct cache *c, u32 at)
{
	c->flush_at = at - 1;
	if (c->flush_at <= c->now)
		c->flush_unique = cache_next_unique(c);
}

/* Pins (@by 1) or unpins (-1) the pages of an item. */
static void pin(struct cache *c, u32 handle, int by)
{
	struct cache_item *it = cache_at(c, handle);
	u32 at = it->bits & CACHE_PARTS ? get_u32(first_part(it)) : 0;

	c->pages[page_of(handle)].pins += (u16)by;
	while (at) {
		c->pages[page_of(at)].pins += (u16)by;
		at = ((struct cache_part *)slot_at(c, at))->next;
	}
}

void item_free(struct cache *c, u32 handle)
{
	struct cache_item *it = cache_at(c, handle);
	u32 at = it->bits & CACHE_PARTS ? get_u32(first_part(it)) : 0;

	while (at) {
		struct cache_part *p = slot_at(c, at);
		u32 next = p->next;

		slot_give(c, at, p->class);
		at = next;
	}
	slot_give(c, handle, it->class);
}

static u32 item_bytes(const struct cache_item *it)
{
	return item_front(it) + it->value_len;
}

static void unlink(struct cache *c, u32 handle, u64 hash)
{
	struct cache_item *it = cache_at(c, handle);

	index_remove(c, handle, hash);
	lru_remove(c, handle);
	it->bits &= (u16)~CACHE_LINKED;
	c->count--;
	c->bytes -= item_bytes(it);
	c->classes[it->class].bytes -= item_bytes(it);
	if (cache_held(it))
		c->pending_bytes += item_bytes(it);
	else
		item_free(c, handle);
}

void cache_unlink(struct cache *c, u32 handle, u64 hash)
{
	unlink(c, handle, hash);
}

void item_drop(struct cache *c, u32 handle)
{
	unlink(c, handle, item_hash(c, cache_at(c, handle)));
}

u32 cache_find(struct cache *c, const void *key, u32 len, u64 hash)
{
	u32 handle = index_find(c, key, len, hash);

	if (!handle || !item_is_gone(c, cache_at(c, handle)))
		return handle;
	if (item_is_flushed(c, cache_at(c, handle)))
		c->stats.flushed++;
	else
		c->stats.expired++;
	unlink(c, handle, hash);
	return 0;
}

/* The rest of a value that is too long for one slot. */
static bool add_parts(struct cache *c, u32 handle, u32 rest)
{
	u32 before = 0;

	while (rest) {
		u32 len = rest < CACHE_PART_ROOM ? rest : CACHE_PART_ROOM;
		u32 k = class_for(c, CACHE_PART_HEADER + len);
		u32 at = slot_take(c, k);
		struct cache_part *p;

		if (!at)
			return false;
		p = slot_at(c, at);
		p->bits = CACHE_SLOT_PART;
		p->class = (u8)k;
		p->next = 0;
		p->owner = handle;
		p->len = len;
		c->pages[page_of(at)].pins++;
		if (before)
			((struct cache_part *)slot_at(c, before))->next = at;
		else
			put_u32(first_part(cache_at(c, handle)), at);
		before = at;
		rest -= len;
	}
	return true;
}

u32 cache_alloc(struct cache *c, const void *key, u32 key_len, u32 flags,
		u32 expires, u32 value_len)
{
	u32 front = CACHE_HEADER + (flags ? 4 : 0) + key_len;
	u64 half = (u64)c->pages_max * CACHE_PAGE_BYTES / 2;
	struct cache_item *it;
	u32 handle, k, rest = 0;

	/* What is being received must not drive out all that is kept. */
	if (key_len > CACHE_KEY_MAX || value_len > CACHE_VALUE_LIMIT ||
	    c->pending_bytes + front + value_len > half)
		return 0;
	if (front + value_len > CACHE_SLOT_MAX)
		rest = front + 4 + value_len - CACHE_SLOT_MAX;
	k = class_for(c, rest ? CACHE_SLOT_MAX : front + value_len);
	handle = slot_take(c, k);
	if (!handle)
		return 0;
	it = cache_at(c, handle);
	memset(it, 0, CACHE_HEADER);
	it->bits = CACHE_ITEM | (flags ? CACHE_FLAGS : 0) |
		   (rest ? CACHE_PARTS : 0);
	it->holds = 1;
	it->class = (u8)k;
	it->key_len = (u8)key_len;
	it->value_len = value_len;
	it->expires = expires;
	if (flags)
		put_u32(it->data, flags);
	if (rest)
		put_u32(first_part(it), 0);
	memcpy(cache_key(it), key, key_len);
	c->pages[page_of(handle)].pins++;
	c->pending_bytes += item_bytes(it);
	if (!add_parts(c, handle, rest)) {
		cache_release(c, handle);
		return 0;
	}
	return handle;
}

void cache_link(struct cache *c, u32 handle, u64 hash, u32 old)
{
	struct cache_item *it = cache_at(c, handle);

	if (old)
		unlink(c, old, hash);
	c->pending_bytes -= item_bytes(it);
	it->bits |= CACHE_LINKED;
	it->touched = c->now;
	cache_set_unique(it, cache_next_unique(c));
	index_add(c, handle, hash);
	lru_add(c, handle, CACHE_HOT);
	c->count++;
	c->bytes += item_bytes(it);
	c->classes[it->class].bytes += item_bytes(it);
	c->stats.links++;
	lru_balance(c, it->class);
}

bool cache_hold(struct cache *c, u32 handle)
{
	struct cache_item *it = cache_at(c, handle);

	if (it->holds == CACHE_HOLDS_MAX)
		return false;
	if (!cache_held(it))
		pin(c, handle, 1);
	it->holds++;
	return true;
}

void cache_release(struct cache *c, u32 handle)
{
	struct cache_item *it = cache_at(c, handle);

	it->holds--;
	if (cache_held(it))
		return;
	pin(c, handle, -1);
	if (it->bits & CACHE_LINKED)
		return;
	c->pending_bytes -= item_bytes(it);
	item_free(c, handle);
}

u8 *cache_value(const struct cache *c, u32 handle, u32 at, u32 *len)
{
	struct cache_item *it = cache_at(c, handle);
	u32 front = item_front(it);
	u32 here = it->value_len;
	struct cache_part *p;

	if (at >= it->value_len) {
		*len = 0;
		return NULL;
	}
	if (it->bits & CACHE_PARTS)
		here = CACHE_SLOT_MAX - front;
	if (at < here) {
		*len = here - at;
		return (u8 *)it + front + at;
	}
	at -= here;
	p = slot_at(c, get_u32(first_part(it)));
	while (at >= p->len) {
		at -= p->len;
		p = slot_at(c, p->next);
	}
	*len = p->len - at;
	return p->data + at;
}

void cache_write(struct cache *c, u32 handle, u32 at, const void *data, u32 len)
{
	const u8 *from = data;

	while (len) {
		u32 here;
		u8 *to = cache_value(c, handle, at, &here);

		if (here > len)
			here = len;
		memcpy(to, from, here);
		from += here;
		at += here;
		len -= here;
	}
}

void cache_read(const struct cache *c, u32 handle, u32 at, void *out, u32 len)
{
	u8 *to = out;

	while (len) {
		u32 here;
		const u8 *from = cache_value(c, handle, at, &here);

		if (here > len)
			here = len;
		memcpy(to, from, here);
		to += here;
		at += here;
		len -= here;
	}
}

static bool crawl_slot(struct cache *c, u32 handle)
{
	struct cache_item *it = slot_at(c, handle);
	struct cache_class *k;

	if (!slot_is_item(it->bits) || !(it->bits & CACHE_LINKED))
		return false;
	k = &c->classes[it->class];
	k->crawler_checked++;
	if (!item_is_gone(c, it))
		return false;
	if (!(it->bits & CACHE_FETCHED)) {
		c->stats.expired_unfetched++;
		k->expired_unfetched++;
	}
	k->crawler_reclaimed++;
	c->stats.crawler_reclaimed++;
	item_drop(c, handle);
	return true;
}

u32 cache_crawl(struct cache *c, u32 slots)
{
	u32 removed = 0, pages = c->entry_next;

	while (slots && pages) {
		struct cache_page *p = &c->pages[c->crawl_page];
		u32 size = c->classes[p->class].slot_bytes;

		if (c->crawl_page && p->memory && p->used &&
		    c->crawl_slot < p->bump) {
			removed += crawl_slot(c, handle_of(c->crawl_page,
							   c->crawl_slot * size));
			c->crawl_slot++;
			c->stats.crawled++;
			slots--;
			continue;
		}
		c->crawl_slot = 0;
		c->crawl_page++;
		pages--;
		if (c->crawl_page >= c->entry_next)
			c->crawl_page = 1;
	}
	return removed;
}

void cache_stats_reset(struct cache *c)
{
	u32 k;

	memset(&c->stats, 0, sizeof(c->stats));
	for (k = 0; k < c->classes_count; k++) {
		struct cache_class *class = &c->classes[k];
		size_t first = offsetof(struct cache_class, evicted);

		memset((u8 *)class + first, 0, sizeof(*class) - first);
	}
}
