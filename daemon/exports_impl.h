/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the file service, for exports*.c alone:
 *
 *	exports.c          its life: key, workers, timers
 *	exports_volumes.c  which volumes are served
 *	exports_session.c  clients come, go, and come back
 *	exports_request.c  a message becomes a job, or is refused
 *	exports_job.c      a job runs, waits for a lock, is answered
 *
 * All in the loop's thread.
 */
#ifndef VIRGO_DAEMON_EXPORTS_IMPL_H
#define VIRGO_DAEMON_EXPORTS_IMPL_H

#include "exports.h"
#include "filejob.h"
#include "service.h"

struct exports {
	struct node *node;
	struct workers *workers;
	struct descriptors *descriptors;
	u8 key[FILEHANDLE_KEY];
	u64 verifier;
	s64 started_ns; /* by the clock of files */
	struct replies_past *past; /* what was under way when the last one ended */
	struct volume **volumes;
	size_t volume_count;
	struct filesession *sessions;
	u32 session_count;
	struct job *parked; /* waiting for a lock */
	struct timer tick;
	struct timer sweep;
	struct timer grace; /* after the start, for sessions of before */
	u32 paused; /* sessions not read from */
};

/* Registers the messages and what else comes from outside. */
void exports_take_requests(struct exports *e);
/* Refusals by [allow] are looked at again for everyone. */
void exports_judge_users(struct node *n);

/* NULL when this node serves none of that name. */
struct volume *exports_volume(struct exports *e, struct span name);

/* The session connected by @c, or NULL. */
struct filesession *exports_session_of(struct exports *e, const struct conn *c);
/* The session that the HELLO of @r's connection names, connected to it. NULL when
 * there may be no more.
 */
struct filesession *exports_session_for(struct exports *e, struct request *r,
					bool *resumed);
/* Takes over the node's policy as it is now. */
void exports_session_follow_policy(struct filesession *s);
void exports_session_closed(struct node *n, struct conn *c);
/* Frees @s if it has ended and nothing of it runs any more. */
void exports_session_try_free(struct filesession *s);
/* Its connection is read from again, if it was not and may be. */
void exports_session_resume(struct filesession *s);
/* Its connection is not read from for a while, if it has asked for too much. */
void exports_session_hold_back(struct filesession *s);

/* Starts @j, which its session counts from now on. */
void exports_job_start(struct job *j);
/* Drops all jobs of @s that wait for a lock. */
void exports_job_drop_parked(struct filesession *s);
/* Jobs that wait for a lock try again. */
void exports_job_retry(struct exports *e);
void exports_job_unlink(struct job *j);
/* Looks after what is parked and who is paused, soon. */
void exports_tick_later(struct exports *e);
/* One answer to @s, if it is connected. */
void exports_send(struct filesession *s, u64 tag, u16 type, const void *head,
		  size_t head_len, const void *body, size_t body_len);

#endif
