// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Following the home node; see replica.h.
 *
 * A pull goes to home, by name. When it fails, or home has less than somebody
 * claims, the claimant or some other node is asked: it cannot give rows, only
 * the authority's statement of who is home now, from which epoch on. That is how
 * nodes find a new home node, and how one that was replaced learns of it.
 *
 * Pulls at intervals are what remains when nothing is heard; their rate is
 * chosen so that the home node answers about PULLS_A_SECOND however large the
 * cloud is.
 */
#include "replica.h"

#include <stdlib.h>
#include <unistd.h>

#include "catalog.h"
#include "handover.h"
#include "listen.h"
#include "log.h"
#include "membership.h"
#include "peers.h"
#include "service.h"
#include "state.h"

enum {
	PULL_MIN_MS = 200, /* between two, whoever asks for them */
	PULL_EVERY_MS = 2000,
	PULLS_A_SECOND = 100,
	CUT_AFTER_MS = 100, /* lets the answer to one who leaves get out */
	DOUBT_NODES = 3, /* asked by a home node that starts */
	DOUBT_MS = 3000,
	PICK_TRIES = 32,
};

struct doubt { /* a question of a home node that starts */
	struct replica *replica;
	u64 call; /* 0 once answered */
};

struct replica {
	struct node *node;
	struct timer pull;
	struct timer cut;
	u64 call; /* tag of the pull under way, or 0 */
	u64 last_us; /* when it began */
	u64 heard; /* highest change number somebody claimed */
	char claimant[NODE_NAME_MAX + 1]; /* who claimed it; "" for nobody */
	bool ask_other; /* the next pull, or the one under way, is not to home */
	u64 cut_number; /* removals up to this one have been acted on */
	struct timer doubt;
	struct doubt doubts[DOUBT_NODES];
};

static struct replica *of_pull(struct timer *t)
{
	return (struct replica *)((char *)t - offsetof(struct replica, pull));
}

static u64 interval_us(const struct replica *r)
{
	u64 ms = catalog_nodes(r->node->catalog) * 1000 / PULLS_A_SECOND;
	u32 random;

	if (ms < PULL_EVERY_MS)
		ms = PULL_EVERY_MS;
	random_fill(&random, sizeof(random));
	/* Half to one and a half of it, so that nodes do not fall into step. */
	return ms * 500 + (u64)random % (ms * 1000);
}

static void pull_in(struct replica *r, u64 us)
{
	u64 now = loop_now_us(r->node->loop);
	u64 soonest = r->last_us + PULL_MIN_MS * 1000;

	if (now + us < soonest)
		us = soonest - now;
	loop_arm(r->node->loop, &r->pull, us);
}

static void pull_done(struct replica *r, bool failed, bool new_home)
{
	const struct catalog_head *h = catalog_head(r->node->catalog);

	r->call = 0;
	catalog_take_reset(r->node->catalog);
	if (new_home || (!r->ask_other && (failed || h->change < r->heard))) {
		r->ask_other = !new_home;
		pull_in(r, 0);
		return;
	}
	if (r->ask_other) { /* whatever was claimed has been looked into */
		r->heard = h->change;
		r->claimant[0] = '\0';
		r->ask_other = false;
	}
	pull_in(r, interval_us(r));
}

static void pull_reply(void *arg, const struct frame *f, const u8 *payload,
		       const struct failure *why)
{
	struct replica *r = arg;
	struct msg_catalog_rows m;
	struct failure g;
	u64 epoch = catalog_head(r->node->catalog)->epoch;
	bool new_home;
	int ret;

	if (!f) {
		log_debug("catalog: %s: %s", why->object, why->what);
		pull_done(r, true, false);
		return;
	}
	if (f->type != MSG_CATALOG_ROWS ||
	    msg_catalog_rows_decode(&m, payload, f->length)) {
		pull_done(r, true, false);
		return;
	}
	ret = catalog_take(r->node->catalog, &m, &g);
	if (ret < 0)
		log_warning("%s: %s", g.object, g.what);
	new_home = catalog_head(r->node->catalog)->epoch != epoch;
	if (new_home)
		log_notice("%s is the home node now",
			   catalog_head(r->node->catalog)->home);
	if (!(f->flags & FRAME_MORE))
		pull_done(r, ret < 0, new_home && r->ask_other);
}

/* The @i-th of the catalog's nodes, or NULL. */
static const struct rec_node_row *node_at(const struct catalog *c, size_t i)
{
	const struct rec_node_row *row;
	size_t at = 0;

	while ((row = catalog_next_node(c, &at)) && i--)
		;
	return row;
}

