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

ssize_t fn_run(struct virgo_fn *fn, const char *node, ktime_t deadline,
	       const void *arg, u32 arg_len, void *result, u32 result_size)
{
	const struct virgo_fn_caller caller = {
		.node = node,
		.deadline = deadline,
	};
	ssize_t ret;

	if (arg_len > fn->max_arg)
		return -E2BIG;
	if (result_size > fn->max_result)
		result_size = fn->max_result;
	ret = fn->call(&caller, arg, arg_len, result, result_size);
	return ret > (ssize_t)result_size ? -EMSGSIZE : ret;
}

void fn_rules_init(struct fn_rules *rules)
{
	mutex_init(&rules->lock);
	INIT_LIST_HEAD(&rules->list);
}

void fn_rules_free(struct fn_rules *rules)
{
	struct fn_rule *rule, *next;

	list_for_each_entry_safe(rule, next, &rules->list, link)
		kfree(rule);
}

static struct fn_rule *find_rule(struct fn_rules *rules, const char *name,
				 const char *node)
{
	struct fn_rule *rule;

	list_for_each_entry(rule, &rules->list, link)
		if (!strcmp(rule->name, name) && !strcmp(rule->node, node))
			return rule;
	return NULL;
}

int fn_allow(struct instance *in, const char *name, const char *node)
{
	struct fn_rules *rules = &in->rules;
	struct fn_rule *rule;
	int ret = 0;

	if (!name_valid(name, FN_NAME_BYTES) ||
	    !name_valid(node, NODE_NAME_BYTES))
		return -EINVAL;
	rule = kzalloc(sizeof(*rule), GFP_KERNEL_ACCOUNT);
	if (!rule)
		return -ENOMEM;
	strscpy(rule->name, name, sizeof(rule->name));
	strscpy(rule->node, node, sizeof(rule->node));
	mutex_lock(&rules->lock);
	if (find_rule(rules, name, node)) {
		kfree(rule);
	} else if (rules->count >= instance_limit(in, LIMIT_RULES)) {
		kfree(rule);
		ret = -EUSERS;
	} else {
		rules->count++;
		list_add_tail(&rule->link, &rules->list);
	}
	mutex_unlock(&rules->lock);
	return ret;
}

int fn_deny(struct instance *in, const char *name, const char *node)
{
	struct fn_rules *rules = &in->rules;
	struct fn_rule *rule;

	mutex_lock(&rules->lock);
	rule = find_rule(rules, name, node);
	if (rule) {
		list_del(&rule->link);
		rules->count--;
	}
	mutex_unlock(&rules->lock);
	kfree(rule);
	return rule ? 0 : -ENOENT;
}

bool fn_allowed(struct instance *in, const char *name, const char *node)
{
	bool ret;

	mutex_lock(&in->rules.lock);
	ret = find_rule(&in->rules, name, node);
	mutex_unlock(&in->rules.lock);
	return ret;
}
