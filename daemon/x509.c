// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The X.509 steps that authority, certificates and requests have in common, over
 * GnuTLS; see x509.h.
 */
#include "x509.h"

#include <gnutls/crypto.h>
#include <stdlib.h>

int x509_fail(struct failure *f, int code, const char *object, int gnutls)
{
	return failure_set(f, code, object, NULL, "%s",
			   gnutls_strerror(gnutls));
}

static int blob_take(struct blob *b, const void *data, size_t len)
{
	b->data = malloc(len + 1);
	if (!b->data)
		return -ENOMEM;
	memcpy(b->data, data, len);
	b->data[len] = '\0';
	b->len = len;
	return 0;
}

/* Copies a datum that GnuTLS allocated, then wipes and frees it. */
int x509_blob_take(struct blob *b, gnutls_datum_t *d)
{
	int ret = blob_take(b, d->data, d->size);

	gnutls_memset(d->data, 0, d->size);
	gnutls_free(d->data);
	return ret;
}

gnutls_datum_t x509_datum(struct span s)
{
	return (gnutls_datum_t){ .data = (unsigned char *)s.data,
				 .size = s.len };
}

struct span x509_span(const struct blob *b)
{
	return (struct span){ .data = (const u8 *)b->data,
			      .len = (u32)b->len };
}

int x509_key_generate(gnutls_x509_privkey_t *key)
{
	int ret = gnutls_x509_privkey_init(key);

	if (ret < 0)
		return ret;
	ret = gnutls_x509_privkey_generate(
		*key, GNUTLS_PK_ECDSA,
		GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (ret < 0) {
		gnutls_x509_privkey_deinit(*key);
		*key = NULL;
	}
	return ret;
}

int x509_key_import(gnutls_x509_privkey_t *key, struct span pem)
{
	gnutls_datum_t d = x509_datum(pem);
	int ret = gnutls_x509_privkey_init(key);

	if (ret < 0)
		return ret;
	ret = gnutls_x509_privkey_import2(*key, &d, GNUTLS_X509_FMT_PEM, NULL,
					  GNUTLS_PKCS_PLAIN);
	if (ret < 0) {
		gnutls_x509_privkey_deinit(*key);
		*key = NULL;
	}
	return ret;
}

int x509_key_export(gnutls_x509_privkey_t key, struct blob *out)
{
	gnutls_datum_t d = { 0 };

	if (gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
					      GNUTLS_PKCS_PLAIN, &d) < 0)
		return -ENOMEM;
	return x509_blob_take(out, &d);
}

int x509_crt_import(gnutls_x509_crt_t *crt, struct span pem)
{
	gnutls_datum_t d = x509_datum(pem);
	int ret = gnutls_x509_crt_init(crt);

	if (ret < 0)
		return ret;
	ret = gnutls_x509_crt_import(*crt, &d, GNUTLS_X509_FMT_PEM);
	if (ret < 0) {
		gnutls_x509_crt_deinit(*crt);
		*crt = NULL;
	}
	return ret;
}

/* 0 when @key is the private half of @crt's key. */
int x509_crt_has_key(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
	u8 a[64], b[64];
	size_t alen = sizeof(a), blen = sizeof(b);

	if (gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, a,
				       &alen) < 0 ||
	    gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, b,
					   &blen) < 0)
		return -EINVAL;
	return alen == blen && memcmp(a, b, alen) == 0 ? 0 : -EINVAL;
}

/* A serial as in authority.h. Its first bits are 01, so that as a DER integer it
 * is positive and always has its 16 bytes.
 */
static int serial_make(const char *stem, u8 serial[SERIAL_BYTES])
{
	size_t len = STEM_BYTES;
	gnutls_datum_t hex;

	random_fill(serial, SERIAL_BYTES);
	serial[0] = (u8)((serial[0] & 0x3f) | 0x40);
	if (!stem)
		return 0;
	hex = x509_datum(span_of(stem));
	if (hex.size != STEM_DIGITS ||
	    gnutls_hex_decode(&hex, serial, &len) < 0 || len != STEM_BYTES ||
	    (serial[0] & 0xc0) != 0x40)
		return -EINVAL;
	return 0;
}

int x509_crt_set_subject(gnutls_x509_crt_t crt, const char *name,
			   const char *cloud)
{
	int ret = gnutls_x509_crt_set_dn_by_oid(
		crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
		(unsigned int)strlen(name));

	if (ret < 0)
		return ret;
	return gnutls_x509_crt_set_dn_by_oid(
		crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, cloud,
		(unsigned int)strlen(cloud));
}

int x509_crt_set_basics(gnutls_x509_crt_t crt, const char *stem, s64 from_s,
			  s64 until_s, u8 serial[SERIAL_BYTES])
{
	u8 id[32];
	size_t len = sizeof(id);
	int ret = serial_make(stem, serial);

	if (ret < 0)
		return GNUTLS_E_INVALID_REQUEST;
	ret = gnutls_x509_crt_set_version(crt, 3);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_serial(crt, serial, SERIAL_BYTES);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_activation_time(crt, (time_t)from_s);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_expiration_time(crt, (time_t)until_s);
	if (ret >= 0)
		ret = gnutls_x509_crt_get_key_id(crt, 0, id, &len);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_subject_key_id(crt, id, len);
	return ret;
}
