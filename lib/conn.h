/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection that carries frames: over TLS to another node, or over a unix
 * stream socket to a program of this machine. It does the handshake, exchanges
 * HELLO, cuts the byte stream into frames, answers PING, and queues what is
 * sent. Everything happens in its loop's thread.
 *
 *	CONNECTING -> HANDSHAKE -> HELLO -> OPEN -> CLOSED
 *		          '---- on_secured() ------^
 *
 * Counted: the creator holds one reference until on_closed has run; others take
 * their own with conn_get(). Calls on a closed connection are harmless.
 */
#ifndef VIRGO_LIB_CONN_H
#define VIRGO_LIB_CONN_H

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "loop.h"
#include "tls.h"

struct conn;

struct conn_ops {
	/* HELLO came and was compatible. */
	void (*on_open)(struct conn *c);
	/* @payload is @f->length bytes, valid during the call only. */
	void (*on_frame)(struct conn *c, const struct frame *f,
			 const u8 *payload);
	/* The send queue fell below CONN_LOW after having been above
	 * CONN_HIGH. May be NULL.
	 */
	void (*on_drained)(struct conn *c);
	/* In place of on_open for class TLS_MODULE: the handshake is done, and
	 * nothing was read beyond it. The socket and @tls are the callee's now;
	 * on_closed with code 0 follows. Not called where no such class is
	 * dialled or accepted.
	 */
	void (*on_secured)(struct conn *c, int fd, struct tls_session *tls);
	/* Last call: @why tells the reason; code 0 for an orderly end. The
	 * creator's reference is dropped after it returns.
	 */
	void (*on_closed)(struct conn *c, const struct failure *why);
};

enum {
	CONN_HIGH = 4 << 20, /* queued bytes above which a sender should stop */
	CONN_LOW = 1 << 20,
	CONN_MAX = 64 << 20, /* queued bytes above which it is closed */
	CONN_HELLO_MS = 5000, /* from accept or connect to OPEN */
	CONN_PING_MS = 1000, /* sent when nothing was sent for this long */
	CONN_DEAD_MS = 3500, /* closed when nothing came for this long */
};

struct conn_local { /* what this side says in HELLO */
	const char *node;
	u64 features;
	u8 session[16];
	u64 boot;
};

/* Takes over the connected socket @fd in every case. @id NULL: a unix socket,
 * whose peer's credentials are read. @local must outlive the connection.
 */
struct conn *conn_accept(struct loop *l, int fd, struct tls_identity *id,
			 unsigned int classes, const struct conn_local *local,
			 const struct conn_ops *ops, void *arg);

/* The same for a descriptor of virgo.ko, behind which is @peer (which must outlive
 * the connection): OPEN at once, without HELLO and on_open.
 */
struct conn *conn_of_module(struct loop *l, int fd, const struct tls_peer *peer,
			    const struct conn_ops *ops, void *arg);

/* Dials. @pin_sha256 as in tls_client(). on_closed reports failures, also the
 * first, never from inside this call. NULL only when memory is out.
 */
struct conn *conn_dial(struct loop *l, const struct sockaddr *addr,
		       socklen_t addrlen, struct tls_identity *id,
		       enum tls_class class, const char *expect,
		       const u8 *pin_sha256, const struct conn_local *local,
		       const struct conn_ops *ops, void *arg);

void *conn_arg(const struct conn *c);
struct conn *conn_get(struct conn *c);
void conn_put(struct conn *c);
bool conn_is_open(const struct conn *c);
struct loop *conn_loop(const struct conn *c);

/* Who is there. Over TLS the certificate's; NULL over a unix socket. */
const struct tls_peer *conn_peer(const struct conn *c);
/* Credentials of a local program; NULL over TLS. */
const struct ucred *conn_ucred(const struct conn *c);
/* Where the peer's end is; 0, or a negative errno once closed. */
int conn_address(const struct conn *c, struct sockaddr_storage *out);
/* The peer's HELLO, kept; NULL before OPEN. */
const struct msg_hello *conn_hello(const struct conn *c);
/* Smoothed round trip of PING, microseconds; 0 while unknown. */
u32 conn_round_trip_us(const struct conn *c);

/*
 * Queues one frame: header from @f (length is filled in), then @head and
 * @body as its payload; either may be NULL. Bytes are copied. The queue is
 * written when the loop next comes round, so many frames share one send.
 * -EPIPE when closed or when the peer has let CONN_MAX bytes pile up, -EMSGSIZE,
 * -ENOMEM.
 */
int conn_send(struct conn *c, const struct frame *f, const void *head,
	      size_t head_len, const void *body, size_t body_len);
size_t conn_queued(const struct conn *c);

/* Stops and starts reading from the peer (back-pressure). */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/* Closes after the queue has been written (at most two seconds later). */
void conn_finish(struct conn *c);
/* Closes now; on_closed runs from the loop with @why (NULL: orderly). */
void conn_close(struct conn *c, const struct failure *why);

/*
 * conn_reply(c, tag, NAME, name, m) encodes struct msg_name @m into a frame with
 * FRAME_REPLY; conn_request() one without. Both give conn_send()'s result.
 */
#define conn_message(c, tag_, flags_, stream_, NAME, name, m)                  \
	({                                                                     \
		size_t size_ = msg_##name##_size(m);                           \
		u8 small_[1024];                                               \
		u8 *buf_ = size_ <= sizeof(small_) ? small_ : malloc(size_);   \
		int ret_ = -ENOMEM;                                            \
									       \
		if (buf_) {                                                    \
			struct wcursor w_ = wcursor_of(buf_, size_);           \
			struct frame f_ = { .type = MSG_##NAME,                \
					    .flags = (flags_),                 \
					    .stream = (stream_),               \
					    .tag = (tag_) };                   \
									       \
			msg_##name##_encode(&w_, m);                           \
			ret_ = conn_send((c), &f_, buf_, size_, NULL, 0);      \
			if (buf_ != small_)                                    \
				free(buf_);                                    \
		}                                                              \
		ret_;                                                          \
	})
#define conn_reply(c, tag, NAME, name, m)                                      \
	conn_message(c, tag, FRAME_REPLY, 0, NAME, name, m)
#define conn_request(c, tag, NAME, name, m)                                    \
	conn_message(c, tag, 0, 0, NAME, name, m)
int conn_reply_failure(struct conn *c, u64 tag, const struct failure *f);

#endif
