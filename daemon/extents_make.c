// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An object is made: this node's own room is taken first, for there its bytes are
 * nearest. What does not fit goes to the nodes with the most room, which are asked
 * for it, then to keep their runs. Either all of it has a place or none of it
 * keeps any.
 *
 *	begin --> asking for room --> placed --> asking to keep --> made, or dropped
 */
#include <stdlib.h>

#include "audit.h"
#include "extents_impl.h"
#include "secret.h"

struct making {
	LIST_ENTRY(making) entry;
	struct extents *extents;
	struct conn *conn;
	u64 tag;
	struct handle handle;
	char user[IDNAME_MAX];
	u64 bytes;
	u32 lease_ms;
	u32 awaited;
	u32 count; /* rooms, the first is this node's */
	struct failure why; /* what some node refused */
	struct table *table;
	struct extent_room rooms[EXTENT_RUNS_MAX];
	char nodes[EXTENT_RUNS_MAX][NODE_NAME_MAX + 1];
};

/* One question of it. */
struct asked {
	struct making *making;
	u32 index; /* of a room, then of a run */
};

static void finish(struct making *m, const struct failure *why)
{
	struct extents *x = m->extents;
	char object[64], name[32];

	snprintf(object, sizeof(object), "%s, %llu KiB",
		 extents_name(&m->handle, name),
		 (unsigned long long)(m->bytes >> 10));
	audit_write_failure(x->node->audit, x->node->local.node, m->user,
			    "memory object make", object, why);
	if (why)
		conn_reply_failure(m->conn, m->tag, why);
	LIST_REMOVE(m, entry);
	conn_put(m->conn);
	free(m->table);
	free(m);
}

static void made(struct making *m)
{
	const struct msg_malloced done = {
		.handle = { m->handle.bytes, HANDLE_BYTES },
	};
	struct extents *x = m->extents;
	struct failure f = { 0 };

	/* Others of the user may have been made meanwhile. */
	if (object_admit(x, m->user, &f) ||
	    !object_add(x, &m->handle, m->user,
			conn_is_open(m->conn) ? m->conn : NULL, m->table)) {
		if (!f.code)
			failure_set(&f, -ENOMEM, x->node->local.node, NULL,
				    "out of memory");
		object_drop_runs(x, &m->handle, m->table, NULL, 0);
		finish(m, &f);
		return;
	}
	m->table = NULL;
	conn_reply(m->conn, m->tag, MALLOCED, malloced, &done);
	finish(m, NULL);
}

/* --- keeping --- */

static void answered_keep(struct making *m)
{
	if (--m->awaited)
		return;
	if (!m->why.code && !m->extents->ending) {
		made(m);
		return;
	}
	if (!m->why.code)
		failure_set(&m->why, -ESHUTDOWN, "virgod", NULL, "it ends");
	object_drop_runs(m->extents, &m->handle, m->table, NULL, 0);
	finish(m, &m->why);
}

static void note_failure(struct making *m, const struct frame *f,
			 const u8 *payload, const struct failure *why)
{
	struct msg_error e;

	if (f && f->type == MSG_ERROR &&
	    !msg_error_decode(&e, payload, f->length))
		failure_from_message(&m->why, &e);
	else if (!f)
		m->why = *why;
	else
		failure_set(&m->why, -EPROTO, "memory object", NULL,
			    "a malformed answer");
}

static void kept(void *arg, const struct frame *f, const u8 *payload,
		 const struct failure *why)
{
	struct asked *a = arg;
	struct making *m = a->making;
	struct msg_malloc_kept k;

	if (f && (f->flags & FRAME_MORE))
		return;
	if (f && f->type == MSG_MALLOC_KEPT &&
	    !msg_malloc_kept_decode(&k, payload, f->length))
		m->table->runs[a->index].generation = k.generation;
	else
		note_failure(m, f, payload, why);
	free(a);
	answered_keep(m);
}

/* A question of type @type to @node with struct msg_name @msg. */
#define ask(m, node_, index_, NAME, name, msg, reply)                          \
	({                                                                     \
		struct asked *a_ = malloc(sizeof(*a_));                        \
		u8 buf_[IDNAME_MAX + 64];                                      \
		struct wcursor w_ = wcursor_of(buf_, sizeof(buf_));            \
		bool sent_ = false;                                            \
									       \
		msg_##name##_encode(&w_, msg);                                 \
		if (a_) {                                                      \
			*a_ = (struct asked){ m, index_ };                     \
			sent_ = peers_call((m)->extents->node->peers, node_,   \
					   TLS_CONTROL, MSG_##NAME, buf_,      \
					   wcursor_len(&w_), reply, a_);       \
		}                                                              \
		if (sent_)                                                     \
			(m)->awaited++;                                        \
		else                                                           \
			free(a_);                                              \
		sent_;                                                         \
	})

static void keep_run(struct making *m, u32 index)
{
	struct extents *x = m->extents;
	struct run *run = &m->table->runs[index];
	const struct msg_malloc_keep k = {
		.handle = { m->handle.bytes, HANDLE_BYTES },
		.user = span_of(m->user),
		.first = run->first,
		.bytes = extent_run_bytes(m->bytes, run->first, run->count),
	};

	if (!strcmp(run->node, x->node->local.node)) {
		run->generation = x->node->local.boot;
		keeper_keep(x, &m->handle, m->user, run->node, k.first, k.bytes,
			   &m->why);
	} else if (!ask(m, run->node, index, MALLOC_KEEP, malloc_keep, &k,
			kept)) {
		failure_set(&m->why, -ENOMEM, x->node->local.node, NULL,
			    "out of memory");
	}
}

