/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handles on the wire: what names a file to a client, in place of a path. The
 * client cannot make one: the last bytes are a MAC under a key of the volume.
 *
 *	0	8	number of the volume
 *	8	1	kind, enum filehandle_kind
 *	9	1	n, bytes of the body
 *	10	2	zero
 *	12	4	type, as the store's file system gave it
 *	16	n	body: the store's file handle, or a session's number
 *	16+n	16	HMAC-SHA-256 of all before, cut to 128 bits
 */
#ifndef VIRGO_DAEMON_FILEHANDLE_H
#define VIRGO_DAEMON_FILEHANDLE_H

#include "cursor.h"

enum {
	FILEHANDLE_HEAD = 16,
	FILEHANDLE_BODY_MAX = 128, /* MAX_HANDLE_SZ */
	FILEHANDLE_MAC = 16,
	FILEHANDLE_MAX = FILEHANDLE_HEAD + FILEHANDLE_BODY_MAX + FILEHANDLE_MAC,
	FILEHANDLE_KEY = 32,
};

enum filehandle_kind {
	FILEHANDLE_STORE = 1, /* name_to_handle_at(); survives restarts */
	FILEHANDLE_SESSION = 2, /* a number; the store has no handles */
};

struct filehandle {
	u64 volume;
	u8 kind;
	u8 len; /* of the body */
	s32 type;
	const u8 *body;
};

/* The key of one volume, from the node's own. 0 or -EIO. */
int filehandle_derive(const u8 node_key[FILEHANDLE_KEY], struct span volume_id,
		      u8 out[FILEHANDLE_KEY]);
/* Writes @h to @out, FILEHANDLE_MAX bytes; gives the length, or -EINVAL. */
int filehandle_seal(const struct filehandle *h, const u8 key[FILEHANDLE_KEY],
		    u8 *out);
/* The volume a handle claims to be of, to find the key; 0 when malformed. */
u64 filehandle_volume(struct span wire);
/* Checks @wire against @key, in constant time, and takes it apart; @h->body
 * points into @wire. 0 or -ESTALE.
 */
int filehandle_open(struct filehandle *h, const u8 key[FILEHANDLE_KEY],
		    struct span wire);

#endif
