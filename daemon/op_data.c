// SPDX-License-Identifier: GPL-2.0-or-later
/* File operations that open files and move their bytes. */
#include <fcntl.h>
#include <linux/xattr.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "filejob.h"
#include "opname.h"

enum { PREFETCH_MAX = 64 << 10, COPY_MAX = 1 << 30, APPEND_LOCKS = 64 };

static int open_flags(u32 flags)
{
	int out = flags & FILE_OPEN_WRITE ?
			  (flags & FILE_OPEN_READ ? O_RDWR : O_WRONLY) :
			  O_RDONLY;

	if (flags & FILE_OPEN_APPEND)
		out |= O_APPEND;
	if (flags & FILE_OPEN_TRUNCATE)
		out |= O_TRUNC;
	if (flags & FILE_OPEN_SYNC)
		out |= O_SYNC;
	if (flags & FILE_OPEN_DSYNC)
		out |= O_DSYNC;
	/* A fifo or device must not hold a worker; the client's kernel opens
	 * those itself and never asks for them here.
	 */
	return out | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
}

/* Half of what may be open is for clients' files. */
static int may_open(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return -EIO;
	return filesession_open_count() < r.rlim_cur / 2 ? 0 : -ENFILE;
}

static int check_open(struct job *j, u32 flags)
{
	if (flags & ~(u32)FILE_OPEN_KNOWN)
		return -EINVAL;
	if (flags & (FILE_OPEN_WRITE | FILE_OPEN_TRUNCATE))
		return job_may_write(j);
	return 0;
}

/* Makes @fd, which it takes over, an open file of the session. */
static int add_open(struct job *j, int fd, u32 flags, struct stat *st, u64 *id)
{
	struct openfile *f = calloc(1, sizeof(*f));

	if (!f || fstat(fd, st)) {
		free(f);
		close(fd);
		return f ? -EIO : -ENOMEM;
	}
	f->fd = fd;
	f->flags = flags;
	f->dev = st->st_dev;
	f->ino = st->st_ino;
	f->volume = volume_get(j->volume);
	f->cred = fscred_get(j->cred);
	f->read_only = j->read_only;
	*id = filesession_add_file(j->session, f);
	return *id ? 0 : -ENOMEM;
}

/* The whole of a small file, so that reading it takes no second request. */
static void prefetch(int fd, const struct stat *st, u32 flags, u32 limit,
		     struct span *data, u8 *buf)
{
	size_t len = (size_t)st->st_size;
	ssize_t n;

	if (flags & FILE_OPEN_WRITE || !S_ISREG(st->st_mode) || !limit ||
	    st->st_size > limit || st->st_size > PREFETCH_MAX)
		return;
	n = pread(fd, buf, len, 0);
	if (n == (ssize_t)len)
		*data = (struct span){ buf, (u32)len };
}

static int reply_opened(struct job *j, u64 id, const struct stat *st,
			struct span data)
{
	u8 attr[ATTR_BYTES];
	struct wcursor w = wcursor_of(attr, sizeof(attr));
	struct msg_file_opened m = { .file = id,
				     .attr = { attr, ATTR_BYTES },
				     .data = data };
	struct rec_attr a;

	job_attr(j, st, &a);
	rec_attr_encode(&w, &a);
	return job_reply(j, FILE_OPENED, file_opened, &m);
}

/* -ESTALE when the name by which the client came here means another file now. */
static int check_name(struct job *j, const struct msg_file_open *m,
		      const struct stat *st)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	struct descriptor *d;
	struct stat now;
	int ret;

	if (!m->name.len)
		return 0;
	ret = opname_take(m->name, name);
	if (!ret)
		ret = job_and(j, m->dir, &d);
	if (ret)
		return ret;
	/* A user who may not search the folder does not get in by a handle that
	 * another user's look left in the client's cache.
	 */
	if (fstatat(d->fd, name, &now, AT_SYMLINK_NOFOLLOW))
		return errno == EACCES ? -EACCES : -ESTALE;
	return now.st_ino == st->st_ino && now.st_dev == st->st_dev ? 0 :
								      -ESTALE;
}

