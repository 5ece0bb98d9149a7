// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What another node's examination asks of this one: to probe its machine, and to
 * try the way back and look at the users. Disks and user data bases may be slow,
 * so both are looked at in a thread.
 */
#include <stdlib.h>

#include "doctor_impl.h"
#include "offload.h"
#include "peers.h"
#include "policy.h"
#include "users.h"

enum { USERS_LOOKED_AT_MAX = 64 };

/* This machine's probes, for another node. */
struct probing {
	struct offload_work work; /* first */
	struct conn *conn;
	u64 tag;
	struct doctor_where where;
	struct findings findings;
};

static void probe(struct offload_work *w)
{
	struct probing *p = (void *)w;

	doctor_machine(&p->where, findings_add, &p->findings);
}

static void probing_free(struct offload_work *w)
{
	struct probing *p = (void *)w;

	conn_put(p->conn);
	findings_free(&p->findings);
	free(p);
}

static void probed(struct offload_work *w)
{
	struct probing *p = (void *)w;
	const struct msg_doctor_report m = {
		.findings = { p->findings.data, p->findings.len }
	};

	conn_reply(p->conn, p->tag, DOCTOR_REPORT, doctor_report, &m);
	probing_free(w);
}

void doctor_examine_machine(struct request *r)
{
	struct node *n = r->node;
	struct probing *p = NULL;

	if (offload_pending(n->doctor->thread) < RUNNING_MAX)
		p = calloc(1, sizeof(*p));
	if (p) {
		p->work.run = probe;
		p->work.done = probed;
		p->conn = conn_get(r->conn);
		p->tag = r->frame->tag;
		p->where = (struct doctor_where){ "", n->state, n->conf_dir };
		if (!offload_run(n->doctor->thread, &p->work))
			return;
		probing_free(&p->work);
	}
	request_fail(r, -EBUSY, "doctor", "try again",
		     "this node is being examined by many");
}

/* What another node asked about the way to us: two halves, of which the one that
 * ends last answers.
 */
struct visit {
	struct offload_work work; /* first */
	struct node *node;
	struct conn *conn;
	u64 tag;
	char from[64];
	struct policy *policy;
	u8 *users;
	u32 users_len;
	struct findings findings;
	u64 call;
	char back[200];
	u32 halves;
	struct visit *next, **prev;
};

static void visit_free(struct visit *v)
{
	*v->prev = v->next;
	if (v->next)
		v->next->prev = v->prev;
	conn_put(v->conn);
	policy_put(v->policy);
	findings_free(&v->findings);
	free(v->users);
	free(v);
}

static void half_done(struct visit *v)
{
	struct msg_doctor_peer_reply m = { 0 };

	if (--v->halves)
		return;
	m.time_us = doctor_wall_us();
	m.back = span_of(v->back);
	m.state = span_of(doctor_state_of(v->node, v->from));
	m.findings = (struct span){ v->findings.data, v->findings.len };
	conn_reply(v->conn, v->tag, DOCTOR_PEER_REPLY, doctor_peer_reply, &m);
	visit_free(v);
}

static void called_back(void *arg, const struct frame *f, const u8 *payload,
			const struct failure *why)
{
	struct visit *v = arg;

	if (!f)
		snprintf(v->back, sizeof(v->back), "%.199s", why->what[0] ?
			 why->what : "the connection ended");
	v->call = 0;
	half_done(v);
}

/* Whether @name of the visitor's node could run a job here. */
static int look_at_user(const struct visit *v, const char *name,
			struct failure *f)
{
	const struct conf_cloud *conf = policy_conf(v->policy);
	struct policy_grant g;
	struct user *u = NULL;
	int ret = policy_admit(v->policy, v->from, name, "", &g, f);

	if (!ret)
		ret = user_find(&u, g.user, "", f);
	if (!ret && !g.system)
		ret = user_ordinary(u, conf->jobs_uid_min, NULL, "", f);
	if (!ret)
		ret = user_account(u, (enum user_pam)conf->jobs_pam, NULL,
				   v->from, "", f);
	free(u);
	return ret;
}

