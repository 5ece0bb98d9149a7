// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The job service's front: requests come here, from local programs and from
 * other nodes, and go to the part that does them; frames of what is under way
 * find their exchange by (connection, tag).
 *
 * A local caller is a uid, and other nodes want a name, which only the user data
 * base knows (job_names.c). Requests for another node are passed on with that
 * name in them (job_relay.c). A request from another node is believed about the
 * name: its virgod vouches for it, and policy says what that is worth.
 */
#include "job.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "blobs.h"
#include "log.h"
#include "peers.h"
#include "policy.h"
#include "service.h"
#include "where.h"

enum {
	IDS_AT_ONCE = 256, /* numbers reserved by one write of the file */
};

static struct jobs *jobs_of(struct node *n)
{
	return n->jobs;
}

/* --- exchanges --- */

static struct exchange **exchange_slot(struct jobs *js, struct conn *c, u64 tag)
{
	size_t n = ((uintptr_t)c / 64 + tag) % EXCHANGE_BUCKETS;
	struct exchange **at = &js->exchanges[n];

	while (*at && ((*at)->conn != c || (*at)->tag != tag))
		at = &(*at)->next;
	return at;
}

int exchange_open(struct exchange *x, const struct caller *who,
		  const struct exchange_ops *ops)
{
	struct exchange **at = exchange_slot(who->jobs, who->conn, who->tag);

	if (*at)
		return -EEXIST;
	if (who->jobs->streams >= EXCHANGES_MAX)
		return -EBUSY;
	*x = (struct exchange){ .jobs = who->jobs, .ops = ops, .tag = who->tag,
				.conn = conn_get(who->conn) };
	*at = x;
	who->jobs->streams++;
	return 0;
}

void exchange_close(struct exchange *x)
{
	struct exchange **at;

	if (!x->conn)
		return;
	at = exchange_slot(x->jobs, x->conn, x->tag);
	*at = x->next;
	conn_put(x->conn);
	x->conn = NULL;
	x->jobs->streams--;
}

u32 jobs_window(const struct jobs *js)
{
	u32 share = JOB_BUDGET / (2 * (js->streams ? js->streams : 1));

	if (share > JOB_WINDOW_MAX)
		return JOB_WINDOW_MAX;
	return share < JOB_WINDOW_LEAST ? JOB_WINDOW_LEAST : share;
}

void exchange_fail(struct exchange *x, const struct failure *f)
{
	if (x->conn)
		conn_reply_failure(x->conn, x->tag, f);
}

void caller_fail(const struct caller *who, int code, const char *object,
		 const char *remedy, const char *what_fmt, ...)
{
	char what[sizeof(((struct failure *)0)->what)];
	struct failure f;
	va_list ap;

	va_start(ap, what_fmt);
	vsnprintf(what, sizeof(what), what_fmt, ap);
	va_end(ap);
	failure_set(&f, code, object, remedy, "%s", what);
	conn_reply_failure(who->conn, who->tag, &f);
}

const char *jobs_object(const struct jobs *js)
{
	static char object[NODE_NAME_MAX + 16];

	snprintf(object, sizeof(object), "run on %s", js->node->local.node);
	return object;
}

void jobs_command(struct span argv, char *out, size_t size)
{
	struct rcursor c = rcursor_of(argv.data, argv.len);
	struct rec_text t;
	size_t at = 0;

	out[0] = 0;
	while (at + 1 < size && rec_text_next(&c, &t) > 0)
		at += (size_t)snprintf(out + at, size - at, "%s%.*s",
				       at ? " " : "", (int)t.text.len,
				       (const char *)t.text.data);
	/* It goes into lines of files and onto terminals. */
	for (; *out; out++)
		if ((u8)*out < ' ' || *out == 127)
			*out = '?';
}

/* --- numbers --- */

/* Job numbers are never used twice, also after a crash: blocks of them are
 * reserved in a file before the first of a block is given out.
 */
