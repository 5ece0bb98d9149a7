/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens between fork and exec: from a copy of virgo-spawn to the user's
 * program. Everything a job is (identity, session, streams, limits, directory,
 * environment) is set here, in the child, so a folder or program that hangs hangs
 * nobody else.
 */
#ifndef VIRGO_DAEMON_LAUNCH_H
#define VIRGO_DAEMON_LAUNCH_H

#include "account.h"
#include "jobgroup.h"
#include "spawn_protocol.h"
#include "wire.h"

struct launch {
	const struct msg_job_start *start;
	const struct account *account;
	const struct jobgroup *group;
	struct jobgroup_limits rlimits; /* what no cgroup keeps */
	int streams[JOB_STREAMS];
	int blob_fd; /* the program itself; -1: by name */
	int status_fd; /* close-on-exec; gets a struct launch_failure */
	/* The session is made, and streams, program and status are where they
	 * belong and all that is open.
	 */
	bool prepared;
	u64 nofile_soft, nofile_hard;
};

struct launch_failure {
	u32 stage;
	s32 error; /* positive errno */
};

enum {
	LAUNCH_STATUS_FD = 3, /* where the child keeps status_fd */
	LAUNCH_BLOB_FD = 4,
};

/* Runs in the forked child. Any fd above 2 may be open, and none below is one
 * of @l's unless it is prepared. Does not return: execs, or writes why not and
 * exits 127.
 */
void launch_child(const struct launch *l) __attribute__((noreturn));
/* Makes the pages its own that launch_child() will write to and maps the code it
 * will run, in a child that has time for it: a fault costs more than any system
 * call there. Leaves an empty environment.
 */
void launch_rehearse(void);

#endif
