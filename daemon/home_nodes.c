// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The catalog's nodes: listed at every node, drained and removed at home. A
 * removal deletes the node and its volumes, is signed, and rotates the group key
 * so that the removed node cannot follow the membership; cutting its open
 * connections is replica.c's part on every node, this one included.
 */
#include <stdlib.h>
#include <time.h>

#include "address.h"
#include "advertise.h"
#include "home_impl.h"
#include "log.h"
#include "memory.h"
#include "peers.h"
#include "service.h"
#include "state.h"
#include "wallclock.h"

enum { REMOVAL_GRACE_S = 24 * 3600 };

/* What a node lent is gone with it; what it borrowed its lenders take back. */
static void drop_loans(const struct catalog *c, struct catalog_edit *e,
		       const char *lender)
{
	const struct rec_loan_row *l;
	char key[LOAN_KEY_MAX + 1];
	size_t at = 0;

	while ((l = catalog_next_loan(c, &at)))
		if (span_equal(l->lender, span_of(lender)) &&
		    span_to_cstr(l->key, key, sizeof(key)))
			catalog_edit_delete(e, CATALOG_LOAN, key);
}

/* Removals whose certificates have all expired are of no use any more. */
static void sweep_removals(const struct catalog *c, struct catalog_edit *e,
			   s64 now, u64 *highest)
{
	const struct rec_removal_row *r;
	char stem[STEM_DIGITS + 1];
	size_t at = 0;

	*highest = 0;
	while ((r = catalog_next_removal(c, &at))) {
		if (r->number > *highest)
			*highest = r->number;
		else if ((s64)r->until_s + REMOVAL_GRACE_S < now &&
			 span_to_cstr(r->stem, stem, sizeof(stem)))
			catalog_edit_delete(e, CATALOG_REMOVAL, stem);
	}
}

static int node_remove(struct node *n, const struct rec_node_row *row,
		       const char *name, struct failure *f)
{
	struct catalog *c = n->catalog;
	struct catalog_edit *e = catalog_edit(c);
	const struct rec_volume_row *v;
	char volume[VOLUME_NAME_MAX_BYTES + 1];
	size_t at = 0;
	u64 highest;

	if (!e)
		return catalog_commit(NULL, f);
	/* A clock that ran ahead must not let a removed node in again. */
	sweep_removals(c, e, wallclock_confirmed(n) ? (s64)time(NULL) : 0,
		       &highest);
	catalog_edit_removal(
		e, n->authority,
		&(struct rec_removal_row){
			.number = highest + 1,
			.name = span_of(name),
			.stem = { row->serial.data, STEM_DIGITS },
			.time_s = (u64)time(NULL),
			.until_s = row->expires_s });
	catalog_edit_delete(e, CATALOG_NODE, name);
	while ((v = catalog_next_volume(c, &at)))
		if (span_equal(v->node, span_of(name)) &&
		    span_to_cstr(v->name, volume, sizeof(volume)))
			catalog_edit_delete(e, CATALOG_VOLUME, volume);
	drop_loans(c, e, name);
	catalog_edit_rotate_key(e);
	return catalog_commit(e, f);
}

static int node_drain(struct node *n, const struct rec_node_row *row, bool on,
		      struct failure *f)
{
	struct rec_node_row next = *row;
	struct catalog_edit *e = catalog_edit(n->catalog);

	next.draining = on;
	if (e)
		catalog_edit_node(e, &next);
	return catalog_commit(e, f);
}

static int node_move(struct node *n, const struct rec_node_row *row,
		     struct span addresses, struct failure *f)
{
	char text[ADVERTISED_LIST_MAX + 1], full[ADVERTISED_LIST_MAX + 1];
	struct rec_node_row next = *row;
	struct catalog_edit *e;
	int ret;

	if (!span_to_cstr(addresses, text, sizeof(text)))
		return failure_set(f, -EINVAL, "address", NULL,
				   "none, or too many");
	ret = advertised_list(text, VIRGO_PORT, full, sizeof(full), f);
	if (ret < 0)
		return ret;
	next.addresses = span_of(full);
	e = catalog_edit(n->catalog);
	if (e)
		catalog_edit_node(e, &next);
	return catalog_commit(e, f);
}

static void serve_node_change(struct request *r)
{
	struct node *n = r->node;
	const struct rec_node_row *row;
	char name[NODE_NAME_MAX + 1];
	bool remove, drain, move, itself;
	struct msg_node_change m;
	struct failure f;
	int ret;

	if (!home_or_forward(r) || !request_decode(r, node_change, &m))
		return;
	remove = span_equal(m.action, span_of("remove"));
	drain = span_equal(m.action, span_of("drain"));
	move = span_equal(m.action, span_of("move"));
	if (!remove && !drain && !move &&
	    !span_equal(m.action, span_of("undrain"))) {
		request_fail(r, -EOPNOTSUPP, "node", NULL,
			     "the home node does not know this change");
		return;
	}
	if (!span_to_cstr(m.node, name, sizeof(name)) ||
	    !(row = catalog_node(n->catalog, name))) {
		request_fail(r, -ENOENT, "node", "virgo node list",
			     "the cloud has no node '%.*s'", (int)m.node.len,
			     (const char *)m.node.data);
		return;
	}
	/* Every node may take itself out. */
	itself = r->peer && !strcmp(r->peer, name);
	if (!itself && !home_allows(r, "node"))
		return;
	if (remove && !strcmp(name, catalog_head(n->catalog)->home)) {
		request_fail(r, -EBUSY, name,
			     "'virgo node promote OTHER' first",
			     "it is the home node");
		return;
	}
	ret = remove ? node_remove(n, row, name, &f) :
	      move   ? node_move(n, row, m.addresses, &f) :
		       node_drain(n, row, drain, &f);
	home_audit(r,
		   remove ? "remove" :
		   move	  ? "move" :
		   drain  ? "drain" :
			    "undrain",
		   name, ret < 0 ? &f : NULL);
	if (ret < 0) {
		request_fail_with(r, &f);
		return;
	}
	log_notice("%s: %.*s by %s", name, (int)m.action.len,
		   (const char *)m.action.data,
		   r->peer ? r->peer : "root here");
	request_ok(r);
}

