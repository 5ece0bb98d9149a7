// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The binary protocol, which memcached 1.6 keeps for old clients. A request is a
 * header of 24 bytes, extras, a key and a value; big-endian:
 *
 *	0 magic 0x80   1 opcode   2 key length (16)   4 extras length   5 type
 *	6 (16)         8 length of all that follows (32)
 *	12 opaque (32), echoed     16 number for compare and swap (64)
 *
 * Quiet commands leave out the answer that is expected.
 */
#include "memcached_impl.h"

enum {
	HEADER = 24,
	MAGIC_REQUEST = 0x80,
	MAGIC_ANSWER = 0x81,
};

enum opcode {
	OP_GET = 0x00, OP_SET, OP_ADD, OP_REPLACE, OP_DELETE, OP_INCREMENT,
	OP_DECREMENT, OP_QUIT, OP_FLUSH, OP_GETQ, OP_NOOP, OP_VERSION, OP_GETK,
	OP_GETKQ, OP_APPEND, OP_PREPEND, OP_STAT, OP_SETQ, OP_ADDQ, OP_REPLACEQ,
	OP_DELETEQ, OP_INCREMENTQ, OP_DECREMENTQ, OP_QUITQ, OP_FLUSHQ,
	OP_APPENDQ, OP_PREPENDQ, OP_TOUCH = 0x1c, OP_GAT, OP_GATQ,
	OP_GATK = 0x23, OP_GATKQ, OP_LIST_MECHANISMS = 0x20, OP_AUTHENTICATE,
	OP_AUTHENTICATE_STEP,
};

enum status {
	OK = 0, KEY_NOT_FOUND = 1, KEY_EXISTS = 2, TOO_LARGE = 3, INVALID = 4,
	NOT_KEPT = 5, NOT_NUMBER = 6, UNKNOWN_COMMAND = 0x81, NO_MEMORY = 0x82,
};

struct request {
	u8 opcode; /* as it came */
	u8 op; /* of a quiet command the loud one */
	u16 key_len;
	u8 extras_len;
	u32 body_len;
	u64 unique;
	const u8 *extras;
	struct token key;
};

static u32 be16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static u32 be32(const u8 *p)
{
	return be16(p) << 16 | be16(p + 2);
}

static u64 be64(const u8 *p)
{
	return (u64)be32(p) << 32 | be32(p + 4);
}

static void put_be32(u8 *p, u32 v)
{
	p[0] = (u8)(v >> 24);
	p[1] = (u8)(v >> 16);
	p[2] = (u8)(v >> 8);
	p[3] = (u8)v;
}

static void put_be64(u8 *p, u64 v)
{
	put_be32(p, (u32)(v >> 32));
	put_be32(p + 4, (u32)v);
}

static void header(struct run *x, u8 opcode, enum status status, u32 key_len,
		   u32 extras_len, u32 body_len, u64 unique)
{
	u8 *h = reply_text(x, HEADER);

	h[0] = MAGIC_ANSWER;
	h[1] = opcode;
	h[2] = (u8)(key_len >> 8);
	h[3] = (u8)key_len;
	h[4] = (u8)extras_len;
	h[5] = 0;
	h[6] = 0;
	h[7] = (u8)status;
	put_be32(h + 8, body_len);
	put_u32(h + 12, x->c->opaque);
	put_be64(h + 16, unique);
}

static void fail_with(struct run *x, u8 opcode, enum status status,
		      const char *text)
{
	header(x, opcode, status, 0, 0, (u32)strlen(text), 0);
	reply_string(x, text);
}

static void fail(struct run *x, u8 opcode, enum status status)
{
	static const char *const texts[] = {
		[KEY_NOT_FOUND] = "Not found",
		[KEY_EXISTS] = "Data exists for key.",
		[TOO_LARGE] = "Too large.",
		[INVALID] = "Invalid arguments",
		[NOT_KEPT] = "Not stored.",
		[NOT_NUMBER] = "Non-numeric server-side value for incr or decr",
		[UNKNOWN_COMMAND] = "Unknown command",
		[NO_MEMORY] = "Out of memory",
	};

	fail_with(x, opcode, status, texts[status]);
}

static void answer(struct run *x, u8 opcode, const void *body, u32 len,
		   u64 unique)
{
	if (x->c->noreply)
		return;
	header(x, opcode, OK, 0, 0, len, unique);
	if (len)
		reply_bytes(x, body, len);
}

static void get_missed(struct run *x, const struct request *q, bool with_key)
{
	if (x->c->noreply)
		return;
	if (!with_key) {
		fail(x, q->opcode, KEY_NOT_FOUND);
		return;
	}
	header(x, q->opcode, KEY_NOT_FOUND, q->key.len, 0, q->key.len, 0);
	reply_bytes(x, q->key.text, q->key.len);
}

