// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * NBD's requests on a small export: the first two bytes say what was negotiated
 * and how the rest is cut. The batch stays within its bounds, its vectors point
 * to readable memory, and the count of held pages stays that of the bits.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "pack.h"
#include "pool.h"
#include "transmission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES = 64 * PAGE_BYTES };

static struct export *export;

static void set_up(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct pool *pool;

	if (fd < 0 || pool_open(&pool, fd, BYTES / 2, false, NULL) ||
	    pool_add(pool, "one", "", BYTES, &export))
		abort();
}

static void send_batch(struct batch *b)
{
	static volatile u8 sum;
	u64 bytes = 0;
	u32 i;

	if (b->vectors > BATCH_VECTORS || b->used > BATCH_ROOM)
		abort();
	for (i = 0; i < b->vectors; i++) {
		const u8 *at = b->vector[i].iov_base;
		size_t len = b->vector[i].iov_len;

		if (!len)
			continue;
		sum = (u8)(sum + at[0] + at[len - 1]);
		bytes += len;
	}
	if (bytes != b->bytes)
		abort();
	b->vectors = 0;
	b->used = 0;
	b->bytes = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct batch b;
	enum transmission_verdict v = TRANSMISSION_MORE;
	struct transmission t;
	size_t step;
	size_t given = 2;
	size_t at = 2;

	if (!export)
		set_up();
	if (size < 2)
		return 0;
	transmission_init(&t, export, data[0] & 1, data[0] & 2);
	step = data[1] ? data[1] : size;
	while (v != TRANSMISSION_END && v != TRANSMISSION_BROKEN) {
		size_t used;

		v = transmission_run(&t, data + at, given - at, &used, &b);
		if (used > given - at)
			abort();
		at += used;
		send_batch(&b);
		/* As reclaim does: nobody has pointers into the export. */
		if (data[0] & 8 && t.state == TRANSMISSION_IDLE)
			for (u64 i = 0; i < BYTES / CHUNK_BYTES; i++)
				pack_chunk(export, i);
		if (v != TRANSMISSION_MORE && v != TRANSMISSION_BODY)
			continue;
		if (given == size)
			break;
		if (v == TRANSMISSION_BODY && data[0] & 4) {
			size_t left;
			u8 *to = transmission_body(&t, &left);
			size_t part = size - given < left ? size - given : left;

			memcpy(to, data + given, part);
			transmission_filled(&t, part);
			given += part;
			at = given;
			continue;
		}
		given = size - given < step ? size : given + step;
	}
	if (export_count(export) != export->held_pages ||
	    export->held_pages > BYTES / 2 / PAGE_BYTES)
		abort();
	export_trim(export, 0, BYTES);
	if (export->packed_chunks || export->packed_pages)
		abort();
	return 0;
}
