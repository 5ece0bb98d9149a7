// SPDX-License-Identifier: GPL-2.0-or-later
/* NBD's requests: answers byte by byte, errors, and a random stream of requests
 * against a plain array, cut at random places.
 */
#include <stdlib.h>

#include "nbd_kit.h"
#include "transmission.h"

enum { BYTES = 64 * PAGE_BYTES, STREAM = 1 << 20 };

static struct transmission t;
static struct batch batch;
static u8 in[STREAM];
static size_t in_len;
static u8 out[4 * STREAM];
static size_t out_len;

static void request(u16 flags, u16 command, u64 cookie, u64 offset, u32 length,
		    const void *data)
{
	u8 *at = in + in_len;

	put_be32(at, NBD_REQUEST_MAGIC);
	put_be16(at + 4, flags);
	put_be16(at + 6, command);
	put_be64(at + 8, cookie);
	put_be64(at + 16, offset);
	put_be32(at + 24, length);
	in_len += NBD_REQUEST_LEN;
	if (data) {
		memcpy(in + in_len, data, length);
		in_len += length;
	}
}

static void send_batch(void)
{
	u32 i;

	for (i = 0; i < batch.vectors; i++) {
		cr_assert_leq(out_len + batch.vector[i].iov_len, sizeof(out));
		memcpy(out + out_len, batch.vector[i].iov_base,
		       batch.vector[i].iov_len);
		out_len += batch.vector[i].iov_len;
	}
	batch.vectors = 0;
	batch.used = 0;
	batch.bytes = 0;
}

/* Feeds @in, at most @step bytes at a time, as a connection would. */
static enum transmission_verdict run(size_t step)
{
	enum transmission_verdict v = TRANSMISSION_MORE;
	size_t given = 0;
	size_t at = 0;

	for (;;) {
		size_t used;
		size_t part;

		v = transmission_run(&t, in + at, given - at, &used, &batch);
		at += used;
		send_batch();
		if (v == TRANSMISSION_END || v == TRANSMISSION_BROKEN)
			break;
		if (v == TRANSMISSION_FULL || v == TRANSMISSION_AGAIN)
			continue;
		if (given == in_len)
			break;
		part = in_len - given < step ? in_len - given : step;
		if (v == TRANSMISSION_BODY) {
			size_t left;
			u8 *to = transmission_body(&t, &left);

			cr_assert_eq(at, given);
			part = part < left ? part : left;
			memcpy(to, in + at, part);
			transmission_filled(&t, part);
			at += part;
		}
		given += part;
	}
	in_len = 0;
	return v;
}

static struct kit begin(bool structured, u64 quota)
{
	struct kit k = kit_new(BYTES, quota);

	transmission_init(&t, k.e, structured, structured);
	send_batch();
	in_len = 0;
	out_len = 0;
	return k;
}

/* The error of the simple reply at @at. */
static u32 simple(size_t at, u64 cookie)
{
	cr_assert_eq(get_be32(out + at), NBD_SIMPLE_MAGIC);
	cr_assert_eq(get_be64(out + at + 8), cookie);
	return get_be32(out + at + 4);
}

Test(nbd_transmission, write_then_read)
{
	struct kit k = begin(false, BYTES);

	request(0, NBD_CMD_WRITE, 1, 100, 5, "hello");
	request(0, NBD_CMD_READ, 2, 98, 9, NULL);
	request(NBD_CMD_FUA, NBD_CMD_FLUSH, 3, 0, 0, NULL);
	cr_assert_eq(run(STREAM), TRANSMISSION_MORE);
	cr_assert_eq(out_len, 16 + 16 + 9 + 16);
	cr_assert_eq(simple(0, 1), 0);
	cr_assert_eq(simple(16, 2), 0);
	cr_assert_eq(memcmp(out + 32, "\0\0hello\0\0", 9), 0);
	cr_assert_eq(simple(41, 3), 0);
	kit_free(&k);
}

