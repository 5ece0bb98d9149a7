// SPDX-License-Identifier: GPL-2.0-or-later
/* kmemcache: starting, stopping, its clock, its state; what it is made of is in
 * kcache.h.
 */
#include "kcache_impl.h"

#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "conn.h"
#include "instance.h"
#include "vars.h"

enum {
	BUDGET_DEFAULT = 64 << 20,
	VALUE_MIN = 1024,
	CRAWL_SLOTS = 2000, /* of each shard, a second */
	SHARE_MAX = 40, /* so that both together are never too much */
};

static u32 second(const struct kcache *kc)
{
	return (u32)(ktime_get_boottime_seconds() - kc->origin_s);
}

/* A percentage that a variable may set. */
static u32 share(struct kcache *kc, u32 *slot, const char *name, u32 fallback)
{
	const struct var_want want = {
		.type = VAR_U64,
		.min = 1,
		.max = SHARE_MAX,
		.fallback = fallback,
	};
	u64 value;

	/* Whatever it gives, value is what to act on. */
	vars_act_on(kc->in, slot, name, &want, &value);
	return value;
}

/* A variable that does not go with the other share is not acted on. */
static void find_shares(struct kcache *kc, u32 *hot, u32 *warm)
{
	const u32 own_hot = READ_ONCE(kc->setup.terms.hot_percent);
	const u32 own_warm = READ_ONCE(kc->setup.terms.warm_percent);

	*hot = share(kc, &kc->hot_slot, "cache.hot_percent", own_hot);
	*warm = share(kc, &kc->warm_slot, "cache.warm_percent", own_warm);
	if (cache_ratio_is_good(*hot, *warm))
		return;
	*hot = own_hot;
	*warm = own_warm;
}

static void tick(struct work_struct *work)
{
	struct kcache *kc = container_of(work, struct kcache, tick.work);
	u32 hot, warm;
	u32 i;

	find_shares(kc, &hot, &warm);
	memcached_set_time(&kc->m, second(kc));
	for (i = 0; i < kc->m.shard_count; i++) {
		mutex_lock(&kc->locks[i]);
		cache_set_ratio(&kc->shards[i].cache, hot, warm);
		cache_crawl(&kc->shards[i].cache, CRAWL_SLOTS);
		mutex_unlock(&kc->locks[i]);
		cond_resched();
	}
	queue_delayed_work(virgo_ctl, &kc->tick, HZ);
}

static void describe(void *arg, struct memcached_server *out)
{
	struct kcache *kc = arg;
	const u32 limit = instance_limit(kc->in, LIMIT_CONNECTIONS);
	const u32 clients = READ_ONCE(kc->setup.terms.clients);

	*out = (struct memcached_server){
		.max_connections = clients ? min(clients, limit) : limit,
		.curr_connections = READ_ONCE(kc->connections),
		.total_connections = atomic64_read(&kc->total),
		.rejected_connections = atomic64_read(&kc->rejected),
		.idle_kicks = atomic64_read(&kc->idle_kicks),
		.bytes_read = atomic64_read(&kc->bytes_in),
		.bytes_written = atomic64_read(&kc->bytes_out),
		.threads = num_online_cpus(),
		.port = kc->setup.port,
		.idle_timeout_s = READ_ONCE(kc->setup.terms.idle_s),
	};
}

static void clamp_setup(struct kcache_setup *s)
{
	u64 half = (u64)totalram_pages() * PAGE_SIZE / 2;

	if (!s->budget_bytes)
		s->budget_bytes = BUDGET_DEFAULT;
	s->budget_bytes = clamp_t(u64, s->budget_bytes, SHARD_BYTES_MIN,
				  max_t(u64, half, SHARD_BYTES_MIN));
	if (!s->value_max)
		s->value_max = MEMCACHED_VALUE_MAX;
	/* A value may take half a shard. */
	s->value_max = clamp_t(u32, s->value_max, VALUE_MIN,
			       SHARD_BYTES_MIN / 2);
}

static struct kcache *kcache_new(struct instance *in,
				 const struct kcache_setup *setup)
{
	struct kcache *kc = kzalloc(sizeof(*kc), GFP_KERNEL_ACCOUNT);

	if (!kc)
		return NULL;
	kc->in = in;
	kc->setup = *setup;
	clamp_setup(&kc->setup);
	spin_lock_init(&kc->lock);
	INIT_LIST_HEAD(&kc->replies);
	init_waitqueue_head(&kc->none);
	INIT_DELAYED_WORK(&kc->tick, tick);
	kc->listener.accepted = kcache_accepted;
	kc->shrink.count = kcache_shrink_count;
	kc->shrink.scan = kcache_shrink_scan;
	/* Second 2 is now: earlier ones mean "never" and "at once". */
	kc->origin_s = ktime_get_boottime_seconds() - 2;
	kc->m = (struct memcached){
		.lock = kcache_lock_shard,
		.unlock = kcache_unlock_shard,
		.describe = describe,
		.arg = kc,
		/* Clients go by the number. */
		.version = "1.6.18-virgo-" VIRGO_VERSION,
		.value_max = kc->setup.value_max,
		.started_s = ktime_get_real_seconds() - 2,
	};
	return kc;
}

static int run_cache(struct kcache *kc)
{
	int ret = kcache_make_shards(kc);

	if (ret)
		return ret;
	memcached_set_time(&kc->m, second(kc));
	ret = shrink_start(&kc->shrink);
	if (ret)
		goto end_shards;
	ret = listen_start(&kc->listener, kc->in->net, kc->setup.port);
	if (ret)
		goto stop_shrink;
	queue_delayed_work(virgo_ctl, &kc->tick, HZ);
	return 0;

stop_shrink:
	shrink_stop(&kc->shrink);
end_shards:
	kcache_end_shards(kc);
	return ret;
}

