/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A backup of the home node: the authority's key and the catalog, enough to
 * make any node of the cloud its home. Sealed with AES-256-GCM under a key that
 * PBKDF2-HMAC-SHA256 makes from a passphrase:
 *
 *	16 bytes "VIRGO-BACKUP-1\n\0", u32 iterations, 16 bytes salt,
 *	12 bytes nonce; then, encrypted, the authority's key and certificate
 *	(PEM), the catalog's head and its rows, each with a u32 length in
 *	front; then the 16-byte tag, which covers the first part too.
 */
#ifndef VIRGO_DAEMON_BACKUP_H
#define VIRGO_DAEMON_BACKUP_H

#include "catalog.h"

enum { PASSPHRASE_MIN = 12, PASSPHRASE_MAX = 1023 };

struct backup {
	struct span key;
	struct span certificate;
	struct rec_catalog_head head;
	struct span rows; /* a list of catalog_row */
	struct blob plain; /* what the views above point into */
};

/* Takes some tenths of a second of CPU. The caller frees @out. */
int backup_seal(struct blob *out, const struct authority *a,
		const struct catalog *c, const char *passphrase,
		struct failure *f);
/* -EKEYREJECTED: wrong passphrase, or damaged; -EINVAL: not a backup. */
int backup_open(struct backup *out, struct span file, const char *passphrase,
		struct failure *f);
void backup_free(struct backup *b);

/* 26 characters in groups, 128 random bits. */
enum { PASSPHRASE_MADE = 26 + 6 };
void passphrase_make(char out[PASSPHRASE_MADE + 1]);
/* The first line of @path ("-": standard input) into PASSPHRASE_MAX + 1 bytes. */
int passphrase_read(const char *path, char *out, struct failure *f);

#endif
