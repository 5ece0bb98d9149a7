// SPDX-License-Identifier: LGPL-2.1-or-later
/* The byte queue; the contract is in chunks.h. */
#include "chunks.h"

#include <stdlib.h>

enum { CHUNK_FIRST = 4 << 10, CHUNK_NEXT = 64 << 10 };

static struct chunk *chunk_new(const struct chunks *q, size_t len)
{
	size_t size = q->last ? CHUNK_NEXT : CHUNK_FIRST;
	struct chunk *c;

	if (size < len)
		size = len;
	c = malloc(sizeof(*c) + size);
	if (!c)
		return NULL;
	c->next = NULL;
	c->len = 0;
	c->pos = 0;
	c->size = size;
	return c;
}

int chunks_add(struct chunks *q, const void *data, size_t len)
{
	struct chunk *last = q->last;
	size_t room = last ? last->size - last->len : 0;
	size_t here = len < room ? len : room;
	struct chunk *more = NULL;

	if (here < len) {
		more = chunk_new(q, len - here);
		if (!more)
			return -ENOMEM;
	}
	if (here) {
		memcpy(last->data + last->len, data, here);
		last->len += here;
	}
	if (more) {
		more->len = len - here;
		memcpy(more->data, (const u8 *)data + here, more->len);
		if (last)
			last->next = more;
		else
			q->first = more;
		q->last = more;
	}
	q->bytes += len;
	return 0;
}

void chunks_drop(struct chunks *q, size_t len)
{
	q->bytes -= len;
	while (q->first) {
		struct chunk *c = q->first;
		size_t have = c->len - c->pos;

		if (len < have) {
			c->pos += len;
			return;
		}
		len -= have;
		q->first = c->next;
		if (!q->first)
			q->last = NULL;
		free(c);
	}
}

int chunks_vector(const struct chunks *q, struct iovec *iov, int max)
{
	const struct chunk *c;
	int n = 0;

	for (c = q->first; c && n < max; c = c->next)
		iov[n++] = (struct iovec){ .iov_base = (void *)(c->data + c->pos),
					   .iov_len = c->len - c->pos };
	return n;
}

void chunks_clear(struct chunks *q)
{
	if (q->bytes)
		chunks_drop(q, q->bytes);
}
