// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A job that runs here: its start by virgo-spawn, its streams, its end.
 *
 *	STARTING -> RUNNING -> ENDED -> (gone)
 *
 * Its output is read only as far as its caller has allowed, straight into the
 * connection's queue, so a job holds no buffer and a slow reader stops the
 * program. Its input is written as far as its pipe takes it; what does not fit
 * waits here, at most the window that was granted. ENDED begins when virgo-spawn
 * says that nothing of the job is left; what its pipes still hold is sent first,
 * then JOB_EXIT.
 *
 * A caller that goes away takes the job with it: streams close at once, SIGHUP
 * and SIGCONT tell the program, and after GRACE_US all of it is killed.
 */
#include "job.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "audit.h"
#include "blobs.h"
#include "log.h"
#include "policy.h"

enum {
	GRACE_US = 500000, /* with 3.5 s to notice a cut cable, within 5 s */
	TIMEOUT_GRACE_US = 2000000,
	PIPE_BYTES = 1 << 20, /* of a pipe that is kept full */
	FULL_READS = 4, /* reads that filled the buffer before it grows */
	EOF_US = 3000, /* the end of a stream is told alone if the job goes on */
	HUNG_UP_US = 20000, /* before a terminal nobody has open is read again */
	CONTROL_D = 4,
};

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

static void job_end_if_done(struct job *j);
static void on_started(void *arg, u64 id, pid_t pid);

/* --- table --- */

static struct job **job_slot(struct jobs *js, u64 id)
{
	struct job **at = &js->by_id[id % JOB_BUCKETS];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void close_in(struct job *j)
{
	if (j->in.fd < 0)
		return;
	loop_unwatch(j->x.jobs->node->loop, &j->in.watch);
	close(j->in.fd);
	j->in.fd = -1;
	free(j->in.data);
	j->in.data = NULL;
	j->in.len = j->in.pos = 0;
}

static void unwatch_out(struct job *j, struct job_out *o)
{
	if (o->watched)
		loop_unwatch(j->x.jobs->node->loop, &o->watch);
	o->watched = false;
}

static void close_out(struct job *j, u32 stream)
{
	struct job_out *o = &j->out[stream];

	if (o->fd < 0)
		return;
	if (j->pty)
		close_in(j);
	unwatch_out(j, o);
	close(o->fd);
	o->fd = -1;
}

static void close_streams(struct job *j)
{
	close_in(j);
	close_out(j, 1);
	close_out(j, 2);
}

static void job_free(struct job *j)
{
	struct jobs *js = j->x.jobs;
	struct job **at = job_slot(js, j->id);

	if (*at == j) {
		*at = j->next;
		js->running--;
	}
	exchange_close(&j->x);
	close_streams(j);
	loop_disarm(js->node->loop, &j->timer);
	loop_disarm(js->node->loop, &j->eof_timer);
	if (j->end_due)
		j->freed = true;
	else
		free(j);
}

static void audit(struct job *j, const char *action, const char *result)
{
	struct node *n = j->x.jobs->node;
	char object[NODE_NAME_MAX + JOB_COMMAND_MAX + 32];

	snprintf(object, sizeof(object), "%s/%llu: %s", n->local.node,
		 (unsigned long long)j->id, j->command);
	audit_write(n->audit, j->from, j->user, action, object, result);
}

/* --- output --- */

static bool may_read(const struct job *j, const struct job_out *o)
{
	return o->fd >= 0 && j->x.conn && o->credit && !o->hung_up &&
	       conn_queued(j->x.conn) <= CONN_HIGH;
}

/* Watches the pipe exactly while data from it could be sent. */
static void rewatch_out(struct job *j, u32 stream)
{
	struct job_out *o = &j->out[stream];

	if (!may_read(j, o)) {
		unwatch_out(j, o);
	} else if (!o->watched) {
		o->watched = !loop_watch(j->x.jobs->node->loop, &o->watch,
					 EPOLLIN);
		if (!o->watched)
			close_out(j, stream);
	}
}

static void send_out(struct job *j, u32 stream, const void *data, size_t len,
		     u8 flags)
{
	const struct frame f = { .type = MSG_JOB_DATA, .stream = stream,
				 .tag = j->x.tag,
				 .flags = FRAME_REPLY | FRAME_MORE | flags };

	if (j->x.conn)
		conn_send(j->x.conn, &f, data, len, NULL, 0);
}

/* Most streams end because the job does, and JOB_EXIT says both. */
static void out_ended(struct job *j, u32 stream)
{
	close_out(j, stream);
	j->out[stream].eof = true;
	if (j->state != ENDED && !timer_armed(&j->eof_timer))
		loop_arm(j->x.jobs->node->loop, &j->eof_timer, EOF_US);
}

static void eof_fired(struct timer *t)
{
	struct job *j = (void *)((u8 *)t - offsetof(struct job, eof_timer));
	u32 s;

	for (s = 1; s < JOB_STREAMS; s++)
		if (j->out[s].eof) {
			j->out[s].eof = false;
			send_out(j, s, NULL, 0, FRAME_EOF);
		}
	j->out[1].hung_up = false;
	rewatch_out(j, 1);
}

/* A program on its way out closes its terminal before it has ended; closing ours
 * then would kill it with SIGHUP. It may also open /dev/tty again.
 */
static void hung_up(struct job *j, struct job_out *o)
{
	o->hung_up = true;
	if (!timer_armed(&j->eof_timer))
		loop_arm(j->x.jobs->node->loop, &j->eof_timer, HUNG_UP_US);
}

/* A reader as fast as the program saves switches between the two if more fits
 * between them.
 */
static void grow_pipe(struct job_out *o, size_t want, ssize_t got)
{
	if (got < (ssize_t)want || o->full_reads == FULL_READS) {
		if (got < (ssize_t)want && o->full_reads < FULL_READS)
			o->full_reads = 0;
		return;
	}
	if (++o->full_reads == FULL_READS)
		fcntl(o->fd, F_SETPIPE_SZ, PIPE_BYTES);
}

/* One read; true when there may be more at once. */
static bool read_out(struct job *j, u32 stream)
{
	struct job_out *o = &j->out[stream];
	size_t want = JOB_READ_BYTES;
	ssize_t n;

	if (!may_read(j, o))
		return false;
	if (want > o->credit)
		want = (size_t)o->credit;
	do
		n = read(o->fd, j->x.jobs->buffer, want);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		grow_pipe(o, 64 << 10, n);
		o->credit -= (u64)n;
		send_out(j, stream, j->x.jobs->buffer, (size_t)n, 0);
		return true;
	}
	if (n < 0 && errno == EIO && j->pty && j->state != ENDED) {
		hung_up(j, o);
		return false;
	}
	/* When nothing of the job is left, an empty
	 * pipe has ended too, whoever else may hold it open.
	 */
	if (n == 0 || errno != EAGAIN || j->state == ENDED)
		out_ended(j, stream);
	return false;
}

