/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which node to borrow memory from: pure, for borrow.c and for tests. */
#ifndef VIRGO_DAEMON_LENDERS_H
#define VIRGO_DAEMON_LENDERS_H

#include "env.h"

enum { LENDERS_MAX = 256 }; /* that are asked for one loan */

struct lender {
	char node[64];
	u64 free_bytes; /* that it would lend now, its reserve kept */
	u32 round_trip_us; /* 0: unknown */
	char why[128]; /* why it cannot lend; "": it can */
};

/*
 * The best first: those that can lend @bytes, by free memory over round trip,
 * so that a node twice as far needs twice as much; below 200 us a round trip
 * is as good as any other, since a fault costs more. Equals by name. Who has too
 * little gets that as its why. Static values, until something learns better.
 */
void lenders_rank(struct lender *l, u32 count, u64 bytes);

#endif
