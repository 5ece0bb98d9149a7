// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a connection receives; see conn_impl.h.
 *
 * socket -> scratch -> tls_recv() -> in (one growing buffer) -> frames. The scratch
 * is shared by all connections of the thread: what one read brought is unsealed at
 * once, so an idle connection holds no buffer. A handshake reads from the socket
 * itself, record by record, since what follows its last may be for the kernel.
 */
#include <unistd.h>

#include "conn_impl.h"

enum {
	SCRATCH_BYTES = 256 << 10,
	IN_BYTES = 64 << 10,
	HELLO_MAX = 4096, /* payload of anything before OPEN */
};

static _Thread_local u8 *scratch;

ssize_t conn_pull(void *arg, void *data, size_t len)
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

static void take_goaway(struct conn *c, const struct frame *f, const u8 *p)
{
	struct msg_goaway m = { .code = 0 };
	char why[128] = "";

	if (msg_goaway_decode(&m, p, f->length) == 0)
		span_to_cstr(m.why, why, sizeof(why));
	conn_fail(c, m.code == -EKEYEXPIRED ? m.code : -ECONNREFUSED, "%s",
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
		conn_fail(c, -ENOMEM, "out of memory");
		return;
	}
	memcpy(c->hello_bytes, p, f->length);
	if (f->type != MSG_HELLO ||
	    msg_hello_decode(&c->hello, c->hello_bytes, f->length)) {
		conn_fail(c, -EPROTO, "it does not greet as a VIRGO node");
		return;
	}
	if (c->hello.version_min > FRAME_VERSION ||
	    c->hello.version_max < FRAME_VERSION) {
		conn_fail(c, -EPROTONOSUPPORT,
			  "it speaks protocol versions %u to %u, this node %u",
			  c->hello.version_min, c->hello.version_max,
			  FRAME_VERSION);
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
			conn_fail(c, ret, ret == -EPROTONOSUPPORT ?
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
		conn_fail(c, -ENOMEM, "out of memory");
}

static void ended(struct conn *c)
{
	if (c->state == OPEN)
		conn_fail(c, -ECONNRESET, "the connection was closed");
	else
		conn_fail(c, -ECONNREFUSED,
			  "it closed the connection before greeting");
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
			conn_fail(c, -ENOMEM, "out of memory");
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
	int ret = conn_write_out(c);

	if (ret || c->raw.bytes) {
		conn_fail(c, ret ? ret : -EAGAIN,
			  "it does not take the handshake");
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

void conn_shake(struct conn *c)
{
	struct failure f = { 0 };
	int ret = tls_handshake(c->tls, &f);

	if (ret == 0 && conn_peer(c)->class == TLS_MODULE) {
		give_away(c);
		return;
	}
	if (ret == 0) {
		c->state = HELLO;
		conn_send_hello(c);
	} else if (ret != -EAGAIN) {
		conn_write_out(c); /* the alert, so that the peer learns why */
		drop_input(c);
		conn_close(c, &f);
		return;
	}
	conn_flush_later(c);
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
		conn_fail(c, -ENOMEM, "out of memory");
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
		conn_fail(c, -errno, "the connection was lost: %s",
			  strerror(errno));
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
	c->silent_beats = 0;
	conn_shake(c);
	return c->state == HELLO;
}

bool conn_read_once(struct conn *c)
{
	ssize_t n;

	if (c->state == HANDSHAKE)
		return shake_once(c);
	if (!scratch)
		scratch = malloc(SCRATCH_BYTES);
	if (!scratch) {
		conn_fail(c, -ENOMEM, "out of memory");
		return false;
	}
	n = c->behind ? read(c->watch.fd, scratch, SCRATCH_BYTES) :
			recv(c->watch.fd, scratch, SCRATCH_BYTES, MSG_DONTWAIT);
	if (n <= 0) {
		nothing_read(c, n);
		return false;
	}
	c->silent_beats = 0;
	if (c->tls)
		take_sealed(c, scratch, (size_t)n);
	else
		take_plain(c, scratch, (size_t)n);
	return n == SCRATCH_BYTES && c->state != CLOSED && !c->paused;
}
