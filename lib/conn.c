// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Framed connections; the contract is in conn.h.
 *
 * Out:  conn_send() -> plain (chunks) -> tls_send() -> raw (chunks) -> socket.
 *	 Sealing happens in flush(), which runs deferred, once a loop round, and
 *	 keeps at most RAW_MAX bytes of sealed data ahead of the socket. A unix
 *	 socket is written from plain directly.
 * In:	 socket -> scratch -> tls_recv() -> in (one growing buffer) -> frames.
 *	 The scratch is shared by all connections of the thread: what one read
 *	 brought is unsealed at once, so an idle connection holds no buffer. A
 *	 handshake reads from the socket itself, record by record, since what
 *	 follows its last may be for the kernel.
 *
 * A heartbeat goes out whenever nothing else was sent for CONN_PING_MS, also
 * while reading is paused; so a live peer is always heard within that time, and
 * silence for CONN_DEAD_MS is death. The same timer ends a connection whose
 * certificates, either side's, have expired and were not renewed.
 */
#include "conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "chunks.h"
#include "log.h"

enum {
	SCRATCH_BYTES = 256 << 10,
	IN_BYTES = 64 << 10,
	RAW_MAX = 128 << 10,
	SEAL_BYTES = 16 << 10, /* one TLS record */
	VECTORS = 64,
	HELLO_MAX = 4096, /* payload of anything before OPEN */
	FINISH_US = 2000000,
	HEARTBEAT_US = 500000,
	READS_PER_WAKE = 4, /* then others get their turn */
	LOCAL_SOCKET_BYTES = 1 << 20,
};

enum conn_state { CONNECTING, HANDSHAKE, HELLO, OPEN, CLOSED };

struct conn {
	struct watch watch;
	struct timer timer;
	struct post flush;
	struct post closed;
	struct loop *loop;
	const struct conn_ops *ops;
	void *arg;
	const struct conn_local *local;
	int refs;
	enum conn_state state;
	bool flush_due;
	bool fresh; /* a local caller's, not read from yet */
	bool asked; /* it has sent more than its HELLO */
	bool paused;
	bool finishing;
	bool was_high;

	struct tls_session *tls; /* NULL on a unix socket */
	struct ucred ucred;
	const u8 *scratch_pos; /* what pull may take, during one read */
	const u8 *scratch_end;

	struct chunks plain;
	struct chunks raw;
	u8 *in;
	size_t in_len;
	size_t in_size;

	u8 *hello_bytes;
	struct msg_hello hello;
	u64 opened_us;
	u64 heard_us;
	u64 sent_us;
	u64 finish_us;
	u32 round_trip_us;
	struct failure why;
};

static _Thread_local u8 *scratch;

static void flush_later(struct conn *c);
static bool read_once(struct conn *c);

void *conn_arg(const struct conn *c)
{
	return c->arg;
}

struct loop *conn_loop(const struct conn *c)
{
	return c->loop;
}

struct conn *conn_get(struct conn *c)
{
	c->refs++;
	return c;
}

void conn_put(struct conn *c)
{
	if (!c || --c->refs)
		return;
	tls_session_free(c->tls);
	free(c->in);
	free(c->hello_bytes);
	free(c);
}

bool conn_is_open(const struct conn *c)
{
	return c->state == OPEN;
}

const struct tls_peer *conn_peer(const struct conn *c)
{
	return c->tls ? tls_session_peer(c->tls) : NULL;
}

const struct ucred *conn_ucred(const struct conn *c)
{
	return c->tls ? NULL : &c->ucred;
}

int conn_address(const struct conn *c, struct sockaddr_storage *out)
{
	socklen_t len = sizeof(*out);

	memset(out, 0, sizeof(*out));
	return getpeername(c->watch.fd, (struct sockaddr *)out, &len) ? -errno :
									0;
}

const struct msg_hello *conn_hello(const struct conn *c)
{
	return c->hello_bytes ? &c->hello : NULL;
}

u32 conn_round_trip_us(const struct conn *c)
{
	return c->round_trip_us;
}

size_t conn_queued(const struct conn *c)
{
	return c->plain.bytes + c->raw.bytes;
}

static void run_closed(struct post *p)
{
	struct conn *c = (struct conn *)((char *)p - offsetof(struct conn,
							      closed));

	c->ops->on_closed(c, &c->why);
	conn_put(c);
}

