/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pool in a memfd, and NBD's bytes put together by hand. */
#ifndef VIRGO_TESTS_NBD_KIT_H
#define VIRGO_TESTS_NBD_KIT_H

#include <criterion/criterion.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pack.h"
#include "pool.h"
#include "protocol.h"

struct kit {
	int fd;
	struct pool *pool;
	struct export *e;
};

static inline struct kit kit_new(u64 size, u64 quota)
{
	struct kit k = { .fd = memfd_create("test", MFD_CLOEXEC) };

	cr_assert_geq(k.fd, 0);
	cr_assert_eq(pool_open(&k.pool, k.fd, quota, false, NULL), 0);
	cr_assert_eq(pool_add(k.pool, "one", "", size, &k.e), 0);
	return k;
}

static inline void kit_free(struct kit *k)
{
	pool_close(k->pool);
	close(k->fd);
}

/* Bytes that the memfd takes, table and bits included. */
static inline u64 kit_bytes(const struct kit *k)
{
	struct stat st;

	cr_assert_eq(fstat(k->fd, &st), 0);
	return (u64)st.st_blocks * 512;
}

/* What a client would read. */
static inline void kit_read(struct export *e, u64 offset, u8 *out,
			    u64 len)
{
	u64 end = offset + len;

	while (offset < end) {
		bool held;
		u64 run = export_run(e, offset, end, &held);

		cr_assert_eq(held ? export_use(e, offset, run) : 0, 0);
		if (held)
			memcpy(out, e->data + offset, run);
		else
			memset(out, 0, run);
		out += run;
		offset += run;
	}
}

#endif
