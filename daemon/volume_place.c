// SPDX-License-Identifier: GPL-2.0-or-later
/* Where a new volume goes, at the home node; the contract is in volume_place.h. */
#include "volume_place.h"

#include <stdlib.h>

#include "audit.h"
#include "choose.h"
#include "home_impl.h"
#include "log.h"
#include "membership.h"
#include "peers.h"

enum {
	OFFERS_MAX = 8, /* in a larger cloud as many nodes drawn at random */
	OFFER_US = 2000000, /* who has not answered by then does not compete */
	FOLDER_US = 10000000,
};

struct offer {
	struct placing *placing;
	char node[NODE_NAME_MAX + 1];
	u64 call; /* 0: answered, or this node itself */
};

struct placing { /* one request on its way */
	struct placing *next; /* of home->placings */
	struct node *node;
	struct conn *conn;
	u64 tag;
	char asker[NODE_NAME_MAX + 1];
	char name[VOLUME_NAME_MAX_BYTES + 1];
	char *options;
	u32 options_len;
	struct timer limit;
	struct offer offers[OFFERS_MAX];
	struct choose_store stores[OFFERS_MAX]; /* beside it */
	u32 count;
	u32 due; /* offers not yet here */
	u32 taken; /* place of the node that makes the folder */
	u64 call; /* for the folder */
	struct failure last; /* why the last node did not take it */
};

static void take_best(struct placing *p);

static struct placing *placing_new(struct request *r, const char *name)
{
	struct placing *p = calloc(1, sizeof(*p));
	struct node *n = r->node;

	if (!p) {
		request_fail(r, -ENOMEM, "volume", NULL, "out of memory");
		return NULL;
	}
	p->node = n;
	p->conn = conn_get(r->conn);
	p->tag = r->frame->tag;
	snprintf(p->asker, sizeof(p->asker), "%s",
		 r->peer ? r->peer : n->local.node);
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->next = n->home->placings;
	n->home->placings = p;
	return p;
}

static void placing_free(struct placing *p)
{
	struct placing **at = &p->node->home->placings;
	u32 i;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	loop_disarm(p->node->loop, &p->limit);
	for (i = 0; i < p->count; i++)
		if (p->offers[i].call)
			peers_forget(p->node->peers, p->offers[i].call);
	if (p->call)
		peers_forget(p->node->peers, p->call);
	conn_put(p->conn);
	free(p->options);
	free(p);
}

/* Answers; @f NULL when it is done. */
static void finish(struct placing *p, const struct failure *f)
{
	audit_write_failure(p->node->audit, p->asker, "root", "volume",
			    p->name, f);
	if (f)
		conn_reply_failure(p->conn, p->tag, f);
	else
		conn_reply(p->conn, p->tag, OK, ok, &(struct msg_ok){});
	placing_free(p);
}

/* The failure that answer @f, or the connection's end @why, tells. */
static void failure_of(struct failure *out, const struct frame *f,
		       const u8 *payload, const struct failure *why)
{
	struct msg_error m;

	if (!f)
		*out = *why;
	else if (f->type == MSG_ERROR &&
		 !msg_error_decode(&m, payload, f->length) && m.code < 0)
		failure_from_message(out, &m);
	else
		failure_set(out, -EPROTO, "volume", NULL,
			    "the other node's answer is malformed");
}

/* Making the folder */

static void folder_made(struct placing *p, struct span path)
{
	const char *node = p->offers[p->taken].node;
	struct failure f;

	if (volume_row_add(p->node, p->name, node, path,
			   (struct span){ (const u8 *)p->options,
					  p->options_len },
			   &f) < 0) {
		finish(p, &f);
		return;
	}
	log_notice("volume %s is on %s", p->name, node);
	finish(p, NULL);
}

static void folder_reply(void *arg, const struct frame *f, const u8 *payload,
			 const struct failure *why)
{
	struct msg_volume_folder_reply m;
	struct placing *p = arg;

	p->call = 0;
	loop_disarm(p->node->loop, &p->limit);
	if (f && f->type == MSG_VOLUME_FOLDER_REPLY &&
	    !msg_volume_folder_reply_decode(&m, payload, f->length)) {
		folder_made(p, m.path);
		return;
	}
	failure_of(&p->last, f, payload, why);
	take_best(p);
}

