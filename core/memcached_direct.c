// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Items by function calls instead of by a protocol, under the same rules: what
 * one way stores, the other finds.
 */
#include "memcached_impl.h"

/* One that every protocol can say. */
static bool key_is_good(const u8 *key, u32 len)
{
	u32 i;

	for (i = 0; i < len; i++)
		if (key[i] <= ' ' || key[i] == 127)
			return false;
	return len > 0 && len <= CACHE_KEY_MAX;
}

ssize_t memcached_get(struct memcached *m, const void *key, u32 key_len,
		      void *out, u32 size, u32 *flags)
{
	const struct run x = { .m = m };
	ssize_t ret = -ENOENT;
	struct shard s;
	u32 item;

	if (!key_is_good(key, key_len))
		return -EINVAL;
	s = shard_enter(&x, key, key_len);
	item = cache_find(s.cache, key, key_len, s.hash);
	s.s->counts.get_cmds++;
	if (item) {
		const struct cache_item *it = cache_at(s.cache, item);
		u32 len = it->value_len;

		*flags = cache_client_flags(it);
		cache_read(s.cache, item, 0, out, len < size ? len : size);
		cache_bump(s.cache, item);
		ret = len;
	} else {
		s.s->counts.get_misses++;
	}
	shard_leave(&x, &s);
	return ret;
}

static int store(struct run *x, struct shard *s, struct token key, u32 flags,
		 u32 ttl_s, const void *value, u32 len)
{
	const u32 now = x->m->now;
	u32 expires = 0;
	u32 item;

	if (ttl_s)
		expires = ttl_s < (u32)-1 - now ? now + ttl_s : (u32)-1;
	item = mc_store_begin(x, s, key, flags, expires, len);
	if (!item)
		return -ENOMEM;
	cache_write(s->cache, item, 0, value, len);
	mc_store_finish(x, s);
	cache_release(s->cache, item);
	return 0;
}

int memcached_set(struct memcached *m, const void *key, u32 key_len,
		  const void *value, u32 len, u32 flags, u32 ttl_s)
{
	struct memcached_conn conn = { .mode = STORE_SET };
	struct run x = { .m = m, .c = &conn };
	const struct token token = { .text = key, .len = key_len };
	struct shard s;
	int ret = -E2BIG;

	if (!key_is_good(key, key_len))
		return -EINVAL;
	s = shard_enter(&x, key, key_len);
	if (mc_size_ok(m, key_len, flags, len))
		ret = store(&x, &s, token, flags, ttl_s, value, len);
	else
		s.s->counts.store_too_large++;
	if (ret)
		mc_store_forget(&s, token);
	shard_leave(&x, &s);
	return ret;
}
