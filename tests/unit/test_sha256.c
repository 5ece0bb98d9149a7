// SPDX-License-Identifier: GPL-2.0-or-later
/* SHA-256 against the examples of FIPS 180-4 and in pieces of every size. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "sha256.h"

static void sum(const char *text, size_t times, size_t piece, char out[65])
{
	size_t len = strlen(text);
	struct sha256 s;
	u8 hash[SHA256_BYTES];

	sha256_init(&s);
	for (; times; times--)
		for (size_t at = 0; at < len; at += piece)
			sha256_add(&s, text + at,
				   len - at < piece ? len - at : piece);
	sha256_end(&s, hash);
	for (int i = 0; i < SHA256_BYTES; i++)
		sprintf(out + 2 * i, "%02x", hash[i]);
}

static void is(const char *text, size_t times, const char *want)
{
	char out[65];

	for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
		sum(text, times, piece, out);
		cr_assert_str_eq(out, want);
	}
}

Test(sha256, standard_examples)
{
	is("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	is("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	   "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	is("a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

Test(sha256, around_a_block)
{
	/* 55, 56, 63, 64 and 65 bytes are where the padding changes shape. */
	is("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1,
	   "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
	is("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1,
	   "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
	is("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1,
	   "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
	is("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1,
	   "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0");
}