static void folder_late(struct timer *t)
{
	struct placing *p = (struct placing *)((char *)t -
					       offsetof(struct placing, limit));

	peers_forget(p->node->peers, p->call);
	p->call = 0;
	failure_set(&p->last, -ETIMEDOUT, p->offers[p->taken].node,
		    "virgo status", "it does not answer");
	take_best(p);
}

/* Sends @m to @node; its answer, or FOLDER_US without one, comes back. */
static void ask_folder(struct placing *p, const char *node,
		       const struct msg_volume_folder *m, peer_reply_fn *reply,
		       void (*late)(struct timer *t))
{
	u8 buf[8192];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	msg_volume_folder_encode(&w, m);
	p->call = peers_call(p->node->peers, node, TLS_CONTROL,
			     MSG_VOLUME_FOLDER, buf, wcursor_len(&w), reply, p);
	p->limit.fire = late;
	/* Without memory for the call it is late at once. */
	loop_arm(p->node->loop, &p->limit, p->call ? FOLDER_US : 0);
}

/* Has the folder made on the best node that has not failed yet. */
static void take_best(struct placing *p)
{
	const struct msg_volume_folder m = { .action = span_of("make"),
					     .volume = span_of(p->name),
					     .node = span_of(p->asker) };
	char path[4096];

	for (;;) {
		p->taken = choose_store(p->stores, p->count);
		if (p->taken == p->count) {
			if (!p->last.code)
				failure_set(&p->last, -EHOSTDOWN, p->name,
					    "virgo status",
					    "no node is there to hold it");
			finish(p, &p->last);
			return;
		}
		p->stores[p->taken].fit = false;
		if (strcmp(p->offers[p->taken].node, p->node->local.node)) {
			ask_folder(p, p->offers[p->taken].node, &m,
				   folder_reply, folder_late);
			return;
		}
		if (!volume_folder_make(p->node, p->asker, p->name, path,
					&p->last)) {
			folder_made(p, span_of(path));
			return;
		}
	}
}

/* Asking for room */

static void take_room(struct placing *p, u32 at,
		      const struct msg_volume_room_reply *m)
{
	p->stores[at].fit = true;
	p->stores[at].bytes_free = m->bytes_free;
	p->stores[at].idle_ppm = m->idle_ppm;
}

static void room_reply(void *arg, const struct frame *f, const u8 *payload,
		       const struct failure *why)
{
	struct msg_volume_room_reply m;
	struct offer *o = arg;
	struct placing *p = o->placing;

	o->call = 0;
	if (f && f->type == MSG_VOLUME_ROOM_REPLY &&
	    !msg_volume_room_reply_decode(&m, payload, f->length))
		take_room(p, (u32)(o - p->offers), &m);
	else
		failure_of(&p->last, f, payload, why);
	if (--p->due)
		return;
	loop_disarm(p->node->loop, &p->limit);
	take_best(p);
}

static void rooms_late(struct timer *t)
{
	struct placing *p = (struct placing *)((char *)t -
					       offsetof(struct placing, limit));
	u32 i;

	for (i = 0; i < p->count; i++)
		if (p->offers[i].call) {
			peers_forget(p->node->peers, p->offers[i].call);
			p->offers[i].call = 0;
			failure_set(&p->last, -ETIMEDOUT, p->offers[i].node,
				    "virgo status", "it does not answer");
		}
	take_best(p);
}

static void ask_room(struct placing *p, u32 at)
{
	const struct msg_volume_room m = { .node = span_of(p->asker) };
	struct offer *o = &p->offers[at];
	struct msg_volume_room_reply own;
	u8 buf[128];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	if (!strcmp(o->node, p->node->local.node)) {
		if (!volume_room(p->node, p->asker, &own, &p->last))
			take_room(p, at, &own);
		return;
	}
	msg_volume_room_encode(&w, &m);
	o->call = peers_call(p->node->peers, o->node, TLS_CONTROL,
			     MSG_VOLUME_ROOM, buf, wcursor_len(&w), room_reply,
			     o);
	p->due += o->call != 0;
}

