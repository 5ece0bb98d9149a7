// SPDX-License-Identifier: LGPL-2.1-or-later
/* The classic text commands. */
#include "memcached_impl.h"
#include "scan.h"

static const char bad_format[] = "CLIENT_ERROR bad command line format";
static const char bad_delete[] =
	"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]";
static const char memlimit_is_fixed[] =
	"MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust";
static const char bad_exptime[] = "CLIENT_ERROR invalid exptime argument";

static void find_noreply(struct run *x, const struct token *t, u32 count)
{
	x->c->noreply = token_is(t[count - 2], "noreply");
}

/* A hit: "VALUE key flags length [number]", the value. */
static void reply_hit(struct run *x, struct shard *s, u32 item)
{
	struct cache_item *it = cache_at(s->cache, item);
	u8 *p = reply_at(x);

	memcpy(p, "VALUE ", 6);
	p += 6;
	memcpy(p, cache_key(it), it->key_len);
	p += it->key_len;
	*p++ = ' ';
	p += number_print(cache_client_flags(it), p);
	*p++ = ' ';
	p += number_print(it->value_len, p);
	if (x->c->command & COMMAND_CAS) {
		*p++ = ' ';
		p += number_print(cache_unique(it), p);
	}
	reply_value(x, s, item, put_line_end(p), true, MEMCACHED_KEYS);
}

static void get_key(struct run *x, struct token key)
{
	struct shard s = shard_enter(x, key.text, key.len);
	struct memcached_counts *counts = &s.s->counts;
	u32 item = find_to_send(&s, key);
	bool touch = x->c->command & COMMAND_TOUCH;

	if (touch)
		counts->touch_cmds++;
	else
		counts->get_cmds++;
	if (item) {
		struct cache_item *it = cache_at(s.cache, item);

		if (touch) {
			it->expires = x->c->expires;
			s.cache->classes[it->class].commands[CACHE_TOUCHES]++;
		}
		cache_bump(s.cache, item);
		reply_hit(x, &s, item);
	} else if (touch) {
		counts->touch_misses++;
	} else {
		counts->get_misses++;
	}
	shard_leave(x, &s);
}

bool text_keys(struct run *x)
{
	const u8 *p = x->pos, *start;
	bool line_ends, nul;

	while (p < x->end && *p == ' ')
		p++;
	start = p;
	p = scan_word(start, x->end);
	line_ends = p < x->end && *p == '\n';
	nul = p < x->end && *p == '\0';
	if (p == x->end || p - start > CACHE_KEY_MAX + line_ends) {
		x->pos = start;
		if (p - start <= CACHE_KEY_MAX + 1)
			return false;
		mc_say(x, bad_format);
		x->c->state = MEMCACHED_LINE;
		return true;
	}
	if (nul && p == start) {
		/* To memcached the line ends here. */
		reply_string(x, "END\r\n");
		x->c->state = MEMCACHED_LINE;
		return true;
	}
	x->pos = p + line_ends;
	if (line_ends && p > start && p[-1] == '\r')
		p--;
	if (p > start)
		get_key(x, (struct token){ start, (u32)(p - start) });
	if (!line_ends)
		return true;
	if (x->c->state == MEMCACHED_SENDING) {
		/* The end comes after the value: read this end once more. */
		x->pos--;
		return true;
	}
	reply_string(x, "END\r\n");
	x->c->state = MEMCACHED_COMMAND;
	return true;
}

/* The whole line is there: one key too long means no answer but an error. */
static bool keys_fit(const u8 *p, const u8 *end)
{
	while (end - p > CACHE_KEY_MAX) {
		const u8 *start;

		while (p < end && *p == ' ')
			p++;
		start = p;
		p = scan_word(p, end);
		if (p - start > CACHE_KEY_MAX)
			return false;
	}
	return true;
}

static void get_one(struct run *x, const struct line *l, struct token key)
{
	if (key.len > CACHE_KEY_MAX) {
		mc_say(x, bad_format);
		return;
	}
	get_key(x, key);
	if (x->c->state == MEMCACHED_SENDING)
		x->pos = l->next - 1; /* the end of the line comes after the value */
	else
		reply_string(x, "END\r\n");
}

