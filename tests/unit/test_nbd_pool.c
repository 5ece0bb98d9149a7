// SPDX-License-Identifier: GPL-2.0-or-later
/* The pool and its pages: against a plain array, and after a sudden end. */
#include <stdlib.h>

#include "nbd_kit.h"

enum { MIB = 1 << 20, PAGES = 64, BYTES = PAGES * PAGE_BYTES };

/* Random bytes, many of whose pages are zero. */
static void fill(u8 *data, u64 len)
{
	u64 i;

	for (i = 0; i < len; i++)
		data[i] = (u8)rand();
	for (i = 0; i + PAGE_BYTES <= len; i += PAGE_BYTES / 2)
		if (rand() % 3 == 0)
			memset(data + i, 0, PAGE_BYTES);
}

static void random_operation(struct export *e, u8 *model)
{
	static u8 data[BYTES];
	u64 offset = (u64)rand() % BYTES;
	u64 len = (u64)rand() % (rand() % 2 ? BYTES : 3 * PAGE_BYTES);
	u64 first;
	u64 end;
	int i;

	if (len > BYTES - offset)
		len = BYTES - offset;
	if (rand() % 3 == 0) {
		offset -= offset % PAGE_BYTES;
		len -= len % PAGE_BYTES;
	}
	for (i = rand() % 3; i > 0; i--)
		pack_chunk(e, (u64)rand() % (BYTES / CHUNK_BYTES));
	switch (rand() % 5) {
	case 0:
		fill(data, len);
		cr_assert_eq(export_store(e, offset, data, len), 0);
		memcpy(model + offset, data, len);
		break;
	case 1:
		fill(data, len);
		cr_assert_eq(export_prepare(e, offset, len), 0);
		memcpy(e->data + offset, data, len);
		export_settle(e, offset, len);
		memcpy(model + offset, data, len);
		break;
	case 2:
		export_punch(e, offset, len);
		memset(model + offset, 0, len);
		break;
	case 3:
		cr_assert_eq(export_zero(e, offset, len), 0);
		memset(model + offset, 0, len);
		break;
	default:
		export_trim(e, offset, len);
		first = (offset + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
		end = (offset + len) / PAGE_BYTES * PAGE_BYTES;
		if (first < end)
			memset(model + first, 0, end - first);
	}
}

Test(nbd_pool, pages_against_an_array, .timeout = 60)
{
	struct kit k = kit_new(BYTES, BYTES);
	u8 *model = calloc(1, BYTES);
	u8 *got = malloc(BYTES);
	int i;

	srand(11);
	for (i = 0; i < 20000; i++) {
		random_operation(k.e, model);
		if (i % 20)
			continue;
		kit_read(k.e, 0, got, BYTES);
		cr_assert_eq(memcmp(got, model, BYTES), 0, "operation %d", i);
		cr_assert_eq(export_count(k.e), k.e->held_pages);
		cr_assert_eq(pool_held_pages(k.pool), k.e->held_pages);
	}
	free(model);
	free(got);
	kit_free(&k);
}

Test(nbd_pool, holds_memory_only_for_what_is_not_zero, .timeout = 20)
{
	struct kit k = kit_new(64 * MIB, 64 * MIB);
	u8 *data = malloc(16 * MIB);
	u64 empty = kit_bytes(&k);

	memset(data, 7, 16 * MIB);
	cr_assert_eq(export_store(k.e, 0, data, 16 * MIB), 0);
	cr_assert_geq(kit_bytes(&k), empty + 16 * MIB);
	cr_assert_leq(kit_bytes(&k), empty + 16 * MIB + 64 * PAGE_BYTES);
	export_trim(k.e, 4 * MIB, 8 * MIB);
	cr_assert_leq(kit_bytes(&k), empty + 8 * MIB + 64 * PAGE_BYTES);
	memset(data, 0, 16 * MIB);
	cr_assert_eq(export_store(k.e, 0, data, 16 * MIB), 0);
	cr_assert_eq(k.e->held_pages, 0);
	cr_assert_leq(kit_bytes(&k), empty + 64 * PAGE_BYTES);
	free(data);
	kit_free(&k);
}

/* Text-like: shrinks to about a third. */
static void fill_text(u8 *data, u64 len)
{
	u64 i;

	for (i = 0; i < len; i++)
		data[i] = (u8)(i / 3 % 7 * 11 + i / PAGE_BYTES % 3 + 1);
}

Test(nbd_pool, packed_takes_less_and_comes_back, .timeout = 20)
{
	enum { LEN = 4 * MIB };
	struct kit k = kit_new(LEN + 5 * PAGE_BYTES, 64 * MIB);
	u8 *data = malloc(LEN);
	u8 *got = malloc(LEN);
	u64 before, packed, chunk;

	fill_text(data, LEN);
	cr_assert_eq(export_store(k.e, 5 * PAGE_BYTES, data, LEN), 0);
	before = kit_bytes(&k);
	for (chunk = 0; chunk * CHUNK_BYTES < k.e->size; chunk++)
		pack_chunk(k.e, chunk);
	packed = kit_bytes(&k);
	cr_assert_lt(packed, before - LEN / 2);
	cr_assert_eq(pool_held_pages(k.pool), LEN / PAGE_BYTES);
	cr_assert_leq(pool_stored_pages(k.pool) * PAGE_BYTES, packed);
	cr_assert_eq(pool_packed_pages(k.pool), k.e->packed_pages);
	cr_assert_geq(k.e->packed_pages, LEN / PAGE_BYTES - 2 * CHUNK_PAGES);

	/* After a kill, in every state that one can leave. */
	pool_close(k.pool);
	cr_assert_eq(pool_open(&k.pool, k.fd, 64 * MIB, false, NULL), 0);
	k.e = pool_find(k.pool, "one", 3);
	cr_assert_leq(kit_bytes(&k), packed + 8 * PAGE_BYTES);
	memset(k.e->data + CHUNK_BYTES, 0xaa, CHUNK_BYTES);
	cr_assert_eq(pack_undo(k.e, 2), 0);
	memset(k.e->store + 2 * CHUNK_BYTES, 0xaa, CHUNK_BYTES);
	pool_close(k.pool);
	cr_assert_eq(pool_open(&k.pool, k.fd, 64 * MIB, false, NULL), 0);
	k.e = pool_find(k.pool, "one", 3);
	cr_assert_leq(kit_bytes(&k), packed + CHUNK_BYTES);

	kit_read(k.e, 5 * PAGE_BYTES, got, LEN);
	cr_assert_eq(memcmp(got, data, LEN), 0);
	cr_assert_eq(k.e->packed_chunks, 0);
	cr_assert_eq(pool_stored_pages(k.pool), LEN / PAGE_BYTES);
	cr_assert_leq(kit_bytes(&k), before + 16 * PAGE_BYTES);
	free(data);
	free(got);
	kit_free(&k);
}

Test(nbd_pool, what_does_not_shrink_is_left_alone)
{
	struct kit k = kit_new(BYTES, BYTES);
	u8 data[CHUNK_BYTES];
	u64 before;
	int i;

	for (i = 0; i < CHUNK_BYTES; i++)
		data[i] = (u8)(rand() >> 7);
	cr_assert_eq(export_store(k.e, 0, data, sizeof(data)), 0);
	fill_text(data, PAGE_BYTES);
	cr_assert_eq(export_store(k.e, CHUNK_BYTES, data, PAGE_BYTES), 0);
	before = kit_bytes(&k);
	for (i = 0; i < 4; i++)
		cr_assert_not(pack_chunk(k.e, (u64)i));
	cr_assert_eq(kit_bytes(&k), before);
	cr_assert_eq(k.e->idle[0], IDLE_TRIED);
	kit_free(&k);
}

Test(nbd_pool, damaged_memory_is_an_error_never_data)
{
	struct kit k = kit_new(BYTES, BYTES);
	u8 data[CHUNK_BYTES];
	int i;

	fill_text(data, sizeof(data));
	for (i = 0; i < 3; i++) {
		cr_assert_eq(export_store(k.e, (u64)i * CHUNK_BYTES, data,
					  sizeof(data)), 0);
		cr_assert(pack_chunk(k.e, (u64)i));
	}
	k.e->store[0] ^= 1; /* its length */
	memset(k.e->store + CHUNK_BYTES + 8, 0xff, 300); /* its bytes */
	k.e->store[2 * CHUNK_BYTES + 6] = 1; /* what must be zero */
	for (i = 0; i < 3; i++) {
		cr_assert_eq(export_use(k.e, (u64)i * CHUNK_BYTES, 1), -EIO);
		cr_assert_eq(export_prepare(k.e, (u64)i * CHUNK_BYTES, 1),
			     -EIO);
	}
	/* Nobody needs what is overwritten as a whole by zeros. */
	export_punch(k.e, 0, BYTES);
	cr_assert_eq(k.e->held_pages, 0);
	cr_assert_eq(k.e->packed_chunks, 0);
	kit_free(&k);
}

Test(nbd_pool, quota)
{
	struct kit k = kit_new(BYTES, 4 * PAGE_BYTES);
	u8 data[5 * PAGE_BYTES];
	struct export *two;

	memset(data, 1, sizeof(data));
	cr_assert_eq(export_store(k.e, 0, data, 3 * PAGE_BYTES), 0);
	cr_assert_eq(export_prepare(k.e, 0, sizeof(data)), -ENOSPC);
	cr_assert_eq(k.e->held_pages, 3);
	cr_assert_eq(pool_add(k.pool, "two", "", BYTES, &two), 0);
	cr_assert_eq(export_zero(two, 0, 2 * PAGE_BYTES), -ENOSPC);
	cr_assert_eq(export_store(two, 0, data, PAGE_BYTES), 0);
	cr_assert_eq(export_store(two, PAGE_BYTES, data, 1), -ENOSPC);
	export_trim(k.e, 0, PAGE_BYTES);
	cr_assert_eq(export_store(two, PAGE_BYTES, data, 1), 0);
	pool_set_quota(k.pool, 2 * PAGE_BYTES);
	cr_assert_eq(export_store(two, 0, data, 2 * PAGE_BYTES), 0,
		     "what is held already may be written");
	cr_assert_eq(export_store(two, 0, data, 3 * PAGE_BYTES), -ENOSPC);
	kit_free(&k);
}

Test(nbd_pool, names_owners_and_sizes_that_are_none)
{
	struct kit k = kit_new(BYTES, BYTES);
	char name[EXPORT_NAME_MAX + 2];
	struct export *e;

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	cr_assert_eq(pool_add(k.pool, name, "", BYTES, &e), -EINVAL);
	cr_assert_eq(pool_add(k.pool, "", "", BYTES, &e), -EINVAL);
	cr_assert_eq(pool_add(k.pool, "a b", "", BYTES, &e), -EINVAL);
	cr_assert_eq(pool_add(k.pool, "a@1", "", BYTES, &e), -EINVAL);
	cr_assert_eq(pool_add(k.pool, "a\n", "", BYTES, &e), -EINVAL);
	cr_assert_eq(pool_add(k.pool, "a", name, BYTES, &e), -EINVAL);
	cr_assert_eq(pool_add(k.pool, "a", "", 0, &e), -EINVAL);
	cr_assert_eq(pool_add(k.pool, "a", "", BYTES + 1, &e), -EINVAL);
	cr_assert_eq(pool_add(k.pool, "a", "", 1ull << 62, &e), -EINVAL);
	cr_assert_eq(pool_add(k.pool, "one", "", BYTES, &e), -EEXIST);
	kit_free(&k);
}

Test(nbd_pool, opened_again_it_is_as_it_was, .timeout = 20)
{
	struct kit k = kit_new(BYTES, BYTES * 8);
	u8 data[PAGE_BYTES];
	u8 got[PAGE_BYTES];
	struct export *e;
	struct pool *old;
	u64 generation;

	memset(data, 9, sizeof(data));
	cr_assert_eq(pool_add(k.pool, "two", "alpha", BYTES * 2, &e), 0);
	cr_assert_eq(export_store(e, 5 * PAGE_BYTES, data, sizeof(data)), 0);
	generation = e->generation;
	pool_remove(k.pool, k.e);
	/* As after a kill: nothing was flushed or closed before. */
	old = k.pool;
	cr_assert_eq(pool_open(&k.pool, k.fd, BYTES * 8, false, NULL), 0);
	cr_assert_eq(pool_count(k.pool), 1);
	cr_assert_null(pool_find(k.pool, "one", 3));
	e = pool_find(k.pool, "two", 3);
	cr_assert_not_null(e);
	cr_assert_eq(e->generation, generation);
	cr_assert_str_eq(e->owner, "alpha");
	cr_assert_eq(e->size, BYTES * 2);
	cr_assert_eq(pool_held_pages(k.pool), 1);
	kit_read(e, 5 * PAGE_BYTES, got, sizeof(got));
	cr_assert_eq(memcmp(got, data, sizeof(got)), 0);
	cr_assert_eq(pool_add(k.pool, "one", "", BYTES, &e), 0);
	cr_assert_gt(e->generation, generation, "no generation comes twice");
	pool_close(old);
	kit_free(&k);
}

/* A record that was being written when the process died: the one before it is
 * in force. The table's layout is what pool.h says.
 */
Test(nbd_pool, half_a_record_is_not_believed)
{
	struct kit k = kit_new(BYTES, BYTES);
	u8 *table = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, k.fd,
			 0);
	u8 *halves = table + 512;

	cr_assert_neq(table, MAP_FAILED);
	/* The second half, newer by its sequence, with a wrong checksum. */
	memcpy(halves + 256, halves, 256);
	halves[256 + 4]++;
	halves[256 + 8] ^= 0xff;
	pool_close(k.pool);
	cr_assert_eq(pool_open(&k.pool, k.fd, BYTES, false, NULL), 0);
	cr_assert_not_null(pool_find(k.pool, "one", 3));
	cr_assert_eq(pool_find(k.pool, "one", 3)->size, BYTES);
	/* Both wrong: it was being made, and nobody was told of it. */
	halves[100] ^= 1;
	pool_close(k.pool);
	cr_assert_eq(pool_open(&k.pool, k.fd, BYTES, false, NULL), 0);
	cr_assert_eq(pool_count(k.pool), 0);
	/* Not a pool at all. */
	table[0] ^= 1;
	pool_close(k.pool);
	cr_assert_eq(pool_open(&k.pool, k.fd, BYTES, false, NULL), -EUCLEAN);
	munmap(table, 4096);
	close(k.fd);
}

