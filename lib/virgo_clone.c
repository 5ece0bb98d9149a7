// SPDX-License-Identifier: LGPL-2.1-or-later
/* virgo_clone() and virgo_attach(): how a job's descriptor comes to be. */
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "remote_job.h"
#include "virgo.h"

enum {
	CLONE_KNOWN = VIRGO_CLONE_PTY | VIRGO_CLONE_DETACH |
		      VIRGO_CLONE_NONBLOCK | VIRGO_CLONE_NO_STDIN |
		      VIRGO_CLONE_NO_STDOUT | VIRGO_CLONE_NO_STDERR |
		      VIRGO_CLONE_UMASK,
	ATTACH_KNOWN = VIRGO_CLONE_NONBLOCK | VIRGO_CLONE_NO_STDOUT |
		       VIRGO_CLONE_NO_STDERR,
	ROWS = 24,
	COLS = 80,
	CWD_MAX = 4096,
};

/* The struct of the first version ends here; no version has holes. */
enum { ARGS_FIRST = offsetof(struct virgo_clone_args, umask) + 4 };

static int bad(const char *what)
{
	return api_fail_with(-EINVAL, "virgo_clone", NULL, "%s", what);
}

/* The caller's struct of @size bytes into @out, as clone3(2) does it. */
static int take_args(struct virgo_clone_args *out,
		     const struct virgo_clone_args *args, size_t size)
{
	const u8 *p = (const u8 *)args;
	size_t i;

	if (!args || size < ARGS_FIRST)
		return bad("the struct of arguments is too small");
	memset(out, 0, sizeof(*out));
	memcpy(out, p, size < sizeof(*out) ? size : sizeof(*out));
	for (i = sizeof(*out); i < size; i++)
		if (p[i])
			return api_fail_with(-E2BIG, "virgo_clone",
					     "install a newer libvirgo",
					     "this version does not know all "
					     "arguments");
	if (out->flags & ~(uint64_t)CLONE_KNOWN)
		return bad("unknown flag");
	if (!out->argv || !out->argv[0])
		return bad("no program is named: argv is empty");
	if (out->flags & VIRGO_CLONE_PTY && out->flags & VIRGO_CLONE_DETACH)
		return bad("PTY and DETACH exclude each other");
	if (out->flags & VIRGO_CLONE_UMASK && out->umask > 0777)
		return bad("umask has other bits than permissions");
	return 0;
}

/* --- choosing --- */

int virgo_choose(const char *policy, const char *candidates, char *node,
		 size_t size)
{
	const struct msg_choose ask = { .policy = span_of(policy), .count = 1,
					.candidates = span_of(candidates) };
	struct failure f = { 0 };
	struct client *c;
	struct rec_choice best;
	struct msg_chosen m;
	struct span reply;
	struct rcursor r;
	size_t len = msg_choose_size(&ask);
	u8 *buf = len <= FRAME_MAX ? malloc(len) : NULL;
	struct wcursor w;

	if (!buf)
		return (int)api_result(len <= FRAME_MAX ? -ENOMEM : -E2BIG,
				       "choice of a node");
	w = wcursor_of(buf, len);
	msg_choose_encode(&w, &ask);
	if (api_connect(&c, &f)) {
		free(buf);
		return api_fail(&f);
	}
	if (!client_call(c, MSG_CHOOSE, buf, len, MSG_CHOSEN, &reply, &f)) {
		r = rcursor_of(NULL, 0);
		if (!msg_chosen_decode(&m, reply.data, reply.len))
			r = rcursor_of(m.nodes.data, m.nodes.len);
		if (rec_choice_next(&r, &best) <= 0)
			failure_set(&f, -EHOSTDOWN, "choice of a node",
				    "virgo status", "no node can take the job");
		else if (!span_to_cstr(best.name, node, size))
			failure_set(&f, -ENAMETOOLONG, "choice of a node", NULL,
				    "its name does not fit");
	}
	client_close(c);
	free(buf);
	return f.code ? api_fail(&f) : 0;
}

