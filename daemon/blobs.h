/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs sent along with jobs, kept by content: STATE/blobs/<user>/<sha256>.
 * A content becomes visible only after this node has computed its hash, and
 * only root can write there, so nobody can pass off one program as another; each
 * user has a folder, so knowing a hash does not give access to another's program.
 * What was stored before the last boot is dropped, since a crash of the machine
 * may have torn it. Used in the loop's thread.
 */
#ifndef VIRGO_DAEMON_BLOBS_H
#define VIRGO_DAEMON_BLOBS_H

#include "failure.h"

struct blobs;

enum {
	BLOBS_BYTES = 1 << 30, /* all users together; the oldest go beyond */
	BLOB_BYTES_MAX = 256 << 20,
};

int blobs_open(struct blobs **out, const char *state, struct failure *f);
void blobs_close(struct blobs *b);
/* A descriptor of the content, to be executed; -ENOENT. */
int blobs_find(struct blobs *b, const char *user, const u8 *hash);
/*
 * A piece of a content, in order from offset 0; @last makes it visible. -EINVAL
 * for a piece out of order (an earlier upload is then forgotten), -EBADMSG when
 * the content does not have the hash, -EFBIG, -ENOSPC.
 */
int blobs_put(struct blobs *b, const char *user, const u8 *hash, u64 offset,
	      const void *data, size_t len, bool last);

#endif
