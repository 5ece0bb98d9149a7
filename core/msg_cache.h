/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages about caches; how to read the tables is in messages.h.
 *
 * CACHE_OPEN makes its exchange a connection to the receiver's cache, over which
 * both sides speak memcached: the payload of CACHE_DATA is the bytes themselves,
 * without fields. What the cache sends carries FRAME_REPLY and FRAME_MORE. A side
 * may send as many bytes as the other has allowed: CACHE_OPEN allows
 * window_bytes, CACHE_OPENED's header opens the other direction, and the header's
 * credit of each CACHE_DATA, which may be empty, adds. CACHE_CLOSE ends it.
 *
 * The first virgod overwrites user in CACHE_ASK with the name of its local
 * caller; in CACHE_OPEN it is nobody, since a client of a loopback port has no
 * name.
 */
#ifndef VIRGO_CORE_MSG_CACHE_H
#define VIRGO_CORE_MSG_CACHE_H

#include "env.h"

#define CACHE_MESSAGES(M)                                                      \
	M(272, CACHE_START, cache_start, "serve a cache, or a port of one")    \
	M(273, CACHE_STOP, cache_stop, "end that")                             \
	M(274, CACHE_ASK, cache_ask, "memcached commands for a node's cache")  \
	M(275, CACHE_ANSWER, cache_answer, "answer to CACHE_ASK")              \
	M(276, CACHE_OPEN, cache_open, "a connection to the node's cache")     \
	M(277, CACHE_OPENED, cache_opened, "it is there")                      \
	M(278, CACHE_DATA, cache_data, "bytes of it (raw payload)")            \
	M(279, CACHE_CLOSE, cache_close, "it ends")                            \
	M(280, CACHE_LIST, cache_list, "which caches are there?")              \
	M(281, CACHE_LISTED, cache_listed, "answer to CACHE_LIST")

#define CACHE_RECORDS(M)                                                       \
	M(CACHE_PORT, cache_port, "CACHE_LISTED: a port here, of that node's")

/* Node "" is this node's own cache of @bytes, another's name is a loopback port
 * that reaches that node's. Zero in any other field: as virgo_cloud.conf says.
 * @aside: without the kernel module, even where it is there.
 */
#define FIELDS_CACHE_START(R, O)                                               \
	R(str, node) R(u64, bytes) R(u16, port) R(u64, value_max_bytes)        \
	O(u8, aside)
#define FIELDS_CACHE_STOP(R, O) R(str, node)
#define FIELDS_CACHE_ASK(R, O) R(str, node) R(str, user) R(bytes, commands)
#define FIELDS_CACHE_ANSWER(R, O) R(bytes, answers)
#define FIELDS_CACHE_OPEN(R, O) R(str, user) R(u32, window_bytes)
#define FIELDS_CACHE_OPENED(R, O)
#define FIELDS_CACHE_DATA(R, O)
#define FIELDS_CACHE_CLOSE(R, O)
#define FIELDS_CACHE_LIST(R, O)
/* @where this node's cache is served: "kernel", "virgod", or "" when it has none.
 * @why it is not the kernel that does; @port 0: none. @ports are cache_port.
 */
#define FIELDS_CACHE_LISTED(R, O)                                              \
	R(str, where) R(str, why) R(u16, port) R(u64, bytes)                   \
	R(u64, value_max_bytes) R(list, ports)
#define FIELDS_CACHE_PORT(R, O) R(str, node) R(u16, port)

enum {
	CACHE_WINDOW = 128 << 10, /* bytes under way in one direction */
	CACHE_ANSWER_MAX = 1 << 20, /* answers to one CACHE_ASK */
};

#endif
