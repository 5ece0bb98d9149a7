// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cloud's authority itself: its key and certificate, and what it signs for
 * all nodes to believe. Nothing here touches the network or the catalog, and
 * nothing is kept beyond key and certificate. Certificates of nodes are in
 * certificate.c, their keys in node_key.c.
 */
#include "authority.h"

#include <stdlib.h>
#include <time.h>

#include "state.h"
#include "x509.h"

enum { AUTHORITY_LIFE_S = 30 * 365 * 24 * 3600 }; /* fits 32 bits */

/* Fills in what follows from the certificate; takes over @crt and @key. */
static int authority_wrap(struct authority **out, gnutls_x509_crt_t crt,
			  gnutls_x509_privkey_t key)
{
	struct authority *a = calloc(1, sizeof(*a));
	size_t len = FINGERPRINT_BYTES;
	gnutls_datum_t d = { 0 };
	int ret = GNUTLS_E_MEMORY_ERROR;

	if (!a) {
		gnutls_x509_crt_deinit(crt);
		if (key)
			gnutls_x509_privkey_deinit(key);
		return ret;
	}
	a->crt = crt;
	a->key = key;
	ret = gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256,
					      a->fingerprint, &len);
	if (ret >= 0)
		ret = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &d);
	if (ret >= 0 && x509_blob_take(&a->pem, &d) < 0)
		ret = GNUTLS_E_MEMORY_ERROR;
	if (ret >= 0 && key)
		ret = gnutls_privkey_init(&a->signer);
	if (ret >= 0 && key)
		ret = gnutls_privkey_import_x509(a->signer, key, 0);
	if (ret < 0) {
		authority_free(a);
		return ret;
	}
	*out = a;
	return 0;
}

/* GnuTLS fills in the names that verification compares only while importing, so
 * a certificate made in this process is imported once before it is used.
 */
static int crt_reimport(gnutls_x509_crt_t *crt)
{
	gnutls_datum_t d = { 0 };
	int ret = gnutls_x509_crt_export2(*crt, GNUTLS_X509_FMT_DER, &d);

	gnutls_x509_crt_deinit(*crt);
	*crt = NULL;
	if (ret < 0)
		return ret;
	ret = gnutls_x509_crt_init(crt);
	if (ret >= 0)
		ret = gnutls_x509_crt_import(*crt, &d, GNUTLS_X509_FMT_DER);
	gnutls_free(d.data);
	return ret;
}

static int authority_self_sign(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key,
			       const char *cloud)
{
	u8 serial[SERIAL_BYTES], tail[4];
	char name[32] = "authority ";
	s64 now = (s64)time(NULL);
	int ret;

	/* Clouds of one name must not have one issuer name. */
	random_fill(tail, sizeof(tail));
	hex_of(tail, sizeof(tail), name + strlen(name));
	ret = gnutls_x509_crt_set_key(crt, key);
	if (ret >= 0)
		ret = x509_crt_set_subject(crt, name, cloud);
	if (ret >= 0)
		ret = x509_crt_set_basics(crt, NULL, now - 24 * 3600,
				     now + AUTHORITY_LIFE_S, serial);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_basic_constraints(crt, 1, 0);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_key_usage(
			crt, GNUTLS_KEY_KEY_CERT_SIGN |
				     GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (ret >= 0)
		ret = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256,
					    0);
	return ret;
}

int authority_create(struct authority **out, const char *cloud,
		     struct failure *f)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	int ret = x509_key_generate(&key);

	if (ret < 0)
		return x509_fail(f, -EIO, "authority.key", ret);
	ret = gnutls_x509_crt_init(&crt);
	if (ret < 0) {
		gnutls_x509_privkey_deinit(key);
		return x509_fail(f, -ENOMEM, "authority.crt", ret);
	}
	ret = authority_self_sign(crt, key, cloud);
	if (ret >= 0)
		ret = crt_reimport(&crt);
	if (ret < 0) {
		if (crt)
			gnutls_x509_crt_deinit(crt);
		gnutls_x509_privkey_deinit(key);
		return x509_fail(f, -EIO, "authority.crt", ret);
	}
	ret = authority_wrap(out, crt, key);
	return ret < 0 ? x509_fail(f, -ENOMEM, "authority.crt", ret) : 0;
}