static void serve_node_list(struct request *r)
{
	struct catalog *c = r->node->catalog;
	struct msg_nodes m = { 0 };
	const struct rec_node_row *row;
	size_t at = 0, size = 0;
	struct wcursor w;
	u8 *buf;

	if (!c) {
		request_fail(r, -ENOTCONN, "virgo",
			     "virgo init NAME, or virgo join",
			     "this machine is not part of a cloud yet");
		return;
	}
	while ((row = catalog_next_node(c, &at)))
		size += 4 + rec_node_row_size(row);
	buf = malloc(size + 1);
	if (!buf || size > FRAME_MAX - 256) {
		free(buf);
		request_fail(r, -EMSGSIZE, "node list", NULL,
			     "the cloud has too many nodes to list");
		return;
	}
	w = wcursor_of(buf, size);
	at = 0;
	while ((row = catalog_next_node(c, &at)))
		rec_node_row_append(&w, row);
	m.home = span_of(catalog_head(c)->home);
	m.nodes = (struct span){ buf, (u32)wcursor_len(&w) };
	request_reply(r, NODES, nodes, &m);
	free(buf);
}

/* Leaving */

struct leaving {
	struct node *node;
	struct conn *conn;
	u64 tag;
};

/* This machine stops being a node, and virgod with it. */
static void leave_now(struct node *n, struct conn *c, u64 tag)
{
	const struct msg_ok ok = {};
	struct failure f;

	if (state_forget(n->state, &f) < 0) {
		conn_reply_failure(c, tag, &f);
		return;
	}
	log_notice("this machine left the cloud");
	conn_reply(c, tag, OK, ok, &ok);
	n->home->leaver = c;
	conn_finish(c);
}

/* Not before the answer is out. */
static void leaver_closed(struct node *n, struct conn *c)
{
	if (n->home && n->home->leaver == c)
		loop_stop(n->loop);
}

static void leave_reply(void *arg, const struct frame *f, const u8 *payload,
			const struct failure *why)
{
	struct leaving *l = arg;
	struct msg_error m;
	struct failure e;

	if (f && f->type == MSG_OK) {
		leave_now(l->node, l->conn, l->tag);
	} else {
		if (f && !msg_error_decode(&m, payload, f->length))
			failure_from_message(&e, &m);
		else
			failure_set(&e, why ? why->code : -EPROTO, "leave",
				    "virgo leave --force, and on the home node "
				    "later: virgo node remove",
				    "the home node %s cannot be asked: %s",
				    catalog_head(l->node->catalog)->home,
				    why ? why->what : "a malformed answer");
		conn_reply_failure(l->conn, l->tag, &e);
	}
	conn_put(l->conn);
	free(l);
}

static bool leave_ask_home(struct request *r)
{
	struct node *n = r->node;
	const struct catalog_head *h = catalog_head(n->catalog);
	const struct msg_node_change m = { .node = span_of(h->self),
					   .action = span_of("remove") };
	u8 buf[128];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	struct leaving *l = calloc(1, sizeof(*l));

	if (!l)
		return false;
	*l = (struct leaving){ .node = n,
			       .conn = conn_get(r->conn),
			       .tag = r->frame->tag };
	msg_node_change_encode(&w, &m);
	if (peers_call(n->peers, h->home, TLS_CONTROL, MSG_NODE_CHANGE, buf,
		       wcursor_len(&w), leave_reply, l))
		return true;
	conn_put(l->conn);
	free(l);
	return false;
}

static void serve_leave(struct request *r)
{
	struct node *n = r->node;
	struct msg_leave m;

	if (!request_decode(r, leave, &m))
		return;
	if (!n->catalog) {
		request_fail(r, -ENOTCONN, "leave", NULL,
			     "this machine is not part of a cloud");
		return;
	}
	if (!m.force && memory_lent_bytes(n->memory)) {
		request_fail(r, -EBUSY, "leave",
			     "'virgo memory lend off' first",
			     "other nodes borrow memory of this one");
		return;
	}
	if (m.force ||
	    (catalog_is_home(n->catalog) && catalog_nodes(n->catalog) == 1)) {
		leave_now(n, r->conn, r->frame->tag);
		return;
	}
	if (catalog_is_home(n->catalog)) {
		request_fail(r, -EBUSY, "leave",
			     "'virgo node promote OTHER' first",
			     "this is the home node, and other nodes are left");
		return;
	}
	if (!leave_ask_home(r))
		request_fail(r, -ENOMEM, "leave", NULL, "out of memory");
}

static const struct service services[] = {
	{ MSG_NODE_CHANGE, FROM_ROOT | FROM_PEER, serve_node_change },
	{ MSG_NODE_LIST, FROM_LOCAL | FROM_PEER, serve_node_list },
	{ MSG_LEAVE, FROM_ROOT, serve_leave },
};

void home_nodes_serve(struct node *n)
{
	service_add(n, services, ARRAY_SIZE(services));
	service_on_close(n, leaver_closed);
}
