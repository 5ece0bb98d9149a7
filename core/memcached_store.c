// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the memcached commands do to items, whichever protocol they came by: the
 * modes of storing with compare and swap, arithmetic, times, and sizes as
 * memcached 1.6.18 counts them.
 */
#include "memcached_impl.h"

enum {
	NOMINAL_HEADER = 48 + 8, /* memcached's item and its number */
	NOMINAL_SLOT_MIN = 96,
	NOMINAL_SLOT_MAX = 512 << 10,
	DIGITS_MAX = 20,
};

const char mc_not_a_number[] =
	"CLIENT_ERROR cannot increment or decrement non-numeric value";

u32 mc_time_of(const struct memcached *m, s64 exptime)
{
	if (exptime == 0)
		return 0;
	if (exptime <= RELATIVE_MAX_S)
		return (u32)(exptime + m->now);
	return exptime <= m->started_s ? 1 : (u32)(exptime - m->started_s);
}

u32 mc_time_of_text(const struct memcached *m, s32 exptime)
{
	return mc_time_of(m, exptime < 0 ? RELATIVE_MAX_S + 1 : exptime);
}

u32 nominal_bytes(u32 key_len, u32 flags, u64 value_len)
{
	return (u32)(NOMINAL_HEADER + key_len + 1 + (flags ? 4 : 0) +
		     value_len + 2);
}

bool mc_size_ok(const struct memcached *m, u32 key_len, u32 flags, u64 value_len)
{
	return value_len <= CACHE_VALUE_LIMIT &&
	       nominal_bytes(key_len, flags, value_len) <= m->value_max;
}

/* Its slab classes grow by a quarter from 96 bytes, in multiples of 8. */
u32 nominal_class(u32 bytes)
{
	u32 size = NOMINAL_SLOT_MIN, k = 1;

	while (size < bytes && size <= NOMINAL_SLOT_MAX * 4 / 5) {
		size = (size + size / 4 + 7) & ~7u;
		k++;
	}
	return k;
}

u32 mc_store_begin(struct run *x, struct shard *s, struct token key, u32 flags,
		u32 expires, u32 value_len)
{
	u32 item = cache_alloc(s->cache, key.text, key.len, flags, expires,
			       value_len);

	if (!item) {
		s->s->counts.store_no_memory++;
		return 0;
	}
	x->c->item = item;
	x->c->hash = s->hash;
	x->c->state = MEMCACHED_VALUE;
	return item;
}

void mc_store_forget(struct shard *s, struct token key)
{
	u32 old = cache_find(s->cache, key.text, key.len, s->hash);

	if (old)
		cache_unlink(s->cache, old, s->hash);
}

static void copy(struct cache *c, u32 from, u32 to, u32 at)
{
	u32 done = 0, len;
	const u8 *v;

	while ((v = cache_value(c, from, done, &len))) {
		cache_write(c, to, at + done, v, len);
		done += len;
	}
}

/* A new item of @old's value and @made's; 0 when there is no memory. */
static u32 joined(struct run *x, struct shard *s, u32 old, u32 made,
		  bool made_first)
{
	struct cache *c = s->cache;
	struct cache_item *o = cache_at(c, old), *n = cache_at(c, made);
	u32 old_len = o->value_len, len = n->value_len;
	u32 both;

	if (!mc_size_ok(x->m, o->key_len, cache_client_flags(o),
			(u64)old_len + len) ||
	    !cache_hold(c, old))
		return 0;
	both = cache_alloc(c, cache_key(o), o->key_len, cache_client_flags(o),
			   o->expires, old_len + len);
	if (both) {
		copy(c, old, both, made_first ? len : 0);
		copy(c, made, both, made_first ? 0 : old_len);
	}
	cache_release(c, old);
	return both;
}

enum match { MATCH_NONE, MATCH_YES, MATCH_STALE, MATCH_NO };

static enum match match(const struct memcached_conn *c,
			const struct cache_item *old)
{
	if (!c->unique)
		return MATCH_NONE;
	if (c->unique == cache_unique(old))
		return MATCH_YES;
	if (c->command & COMMAND_STALE && c->unique < cache_unique(old))
		return MATCH_STALE;
	return MATCH_NO;
}

/* May @made take the place of @old? STORED if so. */
static enum store_result replaces(struct run *x, struct shard *s, u32 made,
				  u32 old)
{
	struct cache_item *n = cache_at(s->cache, made);
	struct cache_item *o = cache_at(s->cache, old);
	u64 *counters = s->cache->classes[o->class].commands;
	enum match m = match(x->c, o);

	switch (x->c->mode) {
	case STORE_ADD:
		cache_update(s->cache, old);
		return NOT_STORED;
	case STORE_CAS:
		if (m == MATCH_STALE) {
			n->expires = o->expires;
			n->bits |= CACHE_STALE | (o->bits & CACHE_TOKEN_SENT);
		} else if (m != MATCH_YES) {
			counters[CACHE_CAS_MISMATCHES]++;
			return CHANGED;
		}
		counters[CACHE_CAS_HITS]++;
		return STORED;
	case STORE_APPEND:
	case STORE_PREPEND:
		return m == MATCH_NONE || m == MATCH_YES ? STORED : CHANGED;
	default:
		return STORED;
	}
}

