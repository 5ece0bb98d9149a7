/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The set of processes that is one job, so that all of it can be limited, killed
 * and seen to be gone. Where a cgroup v2 hierarchy is writable, a job is born in
 * a cgroup of its own and cannot leave it; elsewhere it is its session plus what
 * the reaper (the calling process, a child subreaper) can recognise as its own.
 * Used by virgo-spawn only, in its one thread.
 */
#ifndef VIRGO_DAEMON_JOBGROUP_H
#define VIRGO_DAEMON_JOBGROUP_H

#include "env.h"

struct jobgroup_limits { /* 0: none */
	u64 memory_bytes;
	u32 cpu_ppm; /* 1,000,000: one CPU */
	u32 pids;
};

struct jobgroup {
	int dir_fd; /* the cgroup; -1: none, or not taken */
	int events_fd; /* its cgroup.events */
	u32 slot;
	char kind; /* 's' slot, 'l' limited, 'd' detached */
	bool killed; /* its cgroup must not be used again */
	pid_t leader;
	u64 job;
	char mark[96]; /* "VIRGO_JOB=..." of its environment */
};

/* Finds the hierarchy, makes this process's folder in it and clears what dead
 * ones left, killing the jobs in it. @avoid: use no cgroups (for tests of the
 * other way). Always succeeds; without cgroups it says so by jobgroup_cgroups().
 */
void jobgroup_open(bool avoid);
/* Clears again what dead ones left: one that has just been killed may still have
 * held its lock when jobgroup_open() looked.
 */
void jobgroup_sweep(void);
/* Removes the folder; groups that still hold processes stay. */
void jobgroup_close(void);
bool jobgroup_cgroups(void);

/* Prepares a group: 0, -EOPNOTSUPP when this node cannot keep @limits (then
 * @what names the limit), or another negative errno. Limits that rlimits must
 * keep instead are left in @rest. A @detached job's group outlives this process.
 * Its program must get @g->mark in its environment.
 */
int jobgroup_take(struct jobgroup *g, u64 job, const char *node, bool detached,
		  const struct jobgroup_limits *l, struct jobgroup_limits *rest,
		  const char **what);
/* Makes @g->job and @g->mark, nothing else of @g. */
void jobgroup_name(struct jobgroup *g, u64 job, const char *node);
/* Makes a group that was taken and shared before its job was known that job's. */
void jobgroup_assign(struct jobgroup *g, u64 job, const char *node);
/* Forks into the group: as fork(). */
pid_t jobgroup_fork(struct jobgroup *g);
/* The same for a child that shares this process's memory, runs @run on @stack, and
 * must make system calls by raw.h only: its id, or a negative errno, -ENOSYS where
 * that cannot be.
 */
pid_t jobgroup_share(struct jobgroup *g, void *stack, size_t size,
		     void (*run)(void *), void *arg);
/* Path below /sys/fs/cgroup or wherever it is mounted, "-" without cgroups. */
void jobgroup_path(const struct jobgroup *g, char *out, size_t size);

/* SIGKILL to all of it. May have to be repeated until jobgroup_empty(). */
void jobgroup_kill(struct jobgroup *g);
/* True when nothing of it runs. The leader must have been reaped before. */
bool jobgroup_empty(struct jobgroup *g);
/* How many processes are left, for a report. */
u32 jobgroup_count(struct jobgroup *g);
/* True when the kernel killed part of it for exceeding its memory limit. */
bool jobgroup_oom(struct jobgroup *g);
/* Ends its use; a group that is not empty is left to the kernel. */
void jobgroup_give_back(struct jobgroup *g);

#endif
