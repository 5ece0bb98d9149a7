// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests of local programs for memory objects.
 *
 *	arrived --> named --> table known --> sent to the node with the extent --> answered
 *	     (who it is)  (asked of the maker,    (or done here)
 *	                   unless remembered)
 *
 * The kernel says who is behind a connection; the name goes with every request,
 * and the node with the extent checks it. What one program has under way is
 * bounded, and so are the bytes under way to a node: further requests for it wait
 * here in order, so that a slow node costs memory once and delays nobody else.
 */
#include <stdlib.h>

#include "audit.h"
#include "extents_impl.h"

enum {
	OPS_OF_CONN = 8,
	UNDER_WAY_BYTES = 16 << 20, /* to one node */
};

struct op {
	struct work work; /* finds the caller's name */
	LIST_ENTRY(op) entry;
	STAILQ_ENTRY(op) waiting; /* for its target */
	struct extents *extents;
	struct conn *conn;
	struct target *target; /* while it counts there */
	u64 tag;
	u32 uid;
	u16 type;
	struct handle handle;
	char user[IDNAME_MAX];
	u64 generation;
	struct extent_range range;
	u32 length;
	u8 payload[];
};

struct target {
	struct target *next;
	u32 bytes; /* under way */
	STAILQ_HEAD(, op) waiting;
	char name[NODE_NAME_MAX + 1];
};

static u32 op_bucket(const struct conn *c)
{
	return (u32)((uintptr_t)c / 64 % OP_BUCKETS);
}

static void op_free(struct op *op)
{
	LIST_REMOVE(op, entry);
	conn_put(op->conn);
	free(op);
}

static void op_fail(struct op *op, const struct failure *f)
{
	struct node *n = op->extents->node;

	if (f->code == -EACCES)
		audit_write_failure(n->audit, n->local.node, op->user,
				    "memory object", f->object, f);
	conn_reply_failure(op->conn, op->tag, f);
	op_free(op);
}

static void op_out_of_memory(struct op *op)
{
	struct failure f;

	failure_set(&f, -ENOMEM, "memory object", NULL, "out of memory");
	op_fail(op, &f);
}

/* --- the node with the extent --- */

static struct target *target_of(struct extents *x, const char *name)
{
	struct target *t = x->targets;

	while (t && strcmp(t->name, name))
		t = t->next;
	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	snprintf(t->name, sizeof(t->name), "%s", name);
	STAILQ_INIT(&t->waiting);
	t->next = x->targets;
	x->targets = t;
	return t;
}

/* The bytes that @op moves. */
static u32 weight(const struct op *op)
{
	return op->range.len;
}

static void send_waiting(struct target *t);

static void answered(void *arg, const struct frame *f, const u8 *payload,
		     const struct failure *why)
{
	struct op *op = arg;
	struct target *t = op->target;
	struct msg_error e;

	if (f && (f->flags & FRAME_MORE))
		return;
	if (f) {
		const struct frame out = { .type = f->type,
					   .flags = FRAME_REPLY,
					   .tag = op->tag };

		if (f->type == MSG_ERROR &&
		    !msg_error_decode(&e, payload, f->length) &&
		    e.code == -ESTALE)
			table_forget(op->extents, &op->handle);
		conn_send(op->conn, &out, payload, f->length, NULL, 0);
	} else {
		conn_reply_failure(op->conn, op->tag, why);
	}
	if (t)
		t->bytes -= weight(op);
	op_free(op);
	if (t)
		send_waiting(t);
}

/* Encodes @op's request anew with its user and generation; free() it. */
static u8 *encode(const struct op *op, size_t *len)
{
	struct msg_malloc_set set;
	struct msg_malloc_get get;
	struct wcursor w;
	u8 *buf;

	*len = op->length + IDNAME_MAX;
	buf = malloc(*len);
	w = wcursor_of(buf, buf ? *len : 0);
	if (op->type == MSG_MALLOC_SET &&
	    !msg_malloc_set_decode(&set, op->payload, op->length)) {
		set.user = span_of(op->user);
		set.generation = op->generation;
		msg_malloc_set_encode(&w, &set);
	} else if (op->type == MSG_MALLOC_GET &&
		   !msg_malloc_get_decode(&get, op->payload, op->length)) {
		get.user = span_of(op->user);
		get.generation = op->generation;
		msg_malloc_get_encode(&w, &get);
	} else {
		/* MAP and FREE are alike. */
		const struct msg_malloc_map m = {
			.handle = { op->handle.bytes, HANDLE_BYTES },
			.user = span_of(op->user),
		};

		msg_malloc_map_encode(&w, &m);
	}
	*len = wcursor_len(&w);
	return buf;
}

