/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memcached protocol, text, meta and binary, over shards of a cache. It
 * parses and executes all commands in one receive buffer and gathers their
 * replies into vectors for one send; it does no I/O. What it answers is what
 * memcached 1.6.18 answers, byte for byte, but for the version and counters.
 *
 * Several threads may run several connections of one struct memcached at a time,
 * each with a reply of its own: the shard's lock is taken around every single
 * command. A connection belongs to one thread at a time.
 *
 * What a server does, for each connection with bytes to read:
 *
 *	do {
 *		used = memcached_run(m, conn, in, len, reply);
 *		(send reply->vec, keep a copy of what was not taken)
 *		memcached_sent(m, reply);
 *		in += used, len -= used;
 *	} while (conn->state != MEMCACHED_CLOSING && reply was full);
 *	keep the len bytes that are left, at most MEMCACHED_LINE_MAX, and put
 *	what comes next behind them
 *
 * and stops reading while it keeps unsent bytes.
 */
#ifndef VIRGO_CORE_MEMCACHED_H
#define VIRGO_CORE_MEMCACHED_H

#include "cache.h"

enum {
	MEMCACHED_LINE_MAX = 2048, /* most that is left of a receive buffer */
	MEMCACHED_TEXT_BYTES = 32 << 10,
	MEMCACHED_VECS = 256,
	MEMCACHED_PASS_BYTES = 256 << 10, /* a reply is full above */
	MEMCACHED_COPY_MAX = 1024, /* longer values are sent from their item */
	MEMCACHED_OPAQUE_MAX = 32,
	MEMCACHED_VALUE_MAX = 1 << 20, /* default of value_max */
};

/* Counted under the shard's lock. */
struct memcached_counts {
	u64 get_cmds;
	u64 touch_cmds;
	u64 meta_cmds;
	u64 flush_cmds;
	u64 get_misses;
	u64 delete_misses;
	u64 incr_misses;
	u64 decr_misses;
	u64 cas_misses;
	u64 touch_misses;
	u64 store_too_large;
	u64 store_no_memory;
};

struct memcached_shard {
	struct cache cache;
	struct memcached_counts counts;
};

/* What only the server around knows; shown by stats. */
struct memcached_server {
	u64 pid;
	u64 user_us;
	u64 system_us;
	u64 max_connections;
	u64 curr_connections;
	u64 total_connections;
	u64 rejected_connections;
	u64 idle_kicks;
	u64 bytes_read;
	u64 bytes_written;
	u64 threads;
	u64 port;
	u64 idle_timeout_s;
};

struct memcached {
	struct memcached_shard *shards;
	u32 shard_count; /* a power of two, at most 256 */
	/* Around each command; both NULL when one thread runs everything. */
	void (*lock)(void *arg, u32 shard);
	void (*unlock)(void *arg, u32 shard);
	/* Fills in what stats shows; may be NULL. */
	void (*describe)(void *arg, struct memcached_server *out);
	void *arg;
	const char *version;
	u32 value_max; /* of key, value and 56 bytes, as memcached counts */
	u32 now; /* current second, as the shards have it */
	s64 started_s; /* Unix time of second 0 */
	u32 verbosity;
};

enum memcached_state {
	MEMCACHED_COMMAND, /* a command comes next */
	MEMCACHED_KEYS, /* more keys of a get */
	MEMCACHED_VALUE, /* bytes of a value to store */
	MEMCACHED_SENDING, /* bytes of a value that does not fit a reply */
	MEMCACHED_SWALLOW, /* bytes to be thrown away */
	MEMCACHED_LINE, /* the rest of a line to be thrown away */
	MEMCACHED_STATS, /* more of an answer to stats */
	MEMCACHED_CLOSING, /* to be closed once the reply is sent */
};

/* Starts zeroed; memcached_leave() at its end. */
struct memcached_conn {
	u8 state; /* enum memcached_state */
	u8 after; /* state after SENDING */
	u8 command; /* what the state belongs to */
	u8 mode;
	bool noreply;
	bool begun; /* a first byte came: text or binary is known */
	bool binary;
	u8 echo_len;
	u32 left; /* bytes of VALUE, SENDING or SWALLOW */
	u32 item; /* held handle of VALUE and SENDING */
	u32 expires; /* of gat */
	u32 place; /* of STATS */
	u32 opaque; /* of a binary command */
	u64 hash; /* of item's key */
	u64 unique;
	u8 tail[2]; /* what followed the value */
	u8 echo[MEMCACHED_OPAQUE_MAX + 6]; /* flags of ms to be answered */
};

/* As a program's struct iovec and the kernel's struct kvec. */
struct memcached_vec {
	const void *base;
	size_t len;
};

/* One for each thread. What vec points to is valid until memcached_sent(). */
struct memcached_reply {
	u32 count; /* of vec */
	u32 bytes; /* in all of vec */
	u32 used; /* of text */
	u32 held;
	bool full; /* call memcached_run() again after sending */
	struct memcached_vec vec[MEMCACHED_VECS];
	struct {
		u32 shard;
		u32 item;
	} holds[MEMCACHED_VECS];
	u8 text[MEMCACHED_TEXT_BYTES];
};

/*
 * Executes what is complete of the @len bytes at @in, for which more may come,
 * and appends to @r, which must be empty (zero, or after memcached_sent()). Gives
 * how many bytes it consumed. After a reply that is not full at most
 * MEMCACHED_LINE_MAX bytes are left over. A connection whose state is then
 * MEMCACHED_CLOSING takes no further bytes.
 */
size_t memcached_run(struct memcached *m, struct memcached_conn *c,
		     const u8 *in, size_t len, struct memcached_reply *r);
/* The bytes of @r were sent or copied. */
void memcached_sent(struct memcached *m, struct memcached_reply *r);
/* Lets go of what @c holds. Harmless twice. */
void memcached_leave(struct memcached *m, struct memcached_conn *c);

/*
 * The length of the value of @key, of which up to @size bytes were copied to @out,
 * with what its client gave as flags; or -ENOENT, or -EINVAL a key that is not one
 * of the text protocol (1 to CACHE_KEY_MAX bytes, no blank, no control character).
 */
ssize_t memcached_get(struct memcached *m, const void *key, u32 key_len,
		      void *out, u32 size, u32 *flags);
/* Stores for @ttl_s seconds, 0: for ever. 0; -EINVAL as above; -E2BIG the value is
 * too long, -ENOMEM: then an older one is gone as well.
 */
int memcached_set(struct memcached *m, const void *key, u32 key_len,
		  const void *value, u32 len, u32 flags, u32 ttl_s);

/* Tells all shards the time. The caller holds no shard's lock. */
void memcached_set_time(struct memcached *m, u32 now);

#endif
