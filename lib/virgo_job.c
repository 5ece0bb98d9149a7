// SPDX-License-Identifier: LGPL-2.1-or-later
/* The functions of virgo.h that use a job's descriptor. */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "remote_job.h"
#include "virgo.h"

/* The job behind @fd with its lock held; NULL with errno. */
static struct remote_job *enter(int fd)
{
	struct object *o = object_get(fd, &remote_job_ops, EINVAL);

	if (o)
		pthread_mutex_lock(&((struct remote_job *)o)->lock);
	return (struct remote_job *)o;
}

/* Gives the lock and the reference back, and @ret or the failure it means. */
static ssize_t leave(struct remote_job *j, ssize_t ret, const char *what)
{
	struct failure f = { 0 };
	char object[96];

	snprintf(object, sizeof(object), "%s on %s", what,
		 j->node[0] ? j->node : "a node");
	if (ret == -ENOBUFS)
		failure_set(&f, -ENOBUFS, object,
			    "read both outputs, or throw one away with "
			    "VIRGO_CLONE_NO_STDOUT or NO_STDERR",
			    "%d MiB of output were not read", VIRGO_KEEP_MAX >> 20);
	else if (ret < 0 && j->state == JOB_FAILED && ret == j->failure.code)
		f = j->failure;
	else if (ret < 0)
		failure_set(&f, (int)ret, object, NULL, "%s",
			    strerror((int)-ret));
	remote_job_leave(j);
	object_put(&j->object);
	return f.code ? api_fail(&f) : ret;
}

/* --- output --- */

static size_t take_kept(struct remote_job *j, u32 stream, u8 *buf, size_t len)
{
	struct chunks *q = &j->stream[stream].kept;
	size_t done = 0;

	while (done < len && q->bytes) {
		struct iovec v;
		size_t n;

		chunks_vector(q, &v, 1);
		n = v.iov_len < len - done ? v.iov_len : len - done;
		memcpy(buf + done, v.iov_base, n);
		chunks_drop(q, n);
		done += n;
	}
	remote_job_allow(j, stream);
	return done;
}

static ssize_t read_some(struct remote_job *j, u32 stream, u8 *buf, size_t len)
{
	struct remote_stream *s = &j->stream[stream];
	int ret;

	s->read_ever = true;
	s->reader = pthread_self();
	if (!s->kept.bytes)
		remote_job_pump(j);
	for (;;) {
		if (s->kept.bytes)
			return (ssize_t)take_kept(j, stream, buf, len);
		if (s->ended) {
			s->end_told = true;
			return 0;
		}
		if (j->state == JOB_FAILED)
			return j->failure.code;
		if (j->nonblock)
			return -EAGAIN;
		ret = remote_job_make_way(j, stream);
		if (!ret)
			ret = remote_job_await(j, 0);
		if (ret)
			return ret;
	}
}

ssize_t virgo_job_read(int fd, enum virgo_stream stream, void *buf, size_t len)
{
	struct remote_job *j = enter(fd);
	ssize_t ret;

	if (!j)
		return -1;
	if (stream != VIRGO_STDOUT && stream != VIRGO_STDERR)
		ret = -EINVAL;
	else
		ret = len ? read_some(j, stream, buf, len) : 0;
	return leave(j, ret, "output of a job");
}

/* --- input --- */

enum { PIECE = 128 << 10 }; /* of one frame */

static ssize_t write_some(struct remote_job *j, const u8 *buf, size_t len)
{
	size_t n = len < PIECE ? len : PIECE;
	int ret;

	if (n > j->in_allowed)
		n = (size_t)j->in_allowed;
	ret = remote_job_send(j, MSG_JOB_DATA, 0, buf, n);
	if (ret) {
		remote_job_pump(j); /* it tells why */
		return j->state == JOB_FAILED ? j->failure.code : ret;
	}
	j->in_allowed -= n;
	return (ssize_t)n;
}