static void get_command(struct run *x, const struct line *l, u32 command)
{
	u32 first = 1;
	s32 exptime;

	if (l->count < 3) {
		mc_say(x, "ERROR");
		return;
	}
	if (command & COMMAND_TOUCH) {
		if (!number_s32(l->t[1], &exptime)) {
			mc_say(x, bad_exptime);
			return;
		}
		x->c->expires = mc_time_of_text(x->m, exptime);
		first = 2;
	}
	x->c->command = (u8)command;
	if (l->count == first + 2) {
		get_one(x, l, l->t[first]);
		return;
	}
	if (!keys_fit(l->t[first].text, l->end)) {
		mc_say(x, bad_format);
		return;
	}
	/* The keys are read again from the buffer, as far as a reply goes. */
	x->c->state = MEMCACHED_KEYS;
	x->pos = l->t[first].text;
}

/* Words of a command that stores a value, from its flags on. */
struct storing {
	struct token key;
	u32 flags;
	s32 exptime;
	s32 value_len;
	u64 unique;
};

static bool read_storing(const struct token *t, bool cas, struct storing *w)
{
	w->key = t[1];
	w->unique = 0;
	return w->key.len <= CACHE_KEY_MAX && number_u32(t[2], &w->flags) &&
	       number_s32(t[3], &w->exptime) &&
	       number_s32(t[4], &w->value_len) &&
	       (!cas || number_u64(t[5], &w->unique)) && w->value_len >= 0 &&
	       w->value_len <= 0x7fffffff - 2;
}

static void store_command(struct run *x, const struct token *t, u32 count,
			  enum store_mode mode)
{
	struct storing w;
	struct shard s;
	bool fits;

	find_noreply(x, t, count);
	if (!read_storing(t, mode == STORE_CAS, &w)) {
		mc_say(x, bad_format);
		return;
	}
	s = shard_enter(x, w.key.text, w.key.len);
	x->c->command = COMMAND_CLASSIC;
	x->c->mode = (u8)mode;
	x->c->unique = w.unique;
	x->c->left = (u32)w.value_len + 2;
	fits = mc_size_ok(x->m, w.key.len, w.flags, (u64)w.value_len);
	if (!fits || !mc_store_begin(x, &s, w.key, w.flags,
				  mc_time_of_text(x->m, w.exptime),
				  (u32)w.value_len)) {
		s.s->counts.store_too_large += !fits;
		mc_say(x, fits ? "SERVER_ERROR out of memory storing object" :
			      "SERVER_ERROR object too large for cache");
		mc_swallow(x, (u64)w.value_len + 2);
		if (mode == STORE_SET)
			mc_store_forget(&s, w.key);
	}
	shard_leave(x, &s);
}

void classic_stored(struct run *x, enum store_result result)
{
	static const char *const names[] = {
		[STORED] = "STORED",
		[CHANGED] = "EXISTS",
		[NOT_FOUND] = "NOT_FOUND",
		[NOT_STORED] = "NOT_STORED",
	};

	mc_say(x, names[result]);
}

static void touch_command(struct run *x, const struct token *t, u32 count)
{
	struct shard s;
	s32 exptime;
	u32 item;

	find_noreply(x, t, count);
	if (t[1].len > CACHE_KEY_MAX) {
		mc_say(x, bad_format);
		return;
	}
	if (!number_s32(t[2], &exptime)) {
		mc_say(x, bad_exptime);
		return;
	}
	s = shard_enter(x, t[1].text, t[1].len);
	item = cache_find(s.cache, t[1].text, t[1].len, s.hash);
	s.s->counts.touch_cmds++;
	if (item) {
		struct cache_item *it = cache_at(s.cache, item);

		it->expires = mc_time_of_text(x->m, exptime);
		s.cache->classes[it->class].commands[CACHE_TOUCHES]++;
		cache_bump(s.cache, item);
	} else {
		s.s->counts.touch_misses++;
	}
	shard_leave(x, &s);
	mc_say(x, item ? "TOUCHED" : "NOT_FOUND");
}

