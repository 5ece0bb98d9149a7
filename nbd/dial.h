/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection to a lender that the kernel's nbd driver can take: TCP, the
 * negotiation (greet.h), TLS 1.3 with this node's certificate, and the keys
 * given to the kernel. After that no process of ours touches a byte.
 */
#ifndef VIRGO_NBD_DIAL_H
#define VIRGO_NBD_DIAL_H

#include "failure.h"

struct tls_identity;

struct dial {
	const char *addresses; /* numeric "host:port", with commas; in turn */
	const char *name; /* of the export */
	const char *lender; /* whose certificate must be there */
	struct tls_identity *identity; /* NULL: plaintext, as below */
	/* An interface that plaintext may leave by; NULL or "": none but that
	 * of loopback.
	 */
	const char *plaintext_on;
	u32 patience_ms; /* for everything together */
};

struct dialled {
	int fd; /* blocking, ready for the kernel */
	u64 size_bytes;
	u16 flags;
};

/* 0, or a negative errno and @f. */
int dial(const struct dial *d, struct dialled *out, struct failure *f);

#endif