int op_open(struct job *j)
{
	struct msg_file_open m;
	struct span data = { 0 };
	struct descriptor *d;
	struct stat st;
	char path[64];
	u8 *buf;
	u64 id;
	int fd;
	int ret = job_take_at(j, file_open, &m, handle, &d);

	if (!ret)
		ret = check_open(j, m.flags);
	if (!ret)
		ret = may_open();
	if (ret)
		return ret;
	if (fstat(d->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -ENXIO;
	ret = check_name(j, &m, &st);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", d->fd);
	fd = open(path, open_flags(m.flags));
	if (fd < 0)
		return -errno;
	ret = add_open(j, fd, m.flags, &st, &id);
	if (ret)
		return ret;
	buf = m.prefetch ? malloc(PREFETCH_MAX) : NULL;
	if (buf)
		prefetch(fd, &st, m.flags, m.prefetch, &data, buf);
	ret = reply_opened(j, id, &st, data);
	free(buf);
	return ret;
}

static int reply_created(struct job *j, int fd, u32 flags)
{
	u8 handle[FILEHANDLE_MAX];
	u8 attr[ATTR_BYTES];
	struct wcursor w = wcursor_of(attr, sizeof(attr));
	struct msg_file_created m = { .handle.data = handle,
				      .attr = { attr, ATTR_BYTES } };
	struct rec_attr a;
	struct stat st;
	int len = volume_handle(j->volume, fd, "", handle);
	int ret;

	if (len < 0) {
		close(fd);
		return len;
	}
	m.handle.len = (u32)len;
	ret = add_open(j, fd, flags, &st, &m.file);
	if (ret)
		return ret;
	job_attr(j, &st, &a);
	rec_attr_encode(&w, &a);
	/* The client's kernel asks before each write; most files have none. */
	m.no_caps = fgetxattr(fd, XATTR_NAME_CAPS, NULL, 0) < 0 &&
		    (errno == ENODATA || errno == EOPNOTSUPP);
	return job_reply(j, FILE_CREATED, file_created, &m);
}

int op_create(struct job *j)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	struct msg_file_create m;
	struct descriptor *d;
	int fd;
	int ret = job_decode(j, file_create, &m);

	if (!ret)
		ret = opname_take(m.name, name);
	if (!ret)
		ret = job_at(j, m.dir, &d);
	if (!ret)
		ret = check_open(j, m.flags);
	if (!ret)
		ret = may_open();
	if (ret)
		return ret;
	fscred_umask(m.umask & 0777);
	fd = opname_open(d->fd, name,
			 open_flags(m.flags) | O_CREAT |
				 (m.flags & FILE_OPEN_EXCLUSIVE ? O_EXCL : 0),
			 m.mode & 07777);
	if (fd < 0)
		return fd;
	job_changed(j, m.dir, d);
	return reply_created(j, fd, m.flags);
}

int op_created_before(struct job *j)
{
	const struct span handle = { j->before, j->before_len };
	struct descriptor *d, *made;
	struct msg_file_create m;
	char path[64];
	int fd;
	int ret = job_take_at(j, file_create, &m, dir, &d);

	if (!ret)
		ret = job_and(j, handle, &made);
	if (!ret)
		ret = may_open();
	if (ret)
		return ret;
	/* Who makes a file may use it, whatever its mode says from then on. */
	fscred_become(NULL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", made->fd);
	fd = open(path, open_flags(m.flags) & ~O_TRUNC);
	return fd < 0 ? -errno : reply_created(j, fd, m.flags);
}

int op_tmpfile(struct job *j)
{
	struct msg_file_tmpfile m;
	struct descriptor *d;
	int fd;
	int ret = job_take_at(j, file_tmpfile, &m, dir, &d);

	if (!ret)
		ret = check_open(j, m.flags);
	if (!ret && !(m.flags & FILE_OPEN_WRITE))
		ret = -EINVAL;
	if (!ret)
		ret = may_open();
	if (ret)
		return ret;
	fscred_umask(m.umask & 0777);
	fd = openat(d->fd, ".",
		    (open_flags(m.flags) & ~O_TRUNC) | O_TMPFILE |
			    (m.flags & FILE_OPEN_EXCLUSIVE ? O_EXCL : 0),
		    m.mode & 07777);
	return fd < 0 ? -errno : reply_created(j, fd, m.flags);
}

int op_release(struct job *j)
{
	struct msg_file_release m;
	int ret = job_decode(j, file_release, &m);

	return ret ? ret : filesession_release(j->session, m.file);
}

int op_read(struct job *j)
{
	struct msg_file_read m;
	struct openfile *f;
	ssize_t n;
	u8 *data;
	int ret = job_take_file(j, file_read, &m, file, &f);

	if (!ret && (m.offset > INT64_MAX || m.count > FILE_IO_MAX))
		ret = -EINVAL;
	if (ret)
		return ret;
	data = malloc(m.count ? m.count : 1);
	if (!data)
		return -ENOMEM;
	n = pread(f->fd, data, m.count, (off_t)m.offset);
	if (n < 0) {
		ret = -errno;
		free(data);
		return ret;
	}
	return job_reply_data(j, data, (size_t)n);
}

/* Writes all of it, or as much as there is room for; the count or -errno. */
static ssize_t write_all(int fd, const u8 *data, size_t len, off_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, data + done, len - done,
				   at + (off_t)done);

		if (n <= 0)
			return done ? (ssize_t)done : n ? -errno : -EIO;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Which file end the bytes came to must be known even if virgod is killed, so no
 * other append of ours comes between looking at it and writing.
 */
static ssize_t append(struct job *j, struct openfile *f, struct span data)
{
	static pthread_mutex_t locks[APPEND_LOCKS] = {
		[0 ... APPEND_LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER
	};
	pthread_mutex_t *lock = &locks[f->ino % APPEND_LOCKS];
	struct stat st;
	ssize_t n;

	job_note(j);
	pthread_mutex_lock(lock);
	if (fstat(f->fd, &st) == 0)
		job_mark(j, (u64)st.st_size + 1);
	n = write_all(f->fd, data.data, data.len, 0);
	pthread_mutex_unlock(lock);
	return n;
}

int op_write(struct job *j)
{
	struct msg_file_written reply = { .verifier = j->boot };
	struct msg_file_write m;
	struct openfile *f;
	ssize_t n;
	int ret = job_take_file(j, file_write, &m, file, &f);

	if (!ret && (m.offset > INT64_MAX - FILE_IO_MAX ||
		     m.data.len > FILE_IO_MAX))
		ret = -EFBIG;
	if (ret)
		return ret;
	/* A setuid bit falls when its writer is not root; root may have passed
	 * an open file to someone else.
	 */
	if (m.flags & FILE_WRITE_KILL_PRIV && fscred_is_root(f->cred))
		fscred_become_nobody();
	n = f->flags & FILE_OPEN_APPEND ?
		    append(j, f, m.data) :
		    write_all(f->fd, m.data.data, m.data.len, (off_t)m.offset);
	if (n < 0)
		return (int)n;
	reply.count = (u32)n;
	return job_reply(j, FILE_WRITTEN, file_written, &reply);
}

static int reply_synced(struct job *j)
{
	const struct msg_file_synced m = { .verifier = j->boot };

	return job_reply(j, FILE_SYNCED, file_synced, &m);
}

int op_fsync(struct job *j)
{
	struct msg_file_fsync m;
	struct openfile *f;
	int ret = job_take_file(j, file_fsync, &m, file, &f);

	if (!ret && (m.data_only ? fdatasync(f->fd) : fsync(f->fd)))
		ret = -errno;
	return ret ? ret : reply_synced(j);
}

/* A readable descriptor of directory @d, opened by virgod: durability is
 * nothing to be refused.
 */
static int open_dir(struct descriptor *d)
{
	int fd;

	fscred_become(NULL);
	fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int op_fsyncdir(struct job *j)
{
	struct msg_file_fsyncdir m;
	struct descriptor *d;
	int fd;
	int ret = job_take_at(j, file_fsyncdir, &m, handle, &d);

	if (ret)
		return ret;
	fd = open_dir(d);
	if (fd < 0)
		return fd;
	if (m.data_only ? fdatasync(fd) : fsync(fd))
		ret = -errno;
	close(fd);
	return ret ? ret : reply_synced(j);
}

int op_syncfs(struct job *j)
{
	struct msg_file_syncfs m;
	struct descriptor *d;
	int ret = job_take_at(j, file_syncfs, &m, handle, &d);

	if (!ret && syncfs(j->volume->root_fd))
		ret = -errno;
	return ret ? ret : reply_synced(j);
}

int op_fallocate(struct job *j)
{
	struct msg_file_fallocate m;
	struct openfile *f;
	int ret = job_take_file(j, file_fallocate, &m, file, &f);

	if (!ret && (m.offset > INT64_MAX || m.length > INT64_MAX))
		ret = -EFBIG;
	if (!ret && fallocate(f->fd, (int)m.mode, (off_t)m.offset,
			      (off_t)m.length))
		ret = -errno;
	return ret;
}

int op_lseek(struct job *j)
{
	struct msg_file_lseek m;
	struct msg_file_offset reply;
	struct openfile *f;
	off_t at;
	int ret = job_take_file(j, file_lseek, &m, file, &f);

	if (!ret && ((m.whence != SEEK_DATA && m.whence != SEEK_HOLE) ||
		     m.offset > INT64_MAX))
		ret = -EINVAL;
	if (ret)
		return ret;
	/* The descriptor's own offset means nothing: reads and writes name
	 * theirs.
	 */
	at = lseek(f->fd, (off_t)m.offset, (int)m.whence);
	if (at < 0)
		return -errno;
	reply.offset = (u64)at;
	return job_reply(j, FILE_OFFSET, file_offset, &reply);
}

int op_copy(struct job *j)
{
	struct msg_file_written reply = { .verifier = j->boot };
	struct msg_file_copy m;
	struct openfile *from, *to;
	off_t in, out;
	ssize_t n;
	int ret = job_take_file(j, file_copy, &m, file, &from);

	if (!ret)
		ret = job_file(j, m.to_file, &to);
	if (!ret && (m.offset > INT64_MAX || m.to_offset > INT64_MAX))
		ret = -EINVAL;
	if (!ret && from->volume != to->volume)
		ret = -EXDEV;
	if (ret)
		return ret;
	in = (off_t)m.offset;
	out = (off_t)m.to_offset;
	n = copy_file_range(from->fd, &in, to->fd, &out,
			    m.count < COPY_MAX ? (size_t)m.count : COPY_MAX, 0);
	if (n < 0)
		return -errno;
	reply.count = (u32)n;
	return job_reply(j, FILE_WRITTEN, file_written, &reply);
}
