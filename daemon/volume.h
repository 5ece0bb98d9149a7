/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A volume as this node serves it: a private copy of the mount at its folder,
 * without what is mounted below, so that nothing outside can be reached from
 * within whatever names are asked for; the key of its handles; and its rules.
 * Counted, and unchanging while anyone holds it: a change makes a new one. The
 * calls may be made from any thread, as virgod itself (fscred_become(NULL)).
 */
#ifndef VIRGO_DAEMON_VOLUME_H
#define VIRGO_DAEMON_VOLUME_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "descriptors.h"
#include "failure.h"
#include "fsuser.h"

enum { VOLUME_NAME_MAX = 63, VOLUME_ID = 16 };

struct fleeting;

/* Where a volume's files are; shared by its former and its present form, so a
 * change of rules leaves handles and descriptors as they are.
 */
struct store {
	atomic_int refs;
	char *path;
	int root_fd; /* a directory, readable */
	struct fleeting *fleeting; /* NULL: the file system has handles */
};

struct volume {
	atomic_int refs;
	u64 number; /* in its handles */
	char name[VOLUME_NAME_MAX + 1];
	u8 id[VOLUME_ID];
	u32 slot;
	char *allow; /* nodes that may mount it; volume_allows() */
	struct fsrules rules;
	u8 key[FILEHANDLE_KEY];
	struct store *store;
	int root_fd; /* the store's */
	u64 root_ino;
	struct fleeting *fleeting; /* the store's */
};

/* Opens the folder that @row names; @old, if not NULL, is its former form. */
int volume_open(struct volume **out, const struct rec_volume_row *row,
		const u8 node_key[FILEHANDLE_KEY], const struct volume *old,
		struct failure *f);
struct volume *volume_get(struct volume *v);
void volume_put(struct volume *v);
/* True when @row would give the same volume as @v is. */
bool volume_matches(const struct volume *v, const struct rec_volume_row *row);
/* May node @node mount it? Sets @read_only. @allow is a list with commas of
 * NAME, NAME:ro, * and *:ro; empty means every node, to read and write.
 */
bool volume_allows(const char *allow, const char *node, bool *read_only);

/* The wire handle of name @name in @dir_fd (or of @dir_fd itself, with "") into
 * @out, FILEHANDLE_MAX bytes; gives its length or a negative errno.
 */
int volume_handle(struct volume *v, int dir_fd, const char *name, u8 *out);
/* An O_PATH descriptor of what @wire names, or -ESTALE. */
int volume_open_handle(struct volume *v, struct span wire);

#endif
