// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Objects that were made here: whose they are, where their extents are, and how
 * long they live.
 *
 *	made --> held by its program --> let go --> lease over --> last look --> ended
 *	             (used: the lease begins anew)     ^---- used ----'
 *
 * Programs elsewhere go straight to the nodes with the extents, so this node
 * learns of their use when it renews the runs. Before an object is ended for its
 * lease, every node is asked a last time.
 */
#include <stdlib.h>

#include "audit.h"
#include "extents_impl.h"

struct object *object_find(struct extents *x, const struct handle *h)
{
	struct object *o;

	LIST_FOREACH(o, &x->objects[handle_bucket(h)], entry)
		if (handle_equal(&o->handle, h))
			return o;
	return NULL;
}

struct object *object_of(struct extents *x, const struct handle *h,
			 const char *user, struct failure *f)
{
	struct object *o = object_find(x, h);
	char name[32];

	if (!o)
		extents_stale(h, f, "there is no such object any more: it was "
			      "freed, its lease has ended, or virgod was "
			      "started anew");
	else if (strcmp(o->owner, user))
		failure_set(f, -EACCES, extents_name(h, name), NULL,
			    "it is another user's");
	else
		return o;
	return NULL;
}

int object_admit(struct extents *x, const char *user, struct failure *f)
{
	const struct object *o;
	u32 count = 0;
	u32 i;

	for (i = 0; i < OBJECT_BUCKETS; i++)
		LIST_FOREACH(o, &x->objects[i], entry)
			count += !strcmp(o->owner, user);
	if (count < OBJECTS_USER_MAX && x->object_count < OBJECTS_MAX)
		return 0;
	return failure_set(f, -EDQUOT, x->node->local.node,
			   "free some; see virgo memory objects",
			   "user %.60s has made %u objects here", user, count);
}

struct object *object_add(struct extents *x, const struct handle *h,
			  const char *user, struct conn *holder,
			  struct table *table)
{
	struct object *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->handle = *h;
	snprintf(o->owner, sizeof(o->owner), "%s", user);
	o->holder = holder;
	o->used_us = loop_now_us(x->node->loop);
	o->renew_us = o->used_us + RUN_LEASE_US / 3;
	o->table = table;
	LIST_INSERT_HEAD(&x->objects[handle_bucket(h)], o, entry);
	x->object_count++;
	extents_watch(x);
	return o;
}

/* --- its end --- */

/* Who waits until all nodes have let go. */
struct ending {
	struct conn *conn; /* NULL: nobody */
	u64 tag;
	u32 awaited;
};

static void ended(struct ending *e)
{
	const struct msg_ok m = {};

	if (--e->awaited)
		return;
	if (e->conn) {
		conn_reply(e->conn, e->tag, OK, ok, &m);
		conn_put(e->conn);
	}
	free(e);
}

static void dropped(void *arg, const struct frame *f, const u8 *payload,
		    const struct failure *why)
{
	/* A node that cannot be reached lets go when the run's lease ends. */
	if (!f || !(f->flags & FRAME_MORE))
		ended(arg);
}

void object_drop_runs(struct extents *x, const struct handle *h,
		      const struct table *t, struct conn *c, u64 tag)
{
	struct ending *e = calloc(1, sizeof(*e));
	u8 payload[4 + HANDLE_BYTES];
	u32 i;

	put_u32(payload, HANDLE_BYTES);
	memcpy(payload + 4, h->bytes, HANDLE_BYTES);
	if (e) {
		e->conn = c ? conn_get(c) : NULL;
		e->tag = tag;
		e->awaited = 1;
	}
	for (i = 0; i < t->count; i++) {
		const char *node = t->runs[i].node;

		if (!strcmp(node, x->node->local.node)) {
			keeper_drop(x, h, node);
			continue;
		}
		if (!e || x->ending)
			continue; /* the lease will */
		e->awaited++;
		if (!peers_call(x->node->peers, node, TLS_CONTROL,
				MSG_MALLOC_DROP, payload, sizeof(payload),
				dropped, e))
			e->awaited--;
	}
	if (e)
		ended(e);
}

void object_end(struct extents *x, struct object *o, struct conn *c, u64 tag)
{
	LIST_REMOVE(o, entry);
	x->object_count--;
	object_drop_runs(x, &o->handle, o->table, c, tag);
	free(o->table);
	free(o);
}

