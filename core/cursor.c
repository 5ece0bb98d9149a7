// SPDX-License-Identifier: LGPL-2.1-or-later
/* Checked sequential access to wire bytes; the contract is in cursor.h. */
#include "cursor.h"

const u8 *rcursor_take(struct rcursor *c, size_t len)
{
	const u8 *at = c->pos;

	if (c->bad || len > rcursor_left(c)) {
		c->bad = true;
		return NULL;
	}
	c->pos += len;
	return at;
}

u8 rcursor_u8(struct rcursor *c)
{
	const u8 *p = rcursor_take(c, 1);

	return p ? *p : 0;
}

u16 rcursor_u16(struct rcursor *c)
{
	const u8 *p = rcursor_take(c, 2);

	return p ? get_u16(p) : 0;
}

u32 rcursor_u32(struct rcursor *c)
{
	const u8 *p = rcursor_take(c, 4);

	return p ? get_u32(p) : 0;
}

u64 rcursor_u64(struct rcursor *c)
{
	const u8 *p = rcursor_take(c, 8);

	return p ? get_u64(p) : 0;
}

struct span rcursor_span(struct rcursor *c)
{
	u32 len = rcursor_u32(c);
	const u8 *p = rcursor_take(c, len);

	return (struct span){ .data = p, .len = p ? len : 0 };
}

u8 *wcursor_room(struct wcursor *c, size_t len)
{
	u8 *at = c->pos;

	if (c->bad || len > (size_t)(c->end - c->pos)) {
		c->bad = true;
		return NULL;
	}
	c->pos += len;
	return at;
}

void wcursor_u8(struct wcursor *c, u8 v)
{
	u8 *p = wcursor_room(c, 1);

	if (p)
		*p = v;
}

void wcursor_u16(struct wcursor *c, u16 v)
{
	u8 *p = wcursor_room(c, 2);

	if (p)
		put_u16(p, v);
}

void wcursor_u32(struct wcursor *c, u32 v)
{
	u8 *p = wcursor_room(c, 4);

	if (p)
		put_u32(p, v);
}

void wcursor_u64(struct wcursor *c, u64 v)
{
	u8 *p = wcursor_room(c, 8);

	if (p)
		put_u64(p, v);
}

void wcursor_span(struct wcursor *c, struct span v)
{
	u8 *p;

	wcursor_u32(c, v.len);
	p = wcursor_room(c, v.len);
	if (p && v.len)
		memcpy(p, v.data, v.len);
}

bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || !memcmp(a.data, b.data, a.len));
}

struct span span_of(const char *s)
{
	return (struct span){ .data = (const u8 *)s,
			      .len = s ? (u32)strlen(s) : 0 };
}

bool span_to_cstr(struct span s, char *out, size_t size)
{
	out[0] = '\0';
	if (s.len == 0 || s.len >= size || memchr(s.data, 0, s.len))
		return false;
	memcpy(out, s.data, s.len);
	out[s.len] = '\0';
	return true;
}
