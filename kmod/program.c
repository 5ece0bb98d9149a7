// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs on their way: their state, and what the peer says of them; the contract is
 * in program.h.
 */
#include "program.h"

#include <linux/err.h>
#include <linux/slab.h>
#include <linux/virgo.h>

#include "conn.h"
#include "instance.h"
#include "peer.h"
#include "program_state.h"

enum { SIGNAL_MAX = 64 };

void programs_init(struct programs *ps, struct conn *conn, const char *node,
		   bool agent)
{
	ps->conn = conn;
	ps->node = node;
	ps->agent = agent;
	mutex_init(&ps->lock);
	INIT_LIST_HEAD(&ps->list);
	port_init(&ps->port);
}

void programs_free(struct programs *ps)
{
	port_free(&ps->port);
}

void program_free(struct program *p)
{
	u32 i;

	for (i = 0; i < JOB_STREAMS; i++)
		kvfree(p->stream[i].ring);
	conn_out_free(p->first);
	conn_out_free(p->last);
	port_free(&p->port);
	kfree(p);
}

void program_over(struct program *p)
{
	if (list_empty(&p->link))
		return;
	list_del_init(&p->link);
	if (p->serving) {
		p->all->served--;
		program_free(p);
	}
}

struct program *program_find(struct programs *ps, u64 tag, bool serving)
{
	struct program *p;

	list_for_each_entry(p, &ps->list, link)
		if (p->tag == tag && p->serving == serving)
			return p;
	return NULL;
}

/* A copy of a frame for the reader, under its tag. */
static struct conn_out *keep(const struct frame *f, u64 tag, const u8 *payload)
{
	struct frame copy = *f;
	struct conn_out *out;

	copy.tag = tag;
	out = peer_frame(&copy);
	if (out)
		memcpy(out->data + FRAME_HEADER_BYTES, payload, f->length);
	return out;
}

static int take_credit(struct program *p, u32 stream, u32 credit)
{
	struct program_stream *s;

	if (!credit)
		return 0;
	if (stream >= JOB_STREAMS || program_hears(p, stream))
		return -EPROTO;
	s = &p->stream[stream];
	if (credit > JOB_WINDOW_MAX || s->may_send > JOB_WINDOW_MAX - credit)
		return -EPROTO;
	s->may_send += credit;
	s->credit += credit;
	return 0;
}

static int take_data(struct program *p, const struct frame *f,
		     const u8 *payload)
{
	struct program_stream *s;
	u32 end, part;

	if (f->stream >= JOB_STREAMS)
		return -EPROTO;
	s = &p->stream[f->stream];
	s->end |= f->flags & FRAME_EOF;
	if (!f->length)
		return 0;
	if (!program_hears(p, f->stream) || f->length > s->allowed)
		return -EPROTO;
	if (!s->ring)
		s->ring = kvmalloc(PROGRAM_WINDOW, GFP_KERNEL);
	if (!s->ring)
		return -EPROTO; /* bytes of it would be missing */
	end = (s->at + s->len) % PROGRAM_WINDOW;
	part = min_t(u32, f->length, PROGRAM_WINDOW - end);
	memcpy(s->ring + end, payload, part);
	memcpy(s->ring, payload + part, f->length - part);
	s->len += f->length;
	s->allowed -= f->length;
	return 0;
}

/* What whoever asked says later. */
static int take_order(struct program *p, const struct frame *f,
		      const u8 *payload)
{
	struct msg_job_signal sig;
	struct msg_job_winch size;

	switch (f->type) {
	case MSG_JOB_SIGNAL:
		if (msg_job_signal_decode(&sig, payload, f->length) ||
		    !sig.signal || sig.signal > SIGNAL_MAX)
			return -EPROTO;
		p->signals |= 1ull << (sig.signal - 1);
		return 0;
	case MSG_JOB_WINCH:
		if (msg_job_winch_decode(&size, payload, f->length))
			return -EPROTO;
		p->resized = true;
		p->rows = size.rows;
		p->cols = size.cols;
		return 0;
	case MSG_JOB_CANCEL:
		p->cancelled = true;
		return 0;
	default:
		return -EPROTO;
	}
}

/* An answer: the last one ends it here. */
static int take_answer(struct program *p, const struct frame *f,
		       const u8 *payload)
{
	struct conn_out **to = f->flags & FRAME_MORE ? &p->first : &p->last;

	if (f->length > PROGRAM_ANSWER_MAX || *to ||
	    (f->flags & FRAME_MORE && f->type != MSG_JOB_STARTED))
		return -EPROTO;
	*to = keep(f, p->own_tag, payload);
	if (!*to)
		return -EPROTO; /* whoever asked would wait in vain */
	if (!(f->flags & FRAME_MORE))
		program_over(p);
	return 0;
}

