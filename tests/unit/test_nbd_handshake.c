// SPDX-License-Identifier: GPL-2.0-or-later
/* NBD's negotiation, byte by byte. */
#include "handshake.h"
#include "nbd_kit.h"

enum { SIZE = 1 << 20 };

static struct kit kit;
static struct handshake h;
static u8 in[65536];
static size_t in_len;
static u8 out[2 * HANDSHAKE_OUT_MIN];
static size_t out_len;
static enum handshake_verdict verdict;

static struct export *find(void *arg, const char *name, size_t len)
{
	return len ? pool_find(kit.pool, name, len) : kit.e;
}

static struct export *next(void *arg, u32 *at)
{
	return pool_next(kit.pool, at);
}

static const struct handshake_view view = { .find = find, .next = next };

/* Runs what is in @in, in steps of @step bytes. */
static void run(size_t step)
{
	size_t given = 0;
	size_t at = 0;
	size_t used;

	out_len = 0;
	do {
		struct handshake_out o = { .data = out, .room = sizeof(out),
					   .used = out_len };

		given = in_len - given < step ? in_len : given + step;
		do {
			verdict = handshake_run(&h, &view, in + at, given - at,
						&used, &o);
			at += used;
		} while (verdict == HANDSHAKE_SEND);
		out_len = o.used;
	} while (verdict == HANDSHAKE_MORE && given < in_len);
	memmove(in, in + at, in_len - at);
	in_len -= at;
}

static void put(const void *data, size_t len)
{
	memcpy(in + in_len, data, len);
	in_len += len;
}

static void option(u32 number, const void *data, u32 len)
{
	u8 head[NBD_OPTION_LEN];

	put_be64(head, NBD_OPTION_MAGIC);
	put_be32(head + 8, number);
	put_be32(head + 12, len);
	put(head, sizeof(head));
	put(data, len);
}

static void begin(enum handshake_tls tls, u32 flags)
{
	u8 bytes[4];

	if (!kit.pool)
		kit = kit_new(SIZE, SIZE);
	handshake_init(&h, tls);
	in_len = 0;
	put_be32(bytes, flags);
	put(bytes, 4);
}

/* INFO or GO of @name with one information request. */
static void info(u32 number, const char *name, u16 what)
{
	u8 data[256];
	u32 len = (u32)strlen(name);

	put_be32(data, len);
	memcpy(data + 4, name, len);
	put_be16(data + 4 + len, 1);
	put_be16(data + 6 + len, what);
	option(number, data, 8 + len);
}

static void meta(u32 number, const char *name, const char *query)
{
	u8 data[256];
	u32 len = (u32)strlen(name);
	u32 query_len = (u32)strlen(query);

	put_be32(data, len);
	memcpy(data + 4, name, len);
	put_be32(data + 4 + len, 1);
	put_be32(data + 8 + len, query_len);
	memcpy(data + 12 + len, query, query_len);
	option(number, data, 12 + len + query_len);
}

/* The type of the reply at place @n of the output; 0: there is none. */
static u32 reply(int n, const u8 **data, u32 *len)
{
	size_t at = 0;

	while (at + NBD_OPTION_REPLY_LEN <= out_len) {
		u32 part = get_be32(out + at + 16);

		cr_assert_eq(get_be64(out + at), NBD_OPTION_REPLY_MAGIC);
		if (!n--) {
			if (data)
				*data = out + at + NBD_OPTION_REPLY_LEN;
			if (len)
				*len = part;
			return get_be32(out + at + 12);
		}
		at += NBD_OPTION_REPLY_LEN + part;
	}
	return 0;
}

Test(nbd_handshake, greeting)
{
	u8 g[NBD_GREETING_LEN];

	handshake_greeting(g);
	cr_assert_eq(memcmp(g, "NBDMAGICIHAVEOPT\0\3", 18), 0);
}

