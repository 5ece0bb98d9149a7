// SPDX-License-Identifier: LGPL-2.1-or-later
/* The exchange of a job with virgod; the contract is in remote_job.h. */
#include "remote_job.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "virgo.h"

/* A frame of credit is worth it from this share of a window on. */
enum { CREDIT_LEAST = REMOTE_JOB_WINDOW / 4 };

bool remote_job_over(const struct remote_job *j)
{
	return j->state == JOB_ENDED || j->state == JOB_FAILED;
}

/* --- the descriptor --- */

static bool stream_has(const struct remote_stream *s)
{
	return s->kept.bytes || (s->ended && !s->end_told);
}

void remote_job_leave(struct remote_job *j)
{
	bool awake = stream_has(&j->stream[1]) || stream_has(&j->stream[2]) ||
		     (j->in_wanted && (j->in_allowed || j->in_broken)) ||
		     remote_job_over(j);
	u64 n = 1;
	ssize_t done = 0;

	if (awake && !j->awake)
		done = write(j->wake_fd, &n, sizeof(n));
	else if (!awake && j->awake)
		done = read(j->wake_fd, &n, sizeof(n));
	if (done >= 0)
		j->awake = awake;
	pthread_mutex_unlock(&j->lock);
}

int remote_job_publish(struct remote_job *j, struct failure *f)
{
	struct epoll_event e = { .events = EPOLLIN };
	int fd = epoll_create1(EPOLL_CLOEXEC);
	int ret = 0;

	j->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0 || j->wake_fd < 0 ||
	    epoll_ctl(fd, EPOLL_CTL_ADD, j->wake_fd, &e) ||
	    epoll_ctl(fd, EPOLL_CTL_ADD, client_fd(j->client), &e))
		ret = -errno;
	if (!ret)
		ret = object_add(&j->object, fd);
	if (!ret)
		return fd;
	if (fd >= 0)
		close(fd);
	return failure_set(f, ret, "job", ret == -EMFILE ?
			   "ulimit -n with more: a job needs four descriptors" :
			   NULL, "%s", strerror(-ret));
}

struct remote_job *remote_job_new(struct client *client, struct failure *f)
{
	struct remote_job *j = calloc(1, sizeof(*j));
	pthread_condattr_t attr;
	int s;

	if (!j) {
		client_close(client);
		failure_set(f, -ENOMEM, "job", NULL, "out of memory");
		return NULL;
	}
	j->object = (struct object){ .ops = &remote_job_ops, .fd = -1 };
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->moved, &attr);
	pthread_condattr_destroy(&attr);
	j->client = client;
	j->wake_fd = -1;
	for (s = 1; s < JOB_STREAMS; s++)
		j->stream[s].allowed = REMOTE_JOB_WINDOW;
	return j;
}

