/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tls.c (sessions) and tls_identity.c (who we are) share; others use tls.h. */
#ifndef VIRGO_LIB_TLS_IMPL_H
#define VIRGO_LIB_TLS_IMPL_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdatomic.h>

#include "tls.h"

struct tls_identity {
	atomic_int refs;
	gnutls_certificate_credentials_t cred;
	struct tls_peer self;
	s64 issued_s;
	bool (*refused)(const struct tls_peer *peer, void *arg);
	void *refused_arg;
	s64 (*renewed)(const struct tls_peer *of, void *arg);
	void *renewed_arg;
};

/* Name, serial and expiry out of @crt; 0 or -EPROTO when they are unusable. */
int tls_certificate_read(struct tls_peer *p, gnutls_x509_crt_t crt);
/* Whether @of, valid until *@until_s, is valid at @now_s. Learns of a renewal. */
bool tls_certificate_current(const struct tls_identity *id,
			     const struct tls_peer *of, s64 *until_s, s64 now_s);

#endif
