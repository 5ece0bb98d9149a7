/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A job as libvirgo holds it: its own connection to the local virgod, the frames
 * of one exchange, what of its output was not read yet.
 *
 *	STARTING -> RUNNING -> ENDED
 *	     \          \---> FAILED (an error came, or the connection ended)
 *	      \-> PARTED ----> ENDED, FAILED
 *
 * PARTED is a detached job: its exchange is over with its start, and waiting for
 * it begins another on the same connection.
 *
 * Threads: everything is guarded by the job's lock, which is never held while
 * waiting. Of the threads that wait, one takes frames from the socket and wakes
 * the others after each time.
 */
#ifndef VIRGO_LIB_REMOTE_JOB_H
#define VIRGO_LIB_REMOTE_JOB_H

#include <pthread.h>

#include "chunks.h"
#include "object.h"

enum remote_job_state {
	JOB_STARTING,
	JOB_RUNNING,
	JOB_PARTED,
	JOB_ENDED,
	JOB_FAILED,
};

enum { REMOTE_JOB_WINDOW = 256 << 10 }; /* of each output stream */

struct remote_stream {
	struct chunks kept; /* came, not read */
	u64 allowed; /* what the node may still send */
	bool drop; /* nobody wants it */
	bool ended;
	bool end_told; /* a reader has seen the end */
	bool read_ever;
	pthread_t reader; /* the last one, if read_ever */
};

struct remote_job {
	struct object object;
	pthread_mutex_t lock;
	pthread_cond_t moved; /* CLOCK_MONOTONIC; after each look at the socket */
	struct client *client;
	bool pumping; /* a thread waits at the socket */
	bool closed; /* by virgo_close(): waiting threads give up */
	bool nonblock;
	bool waited; /* of a detached job: JOB_WAIT is under way */
	int wake_fd; /* an eventfd, readable while something is to be had */
	bool awake;
	enum remote_job_state state;
	u64 tag;
	struct remote_stream stream[JOB_STREAMS];
	u64 in_allowed;
	bool in_wanted; /* a write has ended for want of room */
	bool in_closed; /* by us; told once it runs */
	u32 early_signal; /* to be sent once it runs; 0: none */
	bool in_broken; /* the program reads no more */
	u64 number; /* 0: never started */
	u32 pid;
	char node[64];
	struct msg_job_exit end; /* without its views, which are: */
	char why[192];
	char remedy[192];
	struct failure failure; /* of FAILED */
};

extern const struct object_ops remote_job_ops;

/* A job without an exchange, not in the table yet; NULL and @f. Takes over
 * @client in every case.
 */
struct remote_job *remote_job_new(struct client *client, struct failure *f);
void remote_job_free(struct remote_job *j);
/* Makes the descriptor, which is given, and puts @j into the table; or a negative
 * errno and @f.
 */
int remote_job_publish(struct remote_job *j, struct failure *f);
/* Sends a request, which begins the job's exchange. */
int remote_job_request(struct remote_job *j, u16 type, const void *payload,
		       size_t len);

/* All below: with the lock held. */

/* Takes in all frames that have arrived. */
void remote_job_pump(struct remote_job *j);
/* Waits until something may have changed: 0; -EINTR; -ETIMEDOUT once
 * @deadline_us of the monotonic clock (0: none) has passed; -EBADF when closed.
 */
int remote_job_await(struct remote_job *j, u64 deadline_us);
/* A frame of the exchange to the node; 0 or -errno. */
int remote_job_send(struct remote_job *j, u16 type, u8 flags, const void *data,
		    size_t len);
int remote_job_signal(struct remote_job *j, u32 sig);
/* Gives the node credit for what was read from @stream. */
void remote_job_allow(struct remote_job *j, u32 stream);
/* Before waiting: lets more come of every stream except @but that is full and
 * that no other thread reads. -ENOBUFS when too much of it is kept.
 */
int remote_job_make_way(struct remote_job *j, u32 but);
/* Sets the descriptor readable exactly if something is to be had, and unlocks. */
void remote_job_leave(struct remote_job *j);
bool remote_job_over(const struct remote_job *j);

#endif
