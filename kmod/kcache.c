// SPDX-License-Identifier: GPL-2.0-or-later
/* kmemcache; what it is made of is in kcache.h. */
#include "kcache.h"

#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "conn.h"
#include "core/memcached.h"
#include "instance.h"
#include "listen.h"
#include "shrink.h"
#include "vars.h"

enum {
	SHARDS_MAX = 16,
	/* A shard needs room for each size class. */
	SHARD_BYTES_MIN = 8 << 20,
	BUDGET_DEFAULT = 64 << 20,
	VALUE_MIN = 1024,
	CRAWL_SLOTS = 2000, /* of each shard, a second */
	REPLIES_KEPT = 8,
	HOT_PERCENT = 20, /* memcached's */
	WARM_PERCENT = 40,
	SHARE_MAX = 40, /* so that both together are never too much */
};

/* A reply and its vectors in the form that sockets take. */
struct reply {
	struct list_head link;
	struct kvec iov[MEMCACHED_VECS];
	struct memcached_reply r;
};

struct kcache {
	struct list_head link; /* in caches.list */
	struct instance *in; /* which outlives it */
	struct kcache_setup setup;
	struct memcached m;
	struct memcached_shard *shards;
	struct mutex *locks; /* one a shard */
	struct listener listener;
	struct shrink shrink;
	struct delayed_work tick;
	u32 hot_slot, warm_slot; /* of the variables; tick's own */
	u64 origin_s; /* of the clock */

	spinlock_t lock; /* innermost */
	struct list_head replies; /* under lock */
	u32 replies_kept; /* under lock */
	u32 connections; /* under lock */
	u32 users; /* under lock: between kcache_enter() and kcache_leave() */
	wait_queue_head_t none; /* of either */
	atomic64_t total, rejected, idle_kicks, bytes_in, bytes_out;
};

struct client {
	struct conn conn;
	struct kcache *cache;
	struct memcached_conn mc; /* io's own */
};

static struct client *client_of(struct conn *c)
{
	return container_of(c, struct client, conn);
}

/* Memory. */

static void *page_get(void *arg)
{
	return (void *)__get_free_pages(GFP_KERNEL | __GFP_NORETRY |
					__GFP_NOWARN,
					get_order(CACHE_PAGE_BYTES));
}

static void page_put(void *arg, void *page)
{
	free_pages((unsigned long)page, get_order(CACHE_PAGE_BYTES));
}

static void *table_get(void *arg, size_t bytes)
{
	return kvzalloc(bytes, GFP_KERNEL);
}

static void table_put(void *arg, void *table, size_t bytes)
{
	kvfree(table);
}

static void lock_shard(void *arg, u32 shard)
{
	struct kcache *kc = arg;

	mutex_lock(&kc->locks[shard]);
}

static void unlock_shard(void *arg, u32 shard)
{
	struct kcache *kc = arg;

	mutex_unlock(&kc->locks[shard]);
}

static const unsigned long pages_per_page = CACHE_PAGE_BYTES / PAGE_SIZE;

/* A figure of the moment: no lock is worth it. */
static unsigned long shrink_count(struct shrink *s)
{
	struct kcache *kc = container_of(s, struct kcache, shrink);
	unsigned long pages = 0;
	u32 i;

	for (i = 0; i < kc->m.shard_count; i++)
		pages += cache_shrinkable(&kc->shards[i].cache);
	return pages * pages_per_page;
}

/* Whoever asks may hold a shard's lock himself. */
static unsigned long shrink_scan(struct shrink *s, unsigned long pages)
{
	struct kcache *kc = container_of(s, struct kcache, shrink);
	u32 want = DIV_ROUND_UP(pages, pages_per_page);
	u32 given = 0;
	u32 i;

	for (i = 0; i < kc->m.shard_count && given < want; i++) {
		if (!mutex_trylock(&kc->locks[i]))
			continue;
		given += cache_shrink(&kc->shards[i].cache, want - given);
		mutex_unlock(&kc->locks[i]);
	}
	return given ? given * pages_per_page : SHRINK_STOP;
}

/* The clock, and what has expired and nobody asks for. */

static u32 second(const struct kcache *kc)
{
	return (u32)(ktime_get_boottime_seconds() - kc->origin_s);
}

/* A percentage that a variable may set; memcached's without it. */
static u8 share(struct kcache *kc, u32 *slot, const char *name, u8 fallback)
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

