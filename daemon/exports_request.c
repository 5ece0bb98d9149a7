// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages of the file service, from connection to job; or why not. */
#include <stdio.h>

#include "audit.h"
#include "exports_impl.h"
#include "file_relay.h"
#include "log.h"
#include "policy.h"

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
		exports_send(s, tag, kept->type, kept->data, kept->len, NULL, 0);
	return kept;
}

/* A job for @r, or NULL after it was answered. */
static struct job *take(struct exports *e, struct filesession *s,
			struct request *r, const struct fileop *op)
{
	struct job *j = job_new(op, r->frame->tag, r->payload, r->frame->length);

	if (!j) {
		request_fail(r, -ENOMEM, "files", NULL, "out of memory");
		return NULL;
	}
	j->exports = e;
	j->session = s;
	j->boot = e->verifier;
	j->started_ns = e->started_ns;
	j->descriptors = e->descriptors;
	if (op->flags & FILEOP_WHO && j->len >= 4)
		j->user = filesession_user(s, get_u32(j->payload));
	return j;
}

static void submit(struct exports *e, struct filesession *s, struct request *r,
		   const struct fileop *op)
{
	struct job *j = take(e, s, r, op);

	if (j)
		exports_job_start(j);
}

/* A file that an earlier virgod made must be opened anew for its answer. */
static void open_created(struct exports *e, struct filesession *s,
			 struct request *r, const u8 *data, u32 len)
{
	static const struct fileop created_op = {
		MSG_FILE_CREATE, FILEOP_WHO | FILEOP_ONCE, op_created_before
	};
	struct msg_file_created m;
	struct job *j;

	/* Made without a name, it went with that virgod, and nobody saw it. */
	if (r->frame->type == MSG_FILE_TMPFILE) {
		submit(e, s, r, fileop_of(MSG_FILE_TMPFILE));
		return;
	}
	if (msg_file_created_decode(&m, data, len) ||
	    m.handle.len > FILEHANDLE_MAX) {
		request_fail(r, -EIO, "files", NULL, "a note is damaged");
		return;
	}
	j = take(e, s, r, &created_op);
	if (!j)
		return;
	memcpy(j->before, m.handle.data, m.handle.len);
	j->before_len = m.handle.len;
	exports_job_start(j);
}

/* It had begun when an earlier virgod was killed. */
static void submit_again(struct exports *e, struct filesession *s,
			 struct request *r, const struct fileop *op,
			 const struct replies_begun *begun)
{
	struct job *j = take(e, s, r, op);

	if (!j)
		return;
	j->again = true;
	j->begun = *begun;
	j->shared = replies_past_other(e->past, s->id, begun->what);
	exports_job_start(j);
}

/* Whether @r is noted when it is done: changes of names, and writes that append. */
static bool is_noted(struct filesession *s, const struct request *r,
		     const struct fileop *op)
{
	struct openfile *f;
	bool appends;

	if (op->type != MSG_FILE_WRITE)
		return op->flags & FILEOP_ONCE && op->flags & FILEOP_CHANGES;
	if (r->frame->length < 8)
		return false;
	f = filesession_file(s, get_u64(r->payload));
	appends = f && f->flags & FILE_OPEN_APPEND;
	filesession_put_file(s, f);
	return appends;
}

/* True when an earlier virgod was asked @r already, and it is answered. */
static bool done_before(struct exports *e, struct filesession *s,
			struct request *r, const struct fileop *op)
{
	struct replies_begun begun = { 0 };
	u8 data[REPLIES_BYTES];
	enum replies_fate fate;
	u16 type;
	u32 len;

	if (!replies_found(s->notes) || !is_noted(s, r, op))
		return false;
	fate = replies_fate_of(s->notes, r->frame->tag, &type, data, &len,
			       &begun);
	if (fate == REPLIES_NEVER)
		return false;
	if (fate == REPLIES_BEGUN) {
		submit_again(e, s, r, op, &begun);
	} else if (fate == REPLIES_FORGOTTEN) {
		log_warning("files: message %u of %s was under way when virgod "
			    "ended; whether it was done is not known",
			    op->type, s->node);
		request_fail(r, -EIO, "files", NULL, "virgod was restarted");
	} else if (type == MSG_FILE_CREATED) {
		open_created(e, s, r, data, len);
	} else {
		exports_send(s, r->frame->tag, type, data, len, NULL, 0);
	}
	return true;
}

static void handle_op(struct request *r)
{
	struct exports *e = r->node->exports;
	struct filesession *s = exports_session_of(e, r->conn);
	const struct fileop *op = fileop_of(r->frame->type);

	if (!r->peer)
		file_relay_request(r);
	else if (!s)
		request_fail(r, -ENOTCONN, "files", NULL,
			     "no volume is attached");
	else if (!seen_before(s, r->frame->tag) && !done_before(e, s, r, op))
		submit(e, s, r, op);
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
	struct job *j;
	int ret;

	if (!r->peer) {
		file_relay_request(r);
		return;
	}
	if (!request_decode(r, file_attach, &m))
		return;
	v = exports_volume(e, m.volume);
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
	s = exports_session_for(e, r, &resumed);
	ret = s ? filesession_attach(s, v, read_only) : -EMFILE;
	if (ret < 0) {
		refuse(r, name, ret, NULL, "too many sessions or volumes");
		return;
	}
	if (!resumed)
		audit_write(r->node->audit, r->peer, "-", "mount", v->name,
			    read_only ? "ok, read-only" : "ok");
	j = take(e, s, r, &attach_op);
	if (!j)
		return;
	j->volume = volume_get(v);
	j->read_only = read_only;
	j->resumed = ret;
	exports_job_start(j);
}

/* [allow] and [idmap] are for files too. */
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
	if (!refused && fsuser_name(u)[0] != '#')
		fsuser_set_account(u, grant.user);
}

void exports_judge_users(struct node *n)
{
	for (struct filesession *s = n->exports->sessions; s; s = s->next) {
		exports_session_follow_policy(s);
		for (u32 who = 0; who < FILE_WHO_MAX; who++) {
			struct fsuser *u = filesession_user(s, who);

			if (u)
				judge_user(n, s->node, u);
			fsuser_put(u);
		}
	}
}

static void handle_cred(struct request *r)
{
	struct filesession *s = exports_session_of(r->node->exports, r->conn);
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
	struct filesession *s = exports_session_of(r->node->exports, r->conn);
	struct msg_file_cancel m;
	struct job *j;

	if (!s || msg_file_cancel_decode(&m, r->payload, r->frame->length))
		return;
	for (j = s->running; j && j->tag != m.tag;)
		j = j->next;
	if (!j)
		return;
	j->cancelled = true;
	exports_job_retry(s->exports);
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
	{ MSG_FILE_READDIR, ANYBODY, handle_op },
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

void exports_take_requests(struct exports *e)
{
	service_add(e->node, services, ARRAY_SIZE(services));
	service_on_close(e->node, exports_session_closed);
	policy_on_reload(e->node, exports_judge_users);
}
