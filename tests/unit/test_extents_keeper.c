// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Extents kept for memory objects: budgets, owners, leases, and what another node
 * may ask of a keeper. The rest of virgod is what is defined here.
 */
#include <criterion/criterion.h>

#include "audit.h"
#include "extents_impl.h"
#include "loads.h"

#define MIB (1ull << 20)

static struct conf_cloud conf;
static struct load load;
static struct member self;
static struct timer *wiping; /* armed by keeper_drop() */
static u64 now_us;
static u32 audited;
static const struct service *services;
static size_t service_count;
static struct {
	u16 type; /* of the answer; MSG_ERROR with its code */
	int code;
	u64 number; /* first of its fields, where it has eight bytes */
	const void *body;
	size_t len;
} got;

const struct conf_cloud *policy_conf(const struct policy *p)
{
	return &conf;
}

struct load loads_now(const struct loads *l)
{
	return load;
}

const struct member *membership_find(struct membership *m, const char *name)
{
	return &self;
}

u64 loop_now_us(const struct loop *l)
{
	return now_us;
}

void loop_arm(struct loop *l, struct timer *t, u64 delay_us)
{
	wiping = t;
}

void loop_disarm(struct loop *l, struct timer *t)
{
	wiping = NULL;
}

int audit_write(struct audit *a, const char *node, const char *user,
		const char *action, const char *object, const char *result)
{
	audited++;
	return 0;
}

int audit_write_failure(struct audit *a, const char *node, const char *user,
			const char *action, const char *object,
			const struct failure *f)
{
	return audit_write(a, node, user, action, object, "");
}

void service_add(struct node *n, const struct service *table, size_t count)
{
	services = table;
	service_count = count;
}

int conn_send(struct conn *c, const struct frame *f, const void *head,
	      size_t head_len, const void *body, size_t body_len)
{
	got.type = f->type;
	if (head_len == sizeof(got.number))
		got.number = get_u64(head);
	got.body = body;
	got.len = body_len;
	return 0;
}

void request_ok(struct request *r)
{
	got.type = MSG_OK;
}

void request_fail_with(struct request *r, const struct failure *f)
{
	got.type = MSG_ERROR;
	got.code = f->code;
}

void request_fail(struct request *r, int code, const char *object,
		  const char *remedy, const char *what_fmt, ...)
{
	got.type = MSG_ERROR;
	got.code = code;
}

bool extents_handle(struct span s, struct handle *out)
{
	if (s.len != HANDLE_BYTES)
		return false;
	memcpy(out->bytes, s.data, HANDLE_BYTES);
	return true;
}

void extents_refuse(struct request *r, const char *user, const char *action,
		    const struct failure *f)
{
	request_fail_with(r, f);
}

/* [allow] of this node names ann and bob. */
bool extents_user(struct request *r, struct span said, const char *action,
		  char out[IDNAME_MAX])
{
	cr_assert(span_to_cstr(said, out, IDNAME_MAX));
	if (!strcmp(out, "ann") || !strcmp(out, "bob"))
		return true;
	request_fail(r, -EACCES, action, NULL, "not allowed");
	return false;
}

const char *extents_name(const struct handle *h, char out[32])
{
	return strcpy(out, "object");
}

int extents_stale(const struct handle *h, struct failure *f, const char *why)
{
	return failure_set(f, -ESTALE, "object", NULL, "%s", why);
}

void extents_watch(struct extents *x)
{
}

static struct node node = { .local = { .node = "alpha", .boot = 77 } };
static struct extents keeper;
static const struct handle one = { { 1 } }, two = { { 2 } }, none = { { 3 } };

static void setup(void)
{
	conf = (struct conf_cloud){ .memory_objects_bytes = 64 * MIB,
				    .memory_reserve_bytes = 10 * MIB };
	load = (struct load){ .memory_free_bytes = 100 * MIB };
	self = (struct member){ .self = true };
	now_us = 1000 * SECOND_US;
	keeper = (struct extents){ .node = &node };
	node.extents = &keeper;
	keeper_serve(&keeper);
}

static void teardown(void)
{
	keeper_free(&keeper);
	cr_assert_eq(keeper.kept_bytes, 0);
	cr_assert_eq(keeper.touched_bytes, 0);
}

TestSuite(extents_keeper, .init = setup, .fini = teardown);

static int keep(const struct handle *h, const char *user, const char *maker,
		u32 first, u64 bytes)
{
	struct failure f = { 0 };

	return keeper_keep(&keeper, h, user, maker, first, bytes, &f);
}

static int set(const struct handle *h, const char *user, u32 index, u32 at,
	       const char *text)
{
	const struct extent_range range = { index, at, (u32)strlen(text) };
	struct failure f = { 0 };

	return keeper_set(&keeper, h, user, node.local.boot, &range,
			  (const u8 *)text, &f);
}

