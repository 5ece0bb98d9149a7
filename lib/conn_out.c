// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a connection sends; see conn_impl.h.
 *
 * conn_send() -> plain (chunks) -> tls_send() -> raw (chunks) -> socket. Sealing
 * happens when the queue is flushed, which is deferred, once a loop round, and
 * keeps at most RAW_MAX bytes of sealed data ahead of the socket. A unix socket is
 * written from plain directly.
 */
#include <unistd.h>

#include "conn_impl.h"

enum {
	RAW_MAX = 128 << 10,
	VECTORS = 64,
};

ssize_t conn_push(void *arg, const void *data, size_t len)
{
	struct conn *c = arg;

	if (chunks_add(&c->raw, data, len)) {
		errno = ENOMEM;
		return -1;
	}
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

int conn_write_out(struct conn *c)
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
		n = c->behind ? writev(c->watch.fd, iov, (int)msg.msg_iovlen) :
				sendmsg(c->watch.fd, &msg,
					MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		chunks_drop(q, (size_t)n);
		c->sent_us = loop_now_us(c->loop);
	}
}

void conn_flush_now(struct conn *c)
{
	int ret;

	if (c->state == CLOSED || c->state == CONNECTING)
		return;
	ret = conn_write_out(c);
	if (ret) {
		/* What the peer sent before it went may say why. */
		while (conn_read_once(c))
			;
		conn_fail(c, ret, "the connection was lost: %s",
			  strerror(-ret));
		return;
	}
	conn_rewatch(c);
	if (c->was_high && conn_queued(c) < CONN_LOW) {
		c->was_high = false;
		if (c->ops->on_drained && c->state == OPEN)
			c->ops->on_drained(c);
	}
	if (c->finishing && c->state != CLOSED && !conn_queued(c))
		conn_close(c, NULL);
}

void conn_run_flush(struct post *p)
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
		conn_read_once(c);
		if (c->asked && conn_queued(c) == hello) {
			c->flush_due = false;
			conn_put(c);
		} else {
			loop_defer(c->loop, &c->flush);
		}
		return;
	}
	c->flush_due = false;
	conn_flush_now(c);
	conn_put(c);
}

void conn_flush_later(struct conn *c)
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
		conn_fail(c, -ENOBUFS, "it asks and does not read the answers");
		return -EPIPE;
	}
	out.length = (u32)(head_len + body_len);
	frame_encode(&out, header);
	if (chunks_add(&c->plain, header, sizeof(header)) ||
	    (head_len && chunks_add(&c->plain, head, head_len)) ||
	    (body_len && chunks_add(&c->plain, body, body_len))) {
		/* Half a frame in the queue can only end the connection. */
		if (c->plain.bytes != before)
			conn_fail(c, -ENOMEM, "out of memory");
		return -ENOMEM;
	}
	if (conn_queued(c) > CONN_HIGH)
		c->was_high = true;
	conn_flush_later(c);
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

void conn_send_hello(struct conn *c)
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