void remote_job_free(struct remote_job *j)
{
	int s;

	if (j->object.fd >= 0)
		close(j->object.fd);
	if (j->wake_fd >= 0)
		close(j->wake_fd);
	client_close(j->client);
	for (s = 0; s < JOB_STREAMS; s++)
		chunks_clear(&j->stream[s].kept);
	pthread_cond_destroy(&j->moved);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

static void job_free(struct object *o)
{
	remote_job_free((struct remote_job *)o);
}

/* The connection's end is the job's; virgod sees it at once, though other
 * threads may still hold the object. The module sees it when the last of them,
 * woken by this, has let go.
 */
static int job_close(struct object *o)
{
	struct remote_job *j = (struct remote_job *)o;

	pthread_mutex_lock(&j->lock);
	j->closed = true;
	client_hang_up(j->client);
	pthread_cond_broadcast(&j->moved);
	pthread_mutex_unlock(&j->lock);
	return 0;
}

static ssize_t job_read(struct object *o, void *buf, size_t len)
{
	return virgo_job_read(o->fd, VIRGO_STDOUT, buf, len);
}

static ssize_t job_write(struct object *o, const void *buf, size_t len)
{
	return virgo_job_write(o->fd, buf, len);
}

const struct object_ops remote_job_ops = {
	.read = job_read,
	.write = job_write,
	.close = job_close,
	.free = job_free,
};

/* --- to the node --- */

/* The socket's end must not make the descriptor readable for ever by itself. */
static void unwatch(struct remote_job *j)
{
	if (j->object.fd >= 0)
		epoll_ctl(j->object.fd, EPOLL_CTL_DEL, client_fd(j->client),
			  NULL);
}

static void fail(struct remote_job *j, const struct failure *f)
{
	j->state = JOB_FAILED;
	j->failure = *f;
	unwatch(j);
}

static void lost(struct remote_job *j, int code)
{
	char object[96];
	struct failure f;

	snprintf(object, sizeof(object), "job on %s",
		 j->node[0] ? j->node : "a node");
	failure_set(&f, code, object, "systemctl status virgod, here and there",
		    "%s", code == -EPROTO ?
			"virgod sent what cannot be understood" :
			code == -ENOMEM ? "out of memory" :
			client_is_module(j->client) ?
			"the connection to it is lost" :
			"the connection to the virgod of this machine is lost");
	fail(j, &f);
}

int remote_job_send(struct remote_job *j, u16 type, u8 flags, const void *data,
		    size_t len)
{
	const struct frame f = { .type = type, .flags = flags, .tag = j->tag };

	const int ret = client_send(j->client, &f, data, len, NULL, 0);

	/* EPIPE is for a program that reads no more. */
	return ret == -EPIPE ? -ECONNRESET : ret;
}

int remote_job_request(struct remote_job *j, u16 type, const void *payload,
		       size_t len)
{
	j->tag = client_tag(j->client);
	return remote_job_send(j, type, 0, payload, len);
}

int remote_job_signal(struct remote_job *j, u32 sig)
{
	const struct msg_job_signal m = { .signal = sig };
	u8 buf[8];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	msg_job_signal_encode(&w, &m);
	return remote_job_send(j, MSG_JOB_SIGNAL, 0, buf, wcursor_len(&w));
}

/* Makes up what @stream may carry to @limit bytes. */
static void allow_up_to(struct remote_job *j, u32 stream, u64 limit)
{
	struct remote_stream *s = &j->stream[stream];
	struct frame f = { .type = MSG_JOB_CREDIT, .tag = j->tag,
			   .stream = stream };

	if (s->ended || s->allowed + CREDIT_LEAST > limit)
		return;
	f.credit = (u32)(limit - s->allowed);
	/* If that fails, the pump finds the connection's end. */
	if (client_send(j->client, &f, NULL, 0, NULL, 0) == 0)
		s->allowed += f.credit;
}

void remote_job_allow(struct remote_job *j, u32 stream)
{
	u64 kept = j->stream[stream].kept.bytes;

	if (kept < REMOTE_JOB_WINDOW)
		allow_up_to(j, stream, REMOTE_JOB_WINDOW - kept);
}

/* Another thread than this one reads @s, so waiting for it is no deadlock. */
static bool others_read(const struct remote_stream *s)
{
	return s->read_ever && !pthread_equal(s->reader, pthread_self());
}

int remote_job_make_way(struct remote_job *j, u32 but)
{
	u32 i;

	for (i = 1; i < JOB_STREAMS; i++) {
		struct remote_stream *s = &j->stream[i];

		if (i == but || s->ended || s->allowed >= CREDIT_LEAST ||
		    others_read(s))
			continue;
		if (s->kept.bytes + REMOTE_JOB_WINDOW <= VIRGO_KEEP_MAX)
			allow_up_to(j, i, REMOTE_JOB_WINDOW);
		else if (!s->allowed)
			return -ENOBUFS;
	}
	return 0;
}

/* --- from the node --- */

static void take_input_frame(struct remote_job *j, const struct frame *f)
{
	j->in_allowed += f->credit;
	if (f->flags & FRAME_EOF)
		j->in_broken = true;
}

static void take_data(struct remote_job *j, const struct frame *f, const u8 *p)
{
	struct remote_stream *s = &j->stream[f->stream];

	if (f->length > s->allowed || (f->length && s->ended)) {
		lost(j, -EPROTO);
		return;
	}
	s->allowed -= f->length;
	if (f->flags & FRAME_EOF)
		s->ended = true;
	if (s->drop) {
		s->end_told = s->ended;
		remote_job_allow(j, f->stream);
	} else if (f->length && chunks_add(&s->kept, p, f->length)) {
		lost(j, -ENOMEM);
	}
}

static void end_streams(struct remote_job *j)
{
	int s;

	for (s = 1; s < JOB_STREAMS; s++) {
		j->stream[s].ended = true;
		if (j->stream[s].drop)
			j->stream[s].end_told = true;
	}
	j->in_broken = true;
}

/* What was asked for before anybody there could hear it. If a frame fails, the
 * pump finds the connection's end.
 */
static void send_delayed(struct remote_job *j)
{
	if (j->early_signal)
		remote_job_signal(j, j->early_signal);
	if (j->in_closed && j->state == JOB_RUNNING)
		remote_job_send(j, MSG_JOB_DATA, FRAME_EOF, NULL, 0);
}

static void take_started(struct remote_job *j, const struct frame *f,
			 const u8 *p)
{
	struct msg_job_started m;
	char node[sizeof(j->node)];

	if (j->state != JOB_STARTING ||
	    msg_job_started_decode(&m, p, f->length)) {
		lost(j, -EPROTO);
		return;
	}
	j->number = m.job;
	j->pid = m.pid;
	if (span_to_cstr(m.node, node, sizeof(node)))
		memcpy(j->node, node, sizeof(node));
	j->in_allowed += f->credit;
	j->state = f->flags & FRAME_MORE ? JOB_RUNNING : JOB_PARTED;
	if (j->state == JOB_PARTED) {
		end_streams(j);
		j->stream[1].end_told = j->stream[2].end_told = true;
	}
	send_delayed(j);
}

static void take_exit(struct remote_job *j, const struct frame *f, const u8 *p)
{
	if (msg_job_exit_decode(&j->end, p, f->length)) {
		lost(j, -EPROTO);
		return;
	}
	span_to_cstr(j->end.why, j->why, sizeof(j->why));
	span_to_cstr(j->end.remedy, j->remedy, sizeof(j->remedy));
	j->end.why = j->end.remedy = (struct span){ 0 };
	j->state = JOB_ENDED;
	end_streams(j);
	unwatch(j);
}

static void take_error(struct remote_job *j, const struct frame *f, const u8 *p)
{
	struct failure why = { 0 };
	struct msg_error m;

	if (msg_error_decode(&m, p, f->length)) {
		lost(j, -EPROTO);
		return;
	}
	failure_from_message(&why, &m);
	fail(j, &why);
}

static void take_frame(struct remote_job *j, const struct frame *f, const u8 *p)
{
	if (f->tag != j->tag || !(f->flags & FRAME_REPLY))
		return;
	switch (f->type) {
	case MSG_JOB_STARTED:
		take_started(j, f, p);
		break;
	case MSG_JOB_DATA:
	case MSG_JOB_CREDIT:
		if (f->stream == 0)
			take_input_frame(j, f);
		else if (f->stream < JOB_STREAMS && f->type == MSG_JOB_DATA)
			take_data(j, f, p);
		break;
	case MSG_JOB_EXIT:
		take_exit(j, f, p);
		break;
	case MSG_ERROR:
		take_error(j, f, p);
		break;
	}
}

/* While another thread waits at the socket the frames are left to it, or it would
 * not know that something came.
 */
void remote_job_pump(struct remote_job *j)
{
	while (!j->pumping && !remote_job_over(j)) {
		struct frame f;
		const u8 *p;
		int ret = client_try_recv(j->client, &f, &p);

		if (ret == -EAGAIN)
			return;
		if (ret > 0)
			take_frame(j, &f, p);
		else
			lost(j, ret && ret != -EPIPE ? ret : -ECONNRESET);
	}
}

static u64 clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000 + (u64)ts.tv_nsec / 1000;
}

