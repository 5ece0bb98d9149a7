// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Locks. The server decides; what it granted is noted with the inode, to be
 * taken again should the server restart, and to know whether a close has
 * anything to drop.
 */
#include "ops.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

static u8 type_of(short type)
{
	return type == F_RDLCK ? FILE_LOCK_READ :
	       type == F_WRLCK ? FILE_LOCK_WRITE :
				 FILE_LOCK_NONE;
}

static void range_of(const struct flock *l, u64 *start, u64 *end)
{
	*start = (u64)l->l_start;
	*end = l->l_len ? (u64)(l->l_start + l->l_len - 1) : INT64_MAX;
}

static void done_getlk(struct call *c, int err, const u8 *payload, u32 len)
{
	static const short types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
	struct msg_file_lock m;
	struct flock l;

	if (!err && (msg_file_lock_decode(&m, payload, len) ||
		     m.type > FILE_LOCK_NONE))
		err = -EPROTO;
	if (err) {
		op_error(c->request, err);
		return;
	}
	l = (struct flock){ .l_type = types[m.type],
			    .l_whence = SEEK_SET,
			    .l_start = (off_t)m.start,
			    .l_len = m.end >= INT64_MAX ?
					     0 :
					     (off_t)(m.end - m.start + 1),
			    .l_pid = (pid_t)m.pid };
	fuse_reply_lock(c->request, &l);
}

void op_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      struct flock *lock)
{
	struct msg_file_getlk m = { .owner = fi->lock_owner,
				    .type = type_of(lock->l_type) };
	struct call *c;

	range_of(lock, &m.start, &m.end);
	c = call_make(inode_of(ino)->volume, FILE_GETLK, file_getlk,
		      MSG_FILE_LOCK, &m);
	if (c) {
		c->file = op_file(fi);
		c->file_at = 0;
		c->done = done_getlk;
	}
	op_start(req, c);
}

static void done_setlk(struct call *c, int err, const u8 *payload, u32 len)
{
	const struct msg_file_setlk *m = c->memory;

	if (!err)
		err = inode_lock(c->file->inode, c->file, m->owner, m->pid,
				 m->type, m->start, m->end);
	op_error(c->request, err);
}

void op_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      struct flock *lock, int sleep)
{
	struct msg_file_setlk *m = calloc(1, sizeof(*m));
	struct call *c = NULL;

	if (m) {
		m->owner = fi->lock_owner;
		m->pid = (u32)lock->l_pid;
		m->type = type_of(lock->l_type);
		m->flags = sleep ? FILE_LOCK_WAIT : 0;
		range_of(lock, &m->start, &m->end);
		c = call_make(inode_of(ino)->volume, FILE_SETLK, file_setlk,
			      MSG_OK, m);
	}
	if (c) {
		c->memory = m;
		c->file = op_file(fi);
		c->file_at = 0;
		c->waits = sleep;
		c->done = done_setlk;
	} else {
		free(m);
	}
	op_start(req, c);
}

static void done_flock(struct call *c, int err, const u8 *payload, u32 len)
{
	if (!err)
		c->file->flock = (u8)c->number;
	op_error(c->request, err);
}

void op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      int how)
{
	const struct msg_file_flock m = {
		.type = how & LOCK_SH ? FILE_LOCK_READ :
			how & LOCK_EX ? FILE_LOCK_WRITE :
					FILE_LOCK_NONE,
		.flags = how & LOCK_NB ? 0 : FILE_LOCK_WAIT,
	};
	struct call *c = call_make(inode_of(ino)->volume, FILE_FLOCK,
				   file_flock, MSG_OK, &m);

	if (c) {
		c->file = op_file(fi);
		c->file_at = 0;
		c->number = m.type;
		c->waits = m.flags & FILE_LOCK_WAIT;
		c->done = done_flock;
	}
	op_start(req, c);
}
