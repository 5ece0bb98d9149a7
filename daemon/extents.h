/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory objects (virgo_malloc): memory of the cloud's nodes that a user's
 * programs on all nodes read and write by handle. The messages, and who sends
 * them to whom, are in core/msg_malloc.h; handles and placing in core/extent.h.
 *
 *	extents_ops.c	  requests of local programs, on their way to the node that
 *			  has the extent
 *	extents_make.c	  an object is made: room is asked for, runs are placed
 *	extents_object.c  objects made here: their tables, owners and leases
 *	extents_table.c	  translation tables of other nodes' objects
 *	extents_keeper.c	  extents kept here, within this node's budget
 *
 * An object ends when its owner frees it, or when it was not used and the program
 * that made it was gone for as long as its lease. Runs that are kept for another
 * node have a lease of their own, which that node renews while the object lives:
 * so what a dead node left is freed everywhere. Nothing is on a disk: a virgod
 * that is started anew has lost what it kept and made. Loop's thread only.
 */
#ifndef VIRGO_DAEMON_EXTENTS_H
#define VIRGO_DAEMON_EXTENTS_H

#include "node.h"

struct extents;

/* Registers the services. NULL when memory is out. */
struct extents *extents_new(struct node *n);
/* No request comes any more, and nothing shall be asked of other nodes. */
void extents_stop(struct extents *x);
/* After peers_free(). */
void extents_free(struct extents *x);

#endif
