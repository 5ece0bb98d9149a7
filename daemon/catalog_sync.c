// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the catalog travels: the home node cuts what changed after a number into
 * messages, a replica checks them and takes them in. A copy that has missed
 * forgotten deletions, or is of an earlier epoch, gets every row instead, and
 * keeps showing its old rows until the last one came.
 */
#include <stdlib.h>

#include "catalog_row.h"
#include "node_name.h"

enum {
	FEED_BYTES = 256 << 10, /* rows of one message, about */
	KEY_ROOM = 4 + ROW_KEY_MAX + 4 + 8 + 1 + 4 + 16,
};

static int by_change(const void *a, const void *b)
{
	const struct row *const *x = a, *const *y = b;

	return (*x)->change < (*y)->change ? -1 : (*x)->change > (*y)->change;
}

/* Rows after @since in order of change; the array is the caller's to free. */
static const struct row **changed_rows(const struct catalog *c, u64 since,
				       size_t *count)
{
	const struct row **out;
	size_t all = 0;

	*count = 0;
	for (int t = 0; t < CATALOG_TABLES; t++)
		all += c->table[t].count;
	out = calloc(all + 1, sizeof(*out));
	if (!out)
		return NULL;
	for (int t = 0; t < CATALOG_TABLES; t++)
		for (size_t i = 0; i < c->table[t].count; i++)
			if (c->table[t].row[i]->change > since)
				out[(*count)++] = c->table[t].row[i];
	qsort(out, *count, sizeof(*out), by_change);
	return out;
}

static void append(struct wcursor *w, const struct row *r)
{
	rec_catalog_row_append(
		w, &(struct rec_catalog_row){
			   .table = span_of(catalog_table_names[r->table]),
			   .key = span_of(r->key),
			   .change = r->change,
			   .deleted = r->deleted,
			   .value = { r->value, r->len } });
}

void catalog_feed(const struct catalog *c, u64 since,
		  void (*send)(const struct msg_catalog_rows *m, void *arg),
		  void *arg)
{
	const struct catalog_head *h = &c->head;
	struct msg_catalog_rows m = {
		.epoch = h->epoch,
		.change = h->change,
		.home = span_of(h->home),
		.signature = { h->signature, h->signature_len },
	};
	size_t count = 0, i = 0, room = FEED_BYTES;
	const struct row **row;
	u8 *buf;

	if (!catalog_is_home(c)) {
		send(&m, arg);
		return;
	}
	m.key_number = h->key_number;
	m.group_key = (struct span){ h->group_key, GROUP_KEY_BYTES };
	m.whole = since >> EPOCH_SHIFT != h->epoch || since < h->pruned ||
		  since > h->change;
	if (!m.whole && since == h->change) {
		send(&m, arg);
		return;
	}
	row = changed_rows(c, m.whole ? 0 : since, &count);
	for (size_t k = 0; row && k < count; k++)
		if (row[k]->len + KEY_ROOM > room)
			room = row[k]->len + KEY_ROOM;
	buf = malloc(room);
	if (!row || !buf)
		count = 0;
	do {
		struct wcursor w = wcursor_of(buf, buf ? room : 0);

		while (i < count &&
		       wcursor_len(&w) + row[i]->len + KEY_ROOM <= room)
			append(&w, row[i++]);
		m.rows = (struct span){ buf, (u32)wcursor_len(&w) };
		m.more = i < count;
		if (row && buf)
			send(&m, arg);
	} while (i < count);
	free(row);
	free(buf);
}

static int bad(struct failure *f, const char *what)
{
	return failure_set(f, -EBADMSG, "catalog", NULL,
			   "the home node sent %s", what);
}

static int take_row(struct catalog_edit *e, const struct rec_catalog_row *in,
		    const struct authority *a, struct failure *f)
{
	char key[ROW_KEY_MAX + 1];
	struct row *r = NULL;
	int table, ret;

	if (!span_to_cstr(in->key, key, sizeof(key)) || in->deleted > 1)
		return bad(f, "a malformed row");
	for (table = 0; table < CATALOG_TABLES; table++)
		if (span_equal(in->table, span_of(catalog_table_names[table])))
			break;
	if (table == CATALOG_TABLES)
		return 0; /* of a later version of virgo */
	ret = row_new(&r, (enum catalog_table)table, key, in->deleted,
		      in->value);
	if (ret == -EBADMSG)
		return bad(f, "a malformed row");
	if (!ret && table == CATALOG_REMOVAL && !r->deleted &&
	    catalog_check_removal(&r->removal, a)) {
		failure_set(f, -EKEYREJECTED, "catalog", NULL,
			    "the removal of %.*s is not signed by the authority",
			    (int)r->removal.name.len,
			    (const char *)r->removal.name.data);
		free(r);
		return -EKEYREJECTED;
	}
	if (!ret)
		r->change = in->change;
	edit_add(e, ret, r);
	return 0;
}

