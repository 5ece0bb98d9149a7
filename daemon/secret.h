/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Secrets, and what is done with them everywhere: drawn, hashed, compared, wiped. */
#ifndef VIRGO_DAEMON_SECRET_H
#define VIRGO_DAEMON_SECRET_H

#include "env.h"

/* Bytes from malloc(), with a NUL behind them that len does not count. */
struct blob {
	char *data;
	size_t len;
};
/* Wipes the bytes first: some of them are keys. */
void blob_free(struct blob *b);

/* @len bytes that nobody can guess; never fails (aborts without a source). */
void random_fill(void *out, size_t len);
void sha256_of(const void *data, size_t len, u8 out[32]);
/* Compares in a time that does not depend on the bytes. */
bool secret_equal(const void *a, const void *b, size_t len);
/* @out has room for two digits a byte and a NUL. */
void hex_of(const void *data, size_t len, char *out);

#endif
