/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chunks of an export that nobody has used for long, compressed with LZ4. Each
 * chunk has its own place in the export's store, as long as the chunk itself and
 * sparse, so nothing is ever allocated: what a chunk is packed to lies there and
 * takes as many pages as it needs, and the chunk's own pages are given back.
 *
 * Invariant: the chunk's bit in @packed says which of the two is in force. It is
 * set when the store is complete and before the data goes, and cleared when the
 * data is complete and before the store goes; what was left behind by a kill in
 * between is cleared when the pool is opened. The present bits stay as they are.
 */
#ifndef VIRGO_NBD_PACK_H
#define VIRGO_NBD_PACK_H

#include "export.h"

enum {
	IDLE_MAX = 253, /* of a chunk's idle count */
	IDLE_TRIED = 254, /* not worth packing, until it is used */
};

/* Gives the chunk its data back. 0, or -EIO when the store is damaged. */
int pack_undo(struct export *e, u64 chunk);

/* Packs a chunk; whoever calls knows that nobody has pointers into it. True when
 * memory was gained.
 */
bool pack_chunk(struct export *e, u64 chunk);

/* Forgets what a packed chunk held: its held pages read as zeros. */
void pack_drop(struct export *e, u64 chunk);

/* After a pool was opened: counts, and clears what a kill left behind. */
void pack_recover(struct export *e);

static inline bool chunk_packed(const struct export *e, u64 chunk)
{
	return e->packed[chunk / 64] >> (chunk % 64) & 1;
}

/* A range is about to be read or written through @data. 0 or -EIO. */
static inline int export_use(struct export *e, u64 offset, u64 len)
{
	u64 chunk = offset / CHUNK_BYTES;
	u64 end = (offset + len + CHUNK_BYTES - 1) / CHUNK_BYTES;

	for (; chunk < end; chunk++) {
		e->idle[chunk] = 0;
		if (__builtin_expect(e->packed_chunks && chunk_packed(e, chunk),
				     0) && pack_undo(e, chunk))
			return -EIO;
	}
	return 0;
}

#endif