static bool send_to(struct op *op, const char *node, u16 type,
		    peer_reply_fn *reply)
{
	size_t len;
	u8 *buf = encode(op, &len);
	bool sent = buf && !op->extents->ending &&
		    peers_call(op->extents->node->peers, node, TLS_CONTROL,
			       type, buf, len, reply, op);

	free(buf);
	return sent;
}

static void send_waiting(struct target *t)
{
	struct op *op;

	while ((op = STAILQ_FIRST(&t->waiting)) &&
	       (!t->bytes || t->bytes + weight(op) <= UNDER_WAY_BYTES)) {
		STAILQ_REMOVE_HEAD(&t->waiting, waiting);
		op->target = t;
		if (send_to(op, t->name, op->type, answered))
			t->bytes += weight(op);
		else
			op_out_of_memory(op);
	}
}

/* --- set and get --- */

static void kept_here(struct op *op)
{
	struct extents *x = op->extents;
	const struct msg_ok ok = {};
	struct msg_malloc_set m;
	struct failure f = { 0 };
	const u8 *data;

	if (op->type == MSG_MALLOC_GET) {
		if (!keeper_get(x, &op->handle, op->user, op->generation,
			       &op->range, &data, &f))
			keeper_answer(op->conn, op->tag, data, op->range.len);
	} else if (!msg_malloc_set_decode(&m, op->payload, op->length) &&
		   !keeper_set(x, &op->handle, op->user, op->generation,
			      &op->range, m.data.data, &f)) {
		conn_reply(op->conn, op->tag, OK, ok, &ok);
	}
	if (f.code == -ESTALE)
		table_forget(x, &op->handle);
	if (f.code)
		op_fail(op, &f);
	else
		op_free(op);
}

static int range_of(struct op *op, const struct table *t)
{
	struct msg_malloc_set set;
	struct msg_malloc_get get;

	if (op->type == MSG_MALLOC_SET)
		return msg_malloc_set_decode(&set, op->payload, op->length) ?
			       -EBADMSG :
			       extent_range(t->bytes, set.offset, set.data.len,
					    set.all_end, &op->range);
	return msg_malloc_get_decode(&get, op->payload, op->length) ?
		       -EBADMSG :
		       extent_range(t->bytes, get.offset, get.len, get.all_end,
				    &op->range);
}

static void to_extent(struct op *op, const struct table *t)
{
	struct extents *x = op->extents;
	const struct run *run = t->runs;
	struct failure f = { 0 };
	char name[32];
	int ret = range_of(op, t);

	if (ret) {
		failure_set(&f, ret, extents_name(&op->handle, name), NULL,
			    ret == -ERANGE ? "beyond its %llu bytes" :
					     "not a range of it (%llu bytes)",
			    (unsigned long long)t->bytes);
		op_fail(op, &f);
		return;
	}
	while (op->range.index - run->first >= run->count)
		run++; /* a table covers every extent */
	op->generation = run->generation;
	if (!strcmp(run->node, x->node->local.node)) {
		kept_here(op);
	} else if (!catalog_node(x->node->catalog, run->node)) {
		extents_stale(&op->handle, &f, "the node that kept this part "
			      "of it is not in the cloud any more");
		op_fail(op, &f);
	} else {
		struct target *target = target_of(x, run->node);

		if (!target) {
			op_out_of_memory(op);
			return;
		}
		STAILQ_INSERT_TAIL(&target->waiting, op, waiting);
		send_waiting(target);
	}
}

