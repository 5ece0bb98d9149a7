/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of detached jobs know of each other: job_kept.c has the records,
 * job_follow.c those who follow them.
 */
#ifndef VIRGO_DAEMON_JOB_KEPT_IMPL_H
#define VIRGO_DAEMON_JOB_KEPT_IMPL_H

#include "job.h"

enum kept_state { KEPT_STARTING, KEPT_RUNNING, KEPT_ENDED, KEPT_UNSEEN };

/* Somebody attached (follows output) or waiting (only for the end). */
struct follower {
	struct exchange x;
	struct follower *next, **at;
	struct kept *kept;
	bool collect; /* the record goes when it has been told the end */
	int fd[JOB_STREAMS]; /* -1: nothing to follow */
	u64 credit[JOB_STREAMS];
};

struct kept {
	struct kept *next;
	struct jobs *jobs;
	u64 id;
	enum kept_state state;
	int dir_fd;
	int wd; /* of inotify; -1: not watched */
	bool adopted; /* an earlier virgod started it */
	pid_t pid;
	u64 start_ticks;
	char cgroup[600];
	u64 started_s;
	struct spawn_exit exit;
	struct follower *followers;
	char user[64];
	char from[NODE_NAME_MAX + 1];
	char command[JOB_COMMAND_MAX];
};

/* --- job_kept.c --- */

/* What is watched of it follows from its state and its followers. */
void kept_rewatch(struct kept *k);

/* --- job_follow.c --- */

/* Those who follow its output get what there is. */
void kept_pump(struct kept *k);
/* It has ended: they get the rest, and its end; it may be gone after this. */
void kept_over(struct kept *k);
void follower_free(struct follower *f);

#endif
