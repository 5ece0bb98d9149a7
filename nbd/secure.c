// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TLS over GnuTLS; the contract is in secure.h. Records are gathered in a buffer
 * of each direction, so that many of them cost one call of the kernel; a record
 * is made only when there is room for it, so GnuTLS never has to try again.
 */
#include "secure.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RECORD_MAX = 16384,
	RECORD_ROOM = RECORD_MAX + 256,
	BUFFER_BYTES = 16 * RECORD_ROOM,
	SERIAL_MAX = 40, /* hex digits */
};

struct secure_keys {
	u32 refs;
	gnutls_certificate_credentials_t cert;
	gnutls_psk_server_credentials_t psk;
	gnutls_priority_t priority;
};

struct secure {
	gnutls_session_t session;
	struct secure_keys *keys;
	int fd;
	char peer[SECURE_NAME_MAX + 1];
	char serial[SERIAL_MAX + 1]; /* hex; "": no certificate */
	size_t in_at;
	size_t in_len;
	size_t out_at;
	size_t out_len;
	u8 stage[RECORD_MAX]; /* small pieces become one record here */
	u8 in[BUFFER_BYTES];
	u8 out[BUFFER_BYTES];
};

static int keys_failure(const char *object, int ret, struct failure *f)
{
	return failure_set(f, ret == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL,
			   object, NULL, "%s", gnutls_strerror(ret));
}

static int load_certificates(struct secure_keys *k, const char *dir,
			     struct failure *f)
{
	static const char *const names[2][3] = {
		{ "node.crt", "node.key", "authority.crt" },
		{ "server-cert.pem", "server-key.pem", "ca-cert.pem" },
	};
	char path[3][PATH_MAX];
	int style = 0;
	int ret;
	int i;

	snprintf(path[0], PATH_MAX, "%s/%s", dir, names[0][0]);
	if (access(path[0], F_OK))
		style = 1;
	for (i = 0; i < 3; i++) {
		snprintf(path[i], PATH_MAX, "%s/%s", dir, names[style][i]);
		if (access(path[i], R_OK))
			return failure_set(f, -errno, path[i], NULL, "%s",
					   strerror(errno));
	}
	ret = gnutls_certificate_allocate_credentials(&k->cert);
	if (ret < 0)
		return keys_failure(dir, ret, f);
	ret = gnutls_certificate_set_x509_trust_file(k->cert, path[2],
						     GNUTLS_X509_FMT_PEM);
	if (ret < 0)
		return keys_failure(path[2], ret, f);
	ret = gnutls_certificate_set_x509_key_file(k->cert, path[0], path[1],
						   GNUTLS_X509_FMT_PEM);
	return ret < 0 ? keys_failure(path[0], ret, f) : 0;
}

static int load_psk(struct secure_keys *k, const char *file, struct failure *f)
{
	int ret;

	if (access(file, R_OK))
		return failure_set(f, -errno, file, NULL, "%s",
				   strerror(errno));
	ret = gnutls_psk_allocate_server_credentials(&k->psk);
	if (ret >= 0)
		ret = gnutls_psk_set_server_credentials_file(k->psk, file);
	return ret < 0 ? keys_failure(file, ret, f) : 0;
}

int secure_keys_load(struct secure_keys **out, const char *dir,
		     const char *psk, struct failure *f)
{
	struct secure_keys *k = calloc(1, sizeof(*k));
	int ret;

	if (!k)
		return failure_set(f, -ENOMEM, "TLS", NULL, "out of memory");
	k->refs = 1;
	ret = dir ? load_certificates(k, dir, f) : 0;
	if (!ret && psk)
		ret = load_psk(k, psk, f);
	if (!ret && gnutls_priority_init(&k->priority,
					 "NORMAL:-VERS-ALL:+VERS-TLS1.3:"
					 "-CIPHER-ALL:+AES-128-GCM:"
					 "+AES-256-GCM:+CHACHA20-POLY1305:"
					 "+ECDHE-PSK:+DHE-PSK:+PSK", NULL) < 0)
		ret = failure_set(f, -EINVAL, "TLS", NULL,
				  "this GnuTLS has no TLS 1.3");
	if (ret) {
		secure_keys_put(k);
		return ret;
	}
	*out = k;
	return 0;
}

