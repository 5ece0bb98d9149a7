/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit log: every grant, job and refusal of this node, one line each in
 * STATE/audit.log (0600, only ever appended to). A line is numbered and carries
 * a checksum, so a line torn by a crash or a full disk is recognised, skipped
 * by readers and closed before the next one is written. When the file has grown
 * to its bound it becomes audit.log.1, that becomes audit.log.2, and so on up to
 * the number that is kept; numbers go on. Used in the loop's thread only.
 */
#ifndef VIRGO_DAEMON_AUDIT_H
#define VIRGO_DAEMON_AUDIT_H

#include "failure.h"

struct audit;
struct node;

struct audit_entry {
	u64 number; /* from 1, never used twice */
	u64 time_s; /* since 1970 */
	const char *node; /* where the request came from */
	const char *user; /* on whose behalf; "-" when nobody's */
	const char *action; /* "run", "join", "volume allow" */
	const char *object; /* "beta: make -j4", "volume alpha" */
	const char *result; /* "ok", or the refusal in the words shown */
};

/* Opens DIR/audit.log and closes a torn last line. */
int audit_open(struct audit **out, const char *dir, struct failure *f);
void audit_close(struct audit *a);

/* When to begin a new file, and how many old ones to keep beside it. */
void audit_set_bound(struct audit *a, u64 bytes, u32 keep);

/*
 * Appends an entry: it is in the file, and so survives kill -9 of virgod, when
 * this returns. Strings are cut at AUDIT_TEXT_MAX bytes. NULL strings are
 * written as "-". 0 or a negative errno, which is also logged; a caller that
 * must not act without a record checks it.
 */
enum { AUDIT_TEXT_MAX = 512 };
int audit_write(struct audit *a, const char *node, const char *user,
		const char *action, const char *object, const char *result);
/* The same, with the refusal @f as result ("ok" if NULL or its code is 0). */
int audit_write_failure(struct audit *a, const char *node, const char *user,
			const char *action, const char *object,
			const struct failure *f);

/*
 * Calls @fn for the newest @count entries written at or after @since_s, oldest
 * first, of @user only (NULL: of all), from the current and the kept files.
 * Stops when @fn gives false. 0 or a negative errno.
 */
int audit_read(struct audit *a, u64 since_s, u32 count, const char *user,
	       bool (*fn)(void *arg, const struct audit_entry *e), void *arg);

/* Registers MSG_AUDIT. */
void audit_serve(struct node *n);

#endif
