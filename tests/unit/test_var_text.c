// SPDX-License-Identifier: GPL-2.0-or-later
/* Values of variables as text, both ways. */
#include <criterion/criterion.h>

#include "var_text.h"

#define parses(type, text, want)                                               \
	do {                                                                   \
		u64 got_ = 99;                                                 \
									       \
		cr_assert(var_text_parse(type, text, &got_), "%s", text);      \
		cr_assert_eq(got_, (u64)(want), "%s", text);                   \
	} while (0)

#define is_none(type, text)                                                    \
	do {                                                                   \
		u64 got_;                                                      \
									       \
		cr_assert_not(var_text_parse(type, text, &got_), "%s", text);  \
	} while (0)

#define prints(type, value, want)                                              \
	do {                                                                   \
		char out_[VAR_TEXT_BYTES];                                     \
									       \
		var_text_print(type, (u64)(value), out_);                      \
		cr_assert_str_eq(out_, want);                                  \
	} while (0)

Test(var_text, numbers)
{
	parses(VAR_U64, "0", 0);
	parses(VAR_U64, "18446744073709551615", UINT64_MAX);
	is_none(VAR_U64, "18446744073709551616");
	is_none(VAR_U64, "-1");
	is_none(VAR_U64, " 1");
	is_none(VAR_U64, "1 ");
	is_none(VAR_U64, "0x10");
	is_none(VAR_U64, "");
	parses(VAR_S64, "-9223372036854775808", INT64_MIN);
	parses(VAR_S64, "9223372036854775807", INT64_MAX);
	is_none(VAR_S64, "9223372036854775808");
	is_none(VAR_S64, "-9223372036854775809");
	is_none(VAR_S64, "--1");
	prints(VAR_S64, INT64_MIN, "-9223372036854775808");
	prints(VAR_U64, UINT64_MAX, "18446744073709551615");
}

Test(var_text, fractions)
{
	parses(VAR_FIXED, "1", 1ll << 32);
	parses(VAR_FIXED, "0.5", 1ll << 31);
	parses(VAR_FIXED, "-0.25", -(1ll << 30));
	parses(VAR_FIXED, "2147483647.0", 2147483647ll << 32);
	is_none(VAR_FIXED, "2147483648");
	is_none(VAR_FIXED, ".5");
	is_none(VAR_FIXED, "1.");
	is_none(VAR_FIXED, "1.2.3");
	is_none(VAR_FIXED, "1e3");
	prints(VAR_FIXED, 1ll << 31, "0.5");
	prints(VAR_FIXED, -(1ll << 30), "-0.25");
	prints(VAR_FIXED, 3ll << 32, "3.0");
	prints(VAR_FIXED, 0xffffffff, "1.0");
	/* What is printed reads back as the same, to nine digits. */
	for (u32 i = 0; i < 1000; i++) {
		char out[VAR_TEXT_BYTES], again[VAR_TEXT_BYTES];
		u64 value = (u64)i * 0x123456789abull, back;

		if (i % 2)
			value = -value;
		var_text_print(VAR_FIXED, value, out);
		cr_assert(var_text_parse(VAR_FIXED, out, &back), "%s", out);
		var_text_print(VAR_FIXED, back, again);
		cr_assert_str_eq(again, out);
	}
}

Test(var_text, truth)
{
	parses(VAR_BOOL, "true", 1);
	parses(VAR_BOOL, "1", 1);
	parses(VAR_BOOL, "false", 0);
	parses(VAR_BOOL, "0", 0);
	is_none(VAR_BOOL, "2");
	is_none(VAR_BOOL, "yes");
	prints(VAR_BOOL, 1, "true");
	prints(VAR_BOOL, 0, "false");
}

Test(var_text, what_it_looks_like)
{
	cr_assert_eq(var_text_type("5"), VAR_U64);
	cr_assert_eq(var_text_type("-5"), VAR_S64);
	cr_assert_eq(var_text_type("5.5"), VAR_FIXED);
	cr_assert_eq(var_text_type("true"), VAR_BOOL);
	cr_assert_eq(var_text_type("five"), VAR_NONE);
}
