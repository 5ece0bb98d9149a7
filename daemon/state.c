// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The state folder on disk; the layout and the promises are in state.h. All of
 * it is blocking file work, done before the loop runs or in a few short calls.
 */
#include "state.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 16 << 20 };

static const char making_name[] = ".making";

static int fail_errno(struct failure *f, const char *object, const char *what)
{
	int code = -errno;
	const char *remedy = NULL;

	if (code == -ENOSPC || code == -EDQUOT)
		remedy = "free some space on that disk";
	else if (code == -EACCES || code == -EPERM)
		remedy = "run it as root";
	return failure_set(f, code, object, remedy, "%s: %s", what,
			   strerror(-code));
}

int state_path(char *out, const char *a, const char *b)
{
	int len = snprintf(out, STATE_PATH_MAX, "%s/%s", a, b);

	return len < STATE_PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int read_all(int fd, struct blob *out)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX_BYTES)
		return -EFBIG;
	out->data = malloc((size_t)st.st_size + 1);
	if (!out->data)
		return -ENOMEM;
	while (out->len < (size_t)st.st_size) {
		n = read(fd, out->data + out->len,
			 (size_t)st.st_size - out->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		out->len += (size_t)n;
	}
	out->data[out->len] = '\0';
	return 0;
}

int state_read(const char *dir, const char *name, struct blob *out,
	       struct failure *f)
{
	char path[STATE_PATH_MAX];
	int fd, ret = state_path(path, dir, name);

	*out = (struct blob){ 0 };
	if (ret < 0)
		return failure_set(f, ret, name, NULL, "the path is too long");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(f, path, "cannot be opened");
	ret = read_all(fd, out);
	close(fd);
	if (ret < 0) {
		blob_free(out);
		errno = -ret;
		fail_errno(f, path, "cannot be read");
	}
	return ret;
}

