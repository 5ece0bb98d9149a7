// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A job that runs here: its start by virgo-spawn, its record, what its caller asks
 * of it. Its streams are in job_stream.c, its end in job_events.c.
 *
 *	STARTING -> RUNNING -> ENDED -> (gone)
 *
 * A caller that goes away takes the job with it: streams close at once, SIGHUP
 * and SIGCONT tell the program, and after GRACE_US all of it is killed.
 */
#include "job_here.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "audit.h"
#include "blobs.h"
#include "policy.h"

enum {
	GRACE_US = 500000, /* with 3.5 s to notice a cut cable, within 5 s */
	TIMEOUT_GRACE_US = 2000000,
};

/* --- table --- */

struct job **job_slot(struct jobs *js, u64 id)
{
	struct job **at = &js->by_id[id % JOB_BUCKETS];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

void job_forget(struct job *j)
{
	struct jobs *js = j->x.jobs;
	struct job **at = job_slot(js, j->id);

	if (*at == j) {
		*at = j->next;
		js->running--;
	}
	exchange_close(&j->x);
	job_close_streams(j);
	loop_disarm(js->node->loop, &j->timer);
	loop_disarm(js->node->loop, &j->eof_timer);
	if (j->end_due)
		j->freed = true;
	else
		free(j);
}

void job_audit(struct job *j, const char *action, const char *result)
{
	struct node *n = j->x.jobs->node;
	char object[NODE_NAME_MAX + JOB_COMMAND_MAX + 32];

	snprintf(object, sizeof(object), "%s/%llu: %s", n->local.node,
		 (unsigned long long)j->id, j->command);
	audit_write(n->audit, j->from, j->user, action, object, result);
}

/* --- signals, window, the caller's end --- */

static void job_frame(struct exchange *x, const struct frame *f,
		      const u8 *payload)
{
	struct job *j = (struct job *)x;
	struct msg_job_signal sig;
	struct msg_job_winch winch;

	switch (f->type) {
	case MSG_JOB_DATA:
		if (f->stream == 0)
			job_take_data(j, f, payload);
		else if (f->stream < JOB_STREAMS && f->flags & FRAME_EOF)
			job_close_out(j, f->stream);
		break;
	case MSG_JOB_CREDIT:
		if (f->stream && f->stream < JOB_STREAMS)
			job_more_credit(j, f->stream, f->credit);
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
			job_set_window(j, winch.rows, winch.cols);
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

	job_close_streams(j);
	if (j->state == ENDED) {
		job_forget(j);
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
				job_rewatch_out(j, s);
		}
}

/* --- the start --- */

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
	j->eof_timer.fire = job_eof_fired;
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
	ret = j ? job_open_streams(j, who, m, fds, &folder) : -ENOMEM;
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
			job_forget(j);
		caller_fail(who, ret, jobs_object(who->jobs), "once more",
			    "it cannot be started now: %s", strerror(-ret));
		return;
	}
	job_rewatch_out(j, 1);
	job_rewatch_out(j, 2);
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

	job_audit_ends(js);
	/* virgo-spawn does the killing when it sees our end. */
	for (i = 0; i < JOB_BUCKETS; i++)
		while ((j = js->by_id[i]))
			job_forget(j);
}
