// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache of programs sent along; the contract is in blobs.h. An upload is a
 * file with a dot in front, known by (user, hash); its hash is computed as pieces
 * arrive, and only a file with the right one gets its name.
 */
#include "blobs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "boot.h"
#include "sha256.h"

enum {
	UPLOADS_MAX = 32, /* at once; the one that moved least recently goes */
	HEX = 2 * SHA256_BYTES,
	FOLDER_BYTES = 128,
};

struct upload {
	struct upload *next;
	char folder[FOLDER_BYTES];
	u8 hash[SHA256_BYTES];
	int fd;
	u64 bytes;
	struct sha256 sum;
};

struct blobs {
	int dir_fd;
	struct upload *uploads; /* most recently used first */
};

static void hex_of(const u8 *hash, char out[HEX + 1])
{
	int i;

	for (i = 0; i < SHA256_BYTES; i++)
		sprintf(out + 2 * i, "%02x", hash[i]);
}

/* A user's folder name: letters, digits, - and _ as they are, the rest in hex,
 * so that no name can be a path.
 */
static void folder_of(const char *user, char out[FOLDER_BYTES])
{
	size_t at = 0;

	for (; *user && at + 4 < FOLDER_BYTES; user++)
		at += (size_t)sprintf(out + at, strchr("-_", *user) ||
				      (*user >= '0' && *user <= '9') ||
				      (*user >= 'a' && *user <= 'z') ?
				      "%c" : "=%02x", (unsigned char)*user);
	out[at] = 0;
}

static void name_temporary(const struct upload *u, char *out, size_t size)
{
	char hex[HEX + 1];

	hex_of(u->hash, hex);
	snprintf(out, size, "%s/.%s", u->folder, hex);
}

static void upload_free(struct blobs *b, struct upload *u, bool keep)
{
	struct upload **at = &b->uploads;
	char path[FOLDER_BYTES + HEX + 8];

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	close(u->fd);
	name_temporary(u, path, sizeof(path));
	if (!keep)
		unlinkat(b->dir_fd, path, 0);
	free(u);
}

static struct upload *upload_find(struct blobs *b, const char *folder,
				  const u8 *hash)
{
	struct upload **at, *u;

	for (at = &b->uploads; (u = *at); at = &u->next)
		if (!strcmp(u->folder, folder) &&
		    !memcmp(u->hash, hash, SHA256_BYTES))
			break;
	if (u) {
		*at = u->next;
		u->next = b->uploads;
		b->uploads = u;
	}
	return u;
}

static void limit_uploads(struct blobs *b)
{
	struct upload *u, *last = NULL;
	int count = 0;

	for (u = b->uploads; u; u = u->next) {
		last = u;
		count++;
	}
	if (count >= UPLOADS_MAX)
		upload_free(b, last, false);
}

static int upload_new(struct blobs *b, const char *folder, const u8 *hash,
		      struct upload **out)
{
	char path[FOLDER_BYTES + HEX + 8];
	struct upload *u;

	limit_uploads(b);
	if (mkdirat(b->dir_fd, folder, 0700) && errno != EEXIST)
		return -errno;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	snprintf(u->folder, sizeof(u->folder), "%s", folder);
	memcpy(u->hash, hash, SHA256_BYTES);
	sha256_init(&u->sum);
	name_temporary(u, path, sizeof(path));
	u->fd = openat(b->dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		       0500);
	if (u->fd < 0) {
		free(u);
		return -errno;
	}
	u->next = b->uploads;
	b->uploads = u;
	*out = u;
	return 0;
}

