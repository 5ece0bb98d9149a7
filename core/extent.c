// SPDX-License-Identifier: LGPL-2.1-or-later
/* Handles and extents of memory objects; the contract is in extent.h. */
#include "extent.h"

void handle_make(struct handle *h, u64 node_number, u64 random)
{
	put_u64(h->bytes, node_number);
	put_u64(h->bytes + 8, random);
}

u64 handle_node(const struct handle *h)
{
	return get_u64(h->bytes);
}

u64 handle_random(const struct handle *h)
{
	return get_u64(h->bytes + 8);
}

bool handle_equal(const struct handle *a, const struct handle *b)
{
	return !memcmp(a->bytes, b->bytes, HANDLE_BYTES);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool handle_parse(const char *text, struct handle *h)
{
	int i;

	for (i = 0; i < HANDLE_BYTES; i++) {
		int high = digit(text[2 * i]);
		int low = high < 0 ? -1 : digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		h->bytes[i] = (u8)(high << 4 | low);
	}
	return !text[2 * HANDLE_BYTES];
}

void handle_print(const struct handle *h, char out[HANDLE_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	int i;

	for (i = 0; i < HANDLE_BYTES; i++) {
		out[2 * i] = digits[h->bytes[i] >> 4];
		out[2 * i + 1] = digits[h->bytes[i] & 15];
	}
	out[2 * HANDLE_BYTES] = '\0';
}

u32 extent_count(u64 bytes)
{
	if (bytes > (u64)EXTENTS_MAX << EXTENT_SHIFT)
		return 0;
	return (u32)((bytes + EXTENT_BYTES - 1) >> EXTENT_SHIFT);
}

u64 extent_run_bytes(u64 object_bytes, u32 first, u32 count)
{
	u64 from = (u64)first << EXTENT_SHIFT;
	u64 to = (u64)(first + count) << EXTENT_SHIFT;

	if (to > object_bytes)
		to = object_bytes;
	return to > from ? to - from : 0;
}

u64 extent_charge(u64 run_bytes)
{
	return (run_bytes + EXTENT_PAGE - 1) & ~(u64)(EXTENT_PAGE - 1);
}

int extent_range(u64 bytes, u64 offset, u64 len, u64 all_end,
		 struct extent_range *out)
{
	if (all_end > bytes || offset > bytes || len > bytes - offset)
		return -ERANGE;
	if (!len || offset + len > all_end ||
	    offset >> EXTENT_SHIFT != (offset + len - 1) >> EXTENT_SHIFT)
		return -EINVAL;
	out->index = (u32)(offset >> EXTENT_SHIFT);
	out->at = (u32)(offset & (EXTENT_BYTES - 1));
	out->len = (u32)len;
	return 0;
}

u32 extent_first_part(u64 offset, u64 len)
{
	u32 left = EXTENT_BYTES - (u32)(offset & (EXTENT_BYTES - 1));

	return len < left ? (u32)len : left;
}

/* Gives @room as many of the extents from *@first on as it has room for. */
static void fill(struct extent_room *room, u64 bytes, u32 total, u32 *first)
{
	u64 rest = extent_run_bytes(bytes, *first, total - *first);
	u64 fits = room->free_bytes >> EXTENT_SHIFT;

	room->first = *first;
	if (extent_charge(rest) <= room->free_bytes)
		room->count = total - *first;
	else
		room->count = (u32)fits; /* fewer than are left */
	*first += room->count;
}

/* The room with the most free bytes of those that got nothing, or NULL. */
static struct extent_room *largest(struct extent_room *rooms, size_t count)
{
	struct extent_room *best = NULL;
	size_t i;

	for (i = 1; i < count; i++)
		if (!rooms[i].count && rooms[i].free_bytes &&
		    (!best || rooms[i].free_bytes > best->free_bytes))
			best = &rooms[i];
	return best;
}

int extent_place(struct extent_room *rooms, size_t count, u64 bytes,
		 u64 *missing)
{
	u32 total = extent_count(bytes);
	struct extent_room *room = count ? &rooms[0] : NULL;
	u32 first = 0;
	u32 runs = 0;
	size_t i;

	for (i = 0; i < count; i++)
		rooms[i].first = rooms[i].count = 0;
	for (; room && first < total && runs < EXTENT_RUNS_MAX;
	     room = largest(rooms, count)) {
		fill(room, bytes, total, &first);
		runs += room->count != 0;
		/* The largest has no room for one: nor has any other. */
		if (!room->count && room != &rooms[0])
			break;
	}
	*missing = extent_run_bytes(bytes, first, total - first);
	if (first == total && total)
		return 0;
	for (i = 0; i < count; i++)
		rooms[i].count = 0;
	return -ENOMEM;
}
