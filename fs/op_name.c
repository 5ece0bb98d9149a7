// SPDX-License-Identifier: GPL-2.0-or-later
/* Operations on names. */
#include "ops.h"

#include <stdlib.h>
#include <sys/sysmacros.h>

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct inode *dir = inode_of(parent);
	struct msg_file_lookup m = { .name = span_of(name) };
	struct call *c;

	if (!dir) {
		root_lookup(req, name);
		return;
	}
	m.dir = inode_handle(dir);
	c = call_make(dir->volume, FILE_LOOKUP, file_lookup, MSG_FILE_ENTRY, &m);
	if (c) {
		c->named = true;
		c->dir = dir;
		inode_hold(dir);
		c->memory = strdup(name);
		c->done = op_done_entry;
	}
	op_start(req, c);
}

static void forget(struct mount *m, fuse_ino_t ino, u64 n)
{
	if (inode_of(ino))
		inode_forget(m->servers.inodes, inode_of(ino), n);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	forget(mount_of(req), ino, n);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count,
		     struct fuse_forget_data *list)
{
	size_t i;

	for (i = 0; i < count; i++)
		forget(mount_of(req), list[i].ino, list[i].nlookup);
	fuse_reply_none(req);
}

static void done_readlink(struct call *c, int err, const u8 *payload, u32 len)
{
	fuse_req_t req = c->request;
	struct msg_file_data m;
	char target[4097];

	if (!err && (msg_file_data_decode(&m, payload, len) ||
		     !span_to_cstr(m.data, target, sizeof(target))))
		err = -EPROTO;
	if (err)
		op_error(req, err);
	else
		fuse_reply_readlink(req, target);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct inode *i = inode_of(ino);
	struct msg_file_readlink m = { 0 };
	struct call *c;

	if (!i) {
		op_error(req, -EINVAL);
		return;
	}
	m.handle = inode_handle(i);
	c = call_make(i->volume, FILE_READLINK, file_readlink, MSG_FILE_DATA, &m);
	if (c) {
		c->named = true;
		c->done = done_readlink;
	}
	op_start(req, c);
}

/* Common to what makes a name and is answered with it. */
static void start_making(fuse_req_t req, struct call *c, struct inode *dir,
			 const char *name)
{
	if (c) {
		c->named = true;
		c->once = true;
		c->dir = dir;
		inode_hold(dir);
		c->memory = strdup(name);
		c->done = op_done_entry;
	}
	op_start(req, c);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	      dev_t rdev)
{
	struct inode *dir = inode_of(parent);
	struct msg_file_mknod m = {
		.name = span_of(name),
		.mode = mode,
		.umask = fuse_req_ctx(req)->umask,
		.rdev = (u64)major(rdev) << 32 | minor(rdev),
	};

	if (!dir) {
		op_error(req, -EPERM);
		return;
	}
	m.dir = inode_handle(dir);
	start_making(req, call_make(dir->volume, FILE_MKNOD, file_mknod,
				    MSG_FILE_ENTRY, &m), dir, name);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct inode *dir = inode_of(parent);
	struct msg_file_mkdir m = { .name = span_of(name),
				    .mode = mode,
				    .umask = fuse_req_ctx(req)->umask };

	if (!dir) {
		root_mkdir(req, name);
		return;
	}
	m.dir = inode_handle(dir);
	start_making(req, call_make(dir->volume, FILE_MKDIR, file_mkdir,
				    MSG_FILE_ENTRY, &m), dir, name);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		const char *name)
{
	struct inode *dir = inode_of(parent);
	struct msg_file_symlink m = { .name = span_of(name),
				      .target = span_of(target) };

	if (!dir) {
		op_error(req, -EPERM);
		return;
	}
	m.dir = inode_handle(dir);
	start_making(req, call_make(dir->volume, FILE_SYMLINK, file_symlink,
				    MSG_FILE_ENTRY, &m), dir, name);
}

static void start_once(fuse_req_t req, struct call *c)
{
	if (c) {
		c->named = true;
		c->once = true;
		c->done = op_done;
	}
	op_start(req, c);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct inode *dir = inode_of(parent);
	struct msg_file_unlink m = { .name = span_of(name) };

	if (!dir) {
		op_error(req, -EPERM);
		return;
	}
	m.dir = inode_handle(dir);
	start_once(req, call_make(dir->volume, FILE_UNLINK, file_unlink, MSG_OK,
				  &m));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct inode *dir = inode_of(parent);
	struct msg_file_rmdir m = { .name = span_of(name) };

	if (!dir) {
		root_rmdir(req, name);
		return;
	}
	m.dir = inode_handle(dir);
	start_once(req, call_make(dir->volume, FILE_RMDIR, file_rmdir, MSG_OK,
				  &m));
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	       fuse_ino_t to, const char *to_name, unsigned int flags)
{
	struct inode *dir = inode_of(parent);
	struct inode *to_dir = inode_of(to);
	struct msg_file_rename m = { .name = span_of(name),
				     .to_name = span_of(to_name),
				     .flags = flags };

	/* A volume keeps its name, and the root takes nothing but volumes. */
	if (!dir || !to_dir || dir->volume != to_dir->volume) {
		op_error(req, dir && to_dir ? -EXDEV : -EPERM);
		return;
	}
	/* A directory that is renamed changes too, and is not known here. */
	mount_of(req)->attrs_since_us = loop_clock_us();
	m.dir = inode_handle(dir);
	m.to_dir = inode_handle(to_dir);
	start_once(req, call_make(dir->volume, FILE_RENAME, file_rename, MSG_OK,
				  &m));
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
	     const char *name)
{
	struct inode *i = inode_of(ino);
	struct inode *dir = inode_of(parent);
	struct msg_file_link m = { .name = span_of(name) };
	struct file *f;
	struct call *c;

	if (!i || !dir || i->volume != dir->volume) {
		op_error(req, i && dir ? -EXDEV : -EPERM);
		return;
	}
	m.handle = inode_handle(i);
	m.dir = inode_handle(dir);
	c = call_make(dir->volume, FILE_LINK, file_link, MSG_FILE_ENTRY, &m);
	f = op_any_file(i);
	if (c && f) {
		c->file = f;
		c->file_at = 4 + 4 + m.handle.len;
	}
	start_making(req, c, dir, name);
}