Test(nbd_transmission, reads_point_into_the_export)
{
	struct kit k = begin(false, BYTES);
	static u8 data[PAGE_BYTES] = { 1 };
	size_t used;

	cr_assert_eq(export_store(k.e, 0, data, sizeof(data)), 0);
	request(0, NBD_CMD_READ, 1, 0, PAGE_BYTES, NULL);
	transmission_run(&t, in, in_len, &used, &batch);
	cr_assert_eq(batch.vectors, 2);
	cr_assert_eq(batch.vector[1].iov_base, k.e->data);
	send_batch();
	kit_free(&k);
}

Test(nbd_transmission, structured_holes_and_data)
{
	struct kit k = begin(true, BYTES);
	static u8 data[PAGE_BYTES] = { 1 };

	cr_assert_eq(export_store(k.e, PAGE_BYTES, data, sizeof(data)), 0);
	request(0, NBD_CMD_READ, 7, 0, 2 * PAGE_BYTES, NULL);
	request(NBD_CMD_DF, NBD_CMD_READ, 8, 0, 2 * PAGE_BYTES, NULL);
	request(0, NBD_CMD_BLOCK_STATUS, 9, 1, BYTES - 1, NULL);
	request(NBD_CMD_REQ_ONE, NBD_CMD_BLOCK_STATUS, 10, 0, BYTES, NULL);
	run(STREAM);
	cr_assert_eq(get_be16(out + 4), 0);
	cr_assert_eq(get_be16(out + 6), NBD_CHUNK_HOLE);
	cr_assert_eq(get_be32(out + 28), PAGE_BYTES);
	cr_assert_eq(get_be16(out + 32 + 4), NBD_CHUNK_DONE);
	cr_assert_eq(get_be16(out + 32 + 6), NBD_CHUNK_DATA);
	cr_assert_eq(get_be64(out + 32 + 20), PAGE_BYTES);
	cr_assert_eq(out[32 + 28], 1);
	cr_assert_eq(get_be16(out + 4156 + 4), NBD_CHUNK_DONE, "one chunk");
	cr_assert_eq(get_be32(out + 4156 + 16), 8 + 2 * PAGE_BYTES);
	cr_assert_eq(get_be16(out + 12376 + 6), NBD_CHUNK_STATUS);
	cr_assert_eq(get_be32(out + 12376 + 16), 4 + 3 * 8);
	cr_assert_eq(get_be32(out + 12376 + 24), PAGE_BYTES - 1);
	cr_assert_eq(get_be32(out + 12376 + 28), 3);
	cr_assert_eq(get_be32(out + 12376 + 36), 0);
	cr_assert_eq(get_be32(out + 12424 + 16), 4 + 8);
	cr_assert_eq(out_len, 12424 + 20 + 12);
	kit_free(&k);
}

