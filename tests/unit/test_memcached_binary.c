// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The binary protocol of memcached over one buffer: each command in its loud and
 * quiet form, and requests whose lengths do not fit. libmemcached's own cases are
 * run in tests/net/cache.sh.
 */
#include <criterion/criterion.h>

#include "memcached_binary_kit.h"

Test(memcached_binary, bytes_lie_where_the_protocol_says)
{
	static const u8 miss[] = "\x80\x00\x00\x01\x00\x00\x00\x00"
				 "\x00\x00\x00\x01\xde\xad\xbe\xef"
				 "\x00\x00\x00\x00\x00\x00\x00\x00k";
	static const u8 answer[] = "\x81\x00\x00\x00\x00\x00\x00\x01"
				   "\x00\x00\x00\x09\xde\xad\xbe\xef"
				   "\x00\x00\x00\x00\x00\x00\x00\x00Not found";
	struct talk t;

	talk_open(&t, 4 << 20);
	say_bytes(&t, miss, sizeof(miss) - 1);
	cr_assert_eq(t.out_len, sizeof(answer) - 1);
	cr_assert_eq(memcmp(t.out, answer, t.out_len), 0);
	talk_close(&t);
}

Test(memcached_binary, get_gives_what_set_stored)
{
	struct heard stored, found;
	struct talk t;

	talk_open(&t, 4 << 20);
	stored = asked(&t, .op = SET, .key = "a", .value = "one", .flags = 77,
		       .opaque = 0x01020304);
	cr_assert(stored.status == OK && stored.unique);
	cr_assert_eq(stored.extras_len + stored.key_len + stored.value_len, 0);
	found = asked(&t, .op = GET, .key = "a", .opaque = 5);
	cr_assert(found.status == OK && found.unique == stored.unique);
	cr_assert(found.extras_len == 4 && get_be(found.extras, 4) == 77);
	cr_assert(found.key_len == 0 && is(found.value, found.value_len, "one"));
	found = asked(&t, .op = GETK, .key = "a");
	cr_assert(is(found.key, found.key_len, "a"));
	cr_assert(is(found.value, found.value_len, "one"));
	/* One that is not there is named, too. */
	found = asked(&t, .op = GETK, .key = "none");
	cr_assert_eq(found.status, NOT_FOUND);
	cr_assert(is(found.key, found.key_len, "none") && !found.value_len);
	cr_assert_eq(status_of(&t, .op = SET, .key = "empty"), OK);
	has_value(&t, "empty", "");
	talk_close(&t);
}

Test(memcached_binary, what_is_stored_may_have_to_be_there_or_not)
{
	struct talk t;

	talk_open(&t, 4 << 20);
	cr_assert_eq(status_of(&t, .op = REPLACE, .key = "a", .value = "x"),
		     NOT_FOUND);
	cr_assert_eq(status_of(&t, .op = APPEND, .key = "a", .value = "x"),
		     NOT_STORED);
	cr_assert_eq(status_of(&t, .op = PREPEND, .key = "a", .value = "x"),
		     NOT_STORED);
	cr_assert_eq(status_of(&t, .op = GET, .key = "a"), NOT_FOUND);
	cr_assert_eq(status_of(&t, .op = ADD, .key = "a", .value = "one"), OK);
	cr_assert_eq(status_of(&t, .op = ADD, .key = "a", .value = "x"), EXISTS);
	has_value(&t, "a", "one");
	cr_assert_eq(status_of(&t, .op = REPLACE, .key = "a", .value = "two"),
		     OK);
	cr_assert_eq(status_of(&t, .op = APPEND, .key = "a", .value = "!"), OK);
	cr_assert_eq(status_of(&t, .op = PREPEND, .key = "a", .value = ">"), OK);
	has_value(&t, "a", ">two!");
	talk_close(&t);
}

