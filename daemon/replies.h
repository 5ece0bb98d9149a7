/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What became of a session's operations that must not happen twice, in a mapped
 * file, so that kill -9 of virgod does not forget it: STATE/replies/SESSION.
 * An operation is noted before it is begun and its answer when it is done. After
 * a restart the client asks again under the old tags, and each operation
 *
 *	is not there:	it was never begun, and is done now
 *	is done:	gets the answer it had
 *	was begun only:	virgod died in the middle of it; op_again.c finds out
 *			whether it was done
 *
 * The file counts for one boot of the machine, as what the kernel had not
 * written is gone with it. Its size is fixed; the oldest answers make room, and
 * which may have been forgotten is remembered. Any thread may use the calls.
 */
#ifndef VIRGO_DAEMON_REPLIES_H
#define VIRGO_DAEMON_REPLIES_H

#include "wire.h"

enum {
	REPLIES_SLOTS = 256, /* more than a session may have in flight */
	REPLIES_BYTES = 472, /* longest answer; those of names are shorter */
};

struct replies;

enum replies_fate {
	REPLIES_NEVER, /* not begun */
	REPLIES_DONE,
	REPLIES_BEGUN,
	REPLIES_FORGOTTEN, /* it may have been begun, long ago */
};

/* What was noted of an operation that was begun. */
struct replies_begun {
	s64 since_ns; /* of the clock that files' times are from */
	u64 what; /* tells what it is about from others, in all sessions; or 0 */
	u64 mark; /* replies_mark(); 0: it did not come so far */
};

/* For the client's session @id of @node; @boot tells boots of the machine apart.
 * What an earlier virgod noted is there again. NULL when memory is out.
 */
struct replies *replies_open(const char *state, const u8 id[16],
			     const char *node, u64 boot);
/* @forget: the session has ended and the file goes, too. */
void replies_close(struct replies *r, bool forget);
/* Whether an earlier virgod's notes were found. */
bool replies_found(const struct replies *r);

/* Makes the file if there is none, for which the thread must act as virgod itself. A
 * session that has one and noted nothing in it was asked nothing.
 */
void replies_make(struct replies *r);
/* Notes that operation @tag begins; its place, or -1 when that cannot be noted. What
 * an earlier virgod had noted of it stays as it was.
 */
int replies_begin(struct replies *r, u64 tag, u64 what);
/* Notes what it found before the system call after which it is done. */
void replies_mark(struct replies *r, int place, u64 mark);
/* And that it is done, with that answer. */
void replies_end(struct replies *r, int place, u16 type, const void *data,
		 size_t len);

/* What the earlier virgod knew of @tag. When it is done, @type, and @data, which
 * has room for REPLIES_BYTES, and @len; when it was begun only, @begun.
 */
enum replies_fate replies_fate_of(const struct replies *r, u64 tag, u16 *type,
				  u8 *data, u32 *len,
				  struct replies_begun *begun);

/* What all sessions had begun and not done when the last virgod of this boot ended;
 * NULL when that was nothing.
 */
struct replies_past *replies_past_read(const char *state, u64 boot);
/* Whether a session other than @id had begun @what. */
bool replies_past_other(const struct replies_past *p, const u8 id[16], u64 what);
void replies_past_free(struct replies_past *p);

/* Removes the files of sessions for which @lives is false. */
void replies_sweep(const char *state, bool (*lives)(void *arg, const u8 id[16]),
		   void *arg);

#endif