void conn_close(struct conn *c, const struct failure *why)
{
	if (c->state == CLOSED)
		return;
	c->state = CLOSED;
	if (why)
		c->why = *why;
	else
		c->why = (struct failure){ .code = 0 };
	loop_disarm(c->loop, &c->timer);
	loop_unwatch(c->loop, &c->watch);
	close(c->watch.fd);
	c->watch.fd = -1;
	chunks_clear(&c->plain);
	chunks_clear(&c->raw);
	loop_defer(c->loop, &c->closed);
}

static void fail(struct conn *c, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Closes with a reason; harmless when closed already. */
static void fail(struct conn *c, int code, const char *fmt, ...)
{
	const struct tls_peer *peer = conn_peer(c);
	struct failure f;
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	failure_set(&f, code, peer ? peer->node : "", NULL, "%s", what);
	conn_close(c, &f);
}

/* Which events are wanted follows from the state alone. */
static void rewatch(struct conn *c)
{
	u32 events = 0;

	if (c->state == CLOSED)
		return;
	if (c->state == CONNECTING)
		events = EPOLLOUT;
	else if (!c->paused)
		events = EPOLLIN;
	if (c->raw.bytes || (!c->tls && c->plain.bytes))
		events |= EPOLLOUT;
	loop_rewatch(c->loop, &c->watch, events);
}

static ssize_t raw_push(void *arg, const void *data, size_t len)
{
	struct conn *c = arg;

	if (chunks_add(&c->raw, data, len)) {
		errno = ENOMEM;
		return -1;
	}
	return (ssize_t)len;
}

static ssize_t raw_pull(void *arg, void *data, size_t len)
{
	struct conn *c = arg;
	size_t have = (size_t)(c->scratch_end - c->scratch_pos);

	if (c->state == HANDSHAKE)
		return recv(c->watch.fd, data, len, MSG_DONTWAIT);
	if (!have) {
		errno = EAGAIN;
		return -1;
	}
	if (len > have)
		len = have;
	memcpy(data, c->scratch_pos, len);
	c->scratch_pos += len;
	return (ssize_t)len;
}

/* Seals queued bytes until enough wait for the socket. */
static int seal(struct conn *c)
{
	while (c->plain.bytes && c->raw.bytes < RAW_MAX) {
		struct chunk *first = c->plain.first;
		size_t len = first->len - first->pos;
		int ret;

		if (len > SEAL_BYTES)
			len = SEAL_BYTES;
		ret = tls_send(c->tls, first->data + first->pos, len);
		if (ret)
			return ret;
		chunks_drop(&c->plain, len);
	}
	return 0;
}

/* Writes until the socket is full or nothing is left; 0 or -errno. */
static int write_out(struct conn *c)
{
	struct chunks *q = c->tls ? &c->raw : &c->plain;

	for (;;) {
		struct iovec iov[VECTORS];
		struct msghdr msg = { .msg_iov = iov };
		ssize_t n;

		if (c->tls && c->state >= HELLO && seal(c))
			return -EPIPE;
		if (!q->bytes)
			return 0;
		msg.msg_iovlen = (size_t)chunks_vector(q, iov, VECTORS);
		n = sendmsg(c->watch.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		chunks_drop(q, (size_t)n);
		c->sent_us = loop_now_us(c->loop);
	}
}

static void flush_now(struct conn *c)
{
	int ret;

	if (c->state == CLOSED || c->state == CONNECTING)
		return;
	ret = write_out(c);
	if (ret) {
		/* What the peer sent before it went may say why. */
		while (read_once(c))
			;
		fail(c, ret, "the connection was lost: %s", strerror(-ret));
		return;
	}
	rewatch(c);
	if (c->was_high && conn_queued(c) < CONN_LOW) {
		c->was_high = false;
		if (c->ops->on_drained && c->state == OPEN)
			c->ops->on_drained(c);
	}
	if (c->finishing && c->state != CLOSED && !conn_queued(c))
		conn_close(c, NULL);
}

static void run_flush(struct post *p)
{
	struct conn *c = (struct conn *)((char *)p - offsetof(struct conn,
							      flush));

	/* A local caller in a hurry sends its first request right behind its HELLO
	 * and waits for the answer only: ours goes with that, since two wake-ups
	 * cost it more than one.
	 */
	if (c->fresh && c->state != CLOSED) {
		size_t hello = conn_queued(c);

		c->fresh = false;
		read_once(c);
		if (c->asked && conn_queued(c) == hello) {
			c->flush_due = false;
			conn_put(c);
		} else {
			loop_defer(c->loop, &c->flush);
		}
		return;
	}
	c->flush_due = false;
	flush_now(c);
	conn_put(c);
}

static void flush_later(struct conn *c)
{
	if (c->flush_due || c->state == CLOSED)
		return;
	c->flush_due = true;
	conn_get(c);
	loop_defer(c->loop, &c->flush);
}

/* Queues a frame whatever the state; conn_send() is the checked form. */
static int enqueue(struct conn *c, const struct frame *f, const void *head,
		   size_t head_len, const void *body, size_t body_len)
{
	struct frame out = *f;
	u8 header[FRAME_HEADER_BYTES];
	size_t before = c->plain.bytes;

	if (conn_queued(c) > CONN_MAX) {
		fail(c, -ENOBUFS, "it asks and does not read the answers");
		return -EPIPE;
	}
	out.length = (u32)(head_len + body_len);
	frame_encode(&out, header);
	if (chunks_add(&c->plain, header, sizeof(header)) ||
	    (head_len && chunks_add(&c->plain, head, head_len)) ||
	    (body_len && chunks_add(&c->plain, body, body_len))) {
		/* Half a frame in the queue can only end the connection. */
		if (c->plain.bytes != before)
			fail(c, -ENOMEM, "out of memory");
		return -ENOMEM;
	}
	if (conn_queued(c) > CONN_HIGH)
		c->was_high = true;
	flush_later(c);
	return 0;
}

int conn_send(struct conn *c, const struct frame *f, const void *head,
	      size_t head_len, const void *body, size_t body_len)
{
	if (c->state != OPEN || c->finishing)
		return -EPIPE;
	if (head_len > FRAME_MAX || body_len > FRAME_MAX - head_len)
		return -EMSGSIZE;
	return enqueue(c, f, head, head_len, body, body_len);
}

int conn_reply_failure(struct conn *c, u64 tag, const struct failure *f)
{
	struct msg_error m;

	failure_to_message(f, &m);
	return conn_reply(c, tag, ERROR, error, &m);
}

static void send_hello(struct conn *c)
{
	const struct msg_hello m = {
		.version_min = FRAME_VERSION,
		.version_max = FRAME_VERSION,
		.features = c->local->features,
		.frame_max = FRAME_MAX,
		.node = span_of(c->local->node),
		.session = { .data = c->local->session,
			     .len = sizeof(c->local->session) },
		.boot = c->local->boot,
		.software = span_of("virgo " VIRGO_VERSION),
	};
	u8 buf[512];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	const struct frame f = { .type = MSG_HELLO };

	msg_hello_encode(&w, &m);
	if (!w.bad)
		enqueue(c, &f, buf, wcursor_len(&w), NULL, 0);
}

static void take_goaway(struct conn *c, const struct frame *f, const u8 *p)
{
	struct msg_goaway m = { .code = 0 };
	char why[128] = "";

	if (msg_goaway_decode(&m, p, f->length) == 0)
		span_to_cstr(m.why, why, sizeof(why));
	fail(c, m.code == -EKEYEXPIRED ? m.code : -ECONNREFUSED, "%s",
	     why[0] ? why : "it sent us away");
}

static void take_hello(struct conn *c, const struct frame *f, const u8 *p)
{
	if (f->type == MSG_GOAWAY) {
		take_goaway(c, f, p);
		return;
	}
	c->hello_bytes = malloc(f->length ? f->length : 1);
	if (!c->hello_bytes) {
		fail(c, -ENOMEM, "out of memory");
		return;
	}
	memcpy(c->hello_bytes, p, f->length);
	if (f->type != MSG_HELLO ||
	    msg_hello_decode(&c->hello, c->hello_bytes, f->length)) {
		fail(c, -EPROTO, "it does not greet as a VIRGO node");
		return;
	}
	if (c->hello.version_min > FRAME_VERSION ||
	    c->hello.version_max < FRAME_VERSION) {
		fail(c, -EPROTONOSUPPORT,
		     "it speaks protocol versions %u to %u, this node %u",
		     c->hello.version_min, c->hello.version_max, FRAME_VERSION);
		return;
	}
	c->state = OPEN;
	c->ops->on_open(c);
}

static void take_pong(struct conn *c, const u8 *p, size_t len)
{
	struct msg_pong m;
	u64 took;

	if (msg_pong_decode(&m, p, len))
		return;
	took = loop_clock_us() - m.stamp;
	if (took > 60000000)
		return;
	/* Exponential average with weight 1/8, as RFC 6298. */
	c->round_trip_us = c->round_trip_us ?
				   (u32)((c->round_trip_us * 7ull + took) / 8) :
				   (u32)took;
}

static void take_frame(struct conn *c, const struct frame *f, const u8 *p)
{
	struct msg_ping ping;

	if (c->state != OPEN) {
		take_hello(c, f, p);
		return;
	}
	switch (f->type) {
	case MSG_PING:
		if (msg_ping_decode(&ping, p, f->length) == 0) {
			const struct msg_pong pong = { .stamp = ping.stamp };

			conn_reply(c, f->tag, PONG, pong, &pong);
		}
		return;
	case MSG_GOAWAY:
		take_goaway(c, f, p);
		return;
	case MSG_PONG:
		take_pong(c, p, f->length);
		return;
	default:
		c->asked = true;
		c->ops->on_frame(c, f, p);
	}
}

/* Makes room for at least @more bytes behind what is there. */
static int in_reserve(struct conn *c, size_t more)
{
	size_t need = c->in_len + more;
	u8 *p;

	if (need <= c->in_size)
		return 0;
	if (need < c->in_size + c->in_size / 2)
		need = c->in_size + c->in_size / 2;
	if (need < IN_BYTES)
		need = IN_BYTES;
	p = realloc(c->in, need);
	if (!p)
		return -ENOMEM;
	c->in = p;
	c->in_size = need;
	return 0;
}

/* Hands over every whole frame; keeps the rest in front of the buffer. */
static void cut_frames(struct conn *c)
{
	size_t at = 0;
	size_t want = IN_BYTES;

	while (c->state != CLOSED && c->in_len - at >= FRAME_HEADER_BYTES) {
		struct frame f;
		int ret = frame_decode(&f, c->in + at);

		if (!ret && c->state != OPEN && f.length > HELLO_MAX)
			ret = -EMSGSIZE;
		if (ret) {
			fail(c, ret, ret == -EPROTONOSUPPORT ?
				     "it speaks another protocol version" :
				     "what it sent is not a VIRGO frame");
			return;
		}
		if (c->in_len - at < FRAME_HEADER_BYTES + (size_t)f.length) {
			want = FRAME_HEADER_BYTES + f.length;
			break;
		}
		take_frame(c, &f, c->in + at + FRAME_HEADER_BYTES);
		at += FRAME_HEADER_BYTES + f.length;
	}
	if (c->state == CLOSED)
		return;
	c->in_len -= at;
	if (!c->in_len) {
		free(c->in);
		c->in = NULL;
		c->in_size = 0;
		return;
	}
	memmove(c->in, c->in + at, c->in_len);
	if (want > c->in_len && in_reserve(c, want - c->in_len))
		fail(c, -ENOMEM, "out of memory");
}

static void ended(struct conn *c)
{
	if (c->state == OPEN)
		fail(c, -ECONNRESET, "the connection was closed");
	else
		fail(c, -ECONNREFUSED, "it closed the connection before "
				       "greeting");
}

/* Unseals what the scratch holds and cuts it into frames. Whole frames in front
 * of the connection's end count: the last may say why it ended.
 */
static void unseal(struct conn *c)
{
	struct failure f = { 0 };
	ssize_t n;

	do {
		if (in_reserve(c, SEAL_BYTES + 1)) {
			fail(c, -ENOMEM, "out of memory");
			return;
		}
		n = tls_recv(c->tls, c->in + c->in_len, c->in_size - c->in_len,
			     &f);
		if (n > 0)
			c->in_len += (size_t)n;
	} while (n > 0);
	cut_frames(c);
	if (n == 0 && c->state != CLOSED)
		ended(c);
	else if (n != -EAGAIN)
		conn_close(c, &f);
}

/* All of it must have gone: what follows is sealed by the kernel. */
static void give_away(struct conn *c)
{
	struct tls_session *tls = c->tls;
	int fd = c->watch.fd;
	int ret = write_out(c);

	if (ret || c->raw.bytes) {
		fail(c, ret ? ret : -EAGAIN, "it does not take the handshake");
		return;
	}
	loop_unwatch(c->loop, &c->watch);
	c->watch.fd = -1;
	c->tls = NULL;
	c->ops->on_secured(c, fd, tls);
	conn_close(c, NULL);
}

/* A socket that is closed with bytes unread resets the connection, and then the
 * peer may not get to read what was sent last.
 */
static void drop_input(struct conn *c)
{
	char bytes[SEAL_BYTES];

	while (recv(c->watch.fd, bytes, sizeof(bytes), MSG_DONTWAIT) ==
	       (ssize_t)sizeof(bytes))
		;
}

static void shake(struct conn *c)
{
	struct failure f = { 0 };
	int ret = tls_handshake(c->tls, &f);

	if (ret == 0 && conn_peer(c)->class == TLS_MODULE) {
		give_away(c);
		return;
	}
	if (ret == 0) {
		c->state = HELLO;
		send_hello(c);
	} else if (ret != -EAGAIN) {
		write_out(c); /* the alert, so that the peer learns why */
		drop_input(c);
		conn_close(c, &f);
		return;
	}
	flush_later(c);
}

static void take_sealed(struct conn *c, const u8 *data, size_t len)
{
	c->scratch_pos = data;
	c->scratch_end = data + len;
	unseal(c);
	c->scratch_pos = NULL;
	c->scratch_end = NULL;
}

static void take_plain(struct conn *c, const u8 *data, size_t len)
{
	if (in_reserve(c, len)) {
		fail(c, -ENOMEM, "out of memory");
		return;
	}
	memcpy(c->in + c->in_len, data, len);
	c->in_len += len;
	cut_frames(c);
}

/* What recv() gave in place of bytes: an end, an error, or nothing yet. */
static void nothing_read(struct conn *c, ssize_t n)
{
	if (n == 0)
		ended(c);
	else if (errno != EAGAIN && errno != EINTR)
		fail(c, -errno, "the connection was lost: %s", strerror(errno));
}

/* Whether it is over, so that there may be more to read. */
static bool shake_once(struct conn *c)
{
	char first;
	ssize_t n = recv(c->watch.fd, &first, 1, MSG_DONTWAIT | MSG_PEEK);

	if (n <= 0) {
		nothing_read(c, n);
		return false;
	}
	c->heard_us = loop_now_us(c->loop);
	shake(c);
	return c->state == HELLO;
}

/* One read from the socket; false when there is no more for now. */
static bool read_once(struct conn *c)
{
	ssize_t n;

	if (c->state == HANDSHAKE)
		return shake_once(c);
	if (!scratch)
		scratch = malloc(SCRATCH_BYTES);
	if (!scratch) {
		fail(c, -ENOMEM, "out of memory");
		return false;
	}
	n = recv(c->watch.fd, scratch, SCRATCH_BYTES, MSG_DONTWAIT);
	if (n <= 0) {
		nothing_read(c, n);
		return false;
	}
	c->heard_us = loop_now_us(c->loop);
	if (c->tls)
		take_sealed(c, scratch, (size_t)n);
	else
		take_plain(c, scratch, (size_t)n);
	return n == SCRATCH_BYTES && c->state != CLOSED && !c->paused;
}

static void connected(struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (err) {
		fail(c, -err, "cannot connect: %s", strerror(err));
		return;
	}
	if (c->tls) {
		c->state = HANDSHAKE;
		shake(c);
	} else {
		c->state = HELLO;
		send_hello(c);
	}
	rewatch(c);
}

static void on_ready(struct watch *w, u32 events)
{
	struct conn *c = (struct conn *)((char *)w - offsetof(struct conn,
							      watch));
	int reads = READS_PER_WAKE;

	conn_get(c);
	if (c->state == CONNECTING) {
		connected(c);
	} else {
		if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			while (reads-- && read_once(c))
				;
		if (events & EPOLLOUT)
			flush_now(c);
	}
	conn_put(c);
}

static void heartbeat(struct conn *c, u64 now)
{
	const struct msg_ping m = { .stamp = now };

	if (now - c->sent_us >= CONN_PING_MS * 1000ull)
		conn_request(c, 0, PING, ping, &m);
	if (!c->paused && now - c->heard_us >= CONN_DEAD_MS * 1000ull)
		fail(c, -ETIMEDOUT, "nothing heard for %u ms",
		     (unsigned int)CONN_DEAD_MS);
}

/* The other side is told why, if it still takes anything. */
static void check_certificates(struct conn *c)
{
	struct msg_goaway m = { .code = -EKEYEXPIRED };
	struct failure f;
	char why[sizeof(f.object) + 40];

	if (!tls_session_current(c->tls, (s64)time(NULL), &f))
		return;
	snprintf(why, sizeof(why), "the certificate of %s has expired",
		 f.object);
	m.why = span_of(why);
	conn_request(c, 0, GOAWAY, goaway, &m);
	write_out(c);
	conn_close(c, &f);
}

static void on_timer(struct timer *t)
{
	struct conn *c = (struct conn *)((char *)t - offsetof(struct conn,
							      timer));
	u64 now = loop_clock_us();

	if (c->finishing && now >= c->finish_us) {
		conn_close(c, NULL);
		return;
	}
	if (c->state != OPEN && now - c->opened_us >= CONN_HELLO_MS * 1000ull) {
		fail(c, -ETIMEDOUT, c->state == CONNECTING ?
				    "no answer from there" :
				    "it did not greet in time");
		return;
	}
	if (c->state == OPEN && c->tls)
		heartbeat(c, now);
	if (c->state == OPEN && c->tls)
		check_certificates(c);
	if (c->state != CLOSED)
		loop_arm(c->loop, &c->timer, HEARTBEAT_US);
}

static struct conn *conn_new(struct loop *l, int fd,
			     const struct conn_local *local,
			     const struct conn_ops *ops, void *arg)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->loop = l;
	c->ops = ops;
	c->arg = arg;
	c->local = local;
	c->refs = 1;
	c->watch = (struct watch){ .fd = fd, .ready = on_ready };
	c->timer.fire = on_timer;
	c->flush.run = run_flush;
	c->closed.run = run_closed;
	c->opened_us = c->heard_us = c->sent_us = loop_clock_us();
	return c;
}

static int start(struct conn *c, u32 events)
{
	int ret = loop_watch(c->loop, &c->watch, events);

	if (!ret)
		loop_arm(c->loop, &c->timer, HEARTBEAT_US);
	return ret;
}

static void discard(struct conn *c, int fd)
{
	if (c)
		conn_put(c);
	if (fd >= 0)
		close(fd);
}

static struct tls_io tls_io_of(struct conn *c)
{
	return (struct tls_io){ .push = raw_push, .pull = raw_pull, .arg = c };
}

struct conn *conn_accept(struct loop *l, int fd, struct tls_identity *id,
			 unsigned int classes, const struct conn_local *local,
			 const struct conn_ops *ops, void *arg)
{
	struct conn *c = conn_new(l, fd, local, ops, arg);
	socklen_t len = sizeof(c->ucred);
	int one = 1, local_bytes = LOCAL_SOCKET_BYTES;
	struct tls_io io;

	if (!c)
		goto fail;
	io = tls_io_of(c);
	if (id) {
		if (tls_server(&c->tls, id, classes, &io))
			goto fail;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->state = HANDSHAKE;
	} else {
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->ucred, &len))
			goto fail;
		/* Few switches between two fast programs. */
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &local_bytes,
			   sizeof(local_bytes));
		c->state = HELLO;
	}
	if (start(c, EPOLLIN))
		goto fail;
	if (!id) {
		c->fresh = true;
		send_hello(c);
	}
	return c;
