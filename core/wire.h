/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Structs, encoders and decoders of all messages, made from messages.h. For
 * each message NAME:
 *
 *	enum MSG_NAME			its number
 *	struct msg_name			str, bytes and list fields are views
 *	size_t msg_name_size(m)		encoded bytes
 *	void msg_name_encode(c, m)	appends to a write cursor
 *	int msg_name_decode(m, p, len)	0, or -EBADMSG when a field is cut off;
 *					views point into @p and live as long
 *
 * and for each record rec_name_* likewise, plus
 *
 *	void rec_name_append(c, m)	as one element of a list
 *	int rec_name_next(c, m)		1 and the next element, 0 at the end,
 *					-EBADMSG
 */
#ifndef VIRGO_CORE_WIRE_H
#define VIRGO_CORE_WIRE_H

#include "cursor.h"
#include "frame.h"
#include "messages.h"

#define WIRE_TYPE_u8 u8
#define WIRE_TYPE_u16 u16
#define WIRE_TYPE_u32 u32
#define WIRE_TYPE_u64 u64
#define WIRE_TYPE_s32 s32
#define WIRE_TYPE_s64 s64
#define WIRE_TYPE_str struct span
#define WIRE_TYPE_bytes struct span
#define WIRE_TYPE_list struct span
#define WIRE_MEMBER(kind, field) WIRE_TYPE_##kind field;

#define WIRE_NUMBER(number, NAME, name, text) MSG_##NAME = number,
enum virgo_msg { VIRGO_MESSAGES(WIRE_NUMBER) };
#undef WIRE_NUMBER

#define WIRE_MESSAGE(number, NAME, name, text)                                 \
	struct msg_##name {                                                    \
		FIELDS_##NAME(WIRE_MEMBER, WIRE_MEMBER)                        \
	};                                                                     \
	size_t msg_##name##_size(const struct msg_##name *m);                  \
	void msg_##name##_encode(struct wcursor *c, const struct msg_##name *m); \
	int msg_##name##_decode(struct msg_##name *m, const void *p, size_t len);
VIRGO_MESSAGES(WIRE_MESSAGE)
#undef WIRE_MESSAGE

#define WIRE_RECORD(NAME, name, text)                                          \
	struct rec_##name {                                                    \
		FIELDS_##NAME(WIRE_MEMBER, WIRE_MEMBER)                        \
	};                                                                     \
	size_t rec_##name##_size(const struct rec_##name *m);                  \
	void rec_##name##_encode(struct wcursor *c, const struct rec_##name *m); \
	int rec_##name##_decode(struct rec_##name *m, const void *p, size_t len); \
	void rec_##name##_append(struct wcursor *c, const struct rec_##name *m); \
	int rec_##name##_next(struct rcursor *c, struct rec_##name *m);
VIRGO_RECORDS(WIRE_RECORD)
#undef WIRE_RECORD

/* "HELLO" for MSG_HELLO; NULL for a number that is in no table. */
const char *wire_name(u16 type);

#endif
