/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes eight at a time. One is found by the carries of a subtraction ("Bit
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

/* memcmp() of the kernel is no faster than this, and a call. */
static inline bool bytes_equal(const u8 *a, const u8 *b, u32 len)
{
	if (len < 8) {
		while (len && a[len - 1] == b[len - 1])
			len--;
		return !len;
	}
	for (; len > 8; len -= 8, a += 8, b += 8)
		if (get_u64(a) != get_u64(b))
			return false;
	/* The last word overlaps the one before. */
	return get_u64(a + len - 8) == get_u64(b + len - 8);
}

#endif
