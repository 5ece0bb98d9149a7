// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs on their way: what their reader here is told, and what he says; the
 * contract is in program_state.h.
 */
#include <linux/err.h>

#include "conn.h"
#include "peer.h"
#include "program_state.h"

enum { PIECE_BYTES = 32 << 10 };

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
