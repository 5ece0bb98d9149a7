// SPDX-License-Identifier: GPL-2.0-or-later
/* Frames between kernels; the contract is in peer.h. */
#include "peer.h"

#include <linux/slab.h>

#include "core/wire.h"
#include "fn.h"
#include "instance.h"
#include "peer_impl.h"
#include "virgo_module.h"

enum { PEER_IN_MAX = PROGRAM_ORDER_MAX + 4096 };

static_assert((int)PROGRAM_ORDER_MAX >= (int)VIRGO_FN_BYTES_MAX &&
	      (int)PROGRAM_ORDER_MAX >= (int)PROGRAM_WINDOW);

/* A call of the other side. */
struct asked {
	struct virgo_fn *fn; /* entered */
	u64 tag;
	ktime_t deadline;
	u32 result_max;
	u32 arg_len;
	const void *arg;
	const char *user;
};

/* One that has to wait for its turn. */
struct job {
	struct work_struct work;
	struct peer *peer; /* counted */
	struct asked asked;
	char user[USER_NAME_BYTES];
	u8 arg[];
};

struct conn_out *peer_frame(const struct frame *f)
{
	struct conn_out *out = conn_out_new(FRAME_HEADER_BYTES + f->length);

	if (out)
		frame_encode(f, out->data);
	return out;
}

static struct conn_out *frame_new(u16 type, u8 flags, u64 tag, size_t len)
{
	const struct frame f = {
		.type = type,
		.flags = flags,
		.tag = tag,
		.length = len,
	};

	return peer_frame(&f);
}

static void send_frame(struct peer *p, struct conn_out *out)
{
	if (out && conn_send(&p->conn, out, false))
		conn_out_free(out);
}

/* Without memory for an answer the peer would wait in vain. */
static int answer(struct peer *p, struct conn_out *out)
{
	if (!out)
		return -ENOMEM;
	send_frame(p, out);
	return 0;
}

static const char *what_failed(int code)
{
	switch (code) {
	case -EACCES:
		return "not allowed to this caller";
	case -ENOENT:
		return "no such function";
	case -EBUSY:
		return "too many calls are under way";
	case -ETIMEDOUT:
		return "the time for it is over";
	case -E2BIG:
		return "the argument is too long";
	case -EMSGSIZE:
		return "the result is too long";
	case -EOPNOTSUPP:
		return "unknown message";
	case -EBADMSG:
		return "a message that is cut off";
	default:
		return "it failed";
	}
}

static struct conn_out *error_new(u64 tag, int code, struct span object)
{
	const struct msg_error m = {
		.code = code,
		.object = object,
		.what = span_of(what_failed(code)),
	};
	size_t len = msg_error_size(&m);
	struct conn_out *out = frame_new(MSG_ERROR, FRAME_REPLY, tag, len);
	struct wcursor w;

	if (out) {
		w = wcursor_of(out->data + FRAME_HEADER_BYTES, len);
		msg_error_encode(&w, &m);
	}
	return out;
}

/* The result lies behind the header and its own length already. */
static struct conn_out *called_finish(struct conn_out *out, u64 tag, u32 len)
{
	const struct frame f = {
		.type = MSG_CALLED,
		.flags = FRAME_REPLY,
		.tag = tag,
		.length = 4 + len,
	};

	frame_encode(&f, out->data);
	put_u32(out->data + FRAME_HEADER_BYTES, len);
	return conn_out_cut(out, FRAME_HEADER_BYTES + f.length);
}

/* Runs it and leaves it. What is to be answered, or NULL. */
static struct conn_out *run(struct peer *p, const struct asked *a)
{
	const struct virgo_fn_caller caller = {
		.node = p->node,
		.user = a->user,
		.deadline = a->deadline,
		.in = p->conn.in,
	};
	struct conn_out *out;
	ssize_t ret = -ETIMEDOUT;

	out = conn_out_new(FRAME_HEADER_BYTES + 4 + a->result_max);
	if (!out)
		ret = -ENOMEM;
	else if (ktime_before(ktime_get(), a->deadline))
		ret = fn_run(a->fn, &caller, a->arg, a->arg_len,
			     out->data + FRAME_HEADER_BYTES + 4,
			     a->result_max);
	if (ret >= 0) {
		out = called_finish(out, a->tag, ret);
	} else {
		conn_out_free(out);
		out = error_new(a->tag, ret, span_of(a->fn->name));
	}
	fn_leave(a->fn);
	return out;
}