Test(nbd_handshake, go_whole_and_byte_by_byte)
{
	static const size_t steps[] = { 65536, 1, 3, 17 };
	const u8 *data;
	size_t i;
	u32 len;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		begin(TLS_ABSENT, 3);
		option(NBD_OPT_STRUCTURED_REPLY, "", 0);
		meta(NBD_OPT_SET_META_CONTEXT, "one", "base:allocation");
		info(NBD_OPT_GO, "one", NBD_INFO_NAME);
		run(steps[i]);
		cr_assert_eq(verdict, HANDSHAKE_GO);
		cr_assert_eq(h.chosen, kit.e);
		cr_assert(h.structured && h.allocation);
		cr_assert_eq(in_len, 0);
		cr_assert_eq(reply(0, NULL, NULL), NBD_REP_ACK);
		cr_assert_eq(reply(1, &data, &len), NBD_REP_META_CONTEXT);
		cr_assert_eq(get_be32(data), 1);
		cr_assert_eq(reply(2, NULL, NULL), NBD_REP_ACK);
		cr_assert_eq(reply(3, &data, &len), NBD_REP_INFO);
		cr_assert_eq(len, 12);
		cr_assert_eq(get_be64(data + 2), SIZE);
		cr_assert_eq(reply(4, &data, &len), NBD_REP_INFO);
		cr_assert_eq(get_be16(data), NBD_INFO_BLOCK_SIZE);
		cr_assert_eq(reply(5, &data, &len), NBD_REP_INFO);
		cr_assert_eq(memcmp(data + 2, "one", 3), 0);
		cr_assert_eq(reply(6, NULL, NULL), NBD_REP_ACK);
		cr_assert_eq(reply(7, NULL, NULL), 0);
	}
}

Test(nbd_handshake, what_follows_go_is_not_touched)
{
	begin(TLS_ABSENT, 3);
	info(NBD_OPT_GO, "one", 0);
	put("request", 7);
	run(65536);
	cr_assert_eq(verdict, HANDSHAKE_GO);
	cr_assert_eq(in_len, 7);
}

Test(nbd_handshake, export_name_old_and_new)
{
	begin(TLS_ABSENT, 1);
	option(NBD_OPT_EXPORT_NAME, "one", 3);
	run(65536);
	cr_assert_eq(verdict, HANDSHAKE_GO);
	cr_assert_eq(out_len, 134);
	cr_assert_eq(get_be64(out), SIZE);
	begin(TLS_ABSENT, 3);
	option(NBD_OPT_EXPORT_NAME, "", 0);
	run(65536);
	cr_assert_eq(verdict, HANDSHAKE_GO);
	cr_assert_eq(out_len, 10);
	begin(TLS_ABSENT, 3);
	option(NBD_OPT_EXPORT_NAME, "none", 4);
	run(65536);
	cr_assert_eq(verdict, HANDSHAKE_BROKEN);
}

Test(nbd_handshake, errors_leave_the_connection_alive)
{
	static u8 big[HANDSHAKE_OPTION_MAX + 1];

	begin(TLS_ABSENT, 3);
	info(NBD_OPT_GO, "none", 0);
	option(77, "abc", 3);
	option(NBD_OPT_GO, "\0\0\377\377", 4);
	option(NBD_OPT_LIST, "x", 1);
	option(NBD_OPT_STARTTLS, "", 0);
	option(88, big, sizeof(big));
	meta(NBD_OPT_SET_META_CONTEXT, "one", "base:allocation");
	info(NBD_OPT_INFO, "one", 0);
	run(4096);
	cr_assert_eq(verdict, HANDSHAKE_MORE);
	cr_assert_eq(reply(0, NULL, NULL), NBD_REP_ERR_UNKNOWN);
	cr_assert_eq(reply(1, NULL, NULL), NBD_REP_ERR_UNSUP);
	cr_assert_eq(reply(2, NULL, NULL), NBD_REP_ERR_INVALID);
	cr_assert_eq(reply(3, NULL, NULL), NBD_REP_ERR_INVALID);
	cr_assert_eq(reply(4, NULL, NULL), NBD_REP_ERR_UNSUP);
	cr_assert_eq(reply(5, NULL, NULL), NBD_REP_ERR_TOO_BIG);
	cr_assert_eq(reply(6, NULL, NULL), NBD_REP_ERR_INVALID,
		     "contexts want structured replies");
	cr_assert_eq(reply(9, NULL, NULL), NBD_REP_ACK);
	option(NBD_OPT_ABORT, "", 0);
	run(65536);
	cr_assert_eq(verdict, HANDSHAKE_END);
	cr_assert_eq(reply(0, NULL, NULL), NBD_REP_ACK);
}

Test(nbd_handshake, what_is_no_client)
{
	begin(TLS_ABSENT, 1 << 7);
	run(65536);
	cr_assert_eq(verdict, HANDSHAKE_BROKEN);
	begin(TLS_ABSENT, 3);
	put("GET / HTTP/1.1\r\n\r\n", 18);
	run(65536);
	cr_assert_eq(verdict, HANDSHAKE_BROKEN);
}

