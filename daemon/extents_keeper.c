// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Extents that are kept on this node, for objects made here or elsewhere. A run
 * is found by its object's handle; a node keeps at most one run of an object.
 *
 * Budgets count whole pages of what was promised; memory is taken an extent at a
 * time when it is first written to. An ended run goes to the wiping list, where
 * its bytes are cleared a few extents at a time, so that the end of a large object
 * does not hold up the loop; until then it counts.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "audit.h"
#include "extents_impl.h"
#include "loads.h"

enum { WIPE_EXTENTS = 32 }; /* in one round of the loop: 32 MiB */

struct kept {
	LIST_ENTRY(kept) entry;
	struct handle handle;
	char owner[IDNAME_MAX];
	char maker[NODE_NAME_MAX + 1];
	u64 due_us; /* end of the lease, unless this node made it */
	u64 bytes;
	u32 first;
	u32 count;
	bool used;
	u8 *extents[]; /* NULL: never written to */
};

static struct kept *find(const struct extents *x, const struct handle *h)
{
	struct kept *k;

	LIST_FOREACH(k, &x->kept[handle_bucket(h)], entry)
		if (handle_equal(&k->handle, h))
			return k;
	return NULL;
}

static bool own(const struct extents *x, const struct kept *k)
{
	return !strcmp(k->maker, x->node->local.node);
}

static u64 extent_bytes(const struct kept *k, u32 i)
{
	return extent_charge(extent_run_bytes(k->bytes, i, 1));
}

/* --- room --- */

