// SPDX-License-Identifier: GPL-2.0-or-later
/* The cache of this node: started, asked, told the time, ended. */
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cached_impl.h"
#include "catalog.h"
#include "idnames.h"
#include "log.h"
#include "peers.h"

enum {
	STANDARD_BYTES = 64 << 20,
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
	if (c->running)
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

static int start(struct cached *c, u64 bytes, u16 port, u64 value_max,
		 struct failure *f)
{
	const struct conf_cloud *conf = policy_conf(c->node->policy);
	struct timespec now;
	int ret;

	if (c->running)
		return failure_set(f, -EALREADY, "cache",
				   "'virgo cache stop' first",
				   "this node has one already");
	if (!bytes)
		bytes = conf->cache_size_bytes ? conf->cache_size_bytes :
						 STANDARD_BYTES;
	ret = make_shard(c, bytes, f);
	if (ret)
		return ret;
	c->listener.came = socket_came;
	if (conf->cache_local || port)
		ret = listener_open(&c->listener, c->node,
				    port ? port : (u16)conf->cache_port, f);
	if (ret) {
		cache_end(&c->shard.cache);
		pages_free(c->pages);
		c->pages = NULL;
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
		.value_max = (u32)(value_max ? value_max :
					       conf->cache_value_max_bytes),
		.started_s = now.tv_sec - FIRST_SECOND,
	};
	c->started_us = loop_now_us(c->node->loop);
	c->running = true;
	cached_tick(c);
	loop_arm(c->node->loop, &c->second, SECOND_US);
	return 0;
}

static void stop(struct cached *c)
{
	if (!c->running)
		return;
	listener_close(&c->listener);
	loop_disarm(c->node->loop, &c->second);
	while (!LIST_EMPTY(&c->sessions)) {
		struct session *s = LIST_FIRST(&c->sessions);

		s->ops->end(s);
	}
	c->running = false;
	cache_end(&c->shard.cache);
	pages_free(c->pages);
	c->pages = NULL;
}

static bool own(const struct node *n, struct span node)
{
	return !node.len || span_equal(node, span_of(n->local.node));
}

static void handle_start(struct request *r)
{
	struct cached *c = r->node->cached;
	struct msg_cache_start m;
	char node[NODE_NAME_MAX + 1];
	char addresses[64];
	struct failure f;
	int ret;

	if (!request_decode(r, cache_start, &m))
		return;
	if (own(r->node, m.node)) {
		ret = start(c, m.bytes, m.port, m.value_max_bytes, &f);
	} else if (!span_to_cstr(m.node, node, sizeof(node)) ||
		   !r->node->catalog ||
		   !catalog_addresses(r->node->catalog, node, addresses,
				      sizeof(addresses))) {
		request_fail(r, -ENOENT, "cache", "virgo node list",
			     "the cloud has no node '%.*s'", (int)m.node.len,
			     (const char *)m.node.data);
		return;
	} else {
		ret = tunnel_open(c, node, m.port, &f);
	}
	if (ret)
		request_fail_with(r, &f);
	else
		request_ok(r);
}

static void handle_stop(struct request *r)
{
	struct cached *c = r->node->cached;
	struct msg_cache_stop m;
	char node[NODE_NAME_MAX + 1];

	if (!request_decode(r, cache_stop, &m))
		return;
	if (own(r->node, m.node)) {
		if (!c->running) {
			request_fail(r, -ENOENT, "cache", NULL,
				     "this node has none");
			return;
		}
		stop(c);
	} else if (!span_to_cstr(m.node, node, sizeof(node)) ||
		   tunnel_close(c, node)) {
		request_fail(r, -ENOENT, "cache", NULL,
			     "the cache of '%.*s' has no port here",
			     (int)m.node.len, (const char *)m.node.data);
		return;
	}
	request_ok(r);
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

/* A local caller's request for another node. */
struct asked {
	struct work work; /* finds the caller's name */
	LIST_ENTRY(asked) entry; /* until it has */
	struct node *node;
	struct conn *conn;
	u64 tag;
	u32 uid;
	char user[IDNAME_MAX];
	size_t len;
	u8 payload[];
};

static void asked_free(struct asked *a)
{
	conn_put(a->conn);
	free(a);
}

static void answer_came(void *arg, const struct frame *f, const u8 *payload,
			const struct failure *why)
{
	struct asked *a = arg;

	if (f) {
		struct frame out = { .type = f->type,
				     .flags = FRAME_REPLY,
				     .tag = a->tag };

		conn_send(a->conn, &out, payload, f->length, NULL, 0);
	} else {
		conn_reply_failure(a->conn, a->tag, why);
	}
	asked_free(a);
}

static void find_name(struct work *w)
{
	struct asked *a = (struct asked *)w;

	idnames_name(FILE_ID_USER, a->uid, a->user);
}

static void name_found(struct work *w)
{
	struct asked *a = (struct asked *)w;
	char node[NODE_NAME_MAX + 1];
	struct msg_cache_ask m;
	struct failure f;
	u8 *buf = NULL;
	u64 tag = 0;

	LIST_REMOVE(a, entry);
	failure_set(&f, -ENOENT, "cache", NULL, "no such node");
	if (!msg_cache_ask_decode(&m, a->payload, a->len) &&
	    span_to_cstr(m.node, node, sizeof(node))) {
		size_t size;

		failure_set(&f, -ENOMEM, "cache", NULL, "out of memory");
		m.user = span_of(a->user);
		size = msg_cache_ask_size(&m);
		buf = malloc(size);
		if (buf) {
			struct wcursor c = wcursor_of(buf, size);

			msg_cache_ask_encode(&c, &m);
			tag = peers_call(a->node->peers, node, TLS_KERNEL,
					 MSG_CACHE_ASK, buf, size, answer_came,
					 a);
		}
	}
	free(buf);
	if (!tag) {
		conn_reply_failure(a->conn, a->tag, &f);
		asked_free(a);
	}
}

static void pass_on(struct request *r)
{
	struct cached *c = r->node->cached;
	struct asked *a = malloc(sizeof(*a) + r->frame->length);

	if (!a) {
		request_fail(r, -ENOMEM, "cache", NULL, "out of memory");
		return;
	}
	a->work = (struct work){ .run = find_name, .done = name_found };
	a->node = r->node;
	a->conn = conn_get(r->conn);
	a->tag = r->frame->tag;
	a->uid = r->uid;
	a->len = r->frame->length;
	memcpy(a->payload, r->payload, a->len);
	LIST_INSERT_HEAD(&c->naming, a, entry);
	workers_submit(c->namer, &a->work);
}

static bool may_ask(struct request *r, const struct msg_cache_ask *m)
{
	struct policy_grant grant;
	struct failure f;
	char user[IDNAME_MAX];

	if (r->from != FROM_PEER)
		return true;
	if (!span_to_cstr(m->user, user, sizeof(user))) {
		request_fail(r, -EINVAL, "cache", NULL, "not a user's name");
		return false;
	}
	if (!policy_admit(r->node->policy, r->peer, user, "cache", &grant, &f))
		return true;
	request_fail_with(r, &f);
	return false;
}

static void handle_ask(struct request *r)
{
	struct cached *c = r->node->cached;
	struct msg_cache_answer answer;
	struct msg_cache_ask m;
	size_t len;
	u8 *out;

	if (!request_decode(r, cache_ask, &m))
		return;
	if (r->from != FROM_PEER && !own(r->node, m.node)) {
		pass_on(r);
		return;
	}
	if (!may_ask(r, &m))
		return;
	if (!c->running) {
		request_fail(r, -ENOENT, r->node->local.node,
			     "'virgo cache start' there", "it has no cache");
		return;
	}
	out = execute(c, m.commands, &len);
	if (!out) {
		request_fail(r, -ENOMEM, "cache", NULL, "out of memory");
		return;
	}
	answer.answers = (struct span){ out, (u32)len };
	request_reply(r, CACHE_ANSWER, cache_answer, &answer);
	free(out);
}

static void on_reload(struct node *n)
{
	const struct conf_cloud *conf = policy_conf(n->policy);

	if (n->cached->running &&
	    cache_set_ratio(&n->cached->shard.cache,
			    (u8)conf->cache_hot_percent,
			    (u8)conf->cache_warm_percent))
		log_warning("[cache] hot_percent and warm_percent are above 80 "
			    "together; the old ones stay");
}

struct cached *cached_new(struct node *n)
{
	static const struct service table[] = {
		{ MSG_CACHE_START, FROM_ROOT, handle_start },
		{ MSG_CACHE_STOP, FROM_ROOT, handle_stop },
		{ MSG_CACHE_ASK, FROM_LOCAL | FROM_ROOT | FROM_PEER,
		  handle_ask },
	};
	struct cached *c = calloc(1, sizeof(*c));
	struct failure f;

	if (!c)
		return NULL;
	c->namer = workers_new(n->loop, 1, NULL);
	if (!c->namer) {
		free(c);
		return NULL;
	}
	c->node = n;
	c->second.fire = on_second;
	n->cached = c;
	service_add(n, table, ARRAY_SIZE(table));
	stream_serve(c);
	policy_on_reload(n, on_reload);
	if (policy_conf(n->policy)->cache_size_bytes && start(c, 0, 0, 0, &f))
		log_error("%s: %s", f.object, f.what);
	return c;
}

void cached_free(struct cached *c)
{
	if (!c)
		return;
	workers_free(c->namer);
	while (!LIST_EMPTY(&c->naming)) {
		struct asked *a = LIST_FIRST(&c->naming);

		LIST_REMOVE(a, entry);
		asked_free(a);
	}
	stream_end_all(c);
	tunnel_close_all(c);
	stop(c);
	c->node->cached = NULL;
	free(c);
}