Test(memcached_binary, a_number_of_another_version_changes_nothing)
{
	struct talk t;
	u64 first, second;

	talk_open(&t, 4 << 20);
	cr_assert_eq(status_of(&t, .op = SET, .key = "a", .value = "x",
			       .unique = 9), NOT_FOUND);
	first = asked(&t, .op = SET, .key = "a", .value = "1").unique;
	second = asked(&t, .op = SET, .key = "a", .value = "2",
		       .unique = first).unique;
	cr_assert_neq(second, first);
	cr_assert_eq(status_of(&t, .op = SET, .key = "a", .value = "x",
			       .unique = first), EXISTS);
	cr_assert_eq(status_of(&t, .op = REPLACE, .key = "a", .value = "x",
			       .unique = first), EXISTS);
	cr_assert_eq(status_of(&t, .op = APPEND, .key = "a", .value = "x",
			       .unique = first), EXISTS);
	cr_assert_eq(status_of(&t, .op = INCREMENT, .key = "a", .by = 1,
			       .unique = first), EXISTS);
	cr_assert_eq(status_of(&t, .op = DELETE, .key = "a", .unique = first),
		     EXISTS);
	has_value(&t, "a", "2");
	cr_assert_eq(status_of(&t, .op = DELETE, .key = "a", .unique = second),
		     OK);
	talk_close(&t);
}

Test(memcached_binary, delete_and_flush)
{
	struct talk t;

	talk_open(&t, 4 << 20);
	cr_assert_eq(status_of(&t, .op = DELETE, .key = "a"), NOT_FOUND);
	asked(&t, .op = SET, .key = "a", .value = "x");
	cr_assert_eq(status_of(&t, .op = DELETE, .key = "a"), OK);
	cr_assert_eq(status_of(&t, .op = GET, .key = "a"), NOT_FOUND);
	asked(&t, .op = SET, .key = "a", .value = "x");
	cr_assert_eq(status_of(&t, .op = FLUSH), OK);
	cr_assert_eq(status_of(&t, .op = GET, .key = "a"), NOT_FOUND);
	talk_close(&t);
}

static u64 number_of(const struct heard h)
{
	cr_assert_eq(h.status, OK);
	cr_assert(h.extras_len == 0 && h.key_len == 0 && h.value_len == 8);
	return get_be(h.value, 8);
}

Test(memcached_binary, numbers_are_counted_and_made)
{
	struct heard h;
	struct talk t;

	talk_open(&t, 4 << 20);
	cr_assert_eq(status_of(&t, .op = INCREMENT, .key = "n", .by = 1,
			       .expires = NOT_MADE), NOT_FOUND);
	h = asked(&t, .op = INCREMENT, .key = "n", .by = 1, .first = 1000);
	cr_assert_eq(number_of(h), 1000);
	cr_assert_eq(asked(&t, .op = GET, .key = "n").unique, h.unique);
	cr_assert_eq(number_of(asked(&t, .op = INCREMENT, .key = "n", .by = 234)),
		     1234);
	has_value(&t, "n", "1234");
	cr_assert_eq(number_of(asked(&t, .op = DECREMENT, .key = "n", .by = 34)),
		     1200);
	cr_assert_eq(number_of(asked(&t, .op = DECREMENT, .key = "n",
				     .by = 5000)), 0);
	cr_assert_eq(number_of(asked(&t, .op = INCREMENT, .key = "n",
				     .by = ~0ull)), ~0ull);
	cr_assert_eq(number_of(asked(&t, .op = INCREMENT, .key = "n", .by = 2)),
		     1);
	asked(&t, .op = SET, .key = "word", .value = "abc");
	cr_assert_eq(status_of(&t, .op = INCREMENT, .key = "word", .by = 1),
		     NOT_NUMBER);
	talk_close(&t);
}

Test(memcached_binary, touch_and_gat_set_how_long_it_lives)
{
	struct heard h;
	struct talk t;

	talk_open(&t, 4 << 20);
	/* It is second 100. */
	cr_assert_eq(status_of(&t, .op = TOUCH, .key = "a", .expires = 10),
		     NOT_FOUND);
	cr_assert_eq(status_of(&t, .op = GAT, .key = "a", .expires = 10),
		     NOT_FOUND);
	asked(&t, .op = SET, .key = "a", .value = "one", .flags = 7,
	      .expires = 5);
	asked(&t, .op = SET, .key = "b", .value = "two");
	h = asked(&t, .op = TOUCH, .key = "a", .expires = 20);
	cr_assert(h.status == OK && !h.key_len && !h.value_len);
	h = asked(&t, .op = GAT, .key = "b", .expires = 30);
	cr_assert(h.status == OK && is(h.value, h.value_len, "two"));
	h = asked(&t, .op = GATK, .key = "b", .expires = 40);
	cr_assert(is(h.key, h.key_len, "b") && is(h.value, h.value_len, "two"));
	memcached_set_time(&t.m, 119);
	has_value(&t, "a", "one");
	memcached_set_time(&t.m, 120);
	cr_assert_eq(status_of(&t, .op = GET, .key = "a"), NOT_FOUND);
	memcached_set_time(&t.m, 139);
	has_value(&t, "b", "two");
	memcached_set_time(&t.m, 140);
	cr_assert_eq(status_of(&t, .op = GET, .key = "b"), NOT_FOUND);
	talk_close(&t);
}

