/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Children forked ahead of need: each waits, in a cgroup of its own, for the order
 * that makes it a job, so that a start costs one message where it would cost a
 * fork. Only jobs without limits that do not outlive virgo-spawn are started so;
 * the others need a group made for them. A child that waits becomes a job sooner
 * or later, so nothing is forked in vain. Used by virgo-spawn only, in its one
 * thread.
 */
#ifndef VIRGO_DAEMON_READY_H
#define VIRGO_DAEMON_READY_H

#include "launch.h"

/* Forks until enough wait. Each child closes every descriptor it inherits. */
void ready_fill(void);
/* Gives @l and @spec, the encoded JOB_START that @l->start views, to a child, whose
 * group becomes @g, named by @job and @node. Returns the other end of what
 * launch_child() has as status_fd, non-blocking; -1 when no child waits or the
 * order is too long, and nothing has happened.
 */
int ready_launch(struct jobgroup *g, u64 job, const char *node,
		 const struct launch *l, const void *spec, size_t spec_len);
/* A child of this process ended; true when it was waiting here. */
bool ready_reaped(pid_t pid);
/* Ends those that wait. */
void ready_close(void);

#endif