static u64 less(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

static u64 smaller(u64 a, u64 b)
{
	return a < b ? a : b;
}

static u64 bytes_of(const struct extents *x, const char *user, u32 *runs)
{
	struct kept *k;
	u64 bytes = 0;
	u32 i;

	*runs = 0;
	for (i = 0; i < OBJECT_BUCKETS; i++)
		LIST_FOREACH(k, &x->kept[i], entry)
			if (!strcmp(k->owner, user)) {
				bytes += extent_charge(k->bytes);
				(*runs)++;
			}
	return bytes;
}

/* What this machine can spare beside its reserve and what it promised. */
static u64 spare(const struct extents *x)
{
	const struct conf_cloud *conf = policy_conf(x->node->policy);
	struct load load = loads_now(x->node->loads);

	return less(less(load.memory_free_bytes, conf->memory_reserve_bytes),
		    x->kept_bytes - x->touched_bytes);
}

u64 keeper_room(const struct extents *x, const char *user)
{
	const struct conf_cloud *conf = policy_conf(x->node->policy);
	const struct member *self;
	u64 room = less(conf->memory_objects_bytes, x->kept_bytes);
	u32 runs;
	u64 bytes = bytes_of(x, user, &runs);

	self = membership_find(x->node->membership, x->node->local.node);
	if ((self && self->draining) || runs >= OBJECTS_USER_MAX ||
	    x->kept_count >= OBJECTS_MAX)
		return 0;
	if (conf->memory_objects_quota_bytes)
		room = smaller(room, less(conf->memory_objects_quota_bytes,
					  bytes));
	return smaller(room, spare(x));
}

int keeper_keep(struct extents *x, const struct handle *h, const char *user,
	       const char *maker, u32 first, u64 bytes, struct failure *f)
{
	u32 count = extent_count(bytes);
	struct kept *k;

	if (!count || first >= EXTENTS_MAX)
		return failure_set(f, -EINVAL, "memory object", NULL,
				   "not a run of extents");
	if (find(x, h))
		return failure_set(f, -EEXIST, "memory object", NULL,
				   "a run of it is kept here already");
	if (extent_charge(bytes) > keeper_room(x, user))
		return failure_set(f, -ENOMEM, x->node->local.node,
				   "free objects, or give them more memory: "
				   "objects in [memory] of virgo_cloud.conf",
				   "it has no room for %llu MiB of user %.60s",
				   (unsigned long long)(bytes >> 20), user);
	k = calloc(1, sizeof(*k) + count * sizeof(k->extents[0]));
	if (!k)
		return failure_set(f, -ENOMEM, x->node->local.node, NULL,
				   "out of memory");
	k->handle = *h;
	snprintf(k->owner, sizeof(k->owner), "%s", user);
	snprintf(k->maker, sizeof(k->maker), "%s", maker);
	k->due_us = loop_now_us(x->node->loop) + RUN_LEASE_US;
	k->first = first;
	k->count = count;
	k->bytes = bytes;
	LIST_INSERT_HEAD(&x->kept[handle_bucket(h)], k, entry);
	x->kept_count++;
	x->kept_bytes += extent_charge(bytes);
	extents_watch(x);
	return 0;
}

/* --- wiping --- */

static void wipe_extent(struct extents *x, struct kept *k, u32 i)
{
	u64 bytes = extent_bytes(k, i);

	explicit_bzero(k->extents[i], bytes);
	munmap(k->extents[i], bytes);
	x->touched_bytes -= bytes;
}

static void wipe(struct extents *x, u32 extents)
{
	struct kept *k;

	while (extents && (k = LIST_FIRST(&x->wiping))) {
		while (k->count && extents) {
			if (k->extents[--k->count]) {
				wipe_extent(x, k, k->count);
				extents--;
			}
		}
		if (k->count)
			return;
		LIST_REMOVE(k, entry);
		x->kept_bytes -= extent_charge(k->bytes);
		free(k);
	}
}

static void wipe_some(struct timer *t)
{
	struct extents *x =
		(struct extents *)((char *)t - offsetof(struct extents, wipe));

	wipe(x, WIPE_EXTENTS);
	if (!LIST_EMPTY(&x->wiping))
		loop_arm(x->node->loop, t, 0);
}

static void drop(struct extents *x, struct kept *k)
{
	LIST_REMOVE(k, entry);
	x->kept_count--;
	LIST_INSERT_HEAD(&x->wiping, k, entry);
	wipe_some(&x->wipe);
}

void keeper_drop(struct extents *x, const struct handle *h, const char *maker)
{
	struct kept *k = find(x, h);

	if (k && !strcmp(k->maker, maker))
		drop(x, k);
}

void keeper_tick(struct extents *x, u64 now_us)
{
	struct kept *k, *next;
	char name[32];
	u32 i;

	for (i = 0; i < OBJECT_BUCKETS; i++) {
		for (k = LIST_FIRST(&x->kept[i]); k; k = next) {
			next = LIST_NEXT(k, entry);
			if (own(x, k) || now_us < k->due_us)
				continue;
			audit_write(x->node->audit, k->maker, k->owner,
				    "memory object lost",
				    extents_name(&k->handle, name),
				    "freed: its node has not renewed it");
			drop(x, k);
		}
	}
}

void keeper_free(struct extents *x)
{
	u32 i;

	for (i = 0; i < OBJECT_BUCKETS; i++)
		while (!LIST_EMPTY(&x->kept[i])) {
			struct kept *k = LIST_FIRST(&x->kept[i]);

			LIST_REMOVE(k, entry);
			LIST_INSERT_HEAD(&x->wiping, k, entry);
		}
	wipe(x, UINT32_MAX);
	loop_disarm(x->node->loop, &x->wipe);
}

/* --- bytes --- */

/* The run with that range, if @user may use it. */
static int enter(struct extents *x, const struct handle *h, const char *user,
		 u64 generation, const struct extent_range *range,
		 struct kept **out, struct failure *f)
{
	struct kept *k = find(x, h);
	char name[32];

	if (!k || generation != x->node->local.boot)
		return extents_stale(h, f, "its memory here was freed, or lost "
				     "when virgod was started anew");
	if (strcmp(k->owner, user))
		return failure_set(f, -EACCES, extents_name(h, name), NULL,
				   "it is another user's");
	if (range->index < k->first || range->index - k->first >= k->count ||
	    range->at + range->len >
		    extent_run_bytes(k->bytes, range->index - k->first, 1))
		return failure_set(f, -ERANGE, extents_name(h, name), NULL,
				   "this node keeps no such part of it");
	k->used = true;
	*out = k;
	return 0;
}

int keeper_get(struct extents *x, const struct handle *h, const char *user,
	      u64 generation, const struct extent_range *range,
	      const u8 **out, struct failure *f)
{
	struct kept *k;
	const u8 *extent;
	int ret = enter(x, h, user, generation, range, &k, f);

	if (ret)
		return ret;
	extent = k->extents[range->index - k->first];
	*out = extent ? extent + range->at : NULL;
	return 0;
}

static u8 *take_extent(struct extents *x, u64 bytes)
{
	u8 *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_DONTDUMP);
	x->touched_bytes += bytes;
	return p;
}

int keeper_set(struct extents *x, const struct handle *h, const char *user,
	      u64 generation, const struct extent_range *range, const u8 *data,
	      struct failure *f)
{
	struct kept *k;
	u8 **extent;
	int ret = enter(x, h, user, generation, range, &k, f);

	if (ret)
		return ret;
	extent = &k->extents[range->index - k->first];
	if (!*extent)
		*extent = take_extent(x, extent_bytes(k, range->index - k->first));
	if (!*extent)
		return failure_set(f, -ENOMEM, x->node->local.node, NULL,
				   "out of memory");
	memcpy(*extent + range->at, data, range->len);
	return 0;
}

void keeper_answer(struct conn *c, u64 tag, const u8 *data, u32 len)
{
	static const u8 zeros[EXTENT_BYTES];
	const struct frame f = { .type = MSG_MALLOC_DATA,
				 .flags = FRAME_REPLY,
				 .tag = tag };
	u8 head[4];

	put_u32(head, len);
	conn_send(c, &f, head, sizeof(head), data ? data : zeros, len);
}

int keeper_renew(struct extents *x, const struct handle *h, const char *maker,
		bool *used)
{
	struct kept *k = find(x, h);

	if (!k || strcmp(k->maker, maker))
		return -ESTALE;
	*used = k->used;
	k->used = false;
	k->due_us = loop_now_us(x->node->loop) + RUN_LEASE_US;
	return 0;
}

