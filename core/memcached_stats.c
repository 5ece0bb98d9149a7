// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * stats: the names are memcached 1.6.18's, in its order; what this cache does not
 * have is zero. An answer may be longer than a reply, so it is given in pieces of
 * less than RESERVE_BYTES, for both protocols.
 */
#include "memcached_impl.h"

enum stats_kind { STATS_GENERAL, STATS_SETTINGS, STATS_ITEMS, STATS_SLABS,
		  STATS_SIZES, STATS_KINDS };

static void put_be16(u8 *p, u32 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

static void put_be32(u8 *p, u32 v)
{
	put_be16(p, v >> 16);
	put_be16(p + 2, v);
}

static void row(struct run *x, const char *name, const void *value, u32 len)
{
	u32 name_len = (u32)strlen(name);
	u8 *h;

	if (!x->c->binary) {
		reply_string(x, "STAT ");
		reply_bytes(x, name, name_len);
		reply_string(x, " ");
		reply_bytes(x, value, len);
		reply_string(x, "\r\n");
		return;
	}
	h = reply_text(x, 24);
	memset(h, 0, 24);
	h[0] = 0x81;
	h[1] = 0x10;
	put_be16(h + 2, name_len);
	put_be32(h + 8, name_len + len);
	put_u32(h + 12, x->c->opaque);
	reply_bytes(x, name, name_len);
	reply_bytes(x, value, len);
}

static void row_text(struct run *x, const char *name, const char *value)
{
	row(x, name, value, (u32)strlen(value));
}

static void row_number(struct run *x, const char *name, u64 value)
{
	u8 digits[20];

	row(x, name, digits, number_print(value, digits));
}

/* "@prefix@number:@name" */
static void row_class(struct run *x, const char *prefix, u32 number,
		      const char *name, u64 value)
{
	char full[64];
	u32 n = (u32)strlen(prefix);

	memcpy(full, prefix, n);
	n += number_print(number, (u8 *)full + n);
	full[n++] = ':';
	memcpy(full + n, name, strlen(name) + 1);
	row_number(x, full, value);
}

static void row_seconds(struct run *x, const char *name, u64 us)
{
	u8 text[32];
	u64 s = div_u64(us, 1000000);
	u32 n = number_print(s, text), part = (u32)(us - s * 1000000), i;

	text[n++] = '.';
	for (i = 100000; i; i /= 10)
		text[n++] = (u8)('0' + part / i % 10);
	row(x, name, text, n);
}

static void end(struct run *x)
{
	if (x->c->binary)
		row(x, "", "", 0);
	else
		reply_string(x, "END\r\n");
}

/* Everything that is the sum of all shards. */
struct sums {
	struct memcached_counts counts;
	struct cache_stats cache;
	u64 commands[CACHE_COMMANDS];
	u64 hits;
	u64 items;
	u64 bytes;
	u64 budget;
	u64 empty_pages;
	u64 segments;
	u64 buckets;
	u32 flush_at;
};

static void add_all(u64 *to, const u64 *from, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes / sizeof(u64); i++)
		to[i] += from[i];
}

static void add_shard(struct sums *t, const struct memcached_shard *s)
{
	const struct cache *c = &s->cache;
	u32 k, i;

	add_all((u64 *)&t->counts, (const u64 *)&s->counts,
		sizeof(t->counts));
	add_all((u64 *)&t->cache, (const u64 *)&c->stats, sizeof(t->cache));
	for (k = 0; k < c->classes_count; k++) {
		add_all(t->commands, c->classes[k].commands,
			sizeof(t->commands));
		for (i = 0; i < CACHE_LISTS; i++)
			t->hits += c->classes[k].hits[i];
	}
	t->items += c->count;
	t->bytes += c->bytes;
	t->budget += (u64)c->pages_max * CACHE_PAGE_BYTES;
	t->empty_pages += c->empty_count;
	t->segments += c->segments_count;
	t->buckets += c->buckets;
	t->flush_at = c->flush_at;
}

static void sum(struct run *x, struct sums *t)
{
	struct memcached *m = x->m;
	u32 i;

	memset(t, 0, sizeof(*t));
	for (i = 0; i < m->shard_count; i++) {
		if (m->lock)
			m->lock(m->arg, i);
		add_shard(t, &m->shards[i]);
		if (m->unlock)
			m->unlock(m->arg, i);
	}
}