/* A page of an export that is gone must never show up in a new one. */
Test(nbd_pool, removed_means_gone, .timeout = 60)
{
	struct kit k = kit_new(BYTES, BYTES * 64);
	struct export *live[8] = { k.e };
	char name[16];
	u8 *data = malloc(BYTES);
	u8 *got = malloc(BYTES);
	int i;

	srand(3);
	memset(data, 0x5a, BYTES);
	for (i = 0; i < 300; i++) {
		int at = rand() % 8;
		u64 size = (u64)(1 + rand() % PAGES) * PAGE_BYTES;

		if (live[at])
			pool_remove(k.pool, live[at]);
		snprintf(name, sizeof(name), "e%d", i);
		cr_assert_eq(pool_add(k.pool, name, "", size, &live[at]), 0);
		cr_assert_eq(live[at]->held_pages, 0);
		kit_read(live[at], 0, got, size);
		cr_assert(!got[0] && !memcmp(got, got + 1, size - 1));
		cr_assert_eq(live[at]->data[size - 1], 0);
		cr_assert_eq(export_store(live[at], 0, data, size), 0);
	}
	free(data);
	free(got);
	kit_free(&k);
}

Test(nbd_pool, ten_thousand_exports, .timeout = 60)
{
	struct kit k = kit_new(BYTES, BYTES);
	struct export *e;
	char name[16];
	u32 at = 0;
	u32 seen = 0;
	int i;

	for (i = 0; i < 9999; i++) {
		snprintf(name, sizeof(name), "e%d", i);
		cr_assert_eq(pool_add(k.pool, name, "", BYTES, &e), 0);
	}
	cr_assert_eq(pool_count(k.pool), 10000);
	while ((e = pool_next(k.pool, &at)))
		seen += pool_find(k.pool, e->name, strlen(e->name)) == e;
	cr_assert_eq(seen, 10000);
	kit_free(&k);
}
