/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens between fork and exec: from a child of virgo-spawn to the user's
 * program. All that needs memory is made before, by virgo-spawn (launch_plan.c):
 * vectors, environment, identity. Everything a job is (identity, session, streams,
 * limits, directory) is set in the child (launch.c), so a folder or program that
 * hangs hangs nobody else. The child may share virgo-spawn's memory: it only
 * reads the plan, writes to its own stack and makes system calls by raw.h.
 */
#ifndef VIRGO_DAEMON_LAUNCH_H
#define VIRGO_DAEMON_LAUNCH_H

#include "account.h"
#include "jobgroup.h"
#include "spawn_protocol.h"
#include "wire.h"

enum {
	LAUNCH_STATUS_FD = 3, /* where the child keeps the status descriptor */
	LAUNCH_BLOB_FD = 4,
};

struct launch {
	char **argv; /* argv[0] is not empty */
	char **envp;
	const char *path; /* folders in which argv[0] is looked for */
	const char *cwd; /* asked for; NULL: home, or / */
	const char *home;
	u32 uid, gid, group_count;
	const u32 *groups;
	u32 flags; /* of the JOB_START */
	u32 umask;
	bool blob; /* the program itself is LAUNCH_BLOB_FD */
	bool script; /* and has an interpreter, which must open it again */
	struct jobgroup_limits rlimits; /* what no cgroup keeps */
	u64 nofile_soft, nofile_hard;
};

struct launch_failure {
	u32 stage;
	s32 error; /* positive errno */
};

/* The plan for @s as account @a, with @mark ("NAME=value") in its environment; later
 * entries of an environment win. In one piece of memory that views neither: the
 * caller ends it with free(). Limits and the program sent along are the caller's to
 * fill in. -EINVAL: no program, or a NUL in a string; -EBADMSG; -ENOMEM.
 */
int launch_plan(struct launch **out, const struct msg_job_start *s,
		const struct account *a, const char *mark);

/* In a forked child: brings @streams, @blob_fd (-1: none) and @status_fd where they
 * belong, closes all else, makes the session and goes on as launch_run(). Any
 * descriptor above 2 may be open, and none below is one of those.
 */
void launch_child(const struct launch *l, const int streams[JOB_STREAMS],
		  int blob_fd, int status_fd) __attribute__((noreturn));
/* In a child whose descriptors are where they belong and all that is open, and which
 * leads a session: execs, or writes a struct launch_failure to LAUNCH_STATUS_FD, which
 * is close-on-exec, and exits 127.
 */
void launch_run(const struct launch *l) __attribute__((noreturn));

#endif
