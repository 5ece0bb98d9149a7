/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virgo.ko for other modules. All symbols are for GPL-compatible modules.
 */
#ifndef VIRGO_MODULE_H
#define VIRGO_MODULE_H

#include "core/var.h"

#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/wait.h>

struct instance;
struct module;
struct net;
struct virgo_var;

/* --- variables --- */

/*
 * A handle on the variable @name of the namespace @net (&init_net: the
 * machine's own). The variable need not exist yet. @want says which type the
 * caller expects, its own limits, the greatest age it acts on and its default.
 *
 * @changed, if not NULL, is called after the variable was set: in a work item,
 * where it may sleep; several changes may be told once, the last always is. It
 * must not look up or put handles. It is not called any more once
 * virgo_var_put() has returned.
 *
 * May sleep. ERR_PTR: -ENODEV no VIRGO in @net, -EINVAL the name or @want,
 * -EUSERS too many handles, -ENOMEM.
 */
struct virgo_var *virgo_var_lookup(struct net *net, const char *name,
				   const struct var_want *want,
				   void (*changed)(struct virgo_var *v,
						   void *data),
				   void *data);

/* Gives the handle back; NULL is allowed. May sleep. */
void virgo_var_put(struct virgo_var *v);

/*
 * Sets @value to what the caller should act on: the variable's value, or the
 * default in its @want, with the reason as var_judge() gives it; -ENODEV after
 * the namespace has ended. Any context, an NMI included; never blocks.
 */
int virgo_var_get(struct virgo_var *v, u64 *value);

/* --- functions --- */

enum { VIRGO_FN_BYTES_MAX = 64 << 10 };

struct virgo_fn_caller {
	const char *node; /* "" when called on this machine */
	const char *user; /* of that node; "": its kernel or administrator */
	ktime_t deadline; /* by ktime_get(): nobody waits for longer */
	struct instance *in; /* virgo.ko's own */
};

struct virgo_fn {
	const char *name; /* at most 47 characters */
	struct module *owner; /* THIS_MODULE */
	u32 max_arg, max_result; /* bytes, at most VIRGO_FN_BYTES_MAX */
	/* It neither waits, but for memory or a lock that is held as briefly, nor
	 * calls another node: then it is run without a queue, and the connection's
	 * next request after it.
	 */
	bool quick;
	/*
	 * Bytes put into @result, at most @result_size, or a negative errno. May
	 * sleep, and be called many times at once. @arg comes from another
	 * machine: to be checked like any user's.
	 */
	ssize_t (*call)(const struct virgo_fn_caller *caller, const void *arg,
			u32 arg_len, void *result, u32 result_size);

	/* virgo.ko's own. */
	struct list_head link;
	u32 running;
	wait_queue_head_t idle;
};

/* Lets other nodes call @fn, those that policy allows (virgo(4)). @fn stays
 * until it is unregistered. 0, -EINVAL, -EEXIST. May sleep.
 */
int virgo_register_fn(struct virgo_fn *fn);
/* Waits until no call is under way. Not from within the function. */
void virgo_unregister_fn(struct virgo_fn *fn);

/*
 * Calls function @name of the node @node ("" for this machine) from the
 * namespace @net and waits for @deadline_ms at most, or until the caller is
 * killed. Bytes of the result in @result, or what the function gave, or:
 * -EHOSTDOWN no connection to the node was handed to the module, -ECONNRESET it
 * broke (the function may have run), -ETIMEDOUT (likewise), -EACCES not allowed
 * there, -ENOENT no such function, -EBUSY, -ENOBUFS too much under way, -E2BIG,
 * -EMSGSIZE the argument or the result is too long, -EINTR killed. May sleep.
 */
ssize_t virgo_fn_call(struct net *net, const char *node, const char *name,
		      const void *arg, u32 arg_len, void *result,
		      u32 result_size, u32 deadline_ms);

/* --- caches --- */

enum { VIRGO_CACHE_VALUE_MAX = VIRGO_FN_BYTES_MAX - 512 };

/* A node's kmemcache (virgo(4)). */
struct virgo_cache_at {
	struct net *net; /* the namespace we are in */
	const char *node; /* "" for this machine */
	u16 port; /* 0: the first cache there */
	u32 deadline_ms; /* of another node; as in virgo_fn_call() */
};

/*
 * The value of @key, at most @size bytes of it, into @value, and what its client
 * stored as flags into @flags, which may be NULL. Keys are the text protocol's: 1 to
 * 250 bytes, no blank, no control character. Bytes of the value, or -ENOENT no
 * such key, -ENODEV no such cache, -EINVAL the key, -EMSGSIZE it is longer than
 * @size, or VIRGO_CACHE_VALUE_MAX on another node; and as virgo_fn_call(): the node
 * has to allow "virgo.cache.get". May sleep.
 */
ssize_t virgo_cache_get(const struct virgo_cache_at *at, const void *key,
			u32 key_len, void *value, u32 size, u32 *flags);
/* Stores for @ttl_s seconds, 0: for ever. 0, or -E2BIG the value is too long,
 * -ENOMEM, and as above; the node has to allow "virgo.cache.set". May sleep.
 */
int virgo_cache_set(const struct virgo_cache_at *at, const void *key,
		    u32 key_len, const void *value, u32 len, u32 flags,
		    u32 ttl_s);

#endif
