// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From a fresh connection to a volume in use. If the server still has our
 * session, its open files are as they were. If not, each file is opened by its
 * handle as it was opened at first (but nothing is made or cut off again), then
 * its locks are taken; one that cannot be had back is lost, and says ESTALE or
 * EIO from then on. What was in flight before the restart, may or may not have
 * happened, and would do harm if it happened twice, is asked again if the server
 * still knows what it did (FILE_VOLUME_ANSWERS), else it ends with EIO.
 */
#include "reopen.h"

#include "log.h"
#include "serverlink.h"

enum { AGAIN_US = 100000, AGAIN_MAX = 50 };

static void go_on(struct volume *v);

static void attach_failed(struct volume *v, int err)
{
	v->attaching = false;
	server_fail_volume(v, err);
}

static void lock_back(struct call *c, int err, const u8 *payload, u32 len)
{
	if (err == -ECONNRESET)
		return;
	if (err) {
		/* Someone else has it now: the program must learn of it. */
		log_warning("%s: a lock was lost with the server's restart",
			    c->volume->name);
		if (c->file)
			c->file->remote = 0;
	}
	go_on(c->volume);
}

/* Starts a call that goes before the volume's queue and is waited for. */
static void start_first(struct volume *v, struct call *c)
{
	c->first = true;
	v->reopening++;
	call_start(c);
}

static void start_lock(struct file *f, struct call *c)
{
	if (!c)
		return;
	c->file = f;
	c->file_at = 0;
	c->done = lock_back;
	start_first(f->inode->volume, c);
}

static void lock_again(struct file *f, const struct lockrange *l)
{
	const struct msg_file_setlk m = { .owner = l->owner,
					  .pid = l->pid,
					  .type = l->type,
					  .start = l->start,
					  .end = l->end };

	start_lock(f, call_make(f->inode->volume, FILE_SETLK, file_setlk,
				MSG_OK, &m));
}

static void flock_again(struct file *f)
{
	const struct msg_file_flock m = { .type = f->flock };

	start_lock(f, call_make(f->inode->volume, FILE_FLOCK, file_flock,
				MSG_OK, &m));
}

static void file_back(struct call *c, int err, const u8 *payload, u32 len)
{
	struct file *f = c->reopens;
	struct msg_file_opened m;
	struct lockrange *l;

	if (err == -ECONNRESET)
		return;
	if (!err && msg_file_opened_decode(&m, payload, len))
		err = -EPROTO;
	if (!f) {
		if (!err)
			server_release_number(c->volume, m.file);
	} else if (err) {
		log_warning("%s: an open file was lost with the server's "
			    "restart: %s", c->volume->name, strerror(-err));
	} else {
		f->remote = m.file;
		if (f->flock != FILE_LOCK_NONE)
			flock_again(f);
		for (l = f->inode->locks; l; l = l->next)
			if (l->file == f)
				lock_again(f, l);
	}
	go_on(c->volume);
}

static void open_again(struct file *f)
{
	struct volume *v = f->inode->volume;
	const u32 not_again = FILE_OPEN_TRUNCATE | FILE_OPEN_EXCLUSIVE;
	const struct msg_file_open m = {
		.handle = inode_handle(f->inode),
		.flags = f->flags & ~not_again,
	};
	struct call *c = call_make(v, FILE_OPEN, file_open, MSG_FILE_OPENED,
				   &m);

	f->remote = 0;
	if (!c)
		return;
	c->reopens = f;
	c->named = true;
	c->uid = f->uid;
	c->gid = f->gid;
	c->done = file_back;
	start_first(v, c);
}

/* One answer less to wait for; at none the volume is in use again. */
static void go_on(struct volume *v)
{
	if (--v->reopening)
		return;
	v->attaching = false;
	v->attached = true;
	server_send_queue(v->server, v);
}

/* What was sent to the server before it restarted and may have been done. */
static void drop_uncertain(struct server *s, struct volume *v)
{
	struct call *c, *next;

	for (c = TAILQ_FIRST(&s->calls); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->volume == v && c->once && c->sent_ever)
			server_end_uncertain(c);
	}
}

static int take_root(struct volume *v, const struct msg_file_attached *m)
{
	struct inodes *t = v->server->all->inodes;
	struct inode *root;

	if (m->handle.len < 4 || m->handle.len > FILE_HANDLE_MAX ||
	    rec_attr_decode(&v->root_attr, m->attr.data, m->attr.len))
		return -EPROTO;
	root = inodes_get(t, v, m->handle);
	if (!root)
		return -ENOMEM;
	root->type = S_IFDIR;
	inode_put(t, v->root);
	v->root = root;
	v->flags = m->flags;
	return 0;
}

static void on_again(struct timer *t)
{
	struct volume *v = (struct volume *)((char *)t -
					     offsetof(struct volume, again));

	/* Without a connection the next one attaches. */
	if (v->attaching && v->server->conn && conn_is_open(v->server->conn))
		reopen_attach(v->server, v);
}

/* A volume just made may be listed here before its server has heard of it. */
static bool try_again(struct volume *v, int err)
{
	if (err != -ENOENT || !v->listed || v->attempts >= AGAIN_MAX)
		return false;
	v->attempts++;
	v->again.fire = on_again;
	loop_arm(v->server->all->loop, &v->again, AGAIN_US);
	return true;
}

static void attached(struct call *c, int err, const u8 *payload, u32 len)
{
	struct volume *v = c->volume;
	struct msg_file_attached m;
	struct file *f;

	if (err == -ECONNRESET)
		return;
	if (!err && msg_file_attached_decode(&m, payload, len))
		err = -EPROTO;
	if (!err)
		err = take_root(v, &m);
	if (try_again(v, err))
		return;
	v->attempts = 0;
	if (err) {
		log_warning("%s: cannot attach: %s", v->name, strerror(-err));
		attach_failed(v, err);
		return;
	}
	v->reopening = 1;
	if (!(m.flags & FILE_VOLUME_RESUMED)) {
		/* With answers each is asked again under its old tag. */
		if (!(m.flags & FILE_VOLUME_ANSWERS))
			drop_uncertain(v->server, v);
		LIST_FOREACH(f, &v->files, entry)
			open_again(f);
	}
	v->verifier = m.verifier;
	go_on(v);
}

void reopen_attach(struct server *s, struct volume *v)
{
	const struct msg_file_attach m = { .volume = span_of(v->name) };
	struct call *c = call_make(v, FILE_ATTACH, file_attach,
				   MSG_FILE_ATTACHED, &m);

	loop_disarm(s->all->loop, &v->again);
	v->attaching = true;
	if (!c) {
		attach_failed(v, -ENOMEM);
		return;
	}
	c->first = true;
	c->done = attached;
	call_start(c);
}
