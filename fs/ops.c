// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of operations, and what they share. Not in the table, and why:
 *
 *	access		the kernel checks itself (default_permissions), the
 *			server again with each operation
 *	bmap		for file systems on a block device
 *	ioctl		nothing that a remote server could answer faithfully
 *	poll		regular files and directories are always ready
 *	write_buf	splicing gains nothing here (measured), write is enough
 *	retrieve_reply	the kernel's pages are never asked back
 *
 * tests/unit/test_fuseops.c holds this list against libfuse's.
 */
#include "ops.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	const unsigned int want =
		FUSE_CAP_ASYNC_READ | FUSE_CAP_POSIX_LOCKS |
		FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_ATOMIC_O_TRUNC |
		FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_DONT_MASK |
		FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_READDIRPLUS |
		FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_ASYNC_DIO |
		FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_POSIX_ACL |
		FUSE_CAP_CACHE_SYMLINKS;

	conn->want = want & conn->capable;
	conn->max_write = FILE_IO_MAX;
	conn->max_read = FILE_IO_MAX;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	conn->time_gran = 1;
}

const struct fuse_lowlevel_ops ops = {
	.init = on_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.create = op_create,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.getlk = op_getlk,
	.setlk = op_setlk,
	.flock = op_flock,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.copy_file_range = op_copy,
};

void op_error(fuse_req_t req, int err)
{
	fuse_reply_err(req, -err);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	call_interrupt(data);
}

void op_start(fuse_req_t req, struct call *c)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	if (!c) {
		op_error(req, -ENOMEM);
		return;
	}
	if (fuse_req_interrupted(req)) { /* during an earlier call of it */
		call_drop(c);
		op_error(req, -EINTR);
		return;
	}
	c->request = req;
	c->uid = ctx->uid;
	c->gid = ctx->gid;
	fuse_req_interrupt_func(req, on_interrupt, c);
	call_start(c);
}

void op_done(struct call *c, int err, const u8 *payload, u32 len)
{
	op_error(c->request, err);
}

void op_stat(struct mount *m, struct volume *v, const struct rec_attr *a,
	     struct stat *st)
{
	bool numeric = v->flags & FILE_VOLUME_NUMERIC;
	struct idmap *ids = server_ids(v->server);

	*st = (struct stat){
		.st_ino = inumbers_show(m->numbers, v->slot, a->ino),
		.st_mode = a->mode,
		.st_nlink = a->nlink,
		.st_uid = numeric ? a->uid :
				    idmap_local(ids, FILE_ID_USER, a->uid),
		.st_gid = numeric ? a->gid :
				    idmap_local(ids, FILE_ID_GROUP, a->gid),
		.st_rdev = makedev((unsigned int)(a->rdev >> 32),
				   (unsigned int)a->rdev),
		.st_size = (off_t)a->size,
		.st_blocks = (blkcnt_t)a->blocks,
		.st_blksize = (blksize_t)a->blksize,
		.st_atim = { a->atime_s, a->atime_ns },
		.st_mtim = { a->mtime_s, a->mtime_ns },
		.st_ctim = { a->ctime_s, a->ctime_ns },
	};
}

void op_entry(struct mount *m, struct inode *i, const struct rec_attr *a,
	      struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){ .ino = (uintptr_t)i,
					.generation = 1,
					.attr_timeout = ATTR_TIMEOUT,
					.entry_timeout = ATTR_TIMEOUT };
	inode_seen(i, a);
	op_stat(m, i->volume, a, &e->attr);
}

struct inode *op_take(struct mount *m, struct volume *v, struct span handle,
		      struct span attr, struct rec_attr *a, int *err)
{
	struct inode *i;

	*err = -EPROTO;
	if (handle.len < 4 || handle.len > FILE_HANDLE_MAX ||
	    rec_attr_decode(a, attr.data, attr.len))
		return NULL;
	*err = -ENOMEM;
	i = inodes_get(m->servers.inodes, v, handle);
	if (!i)
		return NULL;
	/* A file never changes its type: a server that says so would have the
	 * kernel mark the inode bad anyway.
	 */
	if (i->type && i->type != (a->mode & S_IFMT)) {
		inode_put(m->servers.inodes, i);
		*err = -EPROTO;
		return NULL;
	}
	i->type = a->mode & S_IFMT;
	return i;
}

void op_done_entry(struct call *c, int err, const u8 *payload, u32 len)
{
	fuse_req_t req = c->request;
	struct mount *m = mount_of(req);
	struct fuse_entry_param e;
	struct msg_file_entry r;
	struct rec_attr a;
	struct inode *i = NULL;

	if (!err && msg_file_entry_decode(&r, payload, len))
		err = -EPROTO;
	if (!err)
		i = op_take(m, c->volume, r.handle, r.attr, &a, &err);
	if (!i) {
		op_error(req, err);
		return;
	}
	if (c->dir && c->memory)
		inode_named(i, c->dir, c->memory);
	op_entry(m, i, &a, &e);
	inode_looked_up(i);
	if (fuse_reply_entry(req, &e))
		inode_forget(m->servers.inodes, i, 1);
	inode_put(m->servers.inodes, i);
}

u32 op_open_flags(int flags)
{
	u32 out = 0;

	if ((flags & O_ACCMODE) != O_WRONLY)
		out |= FILE_OPEN_READ;
	if ((flags & O_ACCMODE) != O_RDONLY)
		out |= FILE_OPEN_WRITE;
	if (flags & O_APPEND)
		out |= FILE_OPEN_APPEND;
	if (flags & O_TRUNC)
		out |= FILE_OPEN_TRUNCATE;
	if (flags & O_EXCL)
		out |= FILE_OPEN_EXCLUSIVE;
	if ((flags & O_SYNC) == O_SYNC)
		out |= FILE_OPEN_SYNC;
	else if (flags & O_DSYNC)
		out |= FILE_OPEN_DSYNC;
	return out;
}

struct file *op_any_file(struct inode *i)
{
	struct file *f = i->files;

	while (f && !f->remote)
		f = f->next;
	return f;
}
