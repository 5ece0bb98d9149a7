// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The meta commands mg, ms, md, mn and me; ma is in memcached_delta.c, and flags
 * are read in memcached_flags.c. Where memcached 1.6.18 is odd (which answers q
 * leaves out), so is this: clients were written against it.
 */
#include "memcached_flags.h"

struct fetch {
	u32 item;
	bool created;
	bool won;
};

static u8 *get_flag(struct run *x, u8 *p, const struct meta *f,
		    struct cache_item *it, struct fetch *g, struct token t)
{
	switch (t.text[0]) {
	case 'T':
		it->expires = f->expires;
		return p;
	case 'N':
		if (g->created) {
			it->expires = f->vivify_expires;
			g->won = true;
		}
		return p;
	case 'R':
		if (!(it->bits & CACHE_TOKEN_SENT) && !g->created &&
		    it->expires && it->expires < f->recache)
			g->won = true;
		return p;
	case 's':
		return meta_put_number(p, 's', it->value_len);
	case 't':
		return meta_put_ttl(p, x, it->expires);
	case 'c':
		return meta_put_number(p, 'c', cache_unique(it));
	case 'f':
		return meta_put_number(p, 'f', cache_client_flags(it));
	case 'l':
		return meta_put_number(p, 'l', x->m->now - it->touched);
	case 'h':
		return meta_put_number(p, 'h', it->bits & CACHE_FETCHED ? 1 : 0);
	case 'O':
		return meta_put_opaque(p, t);
	case 'k':
		return meta_put_key(p, cache_key(it), it->key_len,
			       it->bits & CACHE_KEY_BINARY);
	default:
		return p;
	}
}

/* Z, X and W: whether this client is to make the value anew. */
static u8 *put_win(u8 *p, struct cache_item *it, struct fetch *g)
{
	if (it->bits & CACHE_TOKEN_SENT)
		p = meta_put_flag(p, 'Z');
	if (it->bits & CACHE_STALE) {
		p = meta_put_flag(p, 'X');
		if (!(it->bits & CACHE_TOKEN_SENT))
			g->won = true;
	}
	if (g->won) {
		p = meta_put_flag(p, 'W');
		it->bits |= CACHE_TOKEN_SENT;
	}
	return p;
}

static void get_hit(struct run *x, struct shard *s, const struct meta *f,
		    struct fetch *g)
{
	struct cache_item *it = cache_at(s->cache, g->item);
	u8 *p = reply_at(x);
	u32 i;

	if (f->value) {
		memcpy(p, "VA ", 3);
		p += 3;
		p += number_print(it->value_len, p);
	} else {
		memcpy(p, "HD", 2);
		p += 2;
	}
	for (i = 0; f->answered && i < f->count; i++) {
		p = get_flag(x, p, f, it, g, f->flags[i]);
		if (!p) {
			mc_say_error(x, meta_long_opaque);
			return;
		}
	}
	p = put_line_end(put_win(p, it, g));
	if (f->new_ttl) {
		s->s->counts.touch_cmds++;
		s->cache->classes[it->class].commands[CACHE_TOUCHES]++;
	} else {
		s->s->counts.get_cmds++;
	}
	if (f->value)
		reply_value(x, s, g->item, p, true, MEMCACHED_COMMAND);
	else
		reply_to(x, p);
	if (f->own_bump && !f->no_update)
		cache_bump(s->cache, g->item);
}

static void get_miss(struct run *x, struct shard *s, const struct meta *f)
{
	u8 *p = reply_at(x);

	/* Only a T that met an item makes it a touch. */
	s->s->counts.get_misses++;
	s->s->counts.get_cmds++;
	memcpy(p, "EN", 2);
	p = meta_put_echo(p + 2, f);
	if (!p)
		mc_say_error(x, meta_long_opaque);
	else if (!x->c->noreply)
		meta_line_end(x, p);
}

static void meta_get(struct run *x, const struct token *t, u32 count)
{
	struct fetch g = { 0 };
	struct meta f NOT_CLEARED;
	struct shard s;

	meta_start(&f, t, count, 2);
	if (f.key.len > CACHE_KEY_MAX) {
		mc_say_error(x, meta_bad_format);
		return;
	}
	if (count > META_TOKENS_MAX) {
		mc_say_error(x, "CLIENT_ERROR options flags are too long");
		return;
	}
	if (!meta_read_flags(x, &f, &x->c->noreply)) {
		mc_say_error(x, f.error);
		return;
	}
	s = shard_enter(x, f.key.text, f.key.len);
	g.item = find_to_send(&s, f.key);
	if (g.item && !f.own_bump && !f.no_update)
		cache_bump(s.cache, g.item);
	if (!g.item && f.vivify) {
		g.item = cache_alloc(s.cache, f.key.text, f.key.len, 0, 0, 0);
		g.created = g.item != 0;
		if (g.created) {
			cache_link(s.cache, g.item, s.hash, 0);
			cache_release(s.cache, g.item);
		}
	}
	if (g.item)
		get_hit(x, &s, &f, &g);
	else
		get_miss(x, &s, &f);
	shard_leave(x, &s);
}

