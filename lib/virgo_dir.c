// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The functions of virgo.h that list a directory of a volume. A page of entries is
 * fetched at a time; its names come with their attributes, so that a listing with
 * sizes costs no more requests.
 */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "remote_file.h"
#include "virgo.h"

enum { PAGE_BYTES = 64 << 10 };

struct remote_dir {
	struct remote_file file; /* its object is first; never open, id is 0 */
	u64 cookie; /* after the last entry given */
	bool end; /* there is no page after this one */
	u8 page[PAGE_BYTES];
	struct rcursor at; /* in it */
};

static void dir_free(struct object *o)
{
	struct remote_dir *dir = (struct remote_dir *)o;

	if (o->fd >= 0)
		close(o->fd);
	client_close(dir->file.client);
	pthread_mutex_destroy(&dir->file.lock);
	free(dir);
}

static int dir_close(struct object *o)
{
	return 0;
}

static ssize_t dir_read(struct object *o, void *buf, size_t len)
{
	return api_fail_with(-EISDIR, "directory", NULL, "%s",
			     strerror(EISDIR));
}

static ssize_t dir_write(struct object *o, const void *buf, size_t len)
{
	return api_fail_with(-EBADF, "directory", NULL, "%s", strerror(EBADF));
}

static const struct object_ops dir_ops = {
	.read = dir_read,
	.write = dir_write,
	.close = dir_close,
	.free = dir_free,
};

int virgo_opendir(const char *path)
{
	struct remote_dir *dir;
	struct failure f = { 0 };
	struct rec_attr a;
	int ret;

	if (!path)
		return api_fail_with(-EINVAL, "virgo_opendir", NULL, "no path");
	dir = calloc(1, sizeof(*dir));
	if (!dir)
		return (int)api_result(-ENOMEM, path);
	dir->file.object = (struct object){ .ops = &dir_ops, .fd = -1 };
	pthread_mutex_init(&dir->file.lock, NULL);
	ret = api_connect(&dir->file.client, &f);
	if (!ret)
		ret = remote_file_find(&dir->file, path, true, &a, &f);
	if (!ret && (a.mode & 0170000) != 0040000)
		ret = failure_set(&f, -ENOTDIR, path, NULL, "%s",
				  strerror(ENOTDIR));
	if (!ret)
		ret = remote_file_publish(&dir->file, &f);
	if (ret >= 0)
		return ret;
	dir_free(&dir->file.object);
	return api_fail(&f);
}

static int fetch(struct remote_dir *dir, struct failure *f)
{
	const struct msg_file_readdir m = {
		.handle = { dir->file.handle.data, dir->file.handle.len },
		.cookie = dir->cookie,
		.bytes_max = PAGE_BYTES,
		.plus = 1,
	};
	struct msg_file_listing list;
	struct span reply;
	int ret = remote_file_request(&dir->file, FILE_READDIR, file_readdir,
				      &m, MSG_FILE_LISTING, &reply, f);

	if (ret)
		return ret;
	if (msg_file_listing_decode(&list, reply.data, reply.len) ||
	    list.entries.len > sizeof(dir->page) ||
	    (!list.entries.len && !list.end))
		return -EPROTO;
	if (list.entries.len)
		memcpy(dir->page, list.entries.data, list.entries.len);
	dir->at = rcursor_of(dir->page, list.entries.len);
	dir->end = list.end;
	return 0;
}

/* The next entry: 1, 0 at the end, or -errno. */
static int next(struct remote_dir *dir, struct rec_dir_entry *e,
		struct failure *f)
{
	int ret;

	while ((ret = rec_dir_entry_next(&dir->at, e)) == 0) {
		if (dir->end)
			return 0;
		ret = fetch(dir, f);
		if (ret)
			return ret;
	}
	if (ret < 0)
		return -EPROTO;
	dir->cookie = e->cookie;
	return 1;
}

static bool is_dots(struct span name)
{
	return span_equal(name, span_of(".")) || span_equal(name, span_of(".."));
}

static int fill(const struct rec_dir_entry *r, struct virgo_dirent *e)
{
	struct rec_attr a;

	*e = (struct virgo_dirent){ .ino = r->ino, .type = r->type };
	if (!span_to_cstr(r->name, e->name, sizeof(e->name)))
		return -EPROTO;
	if (r->attr.len && !rec_attr_decode(&a, r->attr.data, r->attr.len)) {
		remote_file_stat(&a, &e->stat);
		e->flags = VIRGO_DIRENT_STAT;
	}
	return 1;
}

int virgo_readdir(int fd, struct virgo_dirent *entry, size_t size)
{
	struct object *o = object_get(fd, &dir_ops, ENOTDIR);
	struct remote_dir *dir = (struct remote_dir *)o;
	struct failure f = { 0 };
	struct rec_dir_entry r;
	struct virgo_dirent e;
	int ret;

	if (!o)
		return -1;
	pthread_mutex_lock(&dir->file.lock);
	do
		ret = next(dir, &r, &f);
	while (ret > 0 && is_dots(r.name));
	if (ret > 0)
		ret = fill(&r, &e);
	pthread_mutex_unlock(&dir->file.lock);
	if (ret > 0)
		api_copy(entry, size, &e, sizeof(e));
	if (ret < 0 && !f.code)
		failure_set(&f, ret, dir->file.path, NULL, "%s",
			    strerror(-ret));
	object_put(o);
	return ret < 0 ? api_fail(&f) : ret;
}
