// SPDX-License-Identifier: GPL-2.0-or-later
/* File operations on attributes. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "filejob.h"
#include "opname.h"

/* The descriptor to work on: an open file's, which still reaches it when it has
 * no name any more, or the handle's. Acts as who asks either way.
 */
static int target(struct job *j, struct span handle, u64 file, int *fd)
{
	struct descriptor *d;
	struct openfile *f;
	int ret;

	if (!file) {
		ret = job_at(j, handle, &d);
		*fd = ret ? -1 : d->fd;
		return ret;
	}
	ret = job_file(j, file, &f);
	if (ret)
		return ret;
	*fd = f->fd;
	return job_as_asker(j);
}

int op_attach(struct job *j)
{
	const struct volume *v = j->volume;
	u8 handle[FILEHANDLE_MAX];
	u8 attr[ATTR_BYTES];
	struct wcursor w = wcursor_of(attr, sizeof(attr));
	struct msg_file_attached m = {
		.handle.data = handle,
		.attr = { attr, ATTR_BYTES },
		.id = { v->id, VOLUME_ID },
		.slot = v->slot,
		.verifier = j->boot,
		.io_max = FILE_IO_MAX,
	};
	struct rec_attr a;
	struct stat st;
	int len;

	fscred_become(NULL);
	replies_make(j->session->notes);
	len = volume_handle(j->volume, v->root_fd, "", handle);
	if (len < 0 || fstat(v->root_fd, &st))
		return len < 0 ? len : -errno;
	m.handle.len = (u32)len;
	job_attr(j, &st, &a);
	rec_attr_encode(&w, &a);
	if (j->read_only)
		m.flags |= FILE_VOLUME_READ_ONLY;
	if (v->rules.numeric)
		m.flags |= FILE_VOLUME_NUMERIC;
	if (v->fleeting)
		m.flags |= FILE_VOLUME_FLEETING;
	if (j->resumed)
		m.flags |= FILE_VOLUME_RESUMED;
	else if (replies_found(j->session->notes))
		m.flags |= FILE_VOLUME_ANSWERS;
	return job_reply(j, FILE_ATTACHED, file_attached, &m);
}

int op_getattr(struct job *j)
{
	struct msg_file_getattr m;
	int fd;
	int ret = job_decode(j, file_getattr, &m);

	if (!ret)
		ret = target(j, m.handle, m.file, &fd);
	return ret ? ret : job_reply_attr(j, fd);
}

static void time_of(struct timespec *ts, u32 valid, u32 set, u32 now, s64 s,
		    u32 ns)
{
	ts->tv_sec = s;
	ts->tv_nsec = valid & now ? UTIME_NOW :
		      valid & set ? (long)(ns % 1000000000u) :
				    UTIME_OMIT;
}

static int set_times(int fd, const char *path, const struct msg_file_setattr *m)
{
	struct timespec ts[2];
	struct stat st;

	time_of(&ts[0], m->valid, FILE_SET_ATIME, FILE_SET_ATIME_NOW,
		m->atime_s, m->atime_ns);
	time_of(&ts[1], m->valid, FILE_SET_MTIME, FILE_SET_MTIME_NOW,
		m->mtime_s, m->mtime_ns);
	if (fstat(fd, &st))
		return -errno;
	/* The path is a link of /proc that ends at the file, which may itself
	 * be a symbolic link; only that needs the newer form of the call.
	 */
	if (S_ISLNK(st.st_mode) ? utimensat(fd, "", ts, AT_EMPTY_PATH) :
				  utimensat(AT_FDCWD, path, ts, 0))
		return -errno;
	return 0;
}

static int apply(int fd, const struct msg_file_setattr *m)
{
	const u32 times = FILE_SET_ATIME | FILE_SET_MTIME | FILE_SET_ATIME_NOW |
			  FILE_SET_MTIME_NOW;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (m->valid & FILE_SET_SIZE) {
		if (m->size > INT64_MAX)
			return -EFBIG;
		/* Open for writing, it may be cut whatever its mode became. */
		if ((!m->file || ftruncate(fd, (off_t)m->size)) &&
		    truncate(path, (off_t)m->size))
			return -errno;
	}
	if (m->valid & (FILE_SET_UID | FILE_SET_GID) &&
	    fchownat(fd, "", m->valid & FILE_SET_UID ? m->uid : (uid_t)-1,
		     m->valid & FILE_SET_GID ? m->gid : (gid_t)-1,
		     AT_EMPTY_PATH))
		return -errno;
	if (m->valid & FILE_SET_MODE &&
	    fchmodat(AT_FDCWD, path, m->mode & 07777, 0))
		return -errno;
	return m->valid & times ? set_times(fd, path, m) : 0;
}

int op_setattr(struct job *j)
{
	struct msg_file_setattr m;
	int fd;
	int ret = job_decode(j, file_setattr, &m);

	if (!ret)
		ret = target(j, m.handle, m.file, &fd);
	if (!ret)
		ret = apply(fd, &m);
	return ret ? ret : job_reply_attr(j, fd);
}

int op_statfs(struct job *j)
{
	struct msg_file_statfs m;
	struct descriptor *d;
	struct statvfs s;
	int ret = job_take_at(j, file_statfs, &m, handle, &d);

	if (!ret && fstatvfs(d->fd, &s))
		ret = -errno;
	if (!ret) {
		const struct msg_file_space reply = {
			.block_bytes = s.f_bsize,
			.fragment_bytes = s.f_frsize,
			.blocks = s.f_blocks,
			.blocks_free = s.f_bfree,
			.blocks_available = s.f_bavail,
			.files = s.f_files,
			.files_free = s.f_ffree,
			.name_max = (u32)s.f_namemax,
		};

		ret = job_reply(j, FILE_SPACE, file_space, &reply);
	}
	return ret;
}

int op_access(struct job *j)
{
	struct msg_file_access m;
	struct descriptor *d;
	int ret = job_take_at(j, file_access, &m, handle, &d);

	if (!ret && m.mask & W_OK)
		ret = job_may_write(j);
	if (!ret && faccessat(d->fd, "", (int)(m.mask & 7),
			      AT_EACCESS | AT_EMPTY_PATH))
		ret = -errno;
	return ret;
}

int op_ids(struct job *j)
{
	struct msg_file_ids m;
	struct msg_file_id reply;
	char name[IDNAME_MAX], account[IDNAME_MAX];
	int ret = job_decode(j, file_ids, &m);

	if (!ret && (!span_to_cstr(m.name, name, sizeof(name)) ||
		     m.kind > FILE_ID_GROUP))
		ret = -EINVAL;
	if (ret)
		return ret;
	fscred_become(NULL);
	snprintf(account, sizeof(account), "%s", name);
	if (m.kind == FILE_ID_USER)
		filesession_account(j->session, name, account);
	ret = idnames_id(m.kind, account, &reply.id);
	return ret ? ret : job_reply(j, FILE_ID, file_id, &reply);
}