static int take_rows(struct catalog_edit *e, struct span list, u64 upto,
		     struct failure *f)
{
	struct rcursor c = rcursor_of(list.data, list.len);
	struct rec_catalog_row in;
	u64 last = e->add.count ? e->add.row[e->add.count - 1]->change : 0;
	int ret;

	while ((ret = rec_catalog_row_next(&c, &in)) > 0) {
		if (in.change <= last || in.change > upto)
			return bad(f, "rows that are out of order");
		last = in.change;
		if (!e->whole && in.change <= e->catalog->head.change)
			continue;
		ret = take_row(e, &in, e->catalog->authority, f);
		if (ret < 0)
			return ret;
		if (e->add.count > CATALOG_TABLES * 2 * CATALOG_ROWS_MAX)
			return bad(f, "too many rows");
	}
	return ret < 0 ? bad(f, "a malformed list") : 0;
}

/* What the message says about home and epoch; 0 when it may be believed. */
static int take_head(struct catalog *c, const struct msg_catalog_rows *m,
		     struct catalog_head *head, struct failure *f)
{
	char home[NODE_NAME_MAX + 1];

	if (!span_to_cstr(m->home, home, sizeof(home)) ||
	    !node_name_valid(home) || m->signature.len > SIGNATURE_MAX ||
	    !m->epoch || m->epoch >> (64 - EPOCH_SHIFT) ||
	    m->change >> EPOCH_SHIFT > m->epoch)
		return bad(f, "a malformed head");
	if (m->epoch < c->head.epoch)
		return failure_set(f, -ESTALE, "catalog", NULL,
				   "%s was the home node until %s took over",
				   home, c->head.home);
	if (m->epoch == c->head.epoch && strcmp(home, c->head.home))
		return bad(f, "another name for itself");
	if (m->epoch > c->head.epoch &&
	    catalog_check_home(c->authority, home, m->epoch, m->signature))
		return failure_set(f, -EKEYREJECTED, "catalog", NULL,
				   "the authority did not make %s the home node",
				   home);
	*head = c->head;
	if (m->epoch > c->head.epoch) {
		strcpy(head->home, home);
		head->epoch = m->epoch;
		head->heir[0] = '\0';
		head->signature_len = m->signature.len;
		memcpy(head->signature, m->signature.data, m->signature.len);
	}
	return 0;
}

void catalog_take_reset(struct catalog *c)
{
	catalog_drop(c->arriving);
	c->arriving = NULL;
}

static int take_statement(struct catalog *c, const struct catalog_head *head,
			  struct failure *f)
{
	struct catalog_edit *e;

	if (head->epoch == c->head.epoch)
		return 1;
	e = catalog_edit(c);
	if (e) {
		e->numbered = true;
		e->head = *head;
	}
	return catalog_commit(e, f);
}

int catalog_take(struct catalog *c, const struct msg_catalog_rows *m,
		 struct failure *f)
{
	struct catalog_head head;
	struct catalog_edit *e;
	int ret = take_head(c, m, &head, f);

	if (ret < 0)
		return ret;
	if (!m->group_key.len && !m->rows.len) /* not from the home node */
		return take_statement(c, &head, f);
	if (m->group_key.len != GROUP_KEY_BYTES)
		return bad(f, "no group key");
	if (!m->whole && m->change <= c->head.change)
		return 1;
	if (!m->whole || !c->arriving) {
		catalog_take_reset(c);
		c->arriving = edit_new(c);
		if (!c->arriving)
			return failure_set(f, -ENOMEM, "catalog", NULL,
					   "out of memory");
	}
	e = c->arriving;
	e->head = head;
	e->whole = m->whole;
	e->numbered = true;
	ret = take_rows(e, m->rows, m->change, f);
	if (ret < 0) {
		catalog_take_reset(c);
		return ret;
	}
	if (m->more && m->whole)
		return 0;
	/* Of a part, only what it holds counts: the rest may never come. */
	e->head.change = m->more && e->add.count ?
				 e->add.row[e->add.count - 1]->change :
				 m->change;
	e->head.key_number = m->key_number;
	memcpy(e->head.group_key, m->group_key.data, GROUP_KEY_BYTES);
	c->arriving = NULL;
	c->edit = e;
	return catalog_commit(e, f);
}
