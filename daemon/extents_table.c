// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Translation tables of objects that other nodes made, as those told them, kept so
 * that a program's next request goes straight to the node with the extent. A table
 * never changes while its object lives; one that an ESTALE shows to be of an object
 * that has ended is forgotten.
 */
#include <stdlib.h>

#include "extents_impl.h"

static struct remembered *find(struct extents *x, const struct handle *h)
{
	u32 i;

	for (i = 0; i < TABLES_MAX; i++) {
		struct remembered *r = &x->remembered[i];

		if (r->table && handle_equal(&r->handle, h)) {
			r->used = ++x->uses;
			return r;
		}
	}
	return NULL;
}

const struct table *table_recall(struct extents *x, const struct handle *h)
{
	const struct remembered *r = find(x, h);

	return r ? r->table : NULL;
}

void table_forget(struct extents *x, const struct handle *h)
{
	struct remembered *r = find(x, h);

	if (!r)
		return;
	free(r->table);
	r->table = NULL;
}

void table_remember(struct extents *x, const struct handle *h,
		    struct table *table)
{
	struct remembered *r = find(x, h);
	u32 i;

	for (i = 0; !r && i < TABLES_MAX; i++)
		if (!x->remembered[i].table)
			r = &x->remembered[i];
	if (!r) {
		r = &x->remembered[0];
		for (i = 1; i < TABLES_MAX; i++)
			if (x->remembered[i].used < r->used)
				r = &x->remembered[i];
	}
	free(r->table);
	*r = (struct remembered){ *h, table, ++x->uses };
}

struct table *table_read(const struct msg_malloc_table *m)
{
	struct rcursor c = rcursor_of(m->runs.data, m->runs.len);
	struct rec_malloc_run rec;
	struct table *t;
	u32 next = 0;
	int ret;

	t = calloc(1, sizeof(*t) + EXTENT_RUNS_MAX * sizeof(t->runs[0]));
	if (!t)
		return NULL;
	t->bytes = m->bytes;
	while ((ret = rec_malloc_run_next(&c, &rec)) > 0) {
		struct run *run = &t->runs[t->count];

		if (t->count == EXTENT_RUNS_MAX || rec.first != next ||
		    rec.count > EXTENTS_MAX - next ||
		    !span_to_cstr(rec.node, run->node, sizeof(run->node)))
			break;
		run->generation = rec.generation;
		run->first = rec.first;
		run->count = rec.count;
		next += rec.count;
		t->count++;
	}
	if (!ret && next && next == extent_count(m->bytes))
		return t;
	free(t);
	return NULL;
}

void tables_free(struct extents *x)
{
	u32 i;

	for (i = 0; i < TABLES_MAX; i++)
		free(x->remembered[i].table);
}
