// SPDX-License-Identifier: LGPL-2.1-or-later
/* The functions of virgo.h that use files of volumes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "remote_file.h"
#include "virgo.h"

enum {
	OPEN_KNOWN = O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND |
		     O_SYNC | O_DSYNC | O_NOFOLLOW | O_CLOEXEC,
};

static ssize_t file_read(struct object *o, void *buf, size_t len);
static ssize_t file_write(struct object *o, const void *buf, size_t len);

static void file_free(struct object *o)
{
	struct remote_file *file = (struct remote_file *)o;

	if (o->fd >= 0)
		close(o->fd);
	client_close(file->client);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

static int file_close(struct object *o)
{
	struct remote_file *file = (struct remote_file *)o;
	const struct msg_file_release m = { .file = file->id };
	struct failure f = { 0 };
	struct span reply;
	int ret;

	pthread_mutex_lock(&file->lock);
	ret = remote_file_request(file, FILE_RELEASE, file_release, &m, MSG_OK,
				  &reply, &f);
	file->id = 0;
	pthread_mutex_unlock(&file->lock);
	return ret;
}

static const struct object_ops file_ops = {
	.read = file_read,
	.write = file_write,
	.close = file_close,
	.free = file_free,
};

static bool flags_known(int flags)
{
#ifdef O_LARGEFILE
	flags &= ~O_LARGEFILE;
#endif
	/* What the C library of 64-bit machines calls 0. */
	flags &= ~0100000;
	return !(flags & ~OPEN_KNOWN) && (flags & O_ACCMODE) != O_ACCMODE;
}

static struct remote_file *file_new(void)
{
	struct remote_file *file = calloc(1, sizeof(*file));

	if (file) {
		file->object = (struct object){ .ops = &file_ops, .fd = -1 };
		pthread_mutex_init(&file->lock, NULL);
	}
	return file;
}

int virgo_open(const char *path, int flags, mode_t mode)
{
	struct remote_file *file;
	struct failure f = { 0 };
	int ret;

	if (!path || !flags_known(flags))
		return api_fail_with(-EINVAL, path ? path : "virgo_open", NULL,
				     "unknown flag");
	file = file_new();
	if (!file)
		return (int)api_result(-ENOMEM, path);
	ret = api_connect(&file->client, &f);
	if (!ret)
		ret = remote_file_open(file, path, flags, mode, &f);
	if (!ret)
		ret = remote_file_publish(file, &f);
	if (ret >= 0)
		return ret;
	file_free(&file->object);
	return api_fail(&f);
}

/* --- bytes --- */

static struct remote_file *enter(int fd)
{
	struct object *o = object_get(fd, &file_ops, ESPIPE);

	if (o)
		pthread_mutex_lock(&((struct remote_file *)o)->lock);
	return (struct remote_file *)o;
}

static s64 leave(struct remote_file *file, s64 ret, struct failure *f)
{
	if (ret < 0 && !f->code)
		failure_set(f, (int)ret, file->path, NULL, "%s",
			    strerror((int)-ret));
	pthread_mutex_unlock(&file->lock);
	object_put(&file->object);
	return ret < 0 ? api_fail(f) : ret;
}

/* Open still, and for this? */
static int check(const struct remote_file *file, u32 flag)
{
	return file->id && file->flags & flag ? 0 : -EBADF;
}

static ssize_t read_piece(struct remote_file *file, void *buf, size_t len,
			  s64 offset, struct failure *f)
{
	const struct msg_file_read m = { .file = file->id,
					 .offset = (u64)offset,
					 .count = (u32)len };
	struct msg_file_data data;
	struct span reply;
	int ret = remote_file_request(file, FILE_READ, file_read, &m,
				      MSG_FILE_DATA, &reply, f);

	if (ret)
		return ret;
	if (msg_file_data_decode(&data, reply.data, reply.len) ||
	    data.data.len > len)
		return -EPROTO;
	if (data.data.len)
		memcpy(buf, data.data.data, data.data.len);
	return (ssize_t)data.data.len;
}

