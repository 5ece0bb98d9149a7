// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listing a directory: names with handles and attributes, from a cookie on, as
 * many as fit. The descriptor is kept in the session between two requests that
 * follow each other, for some file systems forget a position at close.
 */
#include <fcntl.h>
#include <dirent.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filejob.h"
#include "opname.h"

enum {
	LISTING_MAX = 256 << 10,
	GETDENTS_BYTES = 32 << 10,
	/* cookie, ino, type, three lengths, record length, attributes */
	ENTRY_FIXED = 8 + 8 + 1 + 3 * 4 + 4 + ATTR_BYTES,
};

struct raw_dirent { /* what getdents64 gives */
	u64 ino;
	s64 off;
	u16 reclen;
	u8 type;
	char name[];
};

struct listing {
	struct job *job;
	int fd;
	bool plus;
	u64 cookie; /* after the last entry taken */
	struct wcursor out;
};

/* Handle and attributes of @e; leaves it without when the user may not have
 * them or it has just gone.
 */
static bool describe(struct listing *l, struct rec_dir_entry *e,
		     const char *name, u8 *handle, u8 *attr)
{
	struct wcursor w = wcursor_of(attr, ATTR_BYTES);
	struct rec_attr a;
	struct stat st;
	int len;

	if (fstatat(l->fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT))
		return true;
	len = volume_handle(l->job->volume, l->fd, name, handle);
	if (len < 0)
		return true;
	if (!job_tell(l->job, st.st_uid, st.st_gid))
		return false;
	job_attr(l->job, &st, &a);
	rec_attr_encode(&w, &a);
	e->handle = (struct span){ handle, (u32)len };
	e->attr = (struct span){ attr, ATTR_BYTES };
	return true;
}

/* Appends one; false when there is no room for it. */
static bool append(struct listing *l, const struct raw_dirent *r)
{
	u8 handle[FILEHANDLE_MAX];
	u8 attr[ATTR_BYTES];
	bool dots = !strcmp(r->name, ".") || !strcmp(r->name, "..");
	struct rec_dir_entry e = { .cookie = (u64)r->off,
				   .ino = r->ino,
				   .type = r->type,
				   .name = span_of(r->name) };

	if (wcursor_len(&l->out) + ENTRY_FIXED + FILEHANDLE_MAX + e.name.len >
	    (size_t)(l->out.end - l->out.start))
		return false;
	if (l->plus && !dots && !describe(l, &e, r->name, handle, attr))
		return false;
	/* What lies above the root is nobody's business. */
	if (dots && r->name[1] &&
	    l->job->held[0]->ino == l->job->volume->root_ino)
		e.ino = l->job->volume->root_ino;
	rec_dir_entry_append(&l->out, &e);
	l->cookie = (u64)r->off;
	return true;
}

/* 1 at the end of the directory, 0 when the reply is full, or -errno. The
 * descriptor then stands at l->cookie.
 */
static int fill(struct listing *l)
{
	u8 *buf = malloc(GETDENTS_BYTES);
	int ret = -ENOMEM;

	while (buf) {
		long n = syscall(SYS_getdents64, l->fd, buf, GETDENTS_BYTES);
		long at = 0;

		ret = n < 0 ? -errno : n == 0 ? 1 : 0;
		if (n <= 0)
			break;
		while (at < n) {
			const struct raw_dirent *r = (void *)(buf + at);

			if (!append(l, r))
				break;
			at += r->reclen;
		}
		if (at < n) {
			ret = lseek(l->fd, (off_t)l->cookie, SEEK_SET) < 0 ?
				      -errno :
				      0;
			break;
		}
	}
	free(buf);
	return ret;
}

static int open_listing(struct job *j, struct descriptor *d,
			const struct msg_file_readdir *m)
{
	int fd = m->cookie ? filesession_take_stream(j->session, m->handle,
						     m->cookie) :
			     -1;

	if (fd >= 0)
		return fd;
	fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (m->cookie && lseek(fd, (off_t)m->cookie, SEEK_SET) < 0) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

int op_readdir(struct job *j)
{
	struct listing l = { .job = j };
	struct msg_file_readdir m;
	struct descriptor *d;
	size_t size;
	u8 *room;
	int ret = job_take_at(j, file_readdir, &m, handle, &d);

	if (ret)
		return ret;
	size = m.bytes_max < 4096	 ? 4096 :
	       m.bytes_max > LISTING_MAX ? LISTING_MAX :
					   m.bytes_max;
	l.fd = open_listing(j, d, &m);
	if (l.fd < 0)
		return l.fd;
	room = job_room(j, MSG_FILE_LISTING, size);
	if (!room) {
		close(l.fd);
		return -ENOMEM;
	}
	l.plus = m.plus;
	l.cookie = m.cookie;
	l.out = wcursor_of(room + 5, size - 5); /* after end and length */
	ret = fill(&l);
	if (ret == 0)
		filesession_keep_stream(j->session, m.handle, l.cookie, l.fd);
	else
		close(l.fd);
	if (ret < 0)
		return ret;
	room[0] = (u8)ret;
	put_u32(room + 1, (u32)wcursor_len(&l.out));
	j->reply_len = 5 + wcursor_len(&l.out);
	return 0;
}
