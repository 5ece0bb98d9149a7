// SPDX-License-Identifier: GPL-2.0-or-later
/* The file service in the loop's thread; the contract is in exports.h. */
#include "exports.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "audit.h"
#include "file_relay.h"
#include "filejob.h"
#include "log.h"
#include "policy.h"
#include "service.h"

enum {
	WORKERS_MAX = 16,
	SESSIONS_MAX = 1024,
	JOBS_HIGH = 128, /* of a session; then it is not read from */
	JOBS_LOW = 64,
	OUT_HIGH = 16 << 20, /* bytes queued for a client; likewise */
	OUT_LOW = 4 << 20,
	TICK_US = 50000, /* while something is parked or paused */
	SWEEP_US = 2000000,
	IDLE_US = 5000000, /* then a cached descriptor is closed */
	DESCRIPTORS_MAX = 8192,
	KEPT_BYTES = 16 << 20,
};

struct exports {
	struct node *node;
	struct workers *workers;
	struct descriptors *descriptors;
	u8 key[FILEHANDLE_KEY];
	u64 verifier;
	struct volume **volumes;
	size_t volume_count;
	struct filesession *sessions;
	u32 session_count;
	struct job *parked; /* waiting for a lock */
	struct timer tick;
	struct timer sweep;
	u32 paused; /* sessions not read from */
};

static void retry_parked(struct exports *e);
static void resume(struct filesession *s);

struct node *exports_node(struct exports *e)
{
	return e->node;
}

/* Sessions */

static struct filesession *session_of(struct exports *e, const struct conn *c)
{
	struct filesession *s = e->sessions;

	while (s && s->conn != c)
		s = s->next;
	return s;
}

static void session_unlink(struct filesession *s)
{
	struct filesession **at = &s->exports->sessions;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->exports->session_count--;
}

/* Frees @s once nothing of it runs any more. */
static void session_try_free(struct filesession *s)
{
	if (!s->ended || s->jobs)
		return;
	loop_disarm(s->exports->node->loop, &s->grace);
	session_unlink(s);
	filesession_free(s);
	/* Its locks went with it. */
}

static void job_unlink(struct job *j)
{
	*j->link = j->next;
	if (j->next)
		j->next->link = j->link;
}

static void job_end(struct job *j)
{
	struct filesession *s = j->session;

	job_unlink(j);
	s->jobs--;
	job_free(j);
	resume(s);
	session_try_free(s);
}

static void unpark(struct job *j)
{
	struct job **at = &j->exports->parked;

	while (*at && *at != j)
		at = &(*at)->parked;
	if (*at)
		*at = j->parked;
}

static void session_end(struct filesession *s)
{
	struct exports *e = s->exports;
	struct job *j, *next;

	log_info("files: the session of %s ended", s->node);
	s->ended = true;
	for (j = e->parked; j; j = next) {
		next = j->parked;
		if (j->session != s)
			continue;
		unpark(j);
		job_unlink(j);
		s->jobs--;
		job_free(j);
	}
	session_try_free(s);
	retry_parked(e);
}

static void grace_over(struct timer *t)
{
	session_end((struct filesession *)((char *)t -
					   offsetof(struct filesession, grace)));
}

static void disconnect(struct filesession *s)
{
	if (!s->conn)
		return;
	conn_put(s->conn);
	s->conn = NULL;
	if (s->paused) {
		s->paused = false;
		s->exports->paused--;
	}
	loop_expect(s->exports->node->loop, -1);
	loop_arm(s->exports->node->loop, &s->grace,
		 FILESESSION_GRACE_MS * 1000ull);
}

static void on_close(struct node *n, struct conn *c)
{
	struct filesession *s = n->exports ? session_of(n->exports, c) : NULL;

	if (s)
		disconnect(s);
}

