// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * TLS 1.3 sessions over GnuTLS; the contract is in tls.h. Identities are in
 * tls_identity.c.
 *
 * A peer's certificate is judged inside the handshake, by verify_peer(), so a
 * refused peer gets an alert and never a byte of ours. Tickets are off: every
 * connection proves its certificate anew, which a removal depends on.
 */
#include "tls_impl.h"

#include <gnutls/crypto.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define PRIORITY(ciphers)                                                      \
	"NONE:+VERS-TLS1.3:" ciphers                                           \
	"+AEAD:+SHA256:+SHA384:+GROUP-X25519:+GROUP-SECP256R1:"                \
	"+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-EDDSA-ED25519:+CTYPE-X509"

enum {
	FINGERPRINT_BYTES = 32,
	CHAIN_MAX = 4,
	LASTING = 1 << TLS_MODULE | 1 << TLS_FOREIGN,
};

static const char *const class_names[] = {
	[TLS_CONTROL] = "virgo/1",
	[TLS_KERNEL] = "virgo-k/1",
	[TLS_MODULE] = "virgo-ko/1",
	[TLS_JOIN] = "virgo-join/1",
};

struct tls_session {
	gnutls_session_t tls;
	gnutls_certificate_credentials_t own_cred; /* joiner without identity */
	struct tls_identity *id;
	struct tls_io io;
	struct tls_peer peer;
	s64 own_expires_s; /* 0 without a certificate of our own */
	struct failure why;
	char expect[NODE_NAME_MAX + 1];
	u8 pin[FINGERPRINT_BYTES];
	bool server;
	bool pinned;
};

static gnutls_priority_t priority_cache;
/* For those that ask for a connection of which the kernel has an end. */
static gnutls_priority_t lasting_cache;

__attribute__((constructor)) static void tls_setup(void)
{
	/* Failure leaves a cache NULL, which session_new() reports. */
	gnutls_priority_init(&priority_cache,
			     PRIORITY("+AES-128-GCM:+AES-256-GCM:"
				      "+CHACHA20-POLY1305:"), NULL);
	gnutls_priority_init(&lasting_cache, PRIORITY("+CHACHA20-POLY1305:"),
			     NULL);
}

int tls_session_current(struct tls_session *s, s64 now_s, struct failure *f)
{
	if (!tls_certificate_current(s->id, &s->peer, &s->peer.expires_s,
				     now_s))
		return failure_set(f, -EKEYEXPIRED, s->peer.node,
				   "virgo doctor, which compares the clocks",
				   "its certificate has expired");
	if (s->id && !tls_certificate_current(s->id, &s->id->self,
					      &s->own_expires_s, now_s))
		return failure_set(f, -EKEYEXPIRED, s->id->self.node,
				   "virgo doctor, which compares the clocks",
				   "this node's certificate has expired");
	return 0;
}

/* Fails the handshake with a reason; the value aborts it inside GnuTLS. */
static int refuse(struct tls_session *s, const char *what)
{
	failure_set(&s->why, -EACCES, s->peer.node, NULL, "%s", what);
	return GNUTLS_E_CERTIFICATE_ERROR;
}

static int chain_import(gnutls_x509_crt_t *chain, unsigned int *count,
			const gnutls_datum_t *der, unsigned int sent)
{
	unsigned int i;

	*count = 0;
	for (i = 0; i < sent && i < CHAIN_MAX; i++) {
		if (gnutls_x509_crt_init(&chain[i]))
			return -ENOMEM;
		*count = i + 1;
		if (gnutls_x509_crt_import(chain[i], &der[i],
					   GNUTLS_X509_FMT_DER))
			return -EPROTO;
	}
	return sent && sent <= CHAIN_MAX ? 0 : -EPROTO;
}

/* A joiner trusts exactly the authority whose fingerprint it was told. */
static int verify_pinned(struct tls_session *s, gnutls_x509_crt_t *chain,
			 unsigned int count)
{
	u8 print[FINGERPRINT_BYTES];
	size_t size = sizeof(print);
	unsigned int status = 0;
	gnutls_x509_crt_t authority = chain[count - 1];

	if (count < 2 ||
	    gnutls_x509_crt_get_fingerprint(authority, GNUTLS_DIG_SHA256, print,
					    &size) ||
	    gnutls_memcmp(print, s->pin, sizeof(print)))
		return refuse(s, "is not of the cloud the invitation is for");
	if (gnutls_x509_crt_list_verify(chain, 1, &authority, 1, NULL, 0, 0,
					&status) ||
	    status)
		return refuse(s, "its certificate is not valid");
	return 0;
}

