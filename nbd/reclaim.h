/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gives memory back without losing any of it: chunks that nobody has used for
 * long are compressed (pack.h), sooner while the machine is short of memory. What
 * is unmapped or trimmed has gone back already, at once; what remains after this
 * is to ask borrowers to move, which is virgod's.
 *
 * It runs in the loop's thread between requests, a few chunks at a time, and
 * leaves out whatever a connection has in hand.
 */
#ifndef VIRGO_NBD_RECLAIM_H
#define VIRGO_NBD_RECLAIM_H

#include "server.h"

struct reclaim;

/* @cold_ms: unused for that long is cold; 0: only when memory is short, which it
 * is while less than @headroom_bytes of the machine's is available, or programs
 * have long to wait for the machine to free some (0: never).
 * NULL when memory is out.
 */
struct reclaim *reclaim_new(struct server *s, u64 cold_ms, u64 headroom_bytes);
void reclaim_free(struct reclaim *r);
void reclaim_set_headroom(struct reclaim *r, u64 bytes);
/* Whether memory is short now. */
bool reclaim_is_short(const struct reclaim *r);

#endif
