// SPDX-License-Identifier: GPL-2.0-or-later
/* The status of the cloud as seen from here; the contract is in status.h. */
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "catalog.h"
#include "loads.h"
#include "peers.h"
#include "service.h"

struct answer { /* of one node that was asked */
	struct query *query;
	u64 tag; /* of the open exchange; 0 when it is over */
	char name[NODE_NAME_MAX + 1];
	bool came;
	bool dialled; /* the question had to wait for a connection */
	u64 asked_us;
	u32 round_trip_us; /* of the question itself; 0: not measured */
	struct load load;
	char version[32];
};

struct query {
	LIST_ENTRY(query) entry;
	struct node *node;
	struct conn *conn;
	u64 tag;
	struct timer timer;
	u32 open; /* answers that are still due */
	u32 count;
	struct answer answer[STATUS_ASK_MAX];
};

static LIST_HEAD(, query) queries = LIST_HEAD_INITIALIZER(queries);

static const struct answer *answer_of(const struct query *q, const char *name)
{
	u32 i;

	for (i = 0; i < q->count; i++)
		if (q->answer[i].came && !strcmp(q->answer[i].name, name))
			return &q->answer[i];
	return NULL;
}

static struct rec_node_status row_of(const struct query *q,
				     const struct member *m)
{
	const struct answer *a = answer_of(q, m->name);
	const struct load *l = a ? &a->load : &m->load;
	u32 round_trip_us = m->round_trip_us;

	if (!round_trip_us && !m->self)
		round_trip_us = peers_round_trip_us(q->node->peers, m->name);
	if (!round_trip_us && a)
		round_trip_us = a->round_trip_us;
	return (struct rec_node_status){
		.name = span_of(m->name),
		.state = span_of(member_state_name(m)),
		.address = span_of(m->addresses),
		.cpus = l->cpus,
		.idle_ppm = l->idle_ppm,
		.load1_milli = l->load1_milli,
		.memory_bytes = l->memory_bytes,
		.memory_free_bytes = l->memory_free_bytes,
		.round_trip_us = round_trip_us,
		.jobs = l->jobs,
		.version = span_of(a	     ? a->version
				   : m->self ? VIRGO_VERSION
					     : ""),
		.home = m->home,
		.self = m->self,
	};
}