static int verify_chain(struct tls_session *s)
{
	unsigned int status = 0;

	if (gnutls_certificate_verify_peers2(s->tls, &status))
		return refuse(s, "its certificate cannot be checked");
	if (!status)
		return 0;
	if (status & GNUTLS_CERT_EXPIRED)
		return refuse(s, "its certificate has expired");
	if (status & GNUTLS_CERT_NOT_ACTIVATED)
		return refuse(s, "its certificate is not valid yet; "
				       "one of the two clocks is wrong");
	return refuse(s, "its certificate is not of this cloud");
}

static int verify_peer(gnutls_session_t tls)
{
	struct tls_session *s = gnutls_session_get_ptr(tls);
	gnutls_x509_crt_t chain[CHAIN_MAX] = { NULL };
	const gnutls_datum_t *der;
	unsigned int sent = 0;
	unsigned int count;
	unsigned int i;
	int ret;

	der = gnutls_certificate_get_peers(tls, &sent);
	if (!der)
		return s->server && s->peer.class == TLS_JOIN ?
			       0 :
			       refuse(s, "it sent no certificate");
	ret = chain_import(chain, &count, der, sent);
	if (ret || tls_certificate_read(&s->peer, chain[0]))
		ret = refuse(s, "its certificate cannot be read");
	else
		ret = s->pinned ? verify_pinned(s, chain, count) :
				  verify_chain(s);
	for (i = 0; i < count; i++)
		gnutls_x509_crt_deinit(chain[i]);
	if (ret)
		return ret;
	if (s->expect[0] && strcmp(s->expect, s->peer.node)) {
		failure_set(&s->why, -ENXIO, s->peer.node, NULL,
			    "is not %s, which was expected there", s->expect);
		return GNUTLS_E_CERTIFICATE_ERROR;
	}
	if (s->id && s->id->refused &&
	    s->id->refused(&s->peer, s->id->refused_arg))
		return refuse(s, "was removed from the cloud");
	return 0;
}

/* What the server asks of a client depends on the class it chose. */
static int after_client_hello(gnutls_session_t tls)
{
	struct tls_session *s = gnutls_session_get_ptr(tls);
	gnutls_datum_t name;
	unsigned int i;

	if (gnutls_alpn_get_selected_protocol(tls, &name))
		return GNUTLS_E_NO_APPLICATION_PROTOCOL;
	for (i = 0; i < ARRAY_SIZE(class_names); i++)
		if (strlen(class_names[i]) == name.size &&
		    !memcmp(class_names[i], name.data, name.size))
			s->peer.class = (enum tls_class)i;
	gnutls_certificate_server_set_request(tls, s->peer.class == TLS_JOIN ?
							   GNUTLS_CERT_IGNORE :
							   GNUTLS_CERT_REQUIRE);
	return 0;
}

static ssize_t io_push(gnutls_transport_ptr_t arg, const void *data, size_t len)
{
	struct tls_session *s = arg;
	ssize_t n = s->io.push(s->io.arg, data, len);

	if (n < 0)
		gnutls_transport_set_errno(s->tls, errno);
	return n;
}

static ssize_t io_pull(gnutls_transport_ptr_t arg, void *data, size_t len)
{
	struct tls_session *s = arg;
	ssize_t n = s->io.pull(s->io.arg, data, len);

	if (n < 0)
		gnutls_transport_set_errno(s->tls, errno);
	return n;
}

static int set_classes(gnutls_session_t tls, unsigned int classes)
{
	gnutls_datum_t names[ARRAY_SIZE(class_names)];
	unsigned int count = 0;
	unsigned int i;

	if (classes == 1u << TLS_FOREIGN)
		return 0;

	for (i = 0; i < ARRAY_SIZE(class_names); i++)
		if (classes & 1u << i)
			names[count++] = (gnutls_datum_t){
				.data = (unsigned char *)class_names[i],
				.size = (unsigned int)strlen(class_names[i]),
			};
	return gnutls_alpn_set_protocols(tls, names, count,
					 GNUTLS_ALPN_MANDATORY);
}