static void delta_missed(struct shard *s, bool increase)
{
	if (increase)
		s->s->counts.incr_misses++;
	else
		s->s->counts.decr_misses++;
}

static void delta_command(struct run *x, const struct token *t, u32 count,
			  bool increase)
{
	struct delta d = { .key = t[1], .increase = increase };
	enum delta_result result;
	u8 digits[21];
	struct shard s;

	find_noreply(x, t, count);
	if (d.key.len > CACHE_KEY_MAX) {
		mc_say(x, bad_format);
		return;
	}
	if (!number_u64(t[2], &d.by)) {
		mc_say(x, "CLIENT_ERROR invalid numeric delta argument");
		return;
	}
	s = shard_enter(x, d.key.text, d.key.len);
	result = mc_store_delta(x, &s, &d);
	if (result == DELTA_NOT_FOUND)
		delta_missed(&s, increase);
	shard_leave(x, &s);
	switch (result) {
	case DELTA_OK:
		digits[number_print(d.value, digits)] = '\0';
		mc_say(x, (const char *)digits);
		break;
	case DELTA_NOT_NUMBER:
		mc_say(x, mc_not_a_number);
		break;
	case DELTA_NO_MEMORY:
		mc_say(x, "SERVER_ERROR out of memory");
		break;
	default:
		mc_say(x, "NOT_FOUND");
	}
}

/* delete KEY [0] [noreply] */
static bool delete_is_valid(struct run *x, const struct token *t, u32 count)
{
	bool zero;

	if (count <= 3)
		return true;
	zero = token_is(t[2], "0");
	find_noreply(x, t, count);
	return (count == 4 && (zero || x->c->noreply)) ||
	       (count == 5 && zero && x->c->noreply);
}

static void delete_command(struct run *x, const struct token *t, u32 count)
{
	struct shard s;
	u32 item;

	if (!delete_is_valid(x, t, count)) {
		mc_say(x, bad_delete);
		return;
	}
	if (t[1].len > CACHE_KEY_MAX) {
		mc_say(x, bad_format);
		return;
	}
	s = shard_enter(x, t[1].text, t[1].len);
	item = cache_find(s.cache, t[1].text, t[1].len, s.hash);
	if (item) {
		u32 k = cache_at(s.cache, item)->class;

		s.cache->classes[k].commands[CACHE_DELETES]++;
		cache_unlink(s.cache, item, s.hash);
	} else {
		s.s->counts.delete_misses++;
	}
	shard_leave(x, &s);
	mc_say(x, item ? "DELETED" : "NOT_FOUND");
}

static void flush_command(struct run *x, const struct token *t, u32 count)
{
	s32 exptime = 0;

	find_noreply(x, t, count);
	if (count != (x->c->noreply ? 3 : 2) && !number_s32(t[1], &exptime)) {
		mc_say(x, bad_exptime);
		return;
	}
	mc_store_flush(x, exptime);
	mc_say(x, "OK");
}

static void verbosity_command(struct run *x, const struct token *t, u32 count)
{
	u32 level;

	find_noreply(x, t, count);
	if (!number_u32(t[1], &level)) {
		mc_say(x, bad_format);
		return;
	}
	x->m->verbosity = level > 2 ? 2 : level;
	mc_say(x, "OK");
}

