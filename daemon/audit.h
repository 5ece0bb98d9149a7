/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit log: every grant, job and refusal of this node, one line each in
 * STATE/audit.log (0600, only ever appended to):
 *
 *	number TAB seconds TAB node TAB user TAB action TAB object TAB result
 *	TAB checksum LF
 *
 * Control characters and backslashes of a field are written as \ooo. The
 * checksum is the CRC-32C of what stands before its TAB, in hexadecimal; by it
 * a line torn by a crash or a full disk is recognised. Readers skip such a line
 * and the next writer begins a new one. When the file has grown to its bound it
 * becomes audit.log.1, that becomes audit.log.2, and so on up to the number that
 * is kept; numbers go on. Used in the loop's thread only, except audit_scan().
 */
#ifndef VIRGO_DAEMON_AUDIT_H
#define VIRGO_DAEMON_AUDIT_H

#include "failure.h"

struct audit;
struct node;

struct audit_entry {
	u64 number; /* from 1, one higher with each entry */
	u64 time_s; /* since 1970 */
	const char *node; /* where the request came from */
	const char *user; /* on whose behalf; "-" when nobody's */
	const char *action; /* "run", "join", "volume allow" */
	const char *object; /* "beta: make -j4", "volume alpha" */
	const char *result; /* "ok", or the refusal in the words shown */
};

enum {
	AUDIT_TEXT_MAX = 512, /* bytes of a field; what is longer is cut */
	AUDIT_FILES_MAX = 100, /* the current one and those kept */
};

/* Opens @dir/audit.log and closes a torn last line. (The shorter name belongs
 * to libaudit, which libpam brings into the process.)
 */
int audit_log_open(struct audit **out, const char *dir, struct failure *f);
void audit_log_close(struct audit *a);

/* When to begin a new file, and how many old ones to keep beside it. */
void audit_set_bound(struct audit *a, u64 bytes, u32 keep);

/*
 * Appends an entry; when this returns 0 it is in the file and survives kill -9
 * of virgod. NULL strings are written as "-". A negative errno otherwise, which
 * is also logged; a caller that must not act without a record checks it.
 */
int audit_write(struct audit *a, const char *node, const char *user,
		const char *action, const char *object, const char *result);
/* The same, with the refusal @f as result ("ok" if NULL or its code is 0). */
int audit_write_failure(struct audit *a, const char *node, const char *user,
			const char *action, const char *object,
			const struct failure *f);

/*
 * Calls @fn for the newest @count entries of @user (NULL: of all), newest first,
 * and stops when @fn gives false or at the first entry older than @since_s. It
 * reads the files anew and may run in any thread, beside a writer. 0 or a
 * negative errno.
 */
int audit_scan(const char *dir, u64 since_s, u32 count, const char *user,
	       bool (*fn)(void *arg, const struct audit_entry *e), void *arg);

/*
 * audit_service.c: MSG_AUDIT, answered from a thread, one question at a time.
 * Root sees all entries, another user those of that name. The answer is one or
 * more AUDIT_ENTRIES, oldest entry first, FRAME_MORE on all but the last.
 */
enum { AUDIT_COUNT_MAX = 100000, AUDIT_COUNT_STANDARD = 100 };
void audit_serve(struct node *n);
/* Waits for a question under way and forgets those behind it. */
void audit_serve_end(struct node *n);

#endif
