/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cache for tests: memory that is counted and can be refused, and a check that
 * everything a shard keeps about itself agrees.
 */
#ifndef VIRGO_TESTS_CACHE_KIT_H
#define VIRGO_TESTS_CACHE_KIT_H

#include <stdio.h>
#include <stdlib.h>

#include "cache_impl.h"

struct kit {
	struct cache cache;
	u64 floor;
	u32 held; /* pages and tables that were not given back */
	u32 fail_after; /* the n-th request fails, and all after it */
	bool fails; /* a test may set fail */
	bool fail;
};

static inline bool kit_refuses(struct kit *k)
{
	if (k->fail_after && --k->fail_after == 0)
		k->fail = true;
	return k->fail;
}

static inline void *kit_page_get(void *arg)
{
	struct kit *k = arg;

	if (kit_refuses(k))
		return NULL;
	k->held++;
	return malloc(CACHE_PAGE_BYTES);
}

static inline void kit_page_put(void *arg, void *page)
{
	((struct kit *)arg)->held--;
	free(page);
}

static inline void *kit_table_get(void *arg, size_t bytes)
{
	struct kit *k = arg;

	if (kit_refuses(k))
		return NULL;
	k->held++;
	return calloc(1, bytes);
}

static inline void kit_table_put(void *arg, void *table, size_t bytes)
{
	kit_page_put(arg, table);
}

static inline int kit_open(struct kit *k, u64 budget, u64 seed)
{
	const struct cache_setup s = {
		.memory = { kit_page_get, kit_page_put, kit_table_get,
			    kit_table_put, k },
		.budget_bytes = budget,
		.floor_bytes = k->floor,
		.seed = { seed, seed },
		.hot_percent = 20,
		.warm_percent = 40,
	};

	return cache_init(&k->cache, &s);
}

static inline void kit_close(struct kit *k)
{
	cr_assert_eq(k->cache.pending_bytes, 0);
	cache_end(&k->cache);
	cr_assert_eq(k->held, 0, "%u pages leaked", k->held);
}

static inline void kit_check_lists(struct cache *c, u64 *items)
{
	for (u32 i = 0; i < c->classes_count; i++) {
		struct cache_class *k = &c->classes[i];
		u32 pages = 0;

		for (u32 list = 0; list < CACHE_LISTS; list++) {
			u32 n = 0, before = 0;
			u32 at = k->newest[list];

			for (; at; before = at, at = cache_at(c, at)->older) {
				struct cache_item *it = cache_at(c, at);

				cr_assert_eq(it->newer, before);
				cr_assert_eq(it->class, i);
				cr_assert(it->bits & CACHE_LINKED);
				cr_assert_eq(cache_list_of(it), list);
				n++;
			}
			cr_assert_eq(before, k->oldest[list]);
			cr_assert_eq(n, k->items[list]);
			*items += n;
		}
		for (u32 at = k->page_first; at; at = c->pages[at].next)
			pages++;
		cr_assert_eq(pages, k->pages);
	}
}

static inline void kit_check(struct kit *k)
{
	struct cache *c = &k->cache;
	u32 used[CACHE_CLASSES_MAX] = { 0 };
	u64 items = 0, found = 0;
	u32 pages = c->segments_count;

	kit_check_lists(c, &items);
	cr_assert_eq(items, c->count);
	for (u32 b = 0; b < c->buckets; b++) {
		u32 at = c->segments[b / CACHE_SEGMENT_HEADS]
				    [b % CACHE_SEGMENT_HEADS];

		for (; at; at = cache_at(c, at)->chain)
			found++;
	}
	cr_assert_eq(found, c->count);
	for (u32 i = 1; i < c->entry_next; i++) {
		struct cache_page *p = &c->pages[i];
		u32 size = c->classes[p->class].slot_bytes, n = 0;

		pages += p->memory != NULL;
		for (u32 s = 0; p->memory && p->used && s < p->bump; s++)
			n += *(u16 *)(p->memory + s * size) != CACHE_SLOT_FREE;
		if (p->memory) {
			cr_assert_eq(n, p->used);
			used[p->class] += n;
		}
	}
	for (u32 i = 0; i < c->classes_count; i++)
		cr_assert_eq(used[i], c->classes[i].slots_used);
	cr_assert_eq(pages, c->pages_held);
	cr_assert_leq(c->pages_held, c->pages_max);
	cr_assert_eq(k->held, pages + 2);
}

#endif