static void tick(struct work_struct *work)
{
	struct kcache *kc = container_of(work, struct kcache, tick.work);
	u8 hot = share(kc, &kc->hot_slot, "cache.hot_percent", HOT_PERCENT);
	u8 warm = share(kc, &kc->warm_slot, "cache.warm_percent", WARM_PERCENT);
	u32 i;

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

	*out = (struct memcached_server){
		.max_connections = instance_limit(kc->in, LIMIT_CONNECTIONS),
		.curr_connections = READ_ONCE(kc->connections),
		.total_connections = atomic64_read(&kc->total),
		.rejected_connections = atomic64_read(&kc->rejected),
		.idle_kicks = atomic64_read(&kc->idle_kicks),
		.bytes_read = atomic64_read(&kc->bytes_in),
		.bytes_written = atomic64_read(&kc->bytes_out),
		.threads = num_online_cpus(),
		.port = kc->setup.port,
		.idle_timeout_s = kc->setup.idle_s,
	};
}

/* Replies: large, so a few are kept. */

static struct reply *reply_get(struct kcache *kc)
{
	struct reply *reply;

	spin_lock(&kc->lock);
	reply = list_first_entry_or_null(&kc->replies, struct reply, link);
	if (reply) {
		list_del(&reply->link);
		kc->replies_kept--;
	}
	spin_unlock(&kc->lock);
	return reply ? reply : kvzalloc(sizeof(*reply), GFP_KERNEL);
}

static void reply_put(struct kcache *kc, struct reply *reply)
{
	spin_lock(&kc->lock);
	if (kc->replies_kept < REPLIES_KEPT) {
		list_add(&reply->link, &kc->replies);
		kc->replies_kept++;
		reply = NULL;
	}
	spin_unlock(&kc->lock);
	kvfree(reply);
}

static int reply_send(struct client *cl, struct reply *reply)
{
	struct memcached_reply *r = &reply->r;
	u32 i;

	if (!r->count)
		return 0;
	for (i = 0; i < r->count; i++) {
		reply->iov[i].iov_base = (void *)r->vec[i].base;
		reply->iov[i].iov_len = r->vec[i].len;
	}
	atomic64_add(r->bytes, &cl->cache->bytes_out);
	return conn_send_now(&cl->conn, reply->iov, r->count, r->bytes);
}

/* Connections. */

/* All that is there, unless the client does not read its answers. */
static ssize_t received(struct conn *c, const u8 *data, size_t len,
			size_t *need)
{
	struct client *cl = client_of(c);
	struct kcache *kc = cl->cache;
	struct reply *reply = reply_get(kc);
	size_t used = 0;
	int ret = 0;

	if (!reply)
		return -ENOMEM;
	do {
		size_t n = memcached_run(&kc->m, &cl->mc, data + used,
					 len - used, &reply->r);

		used += n;
		c->again = reply->r.full && cl->mc.state != MEMCACHED_CLOSING;
		ret = reply_send(cl, reply);
		memcached_sent(&kc->m, &reply->r);
	} while (!ret && c->again && conn_may_send(c));
	c->finish = cl->mc.state == MEMCACHED_CLOSING;
	reply_put(kc, reply);
	atomic64_add(used, &kc->bytes_in);
	return ret ? ret : used;
}

static void closed(struct conn *c)
{
	struct client *cl = client_of(c);

	memcached_leave(&cl->cache->m, &cl->mc);
}

static void client_gone(struct kcache *kc)
{
	spin_lock(&kc->lock);
	if (!--kc->connections)
		wake_up_all(&kc->none);
	spin_unlock(&kc->lock);
}

static void free_client(struct conn *c)
{
	struct client *cl = client_of(c);

	client_gone(cl->cache);
	kfree(cl);
}

static void idle(struct conn *c)
{
	atomic64_inc(&client_of(c)->cache->idle_kicks);
	conn_close(c);
}

static const struct conn_ops client_ops = {
	.received = received,
	.closed = closed,
	.free = free_client,
	.idle = idle,
	.in_max = CONN_IN_BYTES,
};

static void accepted(struct listener *l, struct socket *sock)
{
	struct kcache *kc = container_of(l, struct kcache, listener);
	struct client *cl = kzalloc(sizeof(*cl), GFP_KERNEL);
	u32 idle_ms = min_t(u32, kc->setup.idle_s, 1000000) * 1000;

	if (!cl)
		goto reject;
	cl->cache = kc;
	spin_lock(&kc->lock);
	kc->connections++;
	spin_unlock(&kc->lock);
	if (conn_start(&cl->conn, kc->in, sock, &client_ops, idle_ms))
		goto free_client;
	atomic64_inc(&kc->total);
	conn_put(&cl->conn);
	return;

free_client:
	client_gone(kc);
	kfree(cl);
reject:
	atomic64_inc(&kc->rejected);
	sock_release(sock);
}

/* Start and stop. */

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

static u32 shard_count(u64 budget_bytes)
{
	u32 count = roundup_pow_of_two(num_online_cpus());

	count = min_t(u32, count, SHARDS_MAX);
	while (count > 1 && budget_bytes / count < SHARD_BYTES_MIN)
		count /= 2;
	return count;
}

