/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of memcached's binary protocol and what is answered, by the protocol's
 * numbers and not by core's names for them; for tests.
 */
#ifndef VIRGO_TESTS_MEMCACHED_BINARY_KIT_H
#define VIRGO_TESTS_MEMCACHED_BINARY_KIT_H

#include "memcached_kit.h"

enum { HEADER = 24, SAID_MAX = 4096 };

enum {
	GET, SET, ADD, REPLACE, DELETE, INCREMENT, DECREMENT, QUIT, FLUSH, GETQ,
	NOOP, VERSION, GETK, GETKQ, APPEND, PREPEND, STAT, SETQ, ADDQ, REPLACEQ,
	DELETEQ, INCREMENTQ, DECREMENTQ, QUITQ, FLUSHQ, APPENDQ, PREPENDQ,
	TOUCH = 0x1c, GAT, GATQ, AUTHENTICATE = 0x21, GATK = 0x23, GATKQ,
	NO_SUCH = 0x50,
};

enum {
	OK, NOT_FOUND, EXISTS, TOO_LARGE, INVALID, NOT_STORED, NOT_NUMBER,
	UNKNOWN = 0x81, NO_MEMORY = 0x82,
};

#define NOT_MADE 0xffffffffu /* as expires: a number that is not there */

struct ask {
	u8 op;
	const char *key; /* NULL: none */
	const char *value;
	u32 flags; /* of what is stored */
	u32 expires;
	u64 by, first; /* of a number */
	u64 unique;
	u32 opaque;
};

struct heard {
	u8 op;
	u32 status, opaque;
	u32 extras_len, key_len, value_len;
	u64 unique;
	const u8 *extras, *key, *value;
};

static inline size_t put_be(u8 *p, u64 v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (u8)(v >> 8 * (bytes - 1 - i));
	return bytes;
}

static inline u64 get_be(const u8 *p, size_t bytes)
{
	u64 v = 0;

	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

static inline size_t put_header(u8 *p, u8 op, size_t key, size_t extras,
				size_t body)
{
	memset(p, 0, HEADER);
	p[0] = 0x80;
	p[1] = op;
	put_be(p + 2, key, 2);
	p[4] = (u8)extras;
	put_be(p + 8, body, 4);
	return HEADER;
}

static inline size_t put_extras(u8 *p, const struct ask *a)
{
	size_t n = 0;

	switch (a->op) {
	case SET: case ADD: case REPLACE: case SETQ: case ADDQ: case REPLACEQ:
		n += put_be(p, a->flags, 4);
		break;
	case INCREMENT: case DECREMENT: case INCREMENTQ: case DECREMENTQ:
		n += put_be(p, a->by, 8);
		n += put_be(p + n, a->first, 8);
		break;
	case TOUCH: case GAT: case GATQ: case GATK: case GATKQ:
		break;
	default:
		return 0;
	}
	return n + put_be(p + n, a->expires, 4);
}

/* The request @a at @p, which has SAID_MAX bytes; how many it takes. */
static inline size_t put_ask(u8 *p, const struct ask *a)
{
	const char *key = a->key ? a->key : "";
	const char *value = a->value ? a->value : "";
	size_t key_len = strlen(key), value_len = strlen(value);
	size_t extras = put_extras(p + HEADER, a);
	u8 *body = p + HEADER + extras;

	cr_assert_leq(HEADER + extras + key_len + value_len, SAID_MAX);
	put_header(p, a->op, key_len, extras, extras + key_len + value_len);
	put_be(p + 12, a->opaque, 4);
	put_be(p + 16, a->unique, 8);
	memcpy(body, key, key_len);
	memcpy(body + key_len, value, value_len);
	return HEADER + extras + key_len + value_len;
}

/* The answer at @*at of what @t gathered. */
static inline struct heard hear(const struct talk *t, size_t *at)
{
	const u8 *p = (const u8 *)t->out + *at;
	struct heard h;
	u32 body;

	cr_assert_geq(t->out_len, *at + HEADER, "no answer");
	cr_assert(p[0] == 0x81 && !p[5] && !p[6]);
	body = (u32)get_be(p + 8, 4);
	h = (struct heard){ .op = p[1],
			    .status = p[7],
			    .opaque = (u32)get_be(p + 12, 4),
			    .extras_len = p[4],
			    .key_len = (u32)get_be(p + 2, 2),
			    .unique = get_be(p + 16, 8) };
	cr_assert_geq(body, h.extras_len + h.key_len);
	cr_assert_geq(t->out_len, *at + HEADER + body, "an answer is cut");
	h.value_len = body - h.extras_len - h.key_len;
	h.extras = p + HEADER;
	h.key = h.extras + h.extras_len;
	h.value = h.key + h.key_len;
	*at += HEADER + body;
	return h;
}

static inline void say_bytes(struct talk *t, const u8 *bytes, size_t len)
{
	t->out_len = 0;
	talk_bytes(t, (const char *)bytes, len, len);
}

static inline void say(struct talk *t, const struct ask *a)
{
	u8 bytes[SAID_MAX];

	say_bytes(t, bytes, put_ask(bytes, a));
}

static inline struct heard say_and_hear(struct talk *t, const struct ask *a)
{
	struct heard h;
	size_t at = 0;

	say(t, a);
	h = hear(t, &at);
	cr_assert_eq(at, t->out_len, "more than one answer");
	cr_assert(h.op == a->op && h.opaque == a->opaque);
	return h;
}

static inline bool is(const u8 *at, u32 len, const char *text)
{
	return len == strlen(text) && !memcmp(at, text, len);
}

#define asked(t, ...) say_and_hear(t, &(struct ask){ __VA_ARGS__ })
#define status_of(t, ...) asked(t, __VA_ARGS__).status

/* What is said has no answer, and the conversation goes on. */
#define says_nothing(t, ...)                                                   \
	do {                                                                   \
		say(t, &(struct ask){ __VA_ARGS__ });                          \
		cr_assert_eq((t)->out_len, 0);                                 \
		cr_assert_eq((t)->conn.state, MEMCACHED_COMMAND);              \
	} while (0)

static inline void has_value(struct talk *t, const char *key, const char *value)
{
	struct heard h = asked(t, .op = GET, .key = key);

	cr_assert_eq(h.status, OK);
	cr_assert(is(h.value, h.value_len, value), "%s is %.*s", key,
		  (int)h.value_len, (const char *)h.value);
}

#endif