/* Flags that ms answers once the value is stored. False when O is too long. */
static bool keep_echo(struct memcached_conn *c, const struct meta *f)
{
	bool fits = true;
	u32 i;

	c->echo_len = 0;
	for (i = 0; i < f->count; i++) {
		struct token t = f->flags[i];
		u32 len = t.text[0] == 'O' ? t.len : 1;

		if (!memchr("Okc", t.text[0], 3))
			continue;
		if (len > MEMCACHED_OPAQUE_MAX) {
			fits = false;
			continue;
		}
		c->echo[c->echo_len++] = ' ';
		memcpy(c->echo + c->echo_len, t.text, len);
		c->echo_len += (u8)len;
	}
	return fits;
}

static bool set_mode(struct meta *f, u8 *mode)
{
	switch (f->mode) {
	case 0:
	case 'S':
		*mode = STORE_SET;
		break;
	case 'E':
		*mode = STORE_ADD;
		break;
	case 'A':
		*mode = STORE_APPEND;
		break;
	case 'P':
		*mode = STORE_PREPEND;
		break;
	case 'R':
		*mode = STORE_REPLACE;
		break;
	default:
		f->error = "CLIENT_ERROR invalid mode for ms M token";
		return false;
	}
	if (f->has_unique && (*mode == STORE_SET || *mode == STORE_REPLACE))
		*mode = STORE_CAS;
	return true;
}

/* NULL, or what to answer: then the value is swallowed. */
static const char *set_begin(struct run *x, struct meta *f, u32 value_len)
{
	struct memcached_conn *c = x->c;
	struct shard s;
	const char *error = NULL;
	bool echoes, fits;

	if (!meta_read_flags(x, f, &c->noreply))
		return f->error;
	echoes = keep_echo(c, f);
	if (!echoes)
		f->error = meta_long_opaque;
	if (!set_mode(f, &c->mode) || !echoes)
		return f->error;
	c->command = COMMAND_META |
		     (f->stale && c->mode == STORE_CAS ? COMMAND_STALE : 0);
	c->unique = f->unique;
	c->left = value_len + 2;
	s = shard_enter(x, f->key.text, f->key.len);
	fits = mc_size_ok(x->m, f->key.len, f->client_flags, value_len);
	if (!fits || !mc_store_begin(x, &s, f->key, f->client_flags, f->expires,
				  value_len)) {
		s.s->counts.store_too_large += !fits;
		error = fits ? "SERVER_ERROR out of memory storing object" :
			       "SERVER_ERROR object too large for cache";
		mc_store_forget(&s, f->key);
	} else if (f->key_binary) {
		cache_at(s.cache, c->item)->bits |= CACHE_KEY_BINARY;
	}
	shard_leave(x, &s);
	return error;
}

static void meta_set(struct run *x, const struct token *t, u32 count)
{
	const char *error;
	struct meta f NOT_CLEARED;
	s32 len;

	if (t[1].len > CACHE_KEY_MAX || count == 3) {
		mc_say_error(x, meta_bad_format);
		return;
	}
	if (count > META_TOKENS_MAX) {
		mc_say_error(x, meta_many_options);
		return;
	}
	if (!number_s32(t[2], &len) || len < 0 || len > 0x7fffffff - 2) {
		mc_say_error(x, meta_bad_format);
		return;
	}
	meta_start(&f, t, count, 3);
	error = set_begin(x, &f, (u32)len);
	if (error) {
		mc_say_error(x, error);
		mc_swallow(x, (u64)len + 2);
	}
}

void meta_stored(struct run *x, const struct shard *s, u32 item,
		 enum store_result result)
{
	static const char *const codes[] = {
		[STORED] = "HD",
		[CHANGED] = "EX",
		[NOT_FOUND] = "NF",
		[NOT_STORED] = "NS",
	};
	struct memcached_conn *c = x->c;
	struct cache_item *it = cache_at(s->cache, item);
	const u8 *e = c->echo, *end = c->echo + c->echo_len;
	u8 *p = reply_at(x);

	if (result == STORED && c->noreply)
		return;
	memcpy(p, codes[result], 2);
	p += 2;
	while (e < end) {
		const u8 *next = e + 1;

		while (next < end && *next != ' ')
			next++;
		if (e[1] == 'O') {
			memcpy(p, e, (size_t)(next - e));
			p += next - e;
		} else if (e[1] == 'k') {
			p = meta_put_key(p, cache_key(it), it->key_len,
				    it->bits & CACHE_KEY_BINARY);
		} else {
			p = meta_put_number(p, 'c', result == STORED ? c->unique :
								  0);
		}
		e = next;
	}
	meta_line_end(x, p);
}

