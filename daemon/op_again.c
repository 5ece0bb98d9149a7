// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations that an earlier virgod had begun when it was killed, asked for again.
 * Whether one was done is read from what is there now and from what was noted
 * before its system call (job_mark()):
 *
 *	made a name	the name is there, of the asker, of that type, born after
 *			the operation was begun and before this virgod started
 *	removed one	what it meant then is not there any more
 *	renamed		what had the old name has the new one
 *	linked		the new name is the file's, and that has a link more
 *	appended	the bytes are there where the file ended, and nobody has
 *			written to it since
 *
 * What was done is answered, what was not is done now. EIO is left for what cannot
 * be known: another session had the same under way, or somebody was there in
 * between.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "filejob.h"
#include "opname.h"

/* Of the functions below that decide: not done, so it is to be done now. Else 0
 * when the job has its answer, or a negative errno.
 */
enum { NOT_DONE = 1 };

static s64 born_ns(const struct statx *st)
{
	return st->stx_btime.tv_sec * 1000000000ll + st->stx_btime.tv_nsec;
}

/* 0 or -errno. */
static int look(int dir_fd, const char *name, struct statx *st)
{
	return statx(dir_fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		     STATX_BASIC_STATS | STATX_BTIME, st) ?
		       -errno :
		       0;
}

/* Directory and name of a request that begins with who, directory, name. */
static int take_place(struct job *j, struct msg_file_unlink *m,
		      struct descriptor **d, char name[FILE_NAME_BYTES_MAX + 1])
{
	int ret = job_decode(j, file_unlink, m);

	if (!ret)
		ret = opname_take(m->name, name);
	return ret ? ret : job_at(j, m->dir, d);
}

/* 1: made by this operation; 0: not; or -EIO. */
static int is_made(const struct job *j, mode_t type, const struct statx *st)
{
	if ((st->stx_mode & S_IFMT) != type ||
	    st->stx_uid != fscred_uid(j->cred))
		return 0;
	if (!(st->stx_mask & STATX_BTIME))
		return -EIO;
	if (born_ns(st) < j->begun.since_ns || born_ns(st) >= j->started_ns)
		return 0;
	return j->shared ? -EIO : 1;
}

static mode_t type_made(const struct job *j)
{
	struct msg_file_mknod m;

	switch (j->op->type) {
	case MSG_FILE_MKDIR:
		return S_IFDIR;
	case MSG_FILE_SYMLINK:
		return S_IFLNK;
	case MSG_FILE_CREATE:
		return S_IFREG;
	}
	if (job_decode(j, file_mknod, &m))
		return 0;
	return m.mode & S_IFMT ? m.mode & S_IFMT : S_IFREG;
}

static int decide_made(struct job *j)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	struct msg_file_unlink m;
	struct descriptor *d;
	struct statx st;
	int ret = take_place(j, &m, &d, name);

	if (ret)
		return ret;
	if (look(d->fd, name, &st))
		return NOT_DONE;
	ret = is_made(j, type_made(j), &st);
	if (ret <= 0)
		return ret ? ret : NOT_DONE;
	if (j->op->type != MSG_FILE_CREATE)
		return opname_reply_made(j, m.dir, d, name);
	ret = volume_handle(j->volume, d->fd, name, j->before);
	if (ret < 0)
		return ret;
	j->before_len = (u32)ret;
	job_let_go(j);
	return op_created_before(j);
}

static int decide_removed(struct job *j)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	struct msg_file_unlink m;
	struct descriptor *d;
	struct statx st;
	int ret = take_place(j, &m, &d, name);

	if (ret || !j->begun.mark)
		return ret ? ret : NOT_DONE;
	/* A new file may have got the old one's number. */
	if (look(d->fd, name, &st) == 0 && st.stx_ino == j->begun.mark &&
	    (!(st.stx_mask & STATX_BTIME) ||
	     born_ns(&st) <= j->begun.since_ns))
		return NOT_DONE;
	if (j->shared)
		return -EIO;
	descriptors_drop(j->descriptors, j->begun.mark);
	job_changed(j, m.dir, d);
	return 0;
}

static int decide_renamed(struct job *j)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	char to_name[FILE_NAME_BYTES_MAX + 1];
	struct msg_file_unlink from;
	struct msg_file_rename m;
	struct descriptor *d, *to;
	struct statx st;
	int ret = job_decode(j, file_rename, &m);

	if (!ret)
		ret = opname_take(m.to_name, to_name);
	if (!ret)
		ret = take_place(j, &from, &d, name);
	if (!ret)
		ret = job_and(j, m.to_dir, &to);
	if (ret || !j->begun.mark)
		return ret ? ret : NOT_DONE;
	if (look(d->fd, name, &st) == 0 && st.stx_ino == j->begun.mark)
		return NOT_DONE;
	if (look(to->fd, to_name, &st) || st.stx_ino != j->begun.mark)
		return -EIO;
	job_changed(j, m.dir, d);
	if (!span_equal(m.dir, m.to_dir))
		job_changed(j, m.to_dir, to);
	return 0;
}

