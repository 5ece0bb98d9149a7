/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the catalog, shared by its four files only: catalog_row.c (one
 * row, arrays of them), catalog.c (memory, disk), catalog_edit.c (edits),
 * catalog_sync.c (replication). A row is its wire value and the decoded record whose
 * views point into it.
 */
#ifndef VIRGO_DAEMON_CATALOG_ROW_H
#define VIRGO_DAEMON_CATALOG_ROW_H

#include "catalog.h"
#include "store.h"

enum { ROW_KEY_MAX = LOAN_KEY_MAX };

struct row {
	enum catalog_table table;
	u64 change;
	bool deleted;
	char key[ROW_KEY_MAX + 1];
	union {
		struct rec_node_row node;
		struct rec_removal_row removal;
		struct rec_volume_row volume;
		struct rec_loan_row loan;
	};
	u32 len;
	u8 value[];
};

/* A sorted array of rows of one table, or an unsorted one of many. */
struct rows {
	struct row **row;
	size_t count;
	size_t room;
};

extern const char *const catalog_table_names[CATALOG_TABLES];

struct private {
	char *key;
	struct span value; /* malloc()ed */
};

struct catalog {
	struct store *store;
	struct authority *authority;
	struct catalog_head head;
	struct rows table[CATALOG_TABLES]; /* deleted rows included */
	size_t tombstones;
	struct private *private;
	size_t privates;
	struct catalog_edit *edit; /* the one that is open */
	struct catalog_edit *arriving; /* a whole copy, in parts */
	struct {
		void (*fn)(void *arg);
		void *arg;
	} watch[16];
	int watches;
};

struct catalog_edit {
	struct catalog *catalog;
	struct catalog_head head;
	struct rows add; /* in the order of adding */
	struct private *private;
	size_t privates;
	int failed; /* the first failure */
	bool whole; /* replaces every replicated row */
	bool numbered; /* the rows have their change numbers already */
};

/* --- catalog.c --- */

/* Where what only this node knows is stored. */
extern const char catalog_private_table[];
/* Says so in @f and gives -ENOMEM. */
int catalog_no_memory(struct failure *f);
int catalog_head_put(struct store *s, const struct catalog_head *h,
		     struct failure *f);
/* The index of @key, or -1. */
ssize_t catalog_private_find(const struct private *p, size_t count,
			     const char *key);
/* Frees what @p holds. */
void catalog_private_free(struct private *p);
/* Adds a copy to an array that grows by one. */
int catalog_private_add(struct private **array, size_t *count, const char *key,
			struct span value);

/* --- catalog_edit.c --- */

struct catalog_edit *edit_new(struct catalog *c);
/* Adds a row, which it takes over; @ret is what row_new() gave. */
void edit_add(struct catalog_edit *e, int ret, struct row *r);

/* --- catalog_row.c --- */

/* Copies @value and decodes it unless deleted. -EBADMSG: it is not what a row of
 * this table and key must be (signatures are not looked at); -ENOMEM.
 */
int row_new(struct row **out, enum catalog_table table, const char *key,
	    bool deleted, struct span value);

/* Makes room for @more, so that adding them cannot fail; -ENOMEM. */
int rows_reserve(struct rows *a, size_t more);
/* Where @key is or belongs; sets @found. */
size_t rows_place(const struct rows *a, const char *key, bool *found);
/* Puts @r where it belongs, freeing a row of the same key; room is reserved. */
void rows_put(struct rows *a, struct row *r);
void rows_remove(struct rows *a, const char *key);
void rows_free(struct rows *a);

#endif
