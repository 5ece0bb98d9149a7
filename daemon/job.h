/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the job service share: jobs.c (requests and exchanges),
 * job_names.c (who asks),
 * job_run.c and job_here.h (a job running here), job_relay.c (one passed on to another
 * node), job_kept.c (detached jobs and their records), job_follow.c (those who
 * follow these), blobs.c (programs sent along). Not for other parts of virgod, which
 * include jobs.h.
 *
 * An exchange is everything between a request and its last answer: one caller's
 * connection and one tag. What it is (a running job, a relay, somebody who waits)
 * embeds it and gets its frames and its end through its operations.
 */
#ifndef VIRGO_DAEMON_JOB_H
#define VIRGO_DAEMON_JOB_H

#include "jobs.h"
#include "spawner.h"
#include "wire.h"

struct exchange;

struct exchange_ops {
	/* A further frame of the caller. */
	void (*frame)(struct exchange *x, const struct frame *f,
		      const u8 *payload);
	/* The caller is gone or has cancelled; the exchange has been closed
	 * already, so there is nobody to answer.
	 */
	void (*gone)(struct exchange *x);
};

struct exchange {
	struct exchange *next; /* in its bucket */
	struct jobs *jobs;
	const struct exchange_ops *ops;
	struct conn *conn; /* NULL while closed */
	u64 tag;
};

enum {
	EXCHANGE_BUCKETS = 1024,
	JOB_BUCKETS = 1024,
	EXCHANGES_MAX = 16384, /* under way at once; more are refused */
	NAMINGS_MAX = 4096, /* requests that wait for their user's name */
	NAMINGS_BYTES = 16 << 20, /* and what they hold */
};

struct job;
struct kept;
struct request;

struct jobs {
	struct node *node;
	struct spawner *spawner;
	struct blobs *blobs;
	struct exchange *exchanges[EXCHANGE_BUCKETS];
	struct job *by_id[JOB_BUCKETS];
	u32 running; /* jobs in by_id */
	struct job *ended; /* whose end the audit does not know yet */
	struct post ends; /* runs while there are any */
	u32 streams; /* exchanges that carry data, for sharing the budget */
	u64 next_id, ids_until; /* a block of numbers, reserved on disk */
	struct relay *relays;
	struct naming *namings;
	u32 naming_count;
	size_t naming_bytes;
	struct kept *kept; /* newest first */
	u32 kept_count;
	int state_fd; /* STATE/jobs */
	struct watch inotify;
	u8 *buffer; /* JOB_READ_BYTES, for one read at a time */
	void (*served)(void *arg, const char *node, u64 took_us);
	void *served_arg;
};

enum {
	JOB_READ_BYTES = 256 << 10,
	JOB_WINDOW_IN = 256 << 10, /* of stdin */
	JOB_WINDOW_LEAST = 16 << 10,
	JOB_BUDGET = 64 << 20, /* what all streams together may buffer */
	JOB_COMMAND_MAX = 160, /* of a command line, for listings */
	USER_BYTES = 256, /* of a user's name */
};

/* --- jobs.c --- */

/* The caller as the service stands by it. */
struct caller {
	struct jobs *jobs;
	struct conn *conn;
	u64 tag;
	const char *node; /* where the caller is: this node's name, or a peer's */
	const char *user; /* as named there */
	bool peer; /* another node's virgod asks for it */
	bool root; /* uid 0 of this machine */
};

/* 0; -EEXIST when the caller uses the tag already, -EBUSY when too many are under
 * way. Takes a reference.
 */
int exchange_open(struct exchange *x, const struct caller *who,
		  const struct exchange_ops *ops);
/* No more frames come; harmless twice. */
void exchange_close(struct exchange *x);
/* Bytes a stream may have under way now, by what all streams share. */
u32 jobs_window(const struct jobs *js);
/* Answers one frame, if the caller is there; more: others follow. */
#define exchange_reply(x, more, NAME, name, m)                                 \
	do {                                                                   \
		if ((x)->conn)                                                 \
			conn_message((x)->conn, (x)->tag,                      \
				     FRAME_REPLY | ((more) ? FRAME_MORE : 0),  \
				     0, NAME, name, m);                        \
	} while (0)