static void describe(struct run *x, struct memcached_server *v)
{
	memset(v, 0, sizeof(*v));
	if (x->m->describe)
		x->m->describe(x->m->arg, v);
}

static void rows_process(struct run *x)
{
	struct memcached_server v;

	describe(x, &v);
	row_number(x, "pid", v.pid);
	row_number(x, "uptime", x->m->now - 2);
	row_number(x, "time", (u64)x->m->started_s + x->m->now);
	row_text(x, "version", x->m->version);
	row_text(x, "libevent", "none");
	row_number(x, "pointer_size", 8 * sizeof(void *));
	row_seconds(x, "rusage_user", v.user_us);
	row_seconds(x, "rusage_system", v.system_us);
	row_number(x, "max_connections", v.max_connections);
	row_number(x, "curr_connections", v.curr_connections);
	row_number(x, "total_connections", v.total_connections);
	row_number(x, "rejected_connections", v.rejected_connections);
	row_number(x, "connection_structures", v.curr_connections);
	row_number(x, "response_obj_oom", 0);
	row_number(x, "response_obj_count", 0);
	row_number(x, "response_obj_bytes", 0);
	row_number(x, "read_buf_count", 0);
	row_number(x, "read_buf_bytes", 0);
	row_number(x, "read_buf_bytes_free", 0);
	row_number(x, "read_buf_oom", 0);
	row_number(x, "reserved_fds", 0);
}

static void rows_commands(struct run *x)
{
	struct sums t;

	sum(x, &t);
	row_number(x, "cmd_get", t.counts.get_cmds);
	row_number(x, "cmd_set", t.commands[CACHE_SETS]);
	row_number(x, "cmd_flush", t.counts.flush_cmds);
	row_number(x, "cmd_touch", t.counts.touch_cmds);
	row_number(x, "cmd_meta", t.counts.meta_cmds);
	row_number(x, "get_hits", t.hits - t.commands[CACHE_TOUCHES]);
	row_number(x, "get_misses", t.counts.get_misses);
	row_number(x, "get_expired", t.cache.expired);
	row_number(x, "get_flushed", t.cache.flushed);
	row_number(x, "delete_misses", t.counts.delete_misses);
	row_number(x, "delete_hits", t.commands[CACHE_DELETES]);
	row_number(x, "incr_misses", t.counts.incr_misses);
	row_number(x, "incr_hits", t.commands[CACHE_INCREASES]);
	row_number(x, "decr_misses", t.counts.decr_misses);
	row_number(x, "decr_hits", t.commands[CACHE_DECREASES]);
	row_number(x, "cas_misses", t.counts.cas_misses);
	row_number(x, "cas_hits", t.commands[CACHE_CAS_HITS]);
	row_number(x, "cas_badval", t.commands[CACHE_CAS_MISMATCHES]);
	row_number(x, "touch_hits", t.commands[CACHE_TOUCHES]);
	row_number(x, "touch_misses", t.counts.touch_misses);
	row_number(x, "store_too_large", t.counts.store_too_large);
	row_number(x, "store_no_memory", t.counts.store_no_memory);
	row_number(x, "auth_cmds", 0);
	row_number(x, "auth_errors", 0);
}

static void rows_memory(struct run *x)
{
	struct memcached_server v;
	struct sums t;
	u32 power = 0;

	describe(x, &v);
	sum(x, &t);
	while (t.buckets >> (power + 1))
		power++;
	if (v.idle_timeout_s)
		row_number(x, "idle_kicks", v.idle_kicks);
	row_number(x, "bytes_read", v.bytes_read);
	row_number(x, "bytes_written", v.bytes_written);
	row_number(x, "limit_maxbytes", t.budget);
	row_number(x, "accepting_conns", 1);
	row_number(x, "listen_disabled_num", 0);
	row_number(x, "time_in_listen_disabled_us", 0);
	row_number(x, "threads", v.threads);
	row_number(x, "conn_yields", 0);
	row_number(x, "hash_power_level", power);
	row_number(x, "hash_bytes", t.segments * CACHE_PAGE_BYTES);
	row_number(x, "hash_is_expanding", 0);
	row_number(x, "slab_reassign_rescues", t.cache.relocations);
	row_number(x, "slab_reassign_chunk_rescues", 0);
	row_number(x, "slab_reassign_evictions_nomem", 0);
	row_number(x, "slab_reassign_inline_reclaim", 0);
	row_number(x, "slab_reassign_busy_items", 0);
	row_number(x, "slab_reassign_busy_deletes", 0);
	row_number(x, "slab_reassign_running", 0);
	row_number(x, "slabs_moved", t.cache.pages_moved);
}