static void get_found(struct run *x, struct shard *s, const struct request *q,
		      u32 item, bool with_key)
{
	struct cache_item *it = cache_at(s->cache, item);
	u32 key_len = with_key && q->op != OP_TOUCH ? q->key.len : 0;
	u32 len = q->op == OP_TOUCH ? 0 : it->value_len;

	header(x, q->opcode, OK, key_len, 4, 4 + key_len + len,
	       cache_unique(it));
	put_be32(reply_text(x, 4), cache_client_flags(it));
	if (key_len)
		reply_bytes(x, q->key.text, key_len);
	if (len)
		reply_value(x, s, item, reply_at(x), false,
			    MEMCACHED_COMMAND);
}

static void get(struct run *x, const struct request *q)
{
	bool touch = q->op == OP_TOUCH || q->op == OP_GAT || q->op == OP_GATK;
	bool with_key = q->op == OP_GETK || q->op == OP_GATK;
	struct shard s = shard_enter(x, q->key.text, q->key.len);
	struct memcached_counts *counts = &s.s->counts;
	u32 item = find_to_send(&s, q->key);

	if (touch)
		counts->touch_cmds++;
	else
		counts->get_cmds++;
	if (item) {
		struct cache_item *it = cache_at(s.cache, item);

		if (touch) {
			it->expires = mc_time_of(x->m, be32(q->extras));
			s.cache->classes[it->class].commands[CACHE_TOUCHES]++;
		}
		cache_bump(s.cache, item);
		get_found(x, &s, q, item, with_key);
	} else {
		if (touch)
			counts->touch_misses++;
		else
			counts->get_misses++;
		get_missed(x, q, with_key);
	}
	shard_leave(x, &s);
}

static enum store_mode mode_of(const struct request *q)
{
	switch (q->op) {
	case OP_APPEND:
		return STORE_APPEND;
	case OP_PREPEND:
		return STORE_PREPEND;
	default:
		if (q->unique)
			return STORE_CAS;
		return q->op == OP_ADD	  ? STORE_ADD :
		       q->op == OP_SET	  ? STORE_SET :
					    STORE_REPLACE;
	}
}

static void store(struct run *x, const struct request *q)
{
	struct memcached_conn *c = x->c;
	bool join = q->op == OP_APPEND || q->op == OP_PREPEND;
	u32 flags = join ? 0 : be32(q->extras);
	u32 expires = join ? 0 : mc_time_of(x->m, be32(q->extras + 4));
	u32 len = q->body_len - q->key.len - q->extras_len;
	struct shard s = shard_enter(x, q->key.text, q->key.len);
	bool fits = mc_size_ok(x->m, q->key.len, flags, len);

	c->command = COMMAND_BINARY;
	c->mode = (u8)mode_of(q);
	c->unique = q->unique;
	c->left = len;
	c->echo[0] = q->opcode;
	c->tail[0] = '\r';
	c->tail[1] = '\n';
	if (!fits || !mc_store_begin(x, &s, q->key, flags, expires, len)) {
		s.s->counts.store_too_large += !fits;
		if (fits)
			fail_with(x, q->opcode, NO_MEMORY,
				  "Out of memory allocating item");
		else
			fail(x, q->opcode, TOO_LARGE);
		if (q->op == OP_SET)
			mc_store_forget(&s, q->key);
		mc_swallow(x, len);
	}
	shard_leave(x, &s);
}

void binary_stored(struct run *x, enum store_result result)
{
	struct memcached_conn *c = x->c;
	u8 opcode = c->echo[0];

	switch (result) {
	case STORED:
		answer(x, opcode, NULL, 0, c->unique);
		break;
	case CHANGED:
		fail(x, opcode, KEY_EXISTS);
		break;
	case NOT_FOUND:
		fail(x, opcode, KEY_NOT_FOUND);
		break;
	default:
		fail(x, opcode, c->mode == STORE_ADD	 ? KEY_EXISTS :
				c->mode == STORE_REPLACE ? KEY_NOT_FOUND :
							   NOT_KEPT);
	}
}

/* A number that is not there is made, unless its time is all ones. */
static bool count_from(struct run *x, struct shard *s, const struct request *q,
		       struct delta *d)
{
	u8 digits[20];
	u32 len, item;

	d->value = be64(q->extras + 8);
	len = number_print(d->value, digits);
	item = cache_alloc(s->cache, q->key.text, q->key.len, 0,
			   mc_time_of(x->m, be32(q->extras + 16)), len);
	if (!item)
		return false;
	cache_write(s->cache, item, 0, digits, len);
	cache_link(s->cache, item, s->hash, 0);
	d->unique = cache_unique(cache_at(s->cache, item));
	cache_release(s->cache, item);
	return true;
}

