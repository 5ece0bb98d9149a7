/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections from this virgod to others, by node name: dialled when first
 * needed, kept while used, dialled again after a loss. One control and one job
 * connection a node at the most.
 */
#ifndef VIRGO_DAEMON_PEERS_H
#define VIRGO_DAEMON_PEERS_H

#include "node.h"

/* Called once per frame that answers the call, and a last time with @f NULL and
 * @why set if the connection was lost before a reply without FRAME_MORE came.
 */
typedef void peer_reply_fn(void *arg, const struct frame *f, const u8 *payload,
			   const struct failure *why);

/* Writes the addresses of node @name ("host:port,host:port") to @out; false when
 * the cloud has no such node.
 */
typedef bool peer_address_fn(void *arg, const char *name, char *out,
			     size_t size);

struct peers *peers_new(struct node *n, peer_address_fn *addresses, void *arg);
/* Ends every exchange first: their reply functions run with @why set. */
void peers_free(struct peers *p);

/* Sends a request of @type with encoded @payload to node @name over a connection
 * of @class. @reply always runs, never from inside this call. Gives the tag, by
 * which peers_send() adds frames of the same exchange; 0 when memory is out.
 */
u64 peers_call(struct peers *p, const char *name, enum tls_class class,
	       u16 type, const void *payload, size_t len, peer_reply_fn *reply,
	       void *arg);
/* A further frame of exchange @tag; queued while the connection is being made.
 * -ENOENT when the exchange is over.
 */
int peers_send(struct peers *p, u64 tag, const struct frame *f,
	       const void *payload, size_t len);
/* Bytes waiting to be sent for the exchange's connection. */
size_t peers_queued(struct peers *p, u64 tag);
/* Forgets exchange @tag: its reply function will not run again. */
void peers_forget(struct peers *p, u64 tag);
/*
 * Makes a connection to node @name of class TLS_MODULE, which is not kept here:
 * @secured gets its socket and session, which are its own then, or -1, NULL and
 * @why. Never from inside this call; one at a time for a node. 0 or -ENOMEM.
 */
typedef void peer_secured_fn(void *arg, int fd, struct tls_session *tls,
			     const struct failure *why);
int peers_secure(struct peers *p, const char *name, peer_secured_fn *secured,
		 void *arg);
/* @secured will not be called any more. */
void peers_secure_forget(struct peers *p, const char *name);
/* A number that every connection made gets anew; 0 while @name is not connected.
 */
u64 peers_epoch(const struct peers *p, const char *name, enum tls_class class);
/* Closes every connection to @name, for instance because it was removed. */
void peers_cut(struct peers *p, const char *name, const struct failure *why);
/* Smoothed round trip to @name in microseconds; 0 while unknown. */
u32 peers_round_trip_us(struct peers *p, const char *name);

#endif
