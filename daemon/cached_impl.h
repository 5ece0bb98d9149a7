/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the cache's service know of each other. */
#ifndef VIRGO_DAEMON_CACHED_IMPL_H
#define VIRGO_DAEMON_CACHED_IMPL_H

#include <sys/queue.h>
#include <sys/socket.h>

#include "cached.h"
#include "memcached.h"
#include "policy.h"
#include "service.h"
#include "workers.h"

enum {
	RECEIVE_BYTES = 64 << 10,
	PASSES_MAX = 8, /* of one session before others have their turn */
	TUNNEL_SESSIONS_MAX = 256, /* from one node, to one node */
};

struct session;

struct session_ops {
	/* Takes up to @len bytes at @r's vectors; how many, or a negative
	 * errno: -EAGAIN for none now.
	 */
	ssize_t (*send)(struct session *s, const struct memcached_vec *vec,
			u32 count);
	/* It waits for room to send, or for bytes again. */
	void (*wait)(struct session *s, bool to_send);
	/* Ends it; the session is freed. */
	void (*end)(struct session *s);
};

/* One conversation with this node's cache. */
struct session {
	LIST_ENTRY(session) entry;
	struct cached *cached;
	const struct session_ops *ops;
	struct memcached_conn mc;
	u8 *in; /* what is left of a command */
	u8 *out; /* what could not be sent */
	u32 in_len;
	u32 out_len;
	u32 out_at;
	u32 active_s; /* when bytes last went in or out */
};

struct listener { /* 127.0.0.1 and ::1 */
	struct watch watch[2];
	u16 port;
	void (*came)(struct listener *l, int fd);
	struct node *node;
};

struct asked;
struct stream;
struct tunnel_port;

struct cached {
	struct node *node;
	bool running;
	struct timer second;
	struct memcached m;
	struct memcached_shard shard;
	struct memcached_server server;
	struct pages *pages;
	u64 started_us;
	struct listener listener;
	struct workers *namer;
	LIST_HEAD(, asked) naming;
	LIST_HEAD(, session) sessions;
	LIST_HEAD(, stream) streams; /* sessions of other nodes, below */
	LIST_HEAD(, tunnel_port) ports;
	struct memcached_reply reply;
	u8 receive[RECEIVE_BYTES + MEMCACHED_LINE_MAX];
};

/* cached_pages.c: memory for the cache within @bytes, given back to the kernel
 * when it is not needed.
 */
struct pages *pages_new(u64 bytes);
void pages_free(struct pages *p);
struct cache_memory pages_memory(struct pages *p);

/* cached_session.c */
void session_begin(struct session *s, struct cached *c,
		   const struct session_ops *ops);
/* Lets go of all it holds but the struct. */
void session_end(struct session *s);
/* Executes what is left and the @len bytes at @in, answers, and may end and free
 * the session: true when it did.
 */
bool session_bytes(struct session *s, const u8 *in, size_t len);
/* There may be room to send again; as session_bytes(). */
bool session_drained(struct session *s);
/* It waits for its client to read: it takes no bytes now. */
static inline bool session_blocked(const struct session *s)
{
	return s->out_len != 0;
}

/* cached_socket.c: listening, and sessions of local clients. */
int listener_open(struct listener *l, struct node *n, u16 port,
		  struct failure *f);
void listener_close(struct listener *l);
void socket_came(struct listener *l, int fd);

/* cached_stream.c: sessions of other nodes. */
void stream_serve(struct cached *c);
void stream_end_all(struct cached *c);

/* cached_tunnel.c: ports here to the caches of other nodes. */
int tunnel_open(struct cached *c, const char *node, u16 port,
		struct failure *f);
/* -ENOENT when there is none. */
int tunnel_close(struct cached *c, const char *node);
void tunnel_close_all(struct cached *c);

/* The second that the cache goes by. */
void cached_tick(struct cached *c);

#endif
