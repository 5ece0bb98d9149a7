// SPDX-License-Identifier: GPL-2.0-or-later
/* Translation tables of memory objects, as other nodes tell them. */
#include <criterion/criterion.h>

#include "extents_impl.h"

struct row {
	const char *node;
	u32 first, count;
};

/* The table that @count rows for an object of @bytes make, or NULL. */
static struct table *read_rows(u64 bytes, const struct row *row, size_t count)
{
	u8 buf[16384];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	struct msg_malloc_table m = { .bytes = bytes };

	for (size_t i = 0; i < count; i++) {
		const struct rec_malloc_run run = {
			.node = span_of(row[i].node),
			.generation = 7 + i,
			.first = row[i].first,
			.count = row[i].count,
		};

		rec_malloc_run_append(&w, &run);
	}
	m.runs = (struct span){ buf, (u32)wcursor_len(&w) };
	return table_read(&m);
}

static bool refused(u64 bytes, const struct row *row, size_t count)
{
	struct table *t = read_rows(bytes, row, count);

	free(t);
	return !t;
}

Test(extents, a_table)
{
	const struct row rows[] = { { "alpha", 0, 3 }, { "beta", 3, 2 } };
	struct table *t = read_rows(4 * (u64)EXTENT_BYTES + 1, rows, 2);

	cr_assert_not_null(t);
	cr_assert_eq(t->count, 2);
	cr_assert_eq(t->bytes, 4 * (u64)EXTENT_BYTES + 1);
	cr_assert_str_eq(t->runs[1].node, "beta");
	cr_assert_eq(t->runs[1].generation, 8);
	cr_assert_eq(t->runs[1].first, 3);
	free(t);
}

/* What it would be followed by out of its bounds, or for ever. */
Test(extents, tables_that_make_no_sense)
{
	const u64 five = 5 * (u64)EXTENT_BYTES;
	const struct row gap[] = { { "alpha", 0, 3 }, { "beta", 4, 1 } };
	const struct row twice[] = { { "alpha", 0, 3 }, { "beta", 2, 3 } };
	const struct row few[] = { { "alpha", 0, 4 } };
	const struct row many[] = { { "alpha", 0, 6 } };
	const struct row late[] = { { "alpha", 1, 4 } };
	const struct row huge[] = { { "alpha", 0, UINT32_MAX },
				    { "beta", UINT32_MAX, 6 } };
	const struct row nobody[] = { { "", 0, 5 } };
	char name[NODE_NAME_MAX + 2];
	const struct row long_name[] = { { name, 0, 5 } };
	struct row all[EXTENT_RUNS_MAX + 1];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	cr_assert(refused(five, gap, 2));
	cr_assert(refused(five, twice, 2));
	cr_assert(refused(five, few, 1));
	cr_assert(refused(five, many, 1));
	cr_assert(refused(five, late, 1));
	cr_assert(refused(five, huge, 2));
	cr_assert(refused(five, nobody, 1));
	cr_assert(refused(five, long_name, 1));
	cr_assert(refused(five, NULL, 0));
	cr_assert(refused(0, NULL, 0));
	cr_assert(refused(UINT64_MAX, many, 1));
	for (u32 i = 0; i <= EXTENT_RUNS_MAX; i++)
		all[i] = (struct row){ "alpha", i, 1 };
	cr_assert(refused((EXTENT_RUNS_MAX + 1) * (u64)EXTENT_BYTES, all,
			  EXTENT_RUNS_MAX + 1));
	cr_assert_not(refused(EXTENT_RUNS_MAX * (u64)EXTENT_BYTES, all,
			      EXTENT_RUNS_MAX));
}

Test(extents, a_list_that_is_cut_off)
{
	struct msg_malloc_table m = { .bytes = 1 };
	static const u8 cut[] = { 40, 0, 0, 0, 1 };

	m.runs = (struct span){ cut, sizeof(cut) };
	cr_assert_null(table_read(&m));
}

/* The oldest of the remembered goes. */
Test(extents, remembered)
{
	struct extents *x = calloc(1, sizeof(*x));
	struct handle first, h;

	handle_make(&first, 1, 0);
	for (u64 i = 0; i < TABLES_MAX; i++) {
		handle_make(&h, 1, i);
		table_remember(x, &h, calloc(1, sizeof(struct table)));
	}
	cr_assert_not_null(table_recall(x, &first));
	handle_make(&h, 1, TABLES_MAX);
	table_remember(x, &h, calloc(1, sizeof(struct table)));
	cr_assert_not_null(table_recall(x, &h));
	cr_assert_not_null(table_recall(x, &first), "was used lately");
	handle_make(&h, 1, 1);
	cr_assert_null(table_recall(x, &h));
	table_forget(x, &first);
	cr_assert_null(table_recall(x, &first));
	tables_free(x);
	free(x);
}
