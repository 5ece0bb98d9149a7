// SPDX-License-Identifier: GPL-2.0-or-later
/* Sessions of virgod's own cache whose client is a stream of another node. */
#include <stdlib.h>

#include "cached_impl.h"

struct served {
	struct stream stream;
	struct session session;
	u64 owed; /* bytes that came, to be allowed again */
	struct post again;
	bool deferred;
	bool ended; /* waits for again to run */
};

static struct served *served_of(struct session *s)
{
	return (struct served *)((char *)s - offsetof(struct served, session));
}

static ssize_t served_send(struct session *s, const struct memcached_vec *vec,
			   u32 count)
{
	static u8 flat[CACHE_WINDOW];
	struct stream *t = &served_of(s)->stream;
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
	ret = stream_send(t, flat, len);
	return ret ? ret : (ssize_t)len;
}

/* What was taken may come again. */
static void pay(struct served *v)
{
	if (session_blocked(&v->session))
		return;
	stream_allow(&v->stream, v->owed);
	v->owed = 0;
}

static void run_again(struct post *p)
{
	struct served *v =
		(struct served *)((char *)p - offsetof(struct served, again));

	v->deferred = false;
	if (v->ended)
		free(v);
	else if (!session_drained(&v->session))
		pay(v);
}

static void served_wait(struct session *s, bool to_send)
{
	struct served *v = served_of(s);

	/* Blocked, it waits for the peer's credit; else only for its turn. */
	if (!to_send || session_blocked(s) || v->deferred)
		return;
	v->deferred = true;
	loop_defer(s->cached->node->loop, &v->again);
}

static void served_end(struct session *s)
{
	struct served *v = served_of(s);

	stream_leave(&v->stream);
	session_end(s);
	v->ended = true;
	if (!v->deferred)
		free(v);
}

static const struct session_ops session_ops = { served_send, served_wait,
						served_end };

/* Keeps the bytes as if they were a command's beginning. */
static bool keep(struct session *s, const u8 *data, u32 len)
{
	u8 *more = realloc(s->in, s->in_len + len);

	if (!more)
		return false;
	memcpy(more + s->in_len, data, len);
	s->in = more;
	s->in_len += len;
	return true;
}

static void came(struct stream *t, const u8 *data, u32 len)
{
	struct served *v = (struct served *)t;
	struct session *s = &v->session;

	v->owed += len;
	if (session_blocked(s) && session_drained(s))
		return;
	if (len && session_blocked(s)) {
		if (!keep(s, data, len)) {
			served_end(s);
			return;
		}
	} else if (len && session_bytes(s, data, len)) {
		return;
	}
	pay(v);
}

static void closed(struct stream *t)
{
	struct session *s = &((struct served *)t)->session;

	if (session_blocked(s))
		s->mc.state = MEMCACHED_CLOSING;
	else
		served_end(s);
}

static void end(struct stream *t)
{
	served_end(&((struct served *)t)->session);
}

struct stream *served_open(struct cached *c)
{
	static const struct stream_ops ops = { came, closed, end };
	struct served *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->stream.ops = &ops;
	v->again.run = run_again;
	session_begin(&v->session, c, &session_ops);
	return &v->stream;
}
