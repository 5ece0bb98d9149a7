/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the catalog's rows are kept. This is the whole of what a database must
 * do for VIRGO: rows of (table, key) with a change number and opaque bytes, one
 * blob beside them, and transactions that are on disk when they return.
 * store_sqlite.c is the one implementation; a server such as PostgreSQL fits
 * behind the same functions. Rows with change 0 are this node's own and are
 * never replicated.
 *
 * All functions block for as long as the disk takes. A failure inside a
 * transaction leaves it to be rolled back; what was committed before stands.
 */
#ifndef VIRGO_DAEMON_STORE_H
#define VIRGO_DAEMON_STORE_H

#include "failure.h"

struct store;

struct store_row {
	const char *table;
	const char *key;
	u64 change;
	bool deleted;
	struct span value;
};

/* @create: -EEXIST where there is one; otherwise -ENOENT where there is none. */
int store_open(struct store **out, const char *path, bool create,
	       struct failure *f);
void store_close(struct store *s);

int store_begin(struct store *s, struct failure *f);
int store_commit(struct store *s, struct failure *f);
/* Harmless outside a transaction. */
void store_rollback(struct store *s);

/* Inserts or replaces. */
int store_put(struct store *s, const struct store_row *row, struct failure *f);
/* Removes the row itself, not marking it deleted. */
int store_drop(struct store *s, const char *table, const char *key,
	       struct failure *f);
/* Drops every row whose change is not 0. */
int store_drop_replicated(struct store *s, struct failure *f);
int store_put_head(struct store *s, struct span bytes, struct failure *f);

/* Calls @each for every row in order of change, views valid during the call;
 * stops at its first negative value and returns it.
 */
int store_each(struct store *s,
	       int (*each)(const struct store_row *row, void *arg), void *arg,
	       struct failure *f);
/* Calls @take with the blob; -ENOENT when none was ever put. */
int store_head(struct store *s, int (*take)(struct span bytes, void *arg),
	       void *arg, struct failure *f);

#endif
