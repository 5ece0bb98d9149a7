// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes that must not be guessed, compared or left behind; see secret.h. */
#include "secret.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void blob_free(struct blob *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	free(b->data);
	*b = (struct blob){ 0 };
}

void random_fill(void *out, size_t len)
{
	if (gnutls_rnd(GNUTLS_RND_KEY, out, len) != 0)
		abort();
}

void sha256_of(const void *data, size_t len, u8 out[32])
{
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, data, len, out) != 0)
		abort();
}

bool secret_equal(const void *a, const void *b, size_t len)
{
	return gnutls_memcmp(a, b, len) == 0;
}

void hex_of(const void *data, size_t len, char *out)
{
	const u8 *p = data;

	for (size_t i = 0; i < len; i++)
		sprintf(out + 2 * i, "%02x", p[i]);
}