static void rows_items(struct run *x)
{
	struct sums t;

	sum(x, &t);
	row_number(x, "lru_crawler_running", 0);
	row_number(x, "lru_crawler_starts", 0);
	row_number(x, "lru_maintainer_juggles", 0);
	row_number(x, "malloc_fails", t.cache.out_of_memory);
	row_number(x, "log_worker_dropped", 0);
	row_number(x, "log_worker_written", 0);
	row_number(x, "log_watcher_skipped", 0);
	row_number(x, "log_watcher_sent", 0);
	row_number(x, "log_watchers", 0);
	row_number(x, "bytes", t.bytes);
	row_number(x, "curr_items", t.items);
	row_number(x, "total_items", t.cache.links);
	row_number(x, "slab_global_page_pool", t.empty_pages);
	row_number(x, "expired_unfetched", t.cache.expired_unfetched);
	row_number(x, "evicted_unfetched", t.cache.evicted_unfetched);
	row_number(x, "evicted_active", t.cache.evicted_active);
	row_number(x, "evictions", t.cache.evictions);
	row_number(x, "reclaimed", t.cache.reclaimed);
	row_number(x, "crawler_reclaimed", t.cache.crawler_reclaimed);
	row_number(x, "crawler_items_checked", t.cache.crawled);
	row_number(x, "lrutail_reflocked", 0);
	row_number(x, "moves_to_cold", t.cache.moves_to_cold);
	row_number(x, "moves_to_warm", t.cache.moves_to_warm);
	row_number(x, "moves_within_lru", t.cache.moves_within);
	row_number(x, "direct_reclaims", t.cache.evictions);
	row_number(x, "lru_bumps_dropped", 0);
}

static bool general(struct run *x, u32 place)
{
	static void (*const pieces[])(struct run *x) = {
		rows_process, rows_commands, rows_memory, rows_items,
	};

	if (place < ARRAY_SIZE(pieces))
		pieces[place](x);
	return place + 1 < ARRAY_SIZE(pieces);
}

static bool settings(struct run *x)
{
	struct cache *c = &x->m->shards[0].cache;
	struct memcached_server v;
	struct sums t;

	describe(x, &v);
	sum(x, &t);
	row_number(x, "maxbytes", t.budget);
	row_number(x, "maxconns", v.max_connections);
	row_number(x, "tcpport", v.port);
	row_number(x, "udpport", 0);
	row_text(x, "inter", "127.0.0.1");
	row_number(x, "verbosity", x->m->verbosity);
	row_number(x, "oldest", t.flush_at);
	row_text(x, "evictions", "on");
	row_text(x, "shutdown_command", "no");
	row_text(x, "growth_factor", "1.08");
	row_number(x, "num_threads", v.threads);
	row_text(x, "stat_key_prefix", ":");
	row_text(x, "detail_enabled", "no");
	row_text(x, "cas_enabled", "yes");
	row_text(x, "binding_protocol", "auto-negotiate");
	row_text(x, "auth_enabled_sasl", "no");
	row_text(x, "auth_enabled_ascii", "no");
	row_number(x, "item_size_max", x->m->value_max);
	row_text(x, "slab_reassign", "yes");
	row_number(x, "slab_automove", !c->fixed);
	row_number(x, "slab_chunk_max", CACHE_PAGE_BYTES / 4);
	row_text(x, "lru_crawler", "yes");
	row_text(x, "flush_enabled", "yes");
	row_text(x, "dump_enabled", "no");
	row_text(x, "hash_algorithm", "siphash13");
	row_text(x, "lru_segmented", "yes");
	row_number(x, "hot_lru_pct", c->hot_percent);
	row_number(x, "warm_lru_pct", c->warm_percent);
	row_text(x, "temp_lru", "no");
	row_number(x, "idle_timeout", v.idle_timeout_s);
	row_text(x, "track_sizes", "no");
	return false;
}

