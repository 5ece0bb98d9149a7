// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the catalog changes; the promises are in catalog.h.
 *
 * An edit prepares everything that can fail (rows, room in the arrays), then
 * runs one transaction of the store, and only after its commit moves the rows
 * into place, which cannot fail. So memory never shows what a crash could undo.
 */
#include <stdlib.h>

#include "advertise.h"
#include "catalog_row.h"

struct catalog_edit *edit_new(struct catalog *c)
{
	struct catalog_edit *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->catalog = c;
	e->head = c->head;
	return e;
}

struct catalog_edit *catalog_edit(struct catalog *c)
{
	assert(!c->edit);
	c->edit = edit_new(c);
	return c->edit;
}

void catalog_drop(struct catalog_edit *e)
{
	if (!e)
		return;
	if (e->catalog->edit == e)
		e->catalog->edit = NULL;
	rows_free(&e->add);
	for (size_t i = 0; i < e->privates; i++)
		catalog_private_free(&e->private[i]);
	free(e->private);
	free(e);
}

void edit_add(struct catalog_edit *e, int ret, struct row *r)
{
	if (!ret && rows_reserve(&e->add, 1)) {
		free(r);
		ret = -ENOMEM;
	}
	if (!ret)
		e->add.row[e->add.count++] = r;
	else if (!e->failed)
		e->failed = ret;
}

/* Encodes record @r of kind @name and adds it under the text @key. */
#define EDIT_RECORD(e, table, name, r, key)                                    \
	do {                                                                   \
		size_t size_ = rec_##name##_size(r);                           \
		u8 *buf_ = malloc(size_);                                      \
		struct wcursor w_ = wcursor_of(buf_, size_);                   \
		char key_[ROW_KEY_MAX + 1];                                    \
		struct row *row_ = NULL;                                       \
		int ret_ = buf_ ? -EBADMSG : -ENOMEM;                          \
									       \
		if (buf_ && span_to_cstr(key, key_, sizeof(key_))) {           \
			rec_##name##_encode(&w_, r);                           \
			ret_ = row_new(&row_, table, key_, false,              \
				       (struct span){ buf_, (u32)size_ });     \
		}                                                              \
		free(buf_);                                                    \
		edit_add(e, ret_, row_);                                       \
	} while (0)

void catalog_edit_node(struct catalog_edit *e, const struct rec_node_row *r)
{
	EDIT_RECORD(e, CATALOG_NODE, node_row, r, r->name);
}

void catalog_edit_volume(struct catalog_edit *e,
			 const struct rec_volume_row *r)
{
	EDIT_RECORD(e, CATALOG_VOLUME, volume_row, r, r->name);
}

void catalog_edit_loan(struct catalog_edit *e, const struct rec_loan_row *r)
{
	EDIT_RECORD(e, CATALOG_LOAN, loan_row, r, r->key);
}

void catalog_edit_removal(struct catalog_edit *e, struct authority *a,
			  const struct rec_removal_row *r)
{
	struct rec_removal_row full = *r;
	u8 signature[SIGNATURE_MAX];
	int ret = catalog_sign_removal(a, &full, signature);

	if (ret < 0)
		edit_add(e, ret, NULL);
	else
		EDIT_RECORD(e, CATALOG_REMOVAL, removal_row, &full, full.stem);
}

void catalog_edit_delete(struct catalog_edit *e, enum catalog_table table,
			 const char *name)
{
	struct row *r = NULL;
	int ret = row_new(&r, table, name, true, (struct span){ 0 });

	edit_add(e, ret, r);
}

void catalog_edit_private(struct catalog_edit *e, const char *key,
			  struct span value)
{
	int ret = catalog_private_add(&e->private, &e->privates, key, value);

	if (ret && !e->failed)
		e->failed = ret;
}

struct catalog_head *catalog_edit_head(struct catalog_edit *e)
{
	return &e->head;
}

void catalog_edit_rotate_key(struct catalog_edit *e)
{
	random_fill(e->head.group_key, GROUP_KEY_BYTES);
	e->head.key_number++;
}

/* Everything that may fail for lack of memory or because a table is full. */
static int edit_prepare(struct catalog_edit *e, struct failure *f)
{
	struct catalog *c = e->catalog;
	size_t more[CATALOG_TABLES] = { 0 };
	struct private *p;

	if (e->failed == -ENOMEM)
		return catalog_no_memory(f);
	if (e->failed)
		return failure_set(f, e->failed, "catalog", NULL,
				   "a row is not what it must be");
	for (size_t i = 0; i < e->add.count; i++)
		more[e->add.row[i]->table]++;
	for (int t = 0; t < CATALOG_TABLES; t++) {
		if ((e->whole ? 0 : c->table[t].count) + more[t] >
		    CATALOG_ROWS_MAX + CATALOG_TOMBSTONES_MAX)
			return failure_set(f, -ENOSPC, "catalog", NULL,
					   "there are too many %ss",
					   catalog_table_names[t]);
		if (rows_reserve(&c->table[t], more[t]))
			return catalog_no_memory(f);
	}
	p = reallocarray(c->private, c->privates + e->privates + 1, sizeof(*p));
	if (!p)
		return catalog_no_memory(f);
	c->private = p;
	return 0;
}

