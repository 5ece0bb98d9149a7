// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The table of descriptors, failures, and the functions of virgo.h that belong
 * to every kind of descriptor. The contracts are in object.h and virgo.h.
 */
#include "object.h"

#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>

#include "virgo.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by lock. */
static struct object **table;
static int table_size;
static char state[PATH_MAX]; /* "": as the environment says */
static unsigned int state_changes;

static _Thread_local struct failure last;
static _Thread_local struct virgo_failure last_shown;
static _Thread_local char line[sizeof(struct failure) + 16];

/* --- the table --- */

static int make_room(int fd)
{
	int size = table_size ? table_size : 64;
	struct object **p;

	while (size <= fd)
		size *= 2;
	if (size == table_size)
		return 0;
	p = realloc(table, (size_t)size * sizeof(*p));
	if (!p)
		return -ENOMEM;
	memset(p + table_size, 0, (size_t)(size - table_size) * sizeof(*p));
	table = p;
	table_size = size;
	return 0;
}

int object_add(struct object *o, int fd)
{
	struct object *stale = NULL;
	int ret;

	pthread_mutex_lock(&lock);
	ret = make_room(fd);
	if (!ret) {
		stale = table[fd];
		if (stale)
			stale->fd = -1; /* the number is another's now */
		o->refs = 1;
		o->fd = fd;
		table[fd] = o;
	}
	pthread_mutex_unlock(&lock);
	if (stale) {
		stale->ops->close(stale);
		object_put(stale);
	}
	return ret;
}

struct object *object_get(int fd, const struct object_ops *ops, int wrong)
{
	struct object *o = NULL;

	pthread_mutex_lock(&lock);
	if (fd >= 0 && fd < table_size)
		o = table[fd];
	if (!o)
		wrong = EBADF;
	else if (ops && o->ops != ops)
		o = NULL;
	else
		__atomic_add_fetch(&o->refs, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock);
	if (!o)
		api_fail_with(-wrong, "descriptor", NULL,
			      "%d is %s", fd, wrong == EBADF ?
			      "not an open descriptor of libvirgo" :
			      "of another kind");
	return o;
}

void object_put(struct object *o)
{
	if (__atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL) == 0)
		o->ops->free(o);
}

int virgo_close(int fd)
{
	struct object *o = object_get(fd, NULL, EBADF);
	bool ours = false;
	int ret = -EBADF;

	if (!o)
		return -1;
	pthread_mutex_lock(&lock);
	if (table[fd] == o) {
		table[fd] = NULL;
		ours = true;
	}
	pthread_mutex_unlock(&lock);
	if (ours) {
		ret = o->ops->close(o);
		object_put(o);
	}
	object_put(o);
	return (int)api_result(ret, "close");
}

ssize_t virgo_read(int fd, void *buf, size_t len)
{
	struct object *o = object_get(fd, NULL, EBADF);
	ssize_t ret;

	if (!o)
		return -1;
	ret = o->ops->read(o, buf, len);
	object_put(o);
	return ret;
}

ssize_t virgo_write(int fd, const void *buf, size_t len)
{
	struct object *o = object_get(fd, NULL, EBADF);
	ssize_t ret;

	if (!o)
		return -1;
	ret = o->ops->write(o, buf, len);
	object_put(o);
	return ret;
}

/* --- failures --- */

int api_fail(const struct failure *f)
{
	last = *f;
	errno = -f->code;
	return -1;
}

int api_fail_with(int code, const char *object, const char *remedy,
		  const char *what_fmt, ...)
{
	char what[sizeof(last.what)];
	struct failure f = { 0 };
	va_list ap;

	va_start(ap, what_fmt);
	vsnprintf(what, sizeof(what), what_fmt, ap);
	va_end(ap);
	failure_set(&f, code, object, remedy, "%s", what);
	return api_fail(&f);
}

ssize_t api_result(ssize_t ret, const char *object)
{
	if (ret >= 0)
		return ret;
	return api_fail_with((int)ret, object, NULL, "%s",
			     strerror((int)-ret));
}

const struct virgo_failure *virgo_last_failure(void)
{
	last_shown = (struct virgo_failure){ .code = -last.code,
					     .object = last.object,
					     .what = last.what,
					     .remedy = last.remedy };
	return &last_shown;
}

const char *virgo_strerror(void)
{
	snprintf(line, sizeof(line), "%s%s%s%s%s", last.object,
		 last.object[0] ? ": " : "", last.what,
		 last.remedy[0] ? ". Try: " : "", last.remedy);
	return line;
}

const char *virgo_version(void)
{
	return VIRGO_VERSION;
}

/* --- virgod --- */

int virgo_set_state(const char *dir)
{
	if (dir && strlen(dir) >= sizeof(state))
		return api_fail_with(-ENAMETOOLONG, "state folder",
				     "use one with a shorter path",
				     "the path is too long");
	pthread_mutex_lock(&lock);
	snprintf(state, sizeof(state), "%s", dir ? dir : "");
	state_changes++;
	pthread_mutex_unlock(&lock);
	return 0;
}

unsigned int api_state(void)
{
	unsigned int changes;

	pthread_mutex_lock(&lock);
	changes = state_changes;
	pthread_mutex_unlock(&lock);
	return changes;
}

void api_state_dir(char *dir)
{
	pthread_mutex_lock(&lock);
	memcpy(dir, state, sizeof(state));
	pthread_mutex_unlock(&lock);
}

int api_connect(struct client **out, struct failure *f)
{
	char dir[sizeof(state)];

	api_state_dir(dir);
	return client_open(out, dir[0] ? dir : NULL, f);
}

bool api_module_allowed(void)
{
	char dir[sizeof(state)];

	api_state_dir(dir);
	return client_module_allowed(dir[0] ? dir : NULL);
}

int api_open_module(struct client **out, const char *node, size_t words)
{
	char dir[sizeof(state)];

	api_state_dir(dir);
	return client_open_module(out, dir[0] ? dir : NULL, node, words);
}

void api_copy(void *out, size_t size, const void *in, size_t in_size)
{
	size_t have = size < in_size ? size : in_size;

	memcpy(out, in, have);
	memset((u8 *)out + have, 0, size - have);
}

void api_text(char *out, size_t size, struct span s)
{
	size_t n = s.len < size ? s.len : size - 1;

	if (n)
		memcpy(out, s.data, n);
	out[n] = 0;
}