fail:
	discard(c, fd);
	return NULL;
}

struct conn *conn_dial(struct loop *l, const struct sockaddr *addr,
		       socklen_t addrlen, struct tls_identity *id,
		       enum tls_class class, const char *expect,
		       const u8 *pin_sha256, const struct conn_local *local,
		       const struct conn_ops *ops, void *arg)
{
	int fd = socket(addr->sa_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct conn *c = conn_new(l, fd, local, ops, arg);
	bool tls = addr->sa_family != AF_UNIX;
	struct tls_io io;
	int one = 1;
	int err = 0;

	if (!c || fd < 0)
		goto fail;
	io = tls_io_of(c);
	if (tls) {
		if (tls_client(&c->tls, id, class, expect, pin_sha256, &io))
			goto fail;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	if (connect(fd, addr, addrlen) && errno != EINPROGRESS)
		err = errno;
	c->state = CONNECTING;
	if (start(c, EPOLLOUT))
		goto fail;
	if (err)
		fail(c, -err, "cannot connect: %s", strerror(err));
	return c;
fail:
	discard(c, fd);
	return NULL;
}

void conn_pause(struct conn *c)
{
	c->paused = true;
	rewatch(c);
}

void conn_resume(struct conn *c)
{
	if (!c->paused)
		return;
	c->paused = false;
	c->heard_us = loop_clock_us();
	rewatch(c);
}

void conn_finish(struct conn *c)
{
	if (c->state == CLOSED)
		return;
	if (c->state != OPEN) {
		conn_close(c, NULL);
		return;
	}
	if (!c->finishing) {
		c->finishing = true;
		c->finish_us = loop_clock_us() + FINISH_US;
	}
	flush_later(c);
}