static void out_ready(struct job *j, u32 stream)
{
	read_out(j, stream);
	rewatch_out(j, stream);
	job_end_if_done(j);
}

static void stdout_ready(struct watch *w, u32 events)
{
	out_ready((void *)((u8 *)w - offsetof(struct job, out[1].watch)), 1);
}

static void stderr_ready(struct watch *w, u32 events)
{
	out_ready((void *)((u8 *)w - offsetof(struct job, out[2].watch)), 2);
}

/* --- input --- */

/* Lets the caller send on as the program takes, in few frames: what is allowed
 * and what waits here are together at most the window.
 */
static void allow_more(struct job *j)
{
	struct frame f = { .type = MSG_JOB_CREDIT, .tag = j->x.tag,
			   .flags = FRAME_REPLY | FRAME_MORE };
	u32 used = j->in.allowed + (j->in.len - j->in.pos);
	u32 window = jobs_window(j->x.jobs);

	if (window > JOB_WINDOW_IN)
		window = JOB_WINDOW_IN;
	if (j->in.eof || !j->x.conn || used > window - window / 4)
		return;
	f.credit = window - used;
	j->in.allowed += f.credit;
	conn_send(j->x.conn, &f, NULL, 0, NULL, 0);
}

static void in_broken(struct job *j)
{
	close_in(j);
	send_out(j, 0, NULL, 0, FRAME_EOF);
}

