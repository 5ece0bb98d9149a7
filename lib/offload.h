/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work that may block, away from the loop: one thread does pieces of work in
 * the order in which they were handed over, and each ends in the loop's thread.
 * All functions are for the loop's thread.
 */
#ifndef VIRGO_LIB_OFFLOAD_H
#define VIRGO_LIB_OFFLOAD_H

#include "loop.h"

struct offload;

/* Embedded in the owner's struct, which belongs to the thread until @done. */
struct offload_work {
	void (*run)(struct offload_work *w); /* in the thread */
	void (*done)(struct offload_work *w); /* in the loop; may free it */
	struct post post; /* owned by offload, like what follows */
	struct offload *owner;
	struct offload_work *next_waiting;
	struct offload_work *next, **prev;
};

/* The thread starts with the first work. NULL with errno. */
struct offload *offload_new(struct loop *l);
/* 0, or -EAGAIN when there can be no thread; @w is the caller's again then. */
int offload_run(struct offload *o, struct offload_work *w);
/* Handed over and not done. */
u32 offload_pending(const struct offload *o);
/* Waits for the work under way, then gives each that was not done to @drop. The
 * loop must not run any more.
 */
void offload_free(struct offload *o, void (*drop)(struct offload_work *w));

#endif