static int by_name(const void *a, const void *b)
{
	const struct member *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* All nodes in order of names; the array is the caller's to free. */
static const struct member **members(struct membership *ms, u32 *count)
{
	const struct member **all = NULL, *m;
	size_t at = 0, n = 0;

	while (membership_next(ms, &at))
		n++;
	all = calloc(n, sizeof(*all));
	*count = all ? (u32)n : 0;
	for (at = n = 0; all && (m = membership_next(ms, &at)); n++)
		all[n] = m;
	if (all)
		qsort(all, n, sizeof(*all), by_name);
	return all;
}

static u8 *rows(const struct query *q, size_t *len)
{
	u32 count, i;
	const struct member **all = members(q->node->membership, &count);
	struct wcursor c;
	u8 *out;

	*len = 0;
	for (i = 0; i < count; i++) {
		struct rec_node_status r = row_of(q, all[i]);

		*len += 4 + rec_node_status_size(&r);
	}
	out = malloc(*len + 1);
	c = wcursor_of(out, out ? *len : 0);
	for (i = 0; i < count && out; i++) {
		struct rec_node_status r = row_of(q, all[i]);

		rec_node_status_append(&c, &r);
	}
	*len = wcursor_len(&c);
	free(all);
	return out;
}

static void reply(struct query *q)
{
	const struct catalog_head *h =
		q->node->catalog ? catalog_head(q->node->catalog) : NULL;
	size_t len;
	u8 *list = rows(q, &len);
	struct msg_status_reply m = {
		.cloud = span_of(h ? h->cloud : ""),
		.self = span_of(q->node->local.node),
		.home = span_of(h ? h->home : ""),
		.change = h ? h->change : 0,
		.nodes = { list, (u32)len },
	};

	conn_reply(q->conn, q->tag, STATUS_REPLY, status_reply, &m);
	free(list);
}

static void query_end(struct query *q, bool answer)
{
	u32 i;

	for (i = 0; i < q->count; i++)
		if (q->answer[i].tag)
			peers_forget(q->node->peers, q->answer[i].tag);
	loop_disarm(q->node->loop, &q->timer);
	if (answer)
		reply(q);
	LIST_REMOVE(q, entry);
	conn_put(q->conn);
	free(q);
}

static void take_load(struct answer *a, const struct frame *f,
		      const u8 *payload)
{
	struct msg_load_reply m;

	if (f->type != MSG_LOAD_REPLY ||
	    msg_load_reply_decode(&m, payload, f->length))
		return;
	a->load = (struct load){ .cpus = m.cpus,
				 .idle_ppm = m.idle_ppm,
				 .load1_milli = m.load1_milli,
				 .jobs = m.jobs,
				 .memory_bytes = m.memory_bytes,
				 .memory_free_bytes = m.memory_free_bytes };
	span_to_cstr(m.version, a->version, sizeof(a->version));
	a->came = true;
}

static void on_load(void *arg, const struct frame *f, const u8 *payload,
		    const struct failure *why);

static bool ask_load(struct answer *a)
{
	struct peers *peers = a->query->node->peers;

	a->dialled = !peers_epoch(peers, a->name, TLS_CONTROL);
	a->asked_us = loop_clock_us();
	a->tag = peers_call(peers, a->name, TLS_CONTROL, MSG_LOAD, NULL, 0,
			    on_load, a);
	return a->tag != 0;
}

/* Neither membership nor a heartbeat may have measured a node that has just come
 * up: then the question does. One that waited for its connection tells nothing
 * and is put again.
 */
static void on_load(void *arg, const struct frame *f, const u8 *payload,
		    const struct failure *why)
{
	struct answer *a = arg;

	a->tag = 0;
	if (f)
		take_load(a, f, payload);
	if (f && a->dialled && ask_load(a))
		return;
	if (f && !a->dialled)
		a->round_trip_us = (u32)(loop_clock_us() - a->asked_us);
	if (--a->query->open == 0)
		query_end(a->query, true);
}

static void on_timeout(struct timer *t)
{
	query_end((struct query *)((char *)t - offsetof(struct query, timer)),
		  true);
}

static void ask(struct query *q, const struct member *m)
{
	struct answer *a = &q->answer[q->count];

	a->query = q;
	snprintf(a->name, sizeof(a->name), "%s", m->name);
	if (!ask_load(a))
		return;
	q->count++;
	q->open++;
}

static void ask_all(struct query *q)
{
	struct membership *ms = q->node->membership;
	const struct member *m;
	size_t at = 0, n = 0;

	while (membership_next(ms, &at))
		n++;
	if (n > STATUS_ASK_MAX)
		return;
	for (at = 0; (m = membership_next(ms, &at));)
		if (!m->self && m->state != SWIM_DOWN)
			ask(q, m);
}

static void serve_status(struct request *r)
{
	struct query *q;

	if (!r->node->membership) {
		request_fail(r, -ENOENT, "status",
			     "virgo init NAME, or the virgo join line that "
			     "virgo invite prints on a node of the cloud",
			     "this machine belongs to no cloud");
		return;
	}
	q = calloc(1, sizeof(*q));
	if (!q) {
		request_fail(r, -ENOMEM, "status", NULL, "out of memory");
		return;
	}
	q->node = r->node;
	q->conn = conn_get(r->conn);
	q->tag = r->frame->tag;
	q->timer.fire = on_timeout;
	LIST_INSERT_HEAD(&queries, q, entry);
	ask_all(q);
	if (!q->open)
		query_end(q, true);
	else
		loop_arm(q->node->loop, &q->timer, STATUS_WAIT_MS * 1000);
}

static const struct service services[] = {
	{ MSG_STATUS, FROM_LOCAL, serve_status },
};

void status_serve(struct node *n)
{
	service_add(n, services, ARRAY_SIZE(services));
}

void status_end(struct node *n)
{
	while (!LIST_EMPTY(&queries))
		query_end(LIST_FIRST(&queries), false);
}