/* Writes to the program; gives what it took, -1 when it takes no more. */
static ssize_t write_in(struct job *j, const void *data, size_t len)
{
	ssize_t n;

	do
		n = write(j->in.fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	return n;
}

static void finish_in(struct job *j)
{
	static const u8 end = CONTROL_D;

	if (!j->in.eof || j->in.len || j->in.fd < 0)
		return;
	if (j->pty && write_in(j, &end, 1) < 0)
		log_debug("job %llu: its terminal is gone",
			  (unsigned long long)j->id);
	close_in(j);
}

static void in_ready(struct watch *w, u32 events)
{
	struct job *j = (void *)((u8 *)w - offsetof(struct job, in.watch));
	ssize_t n = write_in(j, j->in.data + j->in.pos, j->in.len - j->in.pos);

	if (n < 0) {
		in_broken(j);
		return;
	}
	j->in.pos += (u32)n;
	if (j->in.pos == j->in.len) {
		free(j->in.data);
		j->in.data = NULL;
		j->in.len = j->in.pos = 0;
		loop_unwatch(j->x.jobs->node->loop, &j->in.watch);
		finish_in(j);
	}
	allow_more(j);
}

/* Keeps what the pipe does not take now. */
static int keep_in(struct job *j, const u8 *data, u32 len)
{
	u32 left = j->in.len - j->in.pos;
	u8 *p = malloc(left + len);

	if (!p)
		return -ENOMEM;
	if (left)
		memcpy(p, j->in.data + j->in.pos, left);
	memcpy(p + left, data, len);
	free(j->in.data);
	j->in.data = p;
	j->in.pos = 0;
	j->in.len = left + len;
	if (left)
		return 0;
	j->in.watch = (struct watch){ .fd = j->in.fd, .ready = in_ready };
	return loop_watch(j->x.jobs->node->loop, &j->in.watch, EPOLLOUT);
}

static void violation(struct job *j, const char *what)
{
	struct failure f;

	failure_set(&f, -EPROTO, jobs_object(j->x.jobs), NULL, "%s", what);
	exchange_fail(&j->x, &f);
	exchange_close(&j->x);
	j->x.ops->gone(&j->x);
}

static void take_data(struct job *j, const struct frame *f, const u8 *payload)
{
	u32 len = f->length;
	ssize_t n = 0;

	if (len > j->in.allowed) {
		violation(j, "more input was sent than allowed");
		return;
	}
	j->in.allowed -= len;
	if (f->flags & FRAME_EOF)
		j->in.eof = true;
	if (j->in.fd < 0)
		return;
	if (len && !j->in.len) {
		n = write_in(j, payload, len);
		if (n < 0) {
			in_broken(j);
			return;
		}
	}
	if ((u32)n < len && keep_in(j, payload + n, len - (u32)n)) {
		violation(j, "out of memory for input");
		return;
	}
	finish_in(j);
	allow_more(j);
}

/* --- signals, window, the caller's end --- */

static void set_window(struct job *j, u16 rows, u16 cols)
{
	struct winsize ws = { .ws_row = rows, .ws_col = cols };

	if (j->pty && j->out[1].fd >= 0)
		ioctl(j->out[1].fd, TIOCSWINSZ, &ws);
}

static void more_credit(struct job *j, u32 stream, u32 credit)
{
	struct job_out *o = &j->out[stream];

	o->credit += credit;
	if (o->credit > JOB_WINDOW_MAX)
		o->credit = JOB_WINDOW_MAX;
	/* At the end nothing wakes us but the caller. */
	while (j->state == ENDED && read_out(j, stream))
		;
	rewatch_out(j, stream);
	job_end_if_done(j);
}

static void job_frame(struct exchange *x, const struct frame *f,
		      const u8 *payload)
{
	struct job *j = (struct job *)x;
	struct msg_job_signal sig;
	struct msg_job_winch winch;

	switch (f->type) {
	case MSG_JOB_DATA:
		if (f->stream == 0)
			take_data(j, f, payload);
		else if (f->stream < JOB_STREAMS && f->flags & FRAME_EOF)
			close_out(j, f->stream);
		break;
	case MSG_JOB_CREDIT:
		if (f->stream && f->stream < JOB_STREAMS)
			more_credit(j, f->stream, f->credit);
		break;
	case MSG_JOB_SIGNAL:
		if (msg_job_signal_decode(&sig, payload, f->length) ||
		    sig.signal < 1 || sig.signal > (u32)SIGRTMAX)
			break;
		if (j->state == STARTING)
			j->early_signal = (u8)sig.signal;
		else
			spawner_signal(x->jobs->spawner, j->id,
				       (int)sig.signal);
		break;
	case MSG_JOB_WINCH:
		if (!msg_job_winch_decode(&winch, payload, f->length))
			set_window(j, winch.rows, winch.cols);
		break;
	}
}

static void timer_fired(struct timer *t)
{
	struct job *j = (void *)((u8 *)t - offsetof(struct job, timer));
	struct jobs *js = j->x.jobs;

	if (j->leaving || j->timed_out) {
		spawner_kill(js->spawner, j->id);
		return;
	}
	j->timed_out = true;
	spawner_signal(js->spawner, j->id, SIGTERM);
	spawner_signal(js->spawner, j->id, SIGCONT);
	loop_arm(js->node->loop, t, TIMEOUT_GRACE_US);
}

static void job_gone(struct exchange *x)
{
	struct job *j = (struct job *)x;

	close_streams(j);
	if (j->state == ENDED) {
		job_free(j);
		return;
	}
	j->leaving = true;
	spawner_signal(x->jobs->spawner, j->id, SIGHUP);
	spawner_signal(x->jobs->spawner, j->id, SIGCONT);
	loop_arm(x->jobs->node->loop, &j->timer,
		 j->state == STARTING ? 0 : GRACE_US);
}

static const struct exchange_ops job_ops = { job_frame, job_gone };

void job_drained(struct jobs *js, struct conn *c)
{
	struct job *j, *next;
	u32 i, s;

	for (i = 0; i < JOB_BUCKETS; i++)
		for (j = js->by_id[i]; j; j = next) {
			next = j->next;
			if (j->x.conn != c)
				continue;
			for (s = 1; s < JOB_STREAMS; s++)
				rewatch_out(j, s);
		}
}

/* --- the end --- */

void exit_message(const struct spawn_exit *e, bool timed_out,
		  struct msg_job_exit *m, char *why, size_t why_size)
{
	int status = e->status;

	*m = (struct msg_job_exit){ .user_us = e->user_us,
				    .system_us = e->system_us,
				    .max_rss_bytes = e->max_rss_bytes };
	why[0] = 0;
	if (WIFSIGNALED(status)) {
		m->reason = JOB_SIGNALED;
		m->status = 128 + WTERMSIG(status);
	} else {
		m->reason = JOB_EXITED;
		m->status = WEXITSTATUS(status);
	}
	if (timed_out) {
		m->reason = JOB_TIMED_OUT;
		m->status = 124;
		snprintf(why, why_size, "its time is over");
	} else if (e->oom) {
		m->reason = JOB_OUT_OF_MEMORY;
		m->status = 128 + SIGKILL;
		snprintf(why, why_size, "it used more memory than its limit");
	}
	if (e->left)
		snprintf(why, why_size, "%u of its processes cannot be killed",
			 e->left);
	m->why = span_of(why);
}

static void audit_end(struct job *j)
{
	struct msg_job_exit m;
	char why[96], result[64];

	exit_message(&j->exit, j->timed_out, &m, why, sizeof(why));
	snprintf(result, sizeof(result), "%s %d", j->leaving ?
		 "caller gone, status" : j->timed_out ? "timed out, status" :
		 "status", m.status);
	audit(j, "run end", result);
}

static void audit_ends(struct jobs *js)
{
	struct job *j;

	while ((j = js->ended)) {
		js->ended = j->next_ended;
		audit_end(j);
		j->end_due = false;
		if (j->freed)
			free(j);
	}
}

static void run_ends(struct post *p)
{
	audit_ends((void *)((u8 *)p - offsetof(struct jobs, ends)));
}

/* Answers the end, if there is nothing more to send before, and has it put into
 * the audit behind that in the same round of the loop: a caller need not wait for
 * what is of no use to it.
 */
static void end_and_audit(struct job *j)
{
	struct jobs *js = j->x.jobs;
	struct job **at = &js->ended;
	bool first = !*at;

	while (*at)
		at = &(*at)->next_ended;
	j->end_due = true;
	j->next_ended = NULL;
	*at = j;
	job_end_if_done(j);
	if (first) {
		js->ends.run = run_ends;
		loop_defer(js->node->loop, &js->ends);
	}
}

static void job_end_if_done(struct job *j)
{
	struct msg_job_exit m;
	char why[96];

	if (j->state != ENDED || j->out[1].fd >= 0 || j->out[2].fd >= 0)
		return;
	exit_message(&j->exit, j->timed_out, &m, why, sizeof(why));
	exchange_reply(&j->x, false, JOB_EXIT, job_exit, &m);
	jobs_served(j->x.jobs, j->x.jobs->node->local.node, j->asked_us);
	job_free(j);
}

static void on_exited(void *arg, u64 id, const struct spawn_exit *e)
{
	struct jobs *js = arg;
	struct job *j = *job_slot(js, id);
	u32 s;

	if (!j)
		return;
	if (j->state == STARTING)
		on_started(js, id, e->pid);
	j->exit = *e;
	j->state = ENDED;
	loop_disarm(js->node->loop, &j->timer);
	loop_disarm(js->node->loop, &j->eof_timer);
	close_in(j);
	if (e->left)
		log_warning("job %llu: %u processes cannot be killed",
			    (unsigned long long)id, e->left);
	if (j->kept)
		kept_ended(j->kept, e);
	for (s = 1; s < JOB_STREAMS; s++) {
		j->out[s].hung_up = false;
		while (read_out(j, s))
			;
		if (!j->x.conn)
			close_out(j, s);
		rewatch_out(j, s);
	}
	end_and_audit(j);
}

/* --- the start --- */

static void on_started(void *arg, u64 id, pid_t pid)
{
	struct jobs *js = arg;
	struct job *j = *job_slot(js, id);
	struct msg_job_started m;
	struct frame f;
	u8 buf[NODE_NAME_MAX + 32];
	struct wcursor c = wcursor_of(buf, sizeof(buf));

	if (!j || j->state != STARTING)
		return;
	j->pid = pid;
	j->state = RUNNING;
	audit(j, "run", "ok");
	if (j->early_signal)
		spawner_signal(js->spawner, id, j->early_signal);
	if (j->timeout_us && !j->leaving)
		loop_arm(js->node->loop, &j->timer, j->timeout_us);
	m = (struct msg_job_started){ .job = id, .pid = (u32)pid,
				      .node = span_of(js->node->local.node) };
	msg_job_started_encode(&c, &m);
	f = (struct frame){ .type = MSG_JOB_STARTED, .tag = j->x.tag,
			    .flags = FRAME_REPLY | (j->kept ? 0 : FRAME_MORE) };
	if (!j->kept && !j->in.eof) {
		f.credit = JOB_WINDOW_IN;
		if (f.credit > jobs_window(js))
			f.credit = jobs_window(js);
		j->in.allowed = f.credit;
	}
	if (j->x.conn)
		conn_send(j->x.conn, &f, buf, wcursor_len(&c), NULL, 0);
	if (j->kept) {
		kept_started(j->kept, pid);
		exchange_close(&j->x);
	}
}

/* A program that cannot be run is the program's own failure, with the status a
 * shell gives it.
 */
static bool program_failure(const struct job *j, int error,
			    struct msg_job_exit *m, char *why, size_t size)
{
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(j->command, " "),
		 j->command);
	*m = (struct msg_job_exit){ .reason = JOB_NOT_EXECUTABLE, .status = 126 };
	if (error == ENOENT || error == ENOTDIR) {
		m->reason = JOB_NOT_FOUND;
		m->status = 127;
		snprintf(why, size, "no program '%s' there", name);
		m->remedy = span_of("install it there, or send it along with "
				    "--bcast");
	} else if (error == ENOEXEC) {
		snprintf(why, size, "'%s' is not a program for that machine",
			 name);
		m->remedy = span_of("choose a node of its architecture with -n, "
				    "or build it for that one");
	} else if (error == EACCES) {
		snprintf(why, size, "'%s' may not be executed there", name);
		m->remedy = span_of("chmod +x it, or check the mount's noexec");
	} else {
		snprintf(why, size, "'%s' cannot be executed: %s", name,
			 strerror(error));
	}
	m->why = span_of(why);
	return true;
}

