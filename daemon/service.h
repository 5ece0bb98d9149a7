/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which function answers which message, and from whom it may come. A request
 * arrives over the unix socket (a program of this machine, known by its uid) or
 * over TLS (another node, known by its certificate); both look the same to a
 * handler. A request of unknown type, or from a source that may not send it, is
 * answered with MSG_ERROR and the connection lives on.
 */
#ifndef VIRGO_DAEMON_SERVICE_H
#define VIRGO_DAEMON_SERVICE_H

#include "node.h"

enum service_from {
	FROM_LOCAL = 1 << 0, /* any local program */
	FROM_ROOT = 1 << 1, /* a local program of uid 0 */
	FROM_PEER = 1 << 2, /* a node of the cloud */
	FROM_JOINER = 1 << 3, /* whoever dialled virgo-join/1 */
};

/* One request, valid during the handler only. To answer later keep
 * conn_get(r->conn) and r->frame->tag.
 */
struct request {
	struct node *node;
	struct conn *conn;
	const struct frame *frame;
	const u8 *payload;
	enum service_from from;
	uid_t uid; /* of a local caller */
	const char *peer; /* name of the calling node; NULL when local */
};

struct service {
	u16 type;
	unsigned int from;
	void (*handle)(struct request *r);
};

/* @table must live as long as the node. A type may be registered once. */
void service_add(struct node *n, const struct service *table, size_t count);
/* Called when any connection (local or peer) has closed, to drop what belonged
 * to it.
 */
void service_on_close(struct node *n,
		      void (*closed)(struct node *n, struct conn *c));

/* Called when the send queue of a connection that was above CONN_HIGH has fallen
 * below CONN_LOW: who stopped sending on it may go on.
 */
void service_on_drained(struct node *n,
			void (*drained)(struct node *n, struct conn *c));

/* Decodes r's payload into struct msg_name @m; on failure answers the error and
 * gives false.
 */
#define request_decode(r, name, m)                                             \
	(msg_##name##_decode(m, (r)->payload, (r)->frame->length) == 0 ?       \
		 true :                                                        \
		 (request_fail(r, -EBADMSG, #name, NULL, "malformed message"), \
		  false))
#define request_reply(r, NAME, name, m)                                        \
	conn_reply((r)->conn, (r)->frame->tag, NAME, name, m)
void request_ok(struct request *r);
void request_fail(struct request *r, int code, const char *object,
		  const char *remedy, const char *what_fmt, ...)
	__attribute__((format(printf, 5, 6)));
void request_fail_with(struct request *r, const struct failure *f);

#endif