/* 0 when something can be written, else why not. */
static int may_write(const struct remote_job *j)
{
	if (j->state == JOB_FAILED)
		return j->failure.code;
	if (j->in_broken || j->in_closed)
		return -EPIPE;
	return j->in_allowed ? 0 : -EAGAIN;
}

static ssize_t write_all(struct remote_job *j, const u8 *buf, size_t len)
{
	size_t done = 0;
	ssize_t ret = 0;

	remote_job_pump(j);
	while (done < len) {
		ret = may_write(j);
		if (!ret)
			ret = write_some(j, buf + done, len - done);
		if (ret > 0) {
			done += (size_t)ret;
			continue;
		}
		if (ret != -EAGAIN || j->nonblock)
			break;
		ret = remote_job_make_way(j, 0);
		if (!ret)
			ret = remote_job_await(j, 0);
		if (ret)
			break;
	}
	j->in_wanted = ret == -EAGAIN;
	return done ? (ssize_t)done : ret;
}

ssize_t virgo_job_write(int fd, const void *buf, size_t len)
{
	struct remote_job *j = enter(fd);

	return j ? leave(j, write_all(j, buf, len), "input of a job") : -1;
}

int virgo_job_eof(int fd)
{
	struct remote_job *j = enter(fd);
	int ret = 0;

	if (!j)
		return -1;
	if (!j->in_closed && !j->in_broken && j->state == JOB_RUNNING)
		ret = remote_job_send(j, MSG_JOB_DATA, FRAME_EOF, NULL, 0);
	j->in_closed = true;
	return (int)leave(j, ret, "input of a job");
}

/* --- signals, window --- */

int virgo_job_kill(const char *node, uint64_t job, int sig)
{
	const struct msg_job_kill m = { .node = span_of(node), .job = job,
					.signal = (u32)sig };
	u8 buf[512];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	struct failure f = { 0 };
	struct client *c;
	struct span reply;

	msg_job_kill_encode(&w, &m);
	if (w.bad || sig < 1 || sig > SIGRTMAX)
		return api_fail_with(-EINVAL, "kill", NULL,
				     "no such node or signal");
	if (api_connect(&c, &f))
		return api_fail(&f);
	client_call(c, MSG_JOB_KILL, buf, wcursor_len(&w), MSG_OK, &reply, &f);
	client_close(c);
	return f.code ? api_fail(&f) : 0;
}

int virgo_job_signal(int fd, int sig)
{
	struct remote_job *j = enter(fd);
	char node[sizeof(j->node)];
	u64 number;
	int ret = 0;

	if (!j)
		return -1;
	remote_job_pump(j);
	if (sig < 1 || sig > SIGRTMAX) {
		ret = -EINVAL;
	} else if (j->state == JOB_STARTING) {
		j->early_signal = (u32)sig;
	} else if (j->state == JOB_RUNNING) {
		ret = remote_job_signal(j, (u32)sig);
	} else if (j->state == JOB_PARTED) {
		memcpy(node, j->node, sizeof(node));
		number = j->number;
		leave(j, 0, "");
		return virgo_job_kill(node, number, sig);
	} else if (j->state == JOB_FAILED) {
		ret = j->failure.code;
	}
	return (int)leave(j, ret, "signal to a job");
}

int virgo_job_resize(int fd, unsigned int rows, unsigned int cols)
{
	const struct msg_job_winch m = { .rows = (u16)rows, .cols = (u16)cols };
	struct remote_job *j = enter(fd);
	u8 buf[8];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	int ret = 0;

	if (!j)
		return -1;
	remote_job_pump(j);
	msg_job_winch_encode(&w, &m);
	if (rows > UINT16_MAX || cols > UINT16_MAX)
		ret = -EINVAL;
	else if (j->state == JOB_STARTING)
		ret = -EAGAIN;
	else if (j->state == JOB_RUNNING)
		ret = remote_job_send(j, MSG_JOB_WINCH, 0, buf,
				      wcursor_len(&w));
	return (int)leave(j, ret, "window of a job");
}

/* --- what is there, and the end --- */