static int get(const struct handle *h, const char *user, u32 index, u32 at,
	       u32 len, const u8 **out)
{
	const struct extent_range range = { index, at, len };
	struct failure f = { 0 };

	return keeper_get(&keeper, h, user, node.local.boot, &range, out, &f);
}

Test(extents_keeper, what_was_set_is_read_and_the_rest_is_zero)
{
	const u8 *p;

	cr_assert_eq(keep(&one, "ann", "beta", 4, 2 * MIB + 100), 0);
	cr_assert_eq(keeper.kept_bytes, 2 * MIB + EXTENT_PAGE);
	cr_assert_eq(keeper.touched_bytes, 0, "memory before it is written to");
	cr_assert_eq(get(&one, "ann", 5, 0, 10, &p), 0);
	cr_assert_null(p);
	cr_assert_eq(set(&one, "ann", 5, EXTENT_BYTES - 3, "end"), 0);
	cr_assert_eq(set(&one, "ann", 6, 97, "end"), 0);
	cr_assert_eq(keeper.touched_bytes, MIB + EXTENT_PAGE);
	cr_assert_eq(get(&one, "ann", 5, EXTENT_BYTES - 4, 4, &p), 0);
	cr_assert_arr_eq(p, "\0end", 4);
	cr_assert_eq(get(&one, "ann", 6, 96, 4, &p), 0);
	cr_assert_arr_eq(p, "\0end", 4);
}

Test(extents_keeper, a_range_that_is_not_kept)
{
	const u8 *p;

	cr_assert_eq(keep(&one, "ann", "beta", 4, 2 * MIB + 100), 0);
	cr_assert_eq(get(&one, "ann", 3, 0, 1, &p), -ERANGE);
	cr_assert_eq(get(&one, "ann", 7, 0, 1, &p), -ERANGE);
	cr_assert_eq(get(&one, "ann", 6, 100, 1, &p), -ERANGE);
	cr_assert_eq(set(&one, "ann", 6, 98, "end"), -ERANGE);
	cr_assert_eq(set(&one, "ann", 5, EXTENT_BYTES - 2, "end"), -ERANGE);
	cr_assert_eq(keeper.touched_bytes, 0);
}

Test(extents_keeper, owners_and_generations)
{
	const struct extent_range range = { 0, 0, 1 };
	struct failure f = { 0 };
	const u8 *p;

	cr_assert_eq(keep(&one, "ann", "beta", 0, 1), 0);
	cr_assert_eq(get(&one, "bob", 0, 0, 1, &p), -EACCES);
	cr_assert_eq(set(&one, "bob", 0, 0, "x"), -EACCES);
	cr_assert_eq(get(&two, "ann", 0, 0, 1, &p), -ESTALE);
	cr_assert_eq(keeper_get(&keeper, &one, "ann", 76, &range, &p, &f),
		     -ESTALE);
	cr_assert_eq(get(&one, "ann", 0, 0, 1, &p), 0);
}

Test(extents_keeper, room_is_the_least_of_all_bounds)
{
	cr_assert_eq(keeper_room(&keeper, "ann"), 64 * MIB);
	load.memory_free_bytes = 50 * MIB;
	cr_assert_eq(keeper_room(&keeper, "ann"), 40 * MIB, "the reserve");
	load.memory_free_bytes = 5 * MIB;
	cr_assert_eq(keeper_room(&keeper, "ann"), 0);
	load.memory_free_bytes = 100 * MIB;
	conf.memory_objects_quota_bytes = 20 * MIB;
	cr_assert_eq(keep(&one, "ann", "beta", 0, 12 * MIB), 0);
	cr_assert_eq(keeper_room(&keeper, "ann"), 8 * MIB, "her quota");
	cr_assert_eq(keeper_room(&keeper, "bob"), 20 * MIB, "his own");
	conf.memory_objects_quota_bytes = 0;
	cr_assert_eq(keeper_room(&keeper, "ann"), 52 * MIB, "the budget");
	/* What was promised and not yet taken is not free any more. */
	load.memory_free_bytes = 30 * MIB;
	cr_assert_eq(keeper_room(&keeper, "ann"), 8 * MIB);
	cr_assert_eq(set(&one, "ann", 0, 0, "x"), 0);
	cr_assert_eq(keeper_room(&keeper, "ann"), 9 * MIB);
	self.draining = true;
	cr_assert_eq(keeper_room(&keeper, "ann"), 0);
}