static void job_run(struct work_struct *work)
{
	struct job *job = container_of(work, struct job, work);
	struct peer *p = job->peer;
	struct conn_out *out = run(p, &job->asked);

	atomic_dec(&p->jobs);
	if (!out)
		conn_fail(&p->conn, -ENOMEM);
	else if (conn_send_here(&p->conn, out, false))
		conn_out_free(out);
	conn_put(&p->conn);
	kvfree(job);
}

/* A user called "*" would be everybody. */
static bool is_allowed(struct peer *p, const struct msg_call *m, char *name,
		       char *user)
{
	*user = 0;
	return span_to_cstr(m->name, name, FN_NAME_BYTES) &&
	       (!m->user.len || span_to_cstr(m->user, user, USER_NAME_BYTES)) &&
	       strcmp(user, FN_ANY) &&
	       fn_allowed(p->conn.in, name, p->node, user);
}

/* 0, or why it is refused. */
static int job_start(struct peer *p, const struct asked *a)
{
	struct job *job;
	int ret;

	if (atomic_inc_return(&p->jobs) >
	    instance_limit(p->conn.in, LIMIT_JOBS)) {
		ret = -EBUSY;
		goto dec_jobs;
	}
	job = kvmalloc(sizeof(*job) + a->arg_len, GFP_KERNEL);
	if (!job) {
		ret = -ENOMEM;
		goto dec_jobs;
	}
	INIT_WORK(&job->work, job_run);
	conn_get(&p->conn);
	job->peer = p;
	job->asked = *a;
	strscpy(job->user, a->user, sizeof(job->user));
	job->asked.user = job->user;
	job->asked.arg = memcpy(job->arg, a->arg, a->arg_len);
	queue_work(virgo_fn_queue, &job->work);
	return 0;

dec_jobs:
	atomic_dec(&p->jobs);
	return ret;
}

/* What does not wait runs at once, before the next request, but not for one who does
 * not read.
 */
static int start(struct peer *p, const struct asked *a)
{
	struct conn_out *out;

	if (!a->fn->quick || !conn_may_send(&p->conn))
		return job_start(p, a);
	out = run(p, a);
	if (!out)
		conn_fail(&p->conn, -ENOMEM);
	else if (conn_answer(&p->conn, out))
		conn_out_free(out);
	return 0;
}

static int on_allowed(struct peer *p, const struct frame *f,
		      const struct msg_call *m)
{
	char user[USER_NAME_BYTES];
	char name[FN_NAME_BYTES];
	struct asked a = {
		.tag = f->tag,
		.deadline = ktime_add_ms(ktime_get(), m->deadline_ms),
		.arg_len = m->argument.len,
		.arg = m->argument.data,
		.user = user,
	};
	int ret;

	/* Names that are not allowed are not told from those that are not. */
	if (!is_allowed(p, m, name, user))
		return -EACCES;
	if (m->argument.len > VIRGO_FN_BYTES_MAX)
		return -E2BIG;
	a.fn = fn_enter(name);
	if (!a.fn)
		return -ENOENT;
	a.result_max = min(m->result_max, a.fn->max_result);
	ret = start(p, &a);
	if (ret)
		fn_leave(a.fn);
	return ret;
}

static int on_call(struct peer *p, const struct frame *f, const u8 *payload)
{
	struct msg_call m;
	int ret = msg_call_decode(&m, payload, f->length);

	if (!ret)
		ret = on_allowed(p, f, &m);
	return ret ? answer(p, error_new(f->tag, ret, m.name)) : 0;
}

/* Who breaks the rules is cut off; other refusals are told. */
static int on_program(struct peer *p, const struct frame *f, const u8 *payload)
{
	int ret = programs_take(&p->programs, f, payload);

	if (!ret || ret == -EPROTO || f->flags & FRAME_REPLY)
		return ret;
	return answer(p, error_new(f->tag, ret, span_of("run")));
}

