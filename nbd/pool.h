/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pool: memory of this node that others use, in one memfd, with the table
 * of its exports at the beginning. The memfd may outlive the process (see
 * holder.h); whoever opens it again finds every export as it was. One process
 * at a time may use it.
 *
 *	0        header, then EXPORTS_MAX records of 512 bytes
 *	EXTENTS  extents, in 2 MiB steps, each [bits of its pages, then of its
 *		 chunks][data][store, see pack.h]
 *
 * The file is sparse: room in it costs nothing, memory is taken by the first
 * write to a page. A record has two halves with a sequence and a checksum each,
 * written in turn, so that a half-written one leaves the other in force.
 */
#ifndef VIRGO_NBD_POOL_H
#define VIRGO_NBD_POOL_H

#include "export.h"
#include "failure.h"

enum { EXPORTS_MAX = 16384 };

/*
 * Opens the pool in @fd, an empty or a used memfd, which stays the caller's.
 * At most @quota_bytes are ever held (a used one may already hold more; it then
 * takes no more). @lock asks for the memory to be locked; pool_locked() says
 * whether it is. 0, or a negative errno with @f.
 */
int pool_open(struct pool **out, int fd, u64 quota_bytes, bool lock,
	      struct failure *f);
/* Unmaps; the memory stays in the memfd. */
void pool_close(struct pool *p);

int pool_fd(const struct pool *p);
bool pool_locked(const struct pool *p);
u64 pool_held_pages(const struct pool *p);
u64 pool_quota_pages(const struct pool *p);
void pool_set_quota(struct pool *p, u64 bytes);
u32 pool_count(const struct pool *p);

/*
 * A new export of zeros. 0 and @out, or -EINVAL (name, owner or size), -EEXIST,
 * -ENOSPC (table full), or another negative errno.
 */
int pool_add(struct pool *p, const char *name, const char *owner, u64 size,
	     struct export **out);
/* The caller has cut its users. Gives all its memory back. */
void pool_remove(struct pool *p, struct export *e);

struct export *pool_find(const struct pool *p, const char *name, size_t len);
/* The export at or after place *@at, which moves past it; NULL at the end. */
struct export *pool_next(const struct pool *p, u32 *at);

/* For export.c: @pages more are held, 0 or -ENOSPC; @pages were given back. */
int pool_take(struct pool *p, u64 pages);
void pool_give(struct pool *p, u64 pages);
/* For pack.c: @pages held ones were compressed to @taken pages, or (@in false) no
 * longer are.
 */
void pool_count_packed(struct pool *p, u64 pages, u64 taken, bool in);
u64 pool_packed_pages(const struct pool *p);
/* Pages of memory that the held ones take. */
u64 pool_stored_pages(const struct pool *p);

#endif
