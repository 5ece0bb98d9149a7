// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The catalog in memory and how it changes; the promises are in catalog.h.
 *
 * An edit prepares everything that can fail (rows, room in the arrays), then
 * runs one transaction of the store, and only after its commit moves the rows
 * into place, which cannot fail. So memory never shows what a crash could undo.
 */
#include <stdlib.h>

#include "advertise.h"
#include "catalog_row.h"

static const char private_table[] = "private";

static int no_memory(struct failure *f)
{
	return failure_set(f, -ENOMEM, "catalog", NULL, "out of memory");
}

struct rec_catalog_head catalog_head_record(const struct catalog_head *h)
{
	return (struct rec_catalog_head){
		.cloud = span_of(h->cloud),
		.self = span_of(h->self),
		.home = span_of(h->home),
		.epoch = h->epoch,
		.change = h->change,
		.pruned = h->pruned,
		.signature = { h->signature, h->signature_len },
		.key_number = h->key_number,
		.group_key = { h->group_key, GROUP_KEY_BYTES },
		.heir = span_of(h->heir),
	};
}

static void head_encode(const struct catalog_head *h, struct blob *out)
{
	const struct rec_catalog_head r = catalog_head_record(h);
	struct wcursor c;

	out->len = rec_catalog_head_size(&r);
	out->data = malloc(out->len);
	if (!out->data)
		return;
	c = wcursor_of(out->data, out->len);
	rec_catalog_head_encode(&c, &r);
}

static int head_decode(struct span bytes, void *arg)
{
	struct catalog_head *h = arg;
	struct rec_catalog_head r;

	if (rec_catalog_head_decode(&r, bytes.data, bytes.len) ||
	    !span_to_cstr(r.cloud, h->cloud, sizeof(h->cloud)) ||
	    !span_to_cstr(r.self, h->self, sizeof(h->self)) ||
	    !span_to_cstr(r.home, h->home, sizeof(h->home)) ||
	    r.signature.len > SIGNATURE_MAX ||
	    r.group_key.len != GROUP_KEY_BYTES)
		return -EUCLEAN;
	span_to_cstr(r.heir, h->heir, sizeof(h->heir));
	h->epoch = r.epoch;
	h->change = r.change;
	h->pruned = r.pruned;
	h->signature_len = r.signature.len;
	memcpy(h->signature, r.signature.data, r.signature.len);
	h->key_number = r.key_number;
	memcpy(h->group_key, r.group_key.data, GROUP_KEY_BYTES);
	return 0;
}

static int head_put(struct store *s, const struct catalog_head *h,
		    struct failure *f)
{
	struct blob b;
	int ret;

	head_encode(h, &b);
	if (!b.data)
		return no_memory(f);
	ret = store_put_head(
		s, (struct span){ (const u8 *)b.data, (u32)b.len }, f);
	blob_free(&b);
	return ret;
}

int catalog_create(const char *path, const struct catalog_head *head,
		   struct failure *f)
{
	struct store *s;
	int ret = store_open(&s, path, true, f);

	if (ret < 0)
		return ret;
	ret = store_begin(s, f);
	if (!ret)
		ret = head_put(s, head, f);
	if (!ret)
		ret = store_commit(s, f);
	store_close(s);
	return ret;
}

static ssize_t private_find(const struct private *p, size_t count,
			    const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(p[i].key, key))
			return (ssize_t)i;
	return -1;
}

static void private_free(struct private *p)
{
	free(p->key);
	free((void *)p->value.data);
}

/* Adds a copy to an array that grows by one. */
static int private_add(struct private **array, size_t *count, const char *key,
		       struct span value)
{
	struct private *p = reallocarray(*array, *count + 1, sizeof(*p));
	u8 *copy = malloc(value.len + 1);
	char *name = strdup(key);

	if (p)
		*array = p;
	if (!p || !copy || !name) {
		free(copy);
		free(name);
		return -ENOMEM;
	}
	if (value.len)
		memcpy(copy, value.data, value.len);
	p[*count].key = name;
	p[*count].value = (struct span){ copy, value.len };
	(*count)++;
	return 0;
}

static int load_row(const struct store_row *in, void *arg)
{
	struct catalog *c = arg;
	struct row *r;
	int table, ret;

	if (!strcmp(in->table, private_table))
		return private_add(&c->private, &c->privates, in->key,
				   in->value);
	for (table = 0; table < CATALOG_TABLES; table++)
		if (!strcmp(in->table, catalog_table_names[table]))
			break;
	if (table == CATALOG_TABLES)
		return 0; /* of a later version; kept, not used */
	ret = row_new(&r, (enum catalog_table)table, in->key, in->deleted,
		      in->value);
	if (ret)
		return ret == -EBADMSG ? -EUCLEAN : ret;
	r->change = in->change;
	if (rows_reserve(&c->table[table], 1)) {
		free(r);
		return -ENOMEM;
	}
	c->tombstones += r->deleted;
	rows_put(&c->table[table], r);
	return 0;
}