/* The session that the HELLO of @r's connection names, connected to it. */
static struct filesession *session_for(struct exports *e, struct request *r,
				       bool *resumed)
{
	struct span id = conn_hello(r->conn)->session;
	struct filesession *s = e->sessions;

	*resumed = true;
	if (id.len != sizeof(s->id))
		return NULL;
	while (s && (s->ended || strcmp(s->node, r->peer) ||
		     memcmp(s->id, id.data, sizeof(s->id))))
		s = s->next;
	if (!s) {
		if (e->session_count >= SESSIONS_MAX)
			return NULL;
		s = filesession_new(r->peer, id.data);
		if (!s)
			return NULL;
		*resumed = false;
		s->exports = e;
		s->grace.fire = grace_over;
		s->next = e->sessions;
		e->sessions = s;
		e->session_count++;
	}
	if (s->conn != r->conn) {
		disconnect(s);
		loop_disarm(e->node->loop, &s->grace);
		s->conn = conn_get(r->conn);
		/* Its next request comes soon after an answer. */
		loop_expect(e->node->loop, 1);
	}
	return s;
}

/* Answers */

static void tick_later(struct exports *e)
{
	if (!timer_armed(&e->tick) && (e->parked || e->paused))
		loop_arm(e->node->loop, &e->tick, TICK_US);
}

static void hold_back(struct filesession *s)
{
	if (s->paused || !s->conn ||
	    (s->jobs < JOBS_HIGH && conn_queued(s->conn) < OUT_HIGH))
		return;
	s->paused = true;
	s->exports->paused++;
	conn_pause(s->conn);
	tick_later(s->exports);
}

static void resume(struct filesession *s)
{
	if (!s->paused || s->jobs > JOBS_LOW || conn_queued(s->conn) > OUT_LOW)
		return;
	s->paused = false;
	s->exports->paused--;
	conn_resume(s->conn);
}

static void tell_names(struct job *j)
{
	struct filesession *s = j->session;
	int i;

	for (i = 0; i < j->id_count; i++) {
		struct msg_file_name m = { .kind = j->id_kinds[i],
					   .id = j->ids[i] };
		char name[IDNAME_MAX];

		if (!filesession_tell(s, m.kind, m.id))
			continue;
		if (!idnames_peek(m.kind, m.id, false, name))
			snprintf(name, sizeof(name), "#%u", m.id);
		m.name = span_of(name);
		conn_message(s->conn, 0, FRAME_REPLY, 0, FILE_NAME, file_name,
			     &m);
	}
}

static void tell_changed(struct job *j)
{
	int i;

	for (i = 0; i < j->changed_count; i++) {
		const struct msg_file_changed m = {
			.handle = j->changed[i].handle,
			.attr = { j->changed[i].attr, ATTR_BYTES },
		};

		conn_message(j->session->conn, j->tag,
			     FRAME_REPLY | FRAME_MORE, 0, FILE_CHANGED,
			     file_changed, &m);
	}
}

static void send_reply(struct filesession *s, u64 tag, u16 type,
		       const void *head, size_t head_len, const void *body,
		       size_t body_len)
{
	const struct frame f = { .type = type,
				 .flags = FRAME_REPLY,
				 .tag = tag };

	if (s->conn)
		conn_send(s->conn, &f, head, head_len, body, body_len);
}

static void answer_error(struct job *j, int code)
{
	const struct msg_error m = { .code = code };
	u8 buf[16];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	msg_error_encode(&w, &m);
	send_reply(j->session, j->tag, MSG_ERROR, buf, wcursor_len(&w), NULL, 0);
	if (j->op->flags & FILEOP_ONCE)
		filesession_keep_reply(j->session, j->tag, MSG_ERROR, buf,
				       wcursor_len(&w));
}

static void answer(struct job *j, int ret)
{
	struct filesession *s = j->session;

	if (ret) {
		answer_error(j, ret);
		return;
	}
	if (!j->reply)
		j->reply_type = MSG_OK;
	if (s->conn) {
		tell_names(j);
		tell_changed(j);
	}
	send_reply(s, j->tag, j->reply_type, j->reply, j->reply_len, j->body,
		   j->body_len);
	if (j->op->flags & FILEOP_ONCE)
		filesession_keep_reply(s, j->tag, j->reply_type, j->reply,
				       j->reply_len);
}

/* Work */

