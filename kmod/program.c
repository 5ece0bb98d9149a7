// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs on their way: state and flow; the contract is in program.h. */
#include "program.h"

#include <linux/err.h>
#include <linux/slab.h>
#include <linux/virgo.h>

#include "conn.h"
#include "instance.h"
#include "peer.h"
#include "program_state.h"

enum { PIECE_BYTES = 32 << 10, SIGNAL_MAX = 64 };

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

/* Passes on what may be of the credit that is owed. Small grants cost a frame
 * each, and what is under way keeps data coming.
 */
static void pay(struct program *p, u32 stream)
{
	struct program_stream *s = &p->stream[stream];
	u32 room = PROGRAM_WINDOW - s->allowed - s->len;
	struct frame f = {
		.type = MSG_JOB_CREDIT,
		.flags = p->serving ? FRAME_REPLY | FRAME_MORE : 0,
		.stream = stream,
		.tag = p->tag,
	};
	struct conn_out *out;

	room = min(room, s->owed);
	if (!room || (room < PROGRAM_WINDOW / 4 && s->allowed && room < s->owed))
		return;
	f.credit = room;
	out = peer_frame(&f);
	if (!out)
		return; /* it stays owed */
	if (conn_send(p->all->conn, out, false)) {
		conn_out_free(out);
		return;
	}
	s->owed -= room;
	s->allowed += room;
}

/* What the reader allows: at once as far as there is room. */
static int owe(struct program_stream *s, u32 credit)
{
	if (credit > JOB_WINDOW_MAX || s->owed > JOB_WINDOW_MAX)
		return -EINVAL;
	s->owed += credit;
	return 0;
}

/* --- from the peer --- */

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

/* --- to the reader --- */

static struct conn_out *say(const struct program *p, u16 type, u32 stream,
			    u8 flags, u32 credit, u32 length)
{
	const struct frame f = {
		.type = type,
		.flags = flags | (p->serving ? 0 : FRAME_REPLY | FRAME_MORE),
		.length = length,
		.stream = stream,
		.tag = p->own_tag,
		.credit = credit,
	};

	return peer_frame(&f) ?: ERR_PTR(-ENOMEM);
}

static struct conn_out *next_data(struct program *p, u32 stream)
{
	struct program_stream *s = &p->stream[stream];
	u32 n = min_t(u32, s->len, PIECE_BYTES);
	struct conn_out *out;
	bool end;

	n = min_t(u32, n, PROGRAM_WINDOW - s->at);
	end = s->end && n == s->len;
	out = say(p, MSG_JOB_DATA, stream, end ? FRAME_EOF : 0, 0, n);
	if (IS_ERR(out))
		return out;
	if (n)
		memcpy(out->data + FRAME_HEADER_BYTES, s->ring + s->at, n);
	s->at = (s->at + n) % PROGRAM_WINDOW;
	s->len -= n;
	s->end_told = end;
	pay(p, stream);
	return out;
}

static struct conn_out *next_asked(struct program *p)
{
	struct conn_out *out;

	if (p->signals) {
		out = say(p, MSG_JOB_SIGNAL, 0, 0, 0, 4);
		if (!IS_ERR(out)) {
			put_u32(out->data + FRAME_HEADER_BYTES,
				__ffs64(p->signals) + 1);
			p->signals &= p->signals - 1;
		}
		return out;
	}
	if (!p->resized)
		return NULL;
	out = say(p, MSG_JOB_WINCH, 0, 0, 0, 4);
	if (!IS_ERR(out)) {
		put_u16(out->data + FRAME_HEADER_BYTES, p->rows);
		put_u16(out->data + FRAME_HEADER_BYTES + 2, p->cols);
		p->resized = false;
	}
	return out;
}

static struct conn_out *next_of_streams(struct program *p)
{
	struct program_stream *s;
	struct conn_out *out;
	u32 i;

	for (i = 0; i < JOB_STREAMS; i++) {
		s = &p->stream[i];
		if (s->credit) {
			out = say(p, MSG_JOB_CREDIT, i, 0, s->credit, 0);
			if (!IS_ERR(out))
				s->credit = 0;
			return out;
		}
		if (s->len || (s->end && !s->end_told))
			return next_data(p, i);
	}
	return NULL;
}

bool program_has(const struct program *p)
{
	const struct program_stream *s;
	u32 i;

	for (i = 0; i < JOB_STREAMS; i++) {
		s = &p->stream[i];
		if (s->credit || s->len || (s->end && !s->end_told))
			return true;
	}
	return p->first || p->last || p->signals || p->resized || p->cancelled;
}

struct conn_out *program_next(struct program *p)
{
	struct conn_out *out = p->first;

	if (p->serving && p->cancelled) {
		out = say(p, MSG_JOB_CANCEL, 0, 0, 0, 0);
		if (!IS_ERR(out))
			program_over(p);
		return out;
	}
	if (out) {
		p->first = NULL;
		return out;
	}
	out = next_asked(p);
	if (!out)
		out = next_of_streams(p);
	if (!out) {
		out = p->last;
		p->last = NULL;
	}
	return out;
}