/* --- the request --- */

/* At most so many bytes is it encoded. */
static size_t list_size(const char *const *v)
{
	size_t size = 0;
	int i;

	for (i = 0; v && v[i]; i++)
		size += 8 + strlen(v[i]);
	return size;
}

static struct span encode_list(const char *const *v, u8 **memory)
{
	size_t size = list_size(v);
	struct wcursor w;
	int i;

	*memory = size <= FRAME_MAX ? malloc(size + 1) : NULL;
	if (!*memory)
		return (struct span){ 0 };
	w = wcursor_of(*memory, size);
	for (i = 0; v && v[i]; i++)
		rec_text_append(&w, &(struct rec_text){ span_of(v[i]) });
	return (struct span){ *memory, (u32)size };
}

/* The caller's directory when it is one of the cloud's, else "". */
static const char *own_directory(char *buf, size_t size)
{
	if (!getcwd(buf, size) ||
	    (strcmp(buf, "/virgo") && strncmp(buf, "/virgo/", 7)))
		buf[0] = 0;
	return buf;
}

static int send_start(struct remote_job *j, const struct virgo_clone_args *a,
		      struct failure *f)
{
	char here[CWD_MAX];
	bool pty = a->flags & VIRGO_CLONE_PTY;
	struct msg_job_start m = {
		.node = span_of(j->node),
		.flags = (pty ? JOB_PTY : 0) |
			 (a->flags & VIRGO_CLONE_DETACH ? JOB_DETACH : 0),
		.cwd = span_of(a->cwd ? a->cwd :
					own_directory(here, sizeof(here))),
		.umask = a->flags & VIRGO_CLONE_UMASK ? (u16)a->umask :
							JOB_UMASK_DEFAULT,
		.timeout_ms = a->timeout_ms,
		.memory_bytes = a->memory_bytes,
		.cpu_ppm = a->cpu_ppm,
		.pids = a->pids,
		.window_bytes = REMOTE_JOB_WINDOW,
	};
	u8 *argv, *env, *buf = NULL;
	size_t size;
	int ret = -E2BIG;

	if (pty) {
		m.term = span_of(a->term ? a->term : getenv("TERM"));
		m.rows = a->rows ? a->rows : ROWS;
		m.cols = a->cols ? a->cols : COLS;
	}
	m.argv = encode_list(a->argv, &argv);
	m.env = encode_list(a->env, &env);
	size = msg_job_start_size(&m);
	if (argv && env && size <= FRAME_MAX)
		buf = malloc(size);
	if (buf) {
		struct wcursor w = wcursor_of(buf, size);

		msg_job_start_encode(&w, &m);
		ret = remote_job_request(j, MSG_JOB_START, buf, size);
	}
	free(argv);
	free(env);
	free(buf);
	return ret ? failure_set(f, ret, "virgo_clone", NULL, "%s",
				 ret == -E2BIG ?
				 "arguments and environment are too long" :
				 strerror(-ret)) :
		     0;
}

static void set_flags(struct remote_job *j, uint64_t flags)
{
	j->nonblock = flags & VIRGO_CLONE_NONBLOCK;
	j->in_closed = flags & VIRGO_CLONE_NO_STDIN;
	j->stream[1].drop = flags & VIRGO_CLONE_NO_STDOUT;
	j->stream[2].drop = flags & VIRGO_CLONE_NO_STDERR;
}

/* The failure of a job that did not get as far as running; 0 when it did. */
static int start_failure(const struct remote_job *j, struct failure *f)
{
	char object[96];

	if (j->number)
		return 0;
	if (j->state == JOB_FAILED)
		*f = j->failure;
	snprintf(object, sizeof(object), "run on %s", j->node);
	if (j->state == JOB_ENDED && j->end.reason == JOB_NOT_FOUND)
		failure_set(f, -ENOENT, object, j->remedy, "%s", j->why);
	if (j->state == JOB_ENDED && j->end.reason == JOB_NOT_EXECUTABLE)
		failure_set(f, -ENOEXEC, object, j->remedy, "%s", j->why);
	return f->code;
}

