/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inode numbers as programs see them, unique over the whole mount: the volume's
 * slot in the upper 16 bits, the server's number below. A server number that
 * needs more than 47 bits gets a small one of its own instead, which is written
 * to a file, so that it is the same after the next mount.
 */
#ifndef VIRGO_FS_INUMBER_H
#define VIRGO_FS_INUMBER_H

#include "failure.h"

struct inumbers;

/* @dir keeps one file a volume, made when first needed; NULL: they last only as
 * long as the mount.
 */
int inumbers_new(struct inumbers **out, const char *dir, struct failure *f);
void inumbers_free(struct inumbers *t);
/* The number to show for @ino of the volume with @slot; never 0 or 1. */
u64 inumbers_show(struct inumbers *t, u32 slot, u64 ino);

#endif
