// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One NBD connection: moves bytes between its socket and the two machines,
 * handshake.h and then transmission.h. In one turn it receives once, lets the
 * machine do every request that came, and sends what there is to send with one
 * call. While the socket takes no more, nothing is received: a client that does
 * not read its answers holds up only itself.
 *
 * All of its memory is taken when it begins; a request takes none.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handshake.h"
#include "log.h"
#include "server.h"
#include "transmission.h"

enum {
	IN_BYTES = 256 << 10,
	HANDSHAKE_SECONDS = 30,
	UNIX_BUFFER_BYTES = 4 << 20,
	TURNS_MAX = 8, /* then others have their turn */
	WAIT_BYTES = 4 * NBD_SIMPLE_LEN, /* of answers that may wait */
	OUT_BYTES = 2 * HANDSHAKE_OUT_MIN,
};

static_assert((int)IN_BYTES >= (int)HANDSHAKE_IN_MIN, "an option fits");
static_assert((int)OUT_BYTES <= (int)BATCH_ROOM, "answers are gathered in the batch");

enum phase {
	PHASE_HANDSHAKE,
	PHASE_TLS, /* GnuTLS negotiates */
	PHASE_TRANSMISSION,
	PHASE_CLOSING, /* what is left to send, then the end */
};

struct connection {
	struct watch watch;
	struct timer deadline; /* of the handshake */
	struct timer again; /* there is more to do without any event */
	struct server *server;
	struct connection *next;
	struct connection **link; /* what points to this one */
	struct secure *secure; /* NULL: plain */
	enum phase phase;
	struct handshake handshake;
	struct transmission transmission;
	size_t in_at; /* [in_at, in_len) of @in is still to be looked at */
	size_t in_len;
	u32 sent; /* vectors of the batch that are done */
	bool drained; /* the last receive left nothing in the socket */
	struct batch batch;
	u8 in[IN_BYTES];
};

static void end(struct connection *c)
{
	struct server *s = c->server;

	loop_unwatch(s->loop, &c->watch);
	loop_disarm(s->loop, &c->deadline);
	loop_disarm(s->loop, &c->again);
	if (c->secure)
		secure_bye(c->secure);
	secure_free(c->secure);
	close(c->watch.fd);
	transmission_end(&c->transmission);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	s->count--;
	s->requests += c->transmission.requests;
	if (c->phase == PHASE_TRANSMISSION)
		loop_expect(s->loop, -1);
	free(c);
}

static bool may_open(const struct connection *c, const struct export *e)
{
	if (!e->owner[0])
		return true;
	return c->secure && secure_peer_is(c->secure, e->owner);
}

static struct export *view_next(void *arg, u32 *at)
{
	struct connection *c = arg;
	struct export *e;

	do
		e = pool_next(c->server->pool, at);
	while (e && !may_open(c, e));
	return e;
}

static struct export *view_only(struct connection *c)
{
	u32 at = 0;
	struct export *e = view_next(c, &at);

	return e && !view_next(c, &at) ? e : NULL;
}

/* NAME or NAME@GENERATION. */
static struct export *view_find(void *arg, const char *name, size_t len)
{
	struct connection *c = arg;
	const char *mark = len ? memchr(name, '@', len) : NULL;
	char digits[24];
	struct export *e;

	if (!len)
		return view_only(c);
	e = pool_find(c->server->pool, name, mark ? (size_t)(mark - name) : len);
	if (!e || !may_open(c, e))
		return NULL;
	if (!mark)
		return e;
	len -= (size_t)(mark - name) + 1;
	snprintf(digits, sizeof(digits), "%llu",
		 (unsigned long long)e->generation);
	return strlen(digits) == len && !memcmp(mark + 1, digits, len) ? e :
									 NULL;
}

static void batch_clear(struct connection *c)
{
	c->batch.vectors = 0;
	c->batch.used = 0;
	c->batch.bytes = 0;
	c->sent = 0;
}

