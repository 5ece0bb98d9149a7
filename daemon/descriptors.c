// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The descriptor cache; the contract is in descriptors.h. Hashed by the seal,
 * whose bytes are as good as random, and by inode number, for what each unlink
 * drops; a list in order of use serves eviction.
 */
#include "descriptors.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop.h"

enum { BUCKETS = 1 << 12, INO_BUCKETS = 1 << 12 };

struct descriptors {
	pthread_mutex_t lock; /* guards all below, and the entries */
	size_t max;
	size_t count;
	struct descriptor *newest;
	struct descriptor *oldest;
	struct descriptor *buckets[BUCKETS];
	struct descriptor *by_ino[INO_BUCKETS];
};

static struct descriptor **bucket(struct descriptors *ds, struct span handle)
{
	u32 h = get_u32(handle.data + handle.len - 4);

	return &ds->buckets[h % BUCKETS];
}

static struct descriptor **ino_bucket(struct descriptors *ds, u64 ino)
{
	return &ds->by_ino[(ino * 0x9e3779b97f4a7c15ull >> 32) % INO_BUCKETS];
}

static void list_add(struct descriptors *ds, struct descriptor *d)
{
	d->newer = NULL;
	d->older = ds->newest;
	if (ds->newest)
		ds->newest->newer = d;
	else
		ds->oldest = d;
	ds->newest = d;
}

static void list_remove(struct descriptors *ds, struct descriptor *d)
{
	*(d->newer ? &d->newer->older : &ds->newest) = d->older;
	*(d->older ? &d->older->newer : &ds->oldest) = d->newer;
}

static struct span handle_of(const struct descriptor *d)
{
	return (struct span){ .data = d->handle, .len = d->handle_len };
}

/* Takes @d out of the cache; true when nobody uses it and it must be freed. */
static bool uncache(struct descriptors *ds, struct descriptor *d)
{
	struct descriptor **at = bucket(ds, handle_of(d));

	while (*at != d)
		at = &(*at)->chain;
	*at = d->chain;
	list_remove(ds, d);
	at = ino_bucket(ds, d->ino);
	while (*at != d)
		at = &(*at)->ino_chain;
	*at = d->ino_chain;
	ds->count--;
	d->cached = false;
	return d->refs == 0;
}

static void destroy(struct descriptor *d)
{
	close(d->fd);
	free(d);
}

struct descriptors *descriptors_new(size_t max)
{
	struct descriptors *ds = calloc(1, sizeof(*ds));

	if (!ds)
		return NULL;
	ds->max = max;
	pthread_mutex_init(&ds->lock, NULL);
	return ds;
}

void descriptors_free(struct descriptors *ds)
{
	if (!ds)
		return;
	while (ds->oldest) {
		struct descriptor *d = ds->oldest;

		if (uncache(ds, d))
			destroy(d);
	}
	pthread_mutex_destroy(&ds->lock);
	free(ds);
}

static struct descriptor *find(struct descriptors *ds, struct span handle)
{
	struct descriptor *d = *bucket(ds, handle);

	while (d && !span_equal(handle_of(d), handle))
		d = d->chain;
	if (d) {
		d->refs++;
		d->used_us = loop_clock_us();
		list_remove(ds, d);
		list_add(ds, d);
	}
	return d;
}

struct descriptor *descriptors_find(struct descriptors *ds, struct span handle)
{
	struct descriptor *d;

	if (handle.len < 4)
		return NULL;
	pthread_mutex_lock(&ds->lock);
	d = find(ds, handle);
	pthread_mutex_unlock(&ds->lock);
	return d;
}

/* The oldest unused entry when there are too many; looks at a few only. */
static struct descriptor *victim(struct descriptors *ds)
{
	struct descriptor *d = ds->oldest;
	int tries = 8;

	if (ds->count <= ds->max)
		return NULL;
	while (d && d->refs && --tries)
		d = d->newer;
	if (!d || d->refs)
		return NULL;
	uncache(ds, d);
	return d;
}

struct descriptor *descriptors_add(struct descriptors *ds, struct span handle,
				   int fd, u64 ino, bool is_dir)
{
	struct descriptor *d = calloc(1, sizeof(*d));
	struct descriptor *old;
	struct descriptor *out = NULL;

	if (!d || handle.len < 4 || handle.len > FILEHANDLE_MAX) {
		free(d);
		close(fd);
		return NULL;
	}
	*d = (struct descriptor){ .fd = fd,
				  .is_dir = is_dir,
				  .refs = 1,
				  .handle_len = (u16)handle.len,
				  .cached = true,
				  .ino = ino,
				  .used_us = loop_clock_us() };
	memcpy(d->handle, handle.data, handle.len);
	pthread_mutex_lock(&ds->lock);
	old = find(ds, handle);
	if (!old) {
		struct descriptor **at = bucket(ds, handle);

		d->chain = *at;
		*at = d;
		list_add(ds, d);
		at = ino_bucket(ds, ino);
		d->ino_chain = *at;
		*at = d;
		ds->count++;
		out = victim(ds);
	}
	pthread_mutex_unlock(&ds->lock);
	if (out)
		destroy(out);
	if (!old)
		return d;
	destroy(d);
	return old;
}

void descriptors_put(struct descriptors *ds, struct descriptor *d)
{
	bool gone;

	if (!d)
		return;
	pthread_mutex_lock(&ds->lock);
	gone = --d->refs == 0 && !d->cached;
	pthread_mutex_unlock(&ds->lock);
	if (gone)
		destroy(d);
}

void descriptors_drop(struct descriptors *ds, u64 ino)
{
	struct descriptor *gone = NULL;
	struct descriptor *d, *next;

	pthread_mutex_lock(&ds->lock);
	for (d = *ino_bucket(ds, ino); d; d = next) {
		next = d->ino_chain;
		if (d->ino != ino || !uncache(ds, d))
			continue;
		d->chain = gone;
		gone = d;
	}
	pthread_mutex_unlock(&ds->lock);
	while (gone) {
		d = gone;
		gone = d->chain;
		destroy(d);
	}
}

void descriptors_sweep(struct descriptors *ds, u64 before_us)
{
	for (;;) {
		struct descriptor *d;

		pthread_mutex_lock(&ds->lock);
		d = ds->oldest;
		while (d && d->refs && d->used_us < before_us)
			d = d->newer;
		if (d && d->used_us < before_us)
			uncache(ds, d);
		else
			d = NULL;
		pthread_mutex_unlock(&ds->lock);
		if (!d)
			return;
		destroy(d);
	}
}
