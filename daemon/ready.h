/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Children made ahead of need: each waits, in a cgroup of its own, for the order
 * that makes it a job, so that a start costs one message where it would cost a
 * fork. They share virgo-spawn's memory until exec: nothing is copied for them,
 * and exec has nothing to take down, which was 40 % of what a job cost before its
 * program ran. Where memory cannot be shared (raw.h) none wait. Only jobs without limits
 * that do not outlive virgo-spawn are started so; the others need a group made for
 * them. A child that waits becomes a job sooner or later, so nothing is made in
 * vain. Used by virgo-spawn only, in its one thread.
 */
#ifndef VIRGO_DAEMON_READY_H
#define VIRGO_DAEMON_READY_H

#include "launch.h"

struct ready_room; /* the memory of a child that waits or has become a job */

/* Makes children until enough wait. Each closes every descriptor it inherits. */
void ready_fill(void);
/* Gives @l, the streams and, if @l->blob, the program to a child, whose group becomes
 * @g, named by @job and @node. Returns the other end of its status descriptor,
 * non-blocking; -1 when no child waits, and nothing has happened. @l must stay, and
 * @room be released by ready_release(), once the child has exec'd or been reaped.
 */
int ready_launch(struct jobgroup *g, u64 job, const char *node,
		 const struct launch *l, const int streams[JOB_STREAMS],
		 int blob_fd, struct ready_room **room);
/* NULL is fine. */
void ready_release(struct ready_room *room);
/* A child of this process ended; true when it was waiting here. */
bool ready_reaped(pid_t pid);
/* Ends those that wait. */
void ready_close(void);

#endif
