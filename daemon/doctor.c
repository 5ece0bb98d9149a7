// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Examinations; the contract is in doctor.h. An examination has parts under way,
 * which add findings to it as they end; when none is left it answers:
 *
 *	machine	this machine's probes, in a thread		(asked by a node)
 *	remote	the other node's machine, asked of it		(asked by a user)
 *	pair	the way to one other node, in steps		(asked by a user)
 *
 * The steps of a pair: a first message makes the connection, a second one times
 * the clock, a third has the other side call back and look at the users.
 */
#include <stdlib.h>
#include <time.h>

#include "doctor_impl.h"
#include "membership.h"
#include "offload.h"
#include "peers.h"

enum {
	PAIRS_MAX = 64, /* in one examination */
	PART_US = 12000000, /* a part without an answer ends after this */
};

struct examination {
	struct examination *next, **prev;
	struct doctor *doctor;
	struct conn *conn;
	u64 tag;
	u8 *users; /* the list of names, as it came */
	u32 users_len;
	struct findings findings;
	struct part *parts;
};

enum step { REMOTE, REACH, CLOCK, BACK };

/* A question to another node. */
struct part {
	struct part *next;
	struct examination *owner;
	enum step step;
	char there[64];
	u64 call;
	struct timer deadline;
	u64 asked_us; /* wall clock */
	struct doctor_pair pair;
};

static void part_ask(struct part *p);

u64 doctor_wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (u64)t.tv_sec * 1000000 + (u64)t.tv_nsec / 1000;
}

void findings_append(struct findings *to, struct span list)
{
	if (to->room - to->len < list.len) {
		u32 room = (to->len + list.len) * 2;
		u8 *more = realloc(to->data, room);

		if (!more)
			return;
		to->data = more;
		to->room = room;
	}
	if (list.len)
		memcpy(to->data + to->len, list.data, list.len);
	to->len += list.len;
}

void findings_add(void *list, const struct doctor_finding *f)
{
	const struct rec_finding rec = { .name = span_of(f->name),
					 .level = (u8)f->level,
					 .what = span_of(f->what),
					 .remedy = span_of(f->remedy) };
	u8 bytes[sizeof(*f) + 32];
	struct wcursor c = wcursor_of(bytes, sizeof(bytes));

	rec_finding_append(&c, &rec);
	findings_append(list, (struct span){ bytes, (u32)wcursor_len(&c) });
}

void findings_free(struct findings *l)
{
	free(l->data);
	*l = (struct findings){ 0 };
}

static void examination_free(struct examination *e)
{
	struct node *n = e->doctor->node;
	struct part *next;

	for (struct part *p = e->parts; p; p = next) {
		next = p->next;
		loop_disarm(n->loop, &p->deadline);
		peers_forget(n->peers, p->call);
		free(p);
	}
	*e->prev = e->next;
	if (e->next)
		e->next->prev = e->prev;
	e->doctor->running--;
	conn_put(e->conn);
	findings_free(&e->findings);
	free(e->users);
	free(e);
}

static void answer_if_done(struct examination *e)
{
	const struct msg_doctor_report m = {
		.findings = { e->findings.data, e->findings.len }
	};

	if (e->parts)
		return;
	conn_reply(e->conn, e->tag, DOCTOR_REPORT, doctor_report, &m);
	examination_free(e);
}

static void part_end(struct part *p)
{
	struct examination *e = p->owner;
	struct node *n = e->doctor->node;
	struct part **at = &e->parts;

	if (p->step != REMOTE)
		doctor_pair(&p->pair, findings_add, &e->findings);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	loop_disarm(n->loop, &p->deadline);
	free(p);
	answer_if_done(e);
}

static void part_failed(struct part *p, const struct failure *why)
{
	if (p->step == REACH) {
		p->pair.out = *why;
	} else if (p->step == BACK) {
		p->pair.asked_back = true;
		snprintf(p->pair.back, sizeof(p->pair.back), "%.199s",
			 why->what);
		snprintf(p->pair.state_back, sizeof(p->pair.state_back),
			 "unknown");
	}
	part_end(p);
}

