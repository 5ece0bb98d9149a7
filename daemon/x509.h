/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steps over GnuTLS's X.509 functions, for authority.c, certificate.c and
 * node_key.c alone. Functions without a struct failure give GnuTLS's codes:
 * negative on failure.
 */
#ifndef VIRGO_DAEMON_X509_H
#define VIRGO_DAEMON_X509_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "authority.h"

struct authority {
	gnutls_x509_crt_t crt;
	gnutls_privkey_t signer; /* NULL without the key */
	gnutls_x509_privkey_t key; /* NULL without the key */
	struct blob pem;
	u8 fingerprint[FINGERPRINT_BYTES];
};

/* Says in @f what GnuTLS's code means; gives @code. */
int x509_fail(struct failure *f, int code, const char *object, int gnutls);
gnutls_datum_t x509_datum(struct span s);
struct span x509_span(const struct blob *b);
/* Copies a datum that GnuTLS allocated, then wipes and frees it. 0 or -ENOMEM. */
int x509_blob_take(struct blob *b, gnutls_datum_t *d);

/* An ECDSA P-256 key. */
int x509_key_generate(gnutls_x509_privkey_t *key);
int x509_key_import(gnutls_x509_privkey_t *key, struct span pem);
int x509_key_export(gnutls_x509_privkey_t key, struct blob *out);

int x509_crt_import(gnutls_x509_crt_t *crt, struct span pem);
/* 0 when @key is the private half of @crt's key. */
int x509_crt_has_key(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key);
int x509_crt_set_subject(gnutls_x509_crt_t crt, const char *name,
			 const char *cloud);
/* Serial (a new one; with @stem its first half is that), times, key id. */
int x509_crt_set_basics(gnutls_x509_crt_t crt, const char *stem, s64 from_s,
			s64 until_s, u8 serial[SERIAL_BYTES]);

/* The public key of request @der, once its maker has proven to hold the other
 * half: 0, -EBADMSG, -EKEYREJECTED for another kind of key, -ENOMEM.
 */
int x509_request_key(struct span der, gnutls_pubkey_t *key);

#endif