void object_let_go(struct extents *x, const struct conn *c)
{
	struct object *o;
	u32 i;

	for (i = 0; i < OBJECT_BUCKETS; i++)
		LIST_FOREACH(o, &x->objects[i], entry)
			if (o->holder == c) {
				o->holder = NULL;
				o->used_us = loop_now_us(x->node->loop);
			}
}

/* --- leases --- */

struct renewal_call {
	struct extents *extents;
	struct handle handle;
	u32 run;
};

static bool idle_too_long(const struct object *o, u64 now_us)
{
	return !o->holder &&
	       now_us - o->used_us >= o->table->lease_ms * MS_US;
}

static void used_now(struct extents *x, struct object *o)
{
	o->used_us = loop_now_us(x->node->loop);
	o->last_look = false;
}

static void expire(struct extents *x, struct object *o)
{
	char name[32];

	audit_write(x->node->audit, x->node->local.node, o->owner,
		    "memory object end", extents_name(&o->handle, name),
		    "freed: its lease has ended");
	object_end(x, o, NULL, 0);
}

/* All nodes have answered; may end @o. */
static void renewed_all(struct extents *x, struct object *o)
{
	if (o->last_look && idle_too_long(o, loop_now_us(x->node->loop)))
		expire(x, o);
	else
		o->last_look = false;
}

static void renewed(void *arg, const struct frame *f, const u8 *payload,
		    const struct failure *why)
{
	struct renewal_call *call = arg;
	struct extents *x = call->extents;
	struct object *o = object_find(x, &call->handle);
	struct msg_malloc_renewed m;
	struct msg_error e;

	if (f && (f->flags & FRAME_MORE))
		return;
	if (o) {
		if (f && f->type == MSG_MALLOC_RENEWED &&
		    !msg_malloc_renewed_decode(&m, payload, f->length)) {
			if (m.used)
				used_now(x, o);
		} else if (f && f->type == MSG_ERROR &&
			   !msg_error_decode(&e, payload, f->length) &&
			   e.code == -ESTALE) {
			o->table->runs[call->run].lost = true;
		}
		if (!--o->renewing && !x->ending)
			renewed_all(x, o);
	}
	free(call);
}

static void renew_run(struct extents *x, struct object *o, u32 run)
{
	struct renewal_call *call = calloc(1, sizeof(*call));
	u8 payload[4 + HANDLE_BYTES];

	if (!call)
		return;
	*call = (struct renewal_call){ .extents = x,
				       .handle = o->handle,
				       .run = run };
	put_u32(payload, HANDLE_BYTES);
	memcpy(payload + 4, o->handle.bytes, HANDLE_BYTES);
	if (peers_call(x->node->peers, o->table->runs[run].node, TLS_CONTROL,
		       MSG_MALLOC_RENEW, payload, sizeof(payload), renewed,
		       call))
		o->renewing++;
	else
		free(call);
}

/* Asks all nodes; may end @o at once when there are none. */
static void renew(struct extents *x, struct object *o, u64 now_us)
{
	const char *self = x->node->local.node;
	bool used = false;
	u32 i;

	if (o->renewing)
		return;
	o->renew_us = now_us + RUN_LEASE_US / 3;
	for (i = 0; i < o->table->count; i++) {
		struct run *run = &o->table->runs[i];

		if (run->lost)
			continue;
		if (!strcmp(run->node, self)) {
			keeper_renew(x, &o->handle, self, &used);
			if (used)
				used_now(x, o);
		} else if (!catalog_node(x->node->catalog, run->node)) {
			run->lost = true;
		} else {
			renew_run(x, o, i);
		}
	}
	if (!o->renewing)
		renewed_all(x, o);
}

void object_tick(struct extents *x, u64 now_us)
{
	struct object *o, *next;
	u32 i;

	for (i = 0; i < OBJECT_BUCKETS; i++) {
		for (o = LIST_FIRST(&x->objects[i]); o; o = next) {
			next = LIST_NEXT(o, entry);
			if (o->renewing)
				continue;
			if (idle_too_long(o, now_us))
				o->last_look = true;
			if (o->last_look || now_us >= o->renew_us)
				renew(x, o, now_us);
		}
	}
}