Test(extents_keeper, runs_that_are_not_kept)
{
	cr_assert_eq(keep(&one, "ann", "beta", 0, 0), -EINVAL);
	cr_assert_eq(keep(&one, "ann", "beta", EXTENTS_MAX, 1), -EINVAL);
	cr_assert_eq(keep(&one, "ann", "beta", 0, 64 * MIB + 1), -ENOMEM);
	cr_assert_eq(keeper.kept_count, 0);
	cr_assert_eq(keep(&one, "ann", "beta", 0, 64 * MIB), 0);
	cr_assert_eq(keep(&one, "ann", "beta", 64, 1), -EEXIST);
	cr_assert_eq(keep(&two, "ann", "beta", 0, 1), -ENOMEM);
	cr_assert_eq(keeper.kept_count, 1);
}

Test(extents_keeper, a_user_has_so_many_runs)
{
	for (u32 i = 0; i < OBJECTS_USER_MAX; i++) {
		const struct handle h = { { 9, (u8)i, (u8)(i >> 8) } };

		cr_assert_eq(keep(&h, "ann", "beta", 0, 1), 0);
	}
	cr_assert_eq(keep(&one, "ann", "beta", 0, 1), -ENOMEM);
	cr_assert_eq(keep(&one, "bob", "beta", 0, 1), 0);
}

/* A large end is done in parts, and counts until it is done. */
Test(extents_keeper, what_ended_is_cleared_and_given_back)
{
	u32 rounds = 0;

	cr_assert_eq(keep(&one, "ann", "beta", 0, 60 * MIB), 0);
	for (u32 i = 0; i < 60; i++)
		cr_assert_eq(set(&one, "ann", i, 0, "x"), 0);
	keeper_drop(&keeper, &one, "gamma");
	keeper_drop(&keeper, &two, "beta");
	cr_assert_eq(keeper.kept_count, 1, "only its maker lets go of it");
	keeper_drop(&keeper, &one, "beta");
	cr_assert_eq(set(&one, "ann", 0, 0, "x"), -ESTALE);
	cr_assert_eq(keeper.kept_count, 0);
	cr_assert_eq(keeper_room(&keeper, "ann"), 4 * MIB);
	for (; keeper.kept_bytes; rounds++) {
		struct timer *t = wiping;

		cr_assert_not_null(t);
		wiping = NULL;
		t->fire(t);
	}
	cr_assert_eq(rounds, 1);
	cr_assert_eq(keeper.touched_bytes, 0);
	cr_assert_eq(keeper_room(&keeper, "ann"), 64 * MIB);
}

Test(extents_keeper, leases)
{
	bool used = true;
	const u8 *p;

	cr_assert_eq(keep(&one, "ann", "beta", 0, 1), 0);
	cr_assert_eq(keep(&two, "ann", "alpha", 0, 1), 0);
	now_us += RUN_LEASE_US - 1;
	keeper_tick(&keeper, now_us);
	cr_assert_eq(keeper.kept_count, 2);
	cr_assert_eq(keeper_renew(&keeper, &one, "gamma", &used), -ESTALE);
	cr_assert_eq(keeper_renew(&keeper, &none, "beta", &used), -ESTALE);
	cr_assert_eq(keeper_renew(&keeper, &one, "beta", &used), 0);
	cr_assert_not(used);
	cr_assert_eq(get(&one, "ann", 0, 0, 1, &p), 0);
	cr_assert_eq(keeper_renew(&keeper, &one, "beta", &used), 0);
	cr_assert(used);
	cr_assert_eq(keeper_renew(&keeper, &one, "beta", &used), 0);
	cr_assert_not(used, "not since it was asked last");
	now_us += RUN_LEASE_US - 1;
	keeper_tick(&keeper, now_us);
	cr_assert_eq(keeper.kept_count, 2);
	keeper_tick(&keeper, now_us + 1);
	cr_assert_eq(keeper.kept_count, 1, "its own need no renewal");
	cr_assert_eq(audited, 1);
	cr_assert_eq(get(&two, "ann", 0, 0, 1, &p), 0);
}

/* --- what other nodes ask --- */

static void ask(u16 type, void (*handle)(struct request *r), const u8 *payload,
		size_t len)
{
	const struct frame f = { .type = type, .length = (u32)len };
	struct request r = { .node = &node,
			     .frame = &f,
			     .payload = payload,
			     .peer = "beta" };

	got.type = 0;
	got.code = 0;
	for (size_t i = 0; !handle && i < service_count; i++)
		if (services[i].type == type) {
			cr_assert_eq(services[i].from, FROM_PEER);
			services[i].handle(&r);
			return;
		}
	cr_assert_not_null(handle);
	handle(&r);
}