static void end_shards(struct kcache *kc)
{
	u32 i;

	for (i = 0; i < kc->m.shard_count; i++)
		cache_end(&kc->shards[i].cache);
	kvfree(kc->shards);
	kvfree(kc->locks);
}

static int make_shards(struct kcache *kc)
{
	u32 count = shard_count(kc->setup.budget_bytes);
	struct cache_setup setup = {
		.memory = {
			.page_get = page_get,
			.page_put = page_put,
			.table_get = table_get,
			.table_put = table_put,
		},
		.budget_bytes = div_u64(kc->setup.budget_bytes, count),
		.hot_percent = HOT_PERCENT,
		.warm_percent = WARM_PERCENT,
	};
	int ret = 0;
	u32 i;

	setup.floor_bytes = setup.budget_bytes / 8;
	get_random_bytes(setup.seed, sizeof(setup.seed));
	kc->m.shard_count = count;
	kc->shards = kvcalloc(count, sizeof(*kc->shards), GFP_KERNEL);
	kc->locks = kvcalloc(count, sizeof(*kc->locks), GFP_KERNEL);
	if (!kc->shards || !kc->locks) {
		kc->m.shard_count = 0;
		ret = -ENOMEM;
	}
	for (i = 0; !ret && i < count; i++) {
		mutex_init(&kc->locks[i]);
		ret = cache_init(&kc->shards[i].cache, &setup);
	}
	if (ret)
		end_shards(kc);
	kc->m.shards = kc->shards;
	return ret;
}

static void free_replies(struct kcache *kc)
{
	struct reply *reply, *next;

	list_for_each_entry_safe(reply, next, &kc->replies, link)
		kvfree(reply);
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
	kc->listener.accepted = accepted;
	kc->shrink.count = shrink_count;
	kc->shrink.scan = shrink_scan;
	/* Second 2 is now: earlier ones mean "never" and "at once". */
	kc->origin_s = ktime_get_boottime_seconds() - 2;
	kc->m = (struct memcached){
		.lock = lock_shard,
		.unlock = unlock_shard,
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
	int ret = make_shards(kc);

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
	end_shards(kc);
	return ret;
}

/* And waits for those who use it by kcache_enter(). */
static void close_clients(struct kcache *kc)
{
	struct conns *cs = &kc->in->conns;
	struct conn *c;

	spin_lock_bh(&cs->lock);
	list_for_each_entry(c, &cs->list, link)
		if (c->ops == &client_ops && client_of(c)->cache == kc)
			conn_close(c);
	spin_unlock_bh(&cs->lock);
	wait_event(kc->none, !READ_ONCE(kc->connections) &&
			     !READ_ONCE(kc->users));
	/* The last one has let go of the lock, too. */
	spin_lock(&kc->lock);
	spin_unlock(&kc->lock);
}

/* Backwards. Nobody else knows it any more. */
static void end_cache(struct kcache *kc)
{
	listen_stop(&kc->listener);
	close_clients(kc);
	cancel_delayed_work_sync(&kc->tick);
	shrink_stop(&kc->shrink);
	end_shards(kc);
	free_replies(kc);
	kfree(kc);
}

static struct kcache *find(struct caches *cs, u16 port)
{
	struct kcache *kc;

	list_for_each_entry(kc, &cs->list, link)
		if (kc->setup.port == port)
			return kc;
	return NULL;
}

int kcache_start(struct instance *in, const struct kcache_setup *setup)
{
	struct caches *cs = &in->caches;
	struct kcache *kc;
	int ret = 0;

	if (!setup->port)
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
		list_add_tail(&kc->link, &cs->list);
	}
	mutex_unlock(&cs->lock);
	if (ret)
		kfree(kc);
	return ret;
}

int kcache_stop(struct instance *in, u16 port)
{
	struct caches *cs = &in->caches;
	struct kcache *kc;

	mutex_lock(&cs->lock);
	kc = find(cs, port);
	if (kc) {
		cs->count--;
		list_del(&kc->link);
		end_cache(kc);
	}
	mutex_unlock(&cs->lock);
	return kc ? 0 : -ENOENT;
}

struct kcache *kcache_enter(struct instance *in, u16 port)
{
	struct caches *cs = &in->caches;
	struct kcache *kc;

	mutex_lock(&cs->lock);
	if (port)
		kc = find(cs, port);
	else
		kc = list_first_entry_or_null(&cs->list, struct kcache, link);
	if (kc) {
		spin_lock(&kc->lock);
		kc->users++;
		spin_unlock(&kc->lock);
	}
	mutex_unlock(&cs->lock);
	return kc;
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
	list_for_each_entry_safe(kc, next, &cs->list, link) {
		list_del(&kc->link);
		end_cache(kc);
	}
	cs->count = 0;
	mutex_unlock(&cs->lock);
}