static void look_at_users(struct offload_work *w)
{
	struct visit *v = (void *)w;
	struct rcursor list = rcursor_of(v->users, v->users_len);
	struct rec_text name;
	char user[USER_NAME_MAX];

	for (u32 i = 0; i < USERS_LOOKED_AT_MAX &&
			rec_text_next(&list, &name) == 1; i++) {
		struct doctor_finding out = { .level = DOCTOR_OK };
		struct failure f = { 0 };

		if (!span_to_cstr(name.text, user, sizeof(user)))
			continue;
		snprintf(out.name, sizeof(out.name), "user %.40s", user);
		if (look_at_user(v, user, &f)) {
			out.level = f.code == -ENOENT ? DOCTOR_FAIL :
							DOCTOR_NOTE;
			snprintf(out.what, sizeof(out.what), "on %s: %.240s",
				 v->node->local.node, f.what);
			snprintf(out.remedy, sizeof(out.remedy), "%s",
				 f.remedy);
		}
		if (f.code == -ENOENT)
			snprintf(out.remedy, sizeof(out.remedy), "on %s: sudo "
				 "useradd -m %.60s, or write %.60s = ACCOUNT "
				 "below [idmap] in virgo_cloud.conf",
				 v->node->local.node, user, user);
		findings_add(&v->findings, &out);
	}
}

static void users_looked_at(struct offload_work *w)
{
	half_done((void *)w);
}

static void call_back(struct visit *v)
{
	const struct msg_doctor_peer m = { .back = 1 };
	u8 buf[32];
	struct wcursor c = wcursor_of(buf, sizeof(buf));

	msg_doctor_peer_encode(&c, &m);
	v->call = peers_call(v->node->peers, v->from, TLS_CONTROL,
			     MSG_DOCTOR_PEER, buf, wcursor_len(&c),
			     called_back, v);
	if (!v->call) {
		snprintf(v->back, sizeof(v->back), "out of memory");
		half_done(v);
	}
}

void doctor_visited(struct request *r)
{
	struct msg_doctor_peer_reply at_once = { .time_us = doctor_wall_us() };
	struct doctor *d = r->node->doctor;
	struct msg_doctor_peer m;
	struct visit *v;

	if (!request_decode(r, doctor_peer, &m))
		return;
	if (m.back) {
		request_reply(r, DOCTOR_PEER_REPLY, doctor_peer_reply,
			      &at_once);
		return;
	}
	v = offload_pending(d->thread) < RUNNING_MAX ? calloc(1, sizeof(*v)) :
						       NULL;
	if (v)
		v->users = malloc(m.users.len + 1);
	if (!v || !v->users) {
		free(v);
		request_fail(r, -EBUSY, "doctor", "try again",
			     "this node is being examined by many");
		return;
	}
	if (m.users.len)
		memcpy(v->users, m.users.data, m.users.len);
	v->users_len = m.users.len;
	v->work.run = look_at_users;
	v->work.done = users_looked_at;
	v->node = r->node;
	v->conn = conn_get(r->conn);
	v->tag = r->frame->tag;
	v->policy = policy_get(r->node->policy);
	snprintf(v->from, sizeof(v->from), "%s", r->peer);
	v->next = d->visits;
	v->prev = &d->visits;
	if (v->next)
		v->next->prev = &v->next;
	d->visits = v;
	v->halves = 2;
	if (offload_run(d->thread, &v->work))
		v->halves = 1;
	call_back(v);
}

static void drop(struct offload_work *w)
{
	if (w->run == probe)
		probing_free(w);
}

void doctor_visits_end(struct doctor *d)
{
	/* Visits are in a list of their own. */
	offload_free(d->thread, drop);
	while (d->visits) {
		peers_forget(d->node->peers, d->visits->call);
		visit_free(d->visits);
	}
}
