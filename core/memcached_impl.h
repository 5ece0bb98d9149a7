/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the memcached protocol know of each other. */
#ifndef VIRGO_CORE_MEMCACHED_IMPL_H
#define VIRGO_CORE_MEMCACHED_IMPL_H

#include "memcached.h"

enum {
	/* Room in text and vec without which no command begins: an answer
	 * other than a long value fits in it.
	 */
	RESERVE_BYTES = 2560,
	RESERVE_VECS = 4,
	TOKENS_MAX = 24, /* memcached's, the last is the end */
	META_TOKENS_MAX = 20,
	RELATIVE_MAX_S = 60 * 60 * 24 * 30,
};

enum store_mode { STORE_SET, STORE_ADD, STORE_REPLACE, STORE_APPEND,
		  STORE_PREPEND, STORE_CAS };

enum store_result { STORED, CHANGED, NOT_FOUND, NOT_STORED };

enum command { /* conn.command */
	COMMAND_GET = 1 << 0, /* KEYS: bits */
	COMMAND_CAS = 1 << 1,
	COMMAND_TOUCH = 1 << 2,
	COMMAND_CLASSIC = 1 << 3, /* VALUE: of set and its like */
	COMMAND_META = 1 << 4, /* VALUE: of ms */
	COMMAND_STALE = 1 << 5, /* VALUE: ms with I */
	COMMAND_BINARY = 1 << 6,
};

struct token {
	const u8 *text;
	u32 len;
};

/* One call of memcached_run(). */
struct run {
	struct memcached *m;
	struct memcached_conn *c;
	struct memcached_reply *r;
	const u8 *in; /* where the buffer begins */
	const u8 *pos;
	const u8 *end;
};

/* A command line that is whole, and its words as memcached's tokenizer gives them:
 * at most TOKENS_MAX - 1, the rest is dropped; the count includes the end, a token
 * of no length.
 */
struct line {
	const u8 *end; /* of its text */
	const u8 *next; /* of the line, behind its end */
	u32 count;
	struct token t[TOKENS_MAX];
};

/* The line that begins at pos, in one pass; false when it is not whole. */
bool mc_read_line(const struct run *x, struct line *l);

/* The shard that has a key, locked. */
struct shard {
	struct memcached_shard *s;
	struct cache *cache;
	u64 hash;
	u32 number;
};

static inline struct shard shard_enter_hash(const struct run *x, u64 hash)
{
	struct memcached *m = x->m;
	u32 number = (u32)(hash >> 56) & (m->shard_count - 1);

	if (m->lock)
		m->lock(m->arg, number);
	return (struct shard){ .s = &m->shards[number],
			       .cache = &m->shards[number].cache,
			       .hash = hash,
			       .number = number };
}

static inline struct shard shard_enter(const struct run *x, const void *key, u32 len)
{
	/* All shards have the seed of the first. */
	return shard_enter_hash(x, cache_hash(&x->m->shards[0].cache, key,
					      len));
}

static inline void shard_leave(const struct run *x, const struct shard *s)
{
	if (x->m->unlock)
		x->m->unlock(x->m->arg, s->number);
}

/* Reply. Room for RESERVE_BYTES was made sure of before. @len bytes that the caller
 * writes, or has written, there:
 */
static inline u8 *reply_text(struct run *x, u32 len)
{
	struct memcached_reply *r = x->r;
	u8 *at = r->text + r->used;
	struct memcached_vec *last = r->count ? &r->vec[r->count - 1] : NULL;

	if (last && (const u8 *)last->base + last->len == at) {
		last->len += len;
	} else {
		r->vec[r->count].base = at;
		r->vec[r->count].len = len;
		r->count++;
	}
	r->used += len;
	r->bytes += len;
	return at;
}

/* Where the reply's text ends; what was written there up to @end becomes part. */
static inline u8 *reply_at(struct run *x)
{
	return x->r->text + x->r->used;
}

