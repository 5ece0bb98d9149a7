// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The meta command ma, arithmetic. Where memcached 1.6.18 is odd (what T does to a
 * number that had to move), so is this: clients were written against it.
 */
#include "memcached_flags.h"

static const char no_memory_for_new[] = "SERVER_ERROR Out of memory allocating new item";

struct counting {
	struct delta d;
	bool created;
	/* Of the item, or of the one it took the place of: what T and N set of
	 * that is lost.
	 */
	u32 expires;
	struct cache_item *it;
};

static u8 *delta_flags(struct run *x, u8 *p, const struct meta *f,
		       struct counting *n)
{
	u32 i;

	for (i = 0; p && i < f->count; i++) {
		switch (f->flags[i].text[0]) {
		case 'c':
			p = meta_put_number(p, 'c', n->d.unique);
			break;
		case 't':
			p = meta_put_ttl(p, x, n->expires);
			break;
		case 'T':
			n->expires = f->expires;
			break;
		case 'N':
			if (n->created)
				n->expires = f->vivify_expires;
			break;
		case 'O':
			p = meta_put_opaque(p, f->flags[i]);
			break;
		case 'k':
			p = meta_put_key(p, f->key.text, f->key.len, f->key_binary);
			break;
		}
		if (!n->d.replaced)
			n->it->expires = n->expires;
	}
	return p;
}

static void delta_done(struct run *x, struct shard *s, const struct meta *f,
		       struct counting *n, bool quiet)
{
	u8 digits[20], *p = reply_at(x);
	u32 len = number_print(n->d.value, digits);

	n->it = cache_at(s->cache, n->d.item);
	n->expires = n->it->expires;
	if (f->value) {
		memcpy(p, "VA ", 3);
		p += 3;
		p += number_print(len, p);
	} else {
		memcpy(p, "HD", 2);
		p += 2;
	}
	p = delta_flags(x, p, f, n);
	if (!p) {
		mc_say_error(x, meta_long_opaque);
		return;
	}
	if (quiet)
		return;
	if (f->value) {
		p = put_line_end(p);
		memcpy(p, digits, len);
		p += len;
	}
	meta_line_end(x, p);
}

static bool delta_create(struct shard *s, const struct meta *f,
			 struct counting *n)
{
	u8 digits[20];
	u32 len = number_print(f->initial, digits);
	u32 item = cache_alloc(s->cache, f->key.text, f->key.len, 0, 0, len);

	if (!item)
		return false;
	cache_write(s->cache, item, 0, digits, len);
	cache_link(s->cache, item, s->hash, 0);
	cache_release(s->cache, item);
	n->created = true;
	n->d.value = f->initial;
	n->d.item = item;
	n->d.unique = cache_unique(cache_at(s->cache, item));
	return true;
}

static void delta_missed(struct run *x, struct shard *s, const struct meta *f,
			 const char *code, bool increase)
{
	u8 *p = reply_at(x);

	if (code[0] == 'N' && increase)
		s->s->counts.incr_misses++;
	else if (code[0] == 'N')
		s->s->counts.decr_misses++;
	memcpy(p, code, 2);
	p = meta_put_echo(p + 2, f);
	if (p)
		meta_line_end(x, p);
	else
		mc_say_error(x, meta_long_opaque);
}

static void delta_run(struct run *x, struct shard *s, const struct meta *f,
		      struct counting *n)
{
	switch (mc_store_delta(x, s, &n->d)) {
	case DELTA_OK:
		delta_done(x, s, f, n, x->c->noreply);
		break;
	case DELTA_NOT_NUMBER:
		mc_say_error(x, mc_not_a_number);
		break;
	case DELTA_NO_MEMORY:
		mc_say_error(x, "SERVER_ERROR out of memory");
		break;
	case DELTA_MISMATCH:
		delta_missed(x, s, f, "EX", n->d.increase);
		break;
	case DELTA_NOT_FOUND:
		if (!f->vivify)
			delta_missed(x, s, f, "NF", n->d.increase);
		else if (delta_create(s, f, n))
			delta_done(x, s, f, n, false);
		else
			mc_say_error(x, no_memory_for_new);
	}
}

void meta_delta(struct run *x, const struct token *t, u32 count)
{
	struct counting n = { .d = { .increase = true } };
	struct meta f NOT_CLEARED;
	struct shard s;

	meta_start(&f, t, count, 2);
	f.delta = 1;
	if (f.key.len > CACHE_KEY_MAX || count > META_TOKENS_MAX) {
		mc_say(x, f.key.len > CACHE_KEY_MAX ? meta_bad_format : meta_many_options);
		return;
	}
	if (!meta_read_flags(x, &f, &x->c->noreply)) {
		mc_say_error(x, meta_bad_flags);
		return;
	}
	if (f.mode && !memchr("I+D-", f.mode, 4)) {
		mc_say_error(x, "CLIENT_ERROR invalid mode for ma M token");
		return;
	}
	n.d.increase = f.mode != 'D' && f.mode != '-';
	n.d.key = f.key;
	n.d.by = f.delta;
	n.d.unique = f.unique;
	s = shard_enter(x, f.key.text, f.key.len);
	delta_run(x, &s, &f, &n);
	shard_leave(x, &s);
}
