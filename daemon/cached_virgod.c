// SPDX-License-Identifier: GPL-2.0-or-later
/* The cache that virgod itself serves: started, asked, told the time, ended. */
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cached_impl.h"

enum {
	CRAWL_SLOTS = 20000, /* looked at in a second */
	FIRST_SECOND = 62, /* as memcached's: times before the start are > 0 */
};

#define SECOND_US 1000000ull

void cached_tick(struct cached *c)
{
	u64 us = loop_now_us(c->node->loop);
	u32 now = FIRST_SECOND;

	if (us > c->started_us)
		now += (u32)((us - c->started_us) / SECOND_US);
	if (now == c->m.now)
		return;
	if (c->backend == &cached_virgod)
		memcached_set_time(&c->m, now);
	else
		c->m.now = now;
}

static u64 time_us(const struct timeval *t)
{
	return (u64)t->tv_sec * SECOND_US + (u64)t->tv_usec;
}

static void describe(void *arg, struct memcached_server *out)
{
	struct cached *c = arg;
	const struct conf_cloud *conf = policy_conf(c->node->policy);
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	*out = c->server;
	out->pid = (u64)getpid();
	out->user_us = time_us(&r.ru_utime);
	out->system_us = time_us(&r.ru_stime);
	out->max_connections = conf->cache_connections;
	out->threads = 1;
	out->port = c->listener.port;
	out->idle_timeout_s = conf->cache_idle_ms / 1000;
}

/* Sessions that are idle, or stuck, for longer than they may be. */
static void sweep(struct cached *c)
{
	const struct conf_cloud *conf = policy_conf(c->node->policy);
	u64 idle_s = conf->cache_idle_ms / 1000;
	u64 stall_s = conf->cache_stall_ms / 1000;
	struct session *s, *next;

	for (s = LIST_FIRST(&c->sessions); s; s = next) {
		u32 age = c->m.now - s->active_s;
		bool stuck = s->in_len || s->out_len ||
			     s->mc.state != MEMCACHED_COMMAND;

		next = LIST_NEXT(s, entry);
		if ((stuck && age > stall_s) || (idle_s && age > idle_s)) {
			c->server.idle_kicks++;
			s->ops->end(s);
		}
	}
}

static void on_second(struct timer *t)
{
	struct cached *c =
		(struct cached *)((char *)t - offsetof(struct cached, second));

	cached_tick(c);
	sweep(c);
	cache_crawl(&c->shard.cache, CRAWL_SLOTS);
	loop_arm(c->node->loop, t, SECOND_US);
}

static void free_shard(struct cached *c)
{
	cache_end(&c->shard.cache);
	pages_free(c->pages);
	c->pages = NULL;
}

static int make_shard(struct cached *c, u64 bytes, struct failure *f)
{
	const struct conf_cloud *conf = policy_conf(c->node->policy);
	struct cache_setup s = { .budget_bytes = bytes,
				 .hot_percent = (u8)conf->cache_hot_percent,
				 .warm_percent = (u8)conf->cache_warm_percent };
	int ret = -ENOMEM;

	c->pages = pages_new(bytes);
	if (c->pages) {
		s.memory = pages_memory(c->pages);
		if (getrandom(s.seed, sizeof(s.seed), 0) == sizeof(s.seed))
			ret = cache_init(&c->shard.cache, &s);
		else
			ret = -EIO;
	}
	if (!ret)
		return 0;
	pages_free(c->pages);
	c->pages = NULL;
	return failure_set(f, ret, "cache", ret == -EINVAL ?
			   "1M to 32G, and hot_percent and warm_percent of "
			   "[cache] 80 together at most" : NULL,
			   "cannot be made: %s", strerror(-ret));
}

static int start(struct cached *c, struct cached_setup *s, struct failure *f)
{
	struct timespec now;
	int ret = make_shard(c, s->bytes, f);

	if (ret)
		return ret;
	c->listener.came = socket_came;
	if (s->port)
		ret = listener_open(&c->listener, c->node, s->port, f);
	if (ret) {
		free_shard(c);
		return ret;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	memset(&c->server, 0, sizeof(c->server));
	memset(&c->shard.counts, 0, sizeof(c->shard.counts));
	c->m = (struct memcached){
		.shards = &c->shard,
		.shard_count = 1,
		.describe = describe,
		.arg = c,
		.version = "1.6.18-virgo-" VIRGO_VERSION,
		.value_max = (u32)s->value_max,
		.now = FIRST_SECOND,
		.started_s = now.tv_sec - FIRST_SECOND,
	};
	memcached_set_time(&c->m, FIRST_SECOND);
	c->started_us = loop_now_us(c->node->loop);
	c->second.fire = on_second;
	loop_arm(c->node->loop, &c->second, SECOND_US);
	return 0;
}

static void stop(struct cached *c)
{
	listener_close(&c->listener);
	loop_disarm(c->node->loop, &c->second);
	while (!LIST_EMPTY(&c->sessions)) {
		struct session *s = LIST_FIRST(&c->sessions);

		s->ops->end(s);
	}
	free_shard(c);
}

static bool is_there(struct cached *c)
{
	return true;
}

/* Executes @commands; the answers are the caller's to free. */
static u8 *execute(struct cached *c, struct span commands, size_t *len)
{
	struct memcached_conn mc = { 0 };
	const u8 *in = commands.data;
	size_t left = commands.len, at = 0;
	u8 *out = malloc(CACHE_ANSWER_MAX);
	bool full = true;

	cached_tick(c);
	while (out && full && mc.state != MEMCACHED_CLOSING) {
		size_t used = memcached_run(&c->m, &mc, in, left, &c->reply);
		u32 i;

		in += used;
		left -= used;
		full = c->reply.full;
		for (i = 0; i < c->reply.count; i++) {
			const struct memcached_vec *v = &c->reply.vec[i];

			if (v->len > CACHE_ANSWER_MAX - at) {
				full = false;
				break;
			}
			memcpy(out + at, v->base, v->len);
			at += v->len;
		}
		memcached_sent(&c->m, &c->reply);
	}
	memcached_leave(&c->m, &mc);
	*len = at;
	return out;
}

static void ask(struct request *r, struct span commands)
{
	struct msg_cache_answer answer;
	size_t len;
	u8 *out = execute(r->node->cached, commands, &len);

	if (!out) {
		request_fail(r, -ENOMEM, "cache", NULL, "out of memory");
		return;
	}
	answer.answers = (struct span){ out, (u32)len };
	request_reply(r, CACHE_ANSWER, cache_answer, &answer);
	free(out);
}

const struct cached_backend cached_virgod = { .name = "virgod",
					      .start = start,
					      .stop = stop,
					      .is_there = is_there,
					      .ask = ask,
					      .open = served_open };
