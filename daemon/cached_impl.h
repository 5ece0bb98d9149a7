/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the cache's service know of each other. */
#ifndef VIRGO_DAEMON_CACHED_IMPL_H
#define VIRGO_DAEMON_CACHED_IMPL_H

#include <sys/queue.h>
#include <sys/socket.h>

#include "cached.h"
#include "memcached.h"
#include "module.h"
#include "policy.h"
#include "service.h"
#include "workers.h"

enum {
	RECEIVE_BYTES = 64 << 10,
	PASSES_MAX = 8, /* of one session before others have their turn */
	TUNNEL_SESSIONS_MAX = 256, /* from one node, to one node */
	QUESTIONS_MAX = 256, /* CACHE_ASK under way in the kernel */
	WHY_MAX = 120,
};

/* At a reload whose shares no cache takes. */
#define CACHED_RATIO_STAYS                                                     \
	"[cache] hot_percent and warm_percent are above 80 together; the "     \
	"old ones stay"

struct cached;
struct stream;

/* As it was asked for; zero where virgo_cloud.conf decides. */
struct cached_setup {
	u64 bytes;
	u64 value_max;
	u16 port;
	bool aside; /* not by the kernel */
};

/* Who serves this node's cache: virgod itself, or virgo.ko. */
struct cached_backend {
	const char *name; /* "virgod", "kernel" */
	/* @s has no zeros but of what the backend has none of; afterwards it is
	 * as served. 0, or a negative errno and @f.
	 */
	int (*start)(struct cached *c, struct cached_setup *s,
		     struct failure *f);
	void (*stop)(struct cached *c);
	/* Others may have ended it. */
	bool (*is_there)(struct cached *c);
	/* Answers @r, now or later, by what @commands give. */
	void (*ask)(struct request *r, struct span commands);
	/* A stream without its first fields; NULL when there is none to be had. */
	struct stream *(*open)(struct cached *c);
};

struct stream_ops {
	/* Bytes of the node, and what it allows more in window already. */
	void (*came)(struct stream *t, const u8 *data, u32 len);
	/* The node sends no more; what came before is answered. */
	void (*closed)(struct stream *t);
	/* Ends it at once. stream_leave() must be called, then it is freed. */
	void (*end)(struct stream *t);
};

/* A conversation of another node with this node's cache. */
struct stream {
	LIST_ENTRY(stream) entry;
	struct cached *cached;
	const struct stream_ops *ops;
	struct conn *conn; /* a reference */
	u64 tag;
	u64 window; /* bytes that may be sent */
	u64 allowed; /* bytes that may come */
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
struct question;
struct tunnel_port;

struct cached {
	struct node *node;
	const struct cached_backend *backend; /* NULL: no cache */
	struct cached_setup setup; /* as the backend serves it */
	char why[WHY_MAX]; /* it is not the kernel; "" when it is */
	LIST_HEAD(, stream) streams; /* of other nodes */

	/* cached_kernel.c */
	struct cached_setup lost; /* what the module took with it */
	struct timer again;
	u32 tries;
	LIST_HEAD(, question) questions;
	u32 question_count;

	/* cached_virgod.c */
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

/* cached.c */

/* The backend that serves; NULL when there is none, or none any more. */
const struct cached_backend *cached_serving(struct cached *c);
/* By the kernel where it may and can. */
int cached_start(struct cached *c, struct cached_setup *s, struct failure *f);
void cached_stop(struct cached *c);

/* cached_virgod.c */
extern const struct cached_backend cached_virgod;
/* The second that virgod's own cache goes by. */
void cached_tick(struct cached *c);
/* cached_served.c: a stream with it. */
struct stream *served_open(struct cached *c);

/* cached_kernel.c */
extern const struct cached_backend cached_kernel;
/* Whether the kernel may serve @s; else @why not. */
bool kernel_may(struct cached *c, const struct cached_setup *s,
		char why[WHY_MAX]);
/* Takes over what another virgod left in the module. */
void kernel_find(struct cached *c);
/* The rules have changed. */
void kernel_reload(struct cached *c);
void kernel_forget(struct cached *c);

/* cached_relay.c: streams and questions over the port of the kernel's cache. */
struct stream *relay_open(struct cached *c);
void relay_ask(struct request *r, struct span commands);
void relay_end_questions(struct cached *c);

/* cached_stream.c: what is common to streams. */
void stream_serve(struct cached *c);
void stream_end_all(struct cached *c);
/* 0 or a negative errno; @len is at most what window says. */
int stream_send(struct stream *t, const void *data, size_t len);
/* @len bytes may come again. */
void stream_allow(struct stream *t, u64 len);
/* Tells the node that it is over, and forgets it. */
void stream_leave(struct stream *t);

/* cached_tunnel.c: ports here to the caches of other nodes. */
int tunnel_open(struct cached *c, const char *node, u16 port,
		struct failure *f);
/* -ENOENT when there is none. */
int tunnel_close(struct cached *c, const char *node);
void tunnel_close_all(struct cached *c);
/* The ports as a list of cache_port; the caller's to free, NULL without memory. */
u8 *tunnel_list(struct cached *c, size_t *len);

#endif