static u32 oldest_age(struct cache *c, const struct cache_class *k,
		      enum cache_list list)
{
	u32 item = k->oldest[list];

	return item ? c->now - cache_at(c, item)->touched : 0;
}

/* Classes of all shards, one after another: shard 2's class 5 is 205 where no
 * shard has more than 112.
 */
static struct cache_class *class_at(struct run *x, u32 place, u32 *shard)
{
	u32 classes = x->m->shards[0].cache.classes_count;

	*shard = place / classes;
	if (*shard >= x->m->shard_count)
		return NULL;
	return &x->m->shards[*shard].cache.classes[place % classes];
}

static void item_rows(struct run *x, struct cache *c,
		      const struct cache_class *k, u32 number)
{
	static const char p[] = "items:";
	const u32 *n = k->items;

	row_class(x, p, number, "number",
		  (u64)n[CACHE_HOT] + n[CACHE_WARM] + n[CACHE_COLD]);
	row_class(x, p, number, "number_hot", n[CACHE_HOT]);
	row_class(x, p, number, "number_warm", n[CACHE_WARM]);
	row_class(x, p, number, "number_cold", n[CACHE_COLD]);
	row_class(x, p, number, "age_hot", oldest_age(c, k, CACHE_HOT));
	row_class(x, p, number, "age_warm", oldest_age(c, k, CACHE_WARM));
	row_class(x, p, number, "age", oldest_age(c, k, CACHE_COLD));
	row_class(x, p, number, "mem_requested", k->bytes);
	row_class(x, p, number, "evicted", k->evicted);
	row_class(x, p, number, "evicted_nonzero", k->evicted_nonzero);
	row_class(x, p, number, "evicted_time", k->evicted_age);
	row_class(x, p, number, "outofmemory", k->out_of_memory);
	row_class(x, p, number, "tailrepairs", 0);
	row_class(x, p, number, "reclaimed", k->reclaimed);
	row_class(x, p, number, "expired_unfetched", k->expired_unfetched);
	row_class(x, p, number, "evicted_unfetched", k->evicted_unfetched);
	row_class(x, p, number, "evicted_active", k->evicted_active);
	row_class(x, p, number, "crawler_reclaimed", k->crawler_reclaimed);
	row_class(x, p, number, "crawler_items_checked", k->crawler_checked);
	row_class(x, p, number, "lrutail_reflocked", 0);
	row_class(x, p, number, "moves_to_cold", k->moves_to_cold);
	row_class(x, p, number, "moves_to_warm", k->moves_to_warm);
	row_class(x, p, number, "moves_within_lru", k->moves_within);
	row_class(x, p, number, "direct_reclaims", k->evicted);
	row_class(x, p, number, "hits_to_hot", k->hits[CACHE_HOT]);
	row_class(x, p, number, "hits_to_warm", k->hits[CACHE_WARM]);
	row_class(x, p, number, "hits_to_cold", k->hits[CACHE_COLD]);
	row_class(x, p, number, "hits_to_temp", 0);
}

static void slab_rows(struct run *x, const struct cache_class *k,
		      u32 number)
{
	u32 chunks = k->pages * k->slots_per_page;

	row_class(x, "", number, "chunk_size", k->slot_bytes);
	row_class(x, "", number, "chunks_per_page", k->slots_per_page);
	row_class(x, "", number, "total_pages", k->pages);
	row_class(x, "", number, "total_chunks", chunks);
	row_class(x, "", number, "used_chunks", k->slots_used);
	row_class(x, "", number, "free_chunks", chunks - k->slots_used);
	row_class(x, "", number, "free_chunks_end", 0);
	row_class(x, "", number, "get_hits", k->hits[CACHE_HOT] +
		  k->hits[CACHE_WARM] + k->hits[CACHE_COLD]);
	row_class(x, "", number, "cmd_set", k->commands[CACHE_SETS]);
	row_class(x, "", number, "delete_hits", k->commands[CACHE_DELETES]);
	row_class(x, "", number, "incr_hits", k->commands[CACHE_INCREASES]);
	row_class(x, "", number, "decr_hits", k->commands[CACHE_DECREASES]);
	row_class(x, "", number, "cas_hits", k->commands[CACHE_CAS_HITS]);
	row_class(x, "", number, "cas_badval",
		  k->commands[CACHE_CAS_MISMATCHES]);
	row_class(x, "", number, "touch_hits", k->commands[CACHE_TOUCHES]);
}