/* Who runs the machine sets these, not who uses the cache. */
static void memlimit_command(struct run *x, const struct token *t, u32 count)
{
	u32 megabytes;

	find_noreply(x, t, count);
	if (!number_u32(t[1], &megabytes))
		mc_say(x, "ERROR");
	else if (megabytes < 8)
		mc_say(x, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m");
	else
		mc_say(x, memlimit_is_fixed);
}

static void version_command(struct run *x)
{
	reply_string(x, "VERSION ");
	mc_say(x, x->m->version);
}

static void shutdown_command(struct run *x)
{
	mc_say(x, "ERROR: shutdown not enabled");
}

static void other_command(struct run *x, const struct token *t, u32 count)
{
	struct token last = t[count - 2];

	if (token_is(t[0], "flush_all") && count <= 4)
		flush_command(x, t, count);
	else if (token_is(t[0], "version"))
		version_command(x);
	else if (token_is(t[0], "quit"))
		x->c->state = MEMCACHED_CLOSING;
	else if (token_is(t[0], "verbosity") && (count == 3 || count == 4))
		verbosity_command(x, t, count);
	else if (token_is(t[0], "cache_memlimit") && (count == 3 || count == 4))
		memlimit_command(x, t, count);
	else if (token_is(t[0], "shutdown"))
		shutdown_command(x);
	else if (token_is(t[0], "watch"))
		mc_say(x, "CLIENT_ERROR watch commands not allowed");
	else if (last.len >= 5 && !memcmp(last.text, "HTTP/", 5) &&
		 !memchr("gsacidtfv", t[0].text[0], 9))
		x->c->state = MEMCACHED_CLOSING;
	else
		mc_say(x, "ERROR");
}

#define NAME(s) { (const u8 *)(s), sizeof(s) - 1 }

static bool token_equals(struct token a, struct token b)
{
	return a.len == b.len && !memcmp(a.text, b.text, a.len);
}

static const struct {
	struct token name;
	u32 least, most; /* tokens, with the end */
	enum store_mode mode;
} storing[] = {
	{ NAME("set"), 6, 7, STORE_SET },
	{ NAME("add"), 6, 7, STORE_ADD },
	{ NAME("replace"), 6, 7, STORE_REPLACE },
	{ NAME("append"), 6, 7, STORE_APPEND },
	{ NAME("prepend"), 6, 7, STORE_PREPEND },
	{ NAME("cas"), 7, 8, STORE_CAS },
};

/* True when it was one of them. */
static bool storing_command(struct run *x, const struct token *t, u32 count)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(storing); i++) {
		if (!token_equals(t[0], storing[i].name))
			continue;
		if (count == storing[i].least || count == storing[i].most)
			store_command(x, t, count, storing[i].mode);
		else
			mc_say(x, "ERROR");
		return true;
	}
	return false;
}

/* Bits of COMMAND_GET and more, or 0. */
static u32 getting_command(struct token name)
{
	if (token_is(name, "get") || token_is(name, "bget"))
		return COMMAND_GET;
	if (token_is(name, "gets"))
		return COMMAND_GET | COMMAND_CAS;
	if (token_is(name, "gat"))
		return COMMAND_GET | COMMAND_TOUCH;
	if (token_is(name, "gats"))
		return COMMAND_GET | COMMAND_TOUCH | COMMAND_CAS;
	return 0;
}

static bool key_command(struct run *x, const struct token *t, u32 count)
{
	bool increase = token_is(t[0], "incr");

	if (token_is(t[0], "delete") && count >= 3 && count <= 5)
		delete_command(x, t, count);
	else if ((increase || token_is(t[0], "decr")) &&
		 (count == 4 || count == 5))
		delta_command(x, t, count, increase);
	else if (token_is(t[0], "touch") && (count == 4 || count == 5))
		touch_command(x, t, count);
	else
		return false;
	return true;
}

void text_command(struct run *x, const struct line *l)
{
	const struct token *t = l->t;
	u32 getting;

	if (l->count < 2 || t[0].len < 2) {
		mc_say(x, "ERROR");
		return;
	}
	if (t[0].text[0] == 'm' && t[0].len == 2) {
		if (!meta_command(x, t, l->count))
			mc_say(x, "ERROR");
		return;
	}
	getting = getting_command(t[0]);
	if (getting) {
		get_command(x, l, getting);
		return;
	}
	if (storing_command(x, t, l->count) || key_command(x, t, l->count))
		return;
	if (token_is(t[0], "stats"))
		stats_begin(x, t, l->count);
	else
		other_command(x, t, l->count);
}
