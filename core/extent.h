/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory objects (virgo_malloc) as arithmetic: what a handle is, how an object is
 * cut into extents, which node keeps which of them. No object lives here.
 *
 *	handle, 16 bytes:  0  8  number of the node that made the object
 *			   8  8  random
 *
 * The node's number is that of membership, a hash of its name, so that every node
 * finds the maker in its own catalog and asks it for the translation table. The
 * random half cannot be guessed, and is not enough: the owner is checked wherever
 * data is.
 */
#ifndef VIRGO_CORE_EXTENT_H
#define VIRGO_CORE_EXTENT_H

#include "env.h"

enum {
	HANDLE_BYTES = 16,
	HANDLE_TEXT = 2 * HANDLE_BYTES + 1, /* as hex digits, with a NUL */
	EXTENT_SHIFT = 20,
	EXTENT_BYTES = 1 << EXTENT_SHIFT, /* with its fields it fits a frame */
	EXTENT_PAGE = 4096, /* what a budget is counted in */
	EXTENTS_MAX = 1 << 16, /* of one object: 64 GiB */
	EXTENT_RUNS_MAX = 64, /* nodes that one object may span */
};

struct handle {
	u8 bytes[HANDLE_BYTES];
};

void handle_make(struct handle *h, u64 node_number, u64 random);
u64 handle_node(const struct handle *h);
u64 handle_random(const struct handle *h);
bool handle_equal(const struct handle *a, const struct handle *b);
/* Reads HANDLE_TEXT - 1 hex digits, which end at a NUL. */
bool handle_parse(const char *text, struct handle *h);
void handle_print(const struct handle *h, char out[HANDLE_TEXT]);

/* Extents of an object of @bytes; 0 when it is empty or too large. */
u32 extent_count(u64 bytes);
/* Bytes of the object that lie in @count extents from @first on. */
u64 extent_run_bytes(u64 object_bytes, u32 first, u32 count);
/* What those cost a budget. */
u64 extent_charge(u64 run_bytes);

/* A range of an object that lies in one extent. */
struct extent_range {
	u32 index;
	u32 at; /* in the extent */
	u32 len;
};
/*
 * The range of @len bytes at @offset in an object of @bytes, whose whole request
 * ends at @all_end. 0; -ERANGE when the request goes beyond the object; -EINVAL
 * when @len is 0, when the range crosses extents or ends after its request.
 */
int extent_range(u64 bytes, u64 offset, u64 len, u64 all_end,
		 struct extent_range *out);
/* The first part, at most one extent's, of @len bytes at @offset. */
u32 extent_first_part(u64 offset, u64 len);

/* What a node could keep, then what of an object it shall. */
struct extent_room {
	u64 free_bytes;
	u32 first; /* out */
	u32 count; /* out; 0: nothing */
};
/*
 * Places an object of @bytes over @rooms: what the first has, which is the
 * maker's own, then those with the most room. At most EXTENT_RUNS_MAX get a part;
 * each is one run. 0, or -ENOMEM: *@missing bytes have no place, and nothing is
 * placed.
 */
int extent_place(struct extent_room *rooms, size_t count, u64 bytes,
		 u64 *missing);

#endif
