// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Following the home node; see replica.h.
 *
 * A pull goes to home, by name. When it fails, or home has less than somebody
 * claims, the claimant is asked: it cannot give rows, only the authority's
 * statement of who is home now, from which epoch on. That is how nodes find a
 * new home node, and how one that was replaced learns of it.
 *
 * Pulls at intervals are what remains when nothing is heard; their rate is
 * chosen so that the home node answers about PULLS_A_SECOND however large the
 * cloud is.
 */
#include "replica.h"

#include <stdlib.h>
#include <unistd.h>

#include "catalog.h"
#include "listen.h"
#include "log.h"
#include "peers.h"
#include "service.h"
#include "state.h"

enum {
	PULL_MIN_MS = 200, /* between two, whoever asks for them */
	PULL_EVERY_MS = 2000,
	PULLS_A_SECOND = 100,
	CUT_AFTER_MS = 100, /* lets the answer to one who leaves get out */
};

struct replica {
	struct node *node;
	struct timer pull;
	struct timer cut;
	u64 call; /* tag of the pull under way, or 0 */
	u64 last_us; /* when it began */
	u64 heard; /* highest change number somebody claimed */
	char claimant[NODE_NAME_MAX + 1]; /* who claimed it; "" for nobody */
	bool asked_claimant; /* the pull under way is to them */
	u64 cut_number; /* removals up to this one have been acted on */
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

static void pull_done(struct replica *r, bool failed)
{
	const struct catalog_head *h = catalog_head(r->node->catalog);

	r->call = 0;
	catalog_take_reset(r->node->catalog);
	if (r->asked_claimant || h->change >= r->heard) {
		/* Whatever they claimed, it has been looked into. */
		r->heard = h->change;
		r->claimant[0] = '\0';
		r->asked_claimant = false;
		pull_in(r, interval_us(r));
		return;
	}
	r->asked_claimant = r->claimant[0] != '\0';
	pull_in(r, r->asked_claimant || !failed ? 0 : interval_us(r));
}

static void pull_reply(void *arg, const struct frame *f, const u8 *payload,
		       const struct failure *why)
{
	struct replica *r = arg;
	struct msg_catalog_rows m;
	struct failure g;
	u64 epoch = catalog_head(r->node->catalog)->epoch;
	int ret;

	if (!f) {
		log_debug("catalog: %s: %s", why->object, why->what);
		pull_done(r, true);
		return;
	}
	if (f->type != MSG_CATALOG_ROWS ||
	    msg_catalog_rows_decode(&m, payload, f->length)) {
		pull_done(r, true);
		return;
	}
	ret = catalog_take(r->node->catalog, &m, &g);
	if (ret < 0)
		log_warning("%s: %s", g.object, g.what);
	if (catalog_head(r->node->catalog)->epoch != epoch)
		log_notice("%s is the home node now",
			   catalog_head(r->node->catalog)->home);
	if (!(f->flags & FRAME_MORE))
		pull_done(r, ret < 0);
}

static void pull_fire(struct timer *t)
{
	struct replica *r = of_pull(t);
	struct node *n = r->node;
	const struct catalog_head *h = catalog_head(n->catalog);
	const struct msg_catalog_pull m = { .epoch = h->epoch,
					    .since = h->change };
	const char *from = r->asked_claimant ? r->claimant : h->home;
	u8 buf[16];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	if (r->call)
		return;
	/* Home asks only those who claim to know of another one. */
	if (!strcmp(from, h->self)) {
		if (r->heard > h->change && r->claimant[0])
			r->asked_claimant = true;
		else
			return;
		from = r->claimant;
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
	/* A node that is home no more must not keep the authority. */
	if (!catalog_is_home(r->node->catalog) &&
	    authority_can_sign(r->node->authority))
		log_warning("this node is not the home node any more");
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
	loop_arm(n->loop, &r->pull, 0);
	return r;
}

void replica_free(struct replica *r)
{
	if (!r)
		return;
	loop_disarm(r->node->loop, &r->pull);
	loop_disarm(r->node->loop, &r->cut);
	if (r->call)
		peers_forget(r->node->peers, r->call);
	free(r);
}
