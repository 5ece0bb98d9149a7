// SPDX-License-Identifier: GPL-2.0-or-later
/* Choice of lenders; see lenders.h. */
#include "lenders.h"

#include <stdio.h>
#include <stdlib.h>

enum { NEAR_US = 200, FAR_US = 100000 };

static u64 worth(const struct lender *l)
{
	u32 us = l->round_trip_us ? l->round_trip_us : FAR_US;

	if (l->why[0])
		return 0;
	return l->free_bytes / (us < NEAR_US ? NEAR_US : us) + 1;
}

static int better(const void *a, const void *b)
{
	u64 wa = worth(a), wb = worth(b);

	if (wa != wb)
		return wa > wb ? -1 : 1;
	return strcmp(((const struct lender *)a)->node,
		      ((const struct lender *)b)->node);
}

void lenders_rank(struct lender *l, u32 count, u64 bytes)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (!l[i].why[0] && l[i].free_bytes < bytes)
			snprintf(l[i].why, sizeof(l[i].why),
				 "only %llu MiB to lend",
				 (unsigned long long)(l[i].free_bytes >> 20));
	qsort(l, count, sizeof(*l), better);
}