static enum status count_missed(struct run *x, struct shard *s,
				const struct request *q, struct delta *d)
{
	if (be32(q->extras + 16) != 0xffffffff)
		return count_from(x, s, q, d) ? OK : NO_MEMORY;
	if (d->increase)
		s->s->counts.incr_misses++;
	else
		s->s->counts.decr_misses++;
	return KEY_NOT_FOUND;
}

static void count(struct run *x, const struct request *q)
{
	struct delta d = { .key = q->key,
			   .increase = q->op == OP_INCREMENT,
			   .by = be64(q->extras),
			   .unique = q->unique };
	struct shard s = shard_enter(x, q->key.text, q->key.len);
	enum status status = OK;
	u8 body[8];

	switch (mc_store_delta(x, &s, &d)) {
	case DELTA_OK:
		break;
	case DELTA_NOT_NUMBER:
		status = NOT_NUMBER;
		break;
	case DELTA_MISMATCH:
		status = KEY_EXISTS;
		break;
	case DELTA_NOT_FOUND:
		status = count_missed(x, &s, q, &d);
		break;
	default:
		status = NO_MEMORY;
	}
	shard_leave(x, &s);
	put_be64(body, d.value);
	if (status == OK)
		answer(x, q->opcode, body, sizeof(body), d.unique);
	else if (status == NO_MEMORY)
		fail_with(x, q->opcode, status,
			  "Out of memory incrementing value");
	else
		fail(x, q->opcode, status);
}

static void delete(struct run *x, const struct request *q)
{
	struct shard s = shard_enter(x, q->key.text, q->key.len);
	u32 item = cache_find(s.cache, q->key.text, q->key.len, s.hash);
	struct cache_item *it = item ? cache_at(s.cache, item) : NULL;

	if (!it) {
		s.s->counts.delete_misses++;
		fail(x, q->opcode, KEY_NOT_FOUND);
	} else if (q->unique && q->unique != cache_unique(it)) {
		fail(x, q->opcode, KEY_EXISTS);
	} else {
		s.cache->classes[it->class].commands[CACHE_DELETES]++;
		cache_unlink(s.cache, item, s.hash);
		answer(x, q->opcode, NULL, 0, 0);
	}
	shard_leave(x, &s);
}

static void flush(struct run *x, const struct request *q)
{
	mc_store_flush(x, q->extras_len ? be32(q->extras) : 0);
	answer(x, q->opcode, NULL, 0, 0);
}

static void stat(struct run *x, const struct request *q)
{
	switch (stats_ask(x, q->key)) {
	case STATS_WERE_RESET:
		header(x, q->opcode, OK, 0, 0, 0, 0);
		break;
	case STATS_UNKNOWN:
		fail(x, q->opcode, KEY_NOT_FOUND);
		break;
	default:
		break;
	}
}

static void noop(struct run *x, const struct request *q)
{
	answer(x, q->opcode, NULL, 0, 0);
}

static void version(struct run *x, const struct request *q)
{
	answer(x, q->opcode, x->m->version, (u32)strlen(x->m->version), 0);
}

static void quit(struct run *x, const struct request *q)
{
	answer(x, q->opcode, NULL, 0, 0);
	x->c->state = MEMCACHED_CLOSING;
}

/* There is no authentication: whoever may connect may use the cache. */
static void authenticate(struct run *x, const struct request *q)
{
	fail(x, q->opcode, UNKNOWN_COMMAND);
	mc_swallow(x, q->body_len - q->key.len);
}

enum { ANY = 0xff, KEY = 1, NO_KEY = 2, VALUE = 4 };

