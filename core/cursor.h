/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checked sequential reading and writing of wire bytes. A cursor never moves
 * past its end: the first access that does not fit marks it bad, and from then
 * on reads give zero and writes are dropped, so a caller checks once, at the
 * end. Neither cursor owns or copies memory.
 */
#ifndef VIRGO_CORE_CURSOR_H
#define VIRGO_CORE_CURSOR_H

#include "env.h"

/* A view of bytes owned by someone else; not NUL-terminated. */
struct span {
	const u8 *data;
	u32 len;
};

struct rcursor {
	const u8 *pos;
	const u8 *end;
	bool bad;
};

struct wcursor {
	u8 *start;
	u8 *pos;
	u8 *end;
	bool bad;
};

static inline struct rcursor rcursor_of(const void *data, size_t len)
{
	const u8 *p = data;

	return (struct rcursor){ .pos = p, .end = p + len };
}

static inline struct wcursor wcursor_of(void *data, size_t len)
{
	u8 *p = data;

	return (struct wcursor){ .start = p, .pos = p, .end = p + len };
}

static inline size_t rcursor_left(const struct rcursor *c)
{
	return (size_t)(c->end - c->pos);
}

static inline size_t wcursor_len(const struct wcursor *c)
{
	return (size_t)(c->pos - c->start);
}

/* Returns @len bytes of input and steps over them, or NULL and marks the
 * cursor bad. A zero @len gives a non-NULL pointer.
 */
const u8 *rcursor_take(struct rcursor *c, size_t len);

u8 rcursor_u8(struct rcursor *c);
u16 rcursor_u16(struct rcursor *c);
u32 rcursor_u32(struct rcursor *c);
u64 rcursor_u64(struct rcursor *c);
/* A u32 length, then that many bytes; the view points into the input. */
struct span rcursor_span(struct rcursor *c);

/* Returns room for @len bytes and steps over it, or NULL and marks it bad. */
u8 *wcursor_room(struct wcursor *c, size_t len);

void wcursor_u8(struct wcursor *c, u8 v);
void wcursor_u16(struct wcursor *c, u16 v);
void wcursor_u32(struct wcursor *c, u32 v);
void wcursor_u64(struct wcursor *c, u64 v);
void wcursor_span(struct wcursor *c, struct span v);

/* True when both hold the same bytes. Not for secrets: time depends on them. */
bool span_equal(struct span a, struct span b);
/* View of a NUL-terminated string, without the NUL; NULL gives an empty view. */
struct span span_of(const char *s);
/* True when @s is 1 to @size-1 bytes without a NUL and was copied, with a NUL
 * added, into @out; false (and @out empty) otherwise.
 */
bool span_to_cstr(struct span s, char *out, size_t size);

#endif
