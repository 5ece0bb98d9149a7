/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What virgo-nbd serves: the pool's exports to its connections, all in the one
 * thread of the loop. Several connections to an export see one memory, so a
 * write that was answered on one is seen by all (multi-conn holds).
 */
#ifndef VIRGO_NBD_SERVER_H
#define VIRGO_NBD_SERVER_H

#include "loop.h"
#include "pool.h"
#include "secure.h"

struct connection;
struct reclaim;

struct server {
	struct loop *loop;
	struct pool *pool;
	struct secure_keys *keys; /* NULL: no TLS */
	const char *tls; /* where they came from; NULL: none */
	const char *psk;
	int holder; /* connection to it; -1: none */
	struct connection *connections;
	u32 count;
	u32 max; /* connections */
	u64 requests; /* of connections that have ended */
	struct reclaim *reclaim; /* reclaim.h */
};

/* Takes @fd over. A peer on a @trusted socket (a unix socket or loopback) may do
 * without TLS; another must begin with it when there are keys.
 */
void connection_start(struct server *s, int fd, bool trusted);

/* Ends all connections, or those of one export. */
void server_cut(struct server *s, const struct export *only);

/* Connections that use @e, or all when NULL. */
u32 server_users(const struct server *s, const struct export *e);
u64 server_requests(const struct server *s);
/* Whether a connection has pointers into that range of @e: answers that are not
 * sent yet, or data of a write that is being received.
 */
bool server_uses(const struct server *s, const struct export *e, u64 offset,
		 u64 len);

#endif
