/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections to the nodes that serve volumes, and calls over them. One struct
 * server a node, one connection each, dialled when first needed and again after
 * a loss. A call waits in its server's queue while there is no connection, is
 * sent again under its old tag on the next one, and ends exactly once: with the
 * answer, with an error of the connection's making, or by its time limit.
 *
 *	DOWN -> DIALLING -> UP;  volume: detached -> attaching -> attached
 *
 * When the server comes back without the session (it was restarted), open files
 * are opened and locks taken again by handle before anything else is sent.
 */
#ifndef VIRGO_FS_SERVER_H
#define VIRGO_FS_SERVER_H

#include <sys/queue.h>

#include "conn.h"
#include "idmap.h"
#include "inode.h"

enum server_patience {
	PATIENCE_TIMEOUT, /* wait so long, then ETIMEDOUT */
	PATIENCE_HARD, /* wait for ever */
	PATIENCE_SOFT, /* EHOSTDOWN as soon as the server is known to be down */
};

/* What all servers of a mount share; filled in by its owner. */
struct servers {
	struct loop *loop;
	struct conn_local local; /* names this mount's session */
	const char *identity_dir;
	u16 port;
	enum server_patience patience;
	u32 timeout_ms;
	struct inodes *inodes;
	struct names *names;

	struct tls_identity *identity; /* owned here, as all below */
	s64 identity_mtime;
	struct server *list;
	struct volume *volumes; /* by volume->next */
	u64 tag;
	bool ending; /* nothing new is begun */
};

struct call;
TAILQ_HEAD(call_list, call);

struct file {
	struct file *next; /* of the inode's */
	LIST_ENTRY(file) entry; /* of the volume's */
	struct inode *inode;
	u64 remote; /* the server's number; 0: lost with the server's restart */
	u32 flags; /* enum file_open_flags */
	u32 uid; /* who opened it */
	u32 gid;
	u8 flock; /* enum file_lock_type */
	bool dirty; /* written since the last fsync */
	bool lost; /* the server's machine restarted on top of that */
	u64 verifier; /* of the last write */
	u8 *data; /* the whole file as of the open, or NULL */
	u32 data_len;
};

struct volume {
	struct volume *next;
	struct server *server;
	char name[64];
	u32 slot;
	bool listed; /* the catalog has it */
	bool relisted; /* for volumes.c */
	bool attached;
	bool attaching;
	u32 flags; /* enum file_volume_flags */
	u64 verifier;
	struct inode *root; /* held; NULL before the first attach */
	struct rec_attr root_attr;
	LIST_HEAD(, file) files;
	u32 reopening; /* answers still due before it is attached */
	struct timer again; /* attaches anew */
	u32 attempts; /* since the server last did not know it */
};

struct call {
	TAILQ_ENTRY(call) entry;
	struct call *chain; /* by tag */
	struct volume *volume;
	u64 tag;
	u16 type;
	u16 want; /* type of the answer; MSG_OK when it carries nothing */
	bool once; /* not to be repeated after a restart of the server */
	bool first; /* part of attaching: goes before the queue */
	bool waits; /* for a lock: no time limit while the server lives */
	bool patient; /* nobody waits: no time limit, also when soft */
	bool sent; /* on this connection */
	bool sent_ever;
	bool interrupted;
	bool named; /* `who` is filled in from uid and gid when it is sent */
	u32 uid;
	u32 gid;
	u64 deadline_us; /* 0: none */

	/* Fills in the request late, just before it is sent; may be NULL. */
	void (*prepare)(struct call *c);
	/* Ends the call; @err 0 with the payload, or a negative errno. */
	void (*done)(struct call *c, int err, const u8 *payload, u32 len);
	void *request; /* these five for @done's use */
	struct inode *inode; /* held by the call, if not NULL */
	struct inode *dir; /* likewise */
	struct file *file; /* its number is put at file_at before sending */
	struct file *file2;
	struct file *reopens;
	u32 file_at;
	u32 file2_at;
	u64 number;
	void *memory; /* freed with the call */

	const u8 *body; /* sent after head; lives in `memory` */
	u32 body_len;
	u32 head_len;
	u8 head[];
};

enum { CALL_NO_FILE = 0xffffffff };

/* A new call with room for @head_len bytes of request. NULL without memory. */
struct call *call_new(struct volume *v, u16 type, u16 want, size_t head_len);
/* Fills in and sends struct msg_@name @m; for requests without raw data. */
#define call_make(v, NAME, name, want, m)                                      \
	({                                                                     \
		size_t size_ = msg_##name##_size(m);                           \
		struct call *c_ = call_new(v, MSG_##NAME, want, size_);        \
									       \
		if (c_) {                                                      \
			struct wcursor w_ = wcursor_of(c_->head, size_);       \
									       \
			msg_##name##_encode(&w_, m);                           \
		}                                                              \
		c_;                                                            \
	})
/* Starts it; may end it from inside. */
void call_start(struct call *c);
/* A signal came for the one who waits. */
void call_interrupt(struct call *c);
/* Frees a call that was never started. */
void call_drop(struct call *c);

/* Reads identity_dir, again when it changed; 0 or a negative errno. */
int servers_load_identity(struct servers *all, struct failure *f);
/* The server named @node, made when needed; @addresses replace former ones. */
struct server *server_for(struct servers *all, const char *node,
			  const char *addresses);
struct idmap *server_ids(struct server *s);
const char *server_node(const struct server *s);
/* Dials if need be, and attaches @v if it is not. */
void server_want(struct volume *v);
/* Attaches @v anew over the connection there is: the server has taken it from us,
 * perhaps for ever, perhaps not.
 */
void server_reattach(struct volume *v);
/* Ends all calls, connections and servers. */
void servers_free(struct servers *all);
/* Ends connections to, and attempts to reach, servers of which no volume is
 * listed: they may have been removed from the cloud.
 */
void servers_cut_unlisted(struct servers *all);
/* Whether there is a connection to any server. */
bool servers_connected(const struct servers *all);
/* True while there is no connection to @s and the last attempt failed. */
bool server_is_down(const struct server *s);
/* Sends what waited for names.h to know its caller. */
void servers_send_queues(struct servers *all);
/* Ends all calls of @v with @err. */
void server_fail_volume(struct volume *v, int err);

struct file *file_new(struct inode *i, u64 remote, u32 flags, u32 uid, u32 gid);
void file_free(struct servers *all, struct file *f);
/* Closes @f here and tells its server, without waiting. */
void server_release(struct servers *all, struct file *f);

#endif
