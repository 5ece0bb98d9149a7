/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One filled-in sample of every message and record, made from the tables: a
 * number is its field's place times 0x0102...08 cut to size, text and bytes are
 * the field's name. The golden vectors are these samples' encodings, so the
 * rule may not change.
 */
#ifndef VIRGO_TESTS_SAMPLES_H
#define VIRGO_TESTS_SAMPLES_H

#include "wire.h"

#define SAMPLE_NUMBER(n) ((u64)(n) * 0x0102030405060708ULL)
#define SAMPLE_u8(n, name) ((u8)SAMPLE_NUMBER(n))
#define SAMPLE_u16(n, name) ((u16)SAMPLE_NUMBER(n))
#define SAMPLE_u32(n, name) ((u32)SAMPLE_NUMBER(n))
#define SAMPLE_u64(n, name) SAMPLE_NUMBER(n)
#define SAMPLE_s32(n, name) (-(s32)(SAMPLE_NUMBER(n) & 0xffff))
#define SAMPLE_s64(n, name) (-(s64)(SAMPLE_NUMBER(n) & 0xffffffff))
#define SAMPLE_str(n, name) span_of(name)
#define SAMPLE_bytes(n, name) span_of(name)
#define SAMPLE_list(n, name) span_of(name)
#define SAMPLE_FIELD(kind, field)                                              \
	n++;                                                                   \
	m->field = SAMPLE_##kind(n, #field);

#define SAMPLE_FILL(prefix, NAME, name)                                        \
	static inline void prefix##_##name##_sample(struct prefix##_##name *m) \
	{                                                                      \
		unsigned int n = 0;                                            \
									       \
		(void)m;                                                       \
		(void)n;                                                       \
		FIELDS_##NAME(SAMPLE_FIELD, SAMPLE_FIELD)                      \
	}
#define SAMPLE_MESSAGE(number, NAME, name, text) SAMPLE_FILL(msg, NAME, name)
#define SAMPLE_RECORD(NAME, name, text) SAMPLE_FILL(rec, NAME, name)
VIRGO_MESSAGES(SAMPLE_MESSAGE)
VIRGO_RECORDS(SAMPLE_RECORD)

/* A message or record without its type, so that a test can loop over all. */
struct sample {
	const char *name;
	unsigned int number; /* 0 for a record */
	size_t size;
	/* Encodes the sample into @out, @size bytes. */
	void (*encode)(u8 *out, size_t size);
	/* The decoder's result for @in. */
	int (*decode)(const u8 *in, size_t len);
	/* Decodes @in and encodes that into @out; bytes written, or an error.*/
	ssize_t (*copy)(const u8 *in, size_t len, u8 *out, size_t size);
};

#define SAMPLE_CALLS(prefix, NAME, name)                                       \
	static inline void prefix##_##name##_to(u8 *out, size_t size)          \
	{                                                                      \
		struct prefix##_##name m;                                      \
		struct wcursor c = wcursor_of(out, size);                      \
									       \
		prefix##_##name##_sample(&m);                                  \
		prefix##_##name##_encode(&c, &m);                              \
	}                                                                      \
	static inline int prefix##_##name##_from(const u8 *in, size_t len)     \
	{                                                                      \
		struct prefix##_##name m;                                      \
									       \
		return prefix##_##name##_decode(&m, in, len);                  \
	}                                                                      \
	static inline ssize_t prefix##_##name##_copy(                          \
		const u8 *in, size_t len, u8 *out, size_t size)                \
	{                                                                      \
		struct prefix##_##name m;                                      \
		struct wcursor c = wcursor_of(out, size);                      \
		int ret = prefix##_##name##_decode(&m, in, len);               \
									       \
		if (ret)                                                       \
			return ret;                                            \
		if (prefix##_##name##_size(&m) > size)                         \
			return -EMSGSIZE;                                      \
		prefix##_##name##_encode(&c, &m);                              \
		return c.bad ? -EMSGSIZE : (ssize_t)wcursor_len(&c);           \
	}                                                                      \
	static inline size_t prefix##_##name##_bytes(void)                     \
	{                                                                      \
		struct prefix##_##name m;                                      \
									       \
		prefix##_##name##_sample(&m);                                  \
		return prefix##_##name##_size(&m);                             \
	}
#undef SAMPLE_MESSAGE
#undef SAMPLE_RECORD
#define SAMPLE_MESSAGE(number, NAME, name, text) SAMPLE_CALLS(msg, NAME, name)
#define SAMPLE_RECORD(NAME, name, text) SAMPLE_CALLS(rec, NAME, name)
VIRGO_MESSAGES(SAMPLE_MESSAGE)
VIRGO_RECORDS(SAMPLE_RECORD)

/* Calls @each with every message and record, and @arg. */
static inline void samples_walk(void (*each)(const struct sample *s, void *arg),
				void *arg)
{
#undef SAMPLE_MESSAGE
#undef SAMPLE_RECORD
#define SAMPLE_ROW(prefix, number_, NAME, name_)                               \
	each(&(struct sample){ .name = #NAME,                                  \
			       .number = (number_),                            \
			       .size = prefix##_##name_##_bytes(),             \
			       .encode = prefix##_##name_##_to,                \
			       .decode = prefix##_##name_##_from,              \
			       .copy = prefix##_##name_##_copy },              \
	     arg);
#define SAMPLE_MESSAGE(number, NAME, name, text)                               \
	SAMPLE_ROW(msg, number, NAME, name)
#define SAMPLE_RECORD(NAME, name, text) SAMPLE_ROW(rec, 0, NAME, name)
	VIRGO_MESSAGES(SAMPLE_MESSAGE)
	VIRGO_RECORDS(SAMPLE_RECORD)
}

#endif
