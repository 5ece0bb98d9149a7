// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * FUSE_TMPFILE by hand: the request is a fuse_create_in, the answer an entry and
 * an open file, as for FUSE_CREATE.
 */
#include "tmpfile.h"

#include <linux/fuse.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ops.h"

struct pending {
	struct mount *mount;
	u64 unique;
	int flags;
};

static int reply(const struct pending *p, int err, const void *body, size_t len)
{
	struct fuse_out_header h = {
		.len = (u32)(sizeof(h) + (err ? 0 : len)),
		.error = err,
		.unique = p->unique,
	};
	const struct iovec iov[2] = { { &h, sizeof(h) },
				      { (void *)body, len } };

	return writev(p->mount->device.fd, iov, err ? 1 : 2) < 0 ? -errno : 0;
}

static void attr_of(const struct stat *st, struct fuse_attr *a)
{
	*a = (struct fuse_attr){
		.ino = st->st_ino,
		.size = (u64)st->st_size,
		.blocks = (u64)st->st_blocks,
		.atime = (u64)st->st_atim.tv_sec,
		.mtime = (u64)st->st_mtim.tv_sec,
		.ctime = (u64)st->st_ctim.tv_sec,
		.atimensec = (u32)st->st_atim.tv_nsec,
		.mtimensec = (u32)st->st_mtim.tv_nsec,
		.ctimensec = (u32)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (u32)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.blksize = (u32)st->st_blksize,
	};
}

static void done(struct call *c, int err, const u8 *payload, u32 len)
{
	struct pending *p = c->memory;
	struct mount *m = p->mount;
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { 0 };
	struct fuse_entry_param e;
	struct msg_file_created r;
	struct inode *i = NULL;
	struct file *f = NULL;
	struct rec_attr a;

	if (!err && msg_file_created_decode(&r, payload, len))
		err = -EPROTO;
	if (!err)
		i = op_take(m, c->volume, r.handle, r.attr, &a, &err);
	if (i) {
		err = -ENOMEM;
		f = file_new(i, r.file, op_open_flags(p->flags), c->uid, c->gid);
	}
	if (!f) {
		inode_put(m->servers.inodes, i);
		reply(p, err, NULL, 0);
		return;
	}
	op_entry(m, i, &a, &e);
	out.entry.nodeid = e.ino;
	out.entry.generation = e.generation;
	out.entry.entry_valid = (u64)ATTR_TIMEOUT;
	out.entry.attr_valid = (u64)ATTR_TIMEOUT;
	attr_of(&e.attr, &out.entry.attr);
	out.open.fh = (uintptr_t)f;
	inode_looked_up(i);
	if (reply(p, 0, &out, sizeof(out))) {
		inode_forget(m->servers.inodes, i, 1);
		server_release(&m->servers, f);
	}
	inode_put(m->servers.inodes, i);
}

void tmpfile_take(struct mount *m, const struct fuse_in_header *h, size_t n)
{
	const struct fuse_create_in *in = (const void *)(h + 1);
	struct inode *dir = inode_of(h->nodeid);
	struct pending now = { .mount = m, .unique = h->unique };
	struct msg_file_tmpfile msg;
	struct pending *p;
	struct call *c;

	if (n < sizeof(*h) + sizeof(*in) || !dir) {
		reply(&now, dir ? -EINVAL : -EPERM, NULL, 0);
		return;
	}
	now.flags = (int)in->flags;
	msg = (struct msg_file_tmpfile){ .dir = inode_handle(dir),
					 .flags = op_open_flags(now.flags),
					 .mode = in->mode,
					 .umask = in->umask };
	p = malloc(sizeof(*p));
	c = p ? call_make(dir->volume, FILE_TMPFILE, file_tmpfile,
			  MSG_FILE_CREATED, &msg) :
		NULL;
	if (!c) {
		free(p);
		reply(&now, -ENOMEM, NULL, 0);
		return;
	}
	*p = now;
	c->memory = p;
	c->named = true;
	c->uid = h->uid;
	c->gid = h->gid;
	c->done = done;
	call_start(c);
}
