// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Variables for programs. The table is mapped once in a process, when it is first
 * there, under a lock that is held for a look at it: nobody waits under it.
 */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "object.h"
#include "vars.h"
#include "virgo.h"

static_assert((int)VIRGO_VAR_BOOL == (int)VAR_BOOL, "as in var.h");
static_assert((int)VIRGO_VAR_ON == (int)VAR_ON, "as in var.h");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct vars *mapped; /* under lock */
static unsigned int mapped_for; /* under lock: of api_state() */

/* The table, with the lock held, which the caller gives back; or NULL and @f. */
static const void *table_lock(struct failure *f)
{
	char state[PATH_MAX];
	unsigned int changes = api_state();

	api_state_dir(state);
	pthread_mutex_lock(&lock);
	if (mapped && mapped_for != changes) {
		vars_close(mapped);
		mapped = NULL;
	}
	mapped_for = changes;
	if (mapped || !vars_open(&mapped, state[0] ? state : NULL, false, f))
		return vars_table(mapped);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void table_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

static int failed(int code, const char *name)
{
	static const struct {
		int code;
		const char *what;
	} words[] = {
		{ -ENOENT, "there is no such variable" },
		{ -EAGAIN, "it is being written" },
		{ -EPROTOTYPE, "it has another type" },
		{ -ECANCELED, "it is switched off" },
		{ -ESTALE, "its value is too old" },
		{ -ERANGE, "its value is outside of the limits" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].code == code)
			return api_fail_with(code, name, NULL, "%s",
					     words[i].what);
	return (int)api_result(code, name);
}

/* @size bytes of a struct of the caller's version into one of ours of @have. */
static int take(void *to, size_t have, const void *from, size_t size)
{
	const u8 *p = from;
	size_t i;

	for (i = have; i < size; i++)
		if (p[i])
			return -E2BIG;
	memset(to, 0, have);
	memcpy(to, from, size < have ? size : have);
	return 0;
}

int virgo_var_get(const char *name, const struct virgo_var_want *want,
		  size_t size, uint64_t *value)
{
	struct virgo_var_want w;
	struct failure f = { 0 };
	int ret = take(&w, sizeof(w), want, size);
	struct var_want inner;
	const void *table;
	u32 slot = 0;

	if (ret)
		return failed(ret, name);
	*value = w.fallback;
	table = table_lock(&f);
	if (!table)
		return api_fail(&f);
	inner = (struct var_want){ .type = (u8)w.type,
				   .max_age_ms = w.max_age_ms,
				   .min = w.min,
				   .max = w.max,
				   .fallback = w.fallback };
	ret = var_get(table, &slot, name, &inner, vars_now_ns(), value);
	table_unlock();
	return ret ? failed(ret, name) : 0;
}

static void give(const struct var *v, void *out, size_t size)
{
	struct virgo_var full = { .value = v->value,
				  .min = v->min,
				  .max = v->max,
				  .def = v->def,
				  .updated_ns = v->updated_ns,
				  .ttl_ms = v->ttl_ms,
				  .confidence_ppm = v->confidence_ppm,
				  .type = v->type,
				  .mode = v->mode };
	size_t have = size < sizeof(full) ? size : sizeof(full);

	memcpy(full.name, v->name, sizeof(full.name));
	memcpy(full.unit, v->unit, sizeof(full.unit));
	memcpy(full.producer, v->producer, sizeof(full.producer));
	memcpy(out, &full, have);
	memset((u8 *)out + have, 0, size - have);
}

int virgo_var_read(const char *name, struct virgo_var *var, size_t size)
{
	struct failure f = { 0 };
	const void *table = table_lock(&f);
	struct var v;
	int ret;

	if (!table)
		return api_fail(&f);
	ret = var_find(table, name);
	if (ret >= 0)
		ret = var_read(table, (u32)ret, &v);
	table_unlock();
	if (ret)
		return failed(ret, name);
	give(&v, var, size);
	return 0;
}

ssize_t virgo_vars(struct virgo_var *vars, size_t count, size_t size)
{
	struct failure f = { 0 };
	const void *table = table_lock(&f);
	size_t n = 0;
	struct var v;

	if (!table)
		return f.code == -ENOENT ? 0 : api_fail(&f);
	for (u32 slot = 1; slot < VAR_SLOTS; slot++) {
		if (var_read(table, slot, &v))
			continue;
		if (n < count)
			give(&v, (u8 *)vars + n * size, size);
		n++;
	}
	table_unlock();
	return (ssize_t)n;
}

int virgo_var_set(const struct virgo_var *var, size_t size)
{
	char state[PATH_MAX];
	struct failure f = { 0 };
	struct virgo_var w;
	struct var v;
	int ret = take(&w, sizeof(w), var, size);

	if (!ret && (w.type > VAR_BOOL || w.mode > VAR_ON))
		ret = -EINVAL;
	if (ret)
		return failed(ret, "variable");
	v = (struct var){ .value = w.value,
			  .min = w.min,
			  .max = w.max,
			  .def = w.def,
			  .ttl_ms = w.ttl_ms,
			  .confidence_ppm = w.confidence_ppm,
			  .type = (u8)w.type,
			  .mode = (u8)w.mode };
	memcpy(v.name, w.name, sizeof(v.name));
	memcpy(v.unit, w.unit, sizeof(v.unit));
	memcpy(v.producer, w.producer, sizeof(v.producer));
	api_state_dir(state);
	return vars_set(state[0] ? state : NULL, false, &v, &f) ?
		       api_fail(&f) : 0;
}

static u64 newest(const void *table)
{
	u64 at = 0;
	struct var v;

	for (u32 slot = 1; slot < VAR_SLOTS; slot++)
		if (!var_read(table, slot, &v) && v.updated_ns > at)
			at = v.updated_ns;
	return at;
}

/* Polls @fd until something was set; the watch began before the first look. */
static int wait_on(const struct vars *vars, int fd, u64 *since, int timeout_ms)
{
	const u64 end = vars_now_ns() + (u64)timeout_ms * 1000000;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int left = timeout_ms;
	u64 at;

	while ((at = newest(vars_table(vars))) <= *since) {
		int ret = poll(&p, 1, left);
		u64 now = vars_now_ns();

		if (ret < 0)
			return -errno;
		if (!ret)
			return -ETIMEDOUT;
		vars_drain(fd);
		if (timeout_ms >= 0)
			left = now < end ? (int)((end - now) / 1000000) + 1 : 0;
	}
	*since = at;
	return 0;
}

int virgo_var_wait(uint64_t *since_ns, int timeout_ms)
{
	struct failure f = { 0 };
	char state[PATH_MAX];
	u64 since = *since_ns;
	struct vars *vars;
	int fd, ret;

	api_state_dir(state);
	if (vars_open(&vars, state[0] ? state : NULL, false, &f))
		return api_fail(&f);
	fd = vars_watch(vars);
	ret = fd < 0 ? fd : wait_on(vars, fd, &since, timeout_ms);
	if (fd >= 0)
		close(fd);
	vars_close(vars);
	*since_ns = since;
	return (int)api_result(ret, "variables");
}