void secure_keys_put(struct secure_keys *k)
{
	if (!k || --k->refs)
		return;
	if (k->cert)
		gnutls_certificate_free_credentials(k->cert);
	if (k->psk)
		gnutls_psk_free_server_credentials(k->psk);
	if (k->priority)
		gnutls_priority_deinit(k->priority);
	free(k);
}

static ssize_t pull(gnutls_transport_ptr_t arg, void *data, size_t len)
{
	struct secure *s = arg;
	size_t left = s->in_len - s->in_at;

	if (!left) {
		ssize_t n = recv(s->fd, s->in, sizeof(s->in), MSG_DONTWAIT);

		if (n <= 0) {
			gnutls_transport_set_errno(s->session, n ? errno : 0);
			return n;
		}
		s->in_at = 0;
		s->in_len = left = (size_t)n;
	}
	if (len > left)
		len = left;
	memcpy(data, s->in + s->in_at, len);
	s->in_at += len;
	return (ssize_t)len;
}

static size_t out_room(const struct secure *s)
{
	return sizeof(s->out) - s->out_len;
}

static ssize_t push(gnutls_transport_ptr_t arg, const giovec_t *v, int count)
{
	struct secure *s = arg;
	size_t len = 0;
	int i;

	for (i = 0; i < count; i++)
		len += v[i].iov_len;
	if (len > out_room(s) && secure_flush(s) < 0) {
		gnutls_transport_set_errno(s->session, EAGAIN);
		return -1;
	}
	if (len > out_room(s)) {
		gnutls_transport_set_errno(s->session, EMSGSIZE);
		return -1;
	}
	for (i = 0; i < count; i++) {
		memcpy(s->out + s->out_len, v[i].iov_base, v[i].iov_len);
		s->out_len += v[i].iov_len;
	}
	return (ssize_t)len;
}

struct secure *secure_new(struct secure_keys *k, int fd)
{
	struct secure *s = malloc(sizeof(*s));
	int ret;