static void part_late(struct timer *t)
{
	struct part *p = (void *)((u8 *)t - offsetof(struct part, deadline));
	struct failure f;

	peers_forget(p->owner->doctor->node->peers, p->call);
	failure_set(&f, -ETIMEDOUT, p->there, NULL, "no answer within %d s",
		    PART_US / 1000000);
	part_failed(p, &f);
}

static void take_clock(struct part *p, u64 there_us)
{
	u64 now_us = doctor_wall_us();

	p->pair.clock_known = true;
	p->pair.skew_us = (s64)(there_us - (p->asked_us +
					    (now_us - p->asked_us) / 2));
	p->pair.error_us = (u32)((now_us - p->asked_us) / 2);
}

static void take_back(struct part *p, const struct msg_doctor_peer_reply *m)
{
	p->pair.asked_back = true;
	if (!span_to_cstr(m->back, p->pair.back, sizeof(p->pair.back)) &&
	    m->back.len)
		snprintf(p->pair.back, sizeof(p->pair.back), "it cannot");
	if (!span_to_cstr(m->state, p->pair.state_back,
			  sizeof(p->pair.state_back)))
		snprintf(p->pair.state_back, sizeof(p->pair.state_back),
			 "unknown");
	findings_append(&p->owner->findings, m->findings);
}

static void part_answered(struct part *p, const struct frame *f,
			  const u8 *payload)
{
	struct msg_doctor_report report;
	struct msg_doctor_peer_reply m;

	if (p->step == REMOTE) {
		if (!msg_doctor_report_decode(&report, payload, f->length))
			findings_append(&p->owner->findings, report.findings);
		part_end(p);
		return;
	}
	if (msg_doctor_peer_reply_decode(&m, payload, f->length)) {
		part_end(p);
		return;
	}
	if (p->step == CLOCK)
		take_clock(p, m.time_us);
	if (p->step == BACK) {
		take_back(p, &m);
		part_end(p);
		return;
	}
	p->step++;
	part_ask(p);
}

static void on_reply(void *arg, const struct frame *f, const u8 *payload,
		     const struct failure *why)
{
	struct part *p = arg;
	struct msg_error e;
	struct failure fail = { .code = -EPROTO };

	p->call = 0;
	if (!f) {
		part_failed(p, why);
	} else if (f->type == MSG_ERROR) {
		if (!msg_error_decode(&e, payload, f->length))
			failure_from_message(&fail, &e);
		part_failed(p, &fail);
	} else {
		part_answered(p, f, payload);
	}
}

static void part_ask(struct part *p)
{
	struct examination *e = p->owner;
	const struct msg_doctor remote = { 0 };
	const struct msg_doctor_peer peer = {
		.back = p->step != BACK,
		.users = { e->users, p->step == BACK ? e->users_len : 0 }
	};
	size_t len = p->step == REMOTE ? msg_doctor_size(&remote) :
					 msg_doctor_peer_size(&peer);
	u8 *buf = malloc(len);
	struct wcursor c = wcursor_of(buf, buf ? len : 0);
	const struct failure no_memory = { .code = -ENOMEM,
					   .what = "out of memory" };

	if (p->step == REMOTE)
		msg_doctor_encode(&c, &remote);
	else
		msg_doctor_peer_encode(&c, &peer);
	loop_arm(e->doctor->node->loop, &p->deadline, PART_US);
	p->asked_us = doctor_wall_us();
	if (buf)
		p->call = peers_call(e->doctor->node->peers, p->there,
				     TLS_CONTROL, p->step == REMOTE ?
				     MSG_DOCTOR : MSG_DOCTOR_PEER, buf, len,
				     on_reply, p);
	free(buf);
	if (!p->call)
		part_failed(p, &no_memory);
}

const char *doctor_state_of(struct node *n, const char *name)
{
	const struct member *m = n->membership ?
				 membership_find(n->membership, name) : NULL;

	return m ? member_state_name(m) : "unknown";
}

