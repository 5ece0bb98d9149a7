// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * store.h over SQLite. Write-ahead log with synchronous=FULL: a commit that
 * returned is on disk, and `virgod backup` may read while virgod writes. Only
 * the holder of the state folder's lock writes.
 */
#include "store.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	APPLICATION_ID = 0x5652474f, /* "VRGO" */
	SCHEMA_VERSION = 1,
	BUSY_MS = 2000, /* a reader may hold a checkpoint back for a moment */
};

enum statement {
	BEGIN, COMMIT, ROLLBACK, PUT, DROP, DROP_REPLICATED, PUT_HEAD, EACH,
	HEAD, STATEMENTS
};

static const char *const sql[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[PUT] = "INSERT INTO row (tbl, key, change, deleted, value)"
		" VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (tbl, key) DO UPDATE"
		" SET change = ?3, deleted = ?4, value = ?5",
	[DROP] = "DELETE FROM row WHERE tbl = ?1 AND key = ?2",
	[DROP_REPLICATED] = "DELETE FROM row WHERE change <> 0",
	[PUT_HEAD] = "INSERT INTO head (id, value) VALUES (1, ?1)"
		     " ON CONFLICT (id) DO UPDATE SET value = ?1",
	[EACH] = "SELECT tbl, key, change, deleted, value FROM row"
		 " ORDER BY change",
	[HEAD] = "SELECT value FROM head WHERE id = 1",
};

static const char schema[] =
	"PRAGMA application_id = 1448232783;" /* APPLICATION_ID */
	"PRAGMA user_version = 1;"
	"CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1),"
	" value BLOB NOT NULL);"
	"CREATE TABLE row (tbl TEXT NOT NULL, key TEXT NOT NULL,"
	" change INTEGER NOT NULL, deleted INTEGER NOT NULL,"
	" value BLOB NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID;";

struct store {
	sqlite3 *db;
	sqlite3_stmt *statement[STATEMENTS];
	char path[];
};

static int code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	default:
		return -EIO;
	}
}

static const char *remedy_of(int code)
{
	switch (code) {
	case -ENOSPC:
		return "free some space on that disk";
	case -EUCLEAN:
		return "on the home node 'virgo node promote --backup FILE', "
		       "on another node leave and join again";
	default:
		return NULL;
	}
}

