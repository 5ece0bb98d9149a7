// SPDX-License-Identifier: GPL-2.0-or-later
/* The memory of kmemcache: shards, their locks, what the kernel takes back. */
#include "kcache_impl.h"

#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>

enum { SHARDS_MAX = 16 };

static void *page_get(void *arg)
{
	return (void *)__get_free_pages(GFP_KERNEL | __GFP_NORETRY |
					__GFP_NOWARN,
					get_order(CACHE_PAGE_BYTES));
}

static void page_put(void *arg, void *page)
{
	free_pages((unsigned long)page, get_order(CACHE_PAGE_BYTES));
}

static void *table_get(void *arg, size_t bytes)
{
	return kvzalloc(bytes, GFP_KERNEL);
}

static void table_put(void *arg, void *table, size_t bytes)
{
	kvfree(table);
}

void kcache_lock_shard(void *arg, u32 shard)
{
	struct kcache *kc = arg;

	mutex_lock(&kc->locks[shard]);
}

void kcache_unlock_shard(void *arg, u32 shard)
{
	struct kcache *kc = arg;

	mutex_unlock(&kc->locks[shard]);
}

static const unsigned long pages_per_page = CACHE_PAGE_BYTES / PAGE_SIZE;

/* A figure of the moment: no lock is worth it. */
unsigned long kcache_shrink_count(struct shrink *s)
{
	struct kcache *kc = container_of(s, struct kcache, shrink);
	unsigned long pages = 0;
	u32 i;

	for (i = 0; i < kc->m.shard_count; i++)
		pages += cache_shrinkable(&kc->shards[i].cache);
	return pages * pages_per_page;
}

/* Whoever asks may hold a shard's lock himself. */
unsigned long kcache_shrink_scan(struct shrink *s, unsigned long pages)
{
	struct kcache *kc = container_of(s, struct kcache, shrink);
	u32 want = DIV_ROUND_UP(pages, pages_per_page);
	u32 given = 0;
	u32 i;

	for (i = 0; i < kc->m.shard_count && given < want; i++) {
		if (!mutex_trylock(&kc->locks[i]))
			continue;
		given += cache_shrink(&kc->shards[i].cache, want - given);
		mutex_unlock(&kc->locks[i]);
	}
	return given ? given * pages_per_page : SHRINK_STOP;
}

static u32 shard_count(u64 budget_bytes)
{
	u32 count = roundup_pow_of_two(num_online_cpus());

	count = min_t(u32, count, SHARDS_MAX);
	while (count > 1 && budget_bytes / count < SHARD_BYTES_MIN)
		count /= 2;
	return count;
}

void kcache_end_shards(struct kcache *kc)
{
	u32 i;

	for (i = 0; i < kc->m.shard_count; i++)
		cache_end(&kc->shards[i].cache);
	kvfree(kc->shards);
	kvfree(kc->locks);
}

int kcache_make_shards(struct kcache *kc)
{
	u32 count = shard_count(kc->setup.budget_bytes);
	struct cache_setup setup = {
		.memory = {
			.page_get = page_get,
			.page_put = page_put,
			.table_get = table_get,
			.table_put = table_put,
		},
		.budget_bytes = div_u64(kc->setup.budget_bytes, count),
		.hot_percent = kc->setup.terms.hot_percent,
		.warm_percent = kc->setup.terms.warm_percent,
	};
	int ret = 0;
	u32 i;

	setup.floor_bytes = setup.budget_bytes / 8;
	get_random_bytes(setup.seed, sizeof(setup.seed));
	kc->m.shard_count = count;
	kc->shards = kvcalloc(count, sizeof(*kc->shards), GFP_KERNEL);
	kc->locks = kvcalloc(count, sizeof(*kc->locks), GFP_KERNEL);
	if (!kc->shards || !kc->locks) {
		kc->m.shard_count = 0;
		ret = -ENOMEM;
	}
	for (i = 0; !ret && i < count; i++) {
		mutex_init(&kc->locks[i]);
		ret = cache_init(&kc->shards[i].cache, &setup);
	}
	if (ret)
		kcache_end_shards(kc);
	kc->m.shards = kc->shards;
	return ret;
}
