// SPDX-License-Identifier: GPL-2.0-or-later
/* Handles, ranges and the placing of memory objects. */
#include <criterion/criterion.h>

#include "extent.h"

static const u64 mib = EXTENT_BYTES;

Test(extent, handle_text)
{
	struct handle h, back;
	char text[HANDLE_TEXT];

	handle_make(&h, 0x0123456789abcdef, 0xfedcba9876543210);
	cr_assert_eq(handle_node(&h), 0x0123456789abcdef);
	cr_assert_eq(handle_random(&h), 0xfedcba9876543210);
	handle_print(&h, text);
	cr_assert_str_eq(text, "efcdab89674523011032547698badcfe");
	cr_assert(handle_parse("EFCDAB89674523011032547698badcfe", &back));
	cr_assert(handle_equal(&h, &back));
	back.bytes[15] ^= 1;
	cr_assert_not(handle_equal(&h, &back));
	cr_assert_not(handle_parse("", &back));
	cr_assert_not(handle_parse("efcdab89674523011032547698badcf", &back));
	cr_assert_not(handle_parse("efcdab89674523011032547698badcfe0", &back));
	cr_assert_not(handle_parse("efcdab89674523011032547698badcfg", &back));
	cr_assert_not(handle_parse("fcdab89674523011032547698badcfe ", &back));
}

Test(extent, counts)
{
	cr_assert_eq(extent_count(0), 0);
	cr_assert_eq(extent_count(1), 1);
	cr_assert_eq(extent_count(mib), 1);
	cr_assert_eq(extent_count(mib + 1), 2);
	cr_assert_eq(extent_count((u64)EXTENTS_MAX * mib), EXTENTS_MAX);
	cr_assert_eq(extent_count((u64)EXTENTS_MAX * mib + 1), 0);
	cr_assert_eq(extent_count(UINT64_MAX), 0);
	cr_assert_eq(extent_run_bytes(5 * mib + 7, 0, 6), 5 * mib + 7);
	cr_assert_eq(extent_run_bytes(5 * mib + 7, 5, 1), 7);
	cr_assert_eq(extent_run_bytes(5 * mib + 7, 6, 1), 0);
	cr_assert_eq(extent_charge(1), EXTENT_PAGE);
	cr_assert_eq(extent_charge(EXTENT_PAGE), EXTENT_PAGE);
	cr_assert_eq(extent_charge(0), 0);
}

Test(extent, ranges)
{
	struct extent_range r;

	cr_assert_eq(extent_range(2 * mib + 10, mib + 3, 5, mib + 8, &r), 0);
	cr_assert_eq(r.index, 1);
	cr_assert_eq(r.at, 3);
	cr_assert_eq(r.len, 5);
	cr_assert_eq(extent_range(2 * mib, mib, mib, 2 * mib, &r), 0);
	cr_assert_eq(r.len, mib);
	cr_assert_eq(extent_range(10, 9, 1, 10, &r), 0);
	/* beyond the object, this part or the whole request */
	cr_assert_eq(extent_range(10, 10, 1, 11, &r), -ERANGE);
	cr_assert_eq(extent_range(10, 9, 2, 11, &r), -ERANGE);
	cr_assert_eq(extent_range(10, 0, 1, 11, &r), -ERANGE);
	cr_assert_eq(extent_range(10, 11, 0, 10, &r), -ERANGE);
	cr_assert_eq(extent_range(10, UINT64_MAX, 2, 1, &r), -ERANGE);
	cr_assert_eq(extent_range(10, 2, UINT64_MAX, 1, &r), -ERANGE);
	/* nothing, two extents, or more than the request */
	cr_assert_eq(extent_range(10, 2, 0, 2, &r), -EINVAL);
	cr_assert_eq(extent_range(2 * mib, mib - 1, 2, mib + 1, &r), -EINVAL);
	cr_assert_eq(extent_range(10, 2, 3, 4, &r), -EINVAL);
}

Test(extent, parts)
{
	cr_assert_eq(extent_first_part(0, 10), 10);
	cr_assert_eq(extent_first_part(0, 3 * mib), mib);
	cr_assert_eq(extent_first_part(mib - 1, 10), 1);
	cr_assert_eq(extent_first_part(3 * mib, mib), mib);
	cr_assert_eq(extent_first_part(3 * mib + 4, UINT64_MAX), mib - 4);
}

Test(extent, own_room_first_then_the_largest)
{
	struct extent_room r[] = { { 2 * mib }, { 3 * mib }, { 8 * mib },
				   { mib / 2 } };
	u64 missing;

	cr_assert_eq(extent_place(r, 4, mib, &missing), 0);
	cr_assert_eq(r[0].count, 1);
	cr_assert_eq(r[1].count + r[2].count + r[3].count, 0);
	cr_assert_eq(extent_place(r, 4, 9 * mib + 1, &missing), 0);
	cr_assert_eq(r[0].first, 0);
	cr_assert_eq(r[0].count, 2);
	cr_assert_eq(r[2].first, 2);
	cr_assert_eq(r[2].count, 8);
	cr_assert_eq(r[1].count, 0);
	/* The last extent is short and fits where a whole one would not. */
	cr_assert_eq(extent_place(r, 4, 13 * mib + 5, &missing), 0);
	cr_assert_eq(r[3].first, 13);
	cr_assert_eq(r[3].count, 1);
	/* No room: nothing is placed, and how much is missing is said. */
	cr_assert_eq(extent_place(r, 4, 14 * mib, &missing), -ENOMEM);
	cr_assert_eq(missing, mib);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(r[i].count, 0);
	cr_assert_eq(extent_place(r, 4, 0, &missing), -ENOMEM);
	cr_assert_eq(extent_place(r, 0, 1, &missing), -ENOMEM);
}

/* Of what is placed every extent has one place, within its node's room. */
Test(extent, placing_never_overlaps_nor_overfills)
{
	u64 seed = 1;

	for (int round = 0; round < 20000; round++) {
		struct extent_room r[70];
		size_t count = 1 + round % 70;
		u8 seen[64] = { 0 };
		u64 bytes, missing, all = 0;
		u32 placed = 0;

		for (size_t i = 0; i < count; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			r[i].free_bytes = (seed >> 33) % (6 * mib) &
					  ~(u64)(EXTENT_PAGE - 1);
			all += r[i].free_bytes / mib;
		}
		bytes = 1 + (seed >> 20) % (64 * mib);
		if (extent_place(r, count, bytes, &missing)) {
			cr_assert_gt(missing, 0);
			cr_assert(all < extent_count(bytes) ||
				  count > EXTENT_RUNS_MAX);
			continue;
		}
		for (size_t i = 0; i < count; i++) {
			cr_assert_leq(extent_charge(extent_run_bytes(
					      bytes, r[i].first, r[i].count)),
				      r[i].free_bytes);
			for (u32 e = 0; e < r[i].count; e++)
				cr_assert_eq(seen[r[i].first + e]++, 0);
			placed += r[i].count;
		}
		cr_assert_eq(placed, extent_count(bytes));
	}
}
