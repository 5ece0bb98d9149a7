/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memcached protocol over a cache of one shard, for tests. */
#ifndef VIRGO_TESTS_MEMCACHED_KIT_H
#define VIRGO_TESTS_MEMCACHED_KIT_H

#include "cache_kit.h"
#include "memcached.h"

struct talk {
	struct kit kit; /* its cache is not used, its memory is */
	struct memcached_shard shard;
	struct memcached m;
	struct memcached_conn conn;
	struct memcached_reply reply;
	char *out;
	size_t out_len, out_size;
};

static inline void talk_open(struct talk *t, u64 budget)
{
	const struct cache_setup s = {
		.memory = { kit_page_get, kit_page_put, kit_table_get,
			    kit_table_put, &t->kit },
		.budget_bytes = budget,
		.seed = { 1, 2 },
		.hot_percent = 20,
		.warm_percent = 40,
	};

	memset(t, 0, sizeof(*t));
	cr_assert_eq(cache_init(&t->shard.cache, &s), 0);
	t->m.shards = &t->shard;
	t->m.shard_count = 1;
	t->m.value_max = MEMCACHED_VALUE_MAX;
	t->m.version = "test";
	t->m.started_s = 1700000000;
	memcached_set_time(&t->m, 100);
}

static inline void talk_close(struct talk *t)
{
	memcached_leave(&t->m, &t->conn);
	cr_assert_eq(t->shard.cache.pending_bytes, 0);
	cache_end(&t->shard.cache);
	cr_assert_eq(t->kit.held, 0);
	free(t->out);
}

static inline void talk_keep(struct talk *t)
{
	for (u32 i = 0; i < t->reply.count; i++) {
		const struct memcached_vec *v = &t->reply.vec[i];

		while (t->out_len + v->len + 1 > t->out_size) {
			t->out_size = t->out_size * 2 + 4096;
			t->out = realloc(t->out, t->out_size);
		}
		memcpy(t->out + t->out_len, v->base, v->len);
		t->out_len += v->len;
	}
	if (t->out)
		t->out[t->out_len] = '\0';
	memcached_sent(&t->m, &t->reply);
}

/* Gives @len bytes in pieces of @piece; what is left of one is put before the
 * next, as a server does. Answers gather in t->out.
 */
static inline void talk_bytes(struct talk *t, const char *in, size_t len,
			      size_t piece)
{
	u8 *buffer = malloc(len + 1);
	size_t have = 0, at = 0;

	while (at < len && t->conn.state != MEMCACHED_CLOSING) {
		size_t n = len - at < piece ? len - at : piece;
		bool full;

		memcpy(buffer + have, in + at, n);
		have += n;
		at += n;
		do {
			/* Exact, so that a sanitizer sees what lies beyond. */
			u8 *exact = malloc(have ? have : 1);
			size_t used;

			memcpy(exact, buffer, have);
			used = memcached_run(&t->m, &t->conn, exact, have,
					     &t->reply);
			free(exact);
			cr_assert_leq(used, have);
			full = t->reply.full;
			talk_keep(t);
			memmove(buffer, buffer + used, have - used);
			have -= used;
		} while (full && t->conn.state != MEMCACHED_CLOSING);
		if (t->conn.state != MEMCACHED_CLOSING)
			cr_assert_leq(have, MEMCACHED_LINE_MAX);
	}
	free(buffer);
}

static inline const char *talk(struct talk *t, const char *in)
{
	t->out_len = 0;
	if (t->out)
		t->out[0] = '\0';
	talk_bytes(t, in, strlen(in), strlen(in));
	return t->out ? t->out : "";
}

#endif