static const char *stage_words(enum spawn_stage stage)
{
	switch (stage) {
	case STAGE_REQUEST:
		return "the request is malformed";
	case STAGE_FORK:
		return "no process can be made";
	case STAGE_SETUP:
		return "its streams cannot be set up";
	case STAGE_IDENTITY:
		return "cannot become the user";
	default:
		return "it cannot be started";
	}
}

static void start_failure(struct job *j, enum spawn_stage stage, int error,
			  const char *text, struct failure *f)
{
	const char *object = jobs_object(j->x.jobs);
	size_t what_len = strcspn(text, "\n");

	switch (stage) {
	case STAGE_USER:
		failure_set(f, -error, object,
			    text[what_len] ? text + what_len + 1 : NULL, "%.*s",
			    (int)what_len, text);
		break;
	case STAGE_LIMIT:
		failure_set(f, -EOPNOTSUPP, object,
			    "choose a node with cgroup v2, or leave the limit out",
			    error == EOPNOTSUPP ?
				    "the limit %s needs cgroup v2, which is not "
				    "usable there" :
				    "the limit%s cannot be set",
			    text);
		break;
	case STAGE_CWD:
		failure_set(f, -ENOTDIR, object,
			    "name another directory with --cwd",
			    "its directory cannot be entered: %s",
			    strerror(error));
		break;
	default:
		failure_set(f, error ? -error : -EIO, object, NULL, "%s: %s",
			    stage_words(stage), strerror(error));
	}
}

