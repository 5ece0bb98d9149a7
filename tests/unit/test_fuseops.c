// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every operation of libfuse's low-level table is implemented, or is in the list
 * below for the reason that fs/ops.c gives. A newer libfuse with a further
 * operation fails here until it is in one of the two.
 */
#include <criterion/criterion.h>

#include "ops.h"

struct without {
	const char *name;
	size_t at;
};

#define WITHOUT(op) { #op, offsetof(struct fuse_lowlevel_ops, op) }

static const struct without reasoned[] = {
	WITHOUT(destroy), /* finish() in main.c takes all apart */
	WITHOUT(access),
	WITHOUT(bmap),
	WITHOUT(ioctl),
	WITHOUT(poll),
	WITHOUT(write_buf),
	WITHOUT(retrieve_reply),
};

static const struct without *reason_for(size_t at)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasoned); i++)
		if (reasoned[i].at == at)
			return &reasoned[i];
	return NULL;
}

Test(fuseops, each_is_there_or_reasoned)
{
	const char *table = (const char *)&ops;
	size_t at;

	for (at = 0; at < sizeof(ops); at += sizeof(void *)) {
		void *op;

		memcpy(&op, table + at, sizeof(op));
		if (op)
			cr_assert_null(reason_for(at), "%s is implemented after all",
				       reason_for(at)->name);
		else
			cr_assert_not_null(reason_for(at),
					   "operation %zu of libfuse is missing",
					   at / sizeof(void *));
	}
}
