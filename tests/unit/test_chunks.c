// SPDX-License-Identifier: GPL-2.0-or-later
/* The byte queue against a plain buffer, over random operations. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "chunks.h"

enum { STREAM = 1 << 20 };

static size_t front(const struct chunks *q, u8 *out, size_t max)
{
	struct iovec iov[64];
	int n = chunks_vector(q, iov, 64);
	size_t len = 0;
	int i;

	for (i = 0; i < n && len < max; i++) {
		size_t part = iov[i].iov_len < max - len ? iov[i].iov_len :
							   max - len;

		memcpy(out + len, iov[i].iov_base, part);
		len += part;
	}
	return len;
}

Test(chunks, gives_back_the_bytes_in_order, .timeout = 20)
{
	struct chunks q = { 0 };
	u8 *in = malloc(STREAM);
	u8 *out = malloc(STREAM);
	size_t added = 0;
	size_t taken = 0;
	size_t i;

	srand(7);
	for (i = 0; i < STREAM; i++)
		in[i] = (u8)rand();
	while (taken < STREAM) {
		size_t len = (size_t)rand() % (rand() % 8 ? 300 : 100000);

		if (rand() % 2 && added < STREAM) {
			if (len > STREAM - added)
				len = STREAM - added;
			cr_assert_eq(chunks_add(&q, in + added, len), 0);
			added += len;
		} else {
			len = front(&q, out, len);
			cr_assert_arr_eq(out, in + taken, len);
			chunks_drop(&q, len);
			taken += len;
		}
		cr_assert_eq(q.bytes, added - taken);
	}
	cr_assert_null(q.first);
	cr_assert_null(q.last);
	free(in);
	free(out);
}

Test(chunks, clear_leaves_an_empty_queue)
{
	struct chunks q = { 0 };
	char big[100000] = "";

	cr_assert_eq(chunks_add(&q, big, sizeof(big)), 0);
	cr_assert_eq(chunks_add(&q, big, sizeof(big)), 0);
	chunks_clear(&q);
	cr_assert_eq(q.bytes, 0);
	cr_assert_null(q.first);
}
