/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names in file requests, and opening one beneath a directory. */
#ifndef VIRGO_DAEMON_OPNAME_H
#define VIRGO_DAEMON_OPNAME_H

#include <sys/types.h>

#include "wire.h"

struct descriptor;
struct job;

/* Copies the one component @s is; -EINVAL for "", ".", "..", a slash or a NUL,
 * -ENAMETOOLONG.
 */
int opname_take(struct span s, char out[FILE_NAME_BYTES_MAX + 1]);
/* openat2() that stays beneath @dir_fd, on its mount, and follows no link at the
 * end. A descriptor or -errno.
 */
int opname_open(int dir_fd, const char *name, int flags, mode_t mode);
/* Answers @j with what was made as @name in @d, which is @dir. */
int opname_reply_made(struct job *j, struct span dir, struct descriptor *d,
		      const char *name);

#endif