static void on_failed(void *arg, u64 id, enum spawn_stage stage, int error,
		      const char *text)
{
	struct jobs *js = arg;
	struct job *j = *job_slot(js, id);
	struct msg_job_exit m;
	struct failure f = { 0 };
	char why[160];

	if (!j)
		return;
	if (stage == STAGE_EXEC) {
		program_failure(j, error, &m, why, sizeof(why));
		exchange_reply(&j->x, false, JOB_EXIT, job_exit, &m);
		audit(j, "run", why);
	} else {
		start_failure(j, stage, error, text, &f);
		exchange_fail(&j->x, &f);
		audit(j, "run", f.what);
	}
	if (j->kept)
		kept_drop(j->kept);
	job_free(j);
}

static void on_name(void *arg, u32 uid, const char *name)
{
	jobs_name_known(arg, uid, name);
}

static void on_lost(void *arg)
{
	struct jobs *js = arg;
	struct failure f;
	struct job *j;
	u32 i;

	jobs_names_lost(js);
	failure_set(&f, -ECONNRESET, jobs_object(js), "once more",
		    "virgo-spawn ended, and the job with it");
	for (i = 0; i < JOB_BUCKETS; i++)
		while ((j = js->by_id[i])) {
			/* Nobody is left to see it end, not even of a detached
			 * one; the next helper clears what this leaves.
			 */
			if (j->pid > 0 && !j->kept)
				kill(-j->pid, SIGKILL);
			if (!j->kept)
				audit(j, "run end", "lost");
			exchange_fail(&j->x, &f);
			job_free(j);
		}
}

