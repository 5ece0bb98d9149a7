// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Input and output of a job that runs here; the contract is in job_here.h.
 *
 * Its output is read only as far as its caller has allowed, straight into the
 * connection's queue, so a job holds no buffer and a slow reader stops the
 * program. Its input is written as far as its pipe takes it; what does not fit
 * waits here, at most the window that was granted.
 */
#include "job_here.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "log.h"

enum {
	PIPE_BYTES = 1 << 20, /* of a pipe that is kept full */
	FULL_READS = 4, /* reads that filled the buffer before it grows */
	EOF_US = 3000, /* the end of a stream is told alone if the job goes on */
	HUNG_UP_US = 20000, /* before a terminal nobody has open is read again */
	CONTROL_D = 4,
};

void job_close_in(struct job *j)
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

void job_close_out(struct job *j, u32 stream)
{
	struct job_out *o = &j->out[stream];

	if (o->fd < 0)
		return;
	if (j->pty)
		job_close_in(j);
	unwatch_out(j, o);
	close(o->fd);
	o->fd = -1;
}

void job_close_streams(struct job *j)
{
	job_close_in(j);
	job_close_out(j, 1);
	job_close_out(j, 2);
}

/* --- output --- */

static bool may_read(const struct job *j, const struct job_out *o)
{
	return o->fd >= 0 && j->x.conn && o->credit && !o->hung_up &&
	       conn_queued(j->x.conn) <= CONN_HIGH;
}

/* Watches the pipe exactly while data from it could be sent. */
void job_rewatch_out(struct job *j, u32 stream)
{
	struct job_out *o = &j->out[stream];

	if (!may_read(j, o)) {
		unwatch_out(j, o);
	} else if (!o->watched) {
		o->watched = !loop_watch(j->x.jobs->node->loop, &o->watch,
					 EPOLLIN);
		if (!o->watched)
			job_close_out(j, stream);
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
	job_close_out(j, stream);
	j->out[stream].eof = true;
	if (j->state != ENDED && !timer_armed(&j->eof_timer))
		loop_arm(j->x.jobs->node->loop, &j->eof_timer, EOF_US);
}

void job_eof_fired(struct timer *t)
{
	struct job *j = (void *)((u8 *)t - offsetof(struct job, eof_timer));
	u32 s;

	for (s = 1; s < JOB_STREAMS; s++)
		if (j->out[s].eof) {
			j->out[s].eof = false;
			send_out(j, s, NULL, 0, FRAME_EOF);
		}
	j->out[1].hung_up = false;
	job_rewatch_out(j, 1);
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
bool job_read_out(struct job *j, u32 stream)
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
	job_read_out(j, stream);
	job_rewatch_out(j, stream);
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
	job_close_in(j);
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
	job_close_in(j);
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

void job_take_data(struct job *j, const struct frame *f, const u8 *payload)
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

void job_more_credit(struct job *j, u32 stream, u32 credit)
{
	struct job_out *o = &j->out[stream];

	o->credit += credit;
	if (o->credit > JOB_WINDOW_MAX)
		o->credit = JOB_WINDOW_MAX;
	/* At the end nothing wakes us but the caller. */
	while (j->state == ENDED && job_read_out(j, stream))
		;
	job_rewatch_out(j, stream);
	job_end_if_done(j);
}

/* --- opening --- */

void job_set_window(struct job *j, u16 rows, u16 cols)
{
	struct winsize ws = { .ws_row = rows, .ws_col = cols };

	if (j->pty && j->out[1].fd >= 0)
		ioctl(j->out[1].fd, TIOCSWINSZ, &ws);
}

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
	job_set_window(j, m->rows, m->cols);
	return fds[1] < 0 || fds[2] < 0 ? -EMFILE : 0;
}

int job_open_streams(struct job *j, const struct caller *who,
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