static int reserve_ids(struct jobs *js)
{
	char text[32];
	int fd, len, ret = 0;

	fd = openat(js->state_fd, ".next", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;
	len = snprintf(text, sizeof(text), "%llu\n",
		       (unsigned long long)js->next_id + IDS_AT_ONCE);
	if (write(fd, text, (size_t)len) != len)
		ret = errno ? -errno : -ENOSPC;
	close(fd);
	if (!ret && renameat(js->state_fd, ".next", js->state_fd, "next"))
		ret = -errno;
	if (!ret)
		js->ids_until = js->next_id + IDS_AT_ONCE;
	return ret;
}

static int load_ids(struct jobs *js)
{
	char text[32] = "";
	int fd = openat(js->state_fd, "next", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) < 0)
			text[0] = 0;
		close(fd);
	}
	js->next_id = strtoull(text, NULL, 10);
	if (!js->next_id)
		js->next_id = 1;
	return reserve_ids(js);
}

u64 jobs_new_id(struct jobs *js)
{
	if (js->next_id == js->ids_until && reserve_ids(js))
		return 0;
	return js->next_id++;
}

/* --- requests, once their user is known --- */

static void list_one(void *arg, struct rec_job_status *r)
{
	struct wcursor *c = arg;

	/* A full answer ends the list; FRAME_MAX holds thousands of rows. */
	if (4 + rec_job_status_size(r) <= (size_t)(c->end - c->pos))
		rec_job_status_append(c, r);
}

struct listing {
	const struct caller *who;
	struct wcursor rows;
};

static void list_job(void *arg, struct job *j)
{
	struct listing *l = arg;
	struct rec_job_status r;

	if (!job_owned(j, l->who))
		return;
	job_describe(j, &r);
	list_one(&l->rows, &r);
}

static void list_kept(void *arg, const struct kept *k)
{
	struct listing *l = arg;
	struct rec_job_status r;

	if (!kept_owned(k, l->who))
		return;
	kept_describe(k, &r);
	list_one(&l->rows, &r);
}

static void do_list(const struct caller *who, const void *request)
{
	struct listing l = { .who = who };
	struct msg_jobs m;
	void *buf = malloc(FRAME_MAX - 64);

	if (!buf) {
		caller_fail(who, -ENOMEM, "ps", NULL, "out of memory");
		return;
	}
	l.rows = wcursor_of(buf, FRAME_MAX - 64);
	job_each(who->jobs, list_job, &l);
	kept_each(who->jobs, list_kept, &l);
	m.jobs = (struct span){ buf, (u32)wcursor_len(&l.rows) };
	conn_reply(who->conn, who->tag, JOBS, jobs, &m);
	free(buf);
}

static void do_attach(const struct caller *who, const void *request)
{
	kept_attach(who, request);
}

static void do_wait(const struct caller *who, const void *request)
{
	kept_wait(who, request);
}

static void do_kill(const struct caller *who, const void *request)
{
	const struct msg_job_kill *m = request;

	job_signal_id(who, m->job, (int)m->signal);
}

static void do_blob(const struct caller *who, const void *request)
{
	const struct msg_blob_put *m = request;
	const struct msg_ok ok = {};
	int ret = -EINVAL;

	if (m->hash.len == JOB_BLOB_HASH)
		ret = blobs_put(who->jobs->blobs, who->user, m->hash.data,
				m->offset, m->data.data, m->data.len, m->last);
	if (ret)
		caller_fail(who, ret, jobs_object(who->jobs),
			    ret == -ENOSPC ? "free space below its state folder" :
					     NULL,
			    "cannot keep the program: %s",
			    ret == -EBADMSG ? "it changed while it was sent" :
					      strerror(-ret));
	else
		conn_reply(who->conn, who->tag, OK, ok, &ok);
}

/* Does a request as the user that the caller is here. */
static void as_here(const struct caller *who,
		    void (*fn)(const struct caller *who, const void *request),
		    const void *request)
{
	struct caller here = *who;
	struct policy_grant grant;
	struct failure f = { 0 };

	if (policy_admit(who->jobs->node->policy, who->node, who->user,
			 jobs_object(who->jobs), &grant, &f)) {
		audit_write_failure(who->jobs->node->audit, who->node,
				    who->user, "jobs", "-", &f);
		conn_reply_failure(who->conn, who->tag, &f);
		return;
	}
	here.user = grant.user;
	fn(&here, request);
}

