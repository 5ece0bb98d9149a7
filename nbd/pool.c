// SPDX-License-Identifier: GPL-2.0-or-later
/* The pool's file and its table; layout and contract are in pool.h. */
#include "pool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crc32c.h"
#include "pack.h"

#define POOL_MAGIC 0x6c6f6f706f677276ull /* "vrgopool" */

enum {
	POOL_VERSION = 2,
	NAME_BUCKETS = 4096,
	EXTENT_STEP = 2 << 20, /* a huge page */
	SIZE_MAX_SHIFT = 45, /* of an export: what can be mapped twice */
};

struct half {
	u32 crc; /* of what follows */
	u32 sequence; /* 0: never written */
	u64 size; /* 0: no export */
	u64 generation;
	u64 extent;
	char name[EXPORT_NAME_MAX + 1];
	char owner[EXPORT_OWNER_MAX + 1];
	u64 since_s;
};

struct record {
	struct half half[2];
};

struct header {
	u64 magic;
	u32 version;
	u32 page_bytes;
	u64 generation; /* the last one given */
	u8 spare[488];
};

static_assert(sizeof(struct half) == 256, "layout of the pool");
static_assert(sizeof(struct header) == sizeof(struct record), "of the pool");

enum {
	TABLE_BYTES = (EXPORTS_MAX + 1) * sizeof(struct record),
	EXTENTS = (TABLE_BYTES + EXTENT_STEP - 1) / EXTENT_STEP * EXTENT_STEP,
};

struct pool {
	int fd;
	bool lock;
	bool locked;
	struct header *header;
	struct record *records;
	u64 held_pages;
	u64 quota_pages;
	u64 packed_pages; /* of the held ones */
	u64 packed_taken; /* pages that those take */
	u32 count;
	u32 records_used; /* no record at or after this one has an export */
	struct export *exports[EXPORTS_MAX]; /* by record */
	struct export *names[NAME_BUCKETS];
	struct export *extents; /* in order of place */
};

int pool_fd(const struct pool *p)
{
	return p->fd;
}

bool pool_locked(const struct pool *p)
{
	return p->locked;
}

u64 pool_held_pages(const struct pool *p)
{
	return p->held_pages;
}

u64 pool_quota_pages(const struct pool *p)
{
	return p->quota_pages;
}

void pool_set_quota(struct pool *p, u64 bytes)
{
	p->quota_pages = bytes / PAGE_BYTES;
}

u32 pool_count(const struct pool *p)
{
	return p->count;
}

int pool_take(struct pool *p, u64 pages)
{
	if (p->held_pages >= p->quota_pages ||
	    pages > p->quota_pages - p->held_pages)
		return -ENOSPC;
	p->held_pages += pages;
	return 0;
}

void pool_give(struct pool *p, u64 pages)
{
	p->held_pages -= pages;
}

void pool_count_packed(struct pool *p, u64 pages, u64 taken, bool in)
{
	p->packed_pages += in ? pages : -pages;
	p->packed_taken += in ? taken : -taken;
}

u64 pool_packed_pages(const struct pool *p)
{
	return p->packed_pages;
}

u64 pool_stored_pages(const struct pool *p)
{
	return p->held_pages - p->packed_pages + p->packed_taken;
}

static u32 half_crc(const struct half *h)
{
	return crc32c(0, (const u8 *)h + sizeof(h->crc),
		      sizeof(*h) - sizeof(h->crc));
}

static bool half_good(const struct half *h)
{
	return h->sequence && h->crc == half_crc(h);
}

/* The half in force, or NULL when there is none. */
static struct half *record_now(struct record *r)
{
	struct half *a = half_good(&r->half[0]) ? &r->half[0] : NULL;
	struct half *b = half_good(&r->half[1]) ? &r->half[1] : NULL;

	if (!a || !b)
		return a ? a : b;
	return (s32)(a->sequence - b->sequence) > 0 ? a : b;
}

