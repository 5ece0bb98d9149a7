/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An open file of a volume as libvirgo holds it: its own connection to the local
 * virgod, on which the volume is attached, and the file's number there. Requests
 * of one file go one after another, under its lock.
 */
#ifndef VIRGO_LIB_REMOTE_FILE_H
#define VIRGO_LIB_REMOTE_FILE_H

#include <pthread.h>

#include "object.h"

struct remote_handle {
	u32 len;
	u8 data[FILE_HANDLE_MAX];
};

struct remote_file {
	struct object object;
	pthread_mutex_t lock;
	struct client *client;
	u64 id; /* 0: not open */
	struct remote_handle handle;
	u32 flags; /* enum file_open_flags */
	s64 position;
	bool at_end; /* wherever that is: something was appended */
	bool wrote;
	u64 verifier; /* of the server, when something was first written */
	char path[256]; /* for failures; cut */
};

/* One request; the reply is valid until the next. 0 or a negative errno and @f. When
 * the connection to the volume's node was lost meanwhile, one that may happen twice
 * is asked once more on the next connection.
 */
int remote_file_call(struct remote_file *file, u16 type, const void *head,
		     size_t head_len, const void *body, size_t body_len,
		     u16 want, struct span *reply, struct failure *f);

/* Encodes struct msg_name @m and sends it as a request. */
#define remote_file_request(file, NAME, name, m, want, reply, f)               \
	({                                                                     \
		u8 buf_[1024];                                                 \
		struct wcursor w_ = wcursor_of(buf_, sizeof(buf_));            \
									       \
		msg_##name##_encode(&w_, m);                                   \
		w_.bad ? -ENAMETOOLONG :                                       \
			 remote_file_call(file, MSG_##NAME, buf_,              \
					  wcursor_len(&w_), NULL, 0, want,     \
					  reply, f);                           \
	})

/*
 * Attaches the volume of @path ("volume:/path", "/virgo/volume/path"), walks to
 * the file and opens or makes it. @flags as of open(2), checked already. 0 or a
 * negative errno and @f.
 */
int remote_file_open(struct remote_file *file, const char *path, int flags,
		     u32 mode, struct failure *f);
/* The same way to whatever is there, which is not opened: its handle, and its
 * attributes in @a. @follow: a symbolic link at the end, too.
 */
int remote_file_find(struct remote_file *file, const char *path, bool follow,
		     struct rec_attr *a, struct failure *f);
/* The attributes now of what is open, or was found. */
int remote_file_attr(struct remote_file *file, struct rec_attr *a,
		     struct failure *f);

struct virgo_stat;
/* The same as a program sees them. */
void remote_file_stat(const struct rec_attr *a, struct virgo_stat *st);
/* Makes it known under a descriptor of its own, so that close(2) on that does no
 * harm: the descriptor, or a negative errno and @f.
 */
int remote_file_publish(struct remote_file *file, struct failure *f);

#endif
