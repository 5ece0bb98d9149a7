// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cloud's authority over GnuTLS's X.509 functions. Nothing here touches the
 * network or the catalog, and nothing is kept beyond the key and certificate.
 *
 * Certificates begin a little in the past, so that a node whose clock is
 * slightly behind can use one at once; the renewal rule counts from there.
 */
#include "authority.h"

#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <time.h>

#include "state.h"
#include "tls.h"

enum {
	AUTHORITY_LIFE_S = 30 * 365 * 24 * 3600, /* fits 32 bits */
	BACKDATE_MAX_S = 300,
	REQUEST_MAX_BYTES = 16 << 10,
};

struct authority {
	gnutls_x509_crt_t crt;
	gnutls_privkey_t signer; /* NULL without the key */
	gnutls_x509_privkey_t key; /* NULL without the key */
	struct blob pem;
	u8 fingerprint[FINGERPRINT_BYTES];
};

static int fail(struct failure *f, int code, const char *object, int gnutls)
{
	return failure_set(f, code, object, NULL, "%s",
			   gnutls_strerror(gnutls));
}

void blob_free(struct blob *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	free(b->data);
	*b = (struct blob){ 0 };
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
static int blob_take_datum(struct blob *b, gnutls_datum_t *d)
{
	int ret = blob_take(b, d->data, d->size);

	gnutls_memset(d->data, 0, d->size);
	gnutls_free(d->data);
	return ret;
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

static gnutls_datum_t datum_of(struct span s)
{
	return (gnutls_datum_t){ .data = (unsigned char *)s.data,
				 .size = s.len };
}

static struct span blob_span(const struct blob *b)
{
	return (struct span){ .data = (const u8 *)b->data,
			      .len = (u32)b->len };
}

static int key_generate(gnutls_x509_privkey_t *key)
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

static int key_import(gnutls_x509_privkey_t *key, struct span pem)
{
	gnutls_datum_t d = datum_of(pem);
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

static int key_export(gnutls_x509_privkey_t key, struct blob *out)
{
	gnutls_datum_t d = { 0 };

	if (gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
					      GNUTLS_PKCS_PLAIN, &d) < 0)
		return -ENOMEM;
	return blob_take_datum(out, &d);
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
	hex = datum_of(span_of(stem));
	if (hex.size != STEM_DIGITS ||
	    gnutls_hex_decode(&hex, serial, &len) < 0 || len != STEM_BYTES ||
	    (serial[0] & 0xc0) != 0x40)
		return -EINVAL;
	return 0;
}

static int crt_set_subject(gnutls_x509_crt_t crt, const char *name,
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

static int crt_set_basics(gnutls_x509_crt_t crt, const char *stem, s64 from_s,
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
	if (ret >= 0 && blob_take_datum(&a->pem, &d) < 0)
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
		ret = crt_set_subject(crt, name, cloud);
	if (ret >= 0)
		ret = crt_set_basics(crt, NULL, now - 24 * 3600,
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
	int ret = key_generate(&key);

	if (ret < 0)
		return fail(f, -EIO, "authority.key", ret);
	ret = gnutls_x509_crt_init(&crt);
	if (ret < 0) {
		gnutls_x509_privkey_deinit(key);
		return fail(f, -ENOMEM, "authority.crt", ret);
	}
	ret = authority_self_sign(crt, key, cloud);
	if (ret >= 0)
		ret = crt_reimport(&crt);
	if (ret < 0) {
		if (crt)
			gnutls_x509_crt_deinit(crt);
		gnutls_x509_privkey_deinit(key);
		return fail(f, -EIO, "authority.crt", ret);
	}
	ret = authority_wrap(out, crt, key);
	return ret < 0 ? fail(f, -ENOMEM, "authority.crt", ret) : 0;
}

/* 0 when @key is the private half of @crt's key. */
static int crt_has_key(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
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

static int crt_import(gnutls_x509_crt_t *crt, struct span pem)
{
	gnutls_datum_t d = datum_of(pem);
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

int authority_from_pem(struct authority **out, struct span certificate,
		       const struct span *key_pem, struct failure *f)
{
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t crt;
	int ret = crt_import(&crt, certificate);

	if (ret < 0)
		return fail(f, -EINVAL, "authority.crt", ret);
	if (key_pem) {
		ret = key_import(&key, *key_pem);
		if (ret < 0) {
			gnutls_x509_crt_deinit(crt);
			return fail(f, -EINVAL, "authority.key", ret);
		}
		if (crt_has_key(crt, key) < 0) {
			gnutls_x509_crt_deinit(crt);
			gnutls_x509_privkey_deinit(key);
			return failure_set(f, -EINVAL, "authority.key", NULL,
					   "not the key of authority.crt");
		}
	}
	ret = authority_wrap(out, crt, key);
	return ret < 0 ? fail(f, -ENOMEM, "authority.crt", ret) : 0;
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
	crt_span = blob_span(&crt);
	key_span = blob_span(&key);
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
	return a->key ? key_export(a->key, out) : -ENOKEY;
}

int authority_adopt_key(struct authority *a, struct span key, struct failure *f)
{
	struct authority *full;
	int ret = authority_from_pem(&full, blob_span(&a->pem), &key, f);

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

static int request_import(gnutls_x509_crq_t *crq, struct span der)
{
	gnutls_datum_t d = datum_of(der);

	if (!der.len || der.len > REQUEST_MAX_BYTES)
		return -EBADMSG;
	if (gnutls_x509_crq_init(crq) < 0)
		return -ENOMEM;
	if (gnutls_x509_crq_import(*crq, &d, GNUTLS_X509_FMT_DER) < 0 ||
	    gnutls_x509_crq_verify(*crq, 0) < 0) {
		gnutls_x509_crq_deinit(*crq);
		*crq = NULL;
		return -EBADMSG;
	}
	return 0;
}

static int crt_sign_node(struct authority *a, gnutls_x509_crt_t crt,
			 gnutls_pubkey_t key, const struct issue *want,
			 struct issued *out)
{
	s64 back = want->life_s / 10 < BACKDATE_MAX_S ? want->life_s / 10 :
							BACKDATE_MAX_S;
	u8 serial[SERIAL_BYTES], id[32];
	size_t idlen = sizeof(id);
	int ret;

	out->expires_s = want->now_s + want->life_s;
	ret = gnutls_x509_crt_set_pubkey(crt, key);
	if (ret >= 0)
		ret = crt_set_subject(crt, want->name, want->cloud);
	if (ret >= 0)
		ret = crt_set_basics(crt, want->stem, want->now_s - back,
				     out->expires_s, serial);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_key_usage(
			crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_key_purpose_oid(
			crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_key_purpose_oid(
			crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_subject_alt_name(
			crt, GNUTLS_SAN_DNSNAME, want->name,
			(unsigned int)strlen(want->name), GNUTLS_FSAN_SET);
	if (ret >= 0)
		ret = gnutls_x509_crt_get_subject_key_id(a->crt, id, &idlen,
							 NULL);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_authority_key_id(crt, id, idlen);
	if (ret >= 0)
		ret = gnutls_x509_crt_sign2(crt, a->crt, a->key,
					    GNUTLS_DIG_SHA256, 0);
	if (ret >= 0)
		hex_of(serial, sizeof(serial), out->serial);
	return ret;
}

static bool key_is_p256(gnutls_pubkey_t key)
{
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
	gnutls_datum_t x = { 0 }, y = { 0 };

	if (gnutls_pubkey_get_pk_algorithm(key, NULL) != GNUTLS_PK_ECDSA ||
	    gnutls_pubkey_export_ecc_raw2(key, &curve, &x, &y, 0) < 0)
		return false;
	gnutls_free(x.data);
	gnutls_free(y.data);
	return curve == GNUTLS_ECC_CURVE_SECP256R1;
}

/* The public key of a request, once its maker has proven to hold the other
 * half.
 */
static int request_key(struct span der, gnutls_pubkey_t *key)
{
	gnutls_x509_crq_t crq;
	int ret = request_import(&crq, der);

	if (ret < 0)
		return ret;
	ret = gnutls_pubkey_init(key);
	if (ret >= 0) {
		ret = gnutls_pubkey_import_x509_crq(*key, crq, 0);
		if (ret < 0)
			gnutls_pubkey_deinit(*key);
	}
	gnutls_x509_crq_deinit(crq);
	if (ret < 0)
		return -EBADMSG;
	if (key_is_p256(*key))
		return 0;
	gnutls_pubkey_deinit(*key);
	return -EKEYREJECTED;
}

int authority_issue(struct authority *a, struct span der,
		    const struct issue *want, struct issued *out,
		    struct failure *f)
{
	gnutls_datum_t pem = { 0 };
	gnutls_x509_crt_t crt;
	gnutls_pubkey_t key;
	int ret;

	memset(out, 0, sizeof(*out));
	if (!a->signer)
		return failure_set(f, -ENOKEY, "certificate",
				   "ask the home node",
				   "this node does not hold the authority");
	ret = request_key(der, &key);
	if (ret < 0)
		return failure_set(f, ret, "certificate", NULL,
				   ret == -EKEYREJECTED ?
					   "the request's key is not ECDSA P-256" :
					   "the signing request is malformed");
	ret = gnutls_x509_crt_init(&crt);
	if (ret >= 0) {
		ret = crt_sign_node(a, crt, key, want, out);
		if (ret >= 0)
			ret = gnutls_x509_crt_export2(
				crt, GNUTLS_X509_FMT_PEM, &pem);
		if (ret >= 0 && blob_take_datum(&out->pem, &pem) < 0)
			ret = GNUTLS_E_MEMORY_ERROR;
		gnutls_x509_crt_deinit(crt);
	}
	gnutls_pubkey_deinit(key);
	return ret < 0 ? fail(f, -EIO, "certificate", ret) : 0;
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
	in = datum_of(blob_span(&text));
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
	gnutls_datum_t in, sig = datum_of(signature);
	gnutls_pubkey_t key;
	struct blob text;
	int ret = statement(purpose, data, &text);

	if (ret < 0)
		return ret;
	if (gnutls_pubkey_init(&key) < 0) {
		blob_free(&text);
		return -ENOMEM;
	}
	in = datum_of(blob_span(&text));
	ret = gnutls_pubkey_import_x509(key, a->crt, 0);
	if (ret >= 0)
		ret = gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_ECDSA_SHA256,
						 0, &in, &sig);
	gnutls_pubkey_deinit(key);
	blob_free(&text);
	return ret < 0 ? -EKEYREJECTED : 0;
}

static int check_issued(const struct authority *a, gnutls_x509_crt_t crt,
			struct span key_pem, const char *name,
			struct failure *f)
{
	gnutls_x509_privkey_t key;
	char cn[NODE_NAME_MAX + 1];
	size_t len = sizeof(cn);
	unsigned int status = 0;
	int ret;

	ret = gnutls_x509_crt_verify(crt, &a->crt, 1, 0, &status);
	if (ret >= 0 &&
	    status & (GNUTLS_CERT_NOT_ACTIVATED | GNUTLS_CERT_EXPIRED))
		return failure_set(f, -EKEYREJECTED, "certificate",
				   "set both machines' clocks",
				   "not valid at this machine's time: its clock and the home node's disagree");
	if (ret < 0 || status)
		return failure_set(f, -EKEYREJECTED, "certificate", NULL,
				   "not signed by the cloud's authority");
	ret = gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0,
					    0, cn, &len);
	if (ret < 0 || strcmp(cn, name) != 0)
		return failure_set(f, -EKEYREJECTED, "certificate", NULL,
				   "made for another name than '%s'", name);
	ret = key_import(&key, key_pem);
	if (ret < 0)
		return fail(f, -EKEYREJECTED, "node.key", ret);
	ret = crt_has_key(crt, key);
	gnutls_x509_privkey_deinit(key);
	if (ret < 0)
		return failure_set(f, -EKEYREJECTED, "certificate", NULL,
				   "made for another key");
	return 0;
}

int authority_check_issued(const struct authority *a, struct span pem,
			   struct span key, const char *name,
			   struct failure *f)
{
	gnutls_x509_crt_t crt;
	int ret = crt_import(&crt, pem);

	if (ret < 0)
		return fail(f, -EKEYREJECTED, "certificate", ret);
	ret = check_issued(a, crt, key, name, f);
	gnutls_x509_crt_deinit(crt);
	return ret;
}

int node_key_create(struct blob *pem, struct failure *f)
{
	gnutls_x509_privkey_t key;
	int ret = key_generate(&key);

	if (ret < 0)
		return fail(f, -EIO, "node.key", ret);
	ret = key_export(key, pem);
	gnutls_x509_privkey_deinit(key);
	return ret < 0 ? failure_set(f, ret, "node.key", NULL, "out of memory") :
			 0;
}

int node_request_key_hash(struct span der, u8 hash[32])
{
	gnutls_x509_crq_t crq;
	size_t len = 32;
	int ret = request_import(&crq, der);

	if (ret < 0)
		return ret;
	ret = gnutls_x509_crq_get_key_id(crq, GNUTLS_KEYID_USE_SHA256, hash,
					 &len);
	gnutls_x509_crq_deinit(crq);
	return ret < 0 || len != 32 ? -EBADMSG : 0;
}

static int request_fill(gnutls_x509_crq_t crq, gnutls_x509_privkey_t key,
			const char *name)
{
	int ret = gnutls_x509_crq_set_version(crq, 1);

	if (ret >= 0)
		ret = gnutls_x509_crq_set_dn_by_oid(
			crq, GNUTLS_OID_X520_COMMON_NAME, 0, name,
			(unsigned int)strlen(name));
	if (ret >= 0)
		ret = gnutls_x509_crq_set_key(crq, key);
	if (ret >= 0)
		ret = gnutls_x509_crq_sign2(crq, key, GNUTLS_DIG_SHA256, 0);
	return ret;
}

int node_request_create(struct span pem, const char *name, struct blob *der,
			struct failure *f)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crq_t crq;
	gnutls_datum_t d = { 0 };
	int ret = key_import(&key, pem);

	if (ret < 0)
		return fail(f, -EINVAL, "node.key", ret);
	ret = gnutls_x509_crq_init(&crq);
	if (ret >= 0) {
		ret = request_fill(crq, key, name);
		if (ret >= 0)
			ret = gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_DER,
						      &d);
		gnutls_x509_crq_deinit(crq);
	}
	gnutls_x509_privkey_deinit(key);
	if (ret < 0)
		return fail(f, -EIO, "signing request", ret);
	ret = blob_take_datum(der, &d);
	return ret < 0 ? failure_set(f, ret, "signing request", NULL,
				     "out of memory") :
			 0;
}