static ssize_t send_some(struct connection *c)
{
	struct iovec *v = c->batch.vector + c->sent;
	u32 count = c->batch.vectors - c->sent;
	struct msghdr m = { .msg_iov = v, .msg_iovlen = count };
	ssize_t n;

	if (c->secure)
		return secure_send(c->secure, v, count);
	n = sendmsg(c->watch.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

/* 0 when all was sent, -EAGAIN, or the connection is of no use any more. */
static int flush(struct connection *c)
{
	while (c->sent < c->batch.vectors) {
		ssize_t n = send_some(c);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		for (; c->sent < c->batch.vectors; c->sent++) {
			struct iovec *v = c->batch.vector + c->sent;

			if ((size_t)n < v->iov_len) {
				v->iov_base = (u8 *)v->iov_base + n;
				v->iov_len -= (size_t)n;
				break;
			}
			n -= (ssize_t)v->iov_len;
		}
	}
	batch_clear(c);
	return c->secure ? secure_flush(c->secure) : 0;
}

/* One receive, of data of a long write directly to where it belongs; then only
 * the head of the next request comes with it, as its data may belong there, too.
 * Bytes, 0 at the end, or a negative errno.
 */
static ssize_t receive(struct connection *c, bool body)
{
	struct iovec v[2];
	size_t left = 0;
	int count = 0;
	ssize_t n;

	memmove(c->in, c->in + c->in_at, c->in_len - c->in_at);
	c->in_len -= c->in_at;
	c->in_at = 0;
	if (body) {
		v[count].iov_base = transmission_body(&c->transmission, &left);
		v[count++].iov_len = left;
	}
	v[count].iov_base = c->in + c->in_len;
	v[count].iov_len = IN_BYTES - c->in_len;
	if (body)
		v[count].iov_len = NBD_REQUEST_LEN;
	else if (!c->in_len && c->phase == PHASE_TRANSMISSION)
		v[count].iov_len = transmission_wants(&c->transmission,
						      IN_BYTES);
	count++;
	if (c->secure) {
		n = secure_recv(c->secure, v[0].iov_base, v[0].iov_len);
	} else {
		struct msghdr m = { .msg_iov = v, .msg_iovlen = (size_t)count };

		n = recvmsg(c->watch.fd, &m, MSG_DONTWAIT);
		n = n < 0 ? -errno : n;
		c->drained = n > 0 && (size_t)n < left + v[count - 1].iov_len;
	}
	if (n <= 0)
		return n;
	if (body)
		transmission_filled(&c->transmission,
				    (size_t)n < left ? (size_t)n : left);
	c->in_len += (size_t)n > left ? (size_t)n - left : 0;
	return n;
}

static int start_tls(struct connection *c)
{
	/* What was sent in the clear must not count as sent under TLS. */
	if (c->in_at != c->in_len)
		return -EPROTO;
	c->secure = secure_new(c->server->keys, c->watch.fd);
	c->phase = PHASE_TLS;
	c->drained = false; /* from now on bytes also wait in buffers */
	return c->secure ? 0 : -ENOMEM;
}

static void start_transmission(struct connection *c)
{
	const struct handshake *h = &c->handshake;

	transmission_init(&c->transmission, h->chosen, h->structured,
			  h->allocation);
	c->phase = PHASE_TRANSMISSION;
	loop_disarm(c->server->loop, &c->deadline);
	loop_expect(c->server->loop, 1);
}

enum turn {
	TURN_RECEIVE, /* more input is needed */
	TURN_BODY, /* more input, directly into the export */
	TURN_SEND, /* the batch is to be sent, then there is more to do */
	TURN_YIELD, /* go on after others had their turn, or with TLS's bytes */
	TURN_END,
};

static enum turn handshake_turn(struct connection *c)
{
	const struct handshake_view view = { .find = view_find,
					     .next = view_next,
					     .arg = c };
	struct handshake_out out = { .data = c->batch.room,
				     .room = OUT_BYTES };
	enum handshake_verdict v;
	size_t used;

	v = handshake_run(&c->handshake, &view, c->in + c->in_at,
			  c->in_len - c->in_at, &used, &out);
	c->in_at += used;
	if (out.used) {
		c->batch.vector[0].iov_base = out.data;
		c->batch.vector[0].iov_len = out.used;
		c->batch.vectors = 1;
	}
	switch (v) {
	case HANDSHAKE_MORE:
		return TURN_RECEIVE;
	case HANDSHAKE_SEND:
		return TURN_SEND;
	case HANDSHAKE_GO:
		start_transmission(c);
		return TURN_SEND;
	case HANDSHAKE_START_TLS:
		/* The answer must be out before TLS begins; 20 bytes are. */
		if (flush(c))
			return TURN_END;
		return start_tls(c) ? TURN_END : TURN_YIELD;
	case HANDSHAKE_END:
		c->phase = PHASE_CLOSING;
		return TURN_SEND;
	default:
		return TURN_END;
	}
}

static enum turn transmission_turn(struct connection *c)
{
	enum transmission_verdict v;
	size_t used;

	v = transmission_run(&c->transmission, c->in + c->in_at,
			     c->in_len - c->in_at, &used, &c->batch);
	c->in_at += used;
	switch (v) {
	case TRANSMISSION_MORE:
		return TURN_RECEIVE;
	case TRANSMISSION_BODY:
		return TURN_BODY;
	case TRANSMISSION_FULL:
		return TURN_SEND;
	case TRANSMISSION_AGAIN:
		return TURN_YIELD;
	case TRANSMISSION_END:
		loop_expect(c->server->loop, -1);
		c->phase = PHASE_CLOSING;
		return TURN_SEND;
	default:
		log_notice("export %s: a client broke the protocol",
			   c->transmission.export->name);
		return TURN_END;
	}
}

static enum turn tls_turn(struct connection *c)
{
	const char *why = "connection lost";
	int ret = secure_handshake(c->secure, &why);

	if (ret == -EAGAIN)
		return TURN_YIELD;
	if (ret) {
		log_notice("TLS refused: %s", why);
		return TURN_END;
	}
	handshake_secured(&c->handshake);
	c->phase = PHASE_HANDSHAKE;
	return TURN_RECEIVE;
}

static enum turn take_turn(struct connection *c)
{
	switch (c->phase) {
	case PHASE_HANDSHAKE:
		return handshake_turn(c);
	case PHASE_TRANSMISSION:
		return transmission_turn(c);
	case PHASE_TLS:
		return tls_turn(c);
	default:
		return TURN_END;
	}
}

/* The socket takes no more: wait until it does. */
static void wait_for_room(struct connection *c)
{
	loop_rewatch(c->server->loop, &c->watch, EPOLLOUT);
}

static ssize_t receive_again(struct connection *c, bool body)
{
	ssize_t n;

	do
		n = receive(c, body);
	while (n == -EINTR);
	return n;
}

/* A few short answers may wait while more requests are there already: a send for
 * each costs as much as receiving what follows.
 */
static bool may_wait(const struct connection *c, enum turn turn)
{
	return (turn == TURN_RECEIVE || turn == TURN_BODY) && !c->secure &&
	       !c->drained && c->phase == PHASE_TRANSMISSION &&
	       c->batch.vectors && !c->sent && c->batch.bytes <= WAIT_BYTES;
}

/* Sends, then receives when that is what is missing. False: wait for events, or
 * the connection has ended.
 */
static bool move_bytes(struct connection *c, enum turn turn)
{
	bool tried = may_wait(c, turn);
	ssize_t n = tried ? receive_again(c, turn == TURN_BODY) : 0;
	int ret;

	if (n > 0)
		return true;
	ret = flush(c);
	if (tried && n != -EAGAIN) {
		end(c);
		return false;
	}
	if (ret == -EAGAIN) {
		wait_for_room(c);
		return false;
	}
	if (ret) {
		end(c);
		return false;
	}
	loop_rewatch(c->server->loop, &c->watch, EPOLLIN);
	if (turn == TURN_SEND)
		return true;
	if (turn == TURN_YIELD) {
		if (c->phase == PHASE_TRANSMISSION)
			loop_arm(c->server->loop, &c->again, 0);
		return false;
	}
	if (c->drained || tried) {
		/* An event will tell when there is more. */
		c->drained = false;
		return false;
	}
	n = receive_again(c, turn == TURN_BODY);
	if (n == -EAGAIN)
		return false;
	if (n <= 0)
		end(c);
	return n > 0;
}

static void serve(struct connection *c)
{
	enum turn turn = TURN_RECEIVE;
	int turns;

	/* What could not be sent comes first. */
	if (c->sent < c->batch.vectors || c->secure) {
		int ret = flush(c);

		if (ret == -EAGAIN) {
			wait_for_room(c);
			return;
		}
		if (ret) {
			end(c);
			return;
		}
	}
	for (turns = 0; turns < TURNS_MAX; turns++) {
		turn = take_turn(c);
		if (turn == TURN_END) {
			end(c);
			return;
		}
		if (!move_bytes(c, turn))
			return;
	}
	/* Input may be left where no event of the socket tells of it. */
	loop_arm(c->server->loop, &c->again, 0);
}

static void ready(struct watch *w, u32 events)
{
	serve((struct connection *)w);
}

static void go_on(struct timer *t)
{
	serve((struct connection *)((char *)t -
				    offsetof(struct connection, again)));
}

static void too_late(struct timer *t)
{
	end((struct connection *)((char *)t -
				  offsetof(struct connection, deadline)));
}

static void set_options(int fd)
{
	const int one = 1;
	const int idle_s = 30;
	const int interval_s = 10;
	const int probes = 3;
	const int bytes = UNIX_BUFFER_BYTES;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		return;
	if (sa.ss_family == AF_UNIX) {
		/* Above the limit for all only as root; else what there is. */
		if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes,
			       sizeof(bytes)))
			setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes,
				   sizeof(bytes));
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s,
		   sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

void connection_start(struct server *s, int fd, bool trusted)
{
	struct connection *c = s->count < s->max ? malloc(sizeof(*c)) : NULL;

	if (!c) {
		log_warning("connection refused: %u are open", s->count);
		close(fd);
		return;
	}
	/* The buffers are left alone: most of them are never touched. */
	memset(c, 0, offsetof(struct connection, batch));
	batch_clear(c);
	c->server = s;
	c->watch.fd = fd;
	c->watch.ready = ready;
	c->again.fire = go_on;
	c->deadline.fire = too_late;
	set_options(fd);
	handshake_init(&c->handshake, !s->keys ? TLS_ABSENT :
		       trusted ? TLS_OFFERED : TLS_REQUIRED);
	c->next = s->connections;
	if (c->next)
		c->next->link = &c->next;
	c->link = &s->connections;
	s->connections = c;
	s->count++;
	handshake_greeting(c->batch.room);
	c->batch.vector[0].iov_base = c->batch.room;
	c->batch.vector[0].iov_len = NBD_GREETING_LEN;
	c->batch.vectors = 1;
	loop_arm(s->loop, &c->deadline, HANDSHAKE_SECONDS * 1000000ull);
	if (loop_watch(s->loop, &c->watch, EPOLLIN) || flush(c))
		end(c);
}

void server_cut(struct server *s, const struct export *only)
{
	struct connection *c = s->connections;

	while (c) {
		struct connection *next = c->next;

		if (!only || c->transmission.export == only ||
		    c->handshake.chosen == only)
			end(c);
		c = next;
	}
}

u32 server_users(const struct server *s, const struct export *e)
{
	const struct connection *c;
	u32 n = 0;

	for (c = s->connections; c; c = c->next)
		if (!e || c->transmission.export == e)
			n++;
	return n;
}

static bool uses(const struct connection *c, u64 offset, u64 len)
{
	const struct transmission *t = &c->transmission;
	const u8 *from = t->export->data + offset;
	u32 i;

	if (t->state != TRANSMISSION_IDLE && t->now.offset < offset + len &&
	    offset < t->now.offset + t->now.length)
		return true;
	for (i = c->sent; i < c->batch.vectors; i++) {
		const u8 *at = c->batch.vector[i].iov_base;

		if (at < from + len && from < at + c->batch.vector[i].iov_len)
			return true;
	}
	return false;
}

bool server_uses(const struct server *s, const struct export *e, u64 offset,
		 u64 len)
{
	const struct connection *c;

	for (c = s->connections; c; c = c->next)
		if (c->transmission.export == e && uses(c, offset, len))
			return true;
	return false;
}

u64 server_requests(const struct server *s)
{
	const struct connection *c;
	u64 n = s->requests;

	for (c = s->connections; c; c = c->next)
		n += c->transmission.requests;
	return n;
}
