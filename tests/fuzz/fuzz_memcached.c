// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memcached protocol, text, meta and binary, over a cache of the smallest
 * budget: the first byte says how the rest is cut, the second when memory is
 * refused and time passes. Answers lie in readable memory, what is left over
 * stays short, nothing is held at the end, and the lists and the index agree.
 */
#include <stdlib.h>

#include "cache_impl.h"
#include "memcached.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int pages, refuse_after;

static void *page_get(void *arg)
{
	if (refuse_after && pages >= refuse_after)
		return NULL;
	pages++;
	return malloc(CACHE_PAGE_BYTES);
}

static void page_put(void *arg, void *page)
{
	pages--;
	free(page);
}

static void *table_get(void *arg, size_t bytes)
{
	return calloc(1, bytes);
}

static void table_put(void *arg, void *table, size_t bytes)
{
	free(table);
}

static void check_reply(const struct memcached_reply *r)
{
	static volatile u8 sum;
	u64 bytes = 0;
	u32 i;

	if (r->count > MEMCACHED_VECS || r->used > MEMCACHED_TEXT_BYTES ||
	    r->held > MEMCACHED_VECS)
		abort();
	for (i = 0; i < r->count; i++) {
		const u8 *at = r->vec[i].base;

		bytes += r->vec[i].len;
		if (r->vec[i].len)
			sum = (u8)(sum + at[0] + at[r->vec[i].len - 1]);
	}
	if (bytes != r->bytes)
		abort();
}

static void check_cache(struct cache *c)
{
	u64 listed = 0, indexed = 0;
	u32 k, list, at, b;

	for (k = 0; k < c->classes_count; k++)
		for (list = 0; list < CACHE_LISTS; list++)
			for (at = c->classes[k].newest[list]; at;
			     at = cache_at(c, at)->older)
				listed++;
	for (b = 0; b < c->buckets; b++)
		for (at = c->segments[b / CACHE_SEGMENT_HEADS]
				     [b % CACHE_SEGMENT_HEADS]; at;
		     at = cache_at(c, at)->chain)
			indexed++;
	if (listed != c->count || indexed != c->count || c->pending_bytes)
		abort();
}

/* Gives all of @data in pieces; what is left of one goes before the next. */
static void converse(struct memcached *m, struct memcached_conn *conn,
		     const u8 *data, size_t size, size_t step, bool ticks)
{
	static struct memcached_reply reply;
	size_t from = 0, given = 0;

	while (given < size && conn->state != MEMCACHED_CLOSING) {
		given = size - given < step ? size : given + step;
		do {
			/* Exact, so that reading beyond it is seen. */
			u8 *exact = malloc(given - from + 1);
			size_t used;

			memcpy(exact, data + from, given - from);
			used = memcached_run(m, conn, exact, given - from,
					     &reply);
			free(exact);
			if (used > given - from)
				abort();
			from += used;
			check_reply(&reply);
			if (!reply.full && given - from > MEMCACHED_LINE_MAX &&
			    conn->state != MEMCACHED_CLOSING)
				abort();
			used = reply.full;
			memcached_sent(m, &reply);
			if (!used)
				break;
		} while (conn->state != MEMCACHED_CLOSING);
		if (ticks)
			memcached_set_time(m, m->now + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct cache_setup s = {
		.memory = { page_get, page_put, table_get, table_put, NULL },
		.budget_bytes = CACHE_BUDGET_MIN,
		.hot_percent = 20,
		.warm_percent = 40,
	};
	static struct memcached_shard shard;
	struct memcached m = { .shards = &shard,
			       .shard_count = 1,
			       .version = "fuzz",
			       .value_max = 200000,
			       .started_s = 1700000000 };
	struct memcached_conn conn[2] = { 0 };
	size_t half;

	if (size < 2)
		return 0;
	refuse_after = 0;
	if (cache_init(&shard.cache, &s))
		abort();
	memset(&shard.counts, 0, sizeof(shard.counts));
	memcached_set_time(&m, 100);
	refuse_after = data[1] & 15;
	/* Two connections, the first perhaps in the middle of something. */
	half = data[1] & 64 ? (size - 2) / 2 : 0;
	converse(&m, &conn[0], data + 2, half, data[0] ? data[0] : size,
		 data[1] & 32);
	converse(&m, &conn[1], data + 2 + half, size - 2 - half,
		 data[0] ? data[0] : size, data[1] & 32);
	cache_crawl(&shard.cache, 1000);
	memcached_leave(&m, &conn[0]);
	memcached_leave(&m, &conn[1]);
	check_cache(&shard.cache);
	cache_shrink(&shard.cache, 100);
	check_cache(&shard.cache);
	cache_end(&shard.cache);
	if (pages)
		abort();
	return 0;
}