/* Deletes, or marks stale; gives the code to answer. */
static const char *delete_item(struct run *x, struct shard *s,
			       const struct meta *f)
{
	u32 item = cache_find(s->cache, f->key.text, f->key.len, s->hash);
	struct cache_item *it;

	if (!item) {
		s->s->counts.delete_misses++;
		return "NF";
	}
	it = cache_at(s->cache, item);
	if (f->has_unique && cache_unique(it) != f->unique) {
		s->s->counts.delete_misses++;
		return "EX";
	}
	if (f->stale) {
		if (f->new_ttl)
			it->expires = f->expires;
		it->bits |= CACHE_STALE;
		it->bits &= (u16)~CACHE_TOKEN_SENT;
		cache_set_unique(it, cache_next_unique(s->cache));
		return "HD";
	}
	s->cache->classes[it->class].commands[CACHE_DELETES]++;
	cache_unlink(s->cache, item, s->hash);
	return "HD";
}

static void meta_delete(struct run *x, const struct token *t, u32 count)
{
	u8 *start = reply_at(x), *p;
	const char *code;
	struct meta f NOT_CLEARED;
	struct shard s;

	meta_start(&f, t, count, 2);
	if (f.key.len > CACHE_KEY_MAX || count > META_TOKENS_MAX) {
		mc_say(x, f.key.len > CACHE_KEY_MAX ? meta_bad_format : meta_many_options);
		return;
	}
	if (!meta_read_flags(x, &f, &x->c->noreply)) {
		mc_say_error(x, meta_bad_flags);
		return;
	}
	p = meta_put_echo(start + 2, &f);
	if (!p) {
		mc_say_error(x, meta_long_opaque);
		return;
	}
	s = shard_enter(x, f.key.text, f.key.len);
	code = delete_item(x, &s, &f);
	shard_leave(x, &s);
	memcpy(start, code, 2);
	if (!(x->c->noreply && code[0] == 'H'))
		meta_line_end(x, p);
}

static u8 *put_text(u8 *p, const char *s)
{
	size_t len = strlen(s);

	memcpy(p, s, len);
	return p + len;
}

static void describe_item(struct run *x, struct cache_item *it)
{
	u8 *p = put_text(reply_at(x), "ME ");
	u32 bytes = nominal_bytes(it->key_len, cache_client_flags(it),
				  it->value_len);

	if (it->bits & CACHE_KEY_BINARY) {
		p += mc_base64_encode(cache_key(it), it->key_len, p);
	} else {
		memcpy(p, cache_key(it), it->key_len);
		p += it->key_len;
	}
	p = put_text(p, it->expires && it->expires != x->m->now ? " exp=-" :
								  " exp=");
	if (it->expires)
		p += number_print(it->expires - x->m->now, p);
	else
		p = put_text(p - 1, "=-1");
	p = put_text(p, " la=");
	p += number_print(x->m->now - it->touched, p);
	p = put_text(p, " cas=");
	p += number_print(cache_unique(it), p);
	p = put_text(p, it->bits & CACHE_FETCHED ? " fetch=yes cls=" :
						   " fetch=no cls=");
	p += number_print(nominal_class(bytes), p);
	p = put_text(p, " size=");
	p += number_print(bytes, p);
	meta_line_end(x, p);
}

static void meta_debug(struct run *x, const struct token *t, u32 count)
{
	struct meta f NOT_CLEARED;
	struct shard s;
	u32 item;

	meta_start(&f, t, count, 2);
	if (count < 3 || f.key.len > CACHE_KEY_MAX ||
	    (f.count && token_is(f.flags[0], "b") && !meta_decode_key(&f))) {
		mc_say(x, meta_bad_format);
		return;
	}
	s = shard_enter(x, f.key.text, f.key.len);
	item = cache_find(s.cache, f.key.text, f.key.len, s.hash);
	s.s->counts.meta_cmds++;
	if (item)
		describe_item(x, cache_at(s.cache, item));
	shard_leave(x, &s);
	if (!item)
		mc_say(x, "EN");
}

bool meta_command(struct run *x, const struct token *t, u32 count)
{
	static const struct {
		u8 name;
		void (*run)(struct run *x, const struct token *t, u32 count);
	} commands[] = {
		{ 'g', meta_get },
		{ 's', meta_set },
		{ 'd', meta_delete },
		{ 'a', meta_delta },
	};
	u8 name = t[0].text[1];
	u32 i;

	if (name == 'n') {
		mc_say(x, "MN");
		return true;
	}
	if (name == 'e') {
		meta_debug(x, t, count);
		return true;
	}
	for (i = 0; count >= 3 && i < ARRAY_SIZE(commands); i++)
		if (commands[i].name == name) {
			commands[i].run(x, t, count);
			return true;
		}
	return false;
}