const struct spawner_ops job_spawner_ops = {
	.started = on_started,
	.failed = on_failed,
	.exited = on_exited,
	.name = on_name,
	.lost = on_lost,
};

static void set_out(struct job *j, u32 stream, int fd, u32 credit)
{
	j->out[stream].fd = fd;
	j->out[stream].credit = credit < JOB_WINDOW_MAX ? credit :
							  JOB_WINDOW_MAX;
	j->out[stream].watch = (struct watch){
		.fd = fd, .ready = stream == 1 ? stdout_ready : stderr_ready };
}

/* The job's ends into @fds, ours into @j. */
static int open_pipes(struct job *j, const struct msg_job_start *m, int *fds)
{
	int p[2];
	u32 s;

	for (s = 0; s < JOB_STREAMS; s++) {
		if (s == 0 && m->flags & JOB_NO_INPUT) {
			fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
			if (fds[0] < 0)
				return -errno;
			j->in.eof = true;
			continue;
		}
		if (pipe2(p, O_CLOEXEC))
			return -errno;
		fds[s] = p[s == 0 ? 0 : 1];
		p[0] = p[s == 0 ? 1 : 0];
		fcntl(p[0], F_SETFL, O_NONBLOCK);
		if (s == 0)
			j->in.fd = p[0];
		else
			set_out(j, s, p[0], m->window_bytes);
	}
	return 0;
}