/* Who still finds it now is not let in; he may look at it until RCU's next grace. */
static void shut(struct kcache *kc)
{
	list_del_rcu(&kc->link);
	spin_lock(&kc->lock);
	kc->ending = true;
	spin_unlock(&kc->lock);
}

/* Backwards. */
static void end_cache(struct kcache *kc)
{
	shut(kc);
	listen_stop(&kc->listener);
	kcache_close_clients(kc);
	cancel_delayed_work_sync(&kc->tick);
	shrink_stop(&kc->shrink);
	kcache_end_shards(kc);
	kcache_free_replies(kc);
	kfree_rcu(kc, rcu);
}

/* Under the lock. */
static struct kcache *find(struct caches *cs, u16 port)
{
	struct kcache *kc;

	list_for_each_entry(kc, &cs->list, link)
		if (kc->setup.port == port)
			return kc;
	return NULL;
}

static bool are_good(const struct kcache_terms *t)
{
	return cache_ratio_is_good(t->hot_percent, t->warm_percent);
}

int kcache_start(struct instance *in, const struct kcache_setup *setup)
{
	struct caches *cs = &in->caches;
	struct kcache *kc;
	int ret = 0;

	if (!setup->port || !are_good(&setup->terms))
		return -EINVAL;
	kc = kcache_new(in, setup);
	if (!kc)
		return -ENOMEM;
	mutex_lock(&cs->lock);
	if (cs->ended)
		ret = -ENODEV;
	else if (find(cs, setup->port))
		ret = -EADDRINUSE;
	else if (cs->count >= instance_limit(in, LIMIT_CACHES))
		ret = -EUSERS;
	else
		ret = run_cache(kc);
	if (!ret) {
		cs->count++;
		list_add_tail_rcu(&kc->link, &cs->list);
	}
	mutex_unlock(&cs->lock);
	if (ret)
		kfree(kc);
	return ret;
}

/* Those who read without the lock may meet a part of it, for a second. */
static void change_terms(struct kcache *kc, const struct kcache_terms *t)
{
	struct kcache_terms *own = &kc->setup.terms;

	WRITE_ONCE(own->idle_s, t->idle_s);
	WRITE_ONCE(own->stall_s, t->stall_s);
	WRITE_ONCE(own->clients, t->clients);
	WRITE_ONCE(own->hot_percent, t->hot_percent);
	WRITE_ONCE(own->warm_percent, t->warm_percent);
	kcache_tell_clients(kc);
}

int kcache_set(struct instance *in, u16 port, const struct kcache_terms *terms)
{
	struct caches *cs = &in->caches;
	struct kcache *kc;

	if (!are_good(terms))
		return -EINVAL;
	mutex_lock(&cs->lock);
	kc = find(cs, port);
	if (kc)
		change_terms(kc, terms);
	mutex_unlock(&cs->lock);
	return kc ? 0 : -ENOENT;
}

int kcache_stop(struct instance *in, u16 port)
{
	struct caches *cs = &in->caches;
	struct kcache *kc;

	mutex_lock(&cs->lock);
	kc = find(cs, port);
	if (kc) {
		cs->count--;
		end_cache(kc);
	}
	mutex_unlock(&cs->lock);
	return kc ? 0 : -ENOENT;
}

static bool let_in(struct kcache *kc)
{
	bool ret;

	spin_lock(&kc->lock);
	ret = !kc->ending;
	if (ret)
		kc->users++;
	spin_unlock(&kc->lock);
	return ret;
}

struct kcache *kcache_enter(struct instance *in, u16 port)
{
	struct kcache *found = NULL;
	struct kcache *kc;

	rcu_read_lock();
	list_for_each_entry_rcu(kc, &in->caches.list, link) {
		if ((!port || kc->setup.port == port) && let_in(kc)) {
			found = kc;
			break;
		}
	}
	rcu_read_unlock();
	return found;
}

void kcache_leave(struct kcache *kc)
{
	spin_lock(&kc->lock);
	if (!--kc->users)
		wake_up_all(&kc->none);
	spin_unlock(&kc->lock);
}

struct memcached *kcache_memcached(struct kcache *kc)
{
	return &kc->m;
}

static void describe_state(struct kcache *kc, struct kcache_state *out)
{
	u32 i;

	*out = (struct kcache_state){
		.setup = kc->setup,
		.connections = READ_ONCE(kc->connections),
	};
	for (i = 0; i < kc->m.shard_count; i++) {
		mutex_lock(&kc->locks[i]);
		out->held_bytes += (u64)kc->shards[i].cache.pages_held *
				   CACHE_PAGE_BYTES;
		out->items += kc->shards[i].cache.count;
		mutex_unlock(&kc->locks[i]);
	}
}

int kcache_state(struct instance *in, u32 n, struct kcache_state *out)
{
	struct caches *cs = &in->caches;
	struct kcache *kc;
	int ret = -ENOENT;

	mutex_lock(&cs->lock);
	list_for_each_entry(kc, &cs->list, link) {
		if (n--)
			continue;
		describe_state(kc, out);
		ret = 0;
		break;
	}
	mutex_unlock(&cs->lock);
	return ret;
}

void caches_init(struct caches *cs)
{
	mutex_init(&cs->lock);
	INIT_LIST_HEAD(&cs->list);
}

void caches_end(struct instance *in)
{
	struct caches *cs = &in->caches;
	struct kcache *kc, *next;

	mutex_lock(&cs->lock);
	cs->ended = true;
	list_for_each_entry_safe(kc, next, &cs->list, link)
		end_cache(kc);
	cs->count = 0;
	mutex_unlock(&cs->lock);
}
