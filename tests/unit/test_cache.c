// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache's shard against a plain table of what was stored: whatever it gives
 * must be the last value of that key, whatever memory it was refused meanwhile,
 * and what it keeps of itself must agree at every step.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "cache.h"
#include "cache_kit.h"
#include "siphash.h"

enum { KEYS = 4000, STEPS = 60000 };

struct model {
	struct kit kit;
	u32 version[KEYS]; /* 0: not stored */
	u32 size[KEYS];
	u32 expires[KEYS];
	u64 random;
	u64 lost; /* stored, but no longer found */
};

static u32 draw(struct model *m, u32 below)
{
	m->random = m->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(m->random >> 33) % below;
}

static u8 byte_of(u32 key, u32 version, u32 at)
{
	return (u8)(key * 31 + version * 7 + at + (at >> 8));
}

static u32 name(char *out, u32 key)
{
	return (u32)sprintf(out, "key:%u:%0*d", key, (int)(key % 40) + 1, 0);
}

static u32 some_size(struct model *m)
{
	switch (draw(m, 20)) {
	case 0:
		return draw(m, 200000);
	case 1:
	case 2:
		return draw(m, 20000);
	default:
		return draw(m, 300);
	}
}

static void fill(struct model *m, u32 handle, u32 key)
{
	struct cache *c = &m->kit.cache;
	u8 *bytes = malloc(m->size[key] + 1);

	for (u32 i = 0; i < m->size[key]; i++)
		bytes[i] = byte_of(key, m->version[key], i);
	cache_write(c, handle, 0, bytes, m->size[key]);
	free(bytes);
}

static void store(struct model *m, u32 key)
{
	struct cache *c = &m->kit.cache;
	char text[64];
	u32 len = name(text, key), old, handle, size = some_size(m);
	u64 hash = cache_hash(c, text, len);
	u32 expires = draw(m, 4) ? 0 : c->now + draw(m, 50);

	handle = cache_alloc(c, text, len, key % 3, expires, size);
	old = cache_find(c, text, len, hash);
	if (!handle) {
		if (old)
			cache_unlink(c, old, hash);
		m->version[key] = 0;
		return;
	}
	m->version[key]++;
	m->size[key] = size;
	m->expires[key] = expires;
	fill(m, handle, key);
	cache_link(c, handle, hash, old);
	cache_release(c, handle);
}

static void look(struct model *m, u32 key)
{
	struct cache *c = &m->kit.cache;
	char text[64];
	u32 len = name(text, key);
	u32 handle = cache_find(c, text, len, cache_hash(c, text, len));
	struct cache_item *it;
	u32 at, here;

	if (!handle) {
		m->lost += m->version[key] != 0 &&
			   !(m->expires[key] && m->expires[key] <= c->now);
		m->version[key] = 0;
		return;
	}
	it = cache_at(c, handle);
	cr_assert(m->version[key], "key %u was not stored", key);
	cr_assert(!m->expires[key] || m->expires[key] > c->now);
	cr_assert_eq(it->value_len, m->size[key]);
	cr_assert_eq(cache_client_flags(it), key % 3);
	for (at = 0; at < it->value_len; at += here) {
		const u8 *v = cache_value(c, handle, at, &here);

		cr_assert(here > 0);
		for (u32 i = 0; i < here; i++)
			cr_assert_eq(v[i], byte_of(key, m->version[key],
						   at + i));
	}
	cache_bump(c, handle);
}

static void drop(struct model *m, u32 key)
{
	struct cache *c = &m->kit.cache;
	char text[64];
	u32 len = name(text, key);
	u64 hash = cache_hash(c, text, len);
	u32 handle = cache_find(c, text, len, hash);

	if (handle)
		cache_unlink(c, handle, hash);
	m->version[key] = 0;
}

