// SPDX-License-Identifier: GPL-2.0-or-later
/* Sealed datagrams: genuine ones are taken once, all others never. */
#include <criterion/criterion.h>

#include "seal.h"

static const u8 key1[SEAL_KEY_BYTES] = "first key";
static const u8 key2[SEAL_KEY_BYTES] = "second key";
static const char text[] = "hello, this is a datagram";

enum { S = 1000000, LEN = sizeof(text) };

static struct seal *node(u64 self, u64 life)
{
	struct seal *s = seal_new(self, life);

	cr_assert_eq(seal_set_key(s, 0, 1, key1), 0);
	return s;
}

static size_t sealed(struct seal *s, u8 *out)
{
	ssize_t n = seal_close(s, 0, 2, NULL, text, LEN, out);

	cr_assert_eq(n, LEN + SEAL_BYTES);
	return (size_t)n;
}

Test(seal, there_and_back)
{
	struct seal *a = node(1, 10), *b = node(2, 10);
	u8 wire[LEN + SEAL_BYTES], out[sizeof(wire)];
	struct seal_sender from = { 0 };
	size_t n = sealed(a, wire);

	cr_assert_eq(seal_claimed(wire, n), 1);
	cr_assert_eq(seal_claimed_key(wire), 1);
	cr_assert_eq(seal_open(b, 0, &from, wire, n, out), LEN);
	cr_assert_arr_eq(out, text, LEN);
	cr_assert_null(memmem(wire, n, "hello", 5));
	seal_sender_end(&from);
	seal_free(a);
	seal_free(b);
}

Test(seal, every_changed_byte_is_noticed)
{
	struct seal *a = node(1, 10), *b = node(2, 10);
	u8 wire[LEN + SEAL_BYTES], out[sizeof(wire)];
	struct seal_sender from = { 0 };
	size_t n = sealed(a, wire), i;

	for (i = 0; i < n; i++) {
		wire[i] ^= 1;
		cr_assert_lt(seal_open(b, 0, &from, wire, n, out), 0,
			     "byte %zu", i);
		wire[i] ^= 1;
	}
	for (i = 0; i < n; i++)
		cr_assert_lt(seal_open(b, 0, &from, wire, i, out), 0);
	/* None of these counts as having been taken. */
	cr_assert_eq(seal_open(b, 0, &from, wire, n, out), LEN);
}

Test(seal, a_datagram_is_taken_once_in_any_order)
{
	struct seal *a = node(1, 10), *b = node(2, 10);
	u8 wire[200][LEN + SEAL_BYTES], out[LEN + SEAL_BYTES];
	struct seal_sender from = { 0 };
	int i;

	for (i = 0; i < 200; i++)
		sealed(a, wire[i]);
	for (i = 99; i >= 60; i--)
		cr_assert_eq(seal_open(b, 0, &from, wire[i], sizeof(wire[i]),
				       out),
			     LEN, "%d", i);
	for (i = 60; i < 100; i++)
		cr_assert_eq(seal_open(b, 0, &from, wire[i], sizeof(wire[i]),
				       out),
			     -EALREADY);
	cr_assert_eq(seal_open(b, 0, &from, wire[36], sizeof(wire[36]), out),
		     LEN);
	cr_assert_eq(seal_open(b, 0, &from, wire[35], sizeof(wire[35]), out),
		     -EALREADY);
	cr_assert_eq(seal_open(b, 0, &from, wire[199], sizeof(wire[199]), out),
		     LEN);
	cr_assert_eq(seal_open(b, 0, &from, wire[101], sizeof(wire[101]), out),
		     -EALREADY);
}

