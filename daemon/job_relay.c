// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A local caller's request on its way to another node: frames of the caller go
 * out under the peer's tag, answers come back under the caller's.
 *
 * Bytes of stdout and stderr are never more under way than the caller has
 * allowed, and never more than this stream's share of the budget: credit above
 * it is held back (owed) and passed on as data arrives. A caller that allows
 * much and reads nothing gets no further credit while its queue is long.
 */
#include "job.h"

#include "peers.h"

struct relay_stream {
	u64 owed; /* allowed by the caller, not yet passed on */
	u64 out; /* passed on, data not yet here */
};

struct relay {
	struct exchange x;
	struct relay *next, **at;
	u64 tag; /* of the exchange with the peer; 0: over */
	u16 type;
	u64 start_us;
	struct relay_stream stream[JOB_STREAMS];
	char node[NODE_NAME_MAX + 1];
};

static void relay_free(struct relay *r)
{
	exchange_close(&r->x);
	*r->at = r->next;
	if (r->next)
		r->next->at = r->at;
	free(r);
}

/* Passes on what may be of the credit owed on @stream. */
static void pay(struct relay *r, u32 stream)
{
	struct relay_stream *s = &r->stream[stream];
	struct frame f = { .type = MSG_JOB_CREDIT, .stream = stream };
	u64 most = jobs_window(r->x.jobs);
	u64 room = s->out < most ? most - s->out : 0;

	if (!r->x.conn || conn_queued(r->x.conn) > CONN_HIGH)
		return;
	if (room > s->owed)
		room = s->owed;
	/* Small grants cost a frame each; what is under way keeps data coming. */
	if (!room || (room < most / 4 && s->out && room < s->owed))
		return;
	s->owed -= room;
	s->out += room;
	f.credit = (u32)room;
	peers_send(r->x.jobs->node->peers, r->tag, &f, NULL, 0);
}

static void relay_frame(struct exchange *x, const struct frame *f,
			const u8 *payload)
{
	struct relay *r = (struct relay *)x;
	struct frame out = *f;

	if (f->stream < JOB_STREAMS && f->credit) {
		r->stream[f->stream].owed += f->credit;
		if (f->type == MSG_JOB_CREDIT) {
			pay(r, f->stream);
			return;
		}
		out.credit = 0;
		pay(r, f->stream);
	}
	peers_send(x->jobs->node->peers, r->tag, &out, payload, f->length);
}

static void relay_gone(struct exchange *x)
{
	struct relay *r = (struct relay *)x;
	const struct frame f = { .type = MSG_JOB_CANCEL };

	peers_send(x->jobs->node->peers, r->tag, &f, NULL, 0);
	peers_forget(x->jobs->node->peers, r->tag);
	relay_free(r);
}

static const struct exchange_ops relay_ops = { relay_frame, relay_gone };

static void relay_answer(void *arg, const struct frame *f, const u8 *payload,
			 const struct failure *why)
{
	struct relay *r = arg;
	struct frame out;

	if (!f) {
		struct failure lost = *why;

		snprintf(lost.object, sizeof(lost.object), "%s on %.63s",
			 r->type == MSG_JOB_START ? "run" : "job", r->node);
		exchange_fail(&r->x, &lost);
		relay_free(r);
		return;
	}
	out = *f;
	out.tag = r->x.tag;
	if (conn_send(r->x.conn, &out, payload, f->length, NULL, 0) == -ENOMEM)
		conn_close(r->x.conn, NULL);
	if (f->type == MSG_JOB_DATA && f->stream < JOB_STREAMS) {
		struct relay_stream *s = &r->stream[f->stream];

		s->out -= f->length < s->out ? f->length : s->out;
		pay(r, f->stream);
	}
	if (!(f->flags & FRAME_MORE)) {
		if (f->type == MSG_JOB_EXIT && r->type == MSG_JOB_START)
			jobs_served(r->x.jobs, r->node, r->start_us);
		relay_free(r);
	}
}

void relay_start(const struct caller *who, const char *name, u16 type,
		 const void *payload, size_t len, u32 window, u32 owed)
{
	struct jobs *js = who->jobs;
	struct relay *r = calloc(1, sizeof(*r));
	int ret = r ? exchange_open(&r->x, who, &relay_ops) : -ENOMEM;

	if (ret) {
		free(r);
		caller_fail(who, ret, name, NULL, "too much is under way: %s",
			    strerror(-ret));
		return;
	}
	snprintf(r->node, sizeof(r->node), "%s", name);
	r->type = type;
	r->start_us = loop_clock_us();
	r->stream[1].out = r->stream[2].out = window;
	r->stream[1].owed = r->stream[2].owed = owed;
	r->next = js->relays;
	r->at = &js->relays;
	if (r->next)
		r->next->at = &r->next;
	js->relays = r;
	r->tag = peers_call(js->node->peers, name, TLS_KERNEL, type, payload,
			    len, relay_answer, r);
	if (!r->tag) {
		relay_free(r);
		caller_fail(who, -ENOMEM, name, NULL, "out of memory");
	}
}

void relay_free_all(struct jobs *js)
{
	while (js->relays) {
		peers_forget(js->node->peers, js->relays->tag);
		relay_free(js->relays);
	}
}

void relay_drained(struct jobs *js, struct conn *c)
{
	struct relay *r;

	for (r = js->relays; r; r = r->next)
		if (r->x.conn == c) {
			pay(r, 1);
			pay(r, 2);
		}
}

u32 jobs_in_flight(const struct jobs *js, const char *node)
{
	const struct relay *r;
	u32 count = 0;

	if (!strcmp(js->node->local.node, node))
		return job_count_asked(js);
	for (r = js->relays; r; r = r->next)
		count += r->type == MSG_JOB_START && !strcmp(r->node, node);
	return count;
}