static void table_came(void *arg, const struct frame *f, const u8 *payload,
		       const struct failure *why)
{
	struct op *op = arg;
	struct msg_malloc_table m;
	struct table *t = NULL;

	if (!f || f->type != MSG_MALLOC_TABLE) {
		answered(arg, f, payload, why);
		return;
	}
	if (!msg_malloc_table_decode(&m, payload, f->length))
		t = table_read(&m);
	if (!t) {
		struct failure bad;

		failure_set(&bad, -EPROTO, "memory object", NULL,
			    "its node gave no sensible table");
		op_fail(op, &bad);
		return;
	}
	table_remember(op->extents, &op->handle, t);
	to_extent(op, t);
}

/* --- by type --- */

/* The node that made the object, or NULL. */
static const char *maker_of(const struct extents *x, const struct handle *h,
			    char out[NODE_NAME_MAX + 1])
{
	const struct rec_node_row *row;
	size_t at = 0;

	while ((row = catalog_next_node(x->node->catalog, &at)))
		if (span_to_cstr(row->name, out, NODE_NAME_MAX + 1) &&
		    membership_number(out) == handle_node(h))
			return out;
	return NULL;
}

static bool of_extents(const struct op *op)
{
	return op->type == MSG_MALLOC_SET || op->type == MSG_MALLOC_GET;
}

/* This node made the object. */
static void at_own_object(struct op *op)
{
	struct extents *x = op->extents;
	struct failure f = { 0 };
	struct object *o = object_of(x, &op->handle, op->user, &f);

	if (!o) {
		op_fail(op, &f);
		return;
	}
	o->used_us = loop_now_us(x->node->loop);
	o->last_look = false;
	if (of_extents(op)) {
		to_extent(op, o->table);
		return;
	}
	if (op->type == MSG_MALLOC_FREE)
		object_end(x, o, op->conn, op->tag);
	else
		object_tell(x, o, op->conn, op->tag);
	op_free(op);
}

static void at_object(struct op *op)
{
	struct extents *x = op->extents;
	const struct table *known = table_recall(x, &op->handle);
	char maker[NODE_NAME_MAX + 1];
	struct failure f;

	if (!maker_of(x, &op->handle, maker)) {
		extents_stale(&op->handle, &f, "the node that made it is not "
			      "in the cloud any more");
		op_fail(op, &f);
	} else if (!strcmp(maker, x->node->local.node)) {
		at_own_object(op);
	} else if (of_extents(op) && known) {
		to_extent(op, known);
	} else if (of_extents(op)) {
		u16 type = op->type;

		op->type = MSG_MALLOC_MAP; /* for encode() */
		if (!send_to(op, maker, MSG_MALLOC_MAP, table_came))
			op_out_of_memory(op);
		else
			op->type = type;
	} else {
		if (op->type == MSG_MALLOC_FREE)
			table_forget(x, &op->handle);
		if (!send_to(op, maker, op->type, answered))
			op_out_of_memory(op);
	}
}

static void op_run(struct op *op)
{
	struct extents *x = op->extents;
	const char *user = policy_cloud_name(x->node->policy, op->user);
	struct policy_grant grant;
	struct msg_malloc m;
	struct failure f = { 0 };

	if (!user)
		failure_set(&f, -EACCES, "memory object",
			    "a line in [idmap] of virgo_cloud.conf",
			    "the cloud has no name for user %.60s of this node",
			    op->user);
	else
		policy_admit(x->node->policy, x->node->local.node, op->user,
			     "memory object", &grant, &f);
	if (f.code) {
		op_fail(op, &f);
		return;
	}
	memmove(op->user, user, strlen(user) + 1);
	if (op->type == MSG_MALLOC_LIST) {
		object_list(x, op->user, op->conn, op->tag);
		op_free(op);
	} else if (op->type != MSG_MALLOC) {
		at_object(op);
	} else {
		/* Its form was checked when it came. */
		msg_malloc_decode(&m, op->payload, op->length);
		make_begin(x, op->user, &m, op->conn, op->tag);
		op_free(op);
	}
}

/* --- arrival --- */

static void find_name(struct work *w)
{
	struct op *op = (struct op *)w;

	idnames_name(FILE_ID_USER, op->uid, op->user);
}

static void name_found(struct work *w)
{
	op_run((struct op *)w);
}

