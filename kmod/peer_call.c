// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls of other nodes, from who makes one to its answer; the contract is in peer.h. */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/string.h>

#include "call.h"
#include "control.h"
#include "core/wire.h"
#include "instance.h"
#include "peer_impl.h"
#include "want.h"

/* A call that waits. Whoever takes it off the list completes it. */
struct call {
	struct list_head link;
	struct completion done;
	u64 tag;
	ssize_t status;
	void *result;
	u32 result_size;
};

static ssize_t result_of(struct call *call, const struct frame *f,
			 const u8 *payload)
{
	struct msg_called called;
	struct msg_error error;

	if (f->type == MSG_ERROR) {
		if (msg_error_decode(&error, payload, f->length))
			return -EBADMSG;
		/* Whatever the peer says, it is an error. */
		return error.code < 0 && error.code >= -MAX_ERRNO ?
			error.code : -EIO;
	}
	if (msg_called_decode(&called, payload, f->length))
		return -EBADMSG;
	if (called.result.len > call->result_size)
		return -EMSGSIZE;
	memcpy(call->result, called.result.data, called.result.len);
	return called.result.len;
}

bool peer_answered(struct peer *p, const struct frame *f, const u8 *payload)
{
	struct call *call;
	bool found = false;

	mutex_lock(&p->lock);
	list_for_each_entry(call, &p->calls, link) {
		if (call->tag != f->tag)
			continue;
		call->status = result_of(call, f, payload);
		list_del_init(&call->link);
		complete(&call->done);
		found = true;
		break;
	}
	mutex_unlock(&p->lock);
	return found;
}

void peer_calls_end(struct peer *p)
{
	struct call *call, *next;

	mutex_lock(&p->lock);
	p->ended = true;
	list_for_each_entry_safe(call, next, &p->calls, link) {
		call->status = -ECONNRESET;
		list_del_init(&call->link);
		complete(&call->done);
	}
	mutex_unlock(&p->lock);
}

/* The newest: an older one may be about to be replaced by it. */
static void *peer_find(struct instance *in, const char *node)
{
	struct peer *found = NULL;
	struct conn *c;

	spin_lock_bh(&in->conns.lock);
	list_for_each_entry_reverse(c, &in->conns.list, link) {
		if (c->ops == &peer_ops && READ_ONCE(c->state) == CONN_OPEN &&
		    !strcmp(peer_of(c)->node, node)) {
			found = peer_of(c);
			conn_get(c);
			break;
		}
	}
	spin_unlock_bh(&in->conns.lock);
	return found;
}

/* The time that it waits for one is taken from @ms. */
static struct peer *peer_get(struct instance *in, const char *node, u32 *ms)
{
	ktime_t begin = ktime_get();
	struct peer *p = peer_find(in, node);

	if (p)
		return p;
	p = want_wait(in, node, *ms, peer_find);
	*ms -= min_t(u32, *ms - 1, ktime_ms_delta(ktime_get(), begin));
	return p;
}

static struct conn_out *call_frame(u64 tag, const struct call_request *r)
{
	const struct msg_call m = {
		.name = span_of(r->name),
		.deadline_ms = r->deadline_ms,
		.result_max = r->result_size,
		.argument = { .data = r->arg, .len = r->arg_len },
		.user = span_of(r->user),
	};
	const struct frame f = {
		.type = MSG_CALL,
		.tag = tag,
		.length = msg_call_size(&m),
	};
	struct conn_out *out = peer_frame(&f);
	struct wcursor w;

	if (out) {
		w = wcursor_of(out->data + FRAME_HEADER_BYTES, f.length);
		msg_call_encode(&w, &m);
	}
	return out;
}

static int call_enlist(struct peer *p, struct call *call)
{
	int ret = 0;

	mutex_lock(&p->lock);
	if (p->ended) {
		ret = -ECONNRESET;
	} else if (p->call_count >= instance_limit(p->conn.in, LIMIT_CALLS)) {
		ret = -EBUSY;
	} else {
		p->call_count++;
		call->tag = ++p->next_tag;
		list_add_tail(&call->link, &p->calls);
	}
	mutex_unlock(&p->lock);
	return ret;
}

/* From here on nobody else knows the call or writes to its result. */
static void call_delist(struct peer *p, struct call *call)
{
	mutex_lock(&p->lock);
	p->call_count--;
	list_del_init(&call->link);
	mutex_unlock(&p->lock);
}

static ssize_t call_wait(struct call *call, u32 deadline_ms)
{
	long left = wait_for_completion_killable_timeout(&call->done,
					msecs_to_jiffies(deadline_ms));

	if (left > 0)
		return call->status;
	return left ? left : -ETIMEDOUT;
}

ssize_t peer_call(struct instance *in, const struct call_request *r)
{
	struct call_request rest = *r;
	struct call call = {
		.result = r->result,
		.result_size = r->result_size,
	};
	struct peer *p = peer_get(in, r->node, &rest.deadline_ms);
	struct conn_out *out;
	ssize_t ret;

	if (IS_ERR(p))
		return PTR_ERR(p);
	init_completion(&call.done);
	ret = call_enlist(p, &call);
	if (ret)
		goto put_peer;
	out = call_frame(call.tag, &rest);
	ret = out ? conn_send_here(&p->conn, out, true) : -ENOMEM;
	if (ret)
		conn_out_free(out);
	else
		ret = call_wait(&call, rest.deadline_ms);
	call_delist(p, &call);

put_peer:
	conn_put(&p->conn);
	return ret;
}

/* Programs. */

u64 peer_tag(struct programs *ps)
{
	struct peer *p = container_of(ps, struct peer, programs);
	u64 tag;

	mutex_lock(&p->lock);
	tag = ++p->next_tag;
	mutex_unlock(&p->lock);
	return tag;
}

int peer_program(struct instance *in, const char *node, const char *user,
		 u32 wait_ms)
{
	struct peer *p = peer_find(in, node);
	int ret;

	if (!p && !wait_ms) {
		control_tell_wanted(in, node);
		return -EHOSTDOWN;
	}
	if (!p)
		p = want_wait(in, node, wait_ms, peer_find);
	if (IS_ERR(p))
		return PTR_ERR(p);
	ret = program_open(&p->programs, user);
	conn_put(&p->conn);
	return ret;
}
