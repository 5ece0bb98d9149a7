// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The way to the kernel's cache, which is a port of the loopback: streams of other
 * nodes, each over a connection of its own, and the commands of virgo cache.
 *
 *	other node ==TLS, CACHE_OPEN==> relay -------.
 *	virgo cache get ==unix==> CACHE_ASK: question -+--127.0.0.1:port--> virgo.ko
 *
 * A relay holds at most a window in the direction to the port, because what the
 * port has not taken is not allowed again, and nothing in the other: it reads what
 * the node's window has room for.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "cached_impl.h"

/* A socket that is being connected, or a negative errno. */
static int dial(u16 port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
	    errno == EINPROGRESS)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/* How many bytes went out, 0 for none now, or a negative errno. */
static ssize_t put(int fd, const u8 *data, size_t len)
{
	ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* --- streams of other nodes --- */

struct relay {
	struct stream stream;
	struct cached *cached;
	struct watch watch;
	struct timer stall;
	u8 *kept; /* of the node, what the port has not taken yet */
	u32 kept_len;
	bool is_watched;
	bool no_more; /* the node sends nothing any more */
	bool deaf; /* the port takes nothing any more */
};

static struct relay *relay_of(struct stream *t)
{
	return (struct relay *)t;
}

static void relay_end(struct stream *t)
{
	struct relay *r = relay_of(t);

	stream_leave(t);
	loop_disarm(r->cached->node->loop, &r->stall);
	loop_unwatch(r->cached->node->loop, &r->watch);
	close(r->watch.fd);
	free(r->kept);
	free(r);
}

static u64 stall_us(const struct cached *c)
{
	return policy_conf(c->node->policy)->cache_stall_ms * 1000ull;
}

/* Its client may be gone: a node tells that no otherwise than the end of what it
 * says, after which answers may still be wanted.
 */
static void stalled(struct timer *t)
{
	struct relay *r =
		(struct relay *)((char *)t - offsetof(struct relay, stall));

	relay_end(&r->stream);
}

/* A connection that has ended is always ready: without room for what is left in
 * it, it must not be watched at all.
 */
static void watch_anew(struct relay *r)
{
	struct loop *loop = r->cached->node->loop;
	u32 events = (r->kept_len ? EPOLLOUT : 0) |
		     (r->stream.window ? EPOLLIN : 0);
	int ret = 0;

	if (r->kept_len || !r->stream.window)
		loop_arm(loop, &r->stall, stall_us(r->cached));
	else
		loop_disarm(loop, &r->stall);
	if (!events) {
		loop_unwatch(loop, &r->watch);
		r->is_watched = false;
	} else if (r->is_watched) {
		loop_rewatch(loop, &r->watch, events);
	} else {
		ret = loop_watch(loop, &r->watch, events);
		r->is_watched = !ret;
	}
	if (ret)
		relay_end(&r->stream);
}

/* What the port takes may come again. When it takes nothing any more, what it
 * has said before is still to be read.
 */
static u32 give(struct relay *r, const u8 *data, u32 len)
{
	ssize_t n = r->deaf ? (ssize_t)len : put(r->watch.fd, data, len);

	if (n < 0) {
		r->deaf = true;
		n = (ssize_t)len;
	}
	stream_allow(&r->stream, (u64)n);
	return (u32)n;
}

static void say_no_more(struct relay *r)
{
	if (r->no_more && !r->kept_len)
		shutdown(r->watch.fd, SHUT_WR);
}

static void flush(struct relay *r)
{
	u32 n = give(r, r->kept, r->kept_len);

	r->kept_len -= n;
	memmove(r->kept, r->kept + n, r->kept_len);
	if (r->kept_len)
		return;
	free(r->kept);
	r->kept = NULL;
	say_no_more(r);
}

/* Answers for the node; false when @r was ended. */
static bool take(struct relay *r)
{
	struct stream *t = &r->stream;
	size_t room = t->window < RECEIVE_BYTES ? t->window : RECEIVE_BYTES;
	u8 *buf = r->cached->receive;
	ssize_t n = recv(r->watch.fd, buf, room, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n > 0 && !stream_send(t, buf, (size_t)n))
		return true;
	relay_end(t);
	return false;
}

static void relay_ready(struct watch *w, u32 events)
{
	struct relay *r =
		(struct relay *)((char *)w - offsetof(struct relay, watch));

	if (r->kept_len && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		flush(r);
	if (r->stream.window && events & (EPOLLIN | EPOLLERR | EPOLLHUP) &&
	    !take(r))
		return;
	watch_anew(r);
}

static void came(struct stream *t, const u8 *data, u32 len)
{
	struct relay *r = relay_of(t);
	u32 n = len && !r->kept_len ? give(r, data, len) : 0;
	u8 *more;

	if (n < len) {
		more = realloc(r->kept, r->kept_len + len - n);
		if (!more) {
			relay_end(t);
			return;
		}
		memcpy(more + r->kept_len, data + n, len - n);
		r->kept = more;
		r->kept_len += len - n;
	}
	watch_anew(r);
}

static void closed(struct stream *t)
{
	relay_of(t)->no_more = true;
	say_no_more(relay_of(t));
}

struct stream *relay_open(struct cached *c)
{
	static const struct stream_ops ops = { came, closed, relay_end };
	struct relay *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->cached = c;
	r->stream.ops = &ops;
	r->watch.ready = relay_ready;
	r->stall.fire = stalled;
	r->watch.fd = dial(c->setup.port);
	r->is_watched = r->watch.fd >= 0 &&
			!loop_watch(c->node->loop, &r->watch, EPOLLIN);
	if (r->is_watched)
		return &r->stream;
	if (r->watch.fd >= 0)
		close(r->watch.fd);
	free(r);
	return NULL;
}

/* --- commands of virgo cache --- */

struct question {
	LIST_ENTRY(question) entry;
	struct cached *cached;
	struct watch watch;
	struct timer patience;
	struct conn *conn; /* a reference; who asks */
	u64 tag;
	u8 *commands;
	size_t left; /* of them, at the end */
	size_t len;
	size_t got; /* of CACHE_ANSWER_MAX */
	u8 *answers;
};

static void question_free(struct question *q)
{
	struct cached *c = q->cached;

	loop_disarm(c->node->loop, &q->patience);
	loop_unwatch(c->node->loop, &q->watch);
	if (q->watch.fd >= 0)
		close(q->watch.fd);
	LIST_REMOVE(q, entry);
	c->question_count--;
	conn_put(q->conn);
	free(q->commands);
	free(q->answers);
	free(q);
}

static void question_fail(struct question *q, int error)
{
	struct failure f;

	failure_set(&f, error, "cache", NULL,
		    "the kernel's does not answer: %s", strerror(-error));
	conn_reply_failure(q->conn, q->tag, &f);
	question_free(q);
}

static void question_done(struct question *q)
{
	struct msg_cache_answer m = { { q->answers, (u32)q->got } };

	conn_reply(q->conn, q->tag, CACHE_ANSWER, cache_answer, &m);
	question_free(q);
}

static void no_patience(struct timer *t)
{
	question_fail((struct question *)((char *)t -
					  offsetof(struct question, patience)),
		      -ETIMEDOUT);
}

/* The end of what we say has it answer all and end; the part of a command that
 * may be left is dropped, as virgod does.
 */
static void say(struct question *q)
{
	ssize_t n = put(q->watch.fd, q->commands + q->len - q->left, q->left);

	/* What it answered before it took no more is still to be read. */
	q->left = n < 0 ? 0 : q->left - (size_t)n;
	if (q->left)
		return;
	shutdown(q->watch.fd, SHUT_WR);
	loop_rewatch(q->cached->node->loop, &q->watch, EPOLLIN);
}

static void question_ready(struct watch *w, u32 events)
{
	struct question *q = (struct question *)((char *)w -
						 offsetof(struct question,
							  watch));
	ssize_t n;

	if (q->left && events & EPOLLOUT)
		say(q);
	if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		return;
	n = recv(w->fd, q->answers + q->got, CACHE_ANSWER_MAX - q->got,
		 MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		q->got += (size_t)n;
	if (n < 0)
		question_fail(q, -errno);
	else if (n == 0 || q->got == CACHE_ANSWER_MAX)
		question_done(q);
}

static struct question *question_new(struct request *r, struct span commands)
{
	struct cached *c = r->node->cached;
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->cached = c;
	q->conn = conn_get(r->conn);
	q->tag = r->frame->tag;
	q->watch.fd = -1;
	q->watch.ready = question_ready;
	q->patience.fire = no_patience;
	q->left = q->len = commands.len;
	q->commands = malloc(commands.len + 1);
	q->answers = malloc(CACHE_ANSWER_MAX);
	LIST_INSERT_HEAD(&c->questions, q, entry);
	c->question_count++;
	if (q->commands && q->answers) {
		memcpy(q->commands, commands.data, commands.len);
		return q;
	}
	question_free(q);
	return NULL;
}

void relay_ask(struct request *r, struct span commands)
{
	struct cached *c = r->node->cached;
	struct question *q;
	int ret = 0;

	if (c->question_count >= QUESTIONS_MAX) {
		request_fail(r, -EBUSY, "cache", NULL,
			     "too much is asked of it at once");
		return;
	}
	q = question_new(r, commands);
	if (!q) {
		request_fail(r, -ENOMEM, "cache", NULL, "out of memory");
		return;
	}
	q->watch.fd = dial(c->setup.port);
	if (q->watch.fd < 0)
		ret = q->watch.fd;
	else
		ret = loop_watch(c->node->loop, &q->watch, EPOLLIN | EPOLLOUT);
	if (ret) {
		question_fail(q, ret);
		return;
	}
	loop_arm(c->node->loop, &q->patience, stall_us(c));
}

void relay_end_questions(struct cached *c)
{
	while (!LIST_EMPTY(&c->questions))
		question_free(LIST_FIRST(&c->questions));
}