static int on_ping(struct peer *p, const struct frame *f, const u8 *payload)
{
	struct conn_out *out = frame_new(MSG_PONG, FRAME_REPLY, f->tag, 8);

	if (f->length < 8) {
		conn_out_free(out);
		return answer(p, error_new(f->tag, -EBADMSG, span_of("ping")));
	}
	if (out)
		memcpy(out->data + FRAME_HEADER_BYTES, payload, 8);
	return answer(p, out);
}

static int take(struct peer *p, const struct frame *f, const u8 *payload)
{
	switch (f->type) {
	case MSG_CALL:
		return on_call(p, f, payload);
	case MSG_CALLED:
		peer_answered(p, f, payload);
		return 0;
	case MSG_ERROR:
		return peer_answered(p, f, payload) ?
			0 : on_program(p, f, payload);
	case MSG_JOB_START:
	case MSG_JOB_STARTED:
	case MSG_JOB_DATA:
	case MSG_JOB_CREDIT:
	case MSG_JOB_SIGNAL:
	case MSG_JOB_WINCH:
	case MSG_JOB_EXIT:
	case MSG_JOB_CANCEL:
		return on_program(p, f, payload);
	case MSG_PING:
		return on_ping(p, f, payload);
	case MSG_GOAWAY:
		return -ECONNRESET;
	default:
		if (f->flags & FRAME_REPLY)
			return 0;
		return answer(p, error_new(f->tag, -EOPNOTSUPP,
					   span_of("virgo.ko")));
	}
}

static ssize_t received(struct conn *c, const u8 *data, size_t len,
			size_t *need)
{
	struct peer *p = peer_of(c);
	size_t used = 0;
	struct frame f;
	size_t whole;
	int ret;

	atomic_set(&p->asked, 0);
	while (len - used >= FRAME_HEADER_BYTES) {
		ret = frame_decode(&f, data + used);
		if (ret)
			return ret;
		whole = FRAME_HEADER_BYTES + f.length;
		if (len - used < whole) {
			*need = whole;
			break;
		}
		ret = take(p, &f, data + used + FRAME_HEADER_BYTES);
		if (ret)
			return ret;
		used += whole;
	}
	return used;
}

/* A peer that ends as it may, or that somebody here ended, is no news. */
static void tell_why(const struct peer *p, int why)
{
	static const struct {
		int why;
		const char *words;
	} all[] = {
		{ -EPROTO, "its frames break the rules" },
		{ -EPROTONOSUPPORT, "it speaks another version" },
		{ -EMSGSIZE, "its frame is too long" },
		{ -EBADMSG, "what it sent is not what it sealed" },
		{ -EIO, "it sent a TLS record that is no data" },
		{ -ENOMEM, "no memory" },
		{ -ETIMEDOUT, "nothing heard from it" },
	};
	u32 i;

	if (!why || why == -ECONNRESET || why == -EPIPE)
		return;
	for (i = 0; i < ARRAY_SIZE(all) && all[i].why != why; i++)
		;
	pr_info_ratelimited("virgo: the connection to %s is cut: %s (%d)\n",
			    p->node, i < ARRAY_SIZE(all) ? all[i].words :
			    "the socket failed", why);
}

static void closed(struct conn *c)
{
	struct peer *p = peer_of(c);

	tell_why(p, c->why);
	peer_calls_end(p);
	programs_end(&p->programs);
}

static void ask_whether_there(struct conn *c)
{
	struct peer *p = peer_of(c);
	struct conn_out *out;

	if (atomic_fetch_inc(&p->asked)) {
		conn_fail(c, -ETIMEDOUT);
		return;
	}
	out = frame_new(MSG_PING, 0, 0, 8);
	if (out)
		put_u64(out->data + FRAME_HEADER_BYTES, ktime_get_ns());
	send_frame(p, out);
}

static void free_peer(struct conn *c)
{
	struct peer *p = peer_of(c);

	programs_free(&p->programs);
	kfree(p);
}

const struct conn_ops peer_ops = {
	.received = received,
	.closed = closed,
	.free = free_peer,
	.idle = ask_whether_there,
	.in_max = PEER_IN_MAX,
};
