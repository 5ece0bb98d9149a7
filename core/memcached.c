// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The memcached protocol's frame: cuts a receive buffer into commands, gathers
 * their replies, and carries a connection over the ends of buffers. A command
 * line that is not whole stays with the caller; everything longer is consumed as
 * it comes: keys of a get, a value to store, a value to send, an answer of stats.
 */
#include "memcached_impl.h"
#include "scan.h"

void memcached_set_time(struct memcached *m, u32 now)
{
	u32 i;

	m->now = now;
	for (i = 0; i < m->shard_count; i++) {
		if (m->lock)
			m->lock(m->arg, i);
		cache_set_time(&m->shards[i].cache, now);
		if (m->unlock)
			m->unlock(m->arg, i);
	}
}

void reply_u64(struct run *x, u64 v)
{
	u8 digits[20];

	reply_bytes(x, digits, number_print(v, digits));
}

void mc_say(struct run *x, const char *s)
{
	if (x->c->noreply)
		return;
	reply_string(x, s);
	reply_bytes(x, "\r\n", 2);
}

void mc_say_error(struct run *x, const char *s)
{
	x->c->noreply = false;
	mc_say(x, s);
}

/* Room for @bytes of text and @vecs vectors beside what a command needs. */
static bool has_room(const struct memcached_reply *r, u32 bytes, u32 vecs)
{
	return r->used + bytes + RESERVE_BYTES <= MEMCACHED_TEXT_BYTES &&
	       r->count + vecs + RESERVE_VECS <= MEMCACHED_VECS &&
	       r->bytes < MEMCACHED_PASS_BYTES;
}

/* Every hold comes with a vector, so there is room for it. */
static void hold_for_reply(struct run *x, const struct shard *s, u32 item)
{
	struct memcached_reply *r = x->r;

	cache_hold(s->cache, item);
	r->holds[r->held].shard = s->number;
	r->holds[r->held].item = item;
	r->held++;
}

/* Vectors over the value's bytes from @at on; how many bytes they did not take. */
static u32 add_value(struct run *x, const struct cache *c, u32 item, u32 at,
		     u32 left)
{
	struct memcached_reply *r = x->r;

	while (left && has_room(r, 0, 1)) {
		u32 len;

		r->vec[r->count].base = cache_value(c, item, at, &len);
		if (len > left)
			len = left;
		r->vec[r->count].len = len;
		r->bytes += len;
		r->count++;
		at += len;
		left -= len;
	}
	return left;
}

void reply_value(struct run *x, const struct shard *s, u32 item, u8 *p, bool line,
		 enum memcached_state next)
{
	struct cache_item *it = cache_at(s->cache, item);
	struct memcached_conn *c = x->c;
	u32 len = it->value_len;
	u32 left;

	if (len <= MEMCACHED_COPY_MAX && !(it->bits & CACHE_PARTS)) {
		memcpy(p, cache_whole_value(it), len);
		p += len;
		reply_to(x, line ? put_line_end(p) : p);
		return;
	}
	reply_to(x, p);
	hold_for_reply(x, s, item);
	left = add_value(x, s->cache, item, 0, len);
	if (!left) {
		if (line)
			reply_to(x, put_line_end(reply_at(x)));
		return;
	}
	/* The reply's hold becomes the connection's. */
	x->r->held--;
	c->state = MEMCACHED_SENDING;
	c->after = (u8)next;
	c->item = item;
	c->hash = s->hash;
	c->left = left;
	c->tail[0] = line;
}

/* Goes on with a long value; false when the reply is full. */
static bool send_more(struct run *x)
{
	struct memcached_conn *c = x->c;
	struct shard s = shard_enter_hash(x, c->hash);
	u32 len = cache_at(s.cache, c->item)->value_len;

	c->left = add_value(x, s.cache, c->item, len - c->left, c->left);
	if (!c->left) {
		/* The connection's hold becomes the reply's. */
		x->r->holds[x->r->held].shard = s.number;
		x->r->holds[x->r->held].item = c->item;
		x->r->held++;
		c->item = 0;
		c->state = c->after;
		if (c->tail[0])
			reply_string(x, "\r\n");
	}
	shard_leave(x, &s);
	return c->state != MEMCACHED_SENDING;
}

