// SPDX-License-Identifier: GPL-2.0-or-later
/* Which node is asked for memory first. */
#include <criterion/criterion.h>

#include "lenders.h"

static const u64 gib = 1ull << 30;

Test(lenders, free_memory_over_distance)
{
	struct lender l[] = {
		{ .node = "far", .free_bytes = 8 * gib, .round_trip_us = 4000 },
		{ .node = "near", .free_bytes = 4 * gib, .round_trip_us = 400 },
		{ .node = "full", .free_bytes = gib / 2, .round_trip_us = 100 },
		{ .node = "down", .why = "down" },
		{ .node = "big", .free_bytes = 64 * gib, .round_trip_us = 400 },
	};

	lenders_rank(l, 5, gib);
	cr_assert_str_eq(l[0].node, "big");
	cr_assert_str_eq(l[1].node, "near");
	cr_assert_str_eq(l[2].node, "far");
	for (int i = 0; i < 3; i++)
		cr_assert_str_empty(l[i].why);
	cr_assert_str_eq(l[3].node, "down");
	cr_assert_str_eq(l[4].node, "full");
	cr_assert_str_eq(l[4].why, "only 512 MiB to lend");
}

/* Below what a fault costs anyway nearness is no reason; nor is not knowing. */
Test(lenders, equals)
{
	struct lender l[] = {
		{ .node = "unknown", .free_bytes = 2 * gib },
		{ .node = "b", .free_bytes = 2 * gib, .round_trip_us = 20 },
		{ .node = "a", .free_bytes = 2 * gib, .round_trip_us = 180 },
	};

	lenders_rank(l, 3, gib);
	cr_assert_str_eq(l[0].node, "a");
	cr_assert_str_eq(l[1].node, "b");
	cr_assert_str_eq(l[2].node, "unknown");
	lenders_rank(l, 0, gib);
}