static void add_candidate(struct placing *p, u32 at, const char *node)
{
	struct offer *o = &p->offers[at];

	o->placing = p;
	snprintf(o->node, sizeof(o->node), "%s", node);
	p->stores[at].own = !strcmp(node, p->asker);
	if (at == p->count)
		p->count++;
}

/* Nodes that are up: all, or in a large cloud the asker's and some others, each
 * as likely as any.
 */
static void add_candidates(struct placing *p)
{
	const struct member *m;
	size_t at = 0;
	u32 seen = 0;

	m = membership_find(p->node->membership, p->asker);
	if (m && m->state == SWIM_UP && !m->draining)
		add_candidate(p, seen++, m->name);
	while ((m = membership_next(p->node->membership, &at))) {
		u32 random;

		if (m->state != SWIM_UP || m->draining ||
		    !strcmp(m->name, p->asker))
			continue;
		random_fill(&random, sizeof(random));
		seen++;
		if (p->count < OFFERS_MAX)
			add_candidate(p, p->count, m->name);
		else if (random % seen < OFFERS_MAX - 1)
			add_candidate(p, 1 + random % seen, m->name);
	}
}

void volume_place(struct request *r, const struct msg_volume_change *m)
{
	char name[VOLUME_NAME_MAX_BYTES + 1], node[NODE_NAME_MAX + 1];
	struct placing *p;
	u32 i;

	if (!span_to_cstr(m->volume, name, sizeof(name)) ||
	    (m->node.len && !span_to_cstr(m->node, node, sizeof(node)))) {
		request_fail(r, -EINVAL, "volume", NULL, "a malformed request");
		return;
	}
	p = placing_new(r, name);
	if (!p)
		return;
	p->options_len = m->options.len;
	p->options = malloc(m->options.len + 1);
	if (!p->options) {
		failure_set(&p->last, -ENOMEM, name, NULL, "out of memory");
		finish(p, &p->last);
		return;
	}
	if (m->options.len)
		memcpy(p->options, m->options.data, m->options.len);
	if (m->node.len)
		add_candidate(p, 0, node);
	else
		add_candidates(p);
	for (i = 0; i < p->count; i++)
		ask_room(p, i);
	p->limit.fire = rooms_late;
	/* With nobody else to ask it is decided now, but not inside this call. */
	loop_arm(r->node->loop, &p->limit, p->due ? OFFER_US : 0);
}

/* Removing */

static void folder_gone(struct placing *p)
{
	struct failure f;
	int ret = volume_row_remove(p->node, p->name, &f);

	finish(p, ret < 0 ? &f : NULL);
}

static void gone_reply(void *arg, const struct frame *f, const u8 *payload,
		       const struct failure *why)
{
	struct placing *p = arg;

	p->call = 0;
	if (f && f->type == MSG_VOLUME_FOLDER_REPLY) {
		folder_gone(p);
		return;
	}
	failure_of(&p->last, f, payload, why);
	finish(p, &p->last);
}

static void gone_late(struct timer *t)
{
	struct placing *p = (struct placing *)((char *)t -
					       offsetof(struct placing, limit));

	failure_set(&p->last, -ETIMEDOUT, p->name, "virgo status",
		    "its node does not answer");
	finish(p, &p->last);
}

void volume_unplace(struct request *r, const struct rec_volume_row *v,
		    bool trusted)
{
	char name[VOLUME_NAME_MAX_BYTES + 1], node[NODE_NAME_MAX + 1];
	struct placing *p;
	struct msg_volume_folder m = { .action = span_of("remove"),
				       .volume = v->name,
				       .path = v->path,
				       .trusted = trusted };

	span_to_cstr(v->name, name, sizeof(name));
	span_to_cstr(v->node, node, sizeof(node));
	p = placing_new(r, name);
	if (!p)
		return;
	m.node = span_of(p->asker);
	if (strcmp(node, r->node->local.node))
		ask_folder(p, node, &m, gone_reply, gone_late);
	else if (volume_folder_remove(r->node, &m, &p->last))
		finish(p, &p->last);
	else
		folder_gone(p);
}

void volume_place_end(struct node *n)
{
	while (n->home->placings)
		placing_free(n->home->placings);
}