Test(memcached_binary, noop_version_and_quit)
{
	struct heard h;
	struct talk t;

	talk_open(&t, 4 << 20);
	h = asked(&t, .op = NOOP, .opaque = 0xfffefdfc);
	cr_assert(h.status == OK && !h.value_len && !h.unique);
	h = asked(&t, .op = VERSION);
	cr_assert(h.status == OK && is(h.value, h.value_len, "test"));
	cr_assert_eq(status_of(&t, .op = QUIT), OK);
	cr_assert_eq(t.conn.state, MEMCACHED_CLOSING);
	talk_close(&t);

	talk_open(&t, 4 << 20);
	say(&t, &(struct ask){ .op = QUITQ });
	cr_assert_eq(t.out_len, 0);
	cr_assert_eq(t.conn.state, MEMCACHED_CLOSING);
	talk_close(&t);
}

Test(memcached_binary, quiet_commands_leave_out_what_is_expected)
{
	struct talk t;

	talk_open(&t, 4 << 20);
	says_nothing(&t, .op = GETQ, .key = "a");
	says_nothing(&t, .op = GETKQ, .key = "a");
	says_nothing(&t, .op = GATQ, .key = "a");
	says_nothing(&t, .op = GATKQ, .key = "a");
	says_nothing(&t, .op = SETQ, .key = "a", .value = "b");
	says_nothing(&t, .op = APPENDQ, .key = "a", .value = "c");
	says_nothing(&t, .op = PREPENDQ, .key = "a", .value = "a");
	has_value(&t, "a", "abc");
	says_nothing(&t, .op = REPLACEQ, .key = "a", .value = "5");
	says_nothing(&t, .op = INCREMENTQ, .key = "a", .by = 4);
	says_nothing(&t, .op = DECREMENTQ, .key = "a", .by = 2);
	has_value(&t, "a", "7");
	says_nothing(&t, .op = DELETEQ, .key = "a");
	says_nothing(&t, .op = ADDQ, .key = "a", .value = "x");
	says_nothing(&t, .op = FLUSHQ);
	cr_assert_eq(status_of(&t, .op = GET, .key = "a"), NOT_FOUND);
	talk_close(&t);
}

Test(memcached_binary, quiet_commands_say_what_is_not_expected)
{
	struct heard h;
	struct talk t;

	talk_open(&t, 4 << 20);
	cr_assert_eq(status_of(&t, .op = REPLACEQ, .key = "a", .value = "x"),
		     NOT_FOUND);
	cr_assert_eq(status_of(&t, .op = APPENDQ, .key = "a", .value = "x"),
		     NOT_STORED);
	cr_assert_eq(status_of(&t, .op = PREPENDQ, .key = "a", .value = "x"),
		     NOT_STORED);
	cr_assert_eq(status_of(&t, .op = DELETEQ, .key = "a"), NOT_FOUND);
	cr_assert_eq(status_of(&t, .op = INCREMENTQ, .key = "a", .by = 1,
			       .expires = NOT_MADE), NOT_FOUND);
	cr_assert_eq(status_of(&t, .op = DECREMENTQ, .key = "a", .by = 1,
			       .expires = NOT_MADE), NOT_FOUND);
	says_nothing(&t, .op = SETQ, .key = "a", .value = "one", .flags = 3);
	cr_assert_eq(status_of(&t, .op = ADDQ, .key = "a", .value = "x"),
		     EXISTS);
	cr_assert_eq(status_of(&t, .op = SETQ, .key = "a", .value = "x",
			       .unique = 12345), EXISTS);
	cr_assert_eq(status_of(&t, .op = INCREMENTQ, .key = "a", .by = 1),
		     NOT_NUMBER);
	h = asked(&t, .op = GETQ, .key = "a");
	cr_assert(get_be(h.extras, 4) == 3 && is(h.value, h.value_len, "one"));
	h = asked(&t, .op = GATQ, .key = "a");
	cr_assert(!h.key_len && is(h.value, h.value_len, "one"));
	h = asked(&t, .op = GETKQ, .key = "a");
	cr_assert(is(h.key, h.key_len, "a") && is(h.value, h.value_len, "one"));
	h = asked(&t, .op = GATKQ, .key = "a");
	cr_assert(is(h.key, h.key_len, "a") && is(h.value, h.value_len, "one"));
	talk_close(&t);
}