Test(nbd_handshake, tls_comes_first_where_it_must)
{
	begin(TLS_REQUIRED, 3);
	option(NBD_OPT_LIST, "", 0);
	info(NBD_OPT_GO, "one", 0);
	option(NBD_OPT_STRUCTURED_REPLY, "", 0);
	option(NBD_OPT_STARTTLS, "", 0);
	info(NBD_OPT_GO, "one", 0);
	run(65536);
	cr_assert_eq(verdict, HANDSHAKE_START_TLS);
	cr_assert_eq(reply(0, NULL, NULL), NBD_REP_ERR_TLS_REQD);
	cr_assert_eq(reply(1, NULL, NULL), NBD_REP_ERR_TLS_REQD);
	cr_assert_eq(reply(2, NULL, NULL), NBD_REP_ERR_TLS_REQD);
	cr_assert_eq(reply(3, NULL, NULL), NBD_REP_ACK);
	cr_assert_gt(in_len, 0, "what came in the clear is the caller's to see");
	handshake_secured(&h);
	run(65536);
	cr_assert_eq(verdict, HANDSHAKE_GO);
	begin(TLS_REQUIRED, 3);
	option(NBD_OPT_EXPORT_NAME, "one", 3);
	run(65536);
	cr_assert_eq(verdict, HANDSHAKE_BROKEN);
}

Test(nbd_handshake, tls_forgets_what_was_said_before)
{
	begin(TLS_OFFERED, 3);
	option(NBD_OPT_STRUCTURED_REPLY, "", 0);
	meta(NBD_OPT_SET_META_CONTEXT, "one", "base:allocation");
	option(NBD_OPT_STARTTLS, "", 0);
	run(65536);
	cr_assert_eq(verdict, HANDSHAKE_START_TLS);
	handshake_secured(&h);
	option(NBD_OPT_STARTTLS, "", 0);
	info(NBD_OPT_GO, "one", 0);
	run(65536);
	cr_assert_eq(reply(0, NULL, NULL), NBD_REP_ERR_INVALID);
	cr_assert_eq(verdict, HANDSHAKE_GO);
	cr_assert(!h.structured && !h.allocation);
}

Test(nbd_handshake, contexts)
{
	const u8 *data;
	u32 len;

	begin(TLS_ABSENT, 3);
	option(NBD_OPT_STRUCTURED_REPLY, "", 0);
	meta(NBD_OPT_LIST_META_CONTEXT, "one", "base:");
	run(65536);
	cr_assert_eq(reply(1, &data, &len), NBD_REP_META_CONTEXT);
	cr_assert_eq(memcmp(data + 4, "base:allocation", len - 4), 0);
	meta(NBD_OPT_SET_META_CONTEXT, "one", "base:");
	run(65536);
	cr_assert_eq(reply(0, NULL, NULL), NBD_REP_ACK);
	meta(NBD_OPT_SET_META_CONTEXT, "one", "base:allocation");
	meta(NBD_OPT_SET_META_CONTEXT, "one", "qemu:dirty-bitmap:x");
	info(NBD_OPT_GO, "one", 0);
	run(65536);
	cr_assert_eq(verdict, HANDSHAKE_GO);
	cr_assert(!h.allocation, "the last choice counts");
}

Test(nbd_handshake, list_of_thousands_in_pieces, .timeout = 20)
{
	struct handshake_out o = { .data = out, .room = sizeof(out) };
	struct export *e;
	char name[16];
	size_t used = 0;
	size_t at = 0;
	int seen = 0;
	int acknowledged = 0;
	int i;

	begin(TLS_ABSENT, 3);
	for (i = 0; i < 2999; i++) {
		snprintf(name, sizeof(name), "e%d", i);
		cr_assert_eq(pool_add(kit.pool, name, "", 4096, &e), 0);
	}
	option(NBD_OPT_LIST, "", 0);
	do {
		o.used = 0;
		verdict = handshake_run(&h, &view, in + at, in_len - at, &used,
					&o);
		at += used;
		out_len = o.used;
		for (i = 0; reply(i, NULL, NULL) == NBD_REP_SERVER; i++)
			seen++;
		acknowledged += reply(i, NULL, NULL) == NBD_REP_ACK;
	} while (verdict == HANDSHAKE_SEND);
	cr_assert_eq(seen, 3000);
	cr_assert_eq(acknowledged, 1);
}