static void run(struct work *w)
{
	struct job *j = (struct job *)((char *)w - offsetof(struct job, work));

	j->ret = job_run(j);
}

static void park(struct job *j)
{
	j->parked = j->exports->parked;
	j->exports->parked = j;
	tick_later(j->exports);
}

static void done(struct work *w)
{
	struct job *j = (struct job *)((char *)w - offsetof(struct job, work));
	struct exports *e = j->exports;
	bool unlocks = j->op->flags & FILEOP_UNLOCKS && !j->ret;

	if (j->ret == -EAGAIN && j->waits && !j->session->ended) {
		if (!j->cancelled) {
			park(j);
			return;
		}
		j->ret = -EINTR;
	}
	answer(j, j->ret);
	job_end(j);
	if (unlocks)
		retry_parked(e);
}

static void retry_parked(struct exports *e)
{
	struct job *list = e->parked;

	e->parked = NULL;
	while (list) {
		struct job *j = list;

		list = j->parked;
		workers_submit(e->workers, &j->work);
	}
}

static void on_tick(struct timer *t)
{
	struct exports *e = (struct exports *)((char *)t -
					       offsetof(struct exports, tick));
	struct filesession *s;

	retry_parked(e);
	for (s = e->sessions; s; s = s->next)
		resume(s);
	tick_later(e);
}

static void on_sweep(struct timer *t)
{
	struct exports *e = (struct exports *)((char *)t -
					       offsetof(struct exports, sweep));

	descriptors_sweep(e->descriptors, loop_now_us(e->node->loop) - IDLE_US);
	loop_arm(e->node->loop, &e->sweep, SWEEP_US);
}

/* Requests */

/* True when @tag was seen before and needs nothing more: it runs, or its answer
 * is remembered and goes out again.
 */
static bool seen_before(struct filesession *s, u64 tag)
{
	const struct kept_reply *kept;
	struct job *j;

	if (tag > s->tag_seen) {
		s->tag_seen = tag;
		return false;
	}
	for (j = s->running; j; j = j->next)
		if (j->tag == tag)
			return true;
	kept = filesession_reply(s, tag);
	if (kept)
		send_reply(s, tag, kept->type, kept->data, kept->len, NULL, 0);
	return kept;
}

static void submit(struct exports *e, struct filesession *s, struct request *r,
		   const struct fileop *op, struct volume *v, bool read_only)
{
	struct job *j = job_new(op, r->frame->tag, r->payload, r->frame->length);

	if (!j) {
		request_fail(r, -ENOMEM, "files", NULL, "out of memory");
		return;
	}
	j->exports = e;
	j->session = s;
	j->boot = e->verifier;
	j->descriptors = e->descriptors;
	j->volume = v ? volume_get(v) : NULL;
	j->read_only = read_only;
	if (op->flags & FILEOP_WHO && j->len >= 4)
		j->user = filesession_user(s, get_u32(j->payload));
	j->work.run = run;
	j->work.done = done;
	j->next = s->running;
	j->link = &s->running;
	if (j->next)
		j->next->link = &j->next;
	s->running = j;
	s->jobs++;
	workers_submit(e->workers, &j->work);
	hold_back(s);
}

static void handle_op(struct request *r)
{
	struct exports *e = r->node->exports;
	struct filesession *s = session_of(e, r->conn);
	const struct fileop *op = fileop_of(r->frame->type);

	if (!r->peer)
		file_relay_request(r);
	else if (!s)
		request_fail(r, -ENOTCONN, "files", NULL,
			     "no volume is attached");
	else if (!seen_before(s, r->frame->tag))
		submit(e, s, r, op, NULL, false);
}

static struct volume *volume_named(struct exports *e, struct span name)
{
	size_t i;

	for (i = 0; i < e->volume_count; i++)
		if (span_equal(name, span_of(e->volumes[i]->name)))
			return e->volumes[i];
	return NULL;
}