static int fail(struct store *s, int rc, struct failure *f)
{
	int code = code_of(rc);

	return failure_set(f, code, s->path, remedy_of(code),
			   "the catalog cannot be used: %s",
			   s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
}

/* Runs a statement that gives no rows, and makes it ready for the next use. */
static int run(struct store *s, enum statement which, struct failure *f)
{
	sqlite3_stmt *st = s->statement[which];
	int ret = 0, rc = sqlite3_step(st);

	if (rc != SQLITE_DONE)
		ret = fail(s, rc, f);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return ret;
}

static int pragma_number(struct store *s, const char *text)
{
	sqlite3_stmt *st;
	int n = -1;

	if (sqlite3_prepare_v2(s->db, text, -1, &st, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return n;
}

static int prepare(struct store *s, bool create, struct failure *f)
{
	int rc;

	sqlite3_busy_timeout(s->db, BUSY_MS);
	rc = sqlite3_exec(s->db,
			  "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			  "PRAGMA trusted_schema = OFF;",
			  NULL, NULL, NULL);
	if (rc == SQLITE_OK && create)
		rc = sqlite3_exec(s->db, schema, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return fail(s, rc, f);
	if (pragma_number(s, "PRAGMA application_id") != APPLICATION_ID)
		return failure_set(f, -EUCLEAN, s->path, NULL,
				   "this is not a catalog of virgo");
	if (pragma_number(s, "PRAGMA user_version") != SCHEMA_VERSION)
		return failure_set(f, -EPROTONOSUPPORT, s->path,
				   "install that version of virgo",
				   "a later version of virgo wrote this catalog");
	for (int i = 0; i < STATEMENTS; i++) {
		rc = sqlite3_prepare_v3(s->db, sql[i], -1,
					SQLITE_PREPARE_PERSISTENT,
					&s->statement[i], NULL);
		if (rc != SQLITE_OK)
			return fail(s, rc, f);
	}
	return 0;
}

int store_open(struct store **out, const char *path, bool create,
	       struct failure *f)
{
	struct store *s;
	struct stat st;
	mode_t mask;
	int rc, ret;

	if ((stat(path, &st) == 0) == create)
		return failure_set(f, create ? -EEXIST : -ENOENT, path, NULL,
				   create ? "there is a catalog already" :
					    "the catalog is missing");
	s = calloc(1, sizeof(*s) + strlen(path) + 1);
	if (!s)
		return failure_set(f, -ENOMEM, path, NULL, "out of memory");
	strcpy(s->path, path);
	mask = umask(0077); /* it holds the key of the membership datagrams */
	rc = sqlite3_open_v2(path, &s->db,
			     SQLITE_OPEN_READWRITE |
				     (create ? SQLITE_OPEN_CREATE : 0),
			     NULL);
	ret = rc == SQLITE_OK ? prepare(s, create, f) : fail(s, rc, f);
	umask(mask);
	if (ret < 0) {
		store_close(s);
		return ret;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->statement[i]);
	sqlite3_close(s->db);
	free(s);
}

int store_begin(struct store *s, struct failure *f)
{
	return run(s, BEGIN, f);
}

int store_commit(struct store *s, struct failure *f)
{
	int ret = run(s, COMMIT, f);

	if (ret < 0)
		store_rollback(s);
	return ret;
}

void store_rollback(struct store *s)
{
	/* Some failures (a full disk) have rolled back already. */
	if (!sqlite3_get_autocommit(s->db))
		run(s, ROLLBACK, NULL);
}

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static void bind_bytes(sqlite3_stmt *st, int at, struct span v)
{
	sqlite3_bind_blob64(st, at, v.len ? (const void *)v.data : "", v.len,
			    SQLITE_STATIC);
}

int store_put(struct store *s, const struct store_row *row, struct failure *f)
{
	sqlite3_stmt *st = s->statement[PUT];

	bind_text(st, 1, row->table);
	bind_text(st, 2, row->key);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)row->change);
	sqlite3_bind_int(st, 4, row->deleted);
	bind_bytes(st, 5, row->value);
	return run(s, PUT, f);
}

int store_drop(struct store *s, const char *table, const char *key,
	       struct failure *f)
{
	bind_text(s->statement[DROP], 1, table);
	bind_text(s->statement[DROP], 2, key);
	return run(s, DROP, f);
}

int store_drop_replicated(struct store *s, struct failure *f)
{
	return run(s, DROP_REPLICATED, f);
}

int store_put_head(struct store *s, struct span bytes, struct failure *f)
{
	bind_bytes(s->statement[PUT_HEAD], 1, bytes);
	return run(s, PUT_HEAD, f);
}

static struct span column_bytes(sqlite3_stmt *st, int at)
{
	const void *data = sqlite3_column_blob(st, at);

	return (struct span){ .data = data,
			      .len = (u32)sqlite3_column_bytes(st, at) };
}

int store_each(struct store *s,
	       int (*each)(const struct store_row *row, void *arg), void *arg,
	       struct failure *f)
{
	sqlite3_stmt *st = s->statement[EACH];
	int rc, ret = 0;

	while (!ret && (rc = sqlite3_step(st)) != SQLITE_DONE) {
		struct store_row row;

		if (rc != SQLITE_ROW) {
			ret = fail(s, rc, f);
			break;
		}
		row.table = (const char *)sqlite3_column_text(st, 0);
		row.key = (const char *)sqlite3_column_text(st, 1);
		row.change = (u64)sqlite3_column_int64(st, 2);
		row.deleted = sqlite3_column_int(st, 3) != 0;
		row.value = column_bytes(st, 4);
		ret = row.table && row.key ? each(&row, arg) : -ENOMEM;
		if (ret > 0)
			ret = 0;
	}
	sqlite3_reset(st);
	return ret;
}

int store_head(struct store *s, int (*take)(struct span bytes, void *arg),
	       void *arg, struct failure *f)
{
	sqlite3_stmt *st = s->statement[HEAD];
	int ret, rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		ret = take(column_bytes(st, 0), arg);
	else if (rc == SQLITE_DONE)
		ret = failure_set(f, -ENOENT, s->path, NULL,
				  "the catalog is empty");
	else
		ret = fail(s, rc, f);
	sqlite3_reset(st);
	return ret;
}
