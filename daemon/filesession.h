/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client of the file service holds: volumes it attached, users it named,
 * files it opened, locks it took, and the answers it may ask for again. A
 * session belongs to one mount of one node (the session of its HELLO), outlives
 * its connection for FILESESSION_GRACE_MS, and then gives everything back.
 *
 * The loop's thread makes, connects and ends sessions; workers look up users,
 * files and volumes in them under the session's lock.
 */
#ifndef VIRGO_DAEMON_FILESESSION_H
#define VIRGO_DAEMON_FILESESSION_H

#include <pthread.h>

#include "conn.h"
#include "policy.h"
#include "replies.h"
#include "volume.h"

enum {
	FILESESSION_GRACE_MS = 120000,
	FILESESSION_STREAMS = 16, /* listings in progress, kept open */
	FILESESSION_REPLIES = 1024, /* answers kept for asking again */
	FILESESSION_REPLY_BYTES = 1 << 20, /* and together at most this */
	FILESESSION_VOLUMES = 64,
};

struct openfile {
	int refs; /* guarded by the session's lock */
	u32 generation;
	int fd;
	u32 flags; /* enum file_open_flags */
	u64 dev;
	u64 ino;
	struct volume *volume;
	struct fscred *cred;
	bool read_only;
};

/* The open file description that carries one owner's locks on one file. */
struct lockfile {
	struct lockfile *next;
	int fd;
	int refs;
	u32 pid;
	u64 file; /* through which it was made; ends with it */
	u64 owner;
	u64 dev;
	u64 ino;
};

struct dirstream {
	int fd; /* -1: free */
	u64 cookie; /* where it stands */
	u64 used;
	u16 handle_len;
	u8 handle[FILEHANDLE_MAX];
};

struct attachment {
	struct volume *volume;
	bool read_only;
};

struct kept_reply {
	u64 tag;
	u16 type;
	u32 len;
	u8 *data; /* NULL: slot free */
};

struct filesession {
	struct filesession *next;
	struct exports *exports;
	char node[NODE_NAME_MAX + 1];
	u8 id[16];
	struct conn *conn; /* a reference; NULL during grace */
	struct timer grace;
	u32 jobs; /* in flight */
	bool ended;
	bool paused; /* its connection is not read from */
	struct replies *notes; /* what is known of it after kill -9 */
	u64 tag_seen; /* the highest so far */
	struct job *running; /* list of jobs in flight */
	struct kept_reply replies[FILESESSION_REPLIES];
	u32 reply_next;
	size_t reply_bytes;
	u64 *told; /* numbers whose names the client knows: hash table */
	u32 told_count;
	u32 told_size;

	pthread_mutex_t lock; /* guards all below */
	struct attachment volumes[FILESESSION_VOLUMES];
	struct fsuser *users[FILE_WHO_MAX];
	struct openfile **files;
	u32 file_size;
	u32 file_free; /* hint: no free place below */
	u32 generation;
	struct lockfile *locks;
	struct dirstream streams[FILESESSION_STREAMS];
	u64 stream_clock;
	struct policy *policy; /* NULL for this node itself */
	u64 attached[FILESESSION_VOLUMES]; /* numbers, since it began */
	u32 attached_count;
};

struct filesession *filesession_new(const char *node, const u8 id[16]);
/* Closes all; only when no job is in flight. @forget: it will not come back. */
void filesession_free(struct filesession *s, bool forget);

/* Replaces slot @who; takes over @u. -EINVAL for a slot out of range. */
int filesession_set_user(struct filesession *s, u32 who, struct fsuser *u);
/* A reference, or NULL for an empty slot. */
struct fsuser *filesession_user(struct filesession *s, u32 who);

/* Attaches @v, replacing an earlier form of it. -EMFILE when full. Gives 1 when
 * it was attached before, so that files of it may be open.
 */
int filesession_attach(struct filesession *s, struct volume *v, bool read_only);
void filesession_detach(struct filesession *s, u64 number);
/* A reference to the attached volume @number, or NULL. */
struct volume *filesession_volume(struct filesession *s, u64 number,
				  bool *read_only);

/* Takes over @f with all it holds; its id, or 0 when memory is out. */
u64 filesession_add_file(struct filesession *s, struct openfile *f);
/* A reference, or NULL. */
struct openfile *filesession_file(struct filesession *s, u64 id);
void filesession_put_file(struct filesession *s, struct openfile *f);
/* Ends @id and the locks taken through it; 0 or -EBADF. */
int filesession_release(struct filesession *s, u64 id);
/* Files open in all sessions together. */
size_t filesession_open_count(void);

/* The lock description of @owner on @f's file, made when @make is set; a
 * reference or NULL with errno.
 */
struct lockfile *filesession_lock(struct filesession *s, struct openfile *f,
				  u64 id, u64 owner, bool make);
void filesession_put_lock(struct filesession *s, struct lockfile *l);
/* Drops all locks of @owner on @f's file. */
void filesession_unlock_owner(struct filesession *s, struct openfile *f,
			      u64 owner);
/* The process behind a lock of another owner on @f's file; 0 when it is not
 * clear which or not of this session.
 */
u32 filesession_lock_pid(struct filesession *s, const struct openfile *f,
			 u64 not_owner);

/* Takes out the listing of @handle that stands at @cookie: a descriptor the
 * caller owns, or -1.
 */
int filesession_take_stream(struct filesession *s, struct span handle,
			    u64 cookie);
/* Puts one back; takes over @fd. */
void filesession_keep_stream(struct filesession *s, struct span handle,
			     u64 cookie, int fd);

/* Answers that may be asked for again; loop's thread. */
void filesession_keep_reply(struct filesession *s, u64 tag, u16 type,
			    const void *data, size_t len);
const struct kept_reply *filesession_reply(struct filesession *s, u64 tag);

/* True once for each number, until the name should be told again. */
bool filesession_tell(struct filesession *s, u8 kind, u32 id);
/* All names should be: they may be others now. */
void filesession_tell_again(struct filesession *s);

/* The [idmap] that counts for this client, @p, NULL for none; a reference. */
void filesession_set_policy(struct filesession *s, struct policy *p);
/* The name here of the cloud's user @name, into IDNAME_MAX bytes; any thread. */
void filesession_account(struct filesession *s, const char *name, char *out);
/* The name in the cloud of this machine's @account, likewise. */
void filesession_cloud_name(struct filesession *s, const char *account,
			    char *out);

#endif
