// SPDX-License-Identifier: GPL-2.0-or-later
/* Accounts that may call kernel functions; the contract is in callers.h. */
#include "callers.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "offload.h"
#include "policy.h"
#include "users.h"

struct callers {
	struct node *node;
	struct offload *thread;
	u64 looks;
	void (*found)(void *arg, const struct caller_list *list);
	void *arg;
};

/* The thread's until it is done. The policy is immutable. */
struct look {
	struct offload_work work;
	struct callers *callers;
	struct policy *policy;
	u64 number;
	struct caller_list list;
	struct failure why; /* of the first that was not found */
};

static void look_free(struct offload_work *w)
{
	struct look *k = (struct look *)w;

	policy_put(k->policy);
	free(k->list.entries);
	free(k);
}

static void look_up(struct look *k, const char *account)
{
	const char *name = policy_cloud_name(k->policy, account);
	struct caller_entry *e = &k->list.entries[k->list.count];
	struct failure f = { 0 };
	struct user *u = NULL;

	if (!name || strlen(name) >= sizeof(e->name))
		failure_set(&f, -EINVAL, account, NULL,
			    "it has no name in the cloud, or a too long one");
	else if (user_find(&u, account, account, &f) == 0) {
		e->uid = u->uid;
		snprintf(e->name, sizeof(e->name), "%s", name);
		k->list.count++;
	}
	if (f.code && !k->why.code)
		k->why = f;
	free(u);
}

static void look_all(struct offload_work *w)
{
	struct look *k = (struct look *)w;
	const struct conf_list *users = &policy_conf(k->policy)->calls_users;
	u32 i;

	for (i = 0; i < users->count; i++)
		look_up(k, users->items[i]);
}

static void look_done(struct offload_work *w)
{
	struct look *k = (struct look *)w;
	struct callers *c = k->callers;

	if (k->why.code)
		log_error("[calls] users: %s: %s", k->why.object, k->why.what);
	if (k->number == c->looks)
		c->found(c->arg, &k->list);
	look_free(w);
}

struct callers *callers_new(struct node *n,
			    void (*found)(void *arg,
					  const struct caller_list *list),
			    void *arg)
{
	struct callers *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->node = n;
	c->found = found;
	c->arg = arg;
	c->thread = offload_new(n->loop);
	if (!c->thread) {
		free(c);
		return NULL;
	}
	return c;
}

void callers_free(struct callers *c)
{
	if (!c)
		return;
	c->looks++; /* nobody hears of those under way */
	while (offload_pending(c->thread))
		loop_step(c->node->loop, 100);
	offload_free(c->thread, look_free);
	free(c);
}

void callers_look(struct callers *c)
{
	const struct conf_list *users =
		&policy_conf(c->node->policy)->calls_users;
	struct look *k = calloc(1, sizeof(*k));

	if (k)
		k->list.entries = calloc(users->count + 1,
					 sizeof(*k->list.entries));
	if (!k || !k->list.entries) {
		free(k);
		log_error("[calls] users: out of memory");
		return;
	}
	k->callers = c;
	k->policy = policy_get(c->node->policy);
	k->number = ++c->looks;
	k->work.run = look_all;
	k->work.done = look_done;
	if (offload_run(c->thread, &k->work)) {
		log_error("[calls] users: no thread to look them up");
		look_free(&k->work);
	}
}