static bool admit(struct request *r)
{
	const struct extents *x = r->node->extents;
	const struct op *op;
	u32 count = 0;

	if (!r->node->catalog) {
		request_fail(r, -ENOTCONN, "virgo",
			     "virgo init NAME, or virgo join",
			     "this machine is not part of a cloud yet");
		return false;
	}
	LIST_FOREACH(op, &x->ops[op_bucket(r->conn)], entry)
		count += op->conn == r->conn;
	if (count < OPS_OF_CONN && conn_queued(r->conn) <= CONN_HIGH)
		return true;
	request_fail(r, -EBUSY, "memory object", "once more",
		     "too much is under way for this program");
	return false;
}

/* The handle comes first in the messages that have one. */
static void local(struct request *r, bool has_handle)
{
	struct extents *x = r->node->extents;
	struct handle h = { { 0 } };
	struct op *op;

	if (has_handle) {
		struct rcursor c = rcursor_of(r->payload, r->frame->length);

		if (!extents_handle(rcursor_span(&c), &h)) {
			request_fail(r, -ESTALE, "memory object", NULL,
				     "not a handle");
			return;
		}
	}
	if (!admit(r))
		return;
	op = malloc(sizeof(*op) + r->frame->length);
	if (!op) {
		request_fail(r, -ENOMEM, "memory object", NULL,
			     "out of memory");
		return;
	}
	memset(op, 0, sizeof(*op));
	op->work = (struct work){ .run = find_name, .done = name_found };
	op->extents = x;
	op->conn = conn_get(r->conn);
	op->tag = r->frame->tag;
	op->uid = r->uid;
	op->type = r->frame->type;
	op->handle = h;
	op->length = r->frame->length;
	memcpy(op->payload, r->payload, op->length);
	LIST_INSERT_HEAD(&x->ops[op_bucket(r->conn)], op, entry);
	if (idnames_peek(FILE_ID_USER, op->uid, true, op->user))
		op_run(op);
	else
		workers_submit(x->namer, &op->work);
}

static void handle_malloc(struct request *r)
{
	struct msg_malloc m;

	if (request_decode(r, malloc, &m))
		local(r, false);
}

static void handle_set(struct request *r)
{
	struct msg_malloc_set m;

	if (r->from == FROM_PEER)
		keeper_peer_set(r);
	else if (request_decode(r, malloc_set, &m))
		local(r, true);
}

static void handle_get(struct request *r)
{
	struct msg_malloc_get m;

	if (r->from == FROM_PEER)
		keeper_peer_get(r);
	else if (request_decode(r, malloc_get, &m))
		local(r, true);
}

static void handle_map(struct request *r)
{
	struct msg_malloc_map m;

	if (r->from == FROM_PEER)
		object_peer_map(r);
	else if (request_decode(r, malloc_map, &m))
		local(r, true);
}

static void handle_free(struct request *r)
{
	struct msg_malloc_free m;

	if (r->from == FROM_PEER)
		object_peer_free(r);
	else if (request_decode(r, malloc_free, &m))
		local(r, true);
}

static void handle_list(struct request *r)
{
	local(r, false);
}

void ops_serve(struct extents *x)
{
	static const struct service table[] = {
		{ MSG_MALLOC, FROM_LOCAL | FROM_ROOT, handle_malloc },
		{ MSG_MALLOC_SET, FROM_LOCAL | FROM_ROOT | FROM_PEER,
		  handle_set },
		{ MSG_MALLOC_GET, FROM_LOCAL | FROM_ROOT | FROM_PEER,
		  handle_get },
		{ MSG_MALLOC_MAP, FROM_LOCAL | FROM_ROOT | FROM_PEER,
		  handle_map },
		{ MSG_MALLOC_FREE, FROM_LOCAL | FROM_ROOT | FROM_PEER,
		  handle_free },
		{ MSG_MALLOC_LIST, FROM_LOCAL | FROM_ROOT, handle_list },
	};

	service_add(x->node, table, ARRAY_SIZE(table));
}

void ops_free(struct extents *x)
{
	struct target *t;
	u32 i;

	for (i = 0; i < OP_BUCKETS; i++)
		while (!LIST_EMPTY(&x->ops[i]))
			op_free(LIST_FIRST(&x->ops[i]));
	while ((t = x->targets)) {
		x->targets = t->next;
		free(t);
	}
	tables_free(x);
}