static int sync_dir(const char *dir)
{
	int ret = 0, fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static int write_all(int fd, struct span bytes)
{
	u32 done = 0;

	while (done < bytes.len) {
		ssize_t n = write(fd, bytes.data + done, bytes.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (u32)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int state_write(const char *dir, const char *name, struct span bytes,
		mode_t mode, struct failure *f)
{
	char path[STATE_PATH_MAX], temp[STATE_PATH_MAX];
	int fd, ret = state_path(path, dir, name);

	if (!ret && snprintf(temp, sizeof(temp), "%s.new", path) >=
			    (int)sizeof(temp))
		ret = -ENAMETOOLONG;
	if (ret < 0)
		return failure_set(f, ret, name, NULL, "the path is too long");
	unlink(temp);
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return fail_errno(f, path, "cannot be written");
	ret = fchmod(fd, mode) < 0 ? -errno : write_all(fd, bytes);
	close(fd);
	if (!ret && rename(temp, path) < 0)
		ret = -errno;
	if (!ret)
		ret = sync_dir(dir);
	if (ret < 0) {
		unlink(temp);
		errno = -ret;
		fail_errno(f, path, "cannot be written");
	}
	return ret;
}

int state_lock(const char *state, struct failure *f)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[STATE_PATH_MAX];
	int fd, ret = state_path(path, state, "virgod.lock");

	if (ret < 0)
		return failure_set(f, ret, state, NULL,
				   "the path is too long");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(f, path, "cannot be opened");
	/* Such a lock, unlike flock(), does not live on in forked children. */
	if (fcntl(fd, F_SETLK, &lock) == 0)
		return fd;
	ret = errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
	if (ret != -EBUSY || fcntl(fd, F_GETLK, &lock) < 0)
		lock.l_pid = 0;
	close(fd);
	return failure_set(f, ret, state,
			   ret == -EBUSY ? "stop it first, or name another "
					   "folder with --state" :
					   NULL,
			   ret == -EBUSY ? "another virgod uses this state folder (process %d)" :
					   "cannot be locked (%d)",
			   ret == -EBUSY ? (int)lock.l_pid : ret);
}

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void remove_named(const char *state, const char *name)
{
	char path[STATE_PATH_MAX];

	if (state_path(path, state, name) == 0)
		remove_tree(path);
}

static void remove_catalog(const char *state)
{
	remove_named(state, "catalog.db");
	remove_named(state, "catalog.db-wal");
	remove_named(state, "catalog.db-shm");
}

/* What may lie in a folder that is no node yet: what interrupted attempts or an
 * earlier membership left, and what a person or virgod may have put there.
 */
static bool entry_is_harmless(const char *name)
{
	static const char *const known[] = {
		".",	   "..",	     ".making",	       "virgod.lock",
		"run",	   "etc",	     "lost+found",     "catalog.db",
		"backup",  "catalog.db-wal", "catalog.db-shm", "export",
		"jobs",	   "blobs",	     "exports.key",
		"membership", "replies",     "volumes",	       "inodes",
		"mount.log", "borrow",	     "load",
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(name, known[i]) == 0)
			return true;
	return strncmp(name, "audit.log", 9) == 0;
}

static int check_empty(const char *state, struct failure *f)
{
	struct dirent *e;
	DIR *d = opendir(state);
	int ret = 0;

	if (!d)
		return fail_errno(f, state, "cannot be read");
	while (!ret && (e = readdir(d))) {
		if (strcmp(e->d_name, "identity") == 0)
			ret = failure_set(
				f, -EEXIST, state,
				"'virgo leave' first, or another --state",
				"this machine is a node of a cloud already");
		else if (!entry_is_harmless(e->d_name))
			ret = failure_set(f, -ENOTEMPTY, state,
					  "an empty folder",
					  "it is not empty: it holds '%s'",
					  e->d_name);
	}
	closedir(d);
	return ret;
}

int state_begin(struct state_new *s, const char *state, struct failure *f)
{
	int ret;

	*s = (struct state_new){ .state = state, .lock = -1 };
	if (mkdir(state, 0755) < 0 && errno != EEXIST)
		return fail_errno(f, state, "cannot be made");
	if (state_path(s->making, state, making_name) < 0 ||
	    state_path(s->identity, s->making, "identity") < 0)
		return failure_set(f, -ENAMETOOLONG, state, NULL,
				   "the path is too long");
	ret = check_empty(state, f);
	if (ret < 0)
		return ret;
	s->lock = state_lock(state, f);
	if (s->lock < 0)
		return s->lock;
	/* Again, now that no other init or join can come between. */
	ret = check_empty(state, f);
	if (ret < 0) {
		close(s->lock);
		s->lock = -1;
		return ret;
	}
	remove_tree(s->identity);
	remove_catalog(s->making);
	remove_catalog(state);
	if ((mkdir(s->making, 0700) < 0 && errno != EEXIST) ||
	    mkdir(s->identity, 0700) < 0) {
		ret = fail_errno(f, s->making, "cannot be made");
		state_abandon(s);
	}
	return ret;
}

static int move_into_place(struct state_new *s, const char *name)
{
	char from[STATE_PATH_MAX], to[STATE_PATH_MAX];
	int ret = state_path(from, s->making, name);

	if (!ret)
		ret = state_path(to, s->state, name);
	if (!ret && rename(from, to) < 0)
		ret = -errno;
	return ret ? ret : sync_dir(s->state);
}

int state_commit(struct state_new *s, struct failure *f)
{
	int ret = sync_dir(s->identity);

	if (!ret)
		ret = sync_dir(s->making);
	if (!ret)
		ret = move_into_place(s, "catalog.db");
	if (!ret)
		ret = move_into_place(s, "identity");
	if (ret < 0) {
		errno = -ret;
		fail_errno(f, s->state, "the new node cannot be stored");
		remove_catalog(s->state);
	}
	state_abandon(s);
	return ret;
}

void state_pause(struct state_new *s)
{
	if (s->lock >= 0)
		close(s->lock);
	s->lock = -1;
}

void state_abandon(struct state_new *s)
{
	if (s->lock < 0)
		return;
	remove_tree(s->making);
	state_pause(s);
}

void state_tidy(const char *state)
{
	char path[STATE_PATH_MAX];

	if (state_path(path, state, "identity") == 0 && access(path, F_OK) == 0)
		remove_named(state, making_name);
}

int state_forget(const char *state, struct failure *f)
{
	char from[STATE_PATH_MAX], to[STATE_PATH_MAX];

	if (state_path(from, state, "identity") < 0 ||
	    state_path(to, state, making_name) < 0)
		return failure_set(f, -ENAMETOOLONG, state, NULL,
				   "the path is too long");
	remove_tree(to);
	if (rename(from, to) < 0 && errno != ENOENT)
		return fail_errno(f, from, "cannot be removed");
	sync_dir(state);
	remove_tree(to);
	remove_catalog(state);
	return 0;
}
