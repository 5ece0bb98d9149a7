// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions of the file service: who is connected, who may still come back, and
 * who has asked for so much that its connection is not read from for a while.
 */
#include "exports_impl.h"
#include "log.h"

enum {
	SESSIONS_MAX = 1024,
	JOBS_HIGH = 128, /* of a session; then it is not read from */
	JOBS_LOW = 64,
	OUT_HIGH = 16 << 20, /* bytes queued for a client; likewise */
	OUT_LOW = 4 << 20,
};

struct filesession *exports_session_of(struct exports *e, const struct conn *c)
{
	struct filesession *s = e->sessions;

	while (s && s->conn != c)
		s = s->next;
	return s;
}

static void session_unlink(struct filesession *s)
{
	struct filesession **at = &s->exports->sessions;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->exports->session_count--;
}

void exports_session_try_free(struct filesession *s)
{
	if (!s->ended || s->jobs)
		return;
	loop_disarm(s->exports->node->loop, &s->grace);
	session_unlink(s);
	filesession_free(s, true);
	/* Its locks went with it. */
}

static void session_end(struct filesession *s)
{
	struct exports *e = s->exports;

	log_info("files: the session of %s ended", s->node);
	s->ended = true;
	exports_job_drop_parked(s);
	exports_session_try_free(s);
	exports_job_retry(e);
}

static void grace_over(struct timer *t)
{
	session_end(
		(struct filesession *)((char *)t -
				       offsetof(struct filesession, grace)));
}

static void disconnect(struct filesession *s)
{
	if (!s->conn)
		return;
	conn_put(s->conn);
	s->conn = NULL;
	if (s->paused) {
		s->paused = false;
		s->exports->paused--;
	}
	loop_expect(s->exports->node->loop, -1);
	loop_arm(s->exports->node->loop, &s->grace,
		 FILESESSION_GRACE_MS * 1000ull);
}

void exports_session_closed(struct node *n, struct conn *c)
{
	struct filesession *s = n->exports ? exports_session_of(n->exports, c)
					   : NULL;

	if (s)
		disconnect(s);
}

void exports_session_follow_policy(struct filesession *s)
{
	struct node *n = s->exports->node;

	/* This node's own users are themselves. */
	if (strcmp(s->node, n->local.node))
		filesession_set_policy(s, policy_get(n->policy));
	filesession_tell_again(s);
}

struct filesession *exports_session_for(struct exports *e, struct request *r,
					bool *resumed)
{
	struct span id = conn_hello(r->conn)->session;
	struct filesession *s = e->sessions;

	*resumed = true;
	if (id.len != sizeof(s->id))
		return NULL;
	while (s && (s->ended || strcmp(s->node, r->peer) ||
		     memcmp(s->id, id.data, sizeof(s->id))))
		s = s->next;
	if (!s) {
		if (e->session_count >= SESSIONS_MAX)
			return NULL;
		s = filesession_new(r->peer, id.data);
		if (!s)
			return NULL;
		*resumed = false;
		s->exports = e;
		s->grace.fire = grace_over;
		s->notes = replies_open(e->node->state, s->id, s->node,
					e->verifier);
		exports_session_follow_policy(s);
		s->next = e->sessions;
		e->sessions = s;
		e->session_count++;
	}
	if (s->conn != r->conn) {
		disconnect(s);
		loop_disarm(e->node->loop, &s->grace);
		s->conn = conn_get(r->conn);
		/* Its next request comes soon after an answer. */
		loop_expect(e->node->loop, 1);
	}
	return s;
}

void exports_session_hold_back(struct filesession *s)
{
	if (s->paused || !s->conn ||
	    (s->jobs < JOBS_HIGH && conn_queued(s->conn) < OUT_HIGH))
		return;
	s->paused = true;
	s->exports->paused++;
	conn_pause(s->conn);
	exports_tick_later(s->exports);
}

void exports_session_resume(struct filesession *s)
{
	if (!s->paused || s->jobs > JOBS_LOW || conn_queued(s->conn) > OUT_LOW)
		return;
	s->paused = false;
	s->exports->paused--;
	conn_resume(s->conn);
}
