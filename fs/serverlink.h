/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a server, for server.c, call.c, receive.c, reopen.c, caller.c and
 * owner.c alone.
 */
#ifndef VIRGO_FS_SERVERLINK_H
#define VIRGO_FS_SERVERLINK_H

#include "server.h"

enum { TAG_BUCKETS = 1024, CALLER_SLOTS = 256 };

struct caller { /* a slot of FILE_CRED */
	u32 uid;
	u32 gid;
	u32 epoch; /* of the connection it was last sent on; 0: free */
	u64 used;
	u64 sent_us;
};

struct held_frame {
	STAILQ_ENTRY(held_frame) entry;
	struct frame frame;
	u8 payload[];
};

struct server {
	struct server *next;
	struct servers *all;
	char node[NODE_NAME_MAX + 1];
	char addresses[1024];
	u32 attempt; /* which address is next */
	struct conn *conn;
	u32 epoch; /* counts connections */
	struct timer retry;
	struct timer watch;
	u64 backoff_us;
	u64 down_since_us; /* 0 while up */
	bool known_down;
	struct call_list calls; /* in order of tags */
	struct call *by_tag[TAG_BUCKETS];
	struct idmap *ids;
	struct caller callers[CALLER_SLOTS];
	u64 caller_clock;
	u32 learning; /* owners' names being looked up before what came after */
	STAILQ_HEAD(, held_frame) held; /* that is here; bounded by a pause */
};

/* The call with that tag, or NULL. */
struct call *call_of(struct server *s, u64 tag);
/* Ends @c, once: @err 0 with the answer, or a negative errno. */
void call_end(struct call *c, int err, const u8 *payload, u32 len);
/* A timer: ends what has waited for too long. */
void server_watch(struct timer *t);
/* The connection was lost: back into the queue with everything, except what ends
 * with its connection.
 */
void server_requeue(struct server *s);
/* From the connection. */
void server_take_frame(struct conn *conn, const struct frame *f,
		       const u8 *payload);
/* Drops what waits for names. */
void server_drop_held(struct server *s);
/* Sends what waits for @v, which is now attached. */
void server_send_queue(struct server *s, struct volume *v);
/* Closes open file @number of @v's server. */
void server_release_number(struct volume *v, u64 number);
/* Ends a call that may or may not have been done. */
void server_end_uncertain(struct call *c);
/* The slot of user @uid, @gid with the server, told ahead if need be. -EAGAIN
 * while names.h asks who that is, -ETIMEDOUT when that takes too long.
 */
int caller_slot(struct server *s, u32 uid, u32 gid, u32 *slot);

#endif
