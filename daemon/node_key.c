// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A node's own key, and the PKCS#10 requests by which it asks the authority for a
 * certificate; the contract is in authority.h.
 */
#include "x509.h"

enum { REQUEST_MAX_BYTES = 16 << 10 };

int node_key_create(struct blob *pem, struct failure *f)
{
	gnutls_x509_privkey_t key;
	int ret = x509_key_generate(&key);

	if (ret < 0)
		return x509_fail(f, -EIO, "node.key", ret);
	ret = x509_key_export(key, pem);
	gnutls_x509_privkey_deinit(key);
	return ret < 0 ? failure_set(f, ret, "node.key", NULL, "out of memory") :
			 0;
}

static int x509_request_import(gnutls_x509_crq_t *crq, struct span der)
{
	gnutls_datum_t d = x509_datum(der);

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
int x509_request_key(struct span der, gnutls_pubkey_t *key)
{
	gnutls_x509_crq_t crq;
	int ret = x509_request_import(&crq, der);

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

int node_request_key_hash(struct span der, u8 hash[32])
{
	gnutls_x509_crq_t crq;
	size_t len = 32;
	int ret = x509_request_import(&crq, der);

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
	int ret = x509_key_import(&key, pem);

	if (ret < 0)
		return x509_fail(f, -EINVAL, "node.key", ret);
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
		return x509_fail(f, -EIO, "signing request", ret);
	ret = x509_blob_take(der, &d);
	return ret < 0 ? failure_set(f, ret, "signing request", NULL,
				     "out of memory") :
			 0;
}