void mc_swallow(struct run *x, u64 len)
{
	x->c->left = (u32)len;
	x->c->state = MEMCACHED_SWALLOW;
}

static bool swallow_more(struct run *x)
{
	size_t n = (size_t)(x->end - x->pos);

	if (n > x->c->left)
		n = x->c->left;
	x->pos += n;
	x->c->left -= (u32)n;
	if (!x->c->left)
		x->c->state = MEMCACHED_COMMAND;
	return !x->c->left;
}

static bool line_more(struct run *x)
{
	const u8 *end = memchr(x->pos, '\n', (size_t)(x->end - x->pos));

	x->pos = end ? end + 1 : x->end;
	if (end)
		x->c->state = MEMCACHED_COMMAND;
	return end != NULL;
}

static void value_is_whole(struct run *x, struct shard *s)
{
	struct memcached_conn *c = x->c;
	u32 item = c->item;
	enum store_result result;

	c->item = 0;
	c->state = MEMCACHED_COMMAND;
	if (c->tail[0] != '\r' || c->tail[1] != '\n') {
		cache_release(s->cache, item);
		if (c->command & COMMAND_META)
			c->noreply = false;
		mc_say(x, "CLIENT_ERROR bad data chunk");
		return;
	}
	c->item = item;
	result = mc_store_finish(x, s);
	c->item = 0;
	if (c->command & COMMAND_META)
		meta_stored(x, s, item, result);
	else if (c->command & COMMAND_BINARY)
		binary_stored(x, result);
	else
		classic_stored(x, result);
	cache_release(s->cache, item);
}

/* left counts the value's bytes and, but for binary, the end of its line. */
static bool value_more(struct run *x)
{
	struct memcached_conn *c = x->c;
	struct shard s = shard_enter_hash(x, c->hash);
	u32 len = cache_at(s.cache, c->item)->value_len;
	u32 tail = c->command & COMMAND_BINARY ? 0 : 2;
	u32 at = len + tail - c->left;
	u32 have = (u32)(x->end - x->pos > c->left ? c->left :
						     x->end - x->pos);
	u32 here = at < len ? len - at : 0;
	bool whole;

	if (here > have)
		here = have;
	cache_write(s.cache, c->item, at, x->pos, here);
	c->left -= have;
	for (; here < have; here++)
		c->tail[at + here - len] = x->pos[here];
	x->pos += have;
	whole = !c->left;
	if (whole)
		value_is_whole(x, &s);
	shard_leave(x, &s);
	return whole;
}

static bool starts_get(const u8 *p, const u8 *end)
{
	u32 spaces = 0;

	while (p < end && *p == ' ' && spaces <= 100) {
		p++;
		spaces++;
	}
	return spaces <= 100 && end - p >= 5 &&
	       (!memcmp(p, "get ", 4) || !memcmp(p, "gets ", 5));
}

/* A line without an end: only the keys of a get may be that long. */
static bool long_line(struct run *x)
{
	struct memcached_conn *c = x->c;

	if (x->end - x->pos <= MEMCACHED_LINE_MAX)
		return false;
	if (!starts_get(x->pos, x->end)) {
		c->state = MEMCACHED_CLOSING;
		return false;
	}
	while (*x->pos == ' ')
		x->pos++;
	c->command = COMMAND_GET | (x->pos[3] == 's' ? COMMAND_CAS : 0);
	x->pos += x->pos[3] == 's' ? 5 : 4;
	c->state = MEMCACHED_KEYS;
	return true;
}

static void add_word(struct line *l, const u8 *from, const u8 *to)
{
	if (from >= to || l->count == TOKENS_MAX - 1)
		return;
	l->t[l->count].text = from;
	l->t[l->count].len = (u32)(to - from);
	l->count++;
}