static void step(struct model *m)
{
	struct cache *c = &m->kit.cache;
	u32 key = draw(m, KEYS);

	switch (draw(m, 100)) {
	case 0 ... 39:
		store(m, key);
		break;
	case 40 ... 84:
		look(m, key);
		break;
	case 85 ... 94:
		drop(m, key);
		break;
	case 95:
		cache_crawl(c, 500);
		break;
	case 96:
		cache_set_time(c, c->now + draw(m, 3));
		break;
	case 97:
		cache_shrink(c, draw(m, 3));
		break;
	default:
		m->kit.fail = m->kit.fails ? draw(m, 2) : false;
	}
}

static void run(u64 budget, u64 seed, bool fails)
{
	struct model *m = calloc(1, sizeof(*m));

	m->random = seed;
	cr_assert_eq(kit_open(&m->kit, budget, seed), 0);
	m->kit.fails = fails;
	for (u32 i = 0; i < STEPS; i++) {
		step(m);
		if (i % 1000 == 0)
			kit_check(&m->kit);
	}
	for (u32 key = 0; key < KEYS; key++)
		look(m, key);
	kit_check(&m->kit);
	if (!m->kit.cache.stats.evictions && !fails)
		cr_assert_eq(m->lost, 0);
	kit_close(&m->kit);
	free(m);
}

Test(cache, keeps_what_was_stored)
{
	run(256 << 20, 1, false);
}

Test(cache, evicts_within_the_budget)
{
	for (u64 seed = 1; seed < 6; seed++)
		run(1 << 20, seed, false);
	run(8 << 20, 7, false);
}

Test(cache, goes_on_when_memory_is_refused)
{
	for (u64 seed = 1; seed < 6; seed++)
		run(4 << 20, seed, true);
}

Test(cache, every_failure_of_its_beginning)
{
	for (u32 n = 0; n < 3; n++) {
		struct kit k = { .fail_after = n + 1 };

		cr_assert_eq(kit_open(&k, 1 << 20, 0), -ENOMEM);
		cr_assert_eq(k.held, 0);
	}
}

static bool put(struct cache *c, const char *key, u32 len, u32 expires,
		u32 size)
{
	u64 hash = cache_hash(c, key, len);
	u32 handle = cache_alloc(c, key, len, 0, expires, size);

	if (!handle)
		return false;
	cache_link(c, handle, hash, cache_find(c, key, len, hash));
	cache_release(c, handle);
	return true;
}

static u32 get(struct cache *c, const char *key)
{
	u32 len = (u32)strlen(key);

	return cache_find(c, key, len, cache_hash(c, key, len));
}

Test(cache, expires_exactly)
{
	struct kit k = { 0 };

	kit_open(&k, 1 << 20, 0);
	cache_set_time(&k.cache, 100);
	put(&k.cache, "a", 1, 110, 5);
	cache_set_time(&k.cache, 109);
	cr_assert(get(&k.cache, "a"));
	cache_set_time(&k.cache, 110);
	cr_assert_not(get(&k.cache, "a"));
	cr_assert_eq(k.cache.count, 0);
	kit_close(&k);
}

Test(cache, crawler_finds_what_nobody_asks_for)
{
	struct kit k = { 0 };
	char key[16];

	kit_open(&k, 16 << 20, 0);
	cache_set_time(&k.cache, 100);
	for (u32 i = 0; i < 10000; i++)
		put(&k.cache, key, (u32)sprintf(key, "%u", i), i % 2 ? 0 : 150,
		    i % 700);
	cr_assert_eq(cache_crawl(&k.cache, 100000), 0);
	cache_set_time(&k.cache, 150);
	cr_assert_eq(cache_crawl(&k.cache, 100000), 5000);
	cr_assert_eq(k.cache.count, 5000);
	kit_check(&k);
	kit_close(&k);
}

Test(cache, a_held_item_stays_where_it_is)
{
	struct kit k = { 0 };
	char key[16];
	u32 held, len;
	u8 *at;

	kit_open(&k, 1 << 20, 0);
	put(&k.cache, "held", 4, 0, 100000);
	held = get(&k.cache, "held");
	memset(cache_value(&k.cache, held, 50000, &len), 'h', 9);
	at = cache_value(&k.cache, held, 50000, &len);
	cr_assert(cache_hold(&k.cache, held));
	for (u32 i = 0; i < 30000; i++)
		put(&k.cache, key, (u32)sprintf(key, "%u", i), 0, i % 3000);
	put(&k.cache, "held", 4, 0, 1);
	cr_assert_eq(memcmp(at, "hhhhhhhhh", 9), 0);
	cr_assert_eq(cache_value(&k.cache, held, 50000, &len), at);
	kit_check(&k);
	cache_release(&k.cache, held);
	kit_check(&k);
	kit_close(&k);
}