/* Waits at the socket, as the only thread of this job that does. */
static int wait_at_socket(struct remote_job *j, u64 deadline_us)
{
	u64 now = deadline_us ? clock_us() : 0;
	int left = -1;
	int ret;

	if (deadline_us && deadline_us <= now)
		return -ETIMEDOUT;
	if (deadline_us)
		left = (int)((deadline_us - now + 999) / 1000);
	j->pumping = true;
	pthread_mutex_unlock(&j->lock);
	ret = client_wait(j->client, left);
	pthread_mutex_lock(&j->lock);
	j->pumping = false;
	if (!ret)
		remote_job_pump(j);
	pthread_cond_broadcast(&j->moved);
	return ret;
}

int remote_job_await(struct remote_job *j, u64 deadline_us)
{
	const struct timespec at = {
		.tv_sec = (time_t)(deadline_us / 1000000),
		.tv_nsec = (long)(deadline_us % 1000000) * 1000,
	};
	int ret;

	if (j->closed)
		return -EBADF;
	if (!j->pumping)
		ret = wait_at_socket(j, deadline_us);
	else if (deadline_us)
		ret = -pthread_cond_timedwait(&j->moved, &j->lock, &at);
	else
		ret = -pthread_cond_wait(&j->moved, &j->lock);
	return j->closed ? -EBADF : ret;
}