static void record_write(struct record *r, struct half *next)
{
	struct half *now = record_now(r);
	struct half *to = now == &r->half[0] ? &r->half[1] : &r->half[0];

	next->sequence = now ? now->sequence + 1 : 1;
	next->sequence += !next->sequence;
	next->crc = half_crc(next);
	memcpy(to, next, sizeof(*to));
}

static u64 round_up(u64 n, u64 step)
{
	return (n + step - 1) / step * step;
}

static u64 chunks_of(u64 size)
{
	return (size + CHUNK_BYTES - 1) / CHUNK_BYTES;
}

/* A bit a page, in whole words. */
static u64 page_bits_bytes(u64 size)
{
	return round_up(size / PAGE_BYTES, 64) / 8;
}

static u64 bits_bytes(u64 size)
{
	return round_up(page_bits_bytes(size) +
				round_up(chunks_of(size), 64) / 8,
			EXTENT_STEP);
}

static u64 extent_bytes(u64 size)
{
	return bits_bytes(size) + 2 * round_up(size, EXTENT_STEP);
}

static u64 extent_end(const struct export *e)
{
	return e->extent + extent_bytes(e->size);
}

static struct export **bucket(struct pool *p, const char *name, size_t len)
{
	return &p->names[crc32c(0, name, len) % NAME_BUCKETS];
}

static int punch(int fd, u64 from, u64 to)
{
	if (from >= to)
		return 0;
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)from, (off_t)(to - from)) ? -errno : 0;
}

static int map_export(struct pool *p, struct export *e)
{
	u64 len = extent_bytes(e->size);
	u8 *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd,
		      (off_t)e->extent);

	if (at == MAP_FAILED)
		return -errno;
	e->idle = calloc(chunks_of(e->size), 1);
	if (!e->idle) {
		munmap(at, len);
		return -ENOMEM;
	}
	/* On fault only: locking must not give memory to every page. */
	if (p->lock && mlock2(at, len, MLOCK_ONFAULT))
		p->locked = false;
	madvise(at, len, MADV_DONTFORK);
	e->present = (u64 *)at;
	e->data = at + bits_bytes(e->size);
	e->data_offset = e->extent + bits_bytes(e->size);
	e->packed = (u64 *)(at + page_bits_bytes(e->size));
	e->store = e->data + round_up(e->size, EXTENT_STEP);
	return 0;
}

static void link_export(struct pool *p, struct export *e)
{
	struct export **at = bucket(p, e->name, strlen(e->name));

	e->next_name = *at;
	*at = e;
	for (at = &p->extents; *at && (*at)->extent < e->extent;)
		at = &(*at)->next_extent;
	e->next_extent = *at;
	*at = e;
	p->exports[e->record] = e;
	if (e->record >= p->records_used)
		p->records_used = e->record + 1;
	p->count++;
	p->held_pages += e->held_pages;
}

static void unlink_export(struct pool *p, struct export *e)
{
	struct export **at = bucket(p, e->name, strlen(e->name));

	while (*at != e)
		at = &(*at)->next_name;
	*at = e->next_name;
	for (at = &p->extents; *at != e;)
		at = &(*at)->next_extent;
	*at = e->next_extent;
	p->exports[e->record] = NULL;
	p->count--;
	p->held_pages -= e->held_pages;
}

static void free_export(struct export *e)
{
	munmap(e->present, extent_bytes(e->size));
	free(e->idle);
	free(e);
}

static bool text_good(const char *s, size_t max, bool may_be_empty)
{
	size_t len = strnlen(s, max + 1);
	size_t i;

	if (len > max || (!len && !may_be_empty))
		return false;
	for (i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == '@')
			return false;
	return true;
}

static bool size_good(u64 size)
{
	return size && size % PAGE_BYTES == 0 && size <= 1ull << SIZE_MAX_SHIFT;
}