Test(nbd_transmission, errors)
{
	static const struct wrong {
		u16 flags, command;
		u64 offset;
		u32 length;
		u32 error;
	} wrong[] = {
		{ 0, NBD_CMD_READ, BYTES, 1, NBD_EINVAL },
		{ 0, NBD_CMD_READ, BYTES - 1, 2, NBD_EINVAL },
		{ 0, NBD_CMD_READ, ~0ull, 2, NBD_EINVAL },
		{ 0, NBD_CMD_READ, 0, ~0u, NBD_EINVAL },
		{ NBD_CMD_DF, NBD_CMD_READ, 0, 1, NBD_EINVAL },
		{ 1 << 9, NBD_CMD_READ, 0, 1, NBD_EINVAL },
		{ 0, NBD_CMD_TRIM, BYTES, 1, NBD_EINVAL },
		{ 0, NBD_CMD_TRIM, 1, ~0u, NBD_EINVAL },
		{ 0, NBD_CMD_CACHE, BYTES, 1, NBD_EINVAL },
		{ 0, NBD_CMD_WRITE_ZEROES, 1, BYTES, NBD_ENOSPC },
		{ NBD_CMD_DF, NBD_CMD_WRITE_ZEROES, 0, 1, NBD_EINVAL },
		{ 0, NBD_CMD_BLOCK_STATUS, 0, 1, NBD_EINVAL },
		{ 0, 99, 0, 1, NBD_EINVAL },
	};
	struct kit k = begin(false, BYTES);
	u8 data[9] = { 1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		request(wrong[i].flags, wrong[i].command, i, wrong[i].offset,
			wrong[i].length, NULL);
	request(0, NBD_CMD_WRITE, i, BYTES - 8, 9, data);
	request(NBD_CMD_DF, NBD_CMD_WRITE, i + 1, 0, 9, data);
	request(0, NBD_CMD_READ, i + 2, 0, 0, NULL);
	cr_assert_eq(run(11), TRANSMISSION_MORE);
	cr_assert_eq(out_len, 16 * (i + 3));
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_assert_eq(simple(i * 16, i), wrong[i].error, "%zu", i);
	cr_assert_eq(simple(i * 16, i), NBD_ENOSPC);
	cr_assert_eq(simple(i * 16 + 16, i + 1), NBD_EINVAL);
	cr_assert_eq(simple(i * 16 + 32, i + 2), 0);
	cr_assert_eq(k.e->held_pages, 0);
	kit_free(&k);
}

Test(nbd_transmission, a_write_too_long_is_drained_not_stored)
{
	struct kit k = begin(false, BYTES);
	u32 left = NBD_PAYLOAD_MAX + 1;

	request(0, NBD_CMD_WRITE, 1, 0, left, NULL);
	run(STREAM);
	memset(in, 0xff, STREAM);
	for (; left; left -= (u32)in_len) {
		size_t used;

		in_len = left < STREAM ? left : STREAM;
		cr_assert_eq(out_len, 0);
		cr_assert_eq(transmission_run(&t, in, in_len, &used, &batch),
			     TRANSMISSION_MORE);
		cr_assert_eq(used, in_len);
	}
	send_batch();
	in_len = 0;
	cr_assert_eq(simple(0, 1), NBD_EINVAL);
	cr_assert_eq(k.e->held_pages, 0);
	kit_free(&k);
}

Test(nbd_transmission, structured_errors)
{
	struct kit k = begin(true, BYTES);

	request(0, NBD_CMD_READ, 5, BYTES, 1, NULL);
	request(0, NBD_CMD_BLOCK_STATUS, 6, 0, 0, NULL);
	run(STREAM);
	cr_assert_eq(out_len, 2 * 26);
	cr_assert_eq(get_be16(out + 6), NBD_CHUNK_ERROR);
	cr_assert_eq(get_be32(out + 20), NBD_EINVAL);
	cr_assert_eq(get_be64(out + 26 + 8), 6);
	kit_free(&k);
}

Test(nbd_transmission, quota_and_end)
{
	struct kit k = begin(false, 2 * PAGE_BYTES);
	static u8 data[3 * PAGE_BYTES];

	memset(data, 1, sizeof(data));
	request(0, NBD_CMD_WRITE, 1, 0, sizeof(data), data);
	request(0, NBD_CMD_WRITE, 2, 0, 2 * PAGE_BYTES, data);
	request(NBD_CMD_NO_HOLE, NBD_CMD_WRITE_ZEROES, 3, 0, BYTES, NULL);
	request(0, NBD_CMD_TRIM, 4, 0, BYTES, NULL);
	request(0, NBD_CMD_DISC, 5, 0, 0, NULL);
	request(0, NBD_CMD_READ, 6, 0, 1, NULL);
	cr_assert_eq(run(1000), TRANSMISSION_END);
	cr_assert_eq(out_len, 64);
	cr_assert_eq(simple(0, 1), NBD_ENOSPC);
	cr_assert_eq(simple(16, 2), 0);
	cr_assert_eq(simple(32, 3), NBD_ENOSPC);
	cr_assert_eq(simple(48, 4), 0);
	cr_assert_eq(k.e->held_pages, 0);
	kit_free(&k);
}

/* What is left of it may be received in place down to its last byte. */
Test(nbd_transmission, a_long_write_is_never_received_twice)
{
	struct kit k = begin(false, BYTES);
	size_t used, left;

	request(0, NBD_CMD_WRITE, 1, 0, BYTES, NULL);
	cr_assert_eq(transmission_run(&t, in, in_len, &used, &batch),
		     TRANSMISSION_BODY);
	cr_assert_eq(used, NBD_REQUEST_LEN);
	memset(transmission_body(&t, &left), 1, BYTES - 1);
	cr_assert_eq(left, BYTES);
	transmission_filled(&t, BYTES - 1);
	cr_assert_eq(transmission_run(&t, in, 0, &used, &batch),
		     TRANSMISSION_BODY);
	*transmission_body(&t, &left) = 2;
	cr_assert_eq(left, 1);
	transmission_filled(&t, 1);
	cr_assert_eq(transmission_run(&t, in, 0, &used, &batch),
		     TRANSMISSION_MORE);
	in_len = 0;
	send_batch();
	cr_assert_eq(simple(0, 1), 0);
	cr_assert_eq(transmission_wants(&t, STREAM), NBD_REQUEST_LEN);
	cr_assert_eq(k.e->data[BYTES - 1], 2);
	kit_free(&k);
}

Test(nbd_transmission, a_client_that_goes_keeps_no_memory)
{
	struct kit k = begin(false, BYTES);

	request(0, NBD_CMD_WRITE, 1, 0, BYTES, NULL);
	memset(in + in_len, 1, PAGE_BYTES);
	in_len += PAGE_BYTES;
	cr_assert_eq(run(STREAM), TRANSMISSION_BODY);
	cr_assert_eq(k.e->held_pages, BYTES / PAGE_BYTES);
	transmission_end(&t);
	cr_assert_eq(k.e->held_pages, 1);
	kit_free(&k);
}

Test(nbd_transmission, garbage_ends_it)
{
	struct kit k = begin(false, BYTES);

	request(0, NBD_CMD_READ, 1, 0, 1, NULL);
	memset(in + in_len, 'x', NBD_REQUEST_LEN);
	in_len += NBD_REQUEST_LEN;
	cr_assert_eq(run(STREAM), TRANSMISSION_BROKEN);
	kit_free(&k);
}

/* One random request; what a read must answer goes to @want. Reads come by
 * themselves: one may see what a write that was sent after it has changed.
 */
static void random_request(u8 *model, u8 *want, size_t *want_len, u64 cookie,
			   bool reads)
{
	static u8 data[BYTES];
	u32 offset = (u32)rand() % BYTES;
	u32 len = (u32)rand() % (rand() % 4 ? 9000 : BYTES);
	u32 i;

	len = len > BYTES - offset ? BYTES - offset : len;
	put_be32(want + *want_len, NBD_SIMPLE_MAGIC);
	put_be32(want + *want_len + 4, 0);
	put_be64(want + *want_len + 8, cookie);
	*want_len += NBD_SIMPLE_LEN;
	switch (reads ? 0 : 1 + rand() % 3) {
	case 0:
		request(0, NBD_CMD_READ, cookie, offset, len, NULL);
		memcpy(want + *want_len, model + offset, len);
		*want_len += len;
		break;
	case 1:
		request(NBD_CMD_NO_HOLE * (rand() % 2), NBD_CMD_WRITE_ZEROES,
			cookie, offset, len, NULL);
		memset(model + offset, 0, len);
		break;
	default:
		for (i = 0; i < len; i++)
			data[i] = (u8)(i & 4096 ? 0 : rand());
		request(NBD_CMD_FUA, NBD_CMD_WRITE, cookie, offset, len, data);
		memcpy(model + offset, data, len);
	}
}

Test(nbd_transmission, random_requests_against_an_array, .timeout = 60)
{
	struct kit k = begin(false, BYTES);
	u8 *want = malloc(sizeof(out));
	u8 *model = calloc(1, BYTES);
	int round;

	srand(5);
	for (round = 0; round < 400; round++) {
		size_t want_len = 0;
		u64 cookie;

		for (cookie = 0; in_len + BYTES + 64 < STREAM / 2 &&
				 want_len < STREAM; cookie++)
			random_request(model, want, &want_len, cookie,
				       round % 2);
		out_len = 0;
		run(1 + (size_t)rand() % (rand() % 2 ? 100000 : 60));
		cr_assert_eq(out_len, want_len);
		cr_assert_eq(memcmp(out, want, want_len), 0, "round %d", round);
	}
	free(want);
	free(model);
	kit_free(&k);
}
