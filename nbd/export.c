// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages of a memory export; the contract and the invariant are in export.h. */
#include "export.h"

#include <fcntl.h>

#include "pack.h"
#include "pool.h"

static bool page_held(const struct export *e, u64 page)
{
	return e->present[page / 64] >> (page % 64) & 1;
}

/* The mask of bits of @page's word that belong to pages [page, end). */
static u64 word_mask(u64 page, u64 end)
{
	u64 mask = ~0ull << (page % 64);

	if (end - (page & ~63ull) < 64)
		mask &= (1ull << (end % 64)) - 1;
	return mask;
}

static u64 next_word(u64 page)
{
	return (page | 63) + 1;
}

static u64 count_held(const struct export *e, u64 page, u64 end)
{
	u64 n = 0;

	for (; page < end; page = next_word(page))
		n += (u64)__builtin_popcountll(e->present[page / 64] &
					       word_mask(page, end));
	return n;
}

static void set_held(struct export *e, u64 page, u64 end)
{
	for (; page < end; page = next_word(page))
		e->present[page / 64] |= word_mask(page, end);
}

static void clear_held(struct export *e, u64 page, u64 end)
{
	for (; page < end; page = next_word(page))
		e->present[page / 64] &= ~word_mask(page, end);
}

u64 export_count(const struct export *e)
{
	return count_held(e, 0, e->size / PAGE_BYTES);
}

static u64 first_page(u64 offset)
{
	return offset / PAGE_BYTES;
}

static u64 end_page(u64 end)
{
	return (end + PAGE_BYTES - 1) / PAGE_BYTES;
}

int export_prepare(struct export *e, u64 offset, u64 len)
{
	u64 page = first_page(offset);
	u64 end = end_page(offset + len);
	u64 more = end - page - count_held(e, page, end);

	if (export_use(e, offset, len))
		return -EIO;
	if (!more)
		return 0;
	if (pool_take(e->pool, more))
		return -ENOSPC;
	e->held_pages += more;
	set_held(e, page, end);
	/* The pages may be written only after this. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return 0;
}

/* What is compressed of the pages: all of a chunk is forgotten, a part of one is
 * taken out. False when that cannot be done.
 */
static bool punch_packed(struct export *e, u64 page, u64 end)
{
	u64 pages = e->size / PAGE_BYTES;
	u64 chunk = page / CHUNK_PAGES;

	for (; e->packed_chunks && chunk * CHUNK_PAGES < end; chunk++) {
		u64 last = (chunk + 1) * CHUNK_PAGES;

		if (!chunk_packed(e, chunk))
			continue;
		if (chunk * CHUNK_PAGES >= page &&
		    (last < pages ? last : pages) <= end)
			pack_drop(e, chunk);
		else if (pack_undo(e, chunk))
			return false;
	}
	return true;
}

/* Whole pages, all of which may or may not be held. */
static void punch_pages(struct export *e, u64 page, u64 end)
{
	u64 held = count_held(e, page, end);

	if (!held || !punch_packed(e, page, end))
		return;
	if (fallocate(pool_fd(e->pool),
		      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(e->data_offset + page * PAGE_BYTES),
		      (off_t)((end - page) * PAGE_BYTES))) {
		/* No memory comes back, but they are zero all the same. */
		for (; page < end; page++)
			if (page_held(e, page))
				memset(e->data + page * PAGE_BYTES, 0,
				       PAGE_BYTES);
		return;
	}
	clear_held(e, page, end);
	e->held_pages -= held;
	pool_give(e->pool, held);
}

static bool is_zero(const u8 *page)
{
	u64 head[2];

	memcpy(head, page, sizeof(head));
	return !(head[0] | head[1]) &&
	       !memcmp(page, page + 16, PAGE_BYTES - 16);
}

void export_settle(struct export *e, u64 offset, u64 len)
{
	u64 page = end_page(offset);
	u64 end = first_page(offset + len);
	u64 zeros = page;

	/* [zeros, page) is the run of pages of zeros that ends here. */
	for (; page < end; page++) {
		if (is_zero(e->data + page * PAGE_BYTES))
			continue;
		if (zeros < page)
			punch_pages(e, zeros, page);
		zeros = page + 1;
	}
	if (zeros < end)
		punch_pages(e, zeros, end);
}

static int store_part(struct export *e, u64 offset, const u8 *from, u64 len)
{
	int ret = len ? export_prepare(e, offset, len) : 0;

	if (ret || !len)
		return ret;
	memcpy(e->data + offset, from, len);
	return 0;
}

int export_store(struct export *e, u64 offset, const u8 *from, u64 len)
{
	u64 data = 0; /* [data, at) is still to be copied */
	u64 at;
	int ret;

	at = (PAGE_BYTES - offset % PAGE_BYTES) % PAGE_BYTES;
	while (at + PAGE_BYTES <= len) {
		if (!is_zero(from + at)) {
			at += PAGE_BYTES;
			continue;
		}
		ret = store_part(e, offset + data, from + data, at - data);
		if (ret)
			return ret;
		data = at;
		do
			at += PAGE_BYTES;
		while (at + PAGE_BYTES <= len && is_zero(from + at));
		punch_pages(e, (offset + data) / PAGE_BYTES,
			    (offset + at) / PAGE_BYTES);
		data = at;
	}
	return store_part(e, offset + data, from + data, len - data);
}

/* Zeros within one page. */
static void clear_part(struct export *e, u64 offset, u64 len)
{
	if (len && page_held(e, first_page(offset)) &&
	    !export_use(e, offset, len))
		memset(e->data + offset, 0, len);
}

void export_punch(struct export *e, u64 offset, u64 len)
{
	u64 page = end_page(offset);
	u64 end = first_page(offset + len);

	if (page > end) { /* inside one page */
		clear_part(e, offset, len);
		return;
	}
	clear_part(e, offset, page * PAGE_BYTES - offset);
	if (page < end)
		punch_pages(e, page, end);
	clear_part(e, end * PAGE_BYTES, offset + len - end * PAGE_BYTES);
}

int export_zero(struct export *e, u64 offset, u64 len)
{
	int ret = export_prepare(e, offset, len);

	if (!ret)
		memset(e->data + offset, 0, len);
	return ret;
}

void export_trim(struct export *e, u64 offset, u64 len)
{
	u64 page = end_page(offset);
	u64 end = first_page(offset + len);

	if (page < end)
		punch_pages(e, page, end);
}

u64 export_run(const struct export *e, u64 offset, u64 end, bool *held)
{
	u64 page = first_page(offset);
	u64 pages = end_page(end);
	u64 flip;
	u64 stop;

	*held = page_held(e, page);
	flip = *held ? ~0ull : 0;
	for (; page < pages; page = next_word(page)) {
		u64 differs = (e->present[page / 64] ^ flip) &
			      word_mask(page, pages);

		if (differs) {
			page = (page & ~63ull) +
			       (u64)__builtin_ctzll(differs);
			break;
		}
	}
	stop = page * PAGE_BYTES;
	return (stop < end ? stop : end) - offset;
}
