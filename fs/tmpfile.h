/* SPDX-License-Identifier: GPL-2.0-or-later */
/* open(O_TMPFILE), which libfuse of this version does not know. */
#ifndef VIRGO_FS_TMPFILE_H
#define VIRGO_FS_TMPFILE_H

#include "mount.h"

struct fuse_in_header;

/* Handles the FUSE_TMPFILE request of @n bytes at @h. */
void tmpfile_take(struct mount *m, const struct fuse_in_header *h, size_t n);

#endif
