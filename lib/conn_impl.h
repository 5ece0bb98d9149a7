/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of connections know of each other; see conn.h.
 *
 *	conn.c		beginning, state, time, end
 *	conn_out.c	what is sent: queued, sealed, written
 *	conn_in.c	what is received: read, unsealed, cut into frames
 */
#ifndef VIRGO_LIB_CONN_IMPL_H
#define VIRGO_LIB_CONN_IMPL_H

#include "chunks.h"
#include "conn.h"

enum { SEAL_BYTES = 16 << 10 }; /* one TLS record */

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
	const struct tls_peer *behind; /* of a descriptor of virgo.ko; or NULL */
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
	u32 silent_beats; /* since anything came */
	u64 sent_us;
	u64 finish_us;
	u32 round_trip_us;
	struct failure why;
};

/* --- conn.c --- */

/* Closes with a reason; harmless when closed already. */
void conn_fail(struct conn *c, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Which events are wanted follows from the state alone. */
void conn_rewatch(struct conn *c);

/* --- conn_out.c --- */

/* Takes what TLS sealed; for struct tls_io. */
ssize_t conn_push(void *arg, const void *data, size_t len);
/* Writes until the socket is full or nothing is left; 0 or -errno. */
int conn_write_out(struct conn *c);
void conn_flush_now(struct conn *c);
/* Once a round of the loop, however much is queued in it. */
void conn_flush_later(struct conn *c);
void conn_run_flush(struct post *p);
void conn_send_hello(struct conn *c);

/* --- conn_in.c --- */

/* Gives TLS what was read; for struct tls_io. */
ssize_t conn_pull(void *arg, void *data, size_t len);
/* One read from the socket; false when there is no more for now. */
bool conn_read_once(struct conn *c);
/* Goes on with the handshake. */
void conn_shake(struct conn *c);

#endif
