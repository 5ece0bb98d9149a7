// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The way from a path to an open file; the contract is in remote_file.h. Names
 * are looked up one by one from the volume's root. Symbolic links are followed
 * here, as the mounted file system leaves it to the kernel, and never lead out
 * of the volume: an absolute one must begin with /virgo/<volume>, and ".." stays
 * at the root.
 */
#include "remote_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "virgo.h"

enum {
	DEPTH_MAX = 256, /* of directories */
	LINKS_MAX = 40, /* as the kernel */
	REST_MAX = 2 * 4096,
	RACES_MAX = 8, /* times another client may come between */
	REPEATS_MAX = 3, /* times a request is sent, when connections are lost */
};

struct walk {
	struct remote_file *file;
	struct failure *f;
	char volume[256];
	/* At the last component; and at what is no name in a directory. */
	int (*last)(struct walk *w, const char *name);
	int (*here)(struct walk *w);
	bool follow;
	struct rec_attr *attr; /* of what was looked up last */
	int flags;
	u32 mode;
	int links;
	int depth; /* directories entered; dirs[depth - 1] is where we are */
	struct remote_handle dirs[DEPTH_MAX];
	char rest[REST_MAX]; /* of the path */
};

/* Whether a request may happen twice with the effect of once. */
static bool may_repeat(const struct remote_file *file, u16 type)
{
	switch (type) {
	case MSG_FILE_ATTACH:
	case MSG_FILE_LOOKUP:
	case MSG_FILE_READLINK:
	case MSG_FILE_GETATTR:
	case MSG_FILE_SETATTR: /* a size */
	case MSG_FILE_READ:
	case MSG_FILE_READDIR:
	case MSG_FILE_FSYNC:
		return true;
	case MSG_FILE_WRITE:
		return !(file->flags & FILE_OPEN_APPEND);
	case MSG_FILE_OPEN:
		return !(file->flags & FILE_OPEN_TRUNCATE);
	default:
		return false;
	}
}

int remote_file_call(struct remote_file *file, u16 type, const void *head,
		     size_t head_len, const void *body, size_t body_len,
		     u16 want, struct span *reply, struct failure *f)
{
	int tries = may_repeat(file, type) ? REPEATS_MAX : 1;
	int ret;

	/* Only the connection between the nodes gives this; what has become of
	 * the one to virgod is -EPIPE.
	 */
	do {
		*f = (struct failure){ 0 };
		ret = client_call_with(file->client, type, head, head_len, body,
				       body_len, want, reply, f);
	} while (ret == -ECONNRESET && --tries);
	if (!ret)
		return 0;
	/* The server does not know the file any more. */
	if (ret == -EBADF && file->id)
		ret = -ESTALE;
	if (ret == -EPIPE)
		ret = -ECONNRESET;
	if (f->what[0])
		f->code = ret;
	else
		failure_set(f, ret, file->path, NULL, "%s", strerror(-ret));
	return ret;
}

static bool take_handle(struct span s, struct remote_handle *h)
{
	if (!s.len || s.len > sizeof(h->data))
		return false;
	h->len = s.len;
	memcpy(h->data, s.data, s.len);
	return true;
}

static struct span handle_span(const struct remote_handle *h)
{
	return (struct span){ h->data, h->len };
}

static int fail(struct walk *w, int code, const char *remedy, const char *what)
{
	return failure_set(w->f, code, w->file->path, remedy, "%s",
			   what ? what : strerror(-code));
}

/* --- the path --- */

/* Takes @path apart into the volume and the rest. */
static int split(struct walk *w, const char *path)
{
	const char *colon = strchr(path, ':');
	const char *slash = strchr(path, '/');
	size_t len;

	if (!strncmp(path, "/virgo/", 7)) {
		path += 7;
		len = strcspn(path, "/");
	} else if (colon && (!slash || colon < slash)) {
		len = (size_t)(colon - path);
	} else {
		return fail(w, -EINVAL, "volume:/path, or /virgo/volume/path",
			    "not a path of the cloud");
	}
	if (!len || len >= sizeof(w->volume))
		return fail(w, -ENOENT, NULL, NULL);
	memcpy(w->volume, path, len);
	path += len;
	if (*path == ':')
		path++;
	if (strlen(path) >= sizeof(w->rest) / 2)
		return fail(w, -ENAMETOOLONG, NULL, NULL);
	snprintf(w->rest, sizeof(w->rest), "%s", path);
	return 0;
}

