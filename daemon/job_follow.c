// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that follow a detached job: attached ones get its output from the
 * beginning as far as they allow it, then its end; waiting ones its end only.
 */
#include <fcntl.h>
#include <unistd.h>

#include "job_kept_impl.h"

void follower_free(struct follower *f)
{
	int s;

	for (s = 1; s < JOB_STREAMS; s++)
		if (f->fd[s] >= 0)
			close(f->fd[s]);
	exchange_close(&f->x);
	*f->at = f->next;
	if (f->next)
		f->next->at = f->at;
	free(f);
}

/* Sends what is there and allowed; at the end of an ended job closes. */
static void pump_stream(struct follower *f, int s)
{
	struct jobs *js = f->x.jobs;
	struct frame out = { .type = MSG_JOB_DATA, .stream = (u32)s,
			     .tag = f->x.tag,
			     .flags = FRAME_REPLY | FRAME_MORE };
	ssize_t n;

	while (f->fd[s] >= 0 && f->credit[s] &&
	       conn_queued(f->x.conn) <= CONN_HIGH) {
		size_t want = JOB_READ_BYTES;

		if (want > f->credit[s])
			want = (size_t)f->credit[s];
		n = read(f->fd[s], js->buffer, want);
		if (n > 0) {
			f->credit[s] -= (u64)n;
			conn_send(f->x.conn, &out, js->buffer, (size_t)n, NULL,
				  0);
			continue;
		}
		if (n == 0 && f->kept->state < KEPT_ENDED)
			return;
		close(f->fd[s]);
		f->fd[s] = -1;
	}
}

static void pump(struct follower *f)
{
	pump_stream(f, 1);
	pump_stream(f, 2);
}

static void tell_end(struct follower *f)
{
	struct kept *k = f->kept;
	struct msg_job_exit m;
	char why[96];

	exit_message(&k->exit, false, &m, why, sizeof(why));
	if (k->state == KEPT_UNSEEN) {
		m = (struct msg_job_exit){ .reason = JOB_LOST, .status = 255 };
		m.why = span_of("nobody saw it end: the machine or virgo-spawn "
				"went down while it ran");
	}
	exchange_reply(&f->x, false, JOB_EXIT, job_exit, &m);
}

static void told_everybody(struct kept *k)
{
	struct follower *f = k->followers;
	bool collect = false;

	while (f) {
		struct follower *next = f->next;

		if (f->fd[1] < 0 && f->fd[2] < 0) {
			collect |= f->collect;
			tell_end(f);
			follower_free(f);
		}
		f = next;
	}
	if (collect && !k->followers)
		kept_drop(k);
}

void kept_pump(struct kept *k)
{
	struct follower *f, *next;

	for (f = k->followers; f; f = next) {
		next = f->next;
		pump(f);
	}
}

void kept_over(struct kept *k)
{
	kept_rewatch(k);
	kept_pump(k);
	told_everybody(k);
}

static void follower_frame(struct exchange *x, const struct frame *f,
			   const u8 *payload)
{
	struct follower *w = (struct follower *)x;
	struct msg_job_signal sig;

	if (f->type == MSG_JOB_SIGNAL &&
	    !msg_job_signal_decode(&sig, payload, f->length))
		kept_signal(w->kept, (int)sig.signal);
	if (f->type != MSG_JOB_CREDIT || !f->stream || f->stream >= JOB_STREAMS)
		return;
	w->credit[f->stream] += f->credit;
	if (w->credit[f->stream] > JOB_WINDOW_MAX)
		w->credit[f->stream] = JOB_WINDOW_MAX;
	pump(w);
	if (w->kept->state >= KEPT_ENDED)
		told_everybody(w->kept);
}

static void follower_gone(struct exchange *x)
{
	struct follower *f = (struct follower *)x;
	struct kept *k = f->kept;

	follower_free(f);
	kept_rewatch(k);
}

static const struct exchange_ops follower_ops = { follower_frame,
						  follower_gone };

void kept_drained(struct jobs *js, struct conn *c)
{
	struct kept *k, *next_kept;
	struct follower *f, *next;

	for (k = js->kept; k; k = next_kept) {
		bool some = false;

		next_kept = k->next;
		for (f = k->followers; f; f = next) {
			next = f->next;
			if (f->x.conn != c)
				continue;
			pump(f);
			some = true;
		}
		if (some && k->state >= KEPT_ENDED)
			told_everybody(k);
	}
}

static void follow(const struct caller *who, u64 id, const char *verb,
		   bool output, u32 window)
{
	struct kept *k = kept_find(who->jobs, id);
	struct msg_job_started m;
	struct follower *f;
	int s;

	if (!k || !kept_owned(k, who)) {
		caller_fail(who, -ESRCH, verb, "virgo ps shows your jobs",
			    "no detached job %s/%llu of yours",
			    who->jobs->node->local.node, (unsigned long long)id);
		return;
	}
	f = calloc(1, sizeof(*f));
	if (!f || exchange_open(&f->x, who, &follower_ops)) {
		free(f);
		caller_fail(who, -EBUSY, verb, NULL, "too much is under way");
		return;
	}
	f->kept = k;
	f->collect = !output;
	for (s = 0; s < JOB_STREAMS; s++)
		f->fd[s] = -1;
	f->next = k->followers;
	f->at = &k->followers;
	if (f->next)
		f->next->at = &f->next;
	k->followers = f;
	if (output) {
		f->fd[1] = openat(k->dir_fd, "stdout", O_RDONLY | O_CLOEXEC);
		f->fd[2] = openat(k->dir_fd, "stderr", O_RDONLY | O_CLOEXEC);
		f->credit[1] = f->credit[2] = window < JOB_WINDOW_MAX ?
						      window : JOB_WINDOW_MAX;
		m = (struct msg_job_started){
			.job = id, .pid = (u32)k->pid,
			.node = span_of(who->jobs->node->local.node) };
		exchange_reply(&f->x, true, JOB_STARTED, job_started, &m);
	}
	kept_rewatch(k);
	pump(f);
	if (k->state >= KEPT_ENDED)
		told_everybody(k);
}

void kept_attach(const struct caller *who, const struct msg_job_attach *m)
{
	follow(who, m->job, "attach", true, m->window_bytes);
}

void kept_wait(const struct caller *who, const struct msg_job_wait *m)
{
	follow(who, m->job, "wait", false, 0);
}
