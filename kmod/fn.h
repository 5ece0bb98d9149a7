/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel functions: what other modules have registered by name, and who may call
 * which, instance by instance. Nobody may, until told so.
 *
 * A caller is a node and a user of that node, whose name that node says; without
 * a name it is the node itself, its kernel or its administrator. Users have
 * numbers here and names elsewhere: which local ones may call at all, and by
 * which name, is told as well.
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
#include <linux/uidgid.h>

struct instance;
struct virgo_fn;
struct virgo_fn_caller;

enum { FN_NAME_BYTES = 48, NODE_NAME_BYTES = 64, USER_NAME_BYTES = 64 };

#define FN_ANY "*" /* in place of a node's or a user's name */

struct fn_rule {
	struct list_head link;
	char name[FN_NAME_BYTES];
	char node[NODE_NAME_BYTES]; /* "": this one, for its users; FN_ANY */
	char user[USER_NAME_BYTES]; /* "": the node itself; FN_ANY: all there */
};

/* A user of this machine who may call, with the rights of his name. */
struct fn_user {
	struct list_head link;
	kuid_t uid;
	char name[USER_NAME_BYTES];
};

struct fn_rules {
	struct mutex lock;
	struct list_head list; /* of fn_rule */
	struct list_head users; /* of fn_user */
	u32 count; /* of both */
	char self[NODE_NAME_BYTES]; /* what this node is called; "": not known */
};

void fn_rules_init(struct fn_rules *rules);
void fn_rules_free(struct fn_rules *rules);
/* 0, also when it is so already; -EINVAL the names, -EUSERS too many, -ENOMEM. */
int fn_allow(struct instance *in, const char *name, const char *node,
	     const char *user);
/* 0 or -ENOENT. A call under way goes on. */
int fn_deny(struct instance *in, const char *name, const char *node,
	    const char *user);
void fn_deny_all(struct instance *in);
bool fn_allowed(struct instance *in, const char *name, const char *node,
		const char *user);

/* The same for the users of this machine; another name replaces the first. */
int fn_user_allow(struct instance *in, kuid_t uid, const char *name);
int fn_user_deny(struct instance *in, kuid_t uid);
void fn_user_deny_all(struct instance *in);
/* The name of @uid into @name (USER_NAME_BYTES); -EPERM when he has none. */
int fn_user_name(struct instance *in, kuid_t uid, char *name);

/* 0 or -EINVAL. */
int fn_set_self(struct instance *in, const char *node);
bool fn_is_self(struct instance *in, const char *node);

/* Holds the function and its module until fn_leave(); NULL when there is none. */
struct virgo_fn *fn_enter(const char *name);
void fn_leave(struct virgo_fn *fn);
/* Runs it within its limits. Bytes of the result, or its error; -E2BIG the
 * argument is too long, -EMSGSIZE its result does not fit.
 */
ssize_t fn_run(struct virgo_fn *fn, const struct virgo_fn_caller *caller,
	       const void *arg, u32 arg_len, void *result, u32 result_size);

#endif
