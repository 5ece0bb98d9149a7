// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Locks. They are the store's own, so local programs and other protocols see
 * them: byte ranges as open file description locks, one description an owner and
 * file, and flock() on the open file itself. Nothing here waits: a lock that
 * should is tried again by exports_job.c when another ends and from time to time.
 */
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "filejob.h"

static int to_flock(struct flock *out, u8 type, u64 start, u64 end)
{
	static const short types[] = { [FILE_LOCK_READ] = F_RDLCK,
				       [FILE_LOCK_WRITE] = F_WRLCK,
				       [FILE_LOCK_NONE] = F_UNLCK };

	if (type > FILE_LOCK_NONE || start > INT64_MAX || end < start)
		return -EINVAL;
	*out = (struct flock){ .l_type = types[type],
			       .l_whence = SEEK_SET,
			       .l_start = (off_t)start };
	/* Length 0 reaches to the end of every file. */
	if (end < INT64_MAX)
		out->l_len = (off_t)(end - start + 1);
	return 0;
}

static u8 from_type(short type)
{
	return type == F_RDLCK ? FILE_LOCK_READ :
	       type == F_WRLCK ? FILE_LOCK_WRITE :
				 FILE_LOCK_NONE;
}

int op_getlk(struct job *j)
{
	struct msg_file_lock reply = { .type = FILE_LOCK_NONE };
	struct msg_file_getlk m;
	struct lockfile *l;
	struct openfile *f;
	struct flock fl;
	int ret = job_take_file(j, file_getlk, &m, file, &f);

	if (!ret)
		ret = to_flock(&fl, m.type, m.start, m.end);
	if (ret)
		return ret;
	l = filesession_lock(j->session, f, m.file, m.owner, true);
	if (!l)
		return -ENOLCK;
	if (fcntl(l->fd, F_OFD_GETLK, &fl))
		ret = -errno;
	filesession_put_lock(j->session, l);
	if (ret)
		return ret;
	if (fl.l_type != F_UNLCK) {
		reply.type = from_type(fl.l_type);
		reply.start = (u64)fl.l_start;
		reply.end = fl.l_len ? (u64)(fl.l_start + fl.l_len - 1) :
				       INT64_MAX;
		reply.pid = filesession_lock_pid(j->session, f, m.owner);
	}
	return job_reply(j, FILE_LOCK, file_lock, &reply);
}

int op_setlk(struct job *j)
{
	struct msg_file_setlk m;
	struct lockfile *l;
	struct openfile *f;
	struct flock fl;
	int ret = job_take_file(j, file_setlk, &m, file, &f);

	if (!ret)
		ret = to_flock(&fl, m.type, m.start, m.end);
	if (ret)
		return ret;
	j->waits = m.flags & FILE_LOCK_WAIT;
	l = filesession_lock(j->session, f, m.file, m.owner,
			     m.type != FILE_LOCK_NONE);
	if (!l)
		return m.type == FILE_LOCK_NONE ? 0 : -ENOLCK;
	if (fcntl(l->fd, F_OFD_SETLK, &fl))
		ret = errno == EACCES ? -EAGAIN : -errno;
	else if (m.type != FILE_LOCK_NONE)
		l->pid = m.pid;
	filesession_put_lock(j->session, l);
	return ret;
}

int op_flock(struct job *j)
{
	static const int types[] = { [FILE_LOCK_READ] = LOCK_SH,
				     [FILE_LOCK_WRITE] = LOCK_EX,
				     [FILE_LOCK_NONE] = LOCK_UN };
	struct msg_file_flock m;
	struct openfile *f;
	int ret = job_take_file(j, file_flock, &m, file, &f);

	if (!ret && m.type > FILE_LOCK_NONE)
		ret = -EINVAL;
	if (ret)
		return ret;
	j->waits = m.flags & FILE_LOCK_WAIT;
	return flock(f->fd, types[m.type] | LOCK_NB) ? -errno : 0;
}

int op_unlock_owner(struct job *j)
{
	struct msg_file_unlock_owner m;
	struct openfile *f;
	int ret = job_take_file(j, file_unlock_owner, &m, file, &f);

	if (!ret)
		filesession_unlock_owner(j->session, f, m.owner);
	return ret;
}
