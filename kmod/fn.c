// SPDX-License-Identifier: GPL-2.0-or-later
/* Registered functions and the rules on them; the contract is in fn.h. */
#include "fn.h"

#include <linux/export.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "instance.h"
#include "virgo_module.h"

static LIST_HEAD(registry);
static DEFINE_MUTEX(registry_lock);

/* A name that fits, of printable characters without spaces. */
static bool name_valid(const char *name, size_t size)
{
	size_t n = strnlen(name, size);
	size_t i;

	for (i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return n > 0 && n < size;
}

static struct virgo_fn *find(const char *name)
{
	struct virgo_fn *fn;

	list_for_each_entry(fn, &registry, link)
		if (!strcmp(fn->name, name))
			return fn;
	return NULL;
}

int virgo_register_fn(struct virgo_fn *fn)
{
	int ret = 0;

	if (!fn->name || !name_valid(fn->name, FN_NAME_BYTES) || !fn->call ||
	    fn->max_arg > VIRGO_FN_BYTES_MAX ||
	    fn->max_result > VIRGO_FN_BYTES_MAX)
		return -EINVAL;
	fn->running = 0;
	init_waitqueue_head(&fn->idle);
	mutex_lock(&registry_lock);
	if (find(fn->name))
		ret = -EEXIST;
	else
		list_add_tail(&fn->link, &registry);
	mutex_unlock(&registry_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(virgo_register_fn);

static bool is_idle(struct virgo_fn *fn)
{
	bool ret;

	mutex_lock(&registry_lock);
	ret = !fn->running;
	mutex_unlock(&registry_lock);
	return ret;
}

void virgo_unregister_fn(struct virgo_fn *fn)
{
	mutex_lock(&registry_lock);
	list_del(&fn->link);
	mutex_unlock(&registry_lock);
	wait_event(fn->idle, is_idle(fn));
}
EXPORT_SYMBOL_GPL(virgo_unregister_fn);

struct virgo_fn *fn_enter(const char *name)
{
	struct virgo_fn *fn;

	mutex_lock(&registry_lock);
	fn = find(name);
	if (fn && try_module_get(fn->owner))
		fn->running++;
	else
		fn = NULL;
	mutex_unlock(&registry_lock);
	return fn;
}

/* Under the lock to its end: who waits may free @fn as soon as he has it. */
void fn_leave(struct virgo_fn *fn)
{
	struct module *owner = fn->owner;

	mutex_lock(&registry_lock);
	if (!--fn->running)
		wake_up_all(&fn->idle);
	mutex_unlock(&registry_lock);
	module_put(owner);
}

ssize_t fn_run(struct virgo_fn *fn, const struct virgo_fn_caller *caller,
	       const void *arg, u32 arg_len, void *result, u32 result_size)
{
	ssize_t ret;

	if (arg_len > fn->max_arg)
		return -E2BIG;
	if (result_size > fn->max_result)
		result_size = fn->max_result;
	ret = fn->call(caller, arg, arg_len, result, result_size);
	return ret > (ssize_t)result_size ? -EMSGSIZE : ret;
}

void fn_rules_init(struct fn_rules *rules)
{
	mutex_init(&rules->lock);
	INIT_LIST_HEAD(&rules->list);
	INIT_LIST_HEAD(&rules->users);
}

static void free_rules(struct fn_rules *rules)
{
	struct fn_rule *rule, *next;

	list_for_each_entry_safe(rule, next, &rules->list, link) {
		list_del(&rule->link);
		rules->count--;
		kfree(rule);
	}
}

static void free_users(struct fn_rules *rules)
{
	struct fn_user *user, *next;

	list_for_each_entry_safe(user, next, &rules->users, link) {
		list_del(&user->link);
		rules->count--;
		kfree(user);
	}
}

void fn_rules_free(struct fn_rules *rules)
{
	free_rules(rules);
	free_users(rules);
}

static struct fn_rule *find_rule(struct fn_rules *rules, const char *name,
				 const char *node, const char *user)
{
	struct fn_rule *rule;

	list_for_each_entry(rule, &rules->list, link)
		if (!strcmp(rule->name, name) && !strcmp(rule->node, node) &&
		    !strcmp(rule->user, user))
			return rule;
	return NULL;
}

/* Under the lock. */
static bool is_full(struct instance *in)
{
	return in->rules.count >= instance_limit(in, LIMIT_RULES);
}

int fn_allow(struct instance *in, const char *name, const char *node,
	     const char *user)
{
	struct fn_rules *rules = &in->rules;
	struct fn_rule *rule;
	int ret = 0;

	/* This machine's kernel needs no leave. */
	if (!name_valid(name, FN_NAME_BYTES) || (!*node && !*user) ||
	    (*node && !name_valid(node, NODE_NAME_BYTES)) ||
	    (*user && !name_valid(user, USER_NAME_BYTES)))
		return -EINVAL;
	rule = kzalloc(sizeof(*rule), GFP_KERNEL_ACCOUNT);
	if (!rule)
		return -ENOMEM;
	strscpy(rule->name, name, sizeof(rule->name));
	strscpy(rule->node, node, sizeof(rule->node));
	strscpy(rule->user, user, sizeof(rule->user));
	mutex_lock(&rules->lock);
	if (find_rule(rules, name, node, user)) {
		kfree(rule);
	} else if (is_full(in)) {
		kfree(rule);
		ret = -EUSERS;
	} else {
		rules->count++;
		list_add_tail(&rule->link, &rules->list);
	}
	mutex_unlock(&rules->lock);
	return ret;
}

int fn_deny(struct instance *in, const char *name, const char *node,
	    const char *user)
{
	struct fn_rules *rules = &in->rules;
	struct fn_rule *rule;

	mutex_lock(&rules->lock);
	rule = find_rule(rules, name, node, user);
	if (rule) {
		list_del(&rule->link);
		rules->count--;
	}
	mutex_unlock(&rules->lock);
	kfree(rule);
	return rule ? 0 : -ENOENT;
}

void fn_deny_all(struct instance *in)
{
	mutex_lock(&in->rules.lock);
	free_rules(&in->rules);
	mutex_unlock(&in->rules.lock);
}

/* "Any node" is any other: this one's users are allowed by name. */
static bool covers(const struct fn_rule *rule, const char *name,
		   const char *node, const char *user)
{
	if (strcmp(rule->name, name))
		return false;
	if (strcmp(rule->node, node) && (!*node || strcmp(rule->node, FN_ANY)))
		return false;
	return !strcmp(rule->user, user) || !strcmp(rule->user, FN_ANY);
}

bool fn_allowed(struct instance *in, const char *name, const char *node,
		const char *user)
{
	struct fn_rule *rule;
	bool ret = false;

	mutex_lock(&in->rules.lock);
	list_for_each_entry(rule, &in->rules.list, link) {
		ret = covers(rule, name, node, user);
		if (ret)
			break;
	}
	mutex_unlock(&in->rules.lock);
	return ret;
}

static struct fn_user *user_of(struct fn_rules *rules, kuid_t uid)
{
	struct fn_user *user;

	list_for_each_entry(user, &rules->users, link)
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

int fn_user_allow(struct instance *in, kuid_t uid, const char *name)
{
	struct fn_rules *rules = &in->rules;
	struct fn_user *fresh, *user;
	int ret = 0;

	if (!uid_valid(uid) || !name_valid(name, USER_NAME_BYTES) ||
	    !strcmp(name, FN_ANY))
		return -EINVAL;
	fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return -ENOMEM;
	mutex_lock(&rules->lock);
	user = user_of(rules, uid);
	if (!user && is_full(in)) {
		ret = -EUSERS;
	} else if (!user) {
		user = fresh;
		fresh = NULL;
		user->uid = uid;
		rules->count++;
		list_add_tail(&user->link, &rules->users);
	}
	if (user)
		strscpy(user->name, name, sizeof(user->name));
	mutex_unlock(&rules->lock);
	kfree(fresh);
	return ret;
}

int fn_user_deny(struct instance *in, kuid_t uid)
{
	struct fn_rules *rules = &in->rules;
	struct fn_user *user;

	mutex_lock(&rules->lock);
	user = user_of(rules, uid);
	if (user) {
		list_del(&user->link);
		rules->count--;
	}
	mutex_unlock(&rules->lock);
	kfree(user);
	return user ? 0 : -ENOENT;
}

void fn_user_deny_all(struct instance *in)
{
	mutex_lock(&in->rules.lock);
	free_users(&in->rules);
	mutex_unlock(&in->rules.lock);
}

int fn_user_name(struct instance *in, kuid_t uid, char *name)
{
	struct fn_user *user;

	mutex_lock(&in->rules.lock);
	user = user_of(&in->rules, uid);
	if (user)
		strscpy(name, user->name, USER_NAME_BYTES);
	mutex_unlock(&in->rules.lock);
	return user ? 0 : -EPERM;
}

int fn_set_self(struct instance *in, const char *node)
{
	if (!name_valid(node, NODE_NAME_BYTES) || !strcmp(node, FN_ANY))
		return -EINVAL;
	mutex_lock(&in->rules.lock);
	strscpy(in->rules.self, node, sizeof(in->rules.self));
	mutex_unlock(&in->rules.lock);
	return 0;
}

bool fn_is_self(struct instance *in, const char *node)
{
	bool ret;

	if (!*node)
		return true;
	mutex_lock(&in->rules.lock);
	ret = !strcmp(in->rules.self, node);
	mutex_unlock(&in->rules.lock);
	return ret;
}
