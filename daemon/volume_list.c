// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * VOLUME_LIST; the contract is in volume_list.h. Whether [allow] lets a local
 * user in depends on the name, which only the user data base knows: when it
 * matters and is not remembered, a worker looks it up first. Everything else is
 * in the loop's thread.
 */
#include "volume_list.h"

#include <stdlib.h>

#include "catalog.h"
#include "idnames.h"
#include "policy.h"
#include "service.h"
#include "volume.h"
#include "workers.h"

enum { NAMERS = 2, WAITING_MAX = 256 };

struct listing { /* a request whose user's name is being looked up */
	struct work work; /* first */
	struct listing *next;
	struct volume_list *all;
	struct conn *conn;
	u64 tag;
	uid_t uid;
	char user[IDNAME_MAX];
};

struct volume_list {
	struct node *node;
	struct workers *namers;
	struct listing *waiting;
	u32 waiting_count;
};

struct viewer {
	const char *node; /* from where he asks */
	bool all;	  /* sees every volume */
	bool local;	  /* may use those of this node */
};

/* @v with the addresses of its node, so that a client need not ask for those. */
static struct rec_volume_row addressed(const struct catalog *c,
				       const struct rec_volume_row *v)
{
	char node[NODE_NAME_MAX + 1];
	const struct rec_node_row *n;
	struct rec_volume_row out = *v;

	span_to_cstr(v->node, node, sizeof(node));
	n = catalog_node(c, node);
	if (n)
		out.addresses = n->addresses;
	return out;
}

static bool may_see(const struct node *n, const struct viewer *w,
		    const struct rec_volume_row *v)
{
	char allow[4096];
	bool read_only;

	if (w->all)
		return true;
	if (!w->local && span_equal(v->node, span_of(n->local.node)))
		return false;
	if (!v->allow.len)
		return true;
	return span_to_cstr(v->allow, allow, sizeof(allow)) &&
	       volume_allows(allow, w->node, &read_only);
}

static void send_list(struct node *n, struct conn *to, u64 tag,
		      const struct viewer *w)
{
	struct catalog *c = n->catalog;
	const struct rec_volume_row *v;
	const struct failure many = { .code = -EMSGSIZE,
				      .object = "volume list",
				      .what = "there are too many volumes to list" };
	struct rec_volume_row row;
	size_t at = 0, size = 0;
	struct wcursor out;
	u8 *buf;

	while (c && (v = catalog_next_volume(c, &at))) {
		row = addressed(c, v);
		size += 4 + rec_volume_row_size(&row);
	}
	buf = size <= FRAME_MAX - 256 ? malloc(size + 1) : NULL;
	if (!buf) {
		conn_reply_failure(to, tag, &many);
		return;
	}
	out = wcursor_of(buf, size);
	at = 0;
	while (c && (v = catalog_next_volume(c, &at))) {
		if (!may_see(n, w, v))
			continue;
		row = addressed(c, v);
		rec_volume_row_append(&out, &row);
	}
	conn_reply(to, tag, VOLUMES, volumes,
		   (&(struct msg_volumes){
			   .volumes = { buf, (u32)wcursor_len(&out) } }));
	free(buf);
}

/* To user @user of this node. Who has no name is judged as nobody. */
static void send_to_user(struct node *n, struct conn *to, u64 tag,
			 const char *user)
{
	struct viewer w = { .node = n->local.node };
	struct policy_grant grant;
	struct failure f;

	w.local = !policy_admit(n->policy, n->local.node,
				*user == '#' ? "nobody" : user, "volumes",
				&grant, &f);
	send_list(n, to, tag, &w);
}

static void find_name(struct work *w)
{
	struct listing *g = (struct listing *)w;

	idnames_name(FILE_ID_USER, g->uid, g->user);
}

static void listing_free(struct listing *g)
{
	struct listing **at = &g->all->waiting;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	g->all->waiting_count--;
	conn_put(g->conn);
	free(g);
}

static void name_found(struct work *w)
{
	struct listing *g = (struct listing *)w;

	send_to_user(g->all->node, g->conn, g->tag, g->user);
	listing_free(g);
}

static void look_up(struct volume_list *l, struct request *r)
{
	struct listing *g = NULL;

	if (l->waiting_count < WAITING_MAX)
		g = calloc(1, sizeof(*g));
	if (!g) {
		request_fail(r, -EBUSY, "volume list", "once more",
			     "too much is under way");
		return;
	}
	g->work.run = find_name;
	g->work.done = name_found;
	g->all = l;
	g->conn = conn_get(r->conn);
	g->tag = r->frame->tag;
	g->uid = r->uid;
	g->next = l->waiting;
	l->waiting = g;
	l->waiting_count++;
	workers_submit(l->namers, &g->work);
}

static void serve_volume_list(struct request *r)
{
	struct node *n = r->node;
	const struct conf_cloud *conf = policy_conf(n->policy);
	const struct conf_list *admins = &conf->cloud_administrators;
	struct viewer w = { .node = n->local.node, .local = true };
	char user[IDNAME_MAX];

	if (r->peer) {
		w.node = r->peer;
		w.all = conf_list_has(admins, r->peer) ||
			conf_list_has(admins, "*");
	} else if (r->uid == 0) {
		w.all = true;
	} else if (conf_map_find(&conf->allow, n->local.node)) {
		if (idnames_peek(FILE_ID_USER, r->uid, true, user))
			send_to_user(n, r->conn, r->frame->tag, user);
		else
			look_up(n->volume_list, r);
		return;
	}
	send_list(n, r->conn, r->frame->tag, &w);
}

struct volume_list *volume_list_new(struct node *n)
{
	static const struct service table[] = {
		{ MSG_VOLUME_LIST, FROM_LOCAL | FROM_PEER, serve_volume_list },
	};
	struct volume_list *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->node = n;
	l->namers = workers_new(n->loop, NAMERS, NULL);
	if (!l->namers) {
		free(l);
		return NULL;
	}
	service_add(n, table, ARRAY_SIZE(table));
	return l;
}

void volume_list_free(struct volume_list *l)
{
	if (!l)
		return;
	workers_free(l->namers);
	while (l->waiting)
		listing_free(l->waiting);
	free(l);
}
