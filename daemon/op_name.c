// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * File operations on names: look up, make, remove, rename, link. A name is one
 * component, checked here; the kernel resolves it beneath its directory's
 * descriptor, as the user, without following a link or crossing a mount.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "filejob.h"
#include "opname.h"

int opname_take(struct span s, char out[FILE_NAME_BYTES_MAX + 1])
{
	if (s.len > FILE_NAME_BYTES_MAX)
		return -ENAMETOOLONG;
	if (!span_to_cstr(s, out, FILE_NAME_BYTES_MAX + 1))
		return -EINVAL;
	if (strchr(out, '/') || !strcmp(out, ".") || !strcmp(out, ".."))
		return -EINVAL;
	return 0;
}

int opname_open(int dir_fd, const char *name, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (u64)(unsigned int)(flags | O_NOFOLLOW | O_CLOEXEC),
		.mode = flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* Directory @dir as who asks, and the name checked into @out. */
static int at_name(struct job *j, struct span dir, struct span name,
		   struct descriptor **d, char out[FILE_NAME_BYTES_MAX + 1])
{
	int ret = opname_take(name, out);

	return ret ? ret : job_at(j, dir, d);
}

/* Decodes a request that names something in a directory, and looks that up. */
#define take_name(j, message, m, d, out)                                       \
	(job_decode(j, message, m) ? -EBADMSG :                                \
				     at_name(j, (m)->dir, (m)->name, d, out))

/* Answers with what @name in @d is now. */
static int reply_entry(struct job *j, struct descriptor *d, const char *name)
{
	int fd = opname_open(d->fd, name, O_PATH, 0);

	return fd < 0 ? fd : job_reply_entry(j, fd, true);
}

int opname_reply_made(struct job *j, struct span dir, struct descriptor *d,
		      const char *name)
{
	job_changed(j, dir, d);
	return reply_entry(j, d, name);
}

int op_lookup(struct job *j)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	struct msg_file_lookup m;
	struct descriptor *d;
	int ret = take_name(j, file_lookup, &m, &d, name);

	return ret ? ret : reply_entry(j, d, name);
}

int op_readlink(struct job *j)
{
	struct msg_file_readlink m;
	struct msg_file_data reply;
	char target[PATH_MAX];
	struct descriptor *d;
	ssize_t n;
	int ret = job_take_at(j, file_readlink, &m, handle, &d);

	if (ret)
		return ret;
	n = readlinkat(d->fd, "", target, sizeof(target));
	if (n < 0)
		return errno == ENOENT ? -EINVAL : -errno;
	reply.data = (struct span){ (const u8 *)target, (u32)n };
	return job_reply(j, FILE_DATA, file_data, &reply);
}

int op_mknod(struct job *j)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	struct msg_file_mknod m;
	struct descriptor *d;
	int ret = take_name(j, file_mknod, &m, &d, name);

	if (ret)
		return ret;
	fscred_umask(m.umask & 0777);
	/* CAP_MKNOD is not among what a changed user loses on every kernel. */
	if ((S_ISCHR(m.mode) || S_ISBLK(m.mode)) && !fscred_is_root(j->cred))
		return -EPERM;
	if (mknodat(d->fd, name, m.mode,
		    makedev((unsigned int)(m.rdev >> 32), (unsigned int)m.rdev)))
		return -errno;
	return opname_reply_made(j, m.dir, d, name);
}

int op_mkdir(struct job *j)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	struct msg_file_mkdir m;
	struct descriptor *d;
	int ret = take_name(j, file_mkdir, &m, &d, name);

	if (ret)
		return ret;
	fscred_umask(m.umask & 0777);
	if (mkdirat(d->fd, name, m.mode & 07777))
		return -errno;
	return opname_reply_made(j, m.dir, d, name);
}

int op_symlink(struct job *j)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	char target[PATH_MAX];
	struct msg_file_symlink m;
	struct descriptor *d;
	int ret = job_decode(j, file_symlink, &m);

	if (!ret && !span_to_cstr(m.target, target, sizeof(target)))
		ret = m.target.len ? -ENAMETOOLONG : -ENOENT;
	if (!ret)
		ret = at_name(j, m.dir, m.name, &d, name);
	if (ret)
		return ret;
	if (symlinkat(target, d->fd, name))
		return -errno;
	return opname_reply_made(j, m.dir, d, name);
}

/* Inode number behind @name, whose cached descriptor must go if the name does;
 * 0 when there is none.
 */
static u64 inode_of(struct descriptor *d, const char *name)
{
	struct stat st;

	return fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) ? 0 : st.st_ino;
}

static int remove_name(struct job *j, struct span dir,
		       struct span name_span, int flags)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	struct descriptor *d;
	u64 ino;
	int ret = at_name(j, dir, name_span, &d, name);

	if (ret)
		return ret;
	ino = inode_of(d, name);
	job_mark(j, ino);
	if (unlinkat(d->fd, name, flags))
		return -errno;
	if (ino)
		descriptors_drop(j->descriptors, ino);
	job_changed(j, dir, d);
	return 0;
}

int op_unlink(struct job *j)
{
	struct msg_file_unlink m;
	int ret = job_decode(j, file_unlink, &m);

	return ret ? ret : remove_name(j, m.dir, m.name, 0);
}

int op_rmdir(struct job *j)
{
	struct msg_file_rmdir m;
	int ret = job_decode(j, file_rmdir, &m);

	return ret ? ret : remove_name(j, m.dir, m.name, AT_REMOVEDIR);
}

int op_rename(struct job *j)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	char to_name[FILE_NAME_BYTES_MAX + 1];
	struct msg_file_rename m;
	struct descriptor *d, *to;
	u64 ino;
	int ret = job_decode(j, file_rename, &m);

	if (!ret)
		ret = opname_take(m.to_name, to_name);
	if (!ret)
		ret = at_name(j, m.dir, m.name, &d, name);
	if (!ret)
		ret = job_and(j, m.to_dir, &to);
	if (!ret && m.flags & ~(u32)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		ret = -EINVAL;
	if (ret)
		return ret;
	ino = m.flags ? 0 : inode_of(to, to_name);
	job_mark(j, inode_of(d, name));
	if (renameat2(d->fd, name, to->fd, to_name, m.flags))
		return -errno;
	if (ino)
		descriptors_drop(j->descriptors, ino);
	job_changed(j, m.dir, d);
	if (!span_equal(m.dir, m.to_dir))
		job_changed(j, m.to_dir, to);
	return 0;
}

int op_link(struct job *j)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	char path[64];
	struct msg_file_link m;
	struct descriptor *d, *what;
	struct openfile *f;
	struct stat st;
	int ret = take_name(j, file_link, &m, &d, name);
	int fd;

	if (ret)
		return ret;
	if (m.file) { /* the only way to an open file without a name */
		ret = job_file(j, m.file, &f);
		if (!ret && f->volume != j->volume)
			ret = -EXDEV;
		fd = ret ? -1 : f->fd;
		fscred_become(j->cred);
	} else {
		ret = job_and(j, m.handle, &what);
		fd = ret ? -1 : what->fd;
	}
	if (ret)
		return ret;
	if (fstat(fd, &st))
		return -errno;
	job_mark(j, st.st_nlink);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, d->fd, name, AT_SYMLINK_FOLLOW))
		return -errno;
	return opname_reply_made(j, m.dir, d, name);
}