int catalog_open(struct catalog **out, const char *path, struct authority *a,
		 struct failure *f)
{
	struct catalog *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return no_memory(f);
	c->authority = a;
	if (f)
		f->code = 0;
	ret = store_open(&c->store, path, false, f);
	if (!ret)
		ret = store_head(c->store, head_decode, &c->head, f);
	if (!ret)
		ret = store_each(c->store, load_row, c, f);
	if (!ret) {
		*out = c;
		return 0;
	}
	catalog_close(c);
	if (f && !f->code)
		failure_set(f, ret, path,
			    "on the home node 'virgo node promote --backup "
			    "FILE', on another node leave and join again",
			    "the catalog is damaged");
	return ret;
}

void catalog_close(struct catalog *c)
{
	if (!c)
		return;
	catalog_take_reset(c);
	for (int i = 0; i < CATALOG_TABLES; i++)
		rows_free(&c->table[i]);
	for (size_t i = 0; i < c->privates; i++)
		private_free(&c->private[i]);
	free(c->private);
	store_close(c->store);
	explicit_bzero(c->head.group_key, GROUP_KEY_BYTES);
	free(c);
}

const struct catalog_head *catalog_head(const struct catalog *c)
{
	return &c->head;
}

bool catalog_is_home(const struct catalog *c)
{
	return !strcmp(c->head.home, c->head.self) &&
	       authority_can_sign(c->authority);
}

static const struct row *row_find(const struct catalog *c,
				  enum catalog_table table, const char *key)
{
	bool found;
	size_t at = rows_place(&c->table[table], key, &found);

	if (!found || c->table[table].row[at]->deleted)
		return NULL;
	return c->table[table].row[at];
}

static const struct row *row_next(const struct catalog *c,
				  enum catalog_table table, size_t *at)
{
	const struct rows *a = &c->table[table];

	while (*at < a->count) {
		const struct row *r = a->row[(*at)++];

		if (!r->deleted)
			return r;
	}
	return NULL;
}

const struct rec_node_row *catalog_node(const struct catalog *c,
					const char *name)
{
	const struct row *r = row_find(c, CATALOG_NODE, name);

	return r ? &r->node : NULL;
}

const struct rec_volume_row *catalog_volume(const struct catalog *c,
					    const char *name)
{
	const struct row *r = row_find(c, CATALOG_VOLUME, name);

	return r ? &r->volume : NULL;
}

const struct rec_removal_row *catalog_removal(const struct catalog *c,
					      const char *stem)
{
	const struct row *r = row_find(c, CATALOG_REMOVAL, stem);

	return r ? &r->removal : NULL;
}

const struct rec_node_row *catalog_next_node(const struct catalog *c,
					     size_t *at)
{
	const struct row *r = row_next(c, CATALOG_NODE, at);

	return r ? &r->node : NULL;
}

const struct rec_volume_row *catalog_next_volume(const struct catalog *c,
						 size_t *at)
{
	const struct row *r = row_next(c, CATALOG_VOLUME, at);

	return r ? &r->volume : NULL;
}

const struct rec_removal_row *catalog_next_removal(const struct catalog *c,
						   size_t *at)
{
	const struct row *r = row_next(c, CATALOG_REMOVAL, at);

	return r ? &r->removal : NULL;
}

const struct rec_loan_row *catalog_next_loan(const struct catalog *c,
					     size_t *at)
{
	const struct row *r = row_next(c, CATALOG_LOAN, at);

	return r ? &r->loan : NULL;
}

size_t catalog_nodes(const struct catalog *c)
{
	size_t at = 0, count = 0;

	while (catalog_next_node(c, &at))
		count++;
	return count;
}

bool catalog_refuses(const struct catalog *c, const char *serial)
{
	char stem[STEM_DIGITS + 1];

	snprintf(stem, sizeof(stem), "%s", serial);
	return catalog_removal(c, stem) != NULL;
}

bool catalog_addresses(void *arg, const char *name, char *out, size_t size)
{
	const struct rec_node_row *n = catalog_node(arg, name);

	return n && span_to_cstr(n->addresses, out, size);
}

void catalog_watch(struct catalog *c, void (*fn)(void *arg), void *arg)
{
	assert((size_t)c->watches < ARRAY_SIZE(c->watch));
	c->watch[c->watches].fn = fn;
	c->watch[c->watches++].arg = arg;
}

const struct span *catalog_private(const struct catalog *c, const char *key)
{
	ssize_t at = private_find(c->private, c->privates, key);

	return at < 0 ? NULL : &c->private[at].value;
}

const char *catalog_next_private(const struct catalog *c, size_t *at,
				 const struct span **value)
{
	if (*at >= c->privates)
		return NULL;
	*value = &c->private[*at].value;
	return c->private[(*at)++].key;
}

/* Edits */

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
		private_free(&e->private[i]);
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
	int ret = private_add(&e->private, &e->privates, key, value);

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
		return no_memory(f);
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
			return no_memory(f);
	}
	p = reallocarray(c->private, c->privates + e->privates + 1, sizeof(*p));
	if (!p)
		return no_memory(f);
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
			      store_drop(s, private_table, p->key, f) :
			      store_put(s,
					&(struct store_row){
						.table = private_table,
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
		ret = head_put(s, &e->head, f);
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
		ssize_t at = private_find(c->private, c->privates, p->key);

		if (at >= 0) {
			private_free(&c->private[at]);
			c->private[at] = c->private[--c->privates];
		}
		if (p->value.len)
			c->private[c->privates++] = *p;
		else
			private_free(p);
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
		ret = head_put(c->store, &head, NULL);
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
		return no_memory(f);
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