static int take_further(struct program *p, const struct frame *f,
			const u8 *payload)
{
	int ret = 0;

	if (f->type == MSG_JOB_DATA)
		ret = take_data(p, f, payload);
	else if (f->type == MSG_JOB_CREDIT)
		ret = f->length ? -EPROTO : 0;
	else if (p->serving)
		ret = take_order(p, f, payload);
	/* The credit of the first answer is in the frame that is kept. */
	if (!ret)
		ret = take_credit(p, f->stream, f->credit);
	if (!ret && f->type != MSG_JOB_DATA && f->type != MSG_JOB_CREDIT &&
	    !p->serving) {
		p->stream[0].credit -= f->credit;
		ret = take_answer(p, f, payload);
	}
	if (!ret)
		port_tell(program_port(p));
	return ret;
}

static struct program *program_new(struct programs *ps, bool serving, u64 tag)
{
	struct program *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);

	if (!p)
		return NULL;
	INIT_LIST_HEAD(&p->link);
	port_init(&p->port);
	p->all = ps;
	p->serving = serving;
	p->tag = p->own_tag = tag;
	return p;
}

static int may_run(struct programs *ps, const struct msg_job_start *m)
{
	char user[USER_NAME_BYTES];

	return span_to_cstr(m->user, user, sizeof(user)) &&
	       strcmp(user, FN_ANY) &&
	       fn_allowed(ps->conn->in, VIRGO_FN_JOBS, ps->node, user) ?
		0 : -EACCES;
}

static int take_start(struct programs *ps, const struct frame *f,
		      const u8 *payload)
{
	struct msg_job_start m;
	struct program *p;
	int ret;

	if (f->length > PROGRAM_ORDER_MAX)
		return -E2BIG;
	if (msg_job_start_decode(&m, payload, f->length))
		return -EBADMSG;
	ret = may_run(ps, &m);
	if (ret)
		return ret;
	if (program_find(ps, f->tag, true) || m.window_bytes > JOB_WINDOW_MAX)
		return -EPROTO;
	if (ps->served >= instance_limit(ps->conn->in, LIMIT_JOBS))
		return -EBUSY;
	p = program_new(ps, true, f->tag);
	if (!p)
		return -ENOMEM;
	p->first = keep(f, f->tag, payload);
	if (!p->first) {
		program_free(p);
		return -ENOMEM;
	}
	p->begun = true;
	p->stream[1].may_send = p->stream[2].may_send = m.window_bytes;
	list_add_tail(&p->link, &ps->list);
	ps->served++;
	port_tell(&ps->port);
	return 0;
}

int programs_take(struct programs *ps, const struct frame *f,
		  const u8 *payload)
{
	const bool serving = !(f->flags & FRAME_REPLY);
	struct program *p;
	int ret = 0;

	if (serving && !ps->agent)
		return -EOPNOTSUPP;
	mutex_lock(&ps->lock);
	p = program_find(ps, f->tag, serving);
	if (serving && f->type == MSG_JOB_START)
		ret = take_start(ps, f, payload);
	else if (p && serving && f->type == MSG_JOB_CANCEL && p->first)
		program_over(p); /* the agent has not heard of it */
	else if (p)
		ret = take_further(p, f, payload);
	mutex_unlock(&ps->lock);
	return ret;
}

static struct conn_out *message_exit(u64 tag, const struct msg_job_exit *m)
{
	const struct frame f = {
		.type = MSG_JOB_EXIT,
		.flags = FRAME_REPLY,
		.tag = tag,
		.length = msg_job_exit_size(m),
	};
	struct conn_out *out = peer_frame(&f);
	struct wcursor w;

	if (out) {
		w = wcursor_of(out->data + FRAME_HEADER_BYTES, f.length);
		msg_job_exit_encode(&w, m);
	}
	return out;
}

void programs_end(struct programs *ps)
{
	const struct msg_job_exit lost = {
		.reason = JOB_LOST,
		.status = 255,
		.why = span_of("its node's virgod, or the connection, ended"),
		.remedy = span_of("virgo status"),
	};
	struct program *p, *next;

	mutex_lock(&ps->lock);
	ps->ended = true;
	list_for_each_entry_safe(p, next, &ps->list, link) {
		/* Without memory the end of the stream has to say it. */
		if (!p->serving && !p->last)
			p->last = message_exit(p->own_tag, &lost);
		if (!p->serving)
			port_tell(&p->port);
		program_over(p);
	}
	port_tell(&ps->port);
	mutex_unlock(&ps->lock);
}