static struct part *part_add(struct examination *e, const char *there,
			     enum step step)
{
	struct node *n = e->doctor->node;
	struct part *p = calloc(1, sizeof(*p));
	struct part **at = &e->parts;

	if (!p)
		return NULL;
	p->owner = e;
	p->step = step;
	p->deadline.fire = part_late;
	snprintf(p->there, sizeof(p->there), "%s", there);
	p->pair.here = n->local.node;
	p->pair.there = p->there;
	p->pair.port = n->port;
	snprintf(p->pair.state, sizeof(p->pair.state), "%s",
		 doctor_state_of(n, there));
	while (*at)
		at = &(*at)->next;
	*at = p;
	return p;
}

/* Gives NULL, having answered, when there are too many already. */
static struct examination *examination_new(struct request *r,
					   struct span users)
{
	struct doctor *d = r->node->doctor;
	struct examination *e = NULL;

	if (d->running < RUNNING_MAX)
		e = calloc(1, sizeof(*e));
	if (!e) {
		request_fail(r, -EBUSY, "doctor", "try again",
			     "this node is being examined by many");
		return NULL;
	}
	e->users = malloc(users.len + 1);
	if (e->users && users.len) {
		memcpy(e->users, users.data, users.len);
		e->users_len = users.len;
	}
	e->doctor = d;
	e->conn = conn_get(r->conn);
	e->tag = r->frame->tag;
	e->next = d->all;
	e->prev = &d->all;
	if (e->next)
		e->next->prev = &e->next;
	d->all = e;
	d->running++;
	return e;
}

/* The parts begin when all are there, for the last to end gives the answer. */
static void begin(struct examination *e)
{
	struct part *parts[PAIRS_MAX + 1];
	u32 count = 0;

	for (struct part *p = e->parts; p && count <= PAIRS_MAX; p = p->next)
		parts[count++] = p;
	if (!count)
		answer_if_done(e);
	for (u32 i = 0; i < count; i++)
		part_ask(parts[i]);
}

static void examine_ways(struct request *r, const char *name,
			 struct span users)
{
	struct node *n = r->node;
	struct examination *e;
	const struct member *m;
	size_t at = 0;
	u32 count = 0;

	if (*name && !membership_find(n->membership, name)) {
		request_fail(r, -ENOENT, name, "virgo node list",
			     "the cloud has no node of this name");
		return;
	}
	e = examination_new(r, users);
	if (!e)
		return;
	if (*name) {
		part_add(e, name, REMOTE);
		part_add(e, name, REACH);
	}
	while (!*name && count < PAIRS_MAX &&
	       (m = membership_next(n->membership, &at)))
		if (!m->self && part_add(e, m->name, REACH))
			count++;
	begin(e);
}

static void handle_doctor(struct request *r)
{
	char name[64] = "";
	struct msg_doctor m;

	if (!request_decode(r, doctor, &m))
		return;
	if (r->peer) {
		doctor_examine_machine(r);
		return;
	}
	if (m.node.len && !span_to_cstr(m.node, name, sizeof(name)))
		request_fail(r, -ENOENT, "doctor", "virgo node list",
			     "no node has such a name");
	else if (!strcmp(name, r->node->local.node))
		examine_ways(r, "", m.users);
	else
		examine_ways(r, name, m.users);
}

struct doctor *doctor_new(struct node *n)
{
	static const struct service table[] = {
		{ MSG_DOCTOR, FROM_LOCAL | FROM_ROOT | FROM_PEER,
		  handle_doctor },
		{ MSG_DOCTOR_PEER, FROM_PEER, doctor_visited },
	};
	struct doctor *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->node = n;
	d->thread = offload_new(n->loop);
	if (!d->thread) {
		free(d);
		return NULL;
	}
	service_add(n, table, ARRAY_SIZE(table));
	return d;
}

void doctor_end(struct doctor *d)
{
	if (!d)
		return;
	doctor_visits_end(d);
	while (d->all)
		examination_free(d->all);
	free(d);
}
