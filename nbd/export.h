/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A memory export: so many bytes of the pool under one name and generation,
 * and what can be done to its pages. A page is held (memory lies behind it) or
 * a hole, which reads as zeros and costs nothing.
 *
 * Invariant: a page whose bit in @present is clear reads as zeros in @data; it
 * is never read through @data, as that would make the kernel give it memory.
 * What is read or written through @data is said to export_use() first, as it may
 * be compressed.
 * The bits lie in the pool's file beside the data, and each step is ordered so
 * that the invariant holds whenever the process is killed: a bit is set before
 * its page is written and cleared after its memory is gone.
 */
#ifndef VIRGO_NBD_EXPORT_H
#define VIRGO_NBD_EXPORT_H

#include "env.h"

enum {
	EXPORT_NAME_MAX = 127, /* bytes, printable ASCII without '@' and space */
	EXPORT_OWNER_MAX = 87,
	PAGE_BYTES = 4096,
	CHUNK_PAGES = 16, /* what is compressed together; see pack.h */
	CHUNK_BYTES = CHUNK_PAGES * PAGE_BYTES,
};

struct pool;

struct export {
	char name[EXPORT_NAME_MAX + 1];
	char owner[EXPORT_OWNER_MAX + 1]; /* secure.h; "": whoever may connect */
	u64 size; /* bytes, a multiple of PAGE_BYTES */
	u64 generation; /* no two exports of a pool's life have the same */
	u64 since_s; /* when it was made, since 1970 */
	u8 *data;
	u64 *present; /* a bit a page, least significant first */
	u64 held_pages;
	u64 *packed; /* a bit a chunk: its data is in @store, compressed */
	u8 *store; /* as long as @data */
	u8 *idle; /* a count a chunk: how long it was not used */
	u64 packed_chunks;
	u64 packed_pages; /* of the held ones */
	/* The pool's own. */
	struct pool *pool;
	u64 extent; /* where it begins in the pool's file */
	u64 data_offset;
	u32 record;
	struct export *next_name;
	struct export *next_extent;
};

/* Ranges below must lie within the export: the caller has checked. */

/*
 * Makes the pages of a range ready to be written through @data. 0, -EIO, or -ENOSPC
 * when the pool's quota does not allow it; then nothing has changed.
 */
int export_prepare(struct export *e, u64 offset, u64 len);

/* Gives back the whole pages of a range that hold nothing but zeros; after
 * writing to it through @data.
 */
void export_settle(struct export *e, u64 offset, u64 len);

/* Writes; whole pages of zeros become holes. 0, -EIO or -ENOSPC. */
int export_store(struct export *e, u64 offset, const u8 *from, u64 len);

/* Makes a range zero and gives its whole pages back. */
void export_punch(struct export *e, u64 offset, u64 len);

/* Makes a range zero with its memory kept or taken. 0, -EIO or -ENOSPC. */
int export_zero(struct export *e, u64 offset, u64 len);

/* Gives back the pages that lie wholly in a range. */
void export_trim(struct export *e, u64 offset, u64 len);

/* Bytes from @offset on, at most up to @end, that are all held or all holes;
 * @held says which. @offset < @end.
 */
u64 export_run(const struct export *e, u64 offset, u64 end, bool *held);

/* Counts the held pages anew from the bits. */
u64 export_count(const struct export *e);

#endif
