/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of virgo-spawn know of each other.
 *
 *	spawn_main.c	requests, the ends of jobs and of virgod
 *	spawn_start.c	from the order to the program
 *	spawn_job.c	the table of jobs, what is told of them
 */
#ifndef VIRGO_DAEMON_SPAWN_IMPL_H
#define VIRGO_DAEMON_SPAWN_IMPL_H

#include <sys/resource.h>

#include "jobgroup.h"
#include "launch.h"
#include "loop.h"
#include "ready.h"
#include "spawn_protocol.h"

enum {
	VIRGOD_FD = 3,
	SPAWN_BUCKETS = 1024,
};

enum job_state { WAITING, STARTING, RUNNING, ENDING };

struct job {
	struct job *next_id, *next_pid; /* hash chains */
	u64 id;
	enum job_state state;
	bool detached;
	bool killed; /* while waiting or starting */
	u32 flags; /* enum spawn_flags */

	struct spawn_start how;
	u8 *spec; /* the JOB_START, until exec */
	size_t spec_len;
	struct msg_job_start start; /* views into it */
	int fds[SPAWN_FDS_MAX]; /* until exec; -1: none */
	struct launch *launch; /* until exec: the child reads it */
	struct ready_room *room; /* the same of its memory */
	int folder_fd; /* detached; else -1 */

	struct jobgroup group;
	struct watch status; /* read end of the child's status pipe */
	struct launch_failure failure;

	int wait_status;
	struct rusage usage;
	struct timer recheck;
	u64 ending_us, recheck_us;
};

extern struct spawn_state {
	struct loop *loop;
	struct accounts *accounts;
	struct watch virgod;
	struct watch signals;
	struct timer sweep;
	struct post fill; /* of the children that wait */
	bool fill_due;
	int sweeps; /* left to do */
	bool orphan; /* virgod is gone */
	struct rlimit nofile; /* what jobs get */
	struct job *by_id[SPAWN_BUCKETS];
	struct job *by_pid[SPAWN_BUCKETS];
	u32 jobs;
} spawn;

/* --- spawn_job.c --- */

/* Tells virgod, as spawn_protocol.h says. */
void spawn_event(u32 kind, u64 job, s32 value, u32 stage, const void *data,
		 size_t len);
void spawn_failed(u64 job, u32 stage, int error, const char *text);
/* What points to the job, or to NULL where it would be. */
struct job **spawn_id_slot(u64 id);
struct job **spawn_pid_slot(pid_t pid);
/* Lets go of what only its start needs: when the order is given, and what the child
 * reads when it has become its program or is no more.
 */
void spawn_drop_start(struct job *j);
void spawn_drop_launch(struct job *j);
/* Frees it; the last one ends an orphan's loop. */
void spawn_forget(struct job *j);
/* Of a detached job, for the virgod that comes after this one. */
void spawn_write_pid(struct job *j);
void spawn_write_status(struct job *j, const struct spawn_exit *e);

/* --- spawn_start.c --- */

/* A SPAWN_START; takes @fds over. */
void spawn_start(const struct spawn_message *m, const void *data, size_t len,
		 int *fds, u32 count);
/* The status pipe: bytes say why the child failed, its end that it runs. False
 * while that is not known. Gives the job's state, tells nobody.
 */
bool spawn_start_known(struct job *j);
/* Nothing more is wanted of the status pipe. */
void spawn_start_over(struct job *j);
void spawn_tell_started(struct job *j);
/* Makes children that wait, when there is nothing else to do. */
void spawn_fill_later(void);

#endif
