// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The catalog in memory: how it is made and read from disk, and what it tells; the
 * promises are in catalog.h. How it changes is in catalog_edit.c.
 */
#include <stdlib.h>

#include "advertise.h"
#include "catalog_row.h"

const char catalog_private_table[] = "private";

int catalog_no_memory(struct failure *f)
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

int catalog_head_put(struct store *s, const struct catalog_head *h,
		     struct failure *f)
{
	struct blob b;
	int ret;

	head_encode(h, &b);
	if (!b.data)
		return catalog_no_memory(f);
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
		ret = catalog_head_put(s, head, f);
	if (!ret)
		ret = store_commit(s, f);
	store_close(s);
	return ret;
}

ssize_t catalog_private_find(const struct private *p, size_t count,
			     const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(p[i].key, key))
			return (ssize_t)i;
	return -1;
}

void catalog_private_free(struct private *p)
{
	free(p->key);
	free((void *)p->value.data);
}

int catalog_private_add(struct private **array, size_t *count, const char *key,
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

	if (!strcmp(in->table, catalog_private_table))
		return catalog_private_add(&c->private, &c->privates, in->key,
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
		return catalog_no_memory(f);
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
		catalog_private_free(&c->private[i]);
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
	ssize_t at = catalog_private_find(c->private, c->privates, key);

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
