/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that do what may block (file I/O, name services) for a loop. Work is
 * taken in order of submission, by as many threads as needed up to a limit, and
 * comes back to the loop's thread when done. Threads are made on demand.
 */
#ifndef VIRGO_DAEMON_WORKERS_H
#define VIRGO_DAEMON_WORKERS_H

#include "loop.h"

struct workers;

/* Embedded in the owner's struct; it must live until @done has run. */
struct work {
	void (*run)(struct work *w); /* in a worker */
	void (*done)(struct work *w); /* then in the loop's thread */
	struct work *next; /* owned by the workers */
	struct post post; /* owned by the workers */
};

/* @start runs first in each new thread; may be NULL. NULL when memory is out. */
struct workers *workers_new(struct loop *l, unsigned int max,
			    void (*start)(void));
/* Waits for what was submitted to run; a `done` not yet run never runs. */
void workers_free(struct workers *ws);
/* From the loop's thread. */
void workers_submit(struct workers *ws, struct work *w);

#endif