static const struct ask conversation[] = {
	{ .op = SETQ, .key = "a", .value = "first", .opaque = 1 },
	{ .op = GETQ, .key = "none", .opaque = 2 },
	{ .op = GETKQ, .key = "a", .opaque = 3 },
	{ .op = ADD, .key = "a", .value = "second", .opaque = 4 },
	{ .op = NO_SUCH, .key = "k", .value = "thrown away", .opaque = 5 },
	{ .op = INCREMENT, .key = "n", .by = 1, .first = 41, .opaque = 6 },
	{ .op = AUTHENTICATE, .key = "PLAIN", .value = "secret", .opaque = 7 },
	{ .op = DELETEQ, .key = "n", .opaque = 8 },
	{ .op = GATQ, .key = "a", .expires = 9, .opaque = 9 },
	{ .op = NOOP, .opaque = 10 },
};

static size_t put_conversation(u8 *p)
{
	size_t len = 0;

	for (u32 i = 0; i < ARRAY_SIZE(conversation); i++)
		len += put_ask(p + len, &conversation[i]);
	return len;
}

Test(memcached_binary, many_in_one_buffer_are_answered_in_their_order)
{
	static const struct {
		u8 op;
		u32 opaque, status;
	} want[] = {
		{ GETKQ, 3, OK }, { ADD, 4, EXISTS }, { NO_SUCH, 5, UNKNOWN },
		{ INCREMENT, 6, OK }, { AUTHENTICATE, 7, UNKNOWN },
		{ GATQ, 9, OK }, { NOOP, 10, OK },
	};
	u8 bytes[2 * SAID_MAX];
	struct talk t;
	size_t at = 0;

	talk_open(&t, 4 << 20);
	say_bytes(&t, bytes, put_conversation(bytes));
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		struct heard h = hear(&t, &at);

		cr_assert(h.op == want[i].op && h.opaque == want[i].opaque &&
			  h.status == want[i].status, "answer %u: %u %u %u", i,
			  h.op, h.opaque, h.status);
	}
	cr_assert_eq(at, t.out_len);
	talk_close(&t);
}

Test(memcached_binary, buffers_may_be_cut_anywhere)
{
	u8 bytes[2 * SAID_MAX];
	size_t len = put_conversation(bytes), whole_len;
	struct talk t;
	char *whole;

	talk_open(&t, 4 << 20);
	talk_bytes(&t, (const char *)bytes, len, len);
	whole_len = t.out_len;
	whole = memcpy(malloc(whole_len), t.out, whole_len);
	talk_close(&t);
	for (size_t piece = 1; piece < 64; piece++) {
		talk_open(&t, 4 << 20);
		talk_bytes(&t, (const char *)bytes, len, piece);
		cr_assert_eq(t.out_len, whole_len, "pieces of %zu", piece);
		cr_assert_eq(memcmp(t.out, whole, whole_len), 0,
			     "pieces of %zu", piece);
		talk_close(&t);
	}
	free(whole);
}

Test(memcached_binary, a_connection_may_end_anywhere)
{
	u8 bytes[2 * SAID_MAX];
	size_t len = put_conversation(bytes);

	for (size_t n = 1; n < len; n++) {
		struct talk t;

		talk_open(&t, 4 << 20);
		talk_bytes(&t, (const char *)bytes, n, n);
		talk_close(&t);
	}
}

/* The status of storing @value under "k". */
static u32 store_long(struct talk *t, u8 op, const u8 *value, size_t len)
{
	size_t size = HEADER + 8 + 1 + len, at = 0;
	u8 *bytes = calloc(1, size);
	struct heard h;

	put_header(bytes, op, 1, 8, size - HEADER);
	bytes[HEADER + 8] = 'k';
	memcpy(bytes + HEADER + 9, value, len);
	t->out_len = 0;
	talk_bytes(t, (const char *)bytes, size, 1000);
	h = hear(t, &at);
	cr_assert(at == t->out_len && h.op == op);
	free(bytes);
	return h.status;
}