/* The rooms have their parts: a table of them, and all are asked to keep theirs. */
static void keep(struct making *m)
{
	struct table *t = calloc(1, sizeof(*t) +
				    m->count * sizeof(t->runs[0]));
	struct failure f;
	u32 i;

	if (!t) {
		failure_set(&f, -ENOMEM, m->extents->node->local.node, NULL,
			    "out of memory");
		finish(m, &f);
		return;
	}
	t->bytes = m->bytes;
	t->lease_ms = m->lease_ms;
	for (i = 0; i < m->count; i++) {
		struct run *run = &t->runs[t->count];

		if (!m->rooms[i].count)
			continue;
		memcpy(run->node, m->nodes[i], sizeof(run->node));
		run->first = m->rooms[i].first;
		run->count = m->rooms[i].count;
		t->count++;
	}
	m->table = t;
	m->awaited = 1; /* until all are asked */
	for (i = 0; i < t->count && !m->why.code; i++)
		keep_run(m, i);
	answered_keep(m);
}

/* --- room --- */

static bool placed(struct making *m)
{
	struct failure f;
	u64 missing;

	if (!extent_place(m->rooms, m->count, m->bytes, &missing)) {
		keep(m);
		return true;
	}
	if (m->awaited) /* others are still to be asked */
		return false;
	failure_set(&f, -ENOMEM, "memory object",
		    "free objects, or raise objects in [memory] of "
		    "virgo_cloud.conf on some node",
		    "%u nodes together lack room for %llu KiB of its %llu KiB",
		    m->count, (unsigned long long)((missing + 1023) >> 10),
		    (unsigned long long)((m->bytes + 1023) >> 10));
	finish(m, &f);
	return true;
}

static void room_came(void *arg, const struct frame *f, const u8 *payload,
		      const struct failure *why)
{
	struct asked *a = arg;
	struct making *m = a->making;
	struct msg_malloc_room_is is;

	if (f && (f->flags & FRAME_MORE))
		return;
	/* A node that refuses, or is gone, has none. */
	if (f && f->type == MSG_MALLOC_ROOM_IS &&
	    !msg_malloc_room_is_decode(&is, payload, f->length))
		m->rooms[a->index].free_bytes = is.bytes;
	free(a);
	if (!--m->awaited)
		placed(m);
}

static void ask_others(struct making *m)
{
	struct membership *ms = m->extents->node->membership;
	const struct msg_malloc_room room = { .user = span_of(m->user) };
	const struct member *other;
	size_t at = 0;

	while (m->count < EXTENT_RUNS_MAX &&
	       (other = membership_next(ms, &at))) {
		if (other->self || other->draining || other->state != SWIM_UP)
			continue;
		snprintf(m->nodes[m->count], sizeof(m->nodes[0]), "%s",
			 other->name);
		if (!ask(m, other->name, m->count, MALLOC_ROOM, malloc_room,
			 &room, room_came))
			break;
		m->count++;
	}
}

/* How many objects are being made for the program behind @c. */
static u32 makings_of(const struct extents *x, const struct conn *c)
{
	const struct making *m;
	u32 count = 0;

	LIST_FOREACH(m, &x->makings, entry)
		count += m->conn == c;
	return count;
}

void make_begin(struct extents *x, const char *user,
		const struct msg_malloc *msg, struct conn *c, u64 tag)
{
	struct making *m = calloc(1, sizeof(*m));
	struct failure f = { 0 };
	u64 random;

	if (!m) {
		failure_set(&f, -ENOMEM, x->node->local.node, NULL,
			    "out of memory");
		conn_reply_failure(c, tag, &f);
		return;
	}
	random_fill(&random, sizeof(random));
	m->extents = x;
	LIST_INSERT_HEAD(&x->makings, m, entry);
	m->conn = conn_get(c);
	m->tag = tag;
	snprintf(m->user, sizeof(m->user), "%s", user);
	m->bytes = msg->bytes;
	m->lease_ms = msg->lease_ms ? msg->lease_ms : LEASE_STANDARD_MS;
	handle_make(&m->handle, membership_number(x->node->local.node), random);
	snprintf(m->nodes[0], sizeof(m->nodes[0]), "%s", x->node->local.node);
	if (!extent_count(m->bytes) || m->lease_ms < LEASE_MIN_MS ||
	    m->lease_ms > LEASE_MAX_MS)
		failure_set(&f, -EINVAL, "memory object",
			    "1 byte to 64 GiB, a lease of 1 s to 7 days",
			    "not a size, or not a lease");
	else if (makings_of(x, c) > MAKINGS_OF_CONN)
		failure_set(&f, -EBUSY, "memory object", "once more",
			    "too many are being made for this program");
	else
		object_admit(x, user, &f);
	if (f.code) {
		finish(m, &f);
		return;
	}
	m->rooms[0].free_bytes = keeper_room(x, user);
	m->count = 1;
	m->awaited = 1;
	if (placed(m))
		return;
	ask_others(m);
	if (!--m->awaited)
		placed(m);
}
