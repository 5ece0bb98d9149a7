/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A failure as the user will read it. It is filled in where the cause is first
 * understood, carried upwards (also over the wire, as MSG_ERROR) and printed
 * once:
 *
 *	virgo: <object>: <what>. Try: <remedy>
 */
#ifndef VIRGO_LIB_FAILURE_H
#define VIRGO_LIB_FAILURE_H

#include <stdio.h>

#include "wire.h"

struct failure {
	int code; /* negative errno; 0 while nothing has failed */
	char object[128]; /* "run on beta", "node.key", "/virgo/beta" */
	char what[384]; /* "no user 'ann' there" */
	char remedy[256]; /* "create it, or map it with idmap"; may be empty */
};

/* Fills @f and returns @code, so that a caller can return it at once. @remedy
 * may be NULL. @f may be NULL: then only @code is returned.
 */
int failure_set(struct failure *f, int code, const char *object,
		const char *remedy, const char *what_fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Prints @f to @out as above, with a newline. Control characters that came from
 * elsewhere are shown as '?'.
 */
void failure_print(const struct failure *f, FILE *out);

void failure_to_message(const struct failure *f, struct msg_error *m);
void failure_from_message(struct failure *f, const struct msg_error *m);

#endif