static int session_new(struct tls_session **out, struct tls_identity *id,
		       unsigned int classes, unsigned int side,
		       const struct tls_io *io)
{
	struct tls_session *s = calloc(1, sizeof(*s));
	gnutls_priority_t priority = classes & ~LASTING ? priority_cache :
							  lasting_cache;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->io = *io;
	s->server = side == GNUTLS_SERVER;
	if (id) {
		atomic_fetch_add(&id->refs, 1);
		s->id = id;
		s->own_expires_s = id->self.expires_s;
	} else if (gnutls_certificate_allocate_credentials(&s->own_cred)) {
		goto fail;
	}
	if (gnutls_init(&s->tls, side | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
					 GNUTLS_NO_TICKETS))
		goto fail;
	if (!priority || gnutls_priority_set(s->tls, priority) ||
	    set_classes(s->tls, classes) ||
	    gnutls_credentials_set(s->tls, GNUTLS_CRD_CERTIFICATE,
				   id ? id->cred : s->own_cred))
		goto fail;
	gnutls_session_set_ptr(s->tls, s);
	gnutls_session_set_verify_function(s->tls, verify_peer);
	gnutls_handshake_set_timeout(s->tls, 0);
	gnutls_transport_set_ptr(s->tls, s);
	gnutls_transport_set_push_function(s->tls, io_push);
	gnutls_transport_set_pull_function(s->tls, io_pull);
	*out = s;
	return 0;
fail:
	tls_session_free(s);
	return -ENOMEM;
}

int tls_client(struct tls_session **out, struct tls_identity *id,
	       enum tls_class class, const char *expect, const u8 *pin_sha256,
	       const struct tls_io *io)
{
	int ret = session_new(out, id, 1u << class, GNUTLS_CLIENT, io);

	if (ret)
		return ret;
	(*out)->peer.class = class;
	if (expect)
		snprintf((*out)->expect, sizeof((*out)->expect), "%s", expect);
	if (pin_sha256) {
		memcpy((*out)->pin, pin_sha256, FINGERPRINT_BYTES);
		(*out)->pinned = true;
	}
	return 0;
}

int tls_server(struct tls_session **out, struct tls_identity *id,
	       unsigned int classes, const struct tls_io *io)
{
	int ret = session_new(out, id, classes, GNUTLS_SERVER, io);

	if (!ret)
		gnutls_handshake_set_post_client_hello_function(
			(*out)->tls, after_client_hello);
	return ret;
}

void tls_session_free(struct tls_session *s)
{
	if (!s)
		return;
	if (s->tls)
		gnutls_deinit(s->tls);
	if (s->own_cred)
		gnutls_certificate_free_credentials(s->own_cred);
	tls_identity_put(s->id);
	free(s);
}

int tls_handshake(struct tls_session *s, struct failure *f)
{
	int ret;

	do {
		ret = gnutls_handshake(s->tls);
	} while (ret < 0 && ret != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(ret));
	if (ret == 0 || ret == GNUTLS_E_AGAIN)
		return ret ? -EAGAIN : 0;
	if (!s->why.code) {
		int alert = gnutls_alert_get(s->tls);

		if (ret == GNUTLS_E_FATAL_ALERT_RECEIVED)
			failure_set(&s->why, -EACCES, s->expect, NULL,
				    "it refused us: %s",
				    gnutls_alert_get_name(alert));
		else
			failure_set(&s->why, -EPROTO, s->expect, NULL,
				    "TLS handshake failed: %s",
				    gnutls_strerror(ret));
	}
	gnutls_alert_send_appropriate(s->tls, ret);
	if (f)
		*f = s->why;
	return s->why.code;
}

const struct tls_peer *tls_session_peer(const struct tls_session *s)
{
	return &s->peer;
}