/* Refuses to attach, and writes it down. */
static void refuse(struct request *r, const char *name, int code,
		   const char *remedy, const char *what)
{
	char object[VOLUME_NAME_MAX + 8];
	struct failure f;

	snprintf(object, sizeof(object), "volume %s", name);
	failure_set(&f, code, object, remedy, "%s", what);
	audit_write_failure(r->node->audit, r->peer, "-", "mount", object, &f);
	log_warning("files: %s, asked for by %s: %s", object, r->peer, what);
	request_fail_with(r, &f);
}

static const struct fileop attach_op = { MSG_FILE_ATTACH, 0, op_attach };

static void handle_attach(struct request *r)
{
	struct exports *e = r->node->exports;
	char name[VOLUME_NAME_MAX + 1];
	struct msg_file_attach m;
	struct filesession *s;
	bool read_only, resumed;
	struct volume *v;
	int ret;

	if (!r->peer) {
		file_relay_request(r);
		return;
	}
	if (!request_decode(r, file_attach, &m))
		return;
	v = volume_named(e, m.volume);
	if (!span_to_cstr(m.volume, name, sizeof(name)) || !v) {
		refuse(r, name, -ENOENT,
		       "see what there is with: virgo volume list",
		       "this node serves no such volume");
		return;
	}
	if (!volume_allows(v->allow, r->peer, &read_only)) {
		refuse(r, name, -EACCES, "let it in with: virgo volume allow",
		       "this node may not mount it");
		return;
	}
	s = session_for(e, r, &resumed);
	ret = s ? filesession_attach(s, v, read_only) : -EMFILE;
	if (ret) {
		refuse(r, name, ret, NULL, "too many sessions or volumes");
		return;
	}
	if (!resumed)
		audit_write(r->node->audit, r->peer, "-", "mount", v->name,
			    read_only ? "ok, read-only" : "ok");
	s->resumed = resumed;
	submit(e, s, r, &attach_op, v, read_only);
}

/* [allow] is for files too. [idmap] is not: names of owners go both ways. */
static void judge_user(struct node *n, const char *node, struct fsuser *u)
{
	/* Who has no name there comes as a number, "#1234". */
	const char *name = fsuser_name(u)[0] == '#' ? "nobody" : fsuser_name(u);
	struct policy_grant grant;
	struct failure f = { 0 };
	bool refused = policy_admit(n->policy, node, name, "files", &grant, &f);

	if (refused && !fsuser_refused(u))
		audit_write_failure(n->audit, node, name, "files", "-", &f);
	fsuser_set_refused(u, refused);
}

static void on_policy(struct node *n)
{
	for (struct filesession *s = n->exports->sessions; s; s = s->next)
		for (u32 who = 0; who < FILE_WHO_MAX; who++) {
			struct fsuser *u = filesession_user(s, who);

			if (u)
				judge_user(n, s->node, u);
			fsuser_put(u);
		}
}

static void handle_cred(struct request *r)
{
	struct filesession *s = session_of(r->node->exports, r->conn);
	struct msg_file_cred m;
	struct fsuser *u;

	/* Not answered, also not with an error: the requests that name the slot
	 * will be.
	 */
	if (!s || msg_file_cred_decode(&m, r->payload, r->frame->length))
		return;
	u = fsuser_new(&m);
	if (!u)
		return;
	judge_user(r->node, s->node, u);
	filesession_set_user(s, m.who, u);
}

static void handle_cancel(struct request *r)
{
	struct filesession *s = session_of(r->node->exports, r->conn);
	struct msg_file_cancel m;
	struct job *j;

	if (!s || msg_file_cancel_decode(&m, r->payload, r->frame->length))
		return;
	for (j = s->running; j && j->tag != m.tag;)
		j = j->next;
	if (!j)
		return;
	j->cancelled = true;
	retry_parked(s->exports);
}

/* A local program's requests are for the volume's node (file_relay.h). */
enum { ANYBODY = FROM_LOCAL | FROM_PEER };