/* Who else may know where home is: the claimant, else some node that is up. */
static bool pick_other(struct replica *r, char *out)
{
	struct node *n = r->node;
	const struct catalog_head *h = catalog_head(n->catalog);
	size_t count = catalog_nodes(n->catalog);

	if (r->claimant[0]) {
		strcpy(out, r->claimant);
		return true;
	}
	for (int tries = 0; count && tries < PICK_TRIES; tries++) {
		const struct rec_node_row *row;
		const struct member *m;
		u32 random;

		random_fill(&random, sizeof(random));
		row = node_at(n->catalog, random % count);
		if (!row || !span_to_cstr(row->name, out, NODE_NAME_MAX + 1) ||
		    !strcmp(out, h->self) || !strcmp(out, h->home))
			continue;
		m = n->membership ? membership_find(n->membership, out) : NULL;
		if (!m || m->state == SWIM_UP)
			return true;
	}
	return false;
}

static void pull_fire(struct timer *t)
{
	struct replica *r = of_pull(t);
	struct node *n = r->node;
	const struct catalog_head *h = catalog_head(n->catalog);
	const struct msg_catalog_pull m = { .epoch = h->epoch,
					    .since = h->change };
	char from[NODE_NAME_MAX + 1];
	u8 buf[16];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	if (r->call)
		return;
	if (!strcmp(h->home, h->self)) {
		if (r->heard <= h->change)
			return; /* home has nobody to follow */
		r->ask_other = true;
	}
	strcpy(from, h->home);
	if (r->ask_other && !pick_other(r, from)) {
		r->ask_other = false;
		pull_in(r, interval_us(r));
		return;
	}
	msg_catalog_pull_encode(&w, &m);
	r->last_us = loop_now_us(n->loop);
	r->call = peers_call(n->peers, from, TLS_CONTROL, MSG_CATALOG_PULL,
			     buf, sizeof(buf), pull_reply, r);
	if (!r->call)
		pull_in(r, interval_us(r));
}

void replica_heard(struct replica *r, u64 change, const char *from)
{
	const struct catalog_head *h = catalog_head(r->node->catalog);

	if (change <= h->change || change <= r->heard ||
	    (from && !strcmp(from, h->self)))
		return;
	r->heard = change;
	if (from)
		snprintf(r->claimant, sizeof(r->claimant), "%s", from);
	if (!r->call)
		pull_in(r, 0);
}

void replica_poke(struct replica *r)
{
	if (!r->call)
		pull_in(r, 0);
}

/* A home node that starts */

static void doubt_reply(void *arg, const struct frame *f, const u8 *payload,
			const struct failure *why)
{
	struct doubt *d = arg;
	struct msg_catalog_rows m;

	d->call = 0;
	if (f && f->type == MSG_CATALOG_ROWS &&
	    !msg_catalog_rows_decode(&m, payload, f->length))
		catalog_take(d->replica->node->catalog, &m, NULL);
}

static void doubt_end(struct timer *t)
{
	struct replica *r = (struct replica *)((char *)t -
					       offsetof(struct replica, doubt));

	for (int i = 0; i < DOUBT_NODES; i++) {
		if (r->doubts[i].call)
			peers_forget(r->node->peers, r->doubts[i].call);
		r->doubts[i].call = 0;
	}
}

bool replica_is_sure(const struct replica *r)
{
	for (int i = 0; i < DOUBT_NODES; i++)
		if (r->doubts[i].call)
			return false;
	return true;
}

static void doubt(struct replica *r)
{
	struct node *n = r->node;
	size_t count = catalog_nodes(n->catalog);
	u32 first;
	u8 buf[16];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	int asked = 0;

	msg_catalog_pull_encode(
		&w, &(struct msg_catalog_pull){
			    .epoch = catalog_head(n->catalog)->epoch });
	random_fill(&first, sizeof(first));
	for (size_t i = 0; i < count && asked < DOUBT_NODES; i++) {
		const struct rec_node_row *row =
			node_at(n->catalog, (first + i) % count);
		char name[NODE_NAME_MAX + 1];

		if (!row || !span_to_cstr(row->name, name, sizeof(name)) ||
		    !strcmp(name, n->local.node))
			continue;
		r->doubts[asked].replica = r;
		r->doubts[asked].call =
			peers_call(n->peers, name, TLS_CONTROL,
				   MSG_CATALOG_PULL, buf, sizeof(buf),
				   doubt_reply, &r->doubts[asked]);
		asked++;
	}
	loop_arm(n->loop, &r->doubt, DOUBT_MS * 1000);
}