/* --- telling --- */

static u32 ms_since(u64 now_us, u64 then_us)
{
	u64 ms = (now_us - then_us) / MS_US;

	return ms > UINT32_MAX ? UINT32_MAX : (u32)ms;
}

void object_tell(struct extents *x, const struct object *o, struct conn *c,
		 u64 tag)
{
	const struct table *t = o->table;
	struct msg_malloc_table m = { .maker = span_of(x->node->local.node),
				      .bytes = t->bytes,
				      .lease_ms = t->lease_ms,
				      .held = o->holder != NULL };
	u8 runs[EXTENT_RUNS_MAX * (NODE_NAME_MAX + 32)];
	struct wcursor w = wcursor_of(runs, sizeof(runs));
	u32 i;

	for (i = 0; i < t->count; i++) {
		const struct run *run = &t->runs[i];
		const struct rec_malloc_run rec = {
			.node = span_of(run->node),
			.generation = run->generation,
			.first = run->first,
			.count = run->count,
			.lost = run->lost,
		};

		rec_malloc_run_append(&w, &rec);
	}
	m.runs = (struct span){ runs, (u32)wcursor_len(&w) };
	conn_reply(c, tag, MALLOC_TABLE, malloc_table, &m);
}

void object_list(struct extents *x, const char *user, struct conn *c, u64 tag)
{
	struct msg_malloc_objects m = {
		.room_bytes = keeper_room(x, user),
		.kept_bytes = x->kept_bytes,
		.budget_bytes = policy_conf(x->node->policy)->memory_objects_bytes,
	};
	size_t size = (size_t)x->object_count * (HANDLE_BYTES + 32);
	u8 *list = malloc(size + 1);
	struct wcursor w = wcursor_of(list, list ? size : 0);
	const struct object *o;
	u32 i;

	for (i = 0; list && i < OBJECT_BUCKETS; i++) {
		LIST_FOREACH(o, &x->objects[i], entry) {
			const struct rec_malloc_object rec = {
				.handle = { o->handle.bytes, HANDLE_BYTES },
				.bytes = o->table->bytes,
				.lease_ms = o->table->lease_ms,
				.idle_ms = ms_since(loop_now_us(x->node->loop),
						    o->used_us),
				.held = o->holder != NULL,
			};

			if (!strcmp(o->owner, user))
				rec_malloc_object_append(&w, &rec);
		}
	}
	m.objects = (struct span){ list, (u32)wcursor_len(&w) };
	conn_reply(c, tag, MALLOC_OBJECTS, malloc_objects, &m);
	free(list);
}

/* --- requests of other nodes --- */

static struct object *asked_for(struct request *r, struct span handle,
				const char *user, const char *action)
{
	struct failure f = { 0 };
	struct object *o = NULL;
	struct handle h;

	if (!extents_handle(handle, &h))
		failure_set(&f, -EINVAL, action, NULL, "not a handle");
	else
		o = object_of(r->node->extents, &h, user, &f);
	if (!o)
		extents_refuse(r, user, action, &f);
	return o;
}

void object_peer_map(struct request *r)
{
	struct msg_malloc_map m;
	struct object *o;
	char user[IDNAME_MAX];

	if (!request_decode(r, malloc_map, &m) ||
	    !extents_user(r, m.user, "memory object", user))
		return;
	o = asked_for(r, m.handle, user, "memory object map");
	if (!o)
		return;
	used_now(r->node->extents, o);
	object_tell(r->node->extents, o, r->conn, r->frame->tag);
}

void object_peer_free(struct request *r)
{
	struct msg_malloc_free m;
	struct object *o;
	char user[IDNAME_MAX];

	if (!request_decode(r, malloc_free, &m) ||
	    !extents_user(r, m.user, "memory object", user))
		return;
	o = asked_for(r, m.handle, user, "memory object free");
	if (o)
		object_end(r->node->extents, o, r->conn, r->frame->tag);
}

void object_free_all(struct extents *x)
{
	u32 i;

	for (i = 0; i < OBJECT_BUCKETS; i++) {
		while (!LIST_EMPTY(&x->objects[i])) {
			struct object *o = LIST_FIRST(&x->objects[i]);

			LIST_REMOVE(o, entry);
			free(o->table);
			free(o);
		}
	}
}
