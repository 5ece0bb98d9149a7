// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Calls: queued, sent, sent again on the next connection, watched over, ended. The
 * contract is in server.h. All in the loop's thread.
 */
#include <stdlib.h>

#include "log.h"
#include "serverlink.h"

enum { WATCH_US = 200000 }; /* how often time limits are looked at */

static void watch_calls(struct server *s);

static struct call **tag_bucket(struct server *s, u64 tag)
{
	return &s->by_tag[tag % TAG_BUCKETS];
}

struct call *call_of(struct server *s, u64 tag)
{
	struct call *c = *tag_bucket(s, tag);

	while (c && c->tag != tag)
		c = c->chain;
	return c;
}

struct call *call_new(struct volume *v, u16 type, u16 want, size_t head_len)
{
	struct call *c = calloc(1, sizeof(*c) + head_len);

	if (!c)
		return NULL;
	c->volume = v;
	c->type = type;
	c->want = want;
	c->head_len = (u32)head_len;
	c->file_at = c->file2_at = CALL_NO_FILE;
	return c;
}

void call_drop(struct call *c)
{
	struct inodes *t = c->volume->server->all->inodes;

	inode_put(t, c->inode);
	inode_put(t, c->dir);
	free(c->memory);
	free(c);
}

static void unsend(struct server *s, struct call *c)
{
	if (c->sent && !c->waits)
		loop_expect(s->all->loop, -1);
	c->sent = false;
}

void call_end(struct call *c, int err, const u8 *payload, u32 len)
{
	struct server *s = c->volume->server;
	struct call **at = tag_bucket(s, c->tag);

	unsend(s, c);
	TAILQ_REMOVE(&s->calls, c, entry);
	while (*at != c)
		at = &(*at)->chain;
	*at = c->chain;
	c->done(c, err, payload, len);
	call_drop(c);
}

static void put_file(struct call *c, const struct file *f, u32 at)
{
	if (f && at != CALL_NO_FILE)
		put_u64(c->head + at, f->remote);
}

/* Fails what cannot be sent as it is; true when @c has ended by that. */
static bool lost_its_file(struct call *c)
{
	if ((c->file && !c->file->remote) || (c->file2 && !c->file2->remote)) {
		call_end(c, c->type == MSG_FILE_RELEASE ? 0 : -ESTALE, NULL, 0);
		return true;
	}
	return false;
}

static void send_call(struct server *s, struct call *c)
{
	const struct frame f = { .type = c->type, .tag = c->tag };
	u32 slot = 0;
	int ret;

	if (lost_its_file(c))
		return;
	ret = c->named ? caller_slot(s, c->uid, c->gid, &slot) : 0;
	if (ret == -EAGAIN)
		return; /* it stays in the queue */
	/* Also for who waits for servers for ever: others would wait for this
	 * one, whose name the kernel looks up only once at a time.
	 */
	if (ret) {
		call_end(c, ret, NULL, 0);
		return;
	}
	if (c->prepare)
		c->prepare(c);
	put_file(c, c->file, c->file_at);
	put_file(c, c->file2, c->file2_at);
	if (c->named)
		put_u32(c->head, slot);
	if (conn_send(s->conn, &f, c->head, c->head_len, c->body, c->body_len))
		return; /* the connection is about to end */
	c->sent = true;
	c->sent_ever = true;
	if (!c->waits)
		loop_expect(s->all->loop, 1);
}

static bool may_send(const struct server *s, const struct call *c)
{
	return s->conn && conn_is_open(s->conn) && !c->sent &&
	       (c->first || c->volume->attached);
}

void server_send_queue(struct server *s, struct volume *v)
{
	struct call *c, *next;

	for (c = TAILQ_FIRST(&s->calls); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->volume == v && may_send(s, c))
			send_call(s, c);
	}
}

void servers_send_queues(struct servers *all)
{
	struct volume *v;

	for (v = all->volumes; v; v = v->next)
		server_send_queue(v->server, v);
}

void server_end_uncertain(struct call *c)
{
	log_warning("%s: the server restarted while message %u was under way; "
		    "whether it was done is not known", c->volume->name, c->type);
	call_end(c, -EIO, NULL, 0);
}

bool server_is_down(const struct server *s)
{
	return s->known_down;
}

static u64 deadline_of(const struct server *s)
{
	u64 now = loop_clock_us();
	u64 limit = s->all->timeout_ms * 1000ull;

	if (s->all->patience == PATIENCE_HARD)
		return 0;
	/* Who asks when the server has been down for long need not wait the
	 * whole time over again.
	 */
	if (s->down_since_us && now - s->down_since_us >= limit)
		return now;
	return now + limit;
}

void call_start(struct call *c)
{
	struct server *s = c->volume->server;
	struct call **at;

	c->tag = ++s->all->tag;
	TAILQ_INSERT_TAIL(&s->calls, c, entry);
	at = tag_bucket(s, c->tag);
	c->chain = *at;
	*at = c;
	if (!c->volume->listed && !c->volume->attached) {
		call_end(c, -ESTALE, NULL, 0);
		return;
	}
	/* Attaching is watched over by the connection, and by what waits. */
	c->deadline_us = c->first || c->patient ? 0 : deadline_of(s);
	if (may_send(s, c)) {
		send_call(s, c);
		watch_calls(s);
		return;
	}
	if (s->all->patience == PATIENCE_SOFT && s->known_down &&
	    !c->patient) {
		server_want(c->volume);
		call_end(c, -EHOSTDOWN, NULL, 0);
	} else if (c->deadline_us && c->deadline_us <= loop_clock_us()) {
		server_want(c->volume);
		call_end(c, -ETIMEDOUT, NULL, 0);
	} else {
		server_want(c->volume);
		watch_calls(s);
	}
}

void call_interrupt(struct call *c)
{
	struct server *s = c->volume->server;
	const struct msg_file_cancel m = { .tag = c->tag };

	c->interrupted = true;
	if (!c->sent)
		call_end(c, -EINTR, NULL, 0);
	else if (c->waits)
		conn_request(s->conn, ++s->all->tag, FILE_CANCEL, file_cancel,
			     &m);
}

void server_fail_volume(struct volume *v, int err)
{
	struct call *c, *next;

	for (c = TAILQ_FIRST(&v->server->calls); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->volume == v)
			call_end(c, err, NULL, 0);
	}
}

void server_watch(struct timer *t)
{
	struct server *s = (struct server *)((char *)t -
					     offsetof(struct server, watch));
	u64 now = loop_clock_us();
	struct call *c, *next;

	for (c = TAILQ_FIRST(&s->calls); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->deadline_us && c->deadline_us <= now &&
		    !(c->waits && c->sent))
			call_end(c, -ETIMEDOUT, NULL, 0);
		else if (c->named && may_send(s, c))
			send_call(s, c); /* or learn that it takes too long */
	}
	watch_calls(s);
}

static void watch_calls(struct server *s)
{
	if (!TAILQ_EMPTY(&s->calls) && !timer_armed(&s->watch))
		loop_arm(s->all->loop, &s->watch, WATCH_US);
}

void server_requeue(struct server *s)
{
	struct call *c, *next;

	for (c = TAILQ_FIRST(&s->calls); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		unsend(s, c);
		if (c->first)
			call_end(c, -ECONNRESET, NULL, 0);
		else if (c->interrupted)
			call_end(c, -EINTR, NULL, 0);
		else if (s->all->patience == PATIENCE_SOFT && !c->patient)
			call_end(c, -EHOSTDOWN, NULL, 0);
	}
}
