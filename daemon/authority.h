/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The authority of a cloud: one ECDSA P-256 key, on the home node only, whose
 * certificate every node trusts. It issues node certificates and signs what all
 * nodes must believe (removals, who is the home node). Without its key, as
 * every other node has it, it can only verify.
 *
 * A certificate's serial is 16 bytes, 32 hex digits. The first half, the stem,
 * is drawn when a node joins and kept through its renewals; the second half is
 * new each time. A removal names the stem, so it covers every certificate the
 * node was ever given.
 */
#ifndef VIRGO_DAEMON_AUTHORITY_H
#define VIRGO_DAEMON_AUTHORITY_H

#include "failure.h"
#include "secret.h"

enum {
	SERIAL_BYTES = 16,
	SERIAL_DIGITS = 2 * SERIAL_BYTES,
	STEM_BYTES = 8,
	STEM_DIGITS = 2 * STEM_BYTES,
	FINGERPRINT_BYTES = 32,
	SIGNATURE_MAX = 80, /* an ECDSA P-256 signature in DER is at most 72 */
	CERTIFICATE_LIFE_S = 30 * 24 * 3600,
	CERTIFICATE_LIFE_MIN_S = 10,
};

struct authority;

/* Makes a new key and a certificate of 30 years signed by itself. */
int authority_create(struct authority **out, const char *cloud,
		     struct failure *f);
/* Reads authority.crt and, where it exists, authority.key from folder @dir. */
int authority_load(struct authority **out, const char *dir, struct failure *f);
/* From PEM; @key may be NULL. -EINVAL when the key is not the certificate's. */
int authority_from_pem(struct authority **out, struct span certificate,
		       const struct span *key, struct failure *f);
void authority_free(struct authority *a);

/* True when it has its key, thus on the home node. */
bool authority_can_sign(const struct authority *a);
/* SHA-256 of the certificate's DER bytes. */
const u8 *authority_fingerprint(const struct authority *a);
const struct blob *authority_certificate(const struct authority *a);
/* The key as PEM; -ENOKEY without one. The caller frees it. */
int authority_key(const struct authority *a, struct blob *out);

/* Takes the key in, so that it can sign: -EINVAL when it is not its key. */
int authority_adopt_key(struct authority *a, struct span key,
			struct failure *f);
/* From now on it only verifies. */
void authority_forget_key(struct authority *a);

struct issue {
	const char *name; /* the node's; the request's own name is ignored */
	const char *cloud;
	const char *stem; /* STEM_DIGITS hex digits, or NULL for a new one */
	s64 now_s;
	s64 life_s;
};
struct issued {
	struct blob pem;
	char serial[SERIAL_DIGITS + 1];
	s64 expires_s;
};
/* Signs the PKCS#10 request @der after verifying that its maker has the key.
 * -EBADMSG: not such a request; -EKEYREJECTED: its key is not ECDSA P-256.
 */
int authority_issue(struct authority *a, struct span der,
		    const struct issue *want, struct issued *out,
		    struct failure *f);

/* Signs @data under a purpose, a string that keeps kinds of statements apart.
 * Gives the signature's length.
 */
int authority_sign(struct authority *a, const char *purpose, struct span data,
		   u8 signature[SIGNATURE_MAX]);
/* 0, or -EKEYREJECTED. */
int authority_verify(const struct authority *a, const char *purpose,
		     struct span data, struct span signature);
/* 0 when @pem is a certificate of this authority for @name and the key @key
 * (PEM); -EKEYREJECTED and @f otherwise.
 */
int authority_check_issued(const struct authority *a, struct span pem,
			   struct span key, const char *name,
			   struct failure *f);

/* A node's own key, as PEM. */
int node_key_create(struct blob *pem, struct failure *f);
/* SHA-256 of the public half of a request's key: the same key, the same hash. */
int node_request_key_hash(struct span der, u8 hash[32]);
/* A PKCS#10 request (DER) for @name with the key in @pem. */
int node_request_create(struct span pem, const char *name, struct blob *der,
			struct failure *f);

#endif
