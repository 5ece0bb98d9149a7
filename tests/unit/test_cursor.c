// SPDX-License-Identifier: GPL-2.0-or-later
/* Cursors: every value there and back, and nothing beyond the end. */
#include <criterion/criterion.h>

#include "cursor.h"

Test(cursor, integers_are_little_endian)
{
	const u8 want[] = { 0x01, 0x02, 0x01, 0x04, 0x03, 0x02, 0x01, 0x08,
			    0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01 };
	u8 got[sizeof(want)];
	struct wcursor w = wcursor_of(got, sizeof(got));

	wcursor_u8(&w, 0x01);
	wcursor_u16(&w, 0x0102);
	wcursor_u32(&w, 0x01020304);
	wcursor_u64(&w, 0x0102030405060708);
	cr_assert_not(w.bad);
	cr_assert_eq(wcursor_len(&w), sizeof(want));
	cr_assert_arr_eq(got, want, sizeof(want));

	struct rcursor r = rcursor_of(got, sizeof(got));

	cr_assert_eq(rcursor_u8(&r), 0x01);
	cr_assert_eq(rcursor_u16(&r), 0x0102);
	cr_assert_eq(rcursor_u32(&r), 0x01020304);
	cr_assert_eq(rcursor_u64(&r), 0x0102030405060708);
	cr_assert_eq(rcursor_left(&r), 0);
	cr_assert_not(r.bad);
}

Test(cursor, reading_past_the_end_marks_bad_and_gives_zero)
{
	const u8 three[3] = { 1, 2, 3 };
	struct rcursor r = rcursor_of(three, sizeof(three));

	cr_assert_eq(rcursor_u32(&r), 0);
	cr_assert(r.bad);
	/* Bytes that would fit are not read any more. */
	cr_assert_eq(rcursor_u8(&r), 0);
	cr_assert_null(rcursor_take(&r, 0));
	cr_assert_eq(rcursor_left(&r), 3);
}

Test(cursor, taking_nothing_at_the_end_is_no_fault)
{
	struct rcursor r = rcursor_of("", 0);

	cr_assert_not_null(rcursor_take(&r, 0));
	cr_assert_not(r.bad);
}

Test(cursor, a_huge_length_does_not_wrap)
{
	const u8 in[] = { 0xff, 0xff, 0xff, 0xff, 'x' };
	struct rcursor r = rcursor_of(in, sizeof(in));
	struct span s = rcursor_span(&r);

	cr_assert(r.bad);
	cr_assert_eq(s.len, 0);
	cr_assert_null(s.data);

	r = rcursor_of(in, sizeof(in));
	cr_assert_null(rcursor_take(&r, SIZE_MAX));
	cr_assert(r.bad);
}

Test(cursor, writing_past_the_end_is_dropped_and_stays_dropped)
{
	u8 buf[4] = { 9, 9, 9, 9 };
	struct wcursor w = wcursor_of(buf, 3);

	wcursor_u32(&w, 0x01020304);
	cr_assert(w.bad);
	wcursor_u8(&w, 1);
	cr_assert_eq(wcursor_len(&w), 0);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(buf[i], 9);
	cr_assert_null(wcursor_room(&w, 1));
}

Test(cursor, a_span_that_does_not_fit_writes_no_bytes_beyond_the_end)
{
	u8 buf[8] = { 0 };
	struct wcursor w = wcursor_of(buf, 6);

	wcursor_span(&w, span_of("abcd"));
	cr_assert(w.bad);
	cr_assert_eq(buf[6], 0);
	cr_assert_eq(buf[7], 0);
}

Test(cursor, spans_there_and_back)
{
	u8 buf[64];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	wcursor_span(&w, span_of("beta"));
	wcursor_span(&w, (struct span){ 0 });
	wcursor_span(&w, (struct span){ .data = (const u8 *)"\0\1", .len = 2 });

	struct rcursor r = rcursor_of(buf, wcursor_len(&w));

	cr_assert(span_equal(rcursor_span(&r), span_of("beta")));
	cr_assert_eq(rcursor_span(&r).len, 0);
	cr_assert_eq(rcursor_span(&r).len, 2);
	cr_assert_eq(rcursor_left(&r), 0);
	cr_assert_not(r.bad);
}

Test(cursor, span_equal_compares_lengths_and_bytes)
{
	cr_assert(span_equal(span_of(""), (struct span){ 0 }));
	cr_assert(span_equal(span_of("ab"), span_of("ab")));
	cr_assert_not(span_equal(span_of("ab"), span_of("ac")));
	cr_assert_not(span_equal(span_of("ab"), span_of("abc")));
	cr_assert_eq(span_of(NULL).len, 0);
}

Test(cursor, span_to_cstr_takes_only_whole_strings)
{
	char out[5];

	cr_assert(span_to_cstr(span_of("beta"), out, sizeof(out)));
	cr_assert_str_eq(out, "beta");
	cr_assert_not(span_to_cstr(span_of("gamma"), out, sizeof(out)));
	cr_assert_str_eq(out, "");
	cr_assert_not(span_to_cstr(span_of(""), out, sizeof(out)));
	cr_assert_not(span_to_cstr((struct span){ .data = (const u8 *)"a\0b",
						  .len = 3 },
				   out, sizeof(out)));
	cr_assert_str_eq(out, "");
}
