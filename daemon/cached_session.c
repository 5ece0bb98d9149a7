// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One conversation with the cache, whatever carries it: bytes in, one send for
 * the answers of all commands in them, and what is left of either kept.
 */
#include <stdlib.h>

#include "cached_impl.h"

void session_begin(struct session *s, struct cached *c,
		   const struct session_ops *ops)
{
	s->cached = c;
	s->ops = ops;
	s->active_s = c->m.now;
	LIST_INSERT_HEAD(&c->sessions, s, entry);
	c->server.curr_connections++;
	c->server.total_connections++;
}

void session_end(struct session *s)
{
	LIST_REMOVE(s, entry);
	s->cached->server.curr_connections--;
	memcached_leave(&s->cached->m, &s->mc);
	free(s->in);
	free(s->out);
}

/* Keeps what of @r was not taken; false when memory is out. */
static bool keep_unsent(struct session *s, const struct memcached_reply *r,
			size_t sent)
{
	size_t left = r->bytes - sent, at = 0;
	u32 i;

	s->out = malloc(left);
	if (!s->out)
		return false;
	for (i = 0; i < r->count; i++) {
		const struct memcached_vec *v = &r->vec[i];
		size_t skip = sent < v->len ? sent : v->len;

		memcpy(s->out + at, (const u8 *)v->base + skip, v->len - skip);
		at += v->len - skip;
		sent -= skip;
	}
	s->out_len = (u32)left;
	s->out_at = 0;
	return true;
}

/* False when the session is to end. */
static bool answer(struct session *s)
{
	struct cached *c = s->cached;
	struct memcached_reply *r = &c->reply;
	ssize_t sent = 0;
	bool ok = true;

	if (r->bytes)
		sent = s->ops->send(s, r->vec, r->count);
	if (sent < 0 && sent != -EAGAIN)
		ok = false;
	else if (r->bytes > (size_t)(sent < 0 ? 0 : sent))
		ok = keep_unsent(s, r, sent < 0 ? 0 : (size_t)sent);
	if (sent > 0)
		c->server.bytes_written += (u64)sent;
	memcached_sent(&c->m, r);
	return ok;
}

/* Keeps the @len bytes at @in, which may lie in s->in. */
static bool keep_input(struct session *s, const u8 *in, size_t len)
{
	u8 *kept = NULL;

	if (len) {
		kept = malloc(len);
		if (!kept)
			return false;
		memcpy(kept, in, len);
	}
	free(s->in);
	s->in = kept;
	s->in_len = (u32)len;
	return true;
}

static bool run(struct session *s, const u8 *in, size_t len)
{
	struct cached *c = s->cached;
	int passes = 0;
	bool full = true;

	while (full && !session_blocked(s) && passes++ < PASSES_MAX &&
	       s->mc.state != MEMCACHED_CLOSING) {
		size_t used = memcached_run(&c->m, &s->mc, in, len, &c->reply);

		in += used;
		len -= used;
		full = c->reply.full;
		if (!answer(s))
			return false;
	}
	if (s->mc.state == MEMCACHED_CLOSING)
		return session_blocked(s);
	if (!keep_input(s, in, len))
		return false;
	s->ops->wait(s, full || session_blocked(s));
	return true;
}

bool session_bytes(struct session *s, const u8 *in, size_t len)
{
	struct cached *c = s->cached;
	bool goes_on;

	cached_tick(c);
	s->active_s = c->m.now;
	c->server.bytes_read += len;
	if (s->in_len) {
		/* A part of a command is short; bytes that came while answers
		 * did not go out are few, since none were taken then.
		 */
		u8 *both = malloc(s->in_len + len);

		if (both) {
			memcpy(both, s->in, s->in_len);
			memcpy(both + s->in_len, in, len);
		}
		goes_on = both && run(s, both, s->in_len + len);
		free(both);
	} else {
		goes_on = run(s, in, len);
	}
	if (!goes_on)
		s->ops->end(s);
	return !goes_on;
}

bool session_drained(struct session *s)
{
	struct memcached_vec rest = { s->out + s->out_at,
				      s->out_len - s->out_at };
	ssize_t sent = 0;

	if (session_blocked(s)) {
		sent = s->ops->send(s, &rest, 1);
		if (sent < 0 && sent != -EAGAIN) {
			s->ops->end(s);
			return true;
		}
		if (sent > 0) {
			s->out_at += (u32)sent;
			s->active_s = s->cached->m.now;
			s->cached->server.bytes_written += (u64)sent;
		}
		if (s->out_at < s->out_len) {
			s->ops->wait(s, true);
			return false;
		}
		free(s->out);
		s->out = NULL;
		s->out_len = 0;
	}
	if (s->mc.state == MEMCACHED_CLOSING) {
		s->ops->end(s);
		return true;
	}
	return session_bytes(s, (const u8 *)"", 0);
}
