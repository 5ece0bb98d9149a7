/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The job service: programs run here for callers on any node, and requests of
 * local callers passed on to the node they name.
 */
#ifndef VIRGO_DAEMON_JOBS_H
#define VIRGO_DAEMON_JOBS_H

#include "failure.h"
#include "node.h"

struct jobs;

/* Starts virgo-spawn, finds the detached jobs of an earlier virgod and registers
 * the job messages. Needs n->loop, services and peers.
 */
int jobs_new(struct jobs **out, struct node *n, struct failure *f);
/* Jobs that are not detached end with this. */
void jobs_free(struct jobs *js);

/* Jobs running here now. */
u32 jobs_running(const struct jobs *js);
/* Jobs that local callers have running on @node through this virgod. */
u32 jobs_in_flight(const struct jobs *js, const char *node);
/* Called when a job of a local caller ended on @node @took_us after its start,
 * for those who choose nodes. @fn NULL: nobody.
 */
void jobs_on_served(struct jobs *js,
		    void (*fn)(void *arg, const char *node, u64 took_us),
		    void *arg);

#endif
