// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Framed connections, from their beginning to their end; the contract is in
 * conn.h, what is sent and received in conn_out.c and conn_in.c.
 *
 * A heartbeat goes out whenever nothing else was sent for CONN_PING_MS, also
 * while reading is paused; so a live peer is always heard within that time, and
 * silence for CONN_DEAD_MS is death. Silence is counted in heartbeats, not read
 * off a clock: what came while this program was stopped or starved waits in the
 * socket, and nobody has listened for it. The same timer ends a connection whose
 * certificates, either side's, have expired and were not renewed.
 *
 * A descriptor of virgo.ko is OPEN from the beginning: it has read() and write()
 * only, and greeting and heartbeat are the module's.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "conn_impl.h"
#include "log.h"

enum {
	FINISH_US = 2000000,
	HEARTBEAT_US = 500000,
	READS_PER_WAKE = 4, /* then others get their turn */
	LOCAL_SOCKET_BYTES = 1 << 20,
};

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
	return c->tls ? tls_session_peer(c->tls) : c->behind;
}

const struct ucred *conn_ucred(const struct conn *c)
{
	return conn_peer(c) ? NULL : &c->ucred;
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

void conn_fail(struct conn *c, int code, const char *fmt, ...)
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

void conn_rewatch(struct conn *c)
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

static void connected(struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (err) {
		conn_fail(c, -err, "cannot connect: %s", strerror(err));
		return;
	}
	if (c->tls) {
		c->state = HANDSHAKE;
		conn_shake(c);
	} else {
		c->state = HELLO;
		conn_send_hello(c);
	}
	conn_rewatch(c);
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
			while (reads-- && conn_read_once(c))
				;
		if (events & EPOLLOUT)
			conn_flush_now(c);
	}
	conn_put(c);
}

static void heartbeat(struct conn *c, u64 now)
{
	const struct msg_ping m = { .stamp = now };

	if (now - c->sent_us >= CONN_PING_MS * 1000ull)
		conn_request(c, 0, PING, ping, &m);
	if (!c->paused && c->silent_beats++ * HEARTBEAT_US >= CONN_DEAD_MS * 1000)
		conn_fail(c, -ETIMEDOUT, "nothing heard for %u ms",
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
	conn_write_out(c);
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
		conn_fail(c, -ETIMEDOUT, c->state == CONNECTING ?
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
	c->flush.run = conn_run_flush;
	c->closed.run = run_closed;
	c->opened_us = c->sent_us = loop_clock_us();
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
	return (struct tls_io){ .push = conn_push, .pull = conn_pull, .arg = c };
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
		conn_send_hello(c);
	}
	return c;
fail:
	discard(c, fd);
	return NULL;
}

struct conn *conn_of_module(struct loop *l, int fd, const struct tls_peer *peer,
			    const struct conn_ops *ops, void *arg)
{
	struct conn *c = conn_new(l, fd, NULL, ops, arg);

	if (c) {
		c->behind = peer;
		c->state = OPEN;
	}
	if (!c || fcntl(fd, F_SETFL, O_NONBLOCK) ||
	    loop_watch(l, &c->watch, EPOLLIN)) {
		discard(c, fd);
		return NULL;
	}
	return c;
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
		conn_fail(c, -err, "cannot connect: %s", strerror(err));
	return c;
fail:
	discard(c, fd);
	return NULL;
}

void conn_pause(struct conn *c)
{
	c->paused = true;
	conn_rewatch(c);
}

void conn_resume(struct conn *c)
{
	if (!c->paused)
		return;
	c->paused = false;
	c->silent_beats = 0;
	conn_rewatch(c);
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
	conn_flush_later(c);
}
