// SPDX-License-Identifier: GPL-2.0-or-later
/* Instances: one a network namespace; what they are is in instance.h. */
#include "instance.h"

#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <net/netns/generic.h>

#include "vars.h"

struct slot {
	struct instance *instance; /* NULL where there may be none */
};

static unsigned int slot_id;
static atomic_t living = ATOMIC_INIT(0);

static const struct {
	u32 min, max, def;
} limits[LIMIT_COUNT] = {
	[LIMIT_CONNECTIONS] = { 1, CONNECTIONS_MAX, 4096 },
	[LIMIT_HANDLES] = { 1, 65536, 1024 },
	[LIMIT_RULES] = { 1, 65536, 4096 },
	[LIMIT_CALLS] = { 1, 4096, 256 },
	[LIMIT_JOBS] = { 1, 1024, 64 },
	[LIMIT_CACHES] = { 1, 64, 8 },
};

static void instance_release(struct kref *ref)
{
	struct instance *in = container_of(ref, struct instance, ref);

	vars_free(&in->vars);
	fn_rules_free(&in->rules);
	kfree(in);
	atomic_dec(&living);
}

struct instance *instance_get(struct instance *in)
{
	kref_get(&in->ref);
	return in;
}

void instance_put(struct instance *in)
{
	kref_put(&in->ref, instance_release);
}

struct net *instance_net(struct instance *in)
{
	struct net *net;

	spin_lock_bh(&in->net_lock);
	net = in->net ? maybe_get_net(in->net) : NULL;
	spin_unlock_bh(&in->net_lock);
	return net;
}

struct instance *instance_of(struct net *net)
{
	struct slot *slot = net_generic(net, slot_id);

	if (!slot->instance)
		return ERR_PTR(-ENODEV);
	return instance_get(slot->instance);
}

u32 instance_limit(const struct instance *in, enum limit which)
{
	return READ_ONCE(in->limits[which]);
}

void instance_set_limit(struct instance *in, enum limit which, u32 value)
{
	WRITE_ONCE(in->limits[which],
		   clamp(value, limits[which].min, limits[which].max));
}

static int __net_init namespace_begins(struct net *net)
{
	struct slot *slot = net_generic(net, slot_id);
	struct instance *in;
	int i;

	if (net->user_ns != &init_user_ns)
		return 0;
	in = kzalloc(sizeof(*in), GFP_KERNEL_ACCOUNT);
	if (!in)
		return -ENOMEM;
	kref_init(&in->ref);
	in->net = net;
	spin_lock_init(&in->net_lock);
	for (i = 0; i < LIMIT_COUNT; i++)
		in->limits[i] = limits[i].def;
	vars_init(&in->vars);
	fn_rules_init(&in->rules);
	conns_init(&in->conns);
	wants_init(&in->wants);
	locals_init(&in->locals);
	caches_init(&in->caches);
	atomic_inc(&living);
	slot->instance = in;
	return 0;
}

/* Nobody in the namespace is left; files and handles may still be. */
static void __net_exit namespace_ends(struct net *net)
{
	struct slot *slot = net_generic(net, slot_id);
	struct instance *in = slot->instance;

	if (!in)
		return;
	slot->instance = NULL;
	WRITE_ONCE(in->dead, true);
	want_news(in);
	caches_end(in);
	conns_end(&in->conns);
	vars_stop(&in->vars);
	spin_lock_bh(&in->net_lock);
	in->net = NULL;
	spin_unlock_bh(&in->net_lock);
	instance_put(in);
}

static struct pernet_operations operations = {
	.init = namespace_begins,
	.exit = namespace_ends,
	.id = &slot_id,
	.size = sizeof(struct slot),
};

int instances_init(void)
{
	return register_pernet_subsys(&operations);
}

void instances_exit(void)
{
	unregister_pernet_subsys(&operations);
}

int instances_living(void)
{
	return atomic_read(&living);
}
