// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The name that was meant: optimal string alignment distance (insert, delete,
 * replace, swap of neighbours each count one), over names short enough for rows
 * of a fixed size.
 */
#include "conf.h"

enum { NAME_MAX_BYTES = 40 };

static u32 min_of(u32 a, u32 b)
{
	return a < b ? a : b;
}

static u32 distance(const char *a, size_t n, const char *b, size_t m)
{
	u32 d[3][NAME_MAX_BYTES + 1];
	u32 *before = d[0];
	u32 *last = d[1];
	u32 *row = d[2];

	for (u32 j = 0; j <= m; j++)
		last[j] = j;
	for (u32 i = 1; i <= n; i++) {
		u32 *free_row = before;

		row[0] = i;
		for (u32 j = 1; j <= m; j++) {
			u32 cost = a[i - 1] != b[j - 1];

			row[j] = min_of(min_of(last[j] + 1, row[j - 1] + 1),
					last[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = min_of(row[j], before[j - 2] + 1);
		}
		before = last;
		last = row;
		row = free_row;
	}
	return last[m];
}

const char *conf_nearest(const char *word, const char *const *names,
			 size_t count)
{
	size_t len = strlen(word);
	/* One slip in a short word, one in three letters of a long one. */
	u32 best = len < 6 ? 2 : (u32)len / 3 + 1;
	const char *found = NULL;

	if (!len || len > NAME_MAX_BYTES)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t other = strlen(names[i]);
		u32 d;

		if (other > NAME_MAX_BYTES)
			continue;
		d = distance(word, len, names[i], other);
		if (d < best && d < other) {
			best = d;
			found = names[i];
		}
	}
	return found;
}