	if (!s)
		return NULL;
	memset(s, 0, offsetof(struct secure, stage));
	s->fd = fd;
	if (gnutls_init(&s->session, GNUTLS_SERVER | GNUTLS_NONBLOCK |
			GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS) < 0) {
		free(s);
		return NULL;
	}
	s->keys = k;
	k->refs++;
	ret = gnutls_priority_set(s->session, k->priority);
	if (ret >= 0 && k->cert)
		ret = gnutls_credentials_set(s->session,
					     GNUTLS_CRD_CERTIFICATE, k->cert);
	if (ret >= 0 && k->psk)
		ret = gnutls_credentials_set(s->session, GNUTLS_CRD_PSK,
					     k->psk);
	if (ret < 0) {
		secure_free(s);
		return NULL;
	}
	gnutls_certificate_server_set_request(s->session, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_cert(s->session, NULL, 0);
	gnutls_transport_set_ptr(s->session, s);
	gnutls_transport_set_pull_function(s->session, pull);
	gnutls_transport_set_vec_push_function(s->session, push);
	return s;
}

void secure_free(struct secure *s)
{
	if (!s)
		return;
	gnutls_deinit(s->session);
	secure_keys_put(s->keys);
	free(s);
}

static int peer_serial(struct secure *s, gnutls_x509_crt_t cert)
{
	u8 serial[SERIAL_MAX / 2];
	size_t size = sizeof(serial);
	int ret = gnutls_x509_crt_get_serial(cert, serial, &size);
	size_t i;

	for (i = 0; ret >= 0 && i < size; i++)
		snprintf(s->serial + 2 * i, 3, "%02x", serial[i]);
	return ret;
}

static int peer_certificate(struct secure *s)
{
	unsigned int count;
	const gnutls_datum_t *chain =
		gnutls_certificate_get_peers(s->session, &count);
	size_t size = sizeof(s->peer);
	gnutls_x509_crt_t cert;
	int ret;

	if (!chain || !count || gnutls_x509_crt_init(&cert) < 0)
		return -EACCES;
	ret = gnutls_x509_crt_import(cert, &chain[0], GNUTLS_X509_FMT_DER);
	if (ret >= 0)
		ret = peer_serial(s, cert);
	if (ret >= 0)
		ret = gnutls_x509_crt_get_dn_by_oid(
			cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, s->peer,
			&size);
	gnutls_x509_crt_deinit(cert);
	if (ret == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		ret = 0; /* no common name: it owns nothing */
	return ret < 0 || strlen(s->peer) != size ? -EACCES : 0;
}

static int learn_peer(struct secure *s)
{
	const char *name;

	if (gnutls_auth_get_type(s->session) != GNUTLS_CRD_PSK)
		return peer_certificate(s);
	name = gnutls_psk_server_get_username(s->session);
	if (!name || strlen(name) > SECURE_NAME_MAX)
		return -EACCES;
	strcpy(s->peer, name);
	return 0;
}

int secure_handshake(struct secure *s, const char **why)
{
	int ret = gnutls_handshake(s->session);
	int flushed = secure_flush(s);

	if (ret == GNUTLS_E_AGAIN || ret == GNUTLS_E_INTERRUPTED)
		return flushed && flushed != -EAGAIN ? flushed : -EAGAIN;
	*why = gnutls_strerror(ret);
	if (ret < 0) {
		gnutls_alert_send_appropriate(s->session, ret);
		secure_flush(s);
		return -EACCES;
	}
	*why = "certificate without a proper name";
	return learn_peer(s);
}

bool secure_peer_is(const struct secure *s, const char *owner)
{
	const char *mark = strchr(owner, ':');
	size_t len = mark ? (size_t)(mark - owner) : strlen(owner);
	size_t stem = mark ? strlen(mark + 1) : 0;

	if (!s->peer[0] || strlen(s->peer) != len || memcmp(s->peer, owner, len))
		return false;
	return !mark || (stem && !strncmp(s->serial, mark + 1, stem));
}

ssize_t secure_recv(struct secure *s, void *data, size_t len)
{
	ssize_t n;

	do
		n = gnutls_record_recv(s->session, data, len);
	while (n == GNUTLS_E_INTERRUPTED);
	if (n >= 0)
		return n;
	return n == GNUTLS_E_AGAIN ? -EAGAIN : -ECONNRESET;
}

int secure_flush(struct secure *s)
{
	while (s->out_at < s->out_len) {
		ssize_t n = send(s->fd, s->out + s->out_at,
				 s->out_len - s->out_at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		s->out_at += n > 0 ? (size_t)n : 0;
	}
	s->out_at = 0;
	s->out_len = 0;
	return 0;
}

static int send_record(struct secure *s, const u8 *data, size_t len)
{
	ssize_t n = gnutls_record_send(s->session, data, len);

	return n == (ssize_t)len ? 0 : -ECONNRESET;
}

/* Gathers up to a record from @v, past @skip bytes; bytes gathered. */
static size_t gather(struct secure *s, const struct iovec *v, u32 count,
		     size_t skip)
{
	size_t len = 0;

	while (count && len < RECORD_MAX) {
		size_t part = v->iov_len - skip;

		if (part > RECORD_MAX - len)
			part = RECORD_MAX - len;
		memcpy(s->stage + len, (const u8 *)v->iov_base + skip, part);
		len += part;
		skip = 0;
		v++;
		count--;
	}
	return len;
}

ssize_t secure_send(struct secure *s, const struct iovec *v, u32 count)
{
	size_t skip = 0; /* bytes of v[0] that are done */
	size_t taken = 0;
	int ret = 0;

	while (count) {
		size_t len;

		if (out_room(s) < RECORD_ROOM) {
			ret = secure_flush(s);
			if (ret)
				break;
		}
		if (v->iov_len - skip >= RECORD_MAX) {
			len = RECORD_MAX;
			ret = send_record(s, (u8 *)v->iov_base + skip, len);
		} else {
			len = gather(s, v, count, skip);
			ret = send_record(s, s->stage, len);
		}
		if (ret)
			break;
		taken += len;
		for (skip += len; count && skip >= v->iov_len; count--)
			skip -= v++->iov_len;
	}
	if (ret && ret != -EAGAIN)
		return ret;
	return taken || !ret ? (ssize_t)taken : ret;
}

void secure_bye(struct secure *s)
{
	gnutls_bye(s->session, GNUTLS_SHUT_WR);
	secure_flush(s);
}
