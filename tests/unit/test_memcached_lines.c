// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes looked at eight at a time, beside the same one at a time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "memcached_impl.h"
#include "scan.h"

enum { ROUNDS = 200000, LINE = 70 };

/* What matters in a line comes often; 0x80 and 0xa0 are blanks but for a bit. */
static const u8 some[] = { ' ', ' ', ' ', '\r', '\r', '\n', '\0', '\t', 0x1f, '!',
			   'a', 'b', 0x7f, 0x80, 0x8a, 0xa0, 0xff };

static u32 drawn;

static u32 draw(u32 below)
{
	drawn = drawn * 1664525 + 1013904223;
	return (drawn >> 8) % below;
}

static void fill(u8 *at, u32 len)
{
	bool dense = draw(2);
	u32 i;

	for (i = 0; i < len; i++)
		at[i] = dense || !draw(8) ? some[draw(sizeof(some))] : 'k';
}

/* memcached's: up to a newline, of that up to a NUL or the carriage return before
 * the newline, words between blanks.
 */
static bool read_slowly(const u8 *p, const u8 *end, struct line *l)
{
	const u8 *newline = memchr(p, '\n', (size_t)(end - p));
	const u8 *nul;

	if (!newline)
		return false;
	l->next = newline + 1;
	l->end = newline;
	nul = memchr(p, '\0', (size_t)(newline - p));
	if (nul)
		l->end = nul;
	else if (newline - p > 1 && newline[-1] == '\r')
		l->end--;
	l->count = 0;
	while (l->count < TOKENS_MAX - 1) {
		const u8 *start;

		while (p < l->end && *p == ' ')
			p++;
		if (p == l->end)
			break;
		start = p;
		while (p < l->end && *p != ' ')
			p++;
		l->t[l->count].text = start;
		l->t[l->count++].len = (u32)(p - start);
	}
	l->t[l->count].text = l->end;
	l->t[l->count++].len = 0;
	return true;
}

static void compare(const struct run *x, u32 round)
{
	struct line got, want = { .count = 0 };
	bool whole = read_slowly(x->pos, x->end, &want);
	u32 i;

	cr_assert_eq(mc_read_line(x, &got), whole, "round %u", round);
	if (!whole)
		return;
	cr_assert(got.end == want.end && got.next == want.next, "round %u", round);
	cr_assert_eq(got.count, want.count, "round %u", round);
	for (i = 0; i < want.count; i++)
		cr_assert(got.t[i].text == want.t[i].text &&
			  got.t[i].len == want.t[i].len, "round %u, word %u",
			  round, i);
}

/* In a block of its own length, so that a sanitizer sees what lies beyond. */
Test(memcached_lines, words_are_those_found_one_byte_at_a_time)
{
	u32 i;

	for (i = 0; i < ROUNDS; i++) {
		u32 len = draw(LINE);
		u8 *block = malloc(len + 1);
		u8 *begin = block + 1; /* not aligned */
		struct run x = { .in = begin, .pos = begin + draw(len + 1),
				 .end = begin + len };

		fill(begin, len);
		compare(&x, i);
		free(block);
	}
}

Test(memcached_lines, the_end_of_a_word_is_found)
{
	u32 i;

	for (i = 0; i < ROUNDS; i++) {
		u32 len = draw(LINE), at = 0;
		u8 *p = malloc(len + 1);

		fill(p, len);
		while (at < len && !memchr(" \n", p[at], 3))
			at++;
		cr_assert(scan_word(p, p + len) == p + at, "round %u", i);
		free(p);
	}
}

Test(memcached_lines, bytes_are_equal_or_not)
{
	u8 a[LINE], b[LINE];
	u32 len, i;

	for (len = 0; len < LINE; len++) {
		fill(a, len);
		memcpy(b, a, len);
		cr_assert(bytes_equal(a, b, len), "%u", len);
		for (i = 0; i < len; i++) {
			b[i] ^= (u8)(1 << i % 8);
			cr_assert(!bytes_equal(a, b, len), "byte %u of %u", i, len);
			b[i] ^= (u8)(1 << i % 8);
		}
	}
}

static void print_as_printf(u64 v)
{
	char want[21];
	u8 got[20];
	int len = snprintf(want, sizeof(want), "%llu", (unsigned long long)v);

	cr_assert_eq(number_print(v, got), (u32)len, "%s", want);
	cr_assert(!memcmp(got, want, (size_t)len), "%s", want);
}

Test(memcached_lines, numbers_are_printed)
{
	u64 power = 1;
	u32 i;

	for (i = 0; i < 20; i++, power *= 10) {
		print_as_printf(power - 1);
		print_as_printf(power);
		print_as_printf(power + 1);
		print_as_printf(9 * (power / 2));
	}
	print_as_printf(0xffffffff);
	print_as_printf(0x100000000);
	print_as_printf(~0ULL);
}

static bool reads(const char *s, u64 *out)
{
	return number_u64((struct token){ (const u8 *)s, (u32)strlen(s) }, out);
}

Test(memcached_lines, numbers_end_where_they_overflow)
{
	u64 v;

	cr_assert(reads("18446744073709551615", &v) && v == ~0ULL);
	cr_assert(!reads("18446744073709551616", &v));
	cr_assert(!reads("18446744073709551620", &v));
	cr_assert(!reads("99999999999999999999", &v));
	cr_assert(reads("1844674407370955161", &v) &&
		  v == 1844674407370955161ULL);
	cr_assert(reads("00000000000000000000000000000000007", &v) && v == 7);
}