static int edit_store_rows(struct catalog_edit *e, struct failure *f)
{
	struct store *s = e->catalog->store;
	int ret = 0;

	if (!e->numbered)
		for (size_t i = 0; i < e->add.count; i++)
			e->add.row[i]->change = ++e->head.change;
	if (e->whole)
		ret = store_drop_replicated(s, f);
	for (size_t i = 0; !ret && i < e->add.count; i++) {
		const struct row *r = e->add.row[i];

		ret = store_put(s,
				&(struct store_row){
					.table = catalog_table_names[r->table],
					.key = r->key,
					.change = r->change,
					.deleted = r->deleted,
					.value = { r->value, r->len } },
				f);
	}
	for (size_t i = 0; !ret && i < e->privates; i++) {
		const struct private *p = &e->private[i];

		ret = !p->value.len ?
			      store_drop(s, catalog_private_table, p->key, f) :
			      store_put(s,
					&(struct store_row){
						.table = catalog_private_table,
						.key = p->key,
						.value = p->value },
					f);
	}
	return ret;
}

static int edit_store(struct catalog_edit *e, struct failure *f)
{
	struct store *s = e->catalog->store;
	int ret = store_begin(s, f);

	if (!ret)
		ret = edit_store_rows(e, f);
	if (!ret)
		ret = catalog_head_put(s, &e->head, f);
	if (!ret)
		ret = store_commit(s, f);
	if (ret)
		store_rollback(s);
	return ret;
}

static void tombstones_count(struct catalog *c)
{
	c->tombstones = 0;
	for (int t = 0; t < CATALOG_TABLES; t++)
		for (size_t i = 0; i < c->table[t].count; i++)
			c->tombstones += c->table[t].row[i]->deleted;
}

/* Shows in memory what the store has committed; room has been reserved. */
static void edit_apply(struct catalog_edit *e)
{
	struct catalog *c = e->catalog;

	for (int t = 0; e->whole && t < CATALOG_TABLES; t++) {
		while (c->table[t].count)
			free(c->table[t].row[--c->table[t].count]);
	}
	for (size_t i = 0; i < e->add.count; i++)
		rows_put(&c->table[e->add.row[i]->table], e->add.row[i]);
	e->add.count = 0;
	for (size_t i = 0; i < e->privates; i++) {
		struct private *p = &e->private[i];
		ssize_t at = catalog_private_find(c->private, c->privates, p->key);

		if (at >= 0) {
			catalog_private_free(&c->private[at]);
			c->private[at] = c->private[--c->privates];
		}
		if (p->value.len)
			c->private[c->privates++] = *p;
		else
			catalog_private_free(p);
	}
	e->privates = 0;
	c->head = e->head;
	tombstones_count(c);
}

static int order_of_change(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Forgets the older half of the deletions; a copy that is older than these must
 * take a whole one. Failing only means that they stay a while longer.
 */
static void prune(struct catalog *c)
{
	struct catalog_head head = c->head;
	u64 *change = calloc(c->tombstones, sizeof(*change));
	size_t n = 0;
	int ret = change ? store_begin(c->store, NULL) : -ENOMEM;

	if (ret) {
		free(change);
		return;
	}
	for (int t = 0; t < CATALOG_TABLES; t++)
		for (size_t i = 0; i < c->table[t].count; i++)
			if (c->table[t].row[i]->deleted)
				change[n++] = c->table[t].row[i]->change;
	qsort(change, n, sizeof(*change), order_of_change);
	head.pruned = change[n / 2];
	free(change);
	for (int t = 0; t < CATALOG_TABLES; t++)
		for (size_t i = 0; !ret && i < c->table[t].count; i++) {
			const struct row *r = c->table[t].row[i];

			if (r->deleted && r->change <= head.pruned)
				ret = store_drop(c->store,
						 catalog_table_names[t], r->key,
						 NULL);
		}
	if (!ret)
		ret = catalog_head_put(c->store, &head, NULL);
	if (!ret)
		ret = store_commit(c->store, NULL);
	if (ret) {
		store_rollback(c->store);
		return;
	}
	for (int t = 0; t < CATALOG_TABLES; t++)
		for (size_t i = c->table[t].count; i--;) {
			struct row *r = c->table[t].row[i];

			if (r->deleted && r->change <= head.pruned)
				rows_remove(&c->table[t], r->key);
		}
	c->head = head;
	tombstones_count(c);
}

int catalog_commit(struct catalog_edit *e, struct failure *f)
{
	struct catalog *c;
	int ret;

	if (!e)
		return catalog_no_memory(f);
	c = e->catalog;
	ret = edit_prepare(e, f);
	if (!ret)
		ret = edit_store(e, f);
	if (!ret)
		edit_apply(e);
	catalog_drop(e);
	if (ret)
		return ret;
	if (c->tombstones > CATALOG_TOMBSTONES_MAX)
		prune(c);
	for (int i = 0; i < c->watches; i++)
		c->watch[i].fn(c->watch[i].arg);
	return 0;
}