static const struct service services[] = {
	{ MSG_FILE_ATTACH, ANYBODY, handle_attach },
	{ MSG_FILE_CRED, FROM_PEER, handle_cred },
	{ MSG_FILE_CANCEL, FROM_PEER, handle_cancel },
	{ MSG_FILE_IDS, FROM_PEER, handle_op },
	{ MSG_FILE_LOOKUP, ANYBODY, handle_op },
	{ MSG_FILE_GETATTR, ANYBODY, handle_op },
	{ MSG_FILE_SETATTR, ANYBODY, handle_op },
	{ MSG_FILE_READLINK, ANYBODY, handle_op },
	{ MSG_FILE_MKNOD, FROM_PEER, handle_op },
	{ MSG_FILE_MKDIR, FROM_PEER, handle_op },
	{ MSG_FILE_SYMLINK, FROM_PEER, handle_op },
	{ MSG_FILE_UNLINK, FROM_PEER, handle_op },
	{ MSG_FILE_RMDIR, FROM_PEER, handle_op },
	{ MSG_FILE_RENAME, FROM_PEER, handle_op },
	{ MSG_FILE_LINK, FROM_PEER, handle_op },
	{ MSG_FILE_OPEN, ANYBODY, handle_op },
	{ MSG_FILE_CREATE, ANYBODY, handle_op },
	{ MSG_FILE_TMPFILE, FROM_PEER, handle_op },
	{ MSG_FILE_RELEASE, ANYBODY, handle_op },
	{ MSG_FILE_READ, ANYBODY, handle_op },
	{ MSG_FILE_WRITE, ANYBODY, handle_op },
	{ MSG_FILE_FSYNC, ANYBODY, handle_op },
	{ MSG_FILE_FSYNCDIR, FROM_PEER, handle_op },
	{ MSG_FILE_SYNCFS, FROM_PEER, handle_op },
	{ MSG_FILE_READDIR, FROM_PEER, handle_op },
	{ MSG_FILE_STATFS, FROM_PEER, handle_op },
	{ MSG_FILE_SETXATTR, FROM_PEER, handle_op },
	{ MSG_FILE_GETXATTR, FROM_PEER, handle_op },
	{ MSG_FILE_LISTXATTR, FROM_PEER, handle_op },
	{ MSG_FILE_REMOVEXATTR, FROM_PEER, handle_op },
	{ MSG_FILE_ACCESS, FROM_PEER, handle_op },
	{ MSG_FILE_GETLK, FROM_PEER, handle_op },
	{ MSG_FILE_SETLK, FROM_PEER, handle_op },
	{ MSG_FILE_FLOCK, FROM_PEER, handle_op },
	{ MSG_FILE_UNLOCK_OWNER, FROM_PEER, handle_op },
	{ MSG_FILE_FALLOCATE, FROM_PEER, handle_op },
	{ MSG_FILE_LSEEK, FROM_PEER, handle_op },
	{ MSG_FILE_COPY, FROM_PEER, handle_op },
};

/* Volumes */

static const struct rec_volume_row *row_of(const struct volume *v,
					   const struct rec_volume_row *rows,
					   size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (span_equal(rows[i].name, span_of(v->name)))
			return &rows[i];
	return NULL;
}

/* Brings the sessions in line with @now, which replaces @old; either may be
 * NULL. A client that is not allowed any more loses the volume.
 */
static void reattach(struct exports *e, struct volume *old, struct volume *now)
{
	struct filesession *s;
	bool read_only;

	for (s = e->sessions; s; s = s->next) {
		struct volume *v = filesession_volume(s, old->number, &read_only);

		if (!v)
			continue;
		volume_put(v);
		if (now && now->number == old->number &&
		    volume_allows(now->allow, s->node, &read_only))
			filesession_attach(s, now, read_only);
		else
			filesession_detach(s, old->number);
	}
}

void exports_set(struct exports *e, const struct rec_volume_row *rows,
		 size_t count)
{
	struct volume **list = calloc(count + 1, sizeof(struct volume *));
	size_t made = 0;
	size_t i, k;

	if (!list)
		return;
	for (i = 0; i < count; i++) {
		struct volume *old = volume_named(e, rows[i].name);
		struct failure f = { 0 };

		if (old && volume_matches(old, &rows[i]))
			list[made++] = volume_get(old);
		else if (volume_open(&list[made], &rows[i], e->key, old, &f) == 0)
			made++;
		else
			log_error("volume %s: %s", f.object, f.what);
	}
	for (i = 0; i < e->volume_count; i++) {
		struct volume *old = e->volumes[i];
		struct volume *now = NULL;

		for (k = 0; k < made; k++)
			if (row_of(old, rows, count) &&
			    !strcmp(list[k]->name, old->name))
				now = list[k];
		if (now != old)
			reattach(e, old, now);
		volume_put(old);
	}
	free(e->volumes);
	e->volumes = list;
	e->volume_count = made;
}