static ssize_t write_piece(struct remote_file *file, void *buf, size_t len,
			   s64 offset, struct failure *f)
{
	const struct msg_file_write m = { .file = file->id,
					  .offset = (u64)offset };
	struct msg_file_written written;
	struct span reply;
	u8 head[64];
	struct wcursor w = wcursor_of(head, sizeof(head));
	int ret;

	/* The data follows its length, which is the last of the head. */
	msg_file_write_encode(&w, &m);
	put_u32(head + wcursor_len(&w) - 4, (u32)len);
	ret = remote_file_call(file, MSG_FILE_WRITE, head, wcursor_len(&w), buf,
			       len, MSG_FILE_WRITTEN, &reply, f);
	if (ret)
		return ret;
	if (msg_file_written_decode(&written, reply.data, reply.len) ||
	    written.count > len)
		return -EPROTO;
	if (!file->wrote)
		file->verifier = written.verifier;
	file->wrote = true;
	return (ssize_t)written.count;
}

/* All of it in pieces of what one request may carry; less where one gives less. */
static ssize_t in_pieces(struct remote_file *file, u32 flag, void *buf,
			 size_t len, s64 offset, struct failure *f)
{
	ssize_t (*piece)(struct remote_file *file, void *buf, size_t len,
			 s64 offset, struct failure *f) =
		flag == FILE_OPEN_READ ? read_piece : write_piece;
	size_t done = 0;
	ssize_t n = check(file, flag);

	if (!n && offset < 0)
		n = -EINVAL;
	while (!n && done < len) {
		size_t want = len - done < FILE_IO_MAX ? len - done :
							 FILE_IO_MAX;

		n = piece(file, (u8 *)buf + done, want, offset + (s64)done, f);
		if (n > 0)
			done += (size_t)n;
		n = n == (ssize_t)want ? 0 : n < 0 ? n : 1;
	}
	return done || n > 0 ? (ssize_t)done : n;
}

static ssize_t read_at(struct remote_file *file, void *buf, size_t len,
		       s64 offset, struct failure *f)
{
	return in_pieces(file, FILE_OPEN_READ, buf, len, offset, f);
}

static ssize_t write_at(struct remote_file *file, const void *buf, size_t len,
			s64 offset, struct failure *f)
{
	return in_pieces(file, FILE_OPEN_WRITE, (void *)buf, len, offset, f);
}

ssize_t virgo_pread(int fd, void *buf, size_t len, int64_t offset)
{
	struct remote_file *file = enter(fd);
	struct failure f = { 0 };

	return file ? leave(file, read_at(file, buf, len, offset, &f), &f) : -1;
}

ssize_t virgo_pwrite(int fd, const void *buf, size_t len, int64_t offset)
{
	struct remote_file *file = enter(fd);
	struct failure f = { 0 };

	return file ? leave(file, write_at(file, buf, len, offset, &f), &f) :
		      -1;
}

/* --- the position --- */

static s64 size_of(struct remote_file *file, struct failure *f)
{
	struct rec_attr a;
	int ret = remote_file_attr(file, &a, f);

	if (ret)
		return ret;
	return a.size > INT64_MAX ? -EPROTO : (s64)a.size;
}

/* After an append the position is the end, which only the server knows. */
static int settle(struct remote_file *file, struct failure *f)
{
	s64 size;

	if (!file->at_end)
		return 0;
	size = size_of(file, f);
	if (size < 0)
		return (int)size;
	file->position = size;
	file->at_end = false;
	return 0;
}

static ssize_t file_read(struct object *o, void *buf, size_t len)
{
	struct remote_file *file = enter(o->fd);
	struct failure f = { 0 };
	ssize_t ret;

	if (!file)
		return -1;
	ret = settle(file, &f);
	if (!ret)
		ret = read_at(file, buf, len, file->position, &f);
	if (ret > 0)
		file->position += ret;
	return leave(file, ret, &f);
}

static ssize_t file_write(struct object *o, const void *buf, size_t len)
{
	struct remote_file *file = enter(o->fd);
	struct failure f = { 0 };
	ssize_t ret;

	if (!file)
		return -1;
	ret = write_at(file, buf, len, file->position, &f);
	if (ret > 0 && file->flags & FILE_OPEN_APPEND)
		file->at_end = true;
	else if (ret > 0)
		file->position += ret;
	return leave(file, ret, &f);
}

