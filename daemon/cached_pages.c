// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages for the cache: one range of addresses as large as the budget, of which
 * the kernel gives memory when it is first used and gets it back when a page
 * returns.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "cached_impl.h"

struct pages {
	u8 *base;
	u32 count;
	u32 used; /* pages from here on were never given out */
	u32 spare_count;
	u32 spare[]; /* numbers of those that came back */
};

static void *page_get(void *arg)
{
	struct pages *p = arg;
	u32 n;

	if (p->spare_count)
		n = p->spare[--p->spare_count];
	else if (p->used < p->count)
		n = p->used++;
	else
		return NULL;
	return p->base + (size_t)n * CACHE_PAGE_BYTES;
}

static void page_put(void *arg, void *page)
{
	struct pages *p = arg;

	madvise(page, CACHE_PAGE_BYTES, MADV_DONTNEED);
	p->spare[p->spare_count++] =
		(u32)((size_t)((u8 *)page - p->base) / CACHE_PAGE_BYTES);
}

static void *table_get(void *arg, size_t bytes)
{
	return calloc(1, bytes);
}

static void table_put(void *arg, void *table, size_t bytes)
{
	free(table);
}

struct pages *pages_new(u64 bytes)
{
	u32 count = (u32)(bytes / CACHE_PAGE_BYTES);
	struct pages *p = calloc(1, sizeof(*p) + count * sizeof(u32));

	if (!p)
		return NULL;
	p->count = count;
	p->base = mmap(NULL, (size_t)count * CACHE_PAGE_BYTES,
		       PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->base == MAP_FAILED) {
		free(p);
		return NULL;
	}
	return p;
}

void pages_free(struct pages *p)
{
	if (!p)
		return;
	munmap(p->base, (size_t)p->count * CACHE_PAGE_BYTES);
	free(p);
}

struct cache_memory pages_memory(struct pages *p)
{
	return (struct cache_memory){ page_get, page_put, table_get, table_put,
				      p };
}
