// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * This node's cache where virgo.ko serves it. It lives in the module: local clients
 * use it without virgod, and it outlives virgod, which takes it over again. When
 * the module goes, it goes with it, and virgod serves an empty one in its place.
 *
 * The module knows no [allow]: where that keeps the nameless clients of the port
 * out, the cache is virgod's.
 */
#include <stdio.h>

#include "cached_impl.h"
#include "handover.h"
#include "kernel.h"
#include "log.h"

enum {
	AGAIN_US = 50000,
	TRIES_MAX = 200, /* until the module has let go of its port */
};

static struct module *module_of(struct cached *c)
{
	return handover_module(c->node->handover);
}

static bool admits_nobody(struct cached *c)
{
	const struct node *n = c->node;
	struct policy_grant grant;
	struct failure f;

	return !policy_admit(n->policy, n->local.node, "nobody", "cache",
			     &grant, &f);
}

bool kernel_may(struct cached *c, const struct cached_setup *s,
		char why[WHY_MAX])
{
	bool there = module_is_there(module_of(c));
	const char *what = NULL;
	struct kernel_info k;
	int ret;

	if (s->aside)
		what = "VIRGO_MODULE is off";
	else if (!policy_conf(c->node->policy)->cache_kernel)
		what = "[cache] kernel is no";
	else if (!s->port)
		what = "[cache] local is no";
	else if (!admits_nobody(c))
		what = "[allow] keeps nobody of this node out";
	if (what) {
		snprintf(why, WHY_MAX, "%s", what);
	} else if (!there) {
		ret = kernel_info(&k);
		snprintf(why, WHY_MAX, "virgo.ko: %s",
			 ret ? kernel_why(ret) : "it cannot be heard");
	}
	return !what && there;
}

static u32 seconds(u64 ms)
{
	return (u32)((ms + 999) / 1000);
}

/* What follows virgo_cloud.conf while the cache is served. */
static struct module_cache terms(const struct cached *c, u16 port)
{
	const struct conf_cloud *conf = policy_conf(c->node->policy);

	return (struct module_cache){
		.port = port,
		.idle_s = seconds(conf->cache_idle_ms),
		.stall_s = seconds(conf->cache_stall_ms),
		.clients = (u32)conf->cache_connections,
		.hot_percent = (u32)conf->cache_hot_percent,
		.warm_percent = (u32)conf->cache_warm_percent,
	};
}

static int start(struct cached *c, struct cached_setup *s, struct failure *f)
{
	struct module_cache mc = terms(c, s->port);
	char object[32];
	int ret;

	mc.bytes = s->bytes;
	mc.value_max = (u32)s->value_max;
	ret = module_cache_start(module_of(c), &mc);
	if (ret == -EADDRINUSE) {
		snprintf(object, sizeof(object), "127.0.0.1:%u", s->port);
		return failure_set(f, ret, object, "take another with --port",
				   "cannot listen: %s", strerror(-ret));
	}
	if (ret)
		return failure_set(f, ret, "cache", ret == -EINVAL ?
				   "hot_percent and warm_percent of [cache] 80 "
				   "together at most" : NULL,
				   "virgo.ko: %s", strerror(-ret));
	c->lost = *s;
	s->bytes = mc.bytes;
	s->value_max = mc.value_max;
	return 0;
}

static void stop(struct cached *c)
{
	int ret = module_cache_stop(module_of(c), c->setup.port);

	if (ret && ret != -ENOENT)
		log_error("virgo.ko: its cache cannot be stopped: %s",
			  strerror(-ret));
}

static bool is_there(struct cached *c)
{
	struct module_cache mc;

	return module_cache_find(module_of(c), c->setup.port, &mc) != -ENOENT;
}

const struct cached_backend cached_kernel = { .name = "kernel",
					      .start = start,
					      .stop = stop,
					      .is_there = is_there,
					      .ask = relay_ask,
					      .open = relay_open };

/* By virgod, as c->lost says, or the module if that came back. */
static void start_instead(struct timer *t)
{
	struct cached *c =
		(struct cached *)((char *)t - offsetof(struct cached, again));
	struct cached_setup s = c->lost;
	struct failure f;
	int ret = cached_start(c, &s, &f);

	if (ret == -EADDRINUSE && ++c->tries < TRIES_MAX)
		loop_arm(c->node->loop, t, AGAIN_US);
	else if (ret)
		log_error("%s: %s", f.object, f.what);
}

static void gone(void *arg)
{
	struct cached *c = arg;

	if (c->backend != &cached_kernel)
		return;
	log_warning("the cache went with virgo.ko, and what was in it");
	stream_end_all(c);
	c->backend = NULL;
	c->tries = 0;
	loop_arm(c->node->loop, &c->again, AGAIN_US);
}

void kernel_find(struct cached *c)
{
	struct module_cache mc;

	c->again.fire = start_instead;
	module_on_gone(module_of(c), gone, c);
	if (module_cache_find(module_of(c), 0, &mc))
		return;
	log_info("the kernel's cache on port %u is this node's", mc.port);
	c->setup = (struct cached_setup){ .port = mc.port,
					  .bytes = mc.bytes,
					  .value_max = mc.value_max };
	c->lost = c->setup;
	c->backend = &cached_kernel;
	kernel_reload(c);
}

static void change_terms(struct cached *c)
{
	const struct module_cache mc = terms(c, c->setup.port);
	int ret = module_cache_set(module_of(c), &mc);

	if (ret == -EINVAL)
		log_warning(CACHED_RATIO_STAYS);
	else if (ret && ret != -ENOENT)
		log_error("virgo.ko: its cache cannot be changed: %s",
			  strerror(-ret));
}

void kernel_reload(struct cached *c)
{
	if (c->backend != &cached_kernel)
		return;
	if (admits_nobody(c)) {
		change_terms(c);
		return;
	}
	log_warning("[allow] keeps nobody of this node out: the cache is "
		    "virgod's from now on, and empty");
	cached_stop(c);
	c->tries = 0;
	loop_arm(c->node->loop, &c->again, 1);
}

void kernel_forget(struct cached *c)
{
	loop_disarm(c->node->loop, &c->again);
}