static s64 seek(struct remote_file *file, s64 offset, int whence,
		struct failure *f)
{
	s64 base = 0;
	s64 ret = file->id ? 0 : -EBADF;

	if (!ret && whence == SEEK_CUR) {
		ret = settle(file, f);
		base = file->position;
	} else if (!ret && whence == SEEK_END) {
		ret = base = size_of(file, f);
	} else if (!ret && whence != SEEK_SET) {
		ret = -EINVAL;
	}
	if (ret < 0)
		return ret;
	if (__builtin_add_overflow(base, offset, &ret))
		return -EOVERFLOW;
	if (ret < 0)
		return -EINVAL;
	file->position = ret;
	file->at_end = false;
	return ret;
}

int64_t virgo_lseek(int fd, int64_t offset, int whence)
{
	struct remote_file *file = enter(fd);
	struct failure f = { 0 };

	return file ? leave(file, seek(file, offset, whence, &f), &f) : -1;
}

/* --- the rest --- */

static int sync_file(struct remote_file *file, struct failure *f)
{
	const struct msg_file_fsync m = { .file = file->id };
	struct msg_file_synced synced;
	struct span reply;
	int ret;

	if (!file->id)
		return -EBADF;
	ret = remote_file_request(file, FILE_FSYNC, file_fsync, &m,
				  MSG_FILE_SYNCED, &reply, f);
	if (ret)
		return ret;
	if (msg_file_synced_decode(&synced, reply.data, reply.len))
		return -EPROTO;
	ret = file->wrote && synced.verifier != file->verifier ? -EIO : 0;
	file->wrote = false; /* reported once */
	return ret;
}

int virgo_fsync(int fd)
{
	struct remote_file *file = enter(fd);
	struct failure f = { 0 };

	return file ? (int)leave(file, sync_file(file, &f), &f) : -1;
}

static int truncate_file(struct remote_file *file, s64 size, struct failure *f)
{
	const struct msg_file_setattr m = {
		.handle = { file->handle.data, file->handle.len },
		.file = file->id,
		.valid = FILE_SET_SIZE,
		.size = (u64)size,
	};
	struct span reply;
	int ret = check(file, FILE_OPEN_WRITE);

	if (ret || size < 0)
		return -EINVAL;
	return remote_file_request(file, FILE_SETATTR, file_setattr, &m,
				   MSG_FILE_ATTR, &reply, f);
}

int virgo_ftruncate(int fd, int64_t size)
{
	struct remote_file *file = enter(fd);
	struct failure f = { 0 };

	return file ? (int)leave(file, truncate_file(file, size, &f), &f) : -1;
}

/* --- attributes --- */

static int tell_attr(const struct rec_attr *a, struct virgo_stat *out,
		     size_t size)
{
	struct virgo_stat st;

	remote_file_stat(a, &st);
	api_copy(out, size, &st, sizeof(st));
	return 0;
}

int virgo_fstat(int fd, struct virgo_stat *st, size_t size)
{
	struct remote_file *file = enter(fd);
	struct failure f = { 0 };
	struct rec_attr a;
	int ret;

	if (!file)
		return -1;
	ret = file->id ? remote_file_attr(file, &a, &f) : -EBADF;
	return (int)leave(file, ret ? ret : tell_attr(&a, st, size), &f);
}

int virgo_stat(const char *path, int flags, struct virgo_stat *st, size_t size)
{
	struct remote_file *file;
	struct failure f = { 0 };
	struct rec_attr a;
	int ret;

	if (!path || flags & ~AT_SYMLINK_NOFOLLOW)
		return api_fail_with(-EINVAL, path ? path : "virgo_stat", NULL,
				     "unknown flag");
	file = file_new();
	if (!file)
		return (int)api_result(-ENOMEM, path);
	ret = api_connect(&file->client, &f);
	if (!ret)
		ret = remote_file_find(file, path,
				       !(flags & AT_SYMLINK_NOFOLLOW), &a, &f);
	file_free(&file->object);
	return ret ? api_fail(&f) : tell_attr(&a, st, size);
}