/* Encodes struct msg_name @m with the caller's user and passes it on. */
#define PASS_ON(NAME, name, m, window)                                         \
	do {                                                                   \
		u32 asked_ = *(window);                                        \
		size_t size_;                                                  \
		u8 *buf_;                                                      \
									       \
		/* What is above this stream's share waits as owed credit. */  \
		if (asked_ > jobs_window(who->jobs))                           \
			*(window) = jobs_window(who->jobs);                    \
		(m)->user = span_of(who->user);                                \
		size_ = msg_##name##_size(m);                                  \
		buf_ = malloc(size_);                                          \
		if (buf_) {                                                    \
			struct wcursor w_ = wcursor_of(buf_, size_);           \
									       \
			msg_##name##_encode(&w_, m);                           \
			relay_start(who, target, MSG_##NAME, buf_, size_,      \
				    *(window), asked_ - *(window));            \
			free(buf_);                                            \
		} else {                                                       \
			caller_fail(who, -ENOMEM, target, NULL,                \
				    "out of memory");                          \
		}                                                              \
	} while (0)

/*
 * Decodes one kind of request; one that names another node is passed on if it
 * came from a local caller. For a request from a peer the user is the message's.
 */
#define REQUEST(NAME, name, streams, here)                                     \
	case MSG_##NAME: {                                                     \
		struct msg_##name m;                                           \
									       \
		if (msg_##name##_decode(&m, payload, len)) {                   \
			caller_fail(who, -EBADMSG, #name, NULL,                \
				    "malformed message");                      \
			return;                                                \
		}                                                              \
		if (target_of(who, m.node, target, sizeof(target))) {          \
			if (who->peer)                                         \
				caller_fail(who, -EXDEV, target, NULL,         \
					    "this is another node");           \
			else                                                   \
				PASS_ON(NAME, name, &m, streams);              \
		} else {                                                       \
			here;                                                  \
		}                                                              \
		return;                                                        \
	}

/* True when @node is another than this; its name is then in @target. */
static bool target_of(const struct caller *who, struct span node, char *target,
		      size_t size)
{
	const char *self = who->jobs->node->local.node;

	if (!node.len || !span_to_cstr(node, target, size))
		snprintf(target, size, "%s", self);
	return strcmp(target, self) != 0;
}

void jobs_handle(const struct caller *who, u16 type, const u8 *payload,
		   size_t len)
{
	char target[NODE_NAME_MAX + 1];
	u32 none = 0;

	switch (type) {
	REQUEST(JOB_START, job_start, &m.window_bytes, job_start(who, &m))
	REQUEST(JOB_LIST, job_list, &none, as_here(who, do_list, NULL))
	REQUEST(JOB_ATTACH, job_attach, &m.window_bytes,
		as_here(who, do_attach, &m))
	REQUEST(JOB_WAIT, job_wait, &none, as_here(who, do_wait, &m))
	REQUEST(JOB_KILL, job_kill, &none, as_here(who, do_kill, &m))
	REQUEST(BLOB_PUT, blob_put, &none, as_here(who, do_blob, &m))
	}
}

/* --- from service.h --- */

static void on_request(struct request *r)
{
	struct jobs *js = jobs_of(r->node);
	struct caller who = { .jobs = js, .conn = r->conn, .tag = r->frame->tag,
			      .node = r->peer ? r->peer : js->node->local.node,
			      .peer = r->peer != NULL,
			      .root = !r->peer && r->uid == 0 };
	char user[USER_BYTES];
	struct rcursor c;

	if (!r->peer) {
		who.user = jobs_known_name(r->uid);
		if (who.user)
			jobs_handle(&who, r->frame->type, r->payload,
			       r->frame->length);
		else
			jobs_ask_name(&who, r->uid, r);
		return;
	}
	/* Every request begins with the node and the user. */
	c = rcursor_of(r->payload, r->frame->length);
	rcursor_span(&c);
	if (!span_to_cstr(rcursor_span(&c), user, sizeof(user))) {
		request_fail(r, -EBADMSG, jobs_object(js), NULL,
			     "malformed message");
		return;
	}
	who.user = user;
	jobs_handle(&who, r->frame->type, r->payload, r->frame->length);
}

/* Frames of an exchange; one that is over meanwhile gets none. */
static void on_frame(struct request *r)
{
	struct exchange *x = *exchange_slot(jobs_of(r->node), r->conn,
					    r->frame->tag);

	if (!x)
		return;
	if (r->frame->type == MSG_JOB_CANCEL) {
		exchange_close(x);
		x->ops->gone(x);
	} else {
		x->ops->frame(x, r->frame, r->payload);
	}
}