Test(seal, an_earlier_life_is_refused)
{
	struct seal *old = node(1, 10), *new = node(1, 11), *b = node(2, 5);
	u8 first[LEN + SEAL_BYTES], later[LEN + SEAL_BYTES];
	u8 out[LEN + SEAL_BYTES];
	struct seal_sender from = { 0 };
	size_t n = sealed(old, first);

	cr_assert_eq(seal_open(b, 0, &from, first, n, out), LEN);
	sealed(new, later);
	cr_assert_eq(seal_open(b, 0, &from, later, n, out), LEN);
	sealed(old, first);
	cr_assert_eq(seal_open(b, 0, &from, first, n, out), -EALREADY);
}

Test(seal, it_is_good_for_its_receiver_only)
{
	struct seal *a = node(1, 10), *b = node(2, 10), *c = node(3, 10);
	u8 wire[LEN + SEAL_BYTES], out[LEN + SEAL_BYTES];
	struct seal_sender at_b = { 0 }, at_c = { 0 };
	size_t n = sealed(a, wire);

	cr_assert_eq(seal_open(c, 0, &at_c, wire, n, out), -EBADMSG);
	cr_assert_eq(seal_open(b, 0, &at_b, wire, n, out), LEN);
}

Test(seal, another_cloud_is_refused)
{
	struct seal *a = seal_new(1, 10), *b = node(2, 10);
	u8 wire[LEN + SEAL_BYTES], out[LEN + SEAL_BYTES];
	struct seal_sender from = { 0 };

	cr_assert_eq(seal_close(a, 0, 2, NULL, text, LEN, wire), -ENOKEY);
	seal_set_key(a, 0, 1, key2);
	sealed(a, wire);
	cr_assert_eq(seal_open(b, 0, &from, wire, sizeof(wire), out), -EBADMSG);
	cr_assert_eq(from.life, 0);
}

/* a has the new key, b not yet, then b too. */
Test(seal, a_change_of_key_overlaps)
{
	struct seal *a = node(1, 10), *b = node(2, 10);
	u8 wire[LEN + SEAL_BYTES], out[LEN + SEAL_BYTES];
	struct seal_sender at_b = { 0 }, at_a = { 0 };

	cr_assert_eq(seal_set_key(a, 1 * S, 2, key2), 0);
	cr_assert_eq(seal_set_key(a, 1 * S, 1, key1), 0);
	cr_assert_eq(seal_key_number(a), 2);
	seal_close(a, 2 * S, 2, &at_a, text, LEN, wire);
	cr_assert_eq(seal_claimed_key(wire), 1);
	cr_assert_eq(seal_open(b, 2 * S, &at_b, wire, sizeof(wire), out), LEN);

	seal_set_key(b, 2 * S, 2, key2);
	at_b.key_number = 2;
	seal_close(b, 2 * S, 1, &at_b, text, LEN, wire);
	cr_assert_eq(seal_claimed_key(wire), 2);
	cr_assert_eq(seal_open(a, 2 * S, &at_a, wire, sizeof(wire), out), LEN);
	/* Now a knows that b has it. */
	seal_close(a, 2 * S, 2, &at_a, text, LEN, wire);
	cr_assert_eq(seal_claimed_key(wire), 2);
}

Test(seal, the_old_key_ends)
{
	struct seal *a = node(1, 10), *b = node(2, 10);
	u8 wire[LEN + SEAL_BYTES], out[LEN + SEAL_BYTES];
	struct seal_sender from = { 0 };

	seal_set_key(b, 0, 2, key2);
	sealed(a, wire);
	cr_assert_eq(seal_open(b, SEAL_OVERLAP_US, &from, wire, sizeof(wire),
			       out),
		     -ENOKEY);
	cr_assert_eq(seal_open(b, SEAL_OVERLAP_US - 1, &from, wire,
			       sizeof(wire), out),
		     LEN);
	/* And a, which missed the change, cannot read b. */
	seal_close(b, SEAL_LINGER_US, 1, &from, text, LEN, wire);
	cr_assert_eq(seal_claimed_key(wire), 2);
	cr_assert_eq(seal_open(a, 0, NULL, wire, sizeof(wire), out), -ENOKEY);
}