/* Serving pulls */

static void feed(const struct msg_catalog_rows *m, void *arg)
{
	struct request *r = arg;

	conn_message(r->conn, r->frame->tag,
		     FRAME_REPLY | (m->more ? FRAME_MORE : 0), 0, CATALOG_ROWS,
		     catalog_rows, m);
}

static void serve_pull(struct request *r)
{
	struct msg_catalog_pull m;

	if (!request_decode(r, catalog_pull, &m))
		return;
	/* Who knows a later epoch than we do knows a later home. */
	if (m.epoch > catalog_head(r->node->catalog)->epoch)
		replica_heard(r->node->replica, m.epoch << EPOCH_SHIFT,
			      r->peer);
	catalog_feed(r->node->catalog, m.since, feed, r);
}

/* Acting on removals */

struct cutting {
	const struct catalog *catalog;
};

static bool is_removed(const struct tls_peer *peer, void *arg)
{
	const struct cutting *c = arg;

	return catalog_refuses(c->catalog, peer->serial);
}

static void cut_fire(struct timer *t)
{
	struct replica *r = (struct replica *)((char *)t -
					       offsetof(struct replica, cut));
	struct node *n = r->node;
	struct cutting c = { .catalog = n->catalog };
	const struct rec_removal_row *row;
	char name[NODE_NAME_MAX + 1];
	u64 highest = r->cut_number;
	struct failure why;
	size_t at = 0;

	failure_set(&why, -EACCES, "", NULL, "was removed from the cloud");
	while ((row = catalog_next_removal(n->catalog, &at))) {
		if (row->number <= r->cut_number)
			continue;
		if (row->number > highest)
			highest = row->number;
		span_to_cstr(row->name, name, sizeof(name));
		log_notice("%s was removed from the cloud", name);
		peers_cut(n->peers, name, &why);
	}
	r->cut_number = highest;
	listeners_cut_if(n->listeners, is_removed, &c, &why);
	handover_cut_if(n->handover, is_removed, &c);
}

static void drop_authority_key(struct node *n)
{
	char dir[STATE_PATH_MAX], path[STATE_PATH_MAX];

	if (state_path(dir, n->state, "identity") == 0 &&
	    state_path(path, dir, "authority.key") == 0 && unlink(path) &&
	    errno != ENOENT)
		log_error("%s: cannot be removed: %s", path, strerror(errno));
}

static void catalog_changed(void *arg)
{
	struct replica *r = arg;
	const struct rec_removal_row *row;
	size_t at = 0;

	while ((row = catalog_next_removal(r->node->catalog, &at)))
		if (row->number > r->cut_number) {
			loop_arm(r->node->loop, &r->cut, CUT_AFTER_MS * 1000);
			break;
		}
	/* Who is home no more must not keep the authority. */
	if (strcmp(catalog_head(r->node->catalog)->home, r->node->local.node) &&
	    authority_can_sign(r->node->authority)) {
		authority_forget_key(r->node->authority);
		drop_authority_key(r->node);
		log_notice("this node is not the home node any more");
		pull_in(r, 0);
	}
}

static const struct service services[] = {
	{ MSG_CATALOG_PULL, FROM_PEER, serve_pull },
};

struct replica *replica_new(struct node *n)
{
	struct replica *r = calloc(1, sizeof(*r));
	const struct rec_removal_row *row;
	size_t at = 0;

	if (!r)
		return NULL;
	r->node = n;
	r->pull.fire = pull_fire;
	r->cut.fire = cut_fire;
	while ((row = catalog_next_removal(n->catalog, &at)))
		if (row->number > r->cut_number)
			r->cut_number = row->number;
	catalog_watch(n->catalog, catalog_changed, r);
	service_add(n, services, ARRAY_SIZE(services));
	r->doubt.fire = doubt_end;
	catalog_changed(r);
	if (catalog_is_home(n->catalog))
		doubt(r);
	else
		loop_arm(n->loop, &r->pull, 0);
	return r;
}

void replica_free(struct replica *r)
{
	if (!r)
		return;
	loop_disarm(r->node->loop, &r->pull);
	loop_disarm(r->node->loop, &r->cut);
	loop_disarm(r->node->loop, &r->doubt);
	doubt_end(&r->doubt);
	if (r->call)
		peers_forget(r->node->peers, r->call);
	free(r);
}
