// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who borrows what, in the catalog: a row a lease, for people and for what comes
 * after a lender is lost. The lender compares the rows under its name with what
 * it lends and sends all of it to the home node while the two differ. Leases
 * need no home node: with it down the rows are late, nothing else.
 */
#include <stdlib.h>

#include "catalog.h"
#include "home.h"
#include "log.h"
#include "memory_impl.h"
#include "peers.h"

enum { SOON_US = 200000, AGAIN_US = 5000000 };

/* A lease as a row, in memory of its own. */
struct loan {
	struct rec_loan_row row;
	char key[LOAN_KEY_MAX + 1];
};

static void loan_of(const struct memory *m, const struct lease *l,
		    struct loan *out)
{
	const char *self = m->node->local.node;

	snprintf(out->key, sizeof(out->key), "%s:%llu", self,
		 (unsigned long long)l->generation);
	out->row = (struct rec_loan_row){ .key = span_of(out->key),
					  .lender = span_of(self),
					  .generation = l->generation,
					  .borrower = span_of(l->borrower),
					  .stem = span_of(l->stem),
					  .name = span_of(l->name),
					  .purpose = span_of(l->purpose),
					  .bytes = l->bytes,
					  .since_s = l->since_s };
}

static bool same_loan(const struct rec_loan_row *a, const struct rec_loan_row *b)
{
	return span_equal(a->key, b->key) &&
	       span_equal(a->borrower, b->borrower) &&
	       span_equal(a->stem, b->stem) && span_equal(a->name, b->name) &&
	       span_equal(a->purpose, b->purpose) && a->bytes == b->bytes &&
	       a->since_s == b->since_s;
}

/* The number of rows of @lender. */
static u32 count_of(const struct catalog *c, const char *lender)
{
	const struct rec_loan_row *row;
	size_t at = 0;
	u32 n = 0;

	while ((row = catalog_next_loan(c, &at)))
		n += span_equal(row->lender, span_of(lender));
	return n;
}

static bool has_loan(const struct catalog *c, const struct rec_loan_row *want)
{
	const struct rec_loan_row *row;
	size_t at = 0;

	while ((row = catalog_next_loan(c, &at)))
		if (same_loan(row, want))
			return true;
	return false;
}

static bool is_told(const struct memory *m)
{
	const struct catalog *c = m->node->catalog;
	const struct lease *l;
	struct loan loan;
	u32 n = 0;

	for (l = m->leases; l; l = l->next) {
		if (l->pending)
			continue;
		loan_of(m, l, &loan);
		if (!has_loan(c, &loan.row))
			return false;
		n++;
	}
	return n == count_of(c, m->node->local.node);
}

/* Home node: makes the rows of @lender what @list says. */
static int take_loans(struct catalog *c, const char *lender, struct span list,
		      struct failure *f)
{
	struct rcursor in = rcursor_of(list.data, list.len);
	struct catalog_edit *e = catalog_edit(c);
	const struct rec_loan_row *old;
	struct rec_loan_row row;
	char key[LOAN_KEY_MAX + 1];
	size_t at = 0;
	bool other = false;
	int n = 0;
	int ret;

	if (!e)
		return catalog_commit(NULL, f);
	while ((old = catalog_next_loan(c, &at))) {
		bool kept = false;

		in = rcursor_of(list.data, list.len);
		while (!kept && rec_loan_row_next(&in, &row) > 0)
			kept = span_equal(row.key, old->key);
		if (kept || !span_equal(old->lender, span_of(lender)) ||
		    !span_to_cstr(old->key, key, sizeof(key)))
			continue;
		catalog_edit_delete(e, CATALOG_LOAN, key);
		other = true;
	}
	in = rcursor_of(list.data, list.len);
	while ((ret = rec_loan_row_next(&in, &row)) > 0 && ++n <= LEASES_MAX) {
		if (!span_equal(row.lender, span_of(lender)) ||
		    catalog_check_loan(&row)) {
			ret = -EBADMSG;
			break;
		}
		if (has_loan(c, &row))
			continue;
		catalog_edit_loan(e, &row);
		other = true;
	}
	if (!ret && other)
		return catalog_commit(e, f);
	catalog_drop(e);
	return ret ? failure_set(f, ret > 0 ? -E2BIG : ret, "memory", NULL,
				 "loans that cannot be") : 0;
}