static enum store_result without_old(struct run *x, struct shard *s)
{
	switch (x->c->mode) {
	case STORE_ADD:
	case STORE_SET:
		return STORED;
	case STORE_CAS:
		s->s->counts.cas_misses++;
		return NOT_FOUND;
	default:
		return NOT_STORED;
	}
}

enum store_result mc_store_finish(struct run *x, struct shard *s)
{
	struct memcached_conn *c = x->c;
	struct cache_item *it = cache_at(s->cache, c->item);
	u32 made = c->item, both = 0;
	u32 old = cache_find(s->cache, cache_key(it), it->key_len, s->hash);
	enum store_result result;

	s->cache->classes[it->class].commands[CACHE_SETS]++;
	result = old ? replaces(x, s, made, old) : without_old(x, s);
	if (result != STORED)
		return result;
	if (old && (c->mode == STORE_APPEND || c->mode == STORE_PREPEND)) {
		both = joined(x, s, old, made, c->mode == STORE_PREPEND);
		if (!both)
			return NOT_STORED;
		made = both;
		/* Making room may have moved it, or have driven it out. */
		old = cache_find(s->cache, cache_key(it), it->key_len, s->hash);
	}
	cache_link(s->cache, made, s->hash, old);
	c->unique = cache_unique(cache_at(s->cache, made));
	if (both)
		cache_release(s->cache, both);
	return STORED;
}

/* The number at the beginning of a value that may have spaces behind it. */
static bool read_value(const struct cache *c, u32 item, u64 *out)
{
	u32 len;
	const u8 *v = cache_value(c, item, 0, &len);

	/* memcached refuses what it keeps in chunks. */
	if (!v || cache_at(c, item)->value_len > NOMINAL_SLOT_MAX)
		return false;
	return number_u64((struct token){ v, len }, out);
}

static void write_value(struct cache *c, u32 item, const u8 *digits, u32 len)
{
	static const u8 spaces[] = "                                ";
	u32 rest = cache_at(c, item)->value_len - len, at = len;

	cache_write(c, item, 0, digits, len);
	while (rest) {
		u32 n = rest < sizeof(spaces) - 1 ? rest :
						    (u32)sizeof(spaces) - 1;

		cache_write(c, item, at, spaces, n);
		at += n;
		rest -= n;
	}
}

/* The number has grown longer than its item, or somebody still sends that. */
static u32 replace_number(struct shard *s, u32 old, struct token key,
			  const u8 *digits, u32 len)
{
	struct cache *c = s->cache;
	struct cache_item *it = cache_at(c, old);
	u32 made = cache_alloc(c, key.text, key.len, cache_client_flags(it),
			       it->expires, len);

	if (!made)
		return 0;
	write_value(c, made, digits, len);
	cache_link(c, made, s->hash,
		   cache_find(c, key.text, key.len, s->hash));
	cache_release(c, made);
	return made;
}

enum delta_result mc_store_delta(struct run *x, struct shard *s, struct delta *d)
{
	struct cache *c = s->cache;
	u32 item = cache_find(c, d->key.text, d->key.len, s->hash);
	struct cache_item *it;
	u8 digits[DIGITS_MAX];
	u32 len;

	if (!item)
		return DELTA_NOT_FOUND;
	it = cache_at(c, item);
	if (!it->value_len)
		return DELTA_NOT_NUMBER;
	if (d->unique && d->unique != cache_unique(it))
		return DELTA_MISMATCH;
	if (!read_value(c, item, &d->value))
		return DELTA_NOT_NUMBER;
	if (d->increase)
		d->value += d->by;
	else
		d->value = d->by > d->value ? 0 : d->value - d->by;
	c->classes[it->class].commands[d->increase ? CACHE_INCREASES :
						     CACHE_DECREASES]++;
	len = number_print(d->value, digits);
	d->replaced = len > it->value_len || cache_held(it);
	if (d->replaced) {
		item = replace_number(s, item, d->key, digits, len);
		if (!item)
			return DELTA_NO_MEMORY;
	} else {
		cache_set_unique(it, cache_next_unique(c));
		write_value(c, item, digits, len);
		cache_update(c, item);
	}
	d->item = item;
	d->unique = cache_unique(cache_at(c, item));
	return DELTA_OK;
}

void mc_store_flush(struct run *x, s64 exptime)
{
	struct memcached *m = x->m;
	u32 i;

	for (i = 0; i < m->shard_count; i++) {
		if (m->lock)
			m->lock(m->arg, i);
		cache_flush(&m->shards[i].cache,
			    exptime > 0 ? mc_time_of(m, exptime) : m->now);
		m->shards[i].counts.flush_cmds += i == 0;
		if (m->unlock)
			m->unlock(m->arg, i);
	}
}
