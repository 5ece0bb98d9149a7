// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What virgo-spawn tells of a job that runs here; the contract is in job_here.h.
 *
 * ENDED begins when virgo-spawn says that nothing of the job is left; what its
 * pipes still hold is sent first, then JOB_EXIT.
 */
#include "job_here.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "log.h"

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
	job_audit(j, "run", "ok");
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

/* --- a start that failed --- */

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
		job_audit(j, "run", why);
	} else {
		start_failure(j, stage, error, text, &f);
		exchange_fail(&j->x, &f);
		job_audit(j, "run", f.what);
	}
	if (j->kept)
		kept_drop(j->kept);
	job_forget(j);
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
	job_audit(j, "run end", result);
}

void job_audit_ends(struct jobs *js)
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
	job_audit_ends((void *)((u8 *)p - offsetof(struct jobs, ends)));
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

void job_end_if_done(struct job *j)
{
	struct msg_job_exit m;
	char why[96];

	if (j->state != ENDED || j->out[1].fd >= 0 || j->out[2].fd >= 0)
		return;
	exit_message(&j->exit, j->timed_out, &m, why, sizeof(why));
	exchange_reply(&j->x, false, JOB_EXIT, job_exit, &m);
	jobs_served(j->x.jobs, j->x.jobs->node->local.node, j->asked_us);
	job_forget(j);
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
	job_close_in(j);
	if (e->left)
		log_warning("job %llu: %u processes cannot be killed",
			    (unsigned long long)id, e->left);
	if (j->kept)
		kept_ended(j->kept, e);
	for (s = 1; s < JOB_STREAMS; s++) {
		j->out[s].hung_up = false;
		while (job_read_out(j, s))
			;
		if (!j->x.conn)
			job_close_out(j, s);
		job_rewatch_out(j, s);
	}
	end_and_audit(j);
}

/* --- the rest --- */

static void on_name(void *arg, u32 uid, const char *name, int error)
{
	jobs_name_known(arg, uid, name, error);
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
				job_audit(j, "run end", "lost");
			exchange_fail(&j->x, &f);
			job_forget(j);
		}
}

const struct spawner_ops job_spawner_ops = {
	.started = on_started,
	.failed = on_failed,
	.exited = on_exited,
	.name = on_name,
	.lost = on_lost,
};