void exchange_fail(struct exchange *x, const struct failure *f);
void caller_fail(const struct caller *who, int code, const char *object,
		 const char *remedy, const char *what_fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* "run on beta", the object of what goes wrong with a job here. */
const char *jobs_object(const struct jobs *js);
/* The argument vector as one line of at most JOB_COMMAND_MAX bytes. */
void jobs_command(struct span argv, char *out, size_t size);

/* A number never used before on this node; 0 when none can be reserved. */
u64 jobs_new_id(struct jobs *js);
/* A job of a local caller, asked for at @asked_us (0: nobody's), ended on @node. */
void jobs_served(struct jobs *js, const char *node, u64 asked_us);
/* Does a request of a caller whose name is known. */
void jobs_handle(const struct caller *who, u16 type, const u8 *payload,
		 size_t len);

/* --- job_names.c --- */

/* The name of @uid, or NULL while it is not remembered. */
const char *jobs_known_name(uid_t uid);
/* Has the name looked up, then does @r. */
void jobs_ask_name(const struct caller *who, uid_t uid,
		   const struct request *r);
/* virgo-spawn knows the name of @uid; "" when @error kept it from that, where
 * ENOENT says that there is none.
 */
void jobs_name_known(struct jobs *js, u32 uid, const char *name, int error);
/* virgo-spawn ended, and with it all questions for names. */
void jobs_names_lost(struct jobs *js);
/* Forgets them, when virgod ends. */
void jobs_names_free(struct jobs *js);

/* --- job_run.c, job_stream.c, job_events.c --- */

void job_start(const struct caller *who, const struct msg_job_start *m);
void job_signal_id(const struct caller *who, u64 id, int sig);
/* Runs @fn for each job here. */
void job_each(struct jobs *js, void (*fn)(void *arg, struct job *j), void *arg);
/* Jobs running here that local callers have asked for. */
u32 job_count_asked(const struct jobs *js);
void job_describe(const struct job *j, struct rec_job_status *r);
bool job_owned(const struct job *j, const struct caller *who);
extern const struct spawner_ops job_spawner_ops;
void job_kill_all(struct jobs *js);
/* @c takes data again. */
void job_drained(struct jobs *js, struct conn *c);

/* --- job_relay.c --- */

/* Passes a request on to node @name and its answers back. The request allows
 * @window bytes on each stream, the caller @owed more.
 */
void relay_start(const struct caller *who, const char *name, u16 type,
		 const void *payload, size_t len, u32 window, u32 owed);
/* @c takes data again. */
void relay_drained(struct jobs *js, struct conn *c);
void relay_free_all(struct jobs *js);

/* --- job_kept.c --- */

int kept_load(struct jobs *js, struct failure *f);
void kept_free_all(struct jobs *js);
/* A new detached job's folder and output files; -errno. */
int kept_new(struct kept **out, struct jobs *js, u64 id, const char *user,
	     const struct caller *who, const char *command);
int kept_open_streams(struct kept *k, int *fds, int *folder);
void kept_started(struct kept *k, pid_t pid);
void kept_ended(struct kept *k, const struct spawn_exit *e);
/* It never ran: forgets it. */
void kept_drop(struct kept *k);
struct kept *kept_find(struct jobs *js, u64 id);
bool kept_owned(const struct kept *k, const struct caller *who);
void kept_signal(struct kept *k, int sig);
void kept_each(struct jobs *js, void (*fn)(void *arg, const struct kept *k),
	       void *arg);
void kept_describe(const struct kept *k, struct rec_job_status *r);

/* --- job_follow.c --- */

void kept_attach(const struct caller *who, const struct msg_job_attach *m);
void kept_wait(const struct caller *who, const struct msg_job_wait *m);
/* @c takes data again. */
void kept_drained(struct jobs *js, struct conn *c);

/* What a wait status means, in JOB_EXIT's words. */
void exit_message(const struct spawn_exit *e, bool timed_out,
		  struct msg_job_exit *m, char *why, size_t why_size);

#endif