static void serve_loans(struct request *r)
{
	struct msg_memory_loans m;
	struct failure f;

	if (!home_or_forward(r) || !request_decode(r, memory_loans, &m))
		return;
	if (take_loans(r->node->catalog, r->peer, m.loans, &f))
		request_fail_with(r, &f);
	else
		request_ok(r);
}

static void on_heard(void *arg, const struct frame *f, const u8 *payload,
		     const struct failure *why)
{
	struct memory *m = arg;
	struct msg_error e;

	m->loans_call = 0;
	if (f && f->type == MSG_ERROR &&
	    !msg_error_decode(&e, payload, f->length))
		log_warning("the catalog does not know what is lent: %.*s",
			    (int)e.what.len, (const char *)e.what.data);
	/* The catalog shows when it has arrived; until then, again. */
	loop_arm(m->node->loop, &m->loans, AGAIN_US);
}

static u8 *encode(const struct memory *m, size_t *len)
{
	struct msg_memory_loans msg = { 0 };
	const struct lease *l;
	struct wcursor w, list;
	struct loan loan;
	size_t size = 0;
	u8 *buf;

	for (l = m->leases; l; l = l->next) {
		loan_of(m, l, &loan);
		size += 4 + rec_loan_row_size(&loan.row);
	}
	/* The list is encoded behind where the message goes, then moved. */
	buf = malloc(2 * size + 16);
	if (!buf)
		return NULL;
	list = wcursor_of(buf + size + 16, size);
	for (l = m->leases; l; l = l->next) {
		if (l->pending)
			continue;
		loan_of(m, l, &loan);
		rec_loan_row_append(&list, &loan.row);
	}
	msg.loans = (struct span){ buf + size + 16, (u32)wcursor_len(&list) };
	w = wcursor_of(buf, size + 16);
	msg_memory_loans_encode(&w, &msg);
	*len = wcursor_len(&w);
	return buf;
}

void memory_loans_tell(struct timer *t)
{
	struct memory *m = (struct memory *)((char *)t -
					     offsetof(struct memory, loans));
	struct node *n = m->node;
	struct msg_memory_loans msg;
	struct failure f;
	size_t len;
	u8 *buf;

	/* What virgo-nbd has is not known yet: then nothing can be said. */
	if (m->loans_call || (m->bytes && !m->known) || is_told(m))
		return;
	buf = encode(m, &len);
	if (buf && !catalog_is_home(n->catalog)) {
		m->loans_call = peers_call(n->peers,
					   catalog_head(n->catalog)->home,
					   TLS_CONTROL, MSG_MEMORY_LOANS, buf,
					   len, on_heard, m);
	} else if (buf && !home_ready(n, &f) &&
		   !msg_memory_loans_decode(&msg, buf, len) &&
		   take_loans(n->catalog, n->local.node, msg.loans, &f)) {
		log_warning("%s: %s", f.object, f.what);
	}
	free(buf);
	if (!m->loans_call)
		loop_arm(n->loop, &m->loans, AGAIN_US);
}

void memory_loans_changed(struct memory *m)
{
	if (!timer_armed(&m->loans) && !m->loans_call)
		loop_arm(m->node->loop, &m->loans, SOON_US);
}

void memory_loans_end(struct memory *m)
{
	loop_disarm(m->node->loop, &m->loans);
	if (m->loans_call)
		peers_forget(m->node->peers, m->loans_call);
}

static const struct service services[] = {
	{ MSG_MEMORY_LOANS, FROM_PEER, serve_loans },
};

void memory_loans_serve(struct node *n)
{
	service_add(n, services, ARRAY_SIZE(services));
}
