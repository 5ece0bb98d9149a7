// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Certificates of nodes: the authority issues them, a node checks the one that it
 * was given. The contract is in authority.h.
 *
 * A certificate begins a little in the past, so that a node whose clock is
 * slightly behind can use one at once; the renewal rule counts from there.
 */
#include "tls.h"
#include "x509.h"

enum { BACKDATE_MAX_S = 300 };

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
		ret = x509_crt_set_subject(crt, want->name, want->cloud);
	if (ret >= 0)
		ret = x509_crt_set_basics(crt, want->stem, want->now_s - back,
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
	ret = x509_request_key(der, &key);
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
		if (ret >= 0 && x509_blob_take(&out->pem, &pem) < 0)
			ret = GNUTLS_E_MEMORY_ERROR;
		gnutls_x509_crt_deinit(crt);
	}
	gnutls_pubkey_deinit(key);
	return ret < 0 ? x509_fail(f, -EIO, "certificate", ret) : 0;
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
	ret = x509_key_import(&key, key_pem);
	if (ret < 0)
		return x509_fail(f, -EKEYREJECTED, "node.key", ret);
	ret = x509_crt_has_key(crt, key);
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
	int ret = x509_crt_import(&crt, pem);

	if (ret < 0)
		return x509_fail(f, -EKEYREJECTED, "certificate", ret);
	ret = check_issued(a, crt, key, name, f);
	gnutls_x509_crt_deinit(crt);
	return ret;
}