/* The next component into @name: 1 if more follow, 0 if it is the last, -ENOENT
 * when there is none, -ENAMETOOLONG.
 */
static int next_name(struct walk *w, char name[FILE_NAME_BYTES_MAX + 1])
{
	char *p = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(p, "/");
	bool more = p[len + strspn(p + len, "/")] || p[len];

	if (!len)
		return -ENOENT;
	if (len > FILE_NAME_BYTES_MAX)
		return -ENAMETOOLONG;
	memcpy(name, p, len);
	name[len] = 0;
	memmove(w->rest, p + len, strlen(p + len) + 1);
	return more;
}

/* Goes on at the target of a symbolic link. */
static int follow(struct walk *w, const struct remote_handle *h)
{
	const struct msg_file_readlink m = { .handle = handle_span(h) };
	size_t len = strlen(w->volume);
	struct msg_file_data data;
	char rest[REST_MAX];
	const char *target;
	struct span reply;
	char text[4096];
	int ret;

	if (++w->links > LINKS_MAX)
		return fail(w, -ELOOP, NULL, NULL);
	ret = remote_file_request(w->file, FILE_READLINK, file_readlink, &m,
				  MSG_FILE_DATA, &reply, w->f);
	if (ret)
		return ret;
	if (msg_file_data_decode(&data, reply.data, reply.len) ||
	    !span_to_cstr(data.data, text, sizeof(text)))
		return fail(w, -EPROTO, NULL, NULL);
	target = text;
	if (*target == '/') {
		if (strncmp(target, "/virgo/", 7) ||
		    strncmp(target + 7, w->volume, len) ||
		    (target[7 + len] != '/' && target[7 + len]))
			return fail(w, -EXDEV, "virgo mount, and the path there",
				    "a symbolic link leads out of the volume");
		target += 7 + len;
		w->depth = 1;
	}
	if (snprintf(rest, sizeof(rest), "%s%s", target, w->rest) >=
	    (int)sizeof(rest))
		return fail(w, -ENAMETOOLONG, NULL, NULL);
	memcpy(w->rest, rest, sizeof(rest));
	return 0;
}

/* --- requests --- */

static int attach(struct walk *w)
{
	const struct msg_file_attach m = { .volume = span_of(w->volume) };
	struct msg_file_attached reply;
	struct span s;
	int ret = remote_file_request(w->file, FILE_ATTACH, file_attach, &m,
				      MSG_FILE_ATTACHED, &s, w->f);

	if (ret)
		return ret;
	if (msg_file_attached_decode(&reply, s.data, s.len) ||
	    !take_handle(reply.handle, &w->dirs[0]))
		return fail(w, -EPROTO, NULL, NULL);
	w->depth = 1;
	return 0;
}

static int look_up(struct walk *w, const char *name, struct remote_handle *h)
{
	const struct msg_file_lookup m = {
		.dir = handle_span(&w->dirs[w->depth - 1]),
		.name = span_of(name),
	};
	struct msg_file_entry e;
	struct span s;
	int ret = remote_file_request(w->file, FILE_LOOKUP, file_lookup, &m,
				      MSG_FILE_ENTRY, &s, w->f);

	if (ret)
		return ret;
	if (msg_file_entry_decode(&e, s.data, s.len) ||
	    !take_handle(e.handle, h) ||
	    rec_attr_decode(w->attr, e.attr.data, e.attr.len))
		return fail(w, -EPROTO, NULL, NULL);
	return 0;
}

/* The caller's umask, which only the kernel can tell without changing it. */
static u32 own_umask(void)
{
	char line[128];
	unsigned int mask = 022;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Umask: %o", &mask) == 1)
			break;
	if (f)
		fclose(f);
	return mask;
}

