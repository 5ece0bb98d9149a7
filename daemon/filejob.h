/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One request of the file service on its way: taken from a connection by
 * exports_request.c, run by a worker through its row of fileops.h, answered from
 * the loop's thread. What an operation looks up through the job (descriptors, open
 * files, the user it acts as) the job holds and gives back by itself, so that an
 * operation can simply return.
 */
#ifndef VIRGO_DAEMON_FILEJOB_H
#define VIRGO_DAEMON_FILEJOB_H

#include "fileops.h"
#include "filesession.h"
#include "workers.h"

enum { FILEJOB_HELD = 3, FILEJOB_FILES = 2, FILEJOB_IDS = 64 };

enum { ATTR_BYTES = 88, FILEJOB_CHANGED = 2 };

struct job {
	struct work work;
	struct job *next; /* of the session's running list */
	struct job **link;
	struct exports *exports;
	struct filesession *session;
	const struct fileop *op;
	u64 tag;
	int ret; /* of the operation */
	u64 boot; /* the verifier of this virgod's life */
	struct descriptors *descriptors;

	bool waits; /* -EAGAIN means: park and try again */
	bool cancelled;
	struct job *parked; /* next in the list of those that wait */

	struct fsuser *user; /* who asks, as the slot stood on arrival */
	struct volume *volume;
	struct fscred *cred;
	bool read_only;
	bool resumed; /* of FILE_ATTACH: files of the volume may be open */
	int place; /* of replies_begin(); -1: nothing is noted */
	u8 before[FILEHANDLE_MAX]; /* what an earlier virgod made for it */
	u32 before_len;
	bool again; /* an earlier virgod had begun it */
	bool shared; /* and the same for another session */
	struct replies_begun begun;
	s64 started_ns; /* when this virgod did, by the clock of files */
	struct descriptor *held[FILEJOB_HELD];
	int held_count;
	struct openfile *files[FILEJOB_FILES];
	int file_count;

	u32 ids[FILEJOB_IDS]; /* owners in the reply */
	u8 id_kinds[FILEJOB_IDS];
	int id_count;

	struct {
		struct span handle; /* in the payload */
		u8 attr[ATTR_BYTES];
	} changed[FILEJOB_CHANGED]; /* directories the operation changed */
	int changed_count;

	u16 reply_type;
	u8 *reply; /* small, or from malloc() */
	size_t reply_len;
	u8 *body; /* the rest of the reply, from malloc(); or NULL */
	size_t body_len;
	u8 small[512];

	u32 len;
	u8 payload[];
};

/* A job with a copy of @payload; NULL when memory is out. */
struct job *job_new(const struct fileop *op, u64 tag, const void *payload,
		    u32 len);
void job_free(struct job *j);
/* Runs the operation; gives its result. What it held is given back. */
int job_run(struct job *j);

/*
 * For operations, each once and in this order. job_at() turns @handle into its
 * descriptor and makes the thread act as who asks; job_and() a second handle,
 * which must be of the same volume (-EXDEV); job_file() an open file, acting as
 * its opener. All give 0 or a negative errno: -EROFS when the operation changes
 * something (FILEOP_CHANGES) and this client may not.
 */
int job_at(struct job *j, struct span handle, struct descriptor **d);
int job_and(struct job *j, struct span handle, struct descriptor **d);
int job_file(struct job *j, u64 id, struct openfile **f);
/* From now on it must not happen twice, even if virgod is killed; operations with
 * FILEOP_CHANGES are noted by job_run().
 */
void job_note(struct job *j);
/* Notes what is there before the system call that does it; for op_again.c. */
void job_mark(struct job *j, u64 mark);
/* Gives back what was looked up, to begin anew. */
void job_let_go(struct job *j);
/* Acts as who asks instead. */
int job_as_asker(struct job *j);
/* -EROFS when this client may not write to the job's volume; for what changes
 * something only sometimes.
 */
int job_may_write(const struct job *j);

/* Room for a reply of @type, @len bytes; NULL when memory is out. */
u8 *job_room(struct job *j, u16 type, size_t len);
/* The owner's name must be known to the client before this reply; false when
 * the reply has no room for another.
 */
bool job_tell(struct job *j, u32 uid, u32 gid);
bool job_tell_id(struct job *j, enum file_id_kind kind, u32 id);
/* Encodes @st and tells its owners. */
void job_attr(struct job *j, const struct stat *st, struct rec_attr *out);

/* The client will learn the attributes that directory @d, @handle in the request,
 * has now.
 */
void job_changed(struct job *j, struct span handle, const struct descriptor *d);
/* FILE_ENTRY for what is open at @fd; caches @fd, which it takes over, when it
 * is O_PATH (@keep).
 */
int job_reply_entry(struct job *j, int fd, bool keep);
int job_reply_attr(struct job *j, int fd);
/* FILE_DATA with @len bytes at @data, which become the job's to free. */
int job_reply_data(struct job *j, u8 *data, size_t len);

#define job_reply(j, NAME, name, m)                                            \
	({                                                                     \
		size_t size_ = msg_##name##_size(m);                           \
		u8 *room_ = job_room(j, MSG_##NAME, size_);                    \
									       \
		if (room_) {                                                   \
			struct wcursor w_ = wcursor_of(room_, size_);          \
									       \
			msg_##name##_encode(&w_, m);                           \
		}                                                              \
		room_ ? 0 : -ENOMEM;                                           \
	})
#define job_decode(j, name, m)                                                 \
	(msg_##name##_decode(m, (j)->payload, (j)->len) ? -EBADMSG : 0)
/* How most operations begin: decodes @m and looks up its @field, a handle or an
 * open file.
 */
#define job_take_at(j, name, m, field, d)                                      \
	(job_decode(j, name, m) ? -EBADMSG : job_at(j, (m)->field, d))
#define job_take_file(j, name, m, field, f)                                    \
	(job_decode(j, name, m) ? -EBADMSG : job_file(j, (m)->field, f))

#endif
