// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Questions about the audit log. A log may be large and a user data base slow,
 * so a thread reads both, for one question at a time; the loop's thread only
 * queues questions and sends answers.
 *
 * A struct query belongs to that thread from offload_run() to answered().
 */
#include <stdlib.h>

#include "audit.h"
#include "offload.h"
#include "service.h"
#include "users.h"

enum {
	WAITING_MAX = 32, /* questions */
	FRAME_BYTES = 512 << 10, /* of one AUDIT_ENTRIES, about */
	ANSWER_BYTES_MAX = 32 << 20,
};

struct record {
	struct record *next; /* newer */
	u32 len;
	u8 bytes[];
};

struct query {
	struct offload_work work; /* first */
	struct node *node;
	struct conn *conn;
	u64 tag;
	uid_t uid;
	u64 since_s;
	u32 count;
	struct failure failure;
	struct record *oldest;
	size_t bytes;
};

static void query_free(struct query *q)
{
	struct record *next;

	for (struct record *r = q->oldest; r; r = next) {
		next = r->next;
		free(r);
	}
	conn_put(q->conn);
	free(q);
}

static bool keep(void *arg, const struct audit_entry *e)
{
	struct query *q = arg;
	struct rec_audit_entry rec = { .number = e->number,
				       .time_s = e->time_s,
				       .node = span_of(e->node),
				       .user = span_of(e->user),
				       .action = span_of(e->action),
				       .object = span_of(e->object),
				       .result = span_of(e->result) };
	size_t len = rec_audit_entry_size(&rec) + sizeof(u32);
	struct record *r = malloc(sizeof(*r) + len);
	struct wcursor c;

	if (!r || q->bytes + len > ANSWER_BYTES_MAX) {
		free(r);
		return false;
	}
	c = wcursor_of(r->bytes, len);
	rec_audit_entry_append(&c, &rec);
	r->len = (u32)wcursor_len(&c);
	r->next = q->oldest;
	q->oldest = r;
	q->bytes += r->len;
	return true;
}

static void answer(struct offload_work *w)
{
	struct query *q = (void *)w;
	struct user *u = NULL;
	int ret = 0;

	if (q->uid)
		ret = user_find_uid(&u, q->uid, "audit", &q->failure);
	if (!ret) {
		ret = audit_scan(q->node->state, q->since_s, q->count,
				 u ? u->name : NULL, keep, q);
		if (ret)
			failure_set(&q->failure, ret, "audit.log", NULL,
				    "cannot read it: %s", strerror(-ret));
	}
	free(u);
}

/* Sends records from @r on that fit a frame; the first that did not. */
static struct record *send_some(struct query *q, struct record *r)
{
	struct msg_audit_entries m = { 0 };
	struct record *end = r;
	struct wcursor c;
	size_t len = 0;
	u8 *buf;

	while (end && (!len || len + end->len <= FRAME_BYTES)) {
		len += end->len;
		end = end->next;
	}
	buf = malloc(len + 1);
	if (!buf)
		return NULL;
	c = wcursor_of(buf, len);
	for (; r != end; r = r->next)
		memcpy(wcursor_room(&c, r->len), r->bytes, r->len);
	m.entries = (struct span){ buf, (u32)len };
	conn_message(q->conn, q->tag, FRAME_REPLY | (end ? FRAME_MORE : 0), 0,
		     AUDIT_ENTRIES, audit_entries, &m);
	free(buf);
	return end;
}

static void answered(struct offload_work *w)
{
	struct query *q = (void *)w;
	struct record *r = q->oldest;

	if (q->failure.code) {
		conn_reply_failure(q->conn, q->tag, &q->failure);
	} else {
		do {
			r = send_some(q, r);
		} while (r);
	}
	query_free(q);
}

static void drop(struct offload_work *w)
{
	query_free((void *)w);
}

static void handle_audit(struct request *r)
{
	struct offload *thread = r->node->audit_thread;
	struct query *q = NULL;
	struct msg_audit m;

	if (!request_decode(r, audit, &m))
		return;
	if (offload_pending(thread) < WAITING_MAX)
		q = calloc(1, sizeof(*q));
	if (q) {
		q->work.run = answer;
		q->work.done = answered;
		q->node = r->node;
		q->conn = conn_get(r->conn);
		q->tag = r->frame->tag;
		q->uid = r->uid;
		q->since_s = m.since;
		q->count = m.count ? m.count : AUDIT_COUNT_STANDARD;
		if (q->count > AUDIT_COUNT_MAX)
			q->count = AUDIT_COUNT_MAX;
		if (!offload_run(thread, &q->work))
			return;
		query_free(q);
	}
	request_fail(r, -EBUSY, "audit", "try again",
		     "too many are reading the log");
}

void audit_serve(struct node *n)
{
	static const struct service table[] = {
		{ MSG_AUDIT, FROM_LOCAL | FROM_ROOT, handle_audit },
	};

	n->audit_thread = offload_new(n->loop);
	if (n->audit_thread)
		service_add(n, table, ARRAY_SIZE(table));
}

void audit_serve_end(struct node *n)
{
	offload_free(n->audit_thread, drop);
	n->audit_thread = NULL;
}