/* Calls @fn for every stored content; gives their bytes together. */
static u64 each(struct blobs *b, void (*fn)(void *arg, const char *path,
					    const struct stat *st), void *arg)
{
	int fd = openat(b->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *users = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *user, *e;
	u64 bytes = 0;

	while (users && (user = readdir(users))) {
		DIR *d;

		fd = user->d_name[0] == '.' ? -1 :
		     openat(b->dir_fd, user->d_name,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		d = fd >= 0 ? fdopendir(fd) : NULL;
		while (d && (e = readdir(d))) {
			char path[600];
			struct stat st;

			if (e->d_name[0] == '.' &&
			    strlen(e->d_name) <= 2)
				continue;
			snprintf(path, sizeof(path), "%s/%s", user->d_name,
				 e->d_name);
			if (fstatat(b->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW))
				continue;
			bytes += (u64)st.st_size;
			fn(arg, path, &st);
		}
		if (d)
			closedir(d);
	}
	if (users)
		closedir(users);
	return bytes;
}

struct oldest {
	char path[600];
	struct timespec when;
};

/* Use sets the time of modification, so the oldest is the least used. */
static void find_oldest(void *arg, const char *path, const struct stat *st)
{
	struct oldest *o = arg;

	if (strstr(path, "/.") ||
	    (o->path[0] && (st->st_mtim.tv_sec > o->when.tv_sec ||
			    (st->st_mtim.tv_sec == o->when.tv_sec &&
			     st->st_mtim.tv_nsec >= o->when.tv_nsec))))
		return;
	snprintf(o->path, sizeof(o->path), "%s", path);
	o->when = st->st_mtim;
}

static void make_room(struct blobs *b)
{
	for (;;) {
		struct oldest o = { 0 };

		if (each(b, find_oldest, &o) <= BLOBS_BYTES || !o.path[0])
			return;
		unlinkat(b->dir_fd, o.path, 0);
	}
}

static void remove_one(void *arg, const char *path, const struct stat *st)
{
	unlinkat(((struct blobs *)arg)->dir_fd, path, 0);
}

static void read_line(int dir_fd, const char *name, char *out, size_t size)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, size - 1) : 0;

	out[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
}

/* Empties a cache from before the last boot. */
static int check_boot(struct blobs *b)
{
	char now[BOOT_ID_SIZE], then[64];
	int fd, ret = 0;

	boot_id(now);
	read_line(b->dir_fd, ".boot", then, sizeof(then));
	if (now[0] && !strcmp(now, then))
		return 0;
	each(b, remove_one, b);
	fd = openat(b->dir_fd, ".boot", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;
	if (write(fd, now, strlen(now)) != (ssize_t)strlen(now))
		ret = -ENOSPC;
	close(fd);
	return ret;
}

int blobs_open(struct blobs **out, const char *state, struct failure *f)
{
	struct blobs *b = calloc(1, sizeof(*b));
	char path[4096];
	int ret = 0;

	*out = b;
	if (!b)
		return failure_set(f, -ENOMEM, "blobs", NULL, "out of memory");
	snprintf(path, sizeof(path), "%s/blobs", state);
	if (mkdir(path, 0700) && errno != EEXIST)
		ret = -errno;
	b->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!ret && b->dir_fd < 0)
		ret = -errno;
	if (!ret)
		ret = check_boot(b);
	if (ret) {
		blobs_close(b);
		*out = NULL;
		return failure_set(f, ret, path, NULL, "cannot be used: %s",
				   strerror(-ret));
	}
	return 0;
}

void blobs_close(struct blobs *b)
{
	if (!b)
		return;
	while (b->uploads)
		upload_free(b, b->uploads, false);
	if (b->dir_fd >= 0)
		close(b->dir_fd);
	free(b);
}

int blobs_find(struct blobs *b, const char *user, const u8 *hash)
{
	char folder[FOLDER_BYTES], hex[HEX + 1], path[FOLDER_BYTES + HEX + 8];
	int fd;

	folder_of(user, folder);
	hex_of(hash, hex);
	snprintf(path, sizeof(path), "%s/%s", folder, hex);
	fd = openat(b->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -ENOENT;
	futimens(fd, NULL);
	return fd;
}

static int publish(struct blobs *b, struct upload *u)
{
	char from[FOLDER_BYTES + HEX + 8], to[FOLDER_BYTES + HEX + 8];
	char hex[HEX + 1];
	u8 sum[SHA256_BYTES];
	int ret = 0;

	sha256_end(&u->sum, sum);
	if (memcmp(sum, u->hash, SHA256_BYTES)) {
		upload_free(b, u, false);
		return -EBADMSG;
	}
	hex_of(u->hash, hex);
	name_temporary(u, from, sizeof(from));
	snprintf(to, sizeof(to), "%s/%s", u->folder, hex);
	/* Any user may run it, whom virgod gives it: an interpreter opens a
	 * script again under the user's own rights.
	 */
	if (fchmod(u->fd, 0555) || renameat(b->dir_fd, from, b->dir_fd, to))
		ret = -errno;
	upload_free(b, u, ret == 0);
	make_room(b);
	return ret;
}

int blobs_put(struct blobs *b, const char *user, const u8 *hash, u64 offset,
	      const void *data, size_t len, bool last)
{
	char folder[FOLDER_BYTES];
	struct upload *u;
	int ret;

	folder_of(user, folder);
	u = upload_find(b, folder, hash);
	if (offset == 0) {
		if (u)
			upload_free(b, u, false);
		ret = upload_new(b, folder, hash, &u);
		if (ret)
			return ret;
	}
	if (!u)
		return -EINVAL;
	ret = u->bytes != offset ? -EINVAL :
	      u->bytes + len > BLOB_BYTES_MAX ? -EFBIG : 0;
	if (!ret && write(u->fd, data, len) != (ssize_t)len)
		ret = -ENOSPC;
	if (ret) {
		upload_free(b, u, false);
		return ret;
	}
	sha256_add(&u->sum, data, len);
	u->bytes += len;
	return last ? publish(b, u) : 0;
}