static int open_terminal(struct job *j, const struct msg_job_start *m, int *fds)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

	if (master < 0)
		return -errno;
	set_out(j, 1, master, m->window_bytes);
	j->in.fd = fcntl(master, F_DUPFD_CLOEXEC, 0);
	j->pty = true;
	if (j->in.fd < 0 || unlockpt(master))
		return -errno;
	fds[0] = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fds[0] < 0)
		return -errno;
	fds[1] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	fds[2] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	set_window(j, m->rows, m->cols);
	return fds[1] < 0 || fds[2] < 0 ? -EMFILE : 0;
}

static int open_streams(struct job *j, const struct caller *who,
			const struct msg_job_start *m, int *fds, int *folder)
{
	int ret;

	if (m->flags & JOB_DETACH) {
		ret = kept_new(&j->kept, j->x.jobs, j->id, j->user, who,
			       j->command);
		return ret ? ret : kept_open_streams(j->kept, fds, folder);
	}
	return m->flags & JOB_PTY ? open_terminal(j, m, fds) :
				    open_pipes(j, m, fds);
}

/* Sends the request on to virgo-spawn, as this node and its user. */
static int submit(struct job *j, const struct msg_job_start *m,
		  const struct policy_grant *grant, int *fds, int blob,
		  int folder)
{
	const struct conf_cloud *conf = policy_conf(j->x.jobs->node->policy);
	struct spawn_start how = { .uid_min = (u32)conf->jobs_uid_min,
				   .pam = (u32)conf->jobs_pam };
	struct msg_job_start copy = *m;
	u32 count = JOB_STREAMS, flags = 0;
	struct wcursor c;
	size_t size;
	void *buf;
	int ret;

	snprintf(how.from, sizeof(how.from), "%s", j->from);
	copy.node = span_of(j->x.jobs->node->local.node);
	copy.user = span_of(j->user);
	if (copy.flags & JOB_DETACH)
		copy.flags &= ~(u32)JOB_PTY;
	if (copy.flags & (JOB_DETACH | JOB_PTY))
		copy.flags &= ~(u32)JOB_NO_INPUT;
	if (grant->system)
		flags |= SPAWN_ALLOW_SYSTEM;
	if (blob >= 0) {
		flags |= SPAWN_HAS_BLOB;
		fds[count++] = blob;
	}
	if (folder >= 0) {
		flags |= SPAWN_HAS_FOLDER;
		fds[count++] = folder;
	}
	size = msg_job_start_size(&copy);
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	c = wcursor_of(buf, size);
	msg_job_start_encode(&c, &copy);
	ret = spawner_start(j->x.jobs->spawner, j->id, flags, &how, buf, size,
			    fds, count);
	free(buf);
	return ret;
}

/* Whether this caller may run here, and as whom. */
static int admit(const struct caller *who, const struct msg_job_start *m,
		 struct policy_grant *grant)
{
	struct node *n = who->jobs->node;
	char object[NODE_NAME_MAX + JOB_COMMAND_MAX + 4];
	char command[JOB_COMMAND_MAX];
	struct failure f = { 0 };
	int ret;

	ret = policy_admit(n->policy, who->node, who->user,
			   jobs_object(who->jobs), grant, &f);
	if (!ret && who->jobs->running >= policy_conf(n->policy)->jobs_max)
		ret = failure_set(&f, -EAGAIN, jobs_object(who->jobs),
				  "later, or raise max below [jobs] in "
				  "virgo_cloud.conf there",
				  "%u jobs run there already",
				  who->jobs->running);
	if (!ret)
		return 0;
	jobs_command(m->argv, command, sizeof(command));
	snprintf(object, sizeof(object), "%s: %s", n->local.node, command);
	audit_write_failure(n->audit, who->node, who->user, "run", object, &f);
	conn_reply_failure(who->conn, who->tag, &f);
	return ret;
}

static struct job *job_new(const struct caller *who,
			   const struct msg_job_start *m,
			   const struct policy_grant *grant)
{
	struct jobs *js = who->jobs;
	struct job *j = calloc(1, sizeof(*j));
	struct job **at;

	if (!j)
		return NULL;
	j->x.jobs = js;
	j->in.fd = j->out[1].fd = j->out[2].fd = -1;
	j->timer.fire = timer_fired;
	j->eof_timer.fire = eof_fired;
	j->timeout_us = m->timeout_ms * 1000;
	j->started_s = (u64)time(NULL);
	if (!who->peer && !(m->flags & JOB_DETACH))
		j->asked_us = loop_clock_us();
	snprintf(j->user, sizeof(j->user), "%s", grant->user);
	snprintf(j->from, sizeof(j->from), "%s", who->node);
	jobs_command(m->argv, j->command, sizeof(j->command));
	j->id = jobs_new_id(js);
	if (!j->id || exchange_open(&j->x, who, &job_ops)) {
		free(j);
		return NULL;
	}
	at = job_slot(js, j->id);
	j->next = NULL;
	*at = j;
	js->running++;
	return j;
}

