/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job that runs here, as its three files share it: job_run.c (its start, what its
 * caller asks, its record), job_stream.c (its input and output), job_events.c (what
 * virgo-spawn tells of it, up to its end). Not for others, which include job.h.
 */
#ifndef VIRGO_DAEMON_JOB_HERE_H
#define VIRGO_DAEMON_JOB_HERE_H

#include "job.h"

enum run_state { STARTING, RUNNING, ENDED };

struct job_in {
	int fd; /* -1: closed */
	struct watch watch; /* while its pipe is full */
	u8 *data; /* what the pipe did not take */
	u32 len, pos;
	u32 allowed; /* what the caller may still send */
	bool eof; /* after data */
};

struct job_out {
	int fd; /* -1: closed */
	struct watch watch;
	bool watched;
	bool eof; /* to be told */
	bool hung_up; /* a terminal that nobody there has open now */
	u8 full_reads;
	u64 credit;
};

struct job {
	struct exchange x; /* closed: detached, or the caller is gone */
	struct job *next; /* in its bucket */
	struct job *next_ended; /* of those whose end is not in the audit yet */
	bool end_due; /* it is one of them */
	bool freed; /* but for that */
	u64 id;
	enum run_state state;
	bool pty;
	bool timed_out;
	bool leaving; /* its caller is gone */
	u8 early_signal; /* came before it ran */
	pid_t pid;
	u64 started_s;
	u64 asked_us; /* by a local caller; 0: by another node */
	u64 timeout_us;
	struct timer timer; /* timeout, then the end of a grace */
	struct timer eof_timer;
	struct job_in in;
	struct job_out out[JOB_STREAMS]; /* [0] is not used */
	struct spawn_exit exit;
	struct kept *kept; /* detached */
	char user[64]; /* as named here */
	char from[NODE_NAME_MAX + 1];
	char command[JOB_COMMAND_MAX];
};

/* --- job_run.c --- */

/* Where job @id is in its bucket, or would be. */
struct job **job_slot(struct jobs *js, u64 id);
/* Takes it out of everything; its memory stays until its end is in the audit. */
void job_forget(struct job *j);
/* One entry of the audit about it. */
void job_audit(struct job *j, const char *action, const char *result);

/* --- job_stream.c --- */

/* The job's ends of its streams into @fds, ours into @j; -errno. */
int job_open_streams(struct job *j, const struct caller *who,
		     const struct msg_job_start *m, int *fds, int *folder);
void job_close_in(struct job *j);
void job_close_out(struct job *j, u32 stream);
void job_close_streams(struct job *j);
/* Watches the pipe exactly while data from it could be sent. */
void job_rewatch_out(struct job *j, u32 stream);
/* One read; true when there may be more at once. */
bool job_read_out(struct job *j, u32 stream);
/* Input of the caller; one that sends more than allowed is sent away. */
void job_take_data(struct job *j, const struct frame *f, const u8 *payload);
/* The caller allows more output. */
void job_more_credit(struct job *j, u32 stream, u32 credit);
void job_set_window(struct job *j, u16 rows, u16 cols);
/* Of its eof_timer: tells the ends of streams that the job has outlived. */
void job_eof_fired(struct timer *t);

/* --- job_events.c --- */

/* Answers with JOB_EXIT and frees @j, once it has ended and all output is sent. */
void job_end_if_done(struct job *j);
/* The ends that the audit does not know yet are put into it. */
void job_audit_ends(struct jobs *js);

#endif
