// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions of other nodes: their bytes come and go as frames of one exchange each
 * (msg_cache.h). Never more is under way in a direction than its receiver has
 * allowed, so a node whose clients do not read costs what a window holds.
 */
#include <stdlib.h>

#include "cached_impl.h"

struct stream {
	struct session session;
	LIST_ENTRY(stream) entry;
	struct conn *conn; /* a reference */
	u64 tag;
	u64 window; /* bytes that may be sent */
	u64 allowed; /* bytes that may come */
	u64 owed; /* bytes that came, to be allowed again */
	struct post again;
	bool deferred;
	bool ended; /* waits for again to run */
};

static struct stream *stream_of(struct session *s)
{
	return (struct stream *)s;
}

static int send_frame(struct stream *t, u16 type, u8 flags, u32 credit,
		      const void *data, size_t len)
{
	const struct frame f = { .type = type,
				 .flags = flags | FRAME_REPLY,
				 .credit = credit,
				 .tag = t->tag };

	return conn_send(t->conn, &f, data, len, NULL, 0);
}

static ssize_t stream_send(struct session *s, const struct memcached_vec *vec,
			   u32 count)
{
	static u8 flat[CACHE_WINDOW];
	struct stream *t = stream_of(s);
	size_t room = t->window < sizeof(flat) ? t->window : sizeof(flat);
	size_t len = 0;
	u32 i;
	int ret;

	for (i = 0; i < count && len < room; i++) {
		size_t n = vec[i].len < room - len ? vec[i].len : room - len;

		memcpy(flat + len, vec[i].base, n);
		len += n;
	}
	if (!len)
		return -EAGAIN;
	ret = send_frame(t, MSG_CACHE_DATA, FRAME_MORE, 0, flat, len);
	if (ret)
		return ret;
	t->window -= len;
	return (ssize_t)len;
}

/* What was taken may come again. */
static void pay(struct stream *t)
{
	if (!t->owed || session_blocked(&t->session))
		return;
	send_frame(t, MSG_CACHE_DATA, FRAME_MORE, (u32)t->owed, NULL, 0);
	t->allowed += t->owed;
	t->owed = 0;
}

static void run_again(struct post *p)
{
	struct stream *t =
		(struct stream *)((char *)p - offsetof(struct stream, again));

	t->deferred = false;
	if (t->ended)
		free(t);
	else if (!session_drained(&t->session))
		pay(t);
}

static void stream_wait(struct session *s, bool to_send)
{
	struct stream *t = stream_of(s);

	/* Blocked, it waits for the peer's credit; else only for its turn. */
	if (!to_send || session_blocked(s) || t->deferred)
		return;
	t->deferred = true;
	loop_defer(s->cached->node->loop, &t->again);
}

static void stream_end(struct session *s)
{
	struct stream *t = stream_of(s);

	send_frame(t, MSG_CACHE_CLOSE, 0, 0, NULL, 0);
	LIST_REMOVE(t, entry);
	session_end(s);
	conn_put(t->conn);
	t->ended = true;
	if (!t->deferred)
		free(t);
}

static const struct session_ops stream_ops = { stream_send, stream_wait,
					       stream_end };

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
	if (!c->running) {
		request_fail(r, -ENOENT, r->node->local.node,
			     "'virgo cache start' there", "it has no cache");
		return;
	}
	t = streams_of(c, r->conn) < TUNNEL_SESSIONS_MAX ?
		    calloc(1, sizeof(*t)) : NULL;
	if (!t) {
		request_fail(r, -EBUSY, r->node->local.node, NULL,
			     "too many connections to its cache");
		return;
	}
	t->conn = conn_get(r->conn);
	t->tag = r->frame->tag;
	t->window = m.window_bytes;
	t->allowed = CACHE_WINDOW;
	t->again.run = run_again;
	session_begin(&t->session, c, &stream_ops);
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
		stream_end(&t->session);
		return;
	}
	t->allowed -= len;
	t->owed += len;
	if (r->frame->credit && session_blocked(&t->session) &&
	    session_drained(&t->session))
		return;
	if (len && session_blocked(&t->session)) {
		/* Kept as if it were a command's beginning. */
		struct session *s = &t->session;
		u8 *more = realloc(s->in, s->in_len + len);

		if (!more) {
			stream_end(s);
			return;
		}
		memcpy(more + s->in_len, r->payload, len);
		s->in = more;
		s->in_len += len;
	} else if (len && session_bytes(&t->session, r->payload, len)) {
		return;
	}
	pay(t);
}

static void handle_close(struct request *r)
{
	struct stream *t = stream_find(r);

	if (!t)
		return;
	if (session_blocked(&t->session))
		t->session.mc.state = MEMCACHED_CLOSING;
	else
		stream_end(&t->session);
}

static void on_close(struct node *n, struct conn *conn)
{
	struct stream *t, *next;

	if (!n->cached)
		return;
	for (t = LIST_FIRST(&n->cached->streams); t; t = next) {
		next = LIST_NEXT(t, entry);
		if (t->conn == conn)
			stream_end(&t->session);
	}
}

void stream_end_all(struct cached *c)
{
	while (!LIST_EMPTY(&c->streams))
		stream_end(&LIST_FIRST(&c->streams)->session);
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