Test(cache, holds_are_counted)
{
	struct kit k = { 0 };
	u32 handle;

	kit_open(&k, 1 << 20, 0);
	put(&k.cache, "a", 1, 0, 5);
	handle = get(&k.cache, "a");
	for (u32 i = 0; i < CACHE_HOLDS_MAX; i++)
		cr_assert(cache_hold(&k.cache, handle));
	cr_assert_not(cache_hold(&k.cache, handle));
	for (u32 i = 0; i < CACHE_HOLDS_MAX; i++)
		cache_release(&k.cache, handle);
	cr_assert(get(&k.cache, "a"));
	kit_close(&k);
}

Test(cache, what_is_received_leaves_half)
{
	struct kit k = { 0 };
	u32 handle[64], n = 0;

	kit_open(&k, 2 << 20, 0);
	put(&k.cache, "a", 1, 0, 5);
	while (n < 64) {
		handle[n] = cache_alloc(&k.cache, "b", 1, 0, 0, 100000);
		if (!handle[n])
			break;
		n++;
	}
	cr_assert(n >= 5 && n < 11, "%u", n);
	cr_assert(get(&k.cache, "a"));
	while (n--)
		cache_release(&k.cache, handle[n]);
	cr_assert_eq(k.cache.pending_bytes, 0);
	kit_check(&k);
	kit_close(&k);
}

/* A cache full of small items makes room for large ones, and back. */
Test(cache, memory_moves_between_classes)
{
	static const u32 sizes[] = { 20, 4000, 20, 15000, 100 };
	struct kit k = { 0 };
	char key[16];

	kit_open(&k, 8 << 20, 0);
	for (u32 round = 0; round < ARRAY_SIZE(sizes); round++) {
		u32 count = (64 << 20) / (sizes[round] + 60);

		for (u32 i = 0; i < count; i++)
			cr_assert(put(&k.cache, key,
				      (u32)sprintf(key, "%u.%u", round, i), 0,
				      sizes[round]));
		kit_check(&k);
		cr_assert_gt(k.cache.bytes, (8 << 20) * 8 / 10,
			     "%llu bytes after round %u",
			     (unsigned long long)k.cache.bytes, round);
	}
	kit_close(&k);
}

/* What is fetched again and again outlives ten times the budget of scan. */
Test(cache, a_scan_does_not_drive_out_what_is_used)
{
	struct kit k = { 0 };
	char key[16];
	u32 found = 0;

	kit_open(&k, 4 << 20, 0);
	for (u32 i = 0; i < 200; i++)
		put(&k.cache, key, (u32)sprintf(key, "hot%u", i), 0, 1000);
	for (u32 i = 0; i < 40000; i++) {
		u32 handle;

		sprintf(key, "hot%u", i % 200);
		handle = get(&k.cache, key);
		if (handle)
			cache_bump(&k.cache, handle);
		put(&k.cache, key, (u32)sprintf(key, "scan%u", i), 0, 1000);
	}
	for (u32 i = 0; i < 200; i++) {
		sprintf(key, "hot%u", i);
		found += get(&k.cache, key) != 0;
	}
	cr_assert_geq(found, 198, "%u", found);
	kit_close(&k);
}

