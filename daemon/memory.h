/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of this node that others borrow. virgod decides who gets how much and
 * writes it down; virgo-nbd (memory_nbd.h) holds the data and has the table of
 * exports, which is the truth: virgod reads it from there whenever it or
 * virgo-nbd has started, and keeps no file of its own but what root has asked for
 * (STATE/lend: bytes, reserve, whether it is being taken back).
 *
 *	OFF --lend--> LENDING --off, drained--> LEAVING --all released--> OFF
 *	                 ^                         |
 *	                 '------ lend, undrained --'
 *
 * LENDING grants leases. LEAVING grants none and asks the borrowers to move,
 * again and again, until the last lease is released: a lease that holds data is
 * never dropped, but for that of a node that was removed from the cloud. The end
 * of virgod changes nothing: virgo-nbd goes on. Loop's thread only.
 */
#ifndef VIRGO_DAEMON_MEMORY_H
#define VIRGO_DAEMON_MEMORY_H

#include "node.h"

struct memory;

/* Registers the services and goes on with what was lent. Needs catalog, policy,
 * peers and loads. NULL when memory is out.
 */
struct memory *memory_new(struct node *n);
void memory_free(struct memory *m);

/* The sum of the leases; 0 when @m is NULL. */
u64 memory_lent_bytes(const struct memory *m);
/* This node's certificate is another now. */
void memory_identity_changed(struct memory *m);

/* Who adds to MEMORY_STATUS what this node borrows: @fill calls @add once for
 * each.
 */
typedef void memory_add_fn(void *arg, const struct rec_borrowed *b);
void memory_on_status(struct memory *m,
		      void (*fill)(struct node *n, memory_add_fn *add,
				   void *arg));

#endif