#define ASK(NAME, name, handle, ...)                                           \
	({                                                                     \
		const struct msg_##name m_ = { __VA_ARGS__ };                  \
		u8 buf_[512];                                                  \
		struct wcursor w_ = wcursor_of(buf_, sizeof(buf_));            \
									       \
		msg_##name##_encode(&w_, &m_);                                 \
		ask(MSG_##NAME, handle, buf_, wcursor_len(&w_));               \
		got.type == MSG_ERROR ? got.code : 0;                          \
	})

#define HANDLE(h) { (h).bytes, HANDLE_BYTES }

Test(extents_keeper, another_node_has_a_run_kept)
{
	const struct span half = { one.bytes, 8 };

	cr_assert_eq(ASK(MALLOC_ROOM, malloc_room, NULL,
			 .user = span_of("ann")), 0);
	cr_assert_eq(got.type, MSG_MALLOC_ROOM_IS);
	cr_assert_eq(got.number, 64 * MIB);
	cr_assert_eq(ASK(MALLOC_KEEP, malloc_keep, NULL, .handle = HANDLE(one),
			 .user = span_of("eve"), .bytes = 1), -EACCES);
	cr_assert_eq(ASK(MALLOC_KEEP, malloc_keep, NULL, .handle = half,
			 .user = span_of("ann"), .bytes = 1), -EINVAL);
	cr_assert_eq(ASK(MALLOC_KEEP, malloc_keep, NULL, .handle = HANDLE(one),
			 .user = span_of("ann"), .bytes = 65 * MIB), -ENOMEM);
	cr_assert_eq(keeper.kept_count, 0);
	cr_assert_eq(ASK(MALLOC_KEEP, malloc_keep, NULL, .handle = HANDLE(one),
			 .user = span_of("ann"), .first = 1, .bytes = MIB), 0);
	cr_assert_eq(got.type, MSG_MALLOC_KEPT);
	cr_assert_eq(got.number, 77);
	cr_assert_eq(ASK(MALLOC_RENEW, malloc_renew, NULL,
			 .handle = HANDLE(one)), 0);
	cr_assert_eq(ASK(MALLOC_RENEW, malloc_renew, NULL,
			 .handle = HANDLE(two)), -ESTALE);
	cr_assert_eq(ASK(MALLOC_RENEW, malloc_renew, NULL, .handle = half),
		     -ESTALE);
	cr_assert_eq(ASK(MALLOC_DROP, malloc_drop, NULL, .handle = half), 0);
	cr_assert_eq(keeper.kept_count, 1);
	cr_assert_eq(ASK(MALLOC_DROP, malloc_drop, NULL, .handle = HANDLE(one)),
		     0);
	cr_assert_eq(keeper.kept_count, 0);
}

Test(extents_keeper, another_node_sets_and_gets)
{
	const struct span hello = span_of("hello");
	const struct span ann = span_of("ann"), h = HANDLE(one);
	const u64 at = MIB + 7;

	cr_assert_eq(keep(&one, "ann", "beta", 1, MIB), 0);
	cr_assert_eq(ASK(MALLOC_SET, malloc_set, keeper_peer_set, .handle = h,
			 .user = ann, .generation = 77, .offset = at,
			 .data = hello), 0);
	cr_assert_eq(ASK(MALLOC_GET, malloc_get, keeper_peer_get, .handle = h,
			 .user = ann, .generation = 77, .offset = at,
			 .len = 5), 0);
	cr_assert_eq(got.type, MSG_MALLOC_DATA);
	cr_assert_eq(got.len, 5);
	cr_assert_arr_eq(got.body, "hello", 5);
	/* Not by another user, over an edge, round 2^64, of nobody's handle. */
	cr_assert_eq(ASK(MALLOC_GET, malloc_get, keeper_peer_get, .handle = h,
			 .user = span_of("bob"), .generation = 77,
			 .offset = at, .len = 5), -EACCES);
	cr_assert_eq(ASK(MALLOC_SET, malloc_set, keeper_peer_set, .handle = h,
			 .user = span_of("eve"), .generation = 77,
			 .offset = at, .data = hello), -EACCES);
	cr_assert_eq(ASK(MALLOC_SET, malloc_set, keeper_peer_set, .handle = h,
			 .user = ann, .generation = 76, .offset = at,
			 .data = hello), -ESTALE);
	cr_assert_eq(ASK(MALLOC_SET, malloc_set, keeper_peer_set, .handle = h,
			 .user = ann, .generation = 77, .offset = 2 * MIB - 4,
			 .data = hello), -EINVAL);
	cr_assert_eq(ASK(MALLOC_GET, malloc_get, keeper_peer_get, .handle = h,
			 .user = ann, .generation = 77, .offset = UINT64_MAX - 2,
			 .len = 5), -EINVAL);
	cr_assert_eq(ASK(MALLOC_GET, malloc_get, keeper_peer_get, .handle = h,
			 .user = ann, .generation = 77, .offset = 0,
			 .len = EXTENT_BYTES + 1), -EINVAL);
	cr_assert_eq(ASK(MALLOC_GET, malloc_get, keeper_peer_get, .handle = ann,
			 .user = ann, .generation = 77, .offset = at,
			 .len = 5), -ESTALE);
}
