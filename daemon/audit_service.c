// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Questions about the audit log. A log may be large and a user data base slow,
 * so a thread reads both, for one question at a time; the loop's thread only
 * queues questions and sends answers.
 *
 *	loop: request -> waiting -> [thread: answer()] -> loop: finished()
 *
 * A struct query belongs to the thread between pthread_create() and loop_post().
 */
#include <pthread.h>
#include <stdlib.h>

#include "audit.h"
#include "service.h"
#include "users.h"

enum {
	WAITING_MAX = 32,
	FRAME_BYTES = 512 << 10, /* of one AUDIT_ENTRIES, about */
	ANSWER_BYTES_MAX = 32 << 20,
};

struct record {
	struct record *next; /* newer */
	u32 len;
	u8 bytes[];
};

struct query {
	struct post post;
	struct query *next;
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

struct audit_queries {
	pthread_t thread;
	struct query *running;
	struct query *waiting; /* in order */
	u32 waiting_count;
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

static void finished(struct post *p);

static void *answer(void *arg)
{
	struct query *q = arg;
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
	q->post.run = finished;
	loop_post(q->node->loop, &q->post);
	return NULL;
}

static void start_next(struct audit_queries *qs)
{
	struct query *q;

	while (!qs->running && qs->waiting) {
		q = qs->waiting;
		qs->waiting = q->next;
		qs->waiting_count--;
		if (pthread_create(&qs->thread, NULL, answer, q) == 0) {
			qs->running = q;
			return;
		}
		failure_set(&q->failure, -EAGAIN, "audit", "try again",
			    "this node has no thread left");
		conn_reply_failure(q->conn, q->tag, &q->failure);
		query_free(q);
	}
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

static void finished(struct post *p)
{
	struct query *q = (void *)((u8 *)p - offsetof(struct query, post));
	struct audit_queries *qs = q->node->audit_queries;
	struct record *r = q->oldest;

	pthread_join(qs->thread, NULL);
	qs->running = NULL;
	if (q->failure.code) {
		conn_reply_failure(q->conn, q->tag, &q->failure);
	} else {
		do {
			r = send_some(q, r);
		} while (r);
	}
	query_free(q);
	start_next(qs);
}

static void handle_audit(struct request *r)
{
	struct audit_queries *qs = r->node->audit_queries;
	struct query **at = &qs->waiting;
	struct msg_audit m;
	struct query *q;

	if (!request_decode(r, audit, &m))
		return;
	q = qs->waiting_count < WAITING_MAX ? calloc(1, sizeof(*q)) : NULL;
	if (!q) {
		request_fail(r, -EBUSY, "audit", "try again",
			     "too many are reading the log");
		return;
	}
	q->node = r->node;
	q->conn = conn_get(r->conn);
	q->tag = r->frame->tag;
	q->uid = r->uid;
	q->since_s = m.since;
	q->count = m.count ? m.count : AUDIT_COUNT_STANDARD;
	if (q->count > AUDIT_COUNT_MAX)
		q->count = AUDIT_COUNT_MAX;
	while (*at)
		at = &(*at)->next;
	*at = q;
	qs->waiting_count++;
	start_next(qs);
}

void audit_serve(struct node *n)
{
	static const struct service table[] = {
		{ MSG_AUDIT, FROM_LOCAL | FROM_ROOT, handle_audit },
	};

	n->audit_queries = calloc(1, sizeof(*n->audit_queries));
	if (n->audit_queries)
		service_add(n, table, ARRAY_SIZE(table));
}

void audit_serve_end(struct node *n)
{
	struct audit_queries *qs = n->audit_queries;
	struct query *next;

	if (!qs)
		return;
	if (qs->running) {
		pthread_join(qs->thread, NULL);
		query_free(qs->running);
	}
	for (struct query *q = qs->waiting; q; q = next) {
		next = q->next;
		query_free(q);
	}
	free(qs);
	n->audit_queries = NULL;
}