static int load_record(struct pool *p, u32 i, u64 file_bytes)
{
	struct half *h = record_now(&p->records[i]);
	struct export *e;
	int ret;

	if (!h || !h->size)
		return 0;
	if (!size_good(h->size) || h->extent < EXTENTS ||
	    h->extent % EXTENT_STEP || h->extent > file_bytes ||
	    extent_bytes(h->size) > file_bytes - h->extent ||
	    !text_good(h->name, EXPORT_NAME_MAX, false) ||
	    !text_good(h->owner, EXPORT_OWNER_MAX, true))
		return -EUCLEAN;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->pool = p;
	e->record = i;
	e->size = h->size;
	e->generation = h->generation;
	e->since_s = h->since_s;
	e->extent = h->extent;
	memcpy(e->name, h->name, sizeof(e->name));
	memcpy(e->owner, h->owner, sizeof(e->owner));
	ret = map_export(p, e);
	if (ret) {
		free(e);
		return ret;
	}
	e->held_pages = export_count(e);
	pack_recover(e);
	link_export(p, e);
	return 0;
}

/* The first record at or after @i that may have been written: to read a page of
 * the table that was not would give it memory.
 */
static u32 next_record(const struct pool *p, u32 i)
{
	off_t at = (off_t)((i + 1) * sizeof(struct record));
	off_t data;

	if (i && at % PAGE_BYTES)
		return i;
	data = lseek(p->fd, at, SEEK_DATA);
	if (data < 0 || data >= TABLE_BYTES)
		return EXPORTS_MAX;
	return data > at ? (u32)((size_t)data / sizeof(struct record)) - 1 : i;
}

static int load_table(struct pool *p, u64 file_bytes)
{
	struct export *e;
	u64 end = EXTENTS;
	int ret = 0;
	u32 i;

	if (p->header->magic != POOL_MAGIC ||
	    p->header->version != POOL_VERSION ||
	    p->header->page_bytes != PAGE_BYTES)
		return -EUCLEAN;
	for (i = next_record(p, 0); i < EXPORTS_MAX && !ret;
	     i = next_record(p, i + 1))
		ret = load_record(p, i, file_bytes);
	if (ret)
		return ret;
	/* What was being removed when the last user died. */
	for (e = p->extents; e; e = e->next_extent) {
		if (e->extent < end)
			return -EUCLEAN;
		punch(p->fd, end, e->extent);
		end = extent_end(e);
	}
	punch(p->fd, end, file_bytes);
	return 0;
}

static int map_table(struct pool *p, struct failure *f)
{
	struct stat st;
	void *at;
	int ret;

	if (fstat(p->fd, &st))
		return failure_set(f, -errno, "pool", NULL, "%s",
				   strerror(errno));
	if (st.st_size == 0 && ftruncate(p->fd, EXTENTS))
		return failure_set(f, -errno, "pool", NULL, "%s",
				   strerror(errno));
	at = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd,
		  0);
	if (at == MAP_FAILED)
		return failure_set(f, -errno, "pool", NULL, "%s",
				   strerror(errno));
	if (p->lock && mlock2(at, TABLE_BYTES, MLOCK_ONFAULT))
		p->locked = false;
	p->header = at;
	p->records = (struct record *)at + 1;
	if (st.st_size && st.st_size < EXTENTS)
		ret = -EUCLEAN;
	else if (!st.st_size || !p->header->magic) {
		p->header->version = POOL_VERSION;
		p->header->page_bytes = PAGE_BYTES;
		p->header->magic = POOL_MAGIC;
		ret = 0;
	} else {
		ret = load_table(p, (u64)st.st_size);
	}
	if (!ret)
		return 0;
	return failure_set(f, ret, "pool", ret == -EUCLEAN ?
			   "end its holder with --forget; its data is lost" :
			   NULL, "%s", ret == -EUCLEAN ?
			   "not a pool of this version" : strerror(-ret));
}