static inline u8 *put_line_end(u8 *p)
{
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

static inline void reply_to(struct run *x, const u8 *end)
{
	reply_text(x, (u32)(end - reply_at(x)));
}

static inline void reply_bytes(struct run *x, const void *data, u32 len)
{
	memcpy(reply_text(x, len), data, len);
}

static inline void reply_string(struct run *x, const char *s)
{
	reply_bytes(x, s, (u32)strlen(s));
}

void reply_u64(struct run *x, u64 v);
/* Unless the command was noreply: @s and the end of a line. */
void mc_say(struct run *x, const char *s);
/* The same whatever noreply says. */
void mc_say_error(struct run *x, const char *s);
/* As cache_find(); an item that too many hold already counts as not there. */
static inline u32 find_to_send(const struct shard *s, struct token key)
{
	u32 item = cache_find(s->cache, key.text, key.len, s->hash);

	if (item && cache_at(s->cache, item)->holds == CACHE_HOLDS_MAX)
		return 0;
	return item;
}

/* What was written at reply_at() up to @p, the value of @item (its shard locked),
 * and, if @line, the end of a line: by copy, by vectors, or with the state SENDING
 * and then the state @next.
 */
void reply_value(struct run *x, const struct shard *s, u32 item, u8 *p, bool line,
		 enum memcached_state next);
/* Throws away the next @len bytes. */
void mc_swallow(struct run *x, u64 len);

/* Numbers as memcached reads them, memcached_number.c. */
bool number_s32(struct token t, s32 *out);
bool number_u32(struct token t, u32 *out);
bool number_u64(struct token t, u64 *out);
u32 number_print(u64 v, u8 *out); /* at most 20 bytes */
/* Length of the key, 0 when it is not base64; @out has room for @len. */
u32 mc_base64_decode(const u8 *in, u32 len, u8 *out);
u32 mc_base64_encode(const u8 *in, u32 len, u8 *out);

static inline bool token_is(struct token t, const char *s)
{
	return t.len == strlen(s) && !memcmp(t.text, s, t.len);
}

/* What the commands have in common, memcached_store.c. */
u32 mc_time_of(const struct memcached *m, s64 exptime);
/* Negative means expired already. */
u32 mc_time_of_text(const struct memcached *m, s32 exptime);
/* Would memcached have taken it? Its sizes count here, not ours. */
bool mc_size_ok(const struct memcached *m, u32 key_len, u32 flags, u64 value_len);
u32 nominal_bytes(u32 key_len, u32 flags, u64 value_len);
u32 nominal_class(u32 bytes);
/* A new item for the connection to receive; 0 when there is no memory. */
u32 mc_store_begin(struct run *x, struct shard *s, struct token key, u32 flags,
		u32 expires, u32 value_len);
/* Its value is whole: stores it by conn.mode, and lets go of it. Its number is
 * left in conn.unique when it was stored.
 */
enum store_result mc_store_finish(struct run *x, struct shard *s);
/* An item that could not be stored must not leave an older one behind. */
void mc_store_forget(struct shard *s, struct token key);

extern const char mc_not_a_number[];

enum delta_result { DELTA_OK, DELTA_NOT_NUMBER, DELTA_NO_MEMORY,
		    DELTA_NOT_FOUND, DELTA_MISMATCH };

struct delta {
	struct token key;
	bool increase;
	u64 by;
	u64 unique; /* in: to be matched, or 0; out: the new one */
	u64 value; /* out */
	u32 item; /* out */
	bool replaced; /* out: a longer number is a new item */
};

enum delta_result mc_store_delta(struct run *x, struct shard *s, struct delta *d);
void mc_store_flush(struct run *x, s64 exptime);

/* Each executes one command; pos is behind its line. */
void text_command(struct run *x, const struct line *l);
bool meta_command(struct run *x, const struct token *t, u32 count);
void meta_stored(struct run *x, const struct shard *s, u32 item,
		 enum store_result result);
void classic_stored(struct run *x, enum store_result result);
void binary_stored(struct run *x, enum store_result result);
/* More keys of a get; false when it needs more bytes. */
bool text_keys(struct run *x);
enum stats_answer { STATS_FOLLOW, STATS_WERE_RESET, STATS_UNKNOWN };

enum stats_answer stats_ask(struct run *x, struct token what);
void stats_begin(struct run *x, const struct token *t, u32 count);
bool stats_more(struct run *x);
/* One command of the binary protocol; false when it needs more bytes. */
bool binary_command(struct run *x);

#endif