static void on_closed(struct node *n, struct conn *c)
{
	struct jobs *js = jobs_of(n);
	u32 i;

	/* At virgod's end connections close after the jobs. */
	for (i = 0; js && i < EXCHANGE_BUCKETS; i++) {
		struct exchange *x = js->exchanges[i];

		while (x) {
			if (x->conn != c) {
				x = x->next;
				continue;
			}
			exchange_close(x);
			x->ops->gone(x);
			x = js->exchanges[i]; /* the chain may have changed */
		}
	}
}

static void on_drained(struct node *n, struct conn *c)
{
	if (!jobs_of(n))
		return;
	job_drained(jobs_of(n), c);
	relay_drained(jobs_of(n), c);
	kept_drained(jobs_of(n), c);
}

enum { CALLERS = FROM_LOCAL | FROM_PEER };

static const struct service services[] = {
	{ MSG_JOB_START, CALLERS, on_request },
	{ MSG_JOB_LIST, CALLERS, on_request },
	{ MSG_JOB_ATTACH, CALLERS, on_request },
	{ MSG_JOB_WAIT, CALLERS, on_request },
	{ MSG_JOB_KILL, CALLERS, on_request },
	{ MSG_BLOB_PUT, CALLERS, on_request },
	{ MSG_JOB_DATA, CALLERS, on_frame },
	{ MSG_JOB_CREDIT, CALLERS, on_frame },
	{ MSG_JOB_SIGNAL, CALLERS, on_frame },
	{ MSG_JOB_WINCH, CALLERS, on_frame },
	{ MSG_JOB_CANCEL, CALLERS, on_frame },
};

static int open_folder(struct jobs *js, struct failure *f)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/jobs", js->node->state);
	if (mkdir(path, 0700) && errno != EEXIST)
		return failure_set(f, -errno, path, NULL,
				   "cannot make the folder: %s",
				   strerror(errno));
	js->state_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (js->state_fd < 0)
		return failure_set(f, -errno, path, NULL, "cannot open: %s",
				   strerror(errno));
	return 0;
}

int jobs_new(struct jobs **out, struct node *n, struct failure *f)
{
	struct jobs *js = calloc(1, sizeof(*js));
	char program[4096];
	int ret = 0;

	*out = js;
	if (!js || !(js->buffer = malloc(JOB_READ_BYTES)))
		ret = failure_set(f, -ENOMEM, "jobs", NULL, "out of memory");
	if (js) {
		js->node = n;
		js->state_fd = js->inotify.fd = -1;
	}
	if (!ret)
		ret = open_folder(js, f);
	if (!ret && load_ids(js))
		ret = failure_set(f, -EIO, "jobs", "free space below the state "
				  "folder", "cannot write %s/jobs/next",
				  n->state);
	if (!ret)
		ret = blobs_open(&js->blobs, n->state, f);
	if (!ret && where_program("virgo-spawn", program, sizeof(program)))
		ret = failure_set(f, -ENOENT, "virgo-spawn",
				  "install VIRGO again, or set VIRGO_LIBEXEC",
				  "this program of VIRGO is missing");
	if (!ret)
		ret = spawner_new(&js->spawner, n->loop, program, false,
				  &job_spawner_ops, js, f);
	if (!ret)
		ret = kept_load(js, f);
	if (ret) {
		jobs_free(js);
		*out = NULL;
		return ret;
	}
	n->jobs = js;
	service_add(n, services, ARRAY_SIZE(services));
	service_on_close(n, on_closed);
	service_on_drained(n, on_drained);
	return 0;
}

void jobs_free(struct jobs *js)
{
	if (!js)
		return;
	jobs_names_free(js);
	relay_free_all(js);
	job_kill_all(js);
	kept_free_all(js);
	spawner_free(js->spawner);
	blobs_close(js->blobs);
	if (js->state_fd >= 0)
		close(js->state_fd);
	free(js->buffer);
	js->node->jobs = NULL;
	free(js);
}

u32 jobs_running(const struct jobs *js)
{
	return js->running;
}

void jobs_on_served(struct jobs *js,
		    void (*fn)(void *arg, const char *node, u64 took_us),
		    void *arg)
{
	js->served = fn;
	js->served_arg = arg;
}

void jobs_served(struct jobs *js, const char *node, u64 asked_us)
{
	if (js->served && asked_us)
		js->served(js->served_arg, node, loop_clock_us() - asked_us);
}
