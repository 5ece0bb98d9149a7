/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What virgo-borrow asks of the cloud, through the virgod of its machine. */
#ifndef VIRGO_NBD_CLOUD_H
#define VIRGO_NBD_CLOUD_H

#include "record.h"

struct client;

enum { LENDERS_MAX = 64 };

struct lender {
	char node[64];
	u64 free_bytes;
	char why[128]; /* why it cannot lend; "": it can */
};

/* Nodes that could lend @bytes, the best first, then the others. Their count. */
int cloud_lenders(struct client *c, bool swap, u64 bytes, struct lender *out,
		  struct failure *f);
/* Fills in @l's generation, export and addresses. */
int cloud_lease(struct client *c, const struct record *r,
		struct record_leg *l, struct failure *f);
int cloud_release(struct client *c, const struct record *r,
		  const struct record_leg *l, struct failure *f);
/* 1 when the lender of @l wants it back, 0 when not, or cannot be asked. */
int cloud_is_leaving(struct client *c, const struct record *r,
		     const struct record_leg *l);
/* virgod looks after what is borrowed from now on. */
int cloud_tend(struct client *c, struct failure *f);

#endif