int tls_send(struct tls_session *s, const void *data, size_t len)
{
	const u8 *p = data;

	while (len) {
		ssize_t n = gnutls_record_send(s->tls, p, len);

		if (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_AGAIN)
			continue; /* push never blocks: an internal step */
		if (n <= 0)
			return -EPIPE;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t tls_recv(struct tls_session *s, void *data, size_t len,
		 struct failure *f)
{
	ssize_t n;

	do {
		n = gnutls_record_recv(s->tls, data, len);
	} while (n == GNUTLS_E_INTERRUPTED);
	if (n >= 0)
		return n;
	if (n == GNUTLS_E_AGAIN)
		return -EAGAIN;
	if (n == GNUTLS_E_PREMATURE_TERMINATION)
		return failure_set(f, -ECONNRESET, s->peer.node, NULL,
				   "the connection was lost");
	if (n == GNUTLS_E_FATAL_ALERT_RECEIVED)
		return failure_set(f, -EACCES, s->peer.node, NULL,
				   "it refused us: %s",
				   gnutls_alert_get_name(
					   gnutls_alert_get(s->tls)));
	return failure_set(f, -EPROTO, s->peer.node, NULL, "TLS failed: %s",
			   gnutls_strerror((int)n));
}

/* One direction. The layout for AES-128 and AES-256 differs in the key alone. */
static int program(struct tls_session *s, int fd, bool read)
{
	union {
		struct tls_crypto_info info;
		struct tls12_crypto_info_aes_gcm_128 gcm128;
		struct tls12_crypto_info_aes_gcm_256 gcm256;
		struct tls12_crypto_info_chacha20_poly1305 chacha;
	} c = { 0 };
	gnutls_cipher_algorithm_t cipher = gnutls_cipher_get(s->tls);
	gnutls_datum_t mac, iv, key;
	u8 sequence[8];
	socklen_t len;
	int ret;

	if (gnutls_record_get_state(s->tls, read, &mac, &iv, &key, sequence) ||
	    iv.size != 12)
		return -EPROTO;
	c.info.version = TLS_1_3_VERSION;
	if (cipher == GNUTLS_CIPHER_AES_128_GCM && key.size == 16) {
		c.info.cipher_type = TLS_CIPHER_AES_GCM_128;
		memcpy(c.gcm128.salt, iv.data, 4);
		memcpy(c.gcm128.iv, iv.data + 4, 8);
		memcpy(c.gcm128.key, key.data, 16);
		memcpy(c.gcm128.rec_seq, sequence, 8);
		len = sizeof(c.gcm128);
	} else if (cipher == GNUTLS_CIPHER_AES_256_GCM && key.size == 32) {
		c.info.cipher_type = TLS_CIPHER_AES_GCM_256;
		memcpy(c.gcm256.salt, iv.data, 4);
		memcpy(c.gcm256.iv, iv.data + 4, 8);
		memcpy(c.gcm256.key, key.data, 32);
		memcpy(c.gcm256.rec_seq, sequence, 8);
		len = sizeof(c.gcm256);
	} else if (cipher == GNUTLS_CIPHER_CHACHA20_POLY1305 &&
		   key.size == 32) {
		c.info.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
		memcpy(c.chacha.iv, iv.data, 12);
		memcpy(c.chacha.key, key.data, 32);
		memcpy(c.chacha.rec_seq, sequence, 8);
		len = sizeof(c.chacha);
	} else {
		return -EPROTO;
	}
	ret = setsockopt(fd, SOL_TLS, read ? TLS_RX : TLS_TX, &c, len) ?
		      -errno : 0;
	gnutls_memset(&c, 0, sizeof(c));
	return ret;
}

int tls_to_kernel(struct tls_session *s, int fd, struct failure *f)
{
	int ret;

	if (gnutls_protocol_get_version(s->tls) != GNUTLS_TLS1_3 ||
	    gnutls_record_check_pending(s->tls))
		return failure_set(f, -EPROTO, s->peer.node, NULL,
				   "TLS cannot be given to the kernel: the "
				   "server sent more than was asked for");
	if (setsockopt(fd, SOL_TCP, TCP_ULP, "tls", sizeof("tls")))
		return failure_set(f, -errno, "kTLS", "modprobe tls; a kernel "
				   "with CONFIG_TLS",
				   "the kernel cannot do TLS: %s",
				   strerror(errno));
	ret = program(s, fd, false);
	if (!ret)
		ret = program(s, fd, true);
	if (ret)
		return failure_set(f, ret, "kTLS", "modprobe -a gcm "
				   "chacha20poly1305; a kernel with TLS 1.3 "
				   "in both directions",
				   "the kernel does not take the keys: %s",
				   strerror(-ret));
	gnutls_deinit(s->tls);
	s->tls = NULL;
	return 0;
}