static const struct operation {
	void (*run)(struct run *x, const struct request *q);
	u8 quiet_of; /* the quiet form of this command; itself otherwise */
	u8 extras; /* how many bytes of them, or ANY: none or 4 */
	u8 needs;
} operations[] = {
	[OP_GET] = { get, OP_GET, 0, KEY },
	[OP_SET] = { store, OP_SET, 8, KEY | VALUE },
	[OP_ADD] = { store, OP_ADD, 8, KEY | VALUE },
	[OP_REPLACE] = { store, OP_REPLACE, 8, KEY | VALUE },
	[OP_DELETE] = { delete, OP_DELETE, 0, KEY },
	[OP_INCREMENT] = { count, OP_INCREMENT, 20, KEY },
	[OP_DECREMENT] = { count, OP_DECREMENT, 20, KEY },
	[OP_QUIT] = { quit, OP_QUIT, 0, NO_KEY },
	[OP_FLUSH] = { flush, OP_FLUSH, ANY, NO_KEY },
	[OP_GETQ] = { get, OP_GET, 0, KEY },
	[OP_NOOP] = { noop, OP_NOOP, 0, NO_KEY },
	[OP_VERSION] = { version, OP_VERSION, 0, NO_KEY },
	[OP_GETK] = { get, OP_GETK, 0, KEY },
	[OP_GETKQ] = { get, OP_GETK, 0, KEY },
	[OP_APPEND] = { store, OP_APPEND, 0, KEY | VALUE },
	[OP_PREPEND] = { store, OP_PREPEND, 0, KEY | VALUE },
	[OP_STAT] = { stat, OP_STAT, 0, 0 },
	[OP_SETQ] = { store, OP_SET, 8, KEY | VALUE },
	[OP_ADDQ] = { store, OP_ADD, 8, KEY | VALUE },
	[OP_REPLACEQ] = { store, OP_REPLACE, 8, KEY | VALUE },
	[OP_DELETEQ] = { delete, OP_DELETE, 0, KEY },
	[OP_INCREMENTQ] = { count, OP_INCREMENT, 20, KEY },
	[OP_DECREMENTQ] = { count, OP_DECREMENT, 20, KEY },
	[OP_QUITQ] = { quit, OP_QUIT, 0, NO_KEY },
	[OP_FLUSHQ] = { flush, OP_FLUSH, ANY, NO_KEY },
	[OP_APPENDQ] = { store, OP_APPEND, 0, KEY | VALUE },
	[OP_PREPENDQ] = { store, OP_PREPEND, 0, KEY | VALUE },
	[OP_TOUCH] = { get, OP_TOUCH, 4, KEY },
	[OP_GAT] = { get, OP_GAT, 4, KEY },
	[OP_GATQ] = { get, OP_GAT, 4, KEY },
	[OP_GATK] = { get, OP_GATK, 4, KEY },
	[OP_GATKQ] = { get, OP_GATK, 4, KEY },
	[OP_LIST_MECHANISMS] = { authenticate, OP_LIST_MECHANISMS, 0, NO_KEY },
	[OP_AUTHENTICATE] = { authenticate, OP_AUTHENTICATE, 0, KEY | VALUE },
	[OP_AUTHENTICATE_STEP] = { authenticate, OP_AUTHENTICATE_STEP, 0,
				   KEY | VALUE },
};

static bool is_well_formed(const struct operation *o, const struct request *q)
{
	u32 value = q->body_len - q->key_len - q->extras_len;

	if (o->extras == ANY ? q->extras_len && q->extras_len != 4 :
			       q->extras_len != o->extras)
		return false;
	if (o->needs & KEY && !q->key_len)
		return false;
	if (o->needs & NO_KEY && q->key_len)
		return false;
	return o->needs & VALUE || !value;
}

static void execute(struct run *x, struct request *q)
{
	const struct operation *o = NULL;

	if (q->opcode < ARRAY_SIZE(operations) && operations[q->opcode].run)
		o = &operations[q->opcode];
	if (!o) {
		fail(x, q->opcode, UNKNOWN_COMMAND);
		mc_swallow(x, q->body_len - q->key_len - q->extras_len);
		return;
	}
	if (!is_well_formed(o, q)) {
		fail(x, q->opcode, INVALID);
		x->c->state = MEMCACHED_CLOSING;
		return;
	}
	q->op = o->quiet_of;
	x->c->noreply = q->op != q->opcode;
	o->run(x, q);
}

bool binary_command(struct run *x)
{
	const u8 *h = x->pos;
	struct request q;
	size_t have = (size_t)(x->end - x->pos);

	if (h[0] != MAGIC_REQUEST) {
		x->c->state = MEMCACHED_CLOSING;
		return false;
	}
	if (have < HEADER)
		return false;
	q.opcode = h[1];
	q.key_len = (u16)be16(h + 2);
	q.extras_len = h[4];
	q.body_len = be32(h + 8);
	q.unique = be64(h + 16);
	x->c->opaque = get_u32(h + 12);
	if ((u32)q.key_len + q.extras_len > q.body_len ||
	    q.key_len > CACHE_KEY_MAX) {
		fail(x, q.opcode, q.key_len > q.body_len ||
			    (u32)q.key_len + q.extras_len > q.body_len ?
				    UNKNOWN_COMMAND : INVALID);
		x->c->state = MEMCACHED_CLOSING;
		return false;
	}
	if (have < HEADER + (size_t)q.key_len + q.extras_len)
		return false;
	q.extras = h + HEADER;
	q.key.text = h + HEADER + q.extras_len;
	q.key.len = q.key_len;
	x->pos += HEADER + q.extras_len + q.key_len;
	execute(x, &q);
	return true;
}