/* The node's key for handles: without it all handles of before are stale. */
static int load_key(struct exports *e, struct failure *f)
{
	char path[4096];
	char fresh[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/exports.key", e->node->state);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, e->key, sizeof(e->key));
		close(fd);
		if (n == sizeof(e->key))
			return 0;
		log_warning("%s is damaged; it is made anew, and clients must "
			    "mount again", path);
	}
	if (getrandom(e->key, sizeof(e->key), 0) != sizeof(e->key))
		return failure_set(f, -EIO, path, NULL,
				   "the kernel gives no random numbers");
	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return failure_set(f, -ENAMETOOLONG, path, NULL,
				   "the path is too long");
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, e->key, sizeof(e->key)) != sizeof(e->key) ||
	    fsync(fd) || rename(fresh, path)) {
		failure_set(f, -errno, path, NULL, "cannot write: %s",
			    strerror(errno));
		if (fd >= 0)
			close(fd);
		return f->code;
	}
	close(fd);
	return 0;
}

/*
 * What changes when written data may have been lost. That is the machine's boot,
 * not virgod's start: what virgod wrote stays with the kernel when it dies.
 */
static u64 boot_verifier(const struct node *n)
{
	char text[64];
	u64 v = 0xcbf29ce484222325ull; /* FNV-1a */
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));
	ssize_t i;

	if (fd >= 0)
		close(fd);
	if (len <= 0)
		return n->local.boot;
	for (i = 0; i < len; i++)
		v = (v ^ (u8)text[i]) * 0x100000001b3ull;
	return v;
}

static size_t descriptor_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur / 4 > DESCRIPTORS_MAX)
		return DESCRIPTORS_MAX;
	return r.rlim_cur / 4;
}

int exports_new(struct exports **out, struct node *n, struct failure *f)
{
	struct exports *e = calloc(1, sizeof(*e));
	int ret;

	if (!e)
		return failure_set(f, -ENOMEM, "files", NULL, "out of memory");
	/* Buffers of a MiB come and go with each read and write; given back to
	 * the kernel in between, they would cost 256 page faults every time.
	 */
	mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
	mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
	e->node = n;
	e->verifier = boot_verifier(n);
	e->tick.fire = on_tick;
	e->sweep.fire = on_sweep;
	e->descriptors = descriptors_new(descriptor_limit());
	e->workers = workers_new(n->loop, WORKERS_MAX, fscred_start);
	ret = e->descriptors && e->workers ?
		      load_key(e, f) :
		      failure_set(f, -ENOMEM, "files", NULL, "out of memory");
	if (ret) {
		exports_free(e);
		return ret;
	}
	loop_arm(n->loop, &e->sweep, SWEEP_US);
	service_add(n, services, ARRAY_SIZE(services));
	service_on_close(n, on_close);
	policy_on_reload(n, on_policy);
	*out = e;
	return 0;
}

void exports_free(struct exports *e)
{
	size_t i;

	if (!e)
		return;
	workers_free(e->workers);
	while (e->sessions) {
		struct filesession *s = e->sessions;

		while (s->running) {
			struct job *j = s->running;

			job_unlink(j);
			job_free(j);
		}
		loop_disarm(e->node->loop, &s->grace);
		e->sessions = s->next;
		filesession_free(s);
	}
	for (i = 0; i < e->volume_count; i++)
		volume_put(e->volumes[i]);
	free(e->volumes);
	loop_disarm(e->node->loop, &e->tick);
	loop_disarm(e->node->loop, &e->sweep);
	descriptors_free(e->descriptors);
	free(e);
}