static int create(struct walk *w, const char *name)
{
	const struct msg_file_create m = {
		.dir = handle_span(&w->dirs[w->depth - 1]),
		.name = span_of(name),
		.flags = w->file->flags,
		.mode = w->mode & 07777,
		.umask = own_umask(),
	};
	struct msg_file_created reply;
	struct span s;
	int ret = remote_file_request(w->file, FILE_CREATE, file_create, &m,
				      MSG_FILE_CREATED, &s, w->f);

	if (ret)
		return ret;
	if (msg_file_created_decode(&reply, s.data, s.len) || !reply.file ||
	    !take_handle(reply.handle, &w->file->handle))
		return fail(w, -EPROTO, NULL, NULL);
	w->file->id = reply.file;
	return 0;
}

static int open_found(struct walk *w, const char *name,
		      const struct remote_handle *h)
{
	const struct msg_file_open m = {
		.handle = handle_span(h),
		.flags = w->file->flags,
		.dir = handle_span(&w->dirs[w->depth - 1]),
		.name = span_of(name),
	};
	struct msg_file_opened reply;
	struct span s;
	int ret = remote_file_request(w->file, FILE_OPEN, file_open, &m,
				      MSG_FILE_OPENED, &s, w->f);

	if (ret)
		return ret;
	if (msg_file_opened_decode(&reply, s.data, s.len) || !reply.file)
		return fail(w, -EPROTO, NULL, NULL);
	w->file->handle = *h;
	w->file->id = reply.file;
	return 0;
}

/* --- the walk --- */

/* Enters the directory or link @name on the way. */
static int step(struct walk *w, const char *name)
{
	struct remote_handle h;
	int ret = look_up(w, name, &h);

	if (ret)
		return ret;
	if (S_ISLNK(w->attr->mode))
		return follow(w, &h);
	if (!S_ISDIR(w->attr->mode))
		return fail(w, -ENOTDIR, NULL, NULL);
	if (w->depth == DEPTH_MAX)
		return fail(w, -ENAMETOOLONG, NULL, "it lies too deep");
	w->dirs[w->depth++] = h;
	return 0;
}

/* Opens the last component: 0 or -errno; 1 when it was a link to follow;
 * -ESTALE, or -EEXIST without O_EXCL, when another client came between.
 */
static int open_last(struct walk *w, const char *name)
{
	struct remote_handle h;
	int ret = look_up(w, name, &h);

	if (ret == -ENOENT && w->flags & O_CREAT) {
		*w->f = (struct failure){ 0 };
		return create(w, name);
	}
	if (ret)
		return ret;
	if ((w->flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return fail(w, -EEXIST, NULL, NULL);
	if (S_ISLNK(w->attr->mode) && w->flags & O_NOFOLLOW)
		return fail(w, -ELOOP, NULL, NULL);
	if (S_ISLNK(w->attr->mode)) {
		ret = follow(w, &h);
		return ret ? ret : 1;
	}
	return open_found(w, name, &h);
}

/* Opens the last component, again when another client came between. */
static int open_settled(struct walk *w, const char *name)
{
	int races = 0;
	int ret;

	do {
		*w->f = (struct failure){ 0 };
		ret = open_last(w, name);
	} while ((ret == -ESTALE || (ret == -EEXIST && !(w->flags & O_EXCL))) &&
		 ++races < RACES_MAX);
	return ret;
}

/* "", or what ends with "..". */
static int open_here(struct walk *w)
{
	return fail(w, -EISDIR, NULL, NULL);
}

static int find_last(struct walk *w, const char *name)
{
	struct remote_handle h;
	int ret = look_up(w, name, &h);

	if (ret)
		return ret;
	if (S_ISLNK(w->attr->mode) && w->follow) {
		ret = follow(w, &h);
		return ret ? ret : 1;
	}
	w->file->handle = h;
	return 0;
}

static int find_here(struct walk *w)
{
	w->file->handle = w->dirs[w->depth - 1];
	return remote_file_attr(w->file, w->attr, w->f);
}

static int walk(struct walk *w)
{
	char name[FILE_NAME_BYTES_MAX + 1];

	for (;;) {
		int more = next_name(w, name);
		int ret = 0;

		if (more == -ENOENT)
			return w->here(w);
		if (more < 0)
			return fail(w, more, NULL, NULL);
		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			w->depth -= w->depth > 1;
			continue;
		}
		if (more) {
			ret = step(w, name);
		} else {
			ret = w->last(w, name);
			if (ret <= 0)
				return ret;
		}
		if (ret < 0)
			return ret;
	}
}

static u32 wire_flags(int flags)
{
	static const u32 access[] = {
		[O_RDONLY] = FILE_OPEN_READ,
		[O_WRONLY] = FILE_OPEN_WRITE,
		[O_RDWR] = FILE_OPEN_READ | FILE_OPEN_WRITE,
	};

	return access[flags & O_ACCMODE] |
	       (flags & O_APPEND ? FILE_OPEN_APPEND : 0) |
	       (flags & O_TRUNC ? FILE_OPEN_TRUNCATE : 0) |
	       (flags & O_EXCL && flags & O_CREAT ? FILE_OPEN_EXCLUSIVE : 0) |
	       ((flags & O_SYNC) == O_SYNC ? FILE_OPEN_SYNC :
		flags & O_DSYNC		   ? FILE_OPEN_DSYNC :
					     0);
}

static struct walk *walk_new(struct remote_file *file, const char *path,
			     struct rec_attr *a, struct failure *f)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (!w) {
		failure_set(f, -ENOMEM, path, NULL, "out of memory");
		return NULL;
	}
	snprintf(file->path, sizeof(file->path), "%s", path);
	w->file = file;
	w->attr = a;
	w->f = f;
	return w;
}

