/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cache of O_PATH descriptors by wire handle, so that an operation on a
 * handle seldom has to check its seal and open it anew. Entries not in use are
 * closed when there are too many, when they have not been used for a while, and
 * when their file lost a name (a descriptor would keep a deleted file's blocks).
 * Any thread; one mutex inside, never held over a system call that may block.
 */
#ifndef VIRGO_DAEMON_DESCRIPTORS_H
#define VIRGO_DAEMON_DESCRIPTORS_H

#include "filehandle.h"

struct descriptors;

struct descriptor {
	int fd; /* O_PATH */
	bool is_dir;
	u32 refs; /* guarded by the cache's lock, as all below */
	u16 handle_len;
	bool cached;
	u64 ino;
	u64 used_us;
	struct descriptor *chain;
	struct descriptor *ino_chain;
	struct descriptor *newer;
	struct descriptor *older;
	u8 handle[FILEHANDLE_MAX];
};

/* At most @max descriptors are kept while unused. */
struct descriptors *descriptors_new(size_t max);
void descriptors_free(struct descriptors *ds);

/* A reference to the entry of @handle, or NULL. */
struct descriptor *descriptors_find(struct descriptors *ds, struct span handle);
/* Takes over @fd. A reference to the entry of @handle, the old one when there is
 * one; NULL when memory is out (@fd is closed).
 */
struct descriptor *descriptors_add(struct descriptors *ds, struct span handle,
				   int fd, u64 ino, bool is_dir);
void descriptors_put(struct descriptors *ds, struct descriptor *d);
/* Forgets every entry of inode number @ino; those in use go with their user. */
void descriptors_drop(struct descriptors *ds, u64 ino);
/* Closes what was last used before @before_us and is not in use. */
void descriptors_sweep(struct descriptors *ds, u64 before_us);

#endif