static int decide_linked(struct job *j)
{
	char name[FILE_NAME_BYTES_MAX + 1];
	struct descriptor *d, *what;
	struct msg_file_link m;
	struct statx st, own;
	int ret = job_decode(j, file_link, &m);

	if (!ret)
		ret = opname_take(m.name, name);
	if (!ret)
		ret = job_at(j, m.dir, &d);
	/* An open file without a name went with the virgod that held it. */
	if (ret || m.file || !j->begun.mark)
		return ret ? ret : NOT_DONE;
	ret = job_and(j, m.handle, &what);
	if (ret)
		return ret;
	if (look(d->fd, name, &st) ||
	    statx(what->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &own) ||
	    st.stx_ino != own.stx_ino || own.stx_nlink <= j->begun.mark)
		return NOT_DONE;
	return opname_reply_made(j, m.dir, d, name);
}

/* Whether the file has @len bytes @data at @at: 1, 0, or -errno. */
static int holds(const struct openfile *f, const u8 *data, size_t len, off_t at)
{
	u8 *buf = malloc(len + 1);
	char path[64];
	ssize_t n;
	int fd;

	/* It may be open for writing only. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	fscred_become(NULL);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	n = fd < 0 || !buf ? -1 : pread(fd, buf, len, at);
	if (fd >= 0)
		close(fd);
	fscred_become(f->cred);
	if (n >= 0)
		n = (size_t)n == len && !memcmp(buf, data, len);
	free(buf);
	return n < 0 ? -EIO : (int)n;
}

static int decide_appended(struct job *j)
{
	struct msg_file_written reply = { .verifier = j->boot };
	struct msg_file_write m;
	struct openfile *f;
	struct stat st;
	off_t end = (off_t)j->begun.mark - 1;
	size_t have;
	int ret = job_take_file(j, file_write, &m, file, &f);

	if (ret || !j->begun.mark)
		return ret ? ret : NOT_DONE;
	if (fstat(f->fd, &st))
		return -errno;
	if (st.st_size == end)
		return NOT_DONE;
	if (st.st_size < end || st.st_mtim.tv_sec * 1000000000ll +
				st.st_mtim.tv_nsec >= j->started_ns)
		return -EIO;
	have = (size_t)(st.st_size - end);
	if (have > m.data.len)
		have = m.data.len;
	ret = holds(f, m.data.data, have, end);
	if (ret <= 0)
		return -EIO;
	/* Killed in the middle of it: the rest belongs right behind. */
	while (have < m.data.len) {
		ssize_t n = write(f->fd, m.data.data + have, m.data.len - have);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	reply.count = (u32)have;
	return job_reply(j, FILE_WRITTEN, file_written, &reply);
}

/* The attribute that FILE_SETXATTR would make is there: is it as it would be? */
static int is_set(struct job *j)
{
	char name[XATTR_NAME_MAX + 1];
	u8 value[XATTR_SIZE_MAX];
	struct msg_file_setxattr m;
	struct descriptor *d;
	char path[64];
	ssize_t n;
	int ret;

	job_let_go(j);
	ret = job_take_at(j, file_setxattr, &m, handle, &d);
	if (ret || !span_to_cstr(m.name, name, sizeof(name)))
		return ret ? ret : -EINVAL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", d->fd);
	n = getxattr(path, name, value, sizeof(value));
	return n == (ssize_t)m.value.len && !memcmp(value, m.value.data,
						    m.value.len) ?
		       0 :
		       -EEXIST;
}

static int decide(struct job *j)
{
	switch (j->op->type) {
	case MSG_FILE_MKNOD:
	case MSG_FILE_MKDIR:
	case MSG_FILE_SYMLINK:
	case MSG_FILE_CREATE:
		return decide_made(j);
	case MSG_FILE_UNLINK:
	case MSG_FILE_RMDIR:
		return decide_removed(j);
	case MSG_FILE_RENAME:
		return decide_renamed(j);
	case MSG_FILE_LINK:
		return decide_linked(j);
	case MSG_FILE_WRITE:
		return decide_appended(j);
	default:
		return NOT_DONE;
	}
}

int op_again(struct job *j)
{
	int ret = decide(j);

	if (ret != NOT_DONE)
		return ret;
	job_let_go(j);
	ret = j->op->run(j);
	if (ret == -EEXIST && j->op->type == MSG_FILE_SETXATTR)
		return is_set(j);
	/* Nobody can tell any more whether it was there. */
	if (ret == -ENODATA && j->op->type == MSG_FILE_REMOVEXATTR)
		return 0;
	return ret;
}
