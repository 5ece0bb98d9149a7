// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * NBD's negotiation: the first byte says whether TLS is absent, offered or
 * required and how the rest is cut; whatever comes, the machine moves on, stays
 * within its output and opens only what there is.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "handshake.h"
#include "pool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pool *pool;

static struct export *find(void *arg, const char *name, size_t len)
{
	return pool_find(pool, name, len);
}

static struct export *next(void *arg, u32 *at)
{
	return pool_next(pool, at);
}

static void set_up(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct export *e;

	if (fd < 0 || pool_open(&pool, fd, 1 << 20, false, NULL) ||
	    pool_add(pool, "one", "", 1 << 20, &e) ||
	    pool_add(pool, "two", "", 4096, &e))
		abort();
}

/* One run on exactly @len bytes; what is done with of them. */
static size_t feed(struct handshake *h, const u8 *data, size_t len,
		   enum handshake_verdict *v)
{
	static const struct handshake_view view = { .find = find,
						    .next = next };
	static u8 out[2 * HANDSHAKE_OUT_MIN];
	struct handshake_out o = { .data = out, .room = sizeof(out) };
	u8 *copy = malloc(len ? len : 1);
	size_t used = 0;

	if (!copy)
		abort();
	memcpy(copy, data, len);
	*v = handshake_run(h, &view, copy, len, &used, &o);
	if (used > len || o.used > sizeof(out))
		abort();
	if (*v == HANDSHAKE_SEND && !used && !o.used &&
	    h->state != HANDSHAKE_LIST)
		abort(); /* it would go on for ever */
	if (*v == HANDSHAKE_GO && !pool_find(pool, h->chosen->name,
					     strlen(h->chosen->name)))
		abort();
	free(copy);
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum handshake_verdict v = HANDSHAKE_MORE;
	struct handshake h;
	size_t step;
	size_t given;
	size_t at = 1;

	if (!pool)
		set_up();
	if (!size)
		return 0;
	handshake_init(&h, (enum handshake_tls)(data[0] % 3));
	step = data[0] / 3 ? data[0] / 3u : size;
	given = 1;
	while (v == HANDSHAKE_MORE || v == HANDSHAKE_SEND ||
	       v == HANDSHAKE_START_TLS) {
		if (v == HANDSHAKE_START_TLS)
			handshake_secured(&h);
		if (v == HANDSHAKE_MORE) {
			if (given == size)
				break;
			given = size - given < step ? size : given + step;
		}
		at += feed(&h, data + at, given - at, &v);
	}
	return 0;
}
