// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Conversations of other nodes with this node's cache: their bytes come and go as
 * frames of one exchange each (msg_cache.h). Never more is under way in a
 * direction than its receiver has allowed, so a node whose clients do not read
 * costs what a window holds. What is at this end of it is the backend's.
 */
#include <stdlib.h>

#include "cached_impl.h"

static int send_frame(struct stream *t, u16 type, u8 flags, u32 credit,
		      const void *data, size_t len)
{
	const struct frame f = { .type = type,
				 .flags = flags | FRAME_REPLY,
				 .credit = credit,
				 .tag = t->tag };

	return conn_send(t->conn, &f, data, len, NULL, 0);
}

int stream_send(struct stream *t, const void *data, size_t len)
{
	int ret = send_frame(t, MSG_CACHE_DATA, FRAME_MORE, 0, data, len);

	if (!ret)
		t->window -= len;
	return ret;
}

void stream_allow(struct stream *t, u64 len)
{
	if (!len)
		return;
	send_frame(t, MSG_CACHE_DATA, FRAME_MORE, (u32)len, NULL, 0);
	t->allowed += len;
}

void stream_leave(struct stream *t)
{
	send_frame(t, MSG_CACHE_CLOSE, 0, 0, NULL, 0);
	LIST_REMOVE(t, entry);
	conn_put(t->conn);
}

static struct stream *stream_find(struct request *r)
{
	struct stream *t;

	LIST_FOREACH(t, &r->node->cached->streams, entry)
		if (t->conn == r->conn && t->tag == r->frame->tag)
			return t;
	return NULL;
}

static u32 streams_of(struct cached *c, struct conn *conn)
{
	struct stream *t;
	u32 n = 0;

	LIST_FOREACH(t, &c->streams, entry)
		n += t->conn == conn;
	return n;
}

static void handle_open(struct request *r)
{
	struct cached *c = r->node->cached;
	struct msg_cache_open m;
	struct policy_grant grant;
	struct failure f;
	struct stream *t;
	char user[64];

	if (!request_decode(r, cache_open, &m))
		return;
	if (!span_to_cstr(m.user, user, sizeof(user)) ||
	    policy_admit(r->node->policy, r->peer, user, "cache", &grant, &f)) {
		if (m.user.len && m.user.len < sizeof(user))
			request_fail_with(r, &f);
		else
			request_fail(r, -EINVAL, "cache", NULL,
				     "not a user's name");
		return;
	}
	if (!cached_serving(c)) {
		request_fail(r, -ENOENT, r->node->local.node,
			     "'virgo cache start' there", "it has no cache");
		return;
	}
	t = streams_of(c, r->conn) < TUNNEL_SESSIONS_MAX ?
		    c->backend->open(c) : NULL;
	if (!t) {
		request_fail(r, -EBUSY, r->node->local.node, NULL,
			     "too many connections to its cache");
		return;
	}
	t->cached = c;
	t->conn = conn_get(r->conn);
	t->tag = r->frame->tag;
	t->window = m.window_bytes;
	t->allowed = CACHE_WINDOW;
	LIST_INSERT_HEAD(&c->streams, t, entry);
	send_frame(t, MSG_CACHE_OPENED, FRAME_MORE, CACHE_WINDOW, NULL, 0);
}

static void handle_data(struct request *r)
{
	struct stream *t = stream_find(r);
	u32 len = r->frame->length;

	if (!t)
		return; /* it ended meanwhile, and was told so */
	t->window += r->frame->credit;
	if (len > t->allowed) {
		t->ops->end(t);
		return;
	}
	t->allowed -= len;
	t->ops->came(t, r->payload, len);
}

static void handle_close(struct request *r)
{
	struct stream *t = stream_find(r);

	if (t)
		t->ops->closed(t);
}

static void on_close(struct node *n, struct conn *conn)
{
	struct stream *t, *next;

	if (!n->cached)
		return;
	for (t = LIST_FIRST(&n->cached->streams); t; t = next) {
		next = LIST_NEXT(t, entry);
		if (t->conn == conn)
			t->ops->end(t);
	}
}

void stream_end_all(struct cached *c)
{
	while (!LIST_EMPTY(&c->streams)) {
		struct stream *t = LIST_FIRST(&c->streams);

		t->ops->end(t);
	}
}

void stream_serve(struct cached *c)
{
	static const struct service table[] = {
		{ MSG_CACHE_OPEN, FROM_PEER, handle_open },
		{ MSG_CACHE_DATA, FROM_PEER, handle_data },
		{ MSG_CACHE_CLOSE, FROM_PEER, handle_close },
	};

	service_add(c->node, table, ARRAY_SIZE(table));
	service_on_close(c->node, on_close);
}