/* Goes the way of @path; frees @w. */
static int walk_to(struct walk *w, const char *path)
{
	int ret = split(w, path);

	if (!ret)
		ret = attach(w);
	if (!ret)
		ret = walk(w);
	if (ret && !w->f->code)
		failure_set(w->f, ret, path, NULL, "%s", strerror(-ret));
	free(w);
	return ret;
}

int remote_file_open(struct remote_file *file, const char *path, int flags,
		     u32 mode, struct failure *f)
{
	struct rec_attr a;
	struct walk *w = walk_new(file, path, &a, f);

	if (!w)
		return -ENOMEM;
	file->flags = wire_flags(flags);
	w->flags = flags;
	w->mode = mode;
	w->last = open_settled;
	w->here = open_here;
	return walk_to(w, path);
}

int remote_file_find(struct remote_file *file, const char *path, bool follow,
		     struct rec_attr *a, struct failure *f)
{
	struct walk *w = walk_new(file, path, a, f);

	if (!w)
		return -ENOMEM;
	w->follow = follow;
	w->last = find_last;
	w->here = find_here;
	return walk_to(w, path);
}

int remote_file_attr(struct remote_file *file, struct rec_attr *a,
		     struct failure *f)
{
	const struct msg_file_getattr m = { .handle = handle_span(&file->handle),
					    .file = file->id };
	struct msg_file_attr attr;
	struct span reply;
	int ret = remote_file_request(file, FILE_GETATTR, file_getattr, &m,
				      MSG_FILE_ATTR, &reply, f);

	if (ret)
		return ret;
	if (msg_file_attr_decode(&attr, reply.data, reply.len) ||
	    rec_attr_decode(a, attr.attr.data, attr.attr.len))
		return -EPROTO;
	return 0;
}

void remote_file_stat(const struct rec_attr *a, struct virgo_stat *st)
{
	*st = (struct virgo_stat){
		.ino = a->ino,
		.size = a->size,
		.blocks = a->blocks,
		.atime_s = a->atime_s,
		.mtime_s = a->mtime_s,
		.ctime_s = a->ctime_s,
		.atime_ns = a->atime_ns,
		.mtime_ns = a->mtime_ns,
		.ctime_ns = a->ctime_ns,
		.mode = a->mode,
		.nlink = a->nlink,
		.uid = a->uid,
		.gid = a->gid,
	};
}

int remote_file_publish(struct remote_file *file, struct failure *f)
{
	int fd = fcntl(client_fd(file->client), F_DUPFD_CLOEXEC, 0);
	int ret = fd < 0 ? -errno : object_add(&file->object, fd);

	if (!ret)
		return fd;
	if (fd >= 0)
		close(fd);
	return failure_set(f, ret, file->path, NULL, "%s", strerror(-ret));
}
