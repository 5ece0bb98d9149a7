/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virgod's side of virgo-spawn: starts the helper, sends it requests and gives
 * its events, all without blocking, in the loop's thread. A helper that ends is
 * started again within a second; what it was doing is lost and said to be.
 */
#ifndef VIRGO_DAEMON_SPAWNER_H
#define VIRGO_DAEMON_SPAWNER_H

#include "failure.h"
#include "loop.h"
#include "spawn_protocol.h"

struct spawner;

struct spawner_ops {
	void (*started)(void *arg, u64 job, pid_t pid);
	/* @text may be empty; a remedy follows in it after a line feed. */
	void (*failed)(void *arg, u64 job, enum spawn_stage stage, int error,
		       const char *text);
	void (*exited)(void *arg, u64 job, const struct spawn_exit *e);
	/* @name is "" when there is none: ENOENT, or @error kept it from being
	 * known.
	 */
	void (*name)(void *arg, u32 uid, const char *name, int error);
	/* The helper ended: no more events of jobs it had. */
	void (*lost)(void *arg);
};

/* @program is the path of virgo-spawn. Returns when it has been started, not
 * when it is ready: what is sent meanwhile waits in the socket.
 */
int spawner_new(struct spawner **out, struct loop *l, const char *program,
		bool no_cgroups, const struct spawner_ops *ops, void *arg,
		struct failure *f);
/* Ends the helper (and so every job that is not detached), without waiting. */
void spawner_free(struct spawner *s);

/* @start is an encoded JOB_START, @fds as spawn_protocol.h says; they are duplicated, so
 * the caller closes its own. -EAGAIN while there is no helper, -ENOMEM.
 */
int spawner_start(struct spawner *s, u64 job, u32 flags,
		  const struct spawn_start *how, const void *start, size_t len,
		  const int *fds, u32 fd_count);
/* These do nothing without a helper, for then there are no jobs. */
void spawner_signal(struct spawner *s, u64 job, int sig);
void spawner_kill(struct spawner *s, u64 job);
/* Answered by ops->name; -EAGAIN while there is no helper. */
int spawner_who(struct spawner *s, u32 uid);
/* Process id of the helper, 0 while there is none. */
pid_t spawner_pid(const struct spawner *s);

#endif
