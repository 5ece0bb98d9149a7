// SPDX-License-Identifier: GPL-2.0-or-later
/* Caches for the kernel; what is said between nodes is in kcache_use.h. */
#include "kcache_use.h"

#include <linux/err.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "core/memcached.h"
#include "fn.h"
#include "instance.h"
#include "kcache.h"
#include "virgo_module.h"

#define GET_NAME "virgo.cache.get"
#define SET_NAME "virgo.cache.set"

enum {
	GET_HEAD = 2,
	GOT_HEAD = 4,
	SET_HEAD = 12,
};

static_assert(VIRGO_CACHE_VALUE_MAX + SET_HEAD + CACHE_KEY_MAX <=
	      VIRGO_FN_BYTES_MAX);

/* Of this node. */

static ssize_t get_here(struct instance *in, u16 port, const void *key,
			u32 key_len, void *value, u32 size, u32 *flags)
{
	struct kcache *kc = kcache_enter(in, port);
	ssize_t ret;

	if (!kc)
		return -ENODEV;
	ret = memcached_get(kcache_memcached(kc), key, key_len, value, size,
			    flags);
	kcache_leave(kc);
	return ret > size ? -EMSGSIZE : ret;
}

static int set_here(struct instance *in, u16 port, const void *key,
		    u32 key_len, const void *value, u32 len, u32 flags,
		    u32 ttl_s)
{
	struct kcache *kc = kcache_enter(in, port);
	int ret;

	if (!kc)
		return -ENODEV;
	ret = memcached_set(kcache_memcached(kc), key, key_len, value, len,
			    flags, ttl_s);
	kcache_leave(kc);
	return ret;
}

/* For other nodes. */

static ssize_t serve_get(const struct virgo_fn_caller *caller, const void *arg,
			 u32 arg_len, void *result, u32 result_size)
{
	u32 flags = 0;
	ssize_t ret;

	if (arg_len < GET_HEAD)
		return -EBADMSG;
	if (result_size < GOT_HEAD)
		return -EMSGSIZE;
	ret = get_here(caller->in, get_u16(arg), arg + GET_HEAD,
		       arg_len - GET_HEAD, result + GOT_HEAD,
		       result_size - GOT_HEAD, &flags);
	if (ret < 0)
		return ret;
	put_u32(result, flags);
	return GOT_HEAD + ret;
}

static ssize_t serve_set(const struct virgo_fn_caller *caller, const void *arg,
			 u32 arg_len, void *result, u32 result_size)
{
	const u8 *p = arg;
	u32 key_len;

	if (arg_len < SET_HEAD || p[3])
		return -EBADMSG;
	key_len = p[2];
	if (key_len > arg_len - SET_HEAD)
		return -EBADMSG;
	return set_here(caller->in, get_u16(p), p + SET_HEAD, key_len,
			p + SET_HEAD + key_len, arg_len - SET_HEAD - key_len,
			get_u32(p + 4), get_u32(p + 8));
}

static struct virgo_fn get_function = {
	.name = GET_NAME,
	.owner = THIS_MODULE,
	.max_arg = GET_HEAD + CACHE_KEY_MAX,
	.max_result = VIRGO_FN_BYTES_MAX,
	.quick = true,
	.call = serve_get,
};

static struct virgo_fn set_function = {
	.name = SET_NAME,
	.owner = THIS_MODULE,
	.max_arg = VIRGO_FN_BYTES_MAX,
	.quick = true,
	.call = serve_set,
};

/* Of other nodes. */

static ssize_t get_there(const struct virgo_cache_at *at, const void *key,
			 u32 key_len, void *value, u32 size, u32 *flags)
{
	u32 room = GOT_HEAD + min_t(u32, size, VIRGO_CACHE_VALUE_MAX);
	u8 arg[GET_HEAD + CACHE_KEY_MAX];
	ssize_t ret;
	u8 *got;

	if (key_len > CACHE_KEY_MAX)
		return -EINVAL;
	got = kvmalloc(room, GFP_KERNEL);
	if (!got)
		return -ENOMEM;
	put_u16(arg, at->port);
	memcpy(arg + GET_HEAD, key, key_len);
	ret = virgo_fn_call(at->net, at->node, GET_NAME, arg,
			    GET_HEAD + key_len, got, room, at->deadline_ms);
	if (ret >= 0 && ret < GOT_HEAD)
		ret = -EBADMSG;
	if (ret >= 0) {
		ret -= GOT_HEAD;
		*flags = get_u32(got);
		memcpy(value, got + GOT_HEAD, ret);
	}
	kvfree(got);
	return ret;
}

static int set_there(const struct virgo_cache_at *at, const void *key,
		     u32 key_len, const void *value, u32 len, u32 flags,
		     u32 ttl_s)
{
	ssize_t ret;
	u8 *arg;

	if (key_len > CACHE_KEY_MAX)
		return -EINVAL;
	if (len > VIRGO_CACHE_VALUE_MAX)
		return -E2BIG;
	arg = kvmalloc(SET_HEAD + key_len + len, GFP_KERNEL);
	if (!arg)
		return -ENOMEM;
	put_u16(arg, at->port);
	arg[2] = key_len;
	arg[3] = 0;
	put_u32(arg + 4, flags);
	put_u32(arg + 8, ttl_s);
	memcpy(arg + SET_HEAD, key, key_len);
	memcpy(arg + SET_HEAD + key_len, value, len);
	ret = virgo_fn_call(at->net, at->node, SET_NAME, arg,
			    SET_HEAD + key_len + len, NULL, 0,
			    at->deadline_ms);
	kvfree(arg);
	return ret;
}

/* The instance when @at is this node, NULL when it is another. */
static struct instance *here(const struct virgo_cache_at *at)
{
	struct instance *in = instance_of(at->net);

	if (IS_ERR(in) || fn_is_self(in, at->node))
		return in;
	instance_put(in);
	return NULL;
}

ssize_t virgo_cache_get(const struct virgo_cache_at *at, const void *key,
			u32 key_len, void *value, u32 size, u32 *flags)
{
	struct instance *in = here(at);
	u32 unwanted;
	ssize_t ret;

	if (IS_ERR(in))
		return PTR_ERR(in);
	if (!flags)
		flags = &unwanted;
	if (!in)
		return get_there(at, key, key_len, value, size, flags);
	ret = get_here(in, at->port, key, key_len, value, size, flags);
	instance_put(in);
	return ret;
}
EXPORT_SYMBOL_GPL(virgo_cache_get);

int virgo_cache_set(const struct virgo_cache_at *at, const void *key,
		    u32 key_len, const void *value, u32 len, u32 flags,
		    u32 ttl_s)
{
	struct instance *in = here(at);
	int ret;

	if (IS_ERR(in))
		return PTR_ERR(in);
	if (!in)
		return set_there(at, key, key_len, value, len, flags, ttl_s);
	ret = set_here(in, at->port, key, key_len, value, len, flags, ttl_s);
	instance_put(in);
	return ret;
}
EXPORT_SYMBOL_GPL(virgo_cache_set);

int kcache_use_init(void)
{
	int ret = virgo_register_fn(&get_function);

	if (ret)
		return ret;
	ret = virgo_register_fn(&set_function);
	if (ret)
		virgo_unregister_fn(&get_function);
	return ret;
}

void kcache_use_exit(void)
{
	virgo_unregister_fn(&set_function);
	virgo_unregister_fn(&get_function);
}