Test(memcached_binary, long_values_come_back_whole_and_too_long_ones_go)
{
	enum { LEN = 300000 };
	u8 *value = malloc(LEN);
	struct heard h;
	struct talk t;

	for (u32 i = 0; i < LEN; i++)
		value[i] = (u8)(i % 251);
	talk_open(&t, 16 << 20);
	cr_assert_eq(store_long(&t, SET, value, LEN), OK);
	h = asked(&t, .op = GET, .key = "k");
	cr_assert_eq(h.value_len, LEN);
	cr_assert_eq(memcmp(h.value, value, LEN), 0);
	/* One that add cannot store leaves what there was, one of set does not. */
	t.m.value_max = LEN / 2;
	cr_assert_eq(store_long(&t, ADD, value, LEN), TOO_LARGE);
	cr_assert_eq(status_of(&t, .op = GET, .key = "k"), OK);
	cr_assert_eq(store_long(&t, SET, value, LEN), TOO_LARGE);
	cr_assert_eq(status_of(&t, .op = GET, .key = "k"), NOT_FOUND);
	talk_close(&t);
	free(value);
}

Test(memcached_binary, refused_memory_is_answered)
{
	struct talk t;

	talk_open(&t, 4 << 20);
	t.kit.fail = true;
	cr_assert_eq(status_of(&t, .op = SET, .key = "a", .value = "x"),
		     NO_MEMORY);
	cr_assert_eq(status_of(&t, .op = INCREMENT, .key = "n", .by = 1),
		     NO_MEMORY);
	t.kit.fail = false;
	cr_assert_eq(status_of(&t, .op = SET, .key = "a", .value = "x"), OK);
	has_value(&t, "a", "x");
	talk_close(&t);
}

/* A request of these lengths is refused with @status, and that is its end. */
static void ends(u8 op, size_t key, size_t extras, size_t body, u32 status)
{
	u8 bytes[HEADER + 1000] = { 0 };
	struct talk t;
	size_t at = 0;
	struct heard h;

	put_header(bytes, op, key, extras, body);
	memset(bytes + HEADER + extras, 'k', 300);
	talk_open(&t, 4 << 20);
	say_bytes(&t, bytes, sizeof(bytes));
	h = hear(&t, &at);
	cr_assert(h.op == op && h.status == status,
		  "op %u, key %zu, extras %zu, body %zu: status %u", op, key,
		  extras, body, h.status);
	cr_assert_eq(at, t.out_len, "it was gone on with");
	cr_assert_eq(t.conn.state, MEMCACHED_CLOSING);
	cr_assert_eq(t.shard.cache.count, 0);
	talk_close(&t);
}

Test(memcached_binary, lengths_that_cannot_be_end_it)
{
	/* More of key and extras than of all. */
	ends(GET, 5, 0, 4, UNKNOWN);
	ends(SET, 1, 8, 8, UNKNOWN);
	ends(NO_SUCH, 0xffff, 0xff, 0, UNKNOWN);
	/* A longer key than there is. */
	ends(GET, 251, 0, 251, INVALID);
	ends(SET, 0xffff, 8, 0xffffffff, INVALID);
	/* Extras that the command does not have, or too few. */
	ends(GET, 1, 4, 5, INVALID);
	ends(SET, 1, 0, 2, INVALID);
	ends(ADDQ, 1, 4, 6, INVALID);
	ends(INCREMENT, 1, 8, 9, INVALID);
	ends(TOUCH, 1, 0, 1, INVALID);
	ends(GATQ, 1, 8, 9, INVALID);
	ends(FLUSH, 0, 8, 8, INVALID);
	/* A key or a value too many, or none. */
	ends(GET, 0, 0, 0, INVALID);
	ends(SET, 0, 8, 9, INVALID);
	ends(DELETE, 1, 0, 2, INVALID);
	ends(INCREMENT, 1, 20, 22, INVALID);
	ends(NOOP, 1, 0, 1, INVALID);
	ends(VERSION, 0, 0, 1, INVALID);
	ends(QUITQ, 1, 0, 1, INVALID);
	ends(FLUSHQ, 1, 4, 5, INVALID);
}

Test(memcached_binary, another_first_byte_ends_it)
{
	static const char *const bad[] = { "\x81", "\x7f", "get a\r\n", "\xff" };

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct talk t;

		talk_open(&t, 4 << 20);
		cr_assert_eq(status_of(&t, .op = NOOP), OK);
		say_bytes(&t, (const u8 *)bad[i], strlen(bad[i]));
		cr_assert_eq(t.out_len, 0);
		cr_assert_eq(t.conn.state, MEMCACHED_CLOSING);
		talk_close(&t);
	}
}