/* --- requests of other nodes --- */

static void handle_room(struct request *r)
{
	struct msg_malloc_room m;
	struct msg_malloc_room_is is;
	char user[IDNAME_MAX];

	if (!request_decode(r, malloc_room, &m) ||
	    !extents_user(r, m.user, "memory object", user))
		return;
	is.bytes = keeper_room(r->node->extents, user);
	request_reply(r, MALLOC_ROOM_IS, malloc_room_is, &is);
}

static void handle_keep(struct request *r)
{
	struct msg_malloc_kept kept = { .generation = r->node->local.boot };
	struct msg_malloc_keep m;
	struct failure f = { 0 };
	struct handle h;
	char user[IDNAME_MAX];
	char object[64];
	char name[32];
	int ret;

	if (!request_decode(r, malloc_keep, &m) ||
	    !extents_user(r, m.user, "memory object", user))
		return;
	if (!extents_handle(m.handle, &h)) {
		request_fail(r, -EINVAL, "memory object", NULL, "not a handle");
		return;
	}
	ret = keeper_keep(r->node->extents, &h, user, r->peer, m.first, m.bytes,
			 &f);
	snprintf(object, sizeof(object), "%s, %llu KiB", extents_name(&h, name),
		 (unsigned long long)(m.bytes >> 10));
	audit_write_failure(r->node->audit, r->peer, user, "memory object",
			    object, &f);
	if (ret)
		request_fail_with(r, &f);
	else
		request_reply(r, MALLOC_KEPT, malloc_kept, &kept);
}

static void handle_renew(struct request *r)
{
	struct msg_malloc_renewed renewed = { 0 };
	struct msg_malloc_renew m;
	struct handle h = { { 0 } };
	bool used;

	if (!request_decode(r, malloc_renew, &m))
		return;
	if (!extents_handle(m.handle, &h) ||
	    keeper_renew(r->node->extents, &h, r->peer, &used)) {
		request_fail(r, -ESTALE, "memory object", NULL,
			     "nothing of it is kept here");
		return;
	}
	renewed.used = used;
	request_reply(r, MALLOC_RENEWED, malloc_renewed, &renewed);
}

static void handle_drop(struct request *r)
{
	struct msg_malloc_drop m;
	struct handle h;

	if (!request_decode(r, malloc_drop, &m))
		return;
	if (extents_handle(m.handle, &h))
		keeper_drop(r->node->extents, &h, r->peer);
	request_ok(r);
}

/* The range in a request of another node, which knows how large the object is. */
static bool peer_range(struct request *r, u64 offset, u64 len,
		       struct extent_range *out)
{
	u64 end = offset + len;

	if (end >= offset && len <= EXTENT_BYTES &&
	    !extent_range((u64)EXTENTS_MAX << EXTENT_SHIFT, offset, len, end,
			  out))
		return true;
	request_fail(r, -EINVAL, "memory object", NULL,
		     "not a range of one extent");
	return false;
}

void keeper_peer_set(struct request *r)
{
	struct extent_range range;
	struct msg_malloc_set m;
	struct failure f = { 0 };
	struct handle h = { { 0 } };
	char user[IDNAME_MAX];

	if (!request_decode(r, malloc_set, &m) ||
	    !extents_user(r, m.user, "memory object", user) ||
	    !peer_range(r, m.offset, m.data.len, &range))
		return;
	if (!extents_handle(m.handle, &h))
		extents_stale(&h, &f, "not a handle");
	else if (!keeper_set(r->node->extents, &h, user, m.generation, &range,
			    m.data.data, &f)) {
		request_ok(r);
		return;
	}
	extents_refuse(r, user, "memory object set", &f);
}

void keeper_peer_get(struct request *r)
{
	struct extent_range range;
	struct msg_malloc_get m;
	struct failure f = { 0 };
	struct handle h = { { 0 } };
	const u8 *data;
	char user[IDNAME_MAX];

	if (!request_decode(r, malloc_get, &m) ||
	    !extents_user(r, m.user, "memory object", user) ||
	    !peer_range(r, m.offset, m.len, &range))
		return;
	if (!extents_handle(m.handle, &h))
		extents_stale(&h, &f, "not a handle");
	else if (!keeper_get(r->node->extents, &h, user, m.generation, &range,
			    &data, &f)) {
		keeper_answer(r->conn, r->frame->tag, data, range.len);
		return;
	}
	extents_refuse(r, user, "memory object get", &f);
}

void keeper_serve(struct extents *x)
{
	static const struct service table[] = {
		{ MSG_MALLOC_ROOM, FROM_PEER, handle_room },
		{ MSG_MALLOC_KEEP, FROM_PEER, handle_keep },
		{ MSG_MALLOC_RENEW, FROM_PEER, handle_renew },
		{ MSG_MALLOC_DROP, FROM_PEER, handle_drop },
	};

	x->wipe.fire = wipe_some;
	service_add(x->node, table, ARRAY_SIZE(table));
}
