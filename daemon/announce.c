// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where this node is reached: what virgo_cloud.conf advertises when virgod
 * starts, told to the home node until the catalog says the same. Without
 * addresses in the file those given at init or join stay.
 */
#include <stdlib.h>

#include "advertise.h"
#include "home.h"
#include "log.h"
#include "peers.h"
#include "policy.h"

enum { RETRY_US = 5000000 };

struct announce {
	struct node *node;
	struct timer timer;
	u64 call;
	char addresses[ADVERTISED_LIST_MAX + 1]; /* "" for nothing to tell */
};

static bool is_known(const struct announce *a)
{
	struct catalog *c = a->node->catalog;
	const struct rec_node_row *row =
		catalog_node(c, catalog_head(c)->self);

	return !a->addresses[0] ||
	       (row && span_equal(row->addresses, span_of(a->addresses)));
}

static void told(void *arg, const struct frame *f, const u8 *payload,
		 const struct failure *why)
{
	struct announce *a = arg;
	struct msg_error m;
	struct failure g;

	a->call = 0;
	if (f && f->type == MSG_ERROR &&
	    !msg_error_decode(&m, payload, f->length)) {
		failure_from_message(&g, &m);
		log_warning("announcing %s: %s", a->addresses, g.what);
	}
	/* The catalog shows when it has arrived; until then, again. */
	loop_arm(a->node->loop, &a->timer, RETRY_US);
}

/* The home node changes its own row. */
static void tell_self(struct announce *a)
{
	struct catalog *c = a->node->catalog;
	struct rec_node_row row = *catalog_node(c, catalog_head(c)->self);
	struct catalog_edit *e;
	struct failure f;
	int ret = home_ready(a->node, &f);

	if (!ret) {
		row.addresses = span_of(a->addresses);
		e = catalog_edit(c);
		if (e)
			catalog_edit_node(e, &row);
		ret = catalog_commit(e, &f);
	}
	if (ret)
		loop_arm(a->node->loop, &a->timer, RETRY_US);
}

static void tell(struct timer *t)
{
	struct announce *a = (struct announce *)((char *)t -
						 offsetof(struct announce,
							  timer));
	struct node *n = a->node;
	const struct catalog_head *h = catalog_head(n->catalog);
	const struct msg_node_change m = { .node = span_of(h->self),
					   .action = span_of("move"),
					   .addresses = span_of(a->addresses) };
	u8 buf[ADVERTISED_LIST_MAX + NODE_NAME_MAX + 32];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	if (is_known(a) || a->call)
		return;
	if (catalog_is_home(n->catalog)) {
		if (catalog_node(n->catalog, h->self))
			tell_self(a);
		return;
	}
	/* A copy that is still empty says nothing about us. */
	if (catalog_node(n->catalog, h->self)) {
		msg_node_change_encode(&w, &m);
		a->call = peers_call(n->peers, h->home, TLS_CONTROL,
				     MSG_NODE_CHANGE, buf, wcursor_len(&w),
				     told, a);
	}
	if (!a->call)
		loop_arm(n->loop, t, RETRY_US);
}

struct announce *announce_new(struct node *n)
{
	const struct conf_list *l = &policy_conf(n->policy)->node_advertise;
	char listed[ADVERTISED_LIST_MAX + 1];
	struct announce *a = calloc(1, sizeof(*a));
	struct failure f;

	if (!a)
		return NULL;
	a->node = n;
	a->timer.fire = tell;
	if (!l->count)
		return a;
	if (advertised_join(l, listed) ||
	    advertised_list(listed, n->port, a->addresses,
			    sizeof(a->addresses), &f))
		log_error("[node] advertise is not announced: it is too long");
	else
		loop_arm(n->loop, &a->timer, 0);
	return a;
}

void announce_free(struct announce *a)
{
	if (!a)
		return;
	loop_disarm(a->node->loop, &a->timer);
	if (a->call)
		peers_forget(a->node->peers, a->call);
	free(a);
}
