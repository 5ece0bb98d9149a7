// SPDX-License-Identifier: GPL-2.0-or-later
/* The cache of this node, whoever serves it: started, asked, ended, by the rules. */
#include <stdlib.h>

#include "cached_impl.h"
#include "catalog.h"
#include "idnames.h"
#include "log.h"
#include "peers.h"

enum { STANDARD_BYTES = 64 << 20 };

const struct cached_backend *cached_serving(struct cached *c)
{
	if (c->backend && !c->backend->is_there(c))
		c->backend = NULL;
	return c->backend;
}

/* What was not asked for is as virgo_cloud.conf says. */
static void complete(struct cached *c, struct cached_setup *s)
{
	const struct conf_cloud *conf = policy_conf(c->node->policy);

	if (!s->bytes)
		s->bytes = conf->cache_size_bytes;
	if (!s->bytes)
		s->bytes = STANDARD_BYTES;
	if (!s->value_max)
		s->value_max = conf->cache_value_max_bytes;
	if (!s->port && conf->cache_local)
		s->port = (u16)conf->cache_port;
}

/* 0, or why the kernel does not serve @s. -EADDRINUSE and @f: nobody could. */
static int start_in_kernel(struct cached *c, struct cached_setup *s,
			   struct failure *f)
{
	int ret;

	if (!kernel_may(c, s, c->why))
		return -ENODEV;
	ret = cached_kernel.start(c, s, f);
	if (!ret)
		c->backend = &cached_kernel;
	else
		snprintf(c->why, sizeof(c->why), "%.*s", WHY_MAX - 1, f->what);
	return ret;
}

int cached_start(struct cached *c, struct cached_setup *s, struct failure *f)
{
	int ret;

	if (cached_serving(c))
		return failure_set(f, -EALREADY, "cache",
				   "'virgo cache stop' first",
				   "this node has one already");
	kernel_forget(c);
	complete(c, s);
	ret = start_in_kernel(c, s, f);
	if (ret && ret != -EADDRINUSE) {
		ret = cached_virgod.start(c, s, f);
		if (!ret)
			c->backend = &cached_virgod;
	}
	if (ret)
		return ret;
	if (c->backend == &cached_kernel)
		c->why[0] = '\0';
	c->setup = *s;
	log_info("the cache of this node is served by %s%s%s",
		 c->backend == &cached_kernel ? "the kernel" : "virgod",
		 *c->why ? ": " : "", c->why);
	return 0;
}

void cached_stop(struct cached *c)
{
	const struct cached_backend *b = c->backend;

	stream_end_all(c);
	if (b)
		b->stop(c);
	c->backend = NULL;
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
		struct cached_setup s = { .bytes = m.bytes,
					  .port = m.port,
					  .value_max = m.value_max_bytes,
					  .aside = m.aside != 0 };

		ret = cached_start(c, &s, &f);
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
		bool moving = timer_armed(&c->again);

		kernel_forget(c);
		if (!cached_serving(c) && !moving) {
			request_fail(r, -ENOENT, "cache", NULL,
				     "this node has none");
			return;
		}
		cached_stop(c);
	} else if (!span_to_cstr(m.node, node, sizeof(node)) ||
		   tunnel_close(c, node)) {
		request_fail(r, -ENOENT, "cache", NULL,
			     "the cache of '%.*s' has no port here",
			     (int)m.node.len, (const char *)m.node.data);
		return;
	}
	request_ok(r);
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
	struct msg_cache_ask m;

	if (!request_decode(r, cache_ask, &m))
		return;
	if (r->from != FROM_PEER && !own(r->node, m.node)) {
		pass_on(r);
		return;
	}
	if (!may_ask(r, &m))
		return;
	if (!cached_serving(c)) {
		request_fail(r, -ENOENT, r->node->local.node,
			     "'virgo cache start' there", "it has no cache");
		return;
	}
	c->backend->ask(r, m.commands);
}

static void handle_list(struct request *r)
{
	struct cached *c = r->node->cached;
	const struct cached_backend *b = cached_serving(c);
	struct msg_cache_listed m = { 0 };
	size_t len;
	u8 *ports = tunnel_list(c, &len);

	if (!ports) {
		request_fail(r, -ENOMEM, "cache", NULL, "out of memory");
		return;
	}
	if (b) {
		m.where = span_of(b->name);
		m.why = span_of(c->why);
		m.port = c->setup.port;
		m.bytes = c->setup.bytes;
		m.value_max_bytes = c->setup.value_max;
	}
	m.ports = (struct span){ ports, (u32)len };
	request_reply(r, CACHE_LISTED, cache_listed, &m);
	free(ports);
}

static void on_reload(struct node *n)
{
	const struct conf_cloud *conf = policy_conf(n->policy);

	kernel_reload(n->cached);
	if (n->cached->backend == &cached_virgod &&
	    cache_set_ratio(&n->cached->shard.cache,
			    (u8)conf->cache_hot_percent,
			    (u8)conf->cache_warm_percent))
		log_warning(CACHED_RATIO_STAYS);
}

struct cached *cached_new(struct node *n)
{
	static const struct service table[] = {
		{ MSG_CACHE_START, FROM_ROOT, handle_start },
		{ MSG_CACHE_STOP, FROM_ROOT, handle_stop },
		{ MSG_CACHE_ASK, FROM_LOCAL | FROM_ROOT | FROM_PEER,
		  handle_ask },
		{ MSG_CACHE_LIST, FROM_LOCAL | FROM_ROOT, handle_list },
	};
	struct cached_setup s = { 0 };
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
	n->cached = c;
	service_add(n, table, ARRAY_SIZE(table));
	stream_serve(c);
	policy_on_reload(n, on_reload);
	kernel_find(c);
	if (!c->backend && policy_conf(n->policy)->cache_size_bytes &&
	    cached_start(c, &s, &f))
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
	kernel_forget(c);
	relay_end_questions(c);
	tunnel_close_all(c);
	/* The kernel's goes on. */
	if (c->backend == &cached_kernel)
		c->backend = NULL;
	cached_stop(c);
	c->node->cached = NULL;
	free(c);
}
