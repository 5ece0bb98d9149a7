// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The identities that TLS sessions prove: certificate and key of this node, how long
 * they are valid, and whom they refuse; the contract is in tls.h.
 */
#include "tls_impl.h"

#include <stdio.h>
#include <stdlib.h>

enum { RENEWED_ASK_S = 60 }; /* before the end of a certificate's life */

int tls_certificate_read(struct tls_peer *p, gnutls_x509_crt_t crt)
{
	char name[256];
	size_t size = sizeof(name);
	u8 serial[TLS_SERIAL_MAX / 2];
	size_t serial_len = sizeof(serial);
	size_t i;

	if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0,
					  0, name, &size) ||
	    size == 0 || size > NODE_NAME_MAX)
		return -EPROTO;
	if (gnutls_x509_crt_get_serial(crt, serial, &serial_len))
		return -EPROTO;
	memcpy(p->node, name, size);
	p->node[size] = '\0';
	for (i = 0; i < serial_len; i++)
		snprintf(p->serial + 2 * i, 3, "%02x", serial[i]);
	p->expires_s = gnutls_x509_crt_get_expiration_time(crt);
	return strlen(p->node) == size ? 0 : -EPROTO;
}

static int load_pem(gnutls_datum_t *out, const char *dir, const char *name,
		    struct failure *f)
{
	char path[4096];
	int ret;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    (int)sizeof(path))
		return failure_set(f, -ENAMETOOLONG, name, NULL,
				   "the folder's path is too long");
	ret = gnutls_load_file(path, out);
	if (ret == 0)
		return 0;
	return failure_set(f, errno == EACCES ? -EACCES : -ENOENT, path,
			   errno == EACCES ? "run it as root" :
					     "virgo init, or virgo join",
			   "cannot be read: %s", strerror(errno));
}

/* Puts node certificate, authority and key of @dir into @id. */
static int load_credentials(struct tls_identity *id, const char *dir,
			    struct failure *f)
{
	gnutls_datum_t pem[3] = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
	gnutls_x509_crt_t chain[2] = { NULL, NULL };
	gnutls_x509_privkey_t key = NULL;
	int ret;

	if ((ret = load_pem(&pem[0], dir, "node.crt", f)) ||
	    (ret = load_pem(&pem[1], dir, "authority.crt", f)) ||
	    (ret = load_pem(&pem[2], dir, "node.key", f)))
		goto out;
	if ((ret = gnutls_x509_crt_init(&chain[0])) ||
	    (ret = gnutls_x509_crt_init(&chain[1])) ||
	    (ret = gnutls_x509_privkey_init(&key)) ||
	    (ret = gnutls_x509_crt_import(chain[0], &pem[0],
					  GNUTLS_X509_FMT_PEM)) ||
	    (ret = gnutls_x509_crt_import(chain[1], &pem[1],
					  GNUTLS_X509_FMT_PEM)) ||
	    (ret = gnutls_x509_privkey_import(key, &pem[2],
					      GNUTLS_X509_FMT_PEM)) ||
	    (ret = gnutls_certificate_set_x509_key(id->cred, chain, 2, key)) ||
	    (ret = gnutls_certificate_set_x509_trust(id->cred, &chain[1], 1)) <
		    0) {
		ret = failure_set(f, -EPROTO, dir, "virgo init, or virgo join",
				  "not a usable identity: %s",
				  gnutls_strerror(ret));
		goto out;
	}
	ret = tls_certificate_read(&id->self, chain[0]);
	id->issued_s = gnutls_x509_crt_get_activation_time(chain[0]);
	if (ret)
		failure_set(f, ret, dir, "virgo init, or virgo join",
			    "node.crt names no node");
out:
	gnutls_x509_crt_deinit(chain[0]);
	gnutls_x509_crt_deinit(chain[1]);
	gnutls_x509_privkey_deinit(key);
	gnutls_free(pem[0].data);
	gnutls_free(pem[1].data);
	if (pem[2].data)
		gnutls_memset(pem[2].data, 0, pem[2].size);
	gnutls_free(pem[2].data);
	return ret;
}

int tls_identity_load(struct tls_identity **out, const char *dir,
		      struct failure *f)
{
	struct tls_identity *id = calloc(1, sizeof(*id));
	int ret;

	*out = NULL;
	if (!id || gnutls_certificate_allocate_credentials(&id->cred)) {
		free(id);
		return failure_set(f, -ENOMEM, dir, NULL, "out of memory");
	}
	atomic_init(&id->refs, 1);
	ret = load_credentials(id, dir, f);
	if (ret) {
		tls_identity_put(id);
		return ret;
	}
	*out = id;
	return 0;
}

void tls_identity_put(struct tls_identity *id)
{
	if (!id || atomic_fetch_sub(&id->refs, 1) > 1)
		return;
	gnutls_certificate_free_credentials(id->cred);
	free(id);
}

const char *tls_identity_node(const struct tls_identity *id)
{
	return id->self.node;
}

const char *tls_identity_serial(const struct tls_identity *id)
{
	return id->self.serial;
}

s64 tls_identity_expires(const struct tls_identity *id)
{
	return id->self.expires_s;
}

s64 tls_identity_issued(const struct tls_identity *id)
{
	return id->issued_s;
}

void tls_identity_set_refused(struct tls_identity *id,
			      bool (*refused)(const struct tls_peer *peer,
					      void *arg),
			      void *arg)
{
	id->refused = refused;
	id->refused_arg = arg;
}

void tls_identity_set_renewed(struct tls_identity *id,
			      s64 (*renewed)(const struct tls_peer *of,
					     void *arg),
			      void *arg)
{
	id->renewed = renewed;
	id->renewed_arg = arg;
}

bool tls_certificate_current(const struct tls_identity *id,
			     const struct tls_peer *of, s64 *until_s, s64 now_s)
{
	s64 later;

	if (!*until_s || now_s < *until_s - RENEWED_ASK_S)
		return true;
	later = id && id->renewed ? id->renewed(of, id->renewed_arg) : 0;
	if (later > *until_s)
		*until_s = later;
	return now_s <= *until_s;
}
