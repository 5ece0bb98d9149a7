// SPDX-License-Identifier: LGPL-2.1-or-later
/* Flags of meta commands, read and echoed; the contract is in memcached_flags.h. */
#include "memcached_flags.h"

const char meta_bad_format[] = "CLIENT_ERROR bad command line format";
const char meta_long_opaque[] = "CLIENT_ERROR opaque token too long";
const char meta_many_options[] = "CLIENT_ERROR options flags too long";
const char meta_bad_flags[] = "CLIENT_ERROR invalid or duplicate flag";
static const char bad_token[] = "CLIENT_ERROR bad token in command line format";

static bool read_time(struct run *x, struct token rest, u32 *out,
		      struct meta *f)
{
	s32 t;

	if (!number_s32(rest, &t)) {
		f->error = bad_token;
		return false;
	}
	*out = mc_time_of_text(x->m, t);
	return true;
}

bool meta_decode_key(struct meta *f)
{
	u32 len = mc_base64_decode(f->key.text, f->key.len, f->decoded);

	f->key_binary = true;
	f->key.text = f->decoded;
	f->key.len = len;
	if (!len)
		f->error = "CLIENT_ERROR error decoding key";
	return len != 0;
}

/* One flag that has a value to be read; false with f->error. */
static bool read_flag(struct run *x, struct meta *f, struct token t)
{
	struct token rest = { t.text + 1, t.len - 1 };

	switch (t.text[0]) {
	case 'b':
		return meta_decode_key(f);
	case 'N':
		f->own_bump = true;
		f->vivify = true;
		return read_time(x, rest, &f->vivify_expires, f);
	case 'T':
		f->own_bump = true;
		f->new_ttl = read_time(x, rest, &f->expires, f);
		return f->new_ttl;
	case 'R':
		f->own_bump = true;
		return read_time(x, rest, &f->recache, f);
	case 'F':
		return number_u32(rest, &f->client_flags);
	case 'C':
		f->has_unique = number_u64(rest, &f->unique);
		if (!f->has_unique)
			f->error = bad_token;
		return f->has_unique;
	case 'M':
		if (t.len == 2)
			f->mode = t.text[1];
		else
			f->error = "CLIENT_ERROR incorrect length for M token";
		return t.len == 2;
	case 'J':
		if (number_u64(rest, &f->initial))
			return true;
		f->error = "CLIENT_ERROR invalid numeric initial value";
		return false;
	default: /* D */
		if (number_u64(rest, &f->delta))
			return true;
		f->error = "CLIENT_ERROR invalid numeric delta value";
		return false;
	}
}

/* What flag @t says; @ended: it is none, which ends the reading. */
static bool take_flag(struct run *x, struct meta *f, struct token t,
		      bool *noreply, bool *ended)
{
	switch (t.text[0]) {
	case 'l':
	case 'h':
		f->own_bump = true;
		return true;
	case 'O':
	case 'P':
	case 'L':
	case 'k':
	case 's':
	case 't':
	case 'c':
	case 'f':
		return true;
	case 'v':
		f->value = true;
		return true;
	case 'u':
		f->no_update = true;
		return true;
	case 'q':
		*noreply = true;
		return true;
	case 'I':
		f->stale = true;
		return true;
	case 'b':
	case 'N':
	case 'T':
	case 'R':
	case 'F':
	case 'C':
	case 'M':
	case 'J':
	case 'D':
		return read_flag(x, f, t);
	default:
		f->error = "CLIENT_ERROR invalid flag";
		*ended = true;
		return false;
	}
}

bool meta_read_flags(struct run *x, struct meta *f, bool *noreply)
{
	u64 seen[2] = { 0, 0 };
	bool ended = false;
	bool good = true;
	u32 i;

	for (i = 0; i < f->count && !ended; i++) {
		struct token t = f->flags[i];
		u8 o = t.text[0];

		if (o >= 127 || seen[o >> 6] & 1ULL << (o & 63)) {
			f->error = "CLIENT_ERROR duplicate flag";
			return false;
		}
		seen[o >> 6] |= 1ULL << (o & 63);
		f->answered |= o != 'v';
		good = take_flag(x, f, t, noreply, &ended) && good;
	}
	return good;
}

void meta_line_end(struct run *x, u8 *p)
{
	reply_to(x, put_line_end(p));
}

u8 *meta_put_flag(u8 *p, u8 flag)
{
	*p++ = ' ';
	*p++ = flag;
	return p;
}

u8 *meta_put_number(u8 *p, u8 flag, u64 v)
{
	p = meta_put_flag(p, flag);
	return p + number_print(v, p);
}

u8 *meta_put_key(u8 *p, const u8 *key, u32 len, bool binary)
{
	p = meta_put_flag(p, 'k');
	if (!binary) {
		memcpy(p, key, len);
		return p + len;
	}
	p += mc_base64_encode(key, len, p);
	return meta_put_flag(p, 'b');
}

u8 *meta_put_opaque(u8 *p, struct token t)
{
	if (t.len > MEMCACHED_OPAQUE_MAX)
		return NULL;
	*p++ = ' ';
	memcpy(p, t.text, t.len);
	return p + t.len;
}

u8 *meta_put_echo(u8 *p, const struct meta *f)
{
	u32 i;

	for (i = 0; p && i < f->count; i++) {
		if (f->flags[i].text[0] == 'O')
			p = meta_put_opaque(p, f->flags[i]);
		else if (f->flags[i].text[0] == 'k')
			p = meta_put_key(p, f->key.text, f->key.len, f->key_binary);
	}
	return p;
}

u8 *meta_put_ttl(u8 *p, const struct run *x, u32 expires)
{
	if (expires)
		return meta_put_number(p, 't', expires - x->m->now);
	memcpy(p, " t-1", 4);
	return p + 4;
}