int authority_from_pem(struct authority **out, struct span certificate,
		       const struct span *key_pem, struct failure *f)
{
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t crt;
	int ret = x509_crt_import(&crt, certificate);

	if (ret < 0)
		return x509_fail(f, -EINVAL, "authority.crt", ret);
	if (key_pem) {
		ret = x509_key_import(&key, *key_pem);
		if (ret < 0) {
			gnutls_x509_crt_deinit(crt);
			return x509_fail(f, -EINVAL, "authority.key", ret);
		}
		if (x509_crt_has_key(crt, key) < 0) {
			gnutls_x509_crt_deinit(crt);
			gnutls_x509_privkey_deinit(key);
			return failure_set(f, -EINVAL, "authority.key", NULL,
					   "not the key of authority.crt");
		}
	}
	ret = authority_wrap(out, crt, key);
	return ret < 0 ? x509_fail(f, -ENOMEM, "authority.crt", ret) : 0;
}

int authority_load(struct authority **out, const char *dir, struct failure *f)
{
	struct blob crt = { 0 }, key = { 0 };
	struct span crt_span, key_span;
	int ret = state_read(dir, "authority.crt", &crt, f);

	if (ret < 0)
		return ret;
	ret = state_read(dir, "authority.key", &key, NULL);
	if (ret < 0 && ret != -ENOENT) {
		blob_free(&crt);
		return failure_set(f, ret, "authority.key", NULL,
				   "cannot be read: %s", strerror(-ret));
	}
	crt_span = x509_span(&crt);
	key_span = x509_span(&key);
	ret = authority_from_pem(out, crt_span, key.data ? &key_span : NULL, f);
	blob_free(&crt);
	blob_free(&key);
	return ret;
}

void authority_free(struct authority *a)
{
	if (!a)
		return;
	authority_forget_key(a);
	gnutls_x509_crt_deinit(a->crt);
	blob_free(&a->pem);
	free(a);
}

bool authority_can_sign(const struct authority *a)
{
	return a->signer != NULL;
}

const u8 *authority_fingerprint(const struct authority *a)
{
	return a->fingerprint;
}

const struct blob *authority_certificate(const struct authority *a)
{
	return &a->pem;
}

int authority_key(const struct authority *a, struct blob *out)
{
	return a->key ? x509_key_export(a->key, out) : -ENOKEY;
}

int authority_adopt_key(struct authority *a, struct span key, struct failure *f)
{
	struct authority *full;
	int ret = authority_from_pem(&full, x509_span(&a->pem), &key, f);

	if (ret < 0)
		return ret;
	authority_forget_key(a);
	a->key = full->key;
	a->signer = full->signer;
	full->key = NULL;
	full->signer = NULL;
	authority_free(full);
	return 0;
}

void authority_forget_key(struct authority *a)
{
	if (a->signer)
		gnutls_privkey_deinit(a->signer);
	if (a->key)
		gnutls_x509_privkey_deinit(a->key);
	a->signer = NULL;
	a->key = NULL;
}

/* What is signed: the purpose, a NUL, and the data. */
static int statement(const char *purpose, struct span data, struct blob *out)
{
	size_t head = strlen(purpose) + 1;

	out->len = head + data.len;
	out->data = malloc(out->len);
	if (!out->data)
		return -ENOMEM;
	memcpy(out->data, purpose, head);
	if (data.len)
		memcpy(out->data + head, data.data, data.len);
	return 0;
}

int authority_sign(struct authority *a, const char *purpose, struct span data,
		   u8 signature[SIGNATURE_MAX])
{
	gnutls_datum_t in, sig = { 0 };
	struct blob text;
	int ret;

	if (!a->signer)
		return -ENOKEY;
	ret = statement(purpose, data, &text);
	if (ret < 0)
		return ret;
	in = x509_datum(x509_span(&text));
	ret = gnutls_privkey_sign_data2(a->signer, GNUTLS_SIGN_ECDSA_SHA256, 0,
					&in, &sig);
	blob_free(&text);
	if (ret < 0)
		return -EIO;
	ret = -EIO;
	if (sig.size <= SIGNATURE_MAX) {
		memcpy(signature, sig.data, sig.size);
		ret = (int)sig.size;
	}
	gnutls_free(sig.data);
	return ret;
}

int authority_verify(const struct authority *a, const char *purpose,
		     struct span data, struct span signature)
{
	gnutls_datum_t in, sig = x509_datum(signature);
	gnutls_pubkey_t key;
	struct blob text;
	int ret = statement(purpose, data, &text);

	if (ret < 0)
		return ret;
	if (gnutls_pubkey_init(&key) < 0) {
		blob_free(&text);
		return -ENOMEM;
	}
	in = x509_datum(x509_span(&text));
	ret = gnutls_pubkey_import_x509(key, a->crt, 0);
	if (ret >= 0)
		ret = gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_ECDSA_SHA256,
						 0, &in, &sig);
	gnutls_pubkey_deinit(key);
	blob_free(&text);
	return ret < 0 ? -EKEYREJECTED : 0;
}
