/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What follows the key in a meta command, and the line that answers it. For
 * memcached_meta.c and memcached_delta.c alone.
 */
#ifndef VIRGO_CORE_MEMCACHED_FLAGS_H
#define VIRGO_CORE_MEMCACHED_FLAGS_H

#include "memcached_impl.h"

struct meta {
	const struct token *flags;
	u32 count; /* of flags */
	struct token key; /* decoded */
	const char *error;
	bool own_bump; /* answers tell of the time before this fetch */
	bool vivify;
	bool no_update;
	bool value;
	bool answered; /* a flag is, or acts on the item */
	bool stale;
	bool has_unique;
	bool new_ttl;
	bool key_binary;
	u8 mode;
	u32 expires;
	u32 vivify_expires;
	u32 recache;
	u32 client_flags;
	u64 unique;
	u64 delta;
	u64 initial;
	u8 decoded[CACHE_KEY_MAX + 2];
};

extern const char meta_bad_format[];
extern const char meta_long_opaque[];
extern const char meta_many_options[];
extern const char meta_bad_flags[];

/* Of a command of @count tokens, whose flags begin with the one of number @first. */
static inline void meta_start(struct meta *f, const struct token *t, u32 count,
			      u32 first)
{
	memset(f, 0, offsetof(struct meta, decoded));
	f->error = meta_bad_format;
	f->key = t[1];
	f->flags = t + first;
	f->count = count - 1 - first;
}

/* Reads f->flags. All are looked at, the last error counts (f->error), but that of
 * a flag unknown or given twice, which ends it.
 */
bool meta_read_flags(struct run *x, struct meta *f, bool *noreply);

/* The key was given in base64; false with f->error. */
bool meta_decode_key(struct meta *f);

/* Ends a line written at reply_at(), where there is room. */
void meta_line_end(struct run *x, u8 *p);

/* Each writes at @p and gives where it ended. */
u8 *meta_put_flag(u8 *p, u8 flag);
u8 *meta_put_number(u8 *p, u8 flag, u64 v);
u8 *meta_put_key(u8 *p, const u8 *key, u32 len, bool binary);
/* NULL when it is too long. */
u8 *meta_put_opaque(u8 *p, struct token t);
/* O and k of an answer that has no item. NULL when O is too long. */
u8 *meta_put_echo(u8 *p, const struct meta *f);
u8 *meta_put_ttl(u8 *p, const struct run *x, u32 expires);

/* ma; in memcached_delta.c. */
void meta_delta(struct run *x, const struct token *t, u32 count);

#endif
