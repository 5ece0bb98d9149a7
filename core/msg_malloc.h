/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages about memory objects (virgo_malloc); how to read the tables is in
 * messages.h. An object is EXTENT_BYTES large extents, the last one shorter; what
 * a handle says and how extents are placed is in extent.h.
 *
 *	program    its virgod      maker's virgod       a keeper's virgod
 *	MALLOC ------------------->|                           |
 *	        (there: the maker) |-- MALLOC_ROOM ----------->| how much?
 *	                           |-- MALLOC_KEEP ----------->| a run of extents
 *	        <-- MALLOCED ------|-- MALLOC_RENEW ---------->| every 20 s
 *	MALLOC_SET -->|-- MALLOC_MAP -->| once, then known     |
 *	              |-- MALLOC_SET ------------------------->|
 *	MALLOC_FREE ->|-- MALLOC_FREE ->|-- MALLOC_DROP ------>|
 *
 * The first virgod overwrites user with the name of its local caller. A keeper
 * takes RENEW and DROP only from the node that it keeps the run for. Generation
 * is of the keeper's virgod: one that was started anew has lost what it kept, and
 * answers ESTALE. MALLOC_SET and MALLOC_GET stay within one extent, which is
 * written or read as one step; all_end is where the whole of the program's
 * request ends, so that one which does not fit changes nothing.
 */
#ifndef VIRGO_CORE_MSG_MALLOC_H
#define VIRGO_CORE_MSG_MALLOC_H

#include "env.h"

#define MALLOC_MESSAGES(M)                                                     \
	M(288, MALLOC, malloc, "make a memory object")                         \
	M(289, MALLOCED, malloced, "its handle")                               \
	M(290, MALLOC_SET, malloc_set, "write a range of one extent")          \
	M(291, MALLOC_GET, malloc_get, "read a range of one extent")           \
	M(292, MALLOC_DATA, malloc_data, "answer to MALLOC_GET")               \
	M(293, MALLOC_FREE, malloc_free, "end the object")                     \
	M(294, MALLOC_MAP, malloc_map, "where its extents are")                \
	M(295, MALLOC_TABLE, malloc_table, "answer to MALLOC_MAP")             \
	M(296, MALLOC_ROOM, malloc_room, "how much could you keep")            \
	M(297, MALLOC_ROOM_IS, malloc_room_is, "answer to MALLOC_ROOM")        \
	M(298, MALLOC_KEEP, malloc_keep, "keep these extents for me")          \
	M(299, MALLOC_KEPT, malloc_kept, "they are kept")                      \
	M(300, MALLOC_RENEW, malloc_renew, "I still need them")                \
	M(301, MALLOC_RENEWED, malloc_renewed, "whether they were used since") \
	M(302, MALLOC_DROP, malloc_drop, "I need them no more")                \
	M(303, MALLOC_LIST, malloc_list, "the caller's objects made here")     \
	M(304, MALLOC_OBJECTS, malloc_objects, "answer to MALLOC_LIST")

/* Lease 0: the standard one. */
#define FIELDS_MALLOC(R, O) R(str, user) R(u64, bytes) R(u32, lease_ms)
#define FIELDS_MALLOCED(R, O) R(bytes, handle)
/* Generation 0 from a program: virgod knows it. */
#define FIELDS_MALLOC_SET(R, O)                                                \
	R(bytes, handle) R(str, user) R(u64, generation) R(u64, offset)        \
	R(u64, all_end) R(bytes, data)
#define FIELDS_MALLOC_GET(R, O)                                                \
	R(bytes, handle) R(str, user) R(u64, generation) R(u64, offset)        \
	R(u64, all_end) R(u32, len)
#define FIELDS_MALLOC_DATA(R, O) R(bytes, data)
#define FIELDS_MALLOC_FREE(R, O) R(bytes, handle) R(str, user)
#define FIELDS_MALLOC_MAP(R, O) R(bytes, handle) R(str, user)
#define FIELDS_MALLOC_TABLE(R, O)                                              \
	R(str, maker) R(u64, bytes) R(u32, lease_ms) R(u8, held) R(list, runs)
#define FIELDS_MALLOC_ROOM(R, O) R(str, user)
#define FIELDS_MALLOC_ROOM_IS(R, O) R(u64, bytes)
#define FIELDS_MALLOC_KEEP(R, O)                                               \
	R(bytes, handle) R(str, user) R(u32, first) R(u64, bytes)
#define FIELDS_MALLOC_KEPT(R, O) R(u64, generation)
#define FIELDS_MALLOC_RENEW(R, O) R(bytes, handle)
#define FIELDS_MALLOC_RENEWED(R, O) R(u8, used)
#define FIELDS_MALLOC_DROP(R, O) R(bytes, handle)
#define FIELDS_MALLOC_LIST(R, O)
#define FIELDS_MALLOC_OBJECTS(R, O)                                            \
	R(u64, room_bytes) R(u64, kept_bytes) R(u64, budget_bytes)             \
	R(list, objects)

#define MALLOC_RECORDS(M)                                                      \
	M(MALLOC_RUN, malloc_run, "MALLOC_TABLE: extents in a row on a node")  \
	M(MALLOC_OBJECT, malloc_object, "MALLOC_OBJECTS: one of them")

/* Lost: the node was started anew since, or is not in the cloud any more. */
#define FIELDS_MALLOC_RUN(R, O)                                                \
	R(str, node) R(u64, generation) R(u32, first) R(u32, count) R(u8, lost)
#define FIELDS_MALLOC_OBJECT(R, O)                                             \
	R(bytes, handle) R(u64, bytes) R(u32, lease_ms) R(u32, idle_ms)        \
	R(u8, held)

#endif
