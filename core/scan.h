/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks for a byte eight at a time, by the carries of a subtraction ("Bit
 * Twiddling Hacks", S. Anderson: haszero, hasless). Little-endian words, so that
 * the lowest byte of a word is the first; a byte that is marked though it should
 * not be can only follow one that is marked rightly.
 */
#ifndef VIRGO_CORE_SCAN_H
#define VIRGO_CORE_SCAN_H

#include "env.h"

#define SCAN_EACH(byte) (0x0101010101010101ULL * (byte))

/* The high bit of each byte of @w below @n (at most 128) and not above 127. */
static inline u64 scan_below(u64 w, u8 n)
{
	return (w - SCAN_EACH(n)) & ~w & SCAN_EACH(0x80);
}

static inline u64 scan_line_marks(u64 w)
{
	return scan_below(w, 1) | scan_below(w ^ SCAN_EACH('\n'), 1);
}

static inline bool scan_is_line_end(u8 c)
{
	return c == '\n' || c == '\0';
}

/* The first newline or NUL of [@p, @end), or @end. */
static inline const u8 *scan_line(const u8 *p, const u8 *end)
{
	const u8 *last = end - 8;

	if (end - p < 8) {
		while (p < end && !scan_is_line_end(*p))
			p++;
		return p;
	}
	for (;;) {
		u64 marks = scan_line_marks(get_u64(p));

		if (marks)
			return p + (__builtin_ctzll(marks) >> 3);
		if (p == last)
			return end;
		/* The last word overlaps the one before. */
		p = last - p < 8 ? last : p + 8;
	}
}

static inline bool scan_is_word_end(u8 c)
{
	return c == ' ' || c == '\n' || c == '\0';
}

/* The first blank, newline or NUL of [@p, @end), or @end. */
static inline const u8 *scan_word(const u8 *p, const u8 *end)
{
	while (end - p >= 8) {
		u64 marks = scan_below(get_u64(p), ' ' + 1);

		if (!marks) {
			p += 8;
			continue;
		}
		p += __builtin_ctzll(marks) >> 3;
		/* Or another control character, as before a newline. */
		if (scan_is_word_end(*p))
			return p;
		p++;
		if (p < end && scan_is_word_end(*p))
			return p;
	}
	while (p < end && !scan_is_word_end(*p))
		p++;
	return p;
}

#endif
