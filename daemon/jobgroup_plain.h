/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes of a job where there are no cgroups, as jobgroup.c asks for them.
 * A process is a job's if
 *
 *	its session is the leader's,
 *	or it descends from virgo-spawn, the subreaper of all jobs, and
 *		its initial environment holds the job's mark,
 *		or it descends from one that is the job's,
 *		or it is an orphan that no other job that is still there can
 *		have left.
 *
 * So one that cleared its environment and left its session and its parent ends at
 * the latest with the last job that was there when it was born. A process inside
 * exec has no environment to be read: such an orphan can only be looked at again.
 */
#ifndef VIRGO_DAEMON_JOBGROUP_PLAIN_H
#define VIRGO_DAEMON_JOBGROUP_PLAIN_H

#include <sys/types.h>

#include "env.h"

/* Whose descendants are looked at, and where. */
struct plain_view {
	const char *proc; /* "/proc" */
	pid_t self; /* virgo-spawn: nothing in its session is a job's */
	pid_t session;
};

/* What a look found of a job. */
struct plain_found {
	u32 ours;
	u32 unsure; /* inside exec: look again */
};

/* Makes room for one leader more: 0 or -ENOMEM. */
int plain_reserve(void);
/* Remembers @leader, a child that was made for a job; @now is plain_now() if it
 * has its job already, else 0 till plain_named(). plain_reserve() came before.
 */
void plain_enter(pid_t leader, u64 now);
void plain_named(pid_t leader, u64 now);
/* Harmless for one that was never entered. */
void plain_leave(pid_t leader);
/* The time as the kernel tells when a process was started. */
u64 plain_now(void);

/* Looks for the processes of the job of @leader and @mark; sends @sig (0: none) to
 * each.
 */
struct plain_found plain_look(const struct plain_view *v, pid_t leader,
			      const char *mark, int sig);

#endif