/* --- from the reader --- */

/* The order as it goes out: who asks and where is ours to say. */
static struct conn_out *order(struct program *p, const struct conn_out *out,
			      const struct frame *f)
{
	struct frame to = { .type = MSG_JOB_START, .tag = p->tag };
	struct msg_job_start m;
	struct conn_out *ret;
	struct wcursor w;
	u32 window;

	if (msg_job_start_decode(&m, out->data + FRAME_HEADER_BYTES, f->length))
		return ERR_PTR(-EINVAL);
	window = min_t(u32, m.window_bytes, PROGRAM_WINDOW);
	if (owe(&p->stream[1], m.window_bytes - window) ||
	    owe(&p->stream[2], m.window_bytes - window))
		return ERR_PTR(-EINVAL);
	p->stream[1].allowed = p->stream[2].allowed = window;
	m.window_bytes = window;
	m.user = span_of(p->user);
	m.node = span_of(p->all->node);
	to.length = msg_job_start_size(&m);
	if (to.length > PROGRAM_ORDER_MAX)
		return ERR_PTR(-E2BIG);
	ret = peer_frame(&to);
	if (!ret)
		return ERR_PTR(-ENOMEM);
	w = wcursor_of(ret->data + FRAME_HEADER_BYTES, to.length);
	msg_job_start_encode(&w, &m);
	return ret;
}

static int say_start(struct program *p, const struct frame *f,
		     struct conn_out *out)
{
	struct programs *ps = p->all;
	struct conn_out *to;
	int ret;

	if (p->begun)
		return -EINVAL;
	to = order(p, out, f);
	if (IS_ERR(to))
		return PTR_ERR(to);
	ret = ps->ended ? -EPIPE : conn_send(ps->conn, to, false);
	if (ret) {
		conn_out_free(to);
		return -EPIPE;
	}
	p->own_tag = f->tag;
	p->begun = true;
	list_add_tail(&p->link, &ps->list);
	conn_out_free(out);
	return 0;
}

static int check_data(struct program *p, const struct frame *f)
{
	struct program_stream *s;

	if (f->stream >= JOB_STREAMS)
		return -EINVAL;
	s = &p->stream[f->stream];
	if (f->length > s->may_send ||
	    (f->length && program_hears(p, f->stream)))
		return -EINVAL;
	s->may_send -= f->length;
	return 0;
}

/* What the reader allows is passed on by pay(), or with its first answer. */
static int check_credit(struct program *p, struct frame *f)
{
	struct program_stream *s;
	u32 room;
	int ret;

	if (!f->credit)
		return 0;
	if (f->stream >= JOB_STREAMS || !program_hears(p, f->stream))
		return -EINVAL;
	s = &p->stream[f->stream];
	ret = owe(s, f->credit);
	f->credit = 0;
	if (ret || f->type != MSG_JOB_STARTED)
		return ret;
	room = min(s->owed, PROGRAM_WINDOW - s->allowed - s->len);
	s->owed -= room;
	s->allowed += room;
	f->credit = room;
	return 0;
}

static bool may_say(const struct program *p, u16 type)
{
	switch (type) {
	case MSG_JOB_DATA:
	case MSG_JOB_CREDIT:
		return true;
	case MSG_JOB_STARTED:
	case MSG_JOB_EXIT:
	case MSG_ERROR:
		return p->serving;
	case MSG_JOB_SIGNAL:
	case MSG_JOB_WINCH:
	case MSG_JOB_CANCEL:
		return !p->serving;
	default:
		return false;
	}
}

int program_say(struct program *p, struct frame *f, struct conn_out *out)
{
	u8 known = FRAME_EOF | (p->serving ? FRAME_MORE : 0);
	int ret;

	if (f->type == MSG_JOB_START && !p->serving)
		return say_start(p, f, out);
	if (!p->begun || !may_say(p, f->type))
		return -EINVAL;
	if (f->type != MSG_JOB_DATA && f->length > PROGRAM_ANSWER_MAX)
		return -E2BIG;
	ret = f->type == MSG_JOB_DATA ? check_data(p, f) : 0;
	if (!ret)
		ret = check_credit(p, f);
	if (ret)
		return ret;
	if (f->type == MSG_JOB_CREDIT) {
		pay(p, f->stream);
		conn_out_free(out);
		return 0;
	}
	f->flags = (f->flags & known) | (p->serving ? FRAME_REPLY : 0);
	f->tag = p->tag;
	frame_encode(f, out->data);
	/* If the connection is ending, that is how the reader hears of it. */
	if (conn_send(p->all->conn, out, false))
		conn_out_free(out);
	if (p->serving && !(f->flags & FRAME_MORE))
		program_over(p);
	return 0;
}