int virgo_job_ready(int fd)
{
	struct remote_job *j = enter(fd);
	int ready = 0;
	u32 s;

	if (!j)
		return -1;
	remote_job_pump(j);
	if (may_write(j) == 0 ||
	    (j->in_broken && !j->in_closed && !remote_job_over(j)))
		ready |= VIRGO_READY_STDIN;
	for (s = 1; s < JOB_STREAMS; s++)
		if (j->stream[s].kept.bytes || j->state == JOB_FAILED ||
		    (j->stream[s].ended && !j->stream[s].end_told))
			ready |= 1 << s;
	if (remote_job_over(j))
		ready |= VIRGO_READY_EXIT;
	return (int)leave(j, ready, "job");
}

/* Copies a struct of ours of @have bytes to the caller's of @size. */
static void give(void *out, size_t size, const void *from, size_t have)
{
	size_t n = size < have ? size : have;

	memcpy(out, from, n);
	memset((u8 *)out + n, 0, size - n);
}

int virgo_job_info(int fd, struct virgo_job_info *info, size_t size)
{
	struct remote_job *j = enter(fd);
	struct virgo_job_info mine = { 0 };
	int ret = 0;

	if (!j)
		return -1;
	remote_job_pump(j);
	if (j->state == JOB_STARTING) {
		ret = -EAGAIN;
	} else if (j->state == JOB_FAILED && !j->number) {
		ret = j->failure.code;
	} else {
		mine.job = j->number;
		mine.pid = j->pid;
		memcpy(mine.node, j->node, sizeof(mine.node));
		give(info, size, &mine, sizeof(mine));
	}
	return (int)leave(j, ret, "job");
}

static void fill_result(const struct remote_job *j, struct virgo_result *r)
{
	const struct msg_job_exit *e = &j->end;

	*r = (struct virgo_result){ .job = j->number,
				    .user_us = e->user_us,
				    .system_us = e->system_us,
				    .max_rss_bytes = e->max_rss_bytes,
				    .status = e->status,
				    .reason = e->reason };
	if (e->reason == JOB_SIGNALED)
		r->signal = e->status - 128;
	if (e->reason == JOB_OUT_OF_MEMORY)
		r->signal = SIGKILL;
	memcpy(r->node, j->node, sizeof(r->node));
	memcpy(r->why, j->why, sizeof(r->why));
}

/* Of a detached job: asks for its end, once. */
static int ask_for_end(struct remote_job *j)
{
	const struct msg_job_wait m = { .node = span_of(j->node),
					.job = j->number };
	u8 buf[128];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	if (j->state != JOB_PARTED || j->waited)
		return 0;
	j->waited = true;
	msg_job_wait_encode(&w, &m);
	return remote_job_request(j, MSG_JOB_WAIT, buf, wcursor_len(&w));
}

static u64 deadline_after(int timeout_ms)
{
	struct timespec ts;

	if (timeout_ms < 0)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000 + (u64)ts.tv_nsec / 1000 +
	       (u64)timeout_ms * 1000;
}

static int wait_for_end(struct remote_job *j, int timeout_ms)
{
	u64 deadline = deadline_after(timeout_ms);
	int ret = 0;

	remote_job_pump(j);
	while (!ret && !remote_job_over(j)) {
		ret = ask_for_end(j);
		if (!ret && timeout_ms == 0)
			ret = -EAGAIN;
		if (!ret)
			ret = remote_job_make_way(j, 0);
		if (!ret)
			ret = remote_job_await(j, deadline);
	}
	if (remote_job_over(j))
		ret = j->state == JOB_FAILED ? j->failure.code : 0;
	return ret;
}

int virgo_job_wait(int fd, struct virgo_result *result, size_t size,
		   int timeout_ms)
{
	struct remote_job *j = enter(fd);
	struct virgo_result mine;
	int ret;

	if (!j)
		return -1;
	ret = wait_for_end(j, timeout_ms);
	if (!ret && result) {
		fill_result(j, &mine);
		give(result, size, &mine, sizeof(mine));
	}
	return (int)leave(j, ret, "wait for a job");
}
