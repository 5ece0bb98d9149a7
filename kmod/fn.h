/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel functions: what other modules have registered by name, and which nodes
 * may call which, instance by instance. Nobody may, until told so.
 *
 * Locks: one mutex around the registry, one in each instance around its rules;
 * neither is held while a function runs.
 */
#ifndef VIRGO_KMOD_FN_H
#define VIRGO_KMOD_FN_H

#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct instance;
struct virgo_fn;

enum { FN_NAME_BYTES = 48, NODE_NAME_BYTES = 64 };

struct fn_rule {
	struct list_head link;
	char name[FN_NAME_BYTES];
	char node[NODE_NAME_BYTES];
};

struct fn_rules {
	struct mutex lock;
	struct list_head list;
	u32 count;
};

void fn_rules_init(struct fn_rules *rules);
void fn_rules_free(struct fn_rules *rules);
/* 0, also when it is so already; -EINVAL the names, -EUSERS too many, -ENOMEM. */
int fn_allow(struct instance *in, const char *name, const char *node);
/* 0 or -ENOENT. A call under way goes on. */
int fn_deny(struct instance *in, const char *name, const char *node);
bool fn_allowed(struct instance *in, const char *name, const char *node);

/* Holds the function and its module until fn_leave(); NULL when there is none. */
struct virgo_fn *fn_enter(const char *name);
void fn_leave(struct virgo_fn *fn);
/* Runs it within its limits. Bytes of the result, or its error; -E2BIG the
 * argument is too long, -EMSGSIZE its result does not fit.
 */
ssize_t fn_run(struct virgo_fn *fn, const char *node, ktime_t deadline,
	       const void *arg, u32 arg_len, void *result, u32 result_size);

#endif
