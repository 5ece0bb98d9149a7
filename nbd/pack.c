// SPDX-License-Identifier: GPL-2.0-or-later
/* Packing chunks; the contract and the invariant are in pack.h. */
#include "pack.h"

#include <fcntl.h>
#include <lz4.h>

#include "log.h"
#include "pool.h"

struct packed_head { /* at the beginning of a chunk's place in the store */
	u32 len; /* compressed bytes that follow */
	u16 pages; /* a bit for each page that is in there */
	u16 zero;
};

/* The pages of one chunk one after another, and what they become: the loop's
 * thread only.
 */
static u8 gathered[CHUNK_BYTES];
static u8 squeezed[CHUNK_BYTES];

static void punch(struct export *e, u64 at, u64 len)
{
	if (fallocate(pool_fd(e->pool),
		      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(e->data_offset + at), (off_t)len))
		log_error("export %s: no memory comes back: %s", e->name,
			  strerror(errno));
}

static u64 store_offset(const struct export *e, u64 chunk)
{
	return (u64)(e->store - e->data) + chunk * CHUNK_BYTES;
}

static u64 chunk_len(const struct export *e, u64 chunk)
{
	u64 left = e->size - chunk * CHUNK_BYTES;

	return left < CHUNK_BYTES ? left : CHUNK_BYTES;
}

static u16 pages_of(const struct export *e, u64 chunk)
{
	u64 first = chunk * CHUNK_PAGES;

	return (u16)(e->present[first / 64] >> (first % 64));
}

static u32 pages_taken(u64 len)
{
	return (u32)((len + sizeof(struct packed_head) + PAGE_BYTES - 1) /
		     PAGE_BYTES);
}

static void count(struct export *e, u16 pages, u64 len, bool in)
{
	u32 held = (u32)__builtin_popcount(pages);

	e->packed_chunks += in ? 1 : -1ull;
	e->packed_pages += in ? held : -(u64)held;
	pool_count_packed(e->pool, held, pages_taken(len), in);
}

static void set_packed(struct export *e, u64 chunk, bool on)
{
	/* What comes before is in memory before the bit is, and what comes after
	 * is not: a kill between two instructions sees them in this order.
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (on)
		e->packed[chunk / 64] |= 1ull << (chunk % 64);
	else
		e->packed[chunk / 64] &= ~(1ull << (chunk % 64));
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Copies the pages of @pages between the chunk and @gathered; their number. */
static u32 copy_pages(struct export *e, u64 chunk, u16 pages, bool gather)
{
	u8 *data = e->data + chunk * CHUNK_BYTES;
	u32 n = 0;
	u32 i;

	for (i = 0; i < CHUNK_PAGES; i++) {
		if (!(pages >> i & 1))
			continue;
		if (gather)
			memcpy(gathered + n * PAGE_BYTES, data + i * PAGE_BYTES,
			       PAGE_BYTES);
		else
			memcpy(data + i * PAGE_BYTES, gathered + n * PAGE_BYTES,
			       PAGE_BYTES);
		n++;
	}
	return n;
}

bool pack_chunk(struct export *e, u64 chunk)
{
	u8 *to = e->store + chunk * CHUNK_BYTES;
	struct packed_head head = { .pages = pages_of(e, chunk) };
	u32 n = (u32)__builtin_popcount(head.pages);
	int room;
	int len;

	e->idle[chunk] = IDLE_TRIED;
	if (chunk_packed(e, chunk) || n < 2)
		return false;
	copy_pages(e, chunk, head.pages, true);
	/* At least a quarter of the pages, and one, must come back. */
	room = (int)((n - (n + 3) / 4) * PAGE_BYTES - sizeof(head));
	len = LZ4_compress_default((char *)gathered, (char *)squeezed,
				   (int)(n * PAGE_BYTES), room);
	if (len <= 0)
		return false;
	head.len = (u32)len;
	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head), squeezed, (size_t)len);
	set_packed(e, chunk, true);
	punch(e, chunk * CHUNK_BYTES, chunk_len(e, chunk));
	count(e, head.pages, head.len, true);
	return true;
}

static struct packed_head head_of(const struct export *e, u64 chunk)
{
	struct packed_head head;

	memcpy(&head, e->store + chunk * CHUNK_BYTES, sizeof(head));
	return head;
}

static bool head_good(const struct packed_head *h)
{
	return h->len && h->pages && !h->zero &&
	       h->len <= CHUNK_BYTES - sizeof(*h);
}

int pack_undo(struct export *e, u64 chunk)
{
	struct packed_head head = head_of(e, chunk);
	int want = __builtin_popcount(head.pages) * PAGE_BYTES;

	if (!head_good(&head) ||
	    LZ4_decompress_safe((char *)e->store + chunk * CHUNK_BYTES +
					sizeof(head),
				(char *)gathered, (int)head.len,
				sizeof(gathered)) != want) {
		log_error("export %s: compressed memory at %llu is damaged",
			  e->name, (unsigned long long)(chunk * CHUNK_BYTES));
		return -EIO;
	}
	copy_pages(e, chunk, head.pages, false);
	set_packed(e, chunk, false);
	punch(e, store_offset(e, chunk), chunk_len(e, chunk));
	count(e, head.pages, head.len, false);
	return 0;
}

void pack_drop(struct export *e, u64 chunk)
{
	struct packed_head head = head_of(e, chunk);

	set_packed(e, chunk, false);
	punch(e, store_offset(e, chunk), chunk_len(e, chunk));
	count(e, head.pages, head.len, false);
}

void pack_recover(struct export *e)
{
	u64 chunks = (e->size + CHUNK_BYTES - 1) / CHUNK_BYTES;
	u64 from = 0; /* the store of [from, chunk) is not in force */
	u64 chunk;

	for (chunk = 0; chunk < chunks; chunk++) {
		struct packed_head head;

		if (!e->packed[chunk / 64]) {
			chunk |= 63;
			continue;
		}
		if (!chunk_packed(e, chunk))
			continue;
		if (from < chunk)
			punch(e, store_offset(e, from),
			      (chunk - from) * CHUNK_BYTES);
		from = chunk + 1;
		punch(e, chunk * CHUNK_BYTES, chunk_len(e, chunk));
		head = head_of(e, chunk);
		count(e, head.pages, head.len, true);
	}
	if (from < chunks)
		punch(e, store_offset(e, from), (chunks - from) * CHUNK_BYTES);
}