/* The rows of the class at @place, if it has any; false after the last. */
static bool one_class(struct run *x, u32 place, bool slabs)
{
	struct memcached *m = x->m;
	struct cache_class *k;
	u32 shard, number;

	k = class_at(x, place, &shard);
	if (!k)
		return false;
	number = shard * 200 + place % m->shards[0].cache.classes_count + 1;
	if (m->lock)
		m->lock(m->arg, shard);
	if (slabs && k->pages)
		slab_rows(x, k, number);
	if (!slabs && k->items[CACHE_HOT] + k->items[CACHE_WARM] +
			      k->items[CACHE_COLD])
		item_rows(x, &m->shards[shard].cache, k, number);
	if (m->unlock)
		m->unlock(m->arg, shard);
	return true;
}

static void slab_totals(struct run *x)
{
	struct memcached *m = x->m;
	u64 active = 0, pages = 0;
	u32 i, k;

	for (i = 0; i < m->shard_count; i++) {
		struct cache *c = &m->shards[i].cache;

		if (m->lock)
			m->lock(m->arg, i);
		for (k = 0; k < c->classes_count; k++)
			active += c->classes[k].pages != 0;
		pages += c->pages_held;
		if (m->unlock)
			m->unlock(m->arg, i);
	}
	row_number(x, "active_slabs", active);
	row_number(x, "total_malloced", pages * CACHE_PAGE_BYTES);
}

/* False when that was the last piece. */
static bool piece(struct run *x, u32 kind, u32 place)
{
	switch (kind) {
	case STATS_GENERAL:
		return general(x, place);
	case STATS_SETTINGS:
		return settings(x);
	case STATS_ITEMS:
		return one_class(x, place, false);
	case STATS_SLABS:
		if (one_class(x, place, true))
			return true;
		slab_totals(x);
		return false;
	default:
		row_text(x, "sizes_status", "disabled");
		return false;
	}
}

bool stats_more(struct run *x)
{
	if (piece(x, x->c->command, x->c->place)) {
		x->c->place++;
		return true;
	}
	end(x);
	x->c->state = MEMCACHED_COMMAND;
	return true;
}

static void reset(struct run *x)
{
	struct memcached *m = x->m;
	u32 i;

	for (i = 0; i < m->shard_count; i++) {
		if (m->lock)
			m->lock(m->arg, i);
		cache_stats_reset(&m->shards[i].cache);
		memset(&m->shards[i].counts, 0, sizeof(m->shards[i].counts));
		if (m->unlock)
			m->unlock(m->arg, i);
	}
}

enum stats_answer stats_ask(struct run *x, struct token what)
{
	static const char *const kinds[STATS_KINDS] = {
		[STATS_GENERAL] = "",
		[STATS_SETTINGS] = "settings",
		[STATS_ITEMS] = "items",
		[STATS_SLABS] = "slabs",
		[STATS_SIZES] = "sizes",
	};
	u32 i;

	if (token_is(what, "reset")) {
		reset(x);
		return STATS_WERE_RESET;
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!token_is(what, kinds[i]))
			continue;
		x->c->command = (u8)i;
		x->c->place = 0;
		x->c->state = MEMCACHED_STATS;
		return STATS_FOLLOW;
	}
	return STATS_UNKNOWN;
}

void stats_begin(struct run *x, const struct token *t, u32 count)
{
	if (token_is(t[1], "cachedump")) {
		mc_say(x, "CLIENT_ERROR stats cachedump not allowed");
		return;
	}
	switch (stats_ask(x, t[1])) {
	case STATS_WERE_RESET:
		mc_say(x, "RESET");
		break;
	case STATS_UNKNOWN:
		mc_say(x, "ERROR");
		break;
	default:
		break;
	}
}