Test(cache, shrinks_to_its_floor)
{
	struct kit k = { .floor = 2 << 20 };
	char key[16];
	u32 held;

	kit_open(&k, 8 << 20, 0);
	for (u32 i = 0; i < 20000; i++)
		put(&k.cache, key, (u32)sprintf(key, "%u", i), 0, i % 900);
	held = k.held;
	cr_assert_eq(cache_shrink(&k.cache, 10), 10);
	cr_assert_eq(k.held, held - 10);
	kit_check(&k);
	cache_shrink(&k.cache, 100000);
	cr_assert_eq(cache_shrinkable(&k.cache), 0);
	cr_assert_geq(k.held, (2 << 20) / CACHE_PAGE_BYTES);
	cr_assert_leq(k.held, (2 << 20) / CACHE_PAGE_BYTES + 4);
	kit_check(&k);
	for (u32 i = 0; i < 20000; i++)
		put(&k.cache, key, (u32)sprintf(key, "%u", i), 0, i % 900);
	kit_check(&k);
	kit_close(&k);
}

Test(cache, flush_takes_what_was_stored_before)
{
	struct kit k = { 0 };

	kit_open(&k, 1 << 20, 0);
	cache_set_time(&k.cache, 50);
	put(&k.cache, "a", 1, 0, 1);
	cache_flush(&k.cache, 50);
	put(&k.cache, "b", 1, 0, 1);
	cr_assert_not(get(&k.cache, "a"));
	cr_assert(get(&k.cache, "b"));
	cache_flush(&k.cache, 60);
	cr_assert(get(&k.cache, "b"));
	cache_set_time(&k.cache, 60);
	cr_assert_not(get(&k.cache, "b"));
	kit_close(&k);
}

/* Items looked at by one pass over @keys keys that are stored. */
static u64 probes(u64 seed, char (*keys)[16], u32 count)
{
	struct kit k = { 0 };
	u64 n;

	kit_open(&k, 64 << 20, seed);
	for (u32 i = 0; i < count; i++)
		put(&k.cache, keys[i], (u32)strlen(keys[i]), 0, 8);
	k.cache.stats.probes = 0;
	for (u32 i = 0; i < count; i++)
		cr_assert(get(&k.cache, keys[i]));
	n = k.cache.stats.probes;
	kit_close(&k);
	return n;
}

Test(cache, keys_chosen_to_collide_do_not)
{
	enum { COUNT = 100000, BITS = 6 };
	char (*chosen)[16] = calloc(COUNT, sizeof(*chosen));
	char (*plain)[16] = calloc(COUNT, sizeof(*plain));
	u64 bad, good, normal;
	u32 n = 0;

	for (u32 i = 0; n < COUNT; i++) {
		int len = sprintf(chosen[n], "c%u", i);

		/* Their chains are 2^BITS times as long under seed 0. */
		n += !(sip_hash(0, 0, chosen[n], (size_t)len) &
		       ((1 << BITS) - 1));
	}
	for (u32 i = 0; i < COUNT; i++)
		sprintf(plain[i], "p%u", i * 64);
	bad = probes(0, chosen, COUNT);
	good = probes(0x5ca1ab1e, chosen, COUNT);
	normal = probes(0x5ca1ab1e, plain, COUNT);
	cr_assert_gt(bad, 10 * normal);
	cr_assert_leq(good, 2 * normal);
	free(chosen);
	free(plain);
}

/* Vectors of the reference implementation with one and three rounds. */
Test(cache, siphash_is_siphash_1_3)
{
	u8 data[8];

	for (u32 i = 0; i < sizeof(data); i++)
		data[i] = (u8)i;
	cr_assert_eq(sip_hash(0x0706050403020100, 0x0f0e0d0c0b0a0908, data, 0),
		     0xabac0158050fc4dcULL);
	cr_assert_eq(sip_hash(0x0706050403020100, 0x0f0e0d0c0b0a0908, data, 7),
		     0xd3927d989bb11140ULL);
}

Test(cache, refuses_what_it_cannot_be)
{
	struct cache c;
	struct cache_setup s = { .budget_bytes = CACHE_BUDGET_MIN - 1 };

	cr_assert_eq(cache_init(&c, &s), -EINVAL);
	s.budget_bytes = 1 << 21;
	s.floor_bytes = 1 << 22;
	cr_assert_eq(cache_init(&c, &s), -EINVAL);
	s.floor_bytes = 0;
	s.hot_percent = 50;
	s.warm_percent = 31;
	cr_assert_eq(cache_init(&c, &s), -EINVAL);
}