int pool_open(struct pool **out, int fd, u64 quota_bytes, bool lock,
	      struct failure *f)
{
	struct pool *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return failure_set(f, -ENOMEM, "pool", NULL, "out of memory");
	p->fd = fd;
	p->lock = lock;
	p->locked = lock;
	p->quota_pages = quota_bytes / PAGE_BYTES;
	ret = map_table(p, f);
	if (ret) {
		pool_close(p);
		return ret;
	}
	*out = p;
	return 0;
}

void pool_close(struct pool *p)
{
	u32 i;

	if (!p)
		return;
	for (i = 0; i < p->records_used; i++)
		if (p->exports[i])
			free_export(p->exports[i]);
	if (p->header)
		munmap(p->header, TABLE_BYTES);
	free(p);
}

static u64 find_room(const struct pool *p, u64 bytes)
{
	const struct export *e;
	u64 at = EXTENTS;

	for (e = p->extents; e && e->extent - at < bytes; e = e->next_extent)
		at = extent_end(e);
	return at;
}

static int make_room(struct pool *p, u64 extent, u64 bytes)
{
	struct stat st;

	if (fstat(p->fd, &st))
		return -errno;
	if ((u64)st.st_size < extent + bytes &&
	    ftruncate(p->fd, (off_t)(extent + bytes)))
		return -errno;
	return punch(p->fd, extent, extent + bytes);
}

static int free_record(const struct pool *p)
{
	u32 i;

	for (i = 0; i < p->records_used; i++)
		if (!p->exports[i])
			return (int)i;
	return p->records_used < EXPORTS_MAX ? (int)p->records_used : -ENOSPC;
}

static void write_record(struct pool *p, const struct export *e, u64 size)
{
	struct half h = { .size = size,
			  .generation = e->generation,
			  .since_s = e->since_s,
			  .extent = e->extent };

	memcpy(h.name, e->name, sizeof(h.name));
	memcpy(h.owner, e->owner, sizeof(h.owner));
	record_write(&p->records[e->record], &h);
}

int pool_add(struct pool *p, const char *name, const char *owner, u64 size,
	     struct export **out)
{
	struct export *e;
	int record;
	int ret;

	if (!text_good(name, EXPORT_NAME_MAX, false) ||
	    !text_good(owner, EXPORT_OWNER_MAX, true) || !size_good(size))
		return -EINVAL;
	if (pool_find(p, name, strlen(name)))
		return -EEXIST;
	record = free_record(p);
	if (record < 0)
		return record;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->pool = p;
	e->record = (u32)record;
	e->size = size;
	e->since_s = (u64)time(NULL);
	e->extent = find_room(p, extent_bytes(size));
	snprintf(e->name, sizeof(e->name), "%s", name);
	snprintf(e->owner, sizeof(e->owner), "%s", owner);
	ret = make_room(p, e->extent, extent_bytes(size));
	if (!ret)
		ret = map_export(p, e);
	if (ret) {
		free(e);
		return ret;
	}
	e->generation = ++p->header->generation;
	write_record(p, e, size);
	link_export(p, e);
	*out = e;
	return 0;
}

void pool_remove(struct pool *p, struct export *e)
{
	u64 chunk;

	for (chunk = 0; e->packed_chunks; chunk++)
		if (chunk_packed(e, chunk))
			pack_drop(e, chunk);
	unlink_export(p, e);
	write_record(p, e, 0);
	punch(p->fd, e->extent, extent_end(e));
	free_export(e);
}

struct export *pool_find(const struct pool *p, const char *name, size_t len)
{
	struct export *e = *bucket((struct pool *)p, name, len);

	while (e && (strlen(e->name) != len || memcmp(e->name, name, len)))
		e = e->next_name;
	return e;
}

struct export *pool_next(const struct pool *p, u32 *at)
{
	while (*at < p->records_used) {
		struct export *e = p->exports[(*at)++];

		if (e)
			return e;
	}
	return NULL;
}
