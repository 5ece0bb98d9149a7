// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Encoders and decoders of all messages, expanded from the tables in
 * messages.h. A decoder reads required fields strictly; an optional field is
 * read only if bytes are left, so it is zero when an older sender left it out.
 */
#include "wire.h"

#define SIZE_u8(v) 1
#define SIZE_u16(v) 2
#define SIZE_u32(v) 4
#define SIZE_u64(v) 8
#define SIZE_s32(v) 4
#define SIZE_s64(v) 8
#define SIZE_str(v) (4 + (size_t)(v).len)
#define SIZE_bytes(v) SIZE_str(v)
#define SIZE_list(v) SIZE_str(v)

#define PUT_u8 wcursor_u8
#define PUT_u16 wcursor_u16
#define PUT_u32 wcursor_u32
#define PUT_u64 wcursor_u64
#define PUT_s32(c, v) wcursor_u32(c, (u32)(v))
#define PUT_s64(c, v) wcursor_u64(c, (u64)(v))
#define PUT_str wcursor_span
#define PUT_bytes wcursor_span
#define PUT_list wcursor_span

#define TAKE_u8 rcursor_u8
#define TAKE_u16 rcursor_u16
#define TAKE_u32 rcursor_u32
#define TAKE_u64 rcursor_u64
#define TAKE_s32(c) ((s32)rcursor_u32(c))
#define TAKE_s64(c) ((s64)rcursor_u64(c))
#define TAKE_str rcursor_span
#define TAKE_bytes rcursor_span
#define TAKE_list rcursor_span

#define FIELD_SIZE(kind, field) +SIZE_##kind(m->field)
#define FIELD_PUT(kind, field) PUT_##kind(c, m->field);
#define FIELD_TAKE(kind, field) m->field = TAKE_##kind(&c);
#define FIELD_TRY(kind, field)                                                 \
	if (rcursor_left(&c))                                                  \
		m->field = TAKE_##kind(&c);

/* The unused-value casts are for messages without fields. */
#define WIRE_CODEC(prefix, NAME, name)                                         \
	size_t prefix##_##name##_size(const struct prefix##_##name *m)         \
	{                                                                      \
		(void)m;                                                       \
		return 0 FIELDS_##NAME(FIELD_SIZE, FIELD_SIZE);                \
	}                                                                      \
	void prefix##_##name##_encode(struct wcursor *c,                       \
				      const struct prefix##_##name *m)         \
	{                                                                      \
		(void)c;                                                       \
		(void)m;                                                       \
		FIELDS_##NAME(FIELD_PUT, FIELD_PUT)                            \
	}                                                                      \
	int prefix##_##name##_decode(struct prefix##_##name *m, const void *p, \
				     size_t len)                               \
	{                                                                      \
		struct rcursor c = rcursor_of(p, len);                         \
									       \
		memset(m, 0, sizeof(*m));                                      \
		FIELDS_##NAME(FIELD_TAKE, FIELD_TRY)                           \
		return c.bad ? -EBADMSG : 0;                                   \
	}

#define WIRE_MESSAGE(number, NAME, name, text) WIRE_CODEC(msg, NAME, name)
VIRGO_MESSAGES(WIRE_MESSAGE)

#define WIRE_RECORD(NAME, name, text)                                          \
	WIRE_CODEC(rec, NAME, name)                                            \
	void rec_##name##_append(struct wcursor *c, const struct rec_##name *m)  \
	{                                                                      \
		wcursor_u32(c, (u32)rec_##name##_size(m));                     \
		rec_##name##_encode(c, m);                                     \
	}                                                                      \
	int rec_##name##_next(struct rcursor *c, struct rec_##name *m)         \
	{                                                                      \
		struct span one;                                               \
									       \
		if (!rcursor_left(c))                                          \
			return 0;                                              \
		one = rcursor_span(c);                                         \
		if (c->bad || rec_##name##_decode(m, one.data, one.len))       \
			return -EBADMSG;                                       \
		return 1;                                                      \
	}
VIRGO_RECORDS(WIRE_RECORD)

const char *wire_name(u16 type)
{
#define WIRE_NAME(number, NAME, name, text)                                    \
	case number:                                                           \
		return #NAME;
	switch (type) {
		VIRGO_MESSAGES(WIRE_NAME)
	default:
		return NULL;
	}
}