/* The line ends at the newline or the NUL @at: to memcached it is a string. */
static bool end_line(const struct run *x, struct line *l, const u8 *from, const u8 *at)
{
	const u8 *newline = at;

	l->end = at;
	if (*at == '\0')
		newline = memchr(at, '\n', (size_t)(x->end - at));
	else if (at - x->pos > 1 && at[-1] == '\r')
		l->end--;
	if (!newline)
		return false;
	add_word(l, from, l->end);
	l->t[l->count].text = l->end;
	l->t[l->count].len = 0;
	l->count++;
	l->next = newline + 1;
	return true;
}

/* Eight bytes from @p on; what lies behind the buffer is neither blank nor end. */
static inline u64 eight_bytes(const struct run *x, const u8 *p)
{
	u32 left = (u32)(x->end - p), i;
	u64 w = ~0ULL;

	if (x->end - p >= 8)
		return get_u64(p);
	if (x->end - x->in >= 8)
		return w << 8 * left | get_u64(x->end - 8) >> (64 - 8 * left);
	for (i = left; i > 0; i--)
		w = w << 8 | p[i - 1];
	return w;
}

bool mc_read_line(const struct run *x, struct line *l)
{
	const u8 *p, *from = x->pos;

	l->count = 0;
	for (p = x->pos; p < x->end; p += 8) {
		u64 marks = scan_below(eight_bytes(x, p), ' ' + 1);

		for (; marks; marks &= marks - 1) {
			const u8 *at = p + (__builtin_ctzll(marks) >> 3);

			if (*at == ' ') {
				add_word(l, from, at);
				from = at + 1;
			} else if (scan_is_word_end(*at)) {
				return end_line(x, l, from, at);
			}
		}
	}
	return false;
}

static bool text_line(struct run *x)
{
	struct line l NOT_CLEARED;

	if (!mc_read_line(x, &l))
		return long_line(x);
	x->pos = l.next;
	text_command(x, &l);
	return true;
}

static bool command(struct run *x)
{
	struct memcached_conn *c = x->c;

	c->noreply = false;
	if (!c->begun) {
		c->begun = true;
		c->binary = *x->pos == 0x80;
	}
	return c->binary ? binary_command(x) : text_line(x);
}

/* One step; false when it needs more bytes or the reply is full. */
static bool step(struct run *x)
{
	bool bytes = x->pos < x->end;

	switch (x->c->state) {
	case MEMCACHED_COMMAND:
		return bytes && command(x);
	case MEMCACHED_KEYS:
		return bytes && text_keys(x);
	case MEMCACHED_VALUE:
		return (bytes || !x->c->left) && value_more(x);
	case MEMCACHED_SENDING:
		return send_more(x);
	case MEMCACHED_SWALLOW:
		return (bytes || !x->c->left) && swallow_more(x);
	case MEMCACHED_LINE:
		return bytes && line_more(x);
	case MEMCACHED_STATS:
		return stats_more(x);
	default:
		return false;
	}
}

size_t memcached_run(struct memcached *m, struct memcached_conn *c,
		     const u8 *in, size_t len, struct memcached_reply *r)
{
	struct run x = { .m = m, .c = c, .r = r, .in = in, .pos = in,
			 .end = in + len };

	while (has_room(r, 0, 0))
		if (!step(&x))
			break;
	r->full = !has_room(r, 0, 0);
	return (size_t)(x.pos - in);
}

void memcached_sent(struct memcached *m, struct memcached_reply *r)
{
	u32 i;

	for (i = 0; i < r->held; i++) {
		u32 n = r->holds[i].shard;

		if (m->lock)
			m->lock(m->arg, n);
		cache_release(&m->shards[n].cache, r->holds[i].item);
		if (m->unlock)
			m->unlock(m->arg, n);
	}
	r->count = 0;
	r->bytes = 0;
	r->used = 0;
	r->held = 0;
	r->full = false;
}

void memcached_leave(struct memcached *m, struct memcached_conn *c)
{
	struct run x = { .m = m, .c = c };
	struct shard s;

	if (!c->item)
		return;
	s = shard_enter_hash(&x, c->hash);
	cache_release(s.cache, c->item);
	shard_leave(&x, &s);
	c->item = 0;
	c->state = MEMCACHED_CLOSING;
}