/* Waits for the answer to the request, signals or not: what has been started
 * must not be lost to the caller.
 */
static void wait_for_start(struct remote_job *j)
{
	pthread_mutex_lock(&j->lock);
	while (j->state == JOB_STARTING) {
		int ret = remote_job_await(j, 0);

		if (ret && ret != -EINTR)
			break;
	}
	remote_job_leave(j);
}

/* The descriptor of a job whose request was sent with result @ret. */
static int make_descriptor(struct remote_job *j, int ret, struct failure *f)
{
	int fd;

	if (!ret && !j->nonblock)
		wait_for_start(j);
	if (ret || start_failure(j, f)) {
		remote_job_free(j);
		return api_fail(f);
	}
	fd = remote_job_publish(j, f);
	if (fd < 0) {
		remote_job_free(j);
		return api_fail(f);
	}
	/* What came before must show on the descriptor. */
	virgo_job_ready(fd);
	return fd;
}

/* A job on @node over @c, which it takes over. */
static struct remote_job *job_over(struct client *c, const char *node,
				   struct failure *f)
{
	struct remote_job *j;

	if (strlen(node) >= sizeof(j->node)) {
		failure_set(f, -EINVAL, "node", "virgo status",
			    "no node has such a long name");
		client_close(c);
		return NULL;
	}
	j = remote_job_new(c, f);
	if (j)
		snprintf(j->node, sizeof(j->node), "%s", node);
	return j;
}

/* NULL: this node. */
static struct remote_job *new_job(const char *node, struct failure *f)
{
	struct client *c;

	if (api_connect(&c, f))
		return NULL;
	return job_over(c, node ? node : client_node(c), f);
}

/* The job goes from kernel to kernel where that can be; not a detached one, whose
 * end virgod is asked for.
 */
static struct remote_job *new_job_of(const struct virgo_clone_args *a,
				     struct failure *f)
{
	struct client *c;

	if (a->flags & VIRGO_CLONE_DETACH ||
	    api_open_module(&c, a->node, list_size(a->argv) + list_size(a->env)))
		return new_job(a->node, f);
	return job_over(c, a->node, f);
}

int virgo_clone(const struct virgo_clone_args *args, size_t size)
{
	struct virgo_clone_args a;
	struct failure f = { 0 };
	struct remote_job *j;
	char best[sizeof(j->node)];

	if (take_args(&a, args, size))
		return -1;
	if (a.node && a.node[0]) {
		j = new_job_of(&a, &f);
	} else {
		/* Its choice is counted by virgod, so that takes the job, too. */
		if (virgo_choose(a.policy, NULL, best, sizeof(best)))
			return -1;
		a.node = best;
		j = new_job(best, &f);
	}
	if (!j)
		return api_fail(&f);
	set_flags(j, a.flags);
	return make_descriptor(j, send_start(j, &a, &f), &f);
}

int virgo_attach(const char *node, uint64_t job, uint64_t flags)
{
	struct msg_job_attach m = { .job = job,
				    .window_bytes = REMOTE_JOB_WINDOW };
	struct failure f = { 0 };
	struct remote_job *j;
	u8 buf[128];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	int ret;

	if (flags & ~(uint64_t)ATTACH_KNOWN)
		return api_fail_with(-EINVAL, "virgo_attach", NULL,
				     "unknown flag");
	j = new_job(node, &f);
	if (!j)
		return api_fail(&f);
	set_flags(j, flags);
	j->in_broken = true;
	m.node = span_of(j->node);
	msg_job_attach_encode(&w, &m);
	ret = remote_job_request(j, MSG_JOB_ATTACH, buf, wcursor_len(&w));
	if (ret)
		failure_set(&f, ret, "virgo_attach", NULL, "%s",
			    strerror(-ret));
	return make_descriptor(j, ret, &f);
}
