/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operations of the mount, by libfuse's low-level table; ops.c holds it and
 * says why an operation is missing. Each turns a request of the kernel into a
 * call to the volume's server and the answer into the reply.
 */
#ifndef VIRGO_FS_OPS_H
#define VIRGO_FS_OPS_H

#include "mount.h"

extern const struct fuse_lowlevel_ops ops;

/* Starts @c for @req, whose user it acts for when @c->named is set; replies
 * ENOMEM when @c is NULL. @req is c->request.
 */
void op_start(fuse_req_t req, struct call *c);
/* Replies @err, 0 or a negative errno. For c->done of calls without an answer
 * worth looking at.
 */
void op_done(struct call *c, int err, const u8 *payload, u32 len);
void op_error(fuse_req_t req, int err);

/* The server's attributes as the kernel shall see them. */
void op_stat(struct mount *m, struct volume *v, const struct rec_attr *a,
	     struct stat *st);
/* Fills @e for inode @i; the caller counts the lookup. */
void op_entry(struct mount *m, struct inode *i, const struct rec_attr *a,
	      struct fuse_entry_param *e);
/* The inode of an answer, held; NULL and *@err when it is malformed. */
struct inode *op_take(struct mount *m, struct volume *v, struct span handle,
		      struct span attr, struct rec_attr *a, int *err);
/* c->done of calls answered by FILE_ENTRY; c->memory may be the name, c->dir the
 * directory.
 */
void op_done_entry(struct call *c, int err, const u8 *payload, u32 len);
/* enum file_open_flags for O_* flags. */
u32 op_open_flags(int flags);
/* An open file of @i, for operations that had better use one; NULL if none. */
struct file *op_any_file(struct inode *i);
static inline struct file *op_file(const struct fuse_file_info *fi)
{
	return (struct file *)(uintptr_t)fi->fh;
}

/* op_root.c: the mount's own root, where the volumes are. */
void root_lookup(fuse_req_t req, const char *name);
void root_getattr(fuse_req_t req);
void root_mkdir(fuse_req_t req, const char *name);
void root_rmdir(fuse_req_t req, const char *name);
void root_readdir(fuse_req_t req, size_t size, off_t off, bool plus);
void root_statfs(fuse_req_t req);
/* A volume's root while its server is away: the last attributes known. */
bool root_stands_in(fuse_req_t req, struct inode *i);

/* op_attr.c */
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int valid,
		struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t ino);

/* op_xattr.c */
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		 const char *value, size_t size, int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* op_name.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n);
void op_forget_multi(fuse_req_t req, size_t count,
		     struct fuse_forget_data *list);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	      dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	       fuse_ino_t to, const char *to_name, unsigned int flags);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
	     const char *name);

/* op_data.c */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	     struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
	      off_t off, struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only,
	      struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset,
		  off_t length, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
	      struct fuse_file_info *fi);
void op_copy(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
	     struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
	     struct fuse_file_info *fi_out, size_t len, int flags);

/* op_dir.c */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only,
		 struct fuse_file_info *fi);

/* op_lock.c */
void op_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      struct flock *lock);
void op_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      struct flock *lock, int sleep);
void op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      int how);

#endif