void job_start(const struct caller *who, const struct msg_job_start *m)
{
	int fds[SPAWN_FDS_MAX] = { -1, -1, -1, -1, -1, -1 };
	struct policy_grant grant;
	int blob = -1, folder = -1, ret, i;
	struct job *j;

	if (admit(who, m, &grant))
		return;
	if (m->blob.len == JOB_BLOB_HASH) {
		blob = blobs_find(who->jobs->blobs, grant.user, m->blob.data);
		if (blob < 0) {
			caller_fail(who, -ENODATA, jobs_object(who->jobs), NULL,
				    "the program is not there yet");
			return;
		}
	}
	j = job_new(who, m, &grant);
	ret = j ? open_streams(j, who, m, fds, &folder) : -ENOMEM;
	if (!ret)
		ret = submit(j, m, &grant, fds, blob, folder);
	for (i = 0; i < JOB_STREAMS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (blob >= 0)
		close(blob);
	if (folder >= 0)
		close(folder);
	if (ret) {
		if (j && j->kept)
			kept_drop(j->kept);
		if (j)
			job_free(j);
		caller_fail(who, ret, jobs_object(who->jobs), "once more",
			    "it cannot be started now: %s", strerror(-ret));
		return;
	}
	rewatch_out(j, 1);
	rewatch_out(j, 2);
}

/* --- other requests --- */

bool job_owned(const struct job *j, const struct caller *who)
{
	return !j->kept && (who->root || !strcmp(j->user, who->user));
}

void job_each(struct jobs *js, void (*fn)(void *arg, struct job *j), void *arg)
{
	struct job *j, *next;
	u32 i;

	for (i = 0; i < JOB_BUCKETS; i++)
		for (j = js->by_id[i]; j; j = next) {
			next = j->next;
			fn(arg, j);
		}
}

u32 job_count_asked(const struct jobs *js)
{
	const struct job *j;
	u32 i, count = 0;

	for (i = 0; i < JOB_BUCKETS; i++)
		for (j = js->by_id[i]; j; j = j->next)
			count += j->asked_us != 0;
	return count;
}

void job_describe(const struct job *j, struct rec_job_status *r)
{
	*r = (struct rec_job_status){
		.job = j->id,
		.node = span_of(j->x.jobs->node->local.node),
		.user = span_of(j->user),
		.from = span_of(j->from),
		.state = span_of(j->state == STARTING ? "starting" :
				 j->state == RUNNING ? "running" : "ended"),
		.started_s = j->started_s,
		.pid = (u32)j->pid,
		.command = span_of(j->command),
	};
}

void job_signal_id(const struct caller *who, u64 id, int sig)
{
	struct jobs *js = who->jobs;
	struct job *j = *job_slot(js, id);
	struct kept *k = kept_find(js, id);
	const struct msg_ok ok = {};

	if (k ? !kept_owned(k, who) : !j || !job_owned(j, who)) {
		caller_fail(who, -ESRCH, "kill", "virgo ps shows your jobs",
			    "no job %s/%llu of yours", js->node->local.node,
			    (unsigned long long)id);
		return;
	}
	if (sig < 1 || sig > SIGRTMAX) {
		caller_fail(who, -EINVAL, "kill", NULL, "no signal %d", sig);
		return;
	}
	if (j && sig == SIGKILL)
		spawner_kill(js->spawner, id);
	else if (j)
		spawner_signal(js->spawner, id, sig);
	else
		kept_signal(k, sig);
	conn_reply(who->conn, who->tag, OK, ok, &ok);
}

void job_kill_all(struct jobs *js)
{
	struct job *j;
	u32 i;

	audit_ends(js);
	/* virgo-spawn does the killing when it sees our end. */
	for (i = 0; i < JOB_BUCKETS; i++)
		while ((j = js->by_id[i]))
			job_free(j);
}
