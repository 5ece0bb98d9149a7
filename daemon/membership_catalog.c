// SPDX-License-Identifier: GPL-2.0-or-later
/* Which nodes there are, and the group key: taken from the catalog, at once and
 * after every change of it.
 */
#include <stdio.h>

#include "catalog.h"
#include "log.h"
#include "membership.h"

static void follow_node(struct membership *m, const struct rec_node_row *r)
{
	char name[NODE_NAME_MAX + 1];
	char addresses[512];
	int ret;

	if (!span_to_cstr(r->name, name, sizeof(name)))
		return;
	if (!span_to_cstr(r->addresses, addresses, sizeof(addresses)))
		addresses[0] = '\0';
	ret = membership_set_node(m, name, addresses, r->draining, r->home);
	if (ret)
		log_error("membership: node %s is not watched: %s", name,
			  strerror(-ret));
}

static void follow(void *arg)
{
	struct node *n = arg;
	const struct catalog_head *h = catalog_head(n->catalog);
	const struct rec_node_row *r;
	size_t at = 0;

	membership_begin_pass(n->membership);
	while ((r = catalog_next_node(n->catalog, &at)))
		follow_node(n->membership, r);
	membership_end_pass(n->membership);
	if (h->key_number)
		membership_set_key(n->membership, h->key_number, h->group_key);
	membership_set_change(n->membership, h->change);
}

void membership_follow_catalog(struct node *n)
{
	catalog_watch(n->catalog, follow, n);
	follow(n);
}
