/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS 1.3 with mutual certificates, over GnuTLS. A tls_identity is what a node
 * is: its certificate, its key and the authority it trusts. A tls_session turns
 * plain bytes into records in memory and back; conn.h moves the bytes.
 *
 * Files in an identity folder, PEM: node.crt, node.key (0600), authority.crt.
 * A certificate's common name is the node's name.
 */
#ifndef VIRGO_LIB_TLS_H
#define VIRGO_LIB_TLS_H

#include "failure.h"

enum {
	NODE_NAME_MAX = 63, /* a DNS label */
	TLS_SERIAL_MAX = 40, /* hex digits */
};

enum tls_class { /* what the connection is for; ALPN */
	TLS_CONTROL, /* "virgo/1": control, catalog, files */
	TLS_KERNEL, /* "virgo-k/1": jobs, cache, functions, variables */
	/* "virgo-ko/1": the handshake only, then virgo.ko's; ciphers as below */
	TLS_MODULE,
	TLS_JOIN, /* "virgo-join/1": no client certificate asked for */
	/* No ALPN: a server of another protocol; clients only. Its one cipher is
	 * ChaCha20-Poly1305, whose keys last as long as the connection does: with
	 * AES-GCM a peer changes them after 2^24 records, and where the kernel has
	 * the other side that is the end.
	 */
	TLS_FOREIGN,
};

struct tls_peer {
	char node[NODE_NAME_MAX + 1]; /* "" for a joiner */
	char serial[TLS_SERIAL_MAX + 1]; /* lower-case hex */
	s64 expires_s; /* Unix time */
	enum tls_class class;
};

struct tls_identity;
struct tls_session;

/* Reads @dir. Several sessions may use it at once, from any thread. Counted:
 * a session keeps it alive, so it can be replaced under live connections.
 */
int tls_identity_load(struct tls_identity **out, const char *dir,
		      struct failure *f);
void tls_identity_put(struct tls_identity *id);
const char *tls_identity_node(const struct tls_identity *id);
const char *tls_identity_serial(const struct tls_identity *id);
s64 tls_identity_expires(const struct tls_identity *id);
s64 tls_identity_issued(const struct tls_identity *id);

/* Asked at the end of every handshake about the peer's certificate: true
 * refuses it (a removed node). Runs in the handshaking thread.
 */
void tls_identity_set_refused(struct tls_identity *id,
			      bool (*refused)(const struct tls_peer *peer,
					      void *arg),
			      void *arg);

/* Asked while a connection is open about a certificate that is about to run out,
 * the peer's or this node's own (@of): until when it has been renewed, 0 when
 * nothing is known of that. Runs in the connection's thread.
 */
void tls_identity_set_renewed(struct tls_identity *id,
			      s64 (*renewed)(const struct tls_peer *of,
					     void *arg),
			      void *arg);

/* @push takes bytes for the wire (all of them, or -1 with errno); @pull gives
 * bytes from the wire (0 at the end, -1 with EAGAIN when there are none yet).
 */
struct tls_io {
	ssize_t (*push)(void *arg, const void *data, size_t len);
	ssize_t (*pull)(void *arg, void *data, size_t len);
	void *arg;
};

/* A client refuses any server whose name is not @expect (NULL: any node of the
 * cloud). @pin_sha256, for TLS_JOIN, is the 32-byte fingerprint of the
 * authority's certificate, which the server must send and be signed by; @id is
 * NULL then.
 */
int tls_client(struct tls_session **out, struct tls_identity *id,
	       enum tls_class class, const char *expect, const u8 *pin_sha256,
	       const struct tls_io *io);
/* A server takes every class in @classes (1 << TLS_CONTROL | ...). */
int tls_server(struct tls_session **out, struct tls_identity *id,
	       unsigned int classes, const struct tls_io *io);
void tls_session_free(struct tls_session *s);

/* 0 when done, -EAGAIN to be called again when bytes came, else the connection
 * must be closed: -EACCES certificate refused, -ENXIO another node of the cloud
 * than expected is there, -EPROTO anything else, and @f says what (may be NULL).
 */
int tls_handshake(struct tls_session *s, struct failure *f);
/* Valid after the handshake. */
const struct tls_peer *tls_session_peer(const struct tls_session *s);

/* After the handshake: 0 as long as the peer's certificate and our own are valid
 * at Unix time @now_s or known to have been renewed, else -EKEYEXPIRED and @f.
 */
int tls_session_current(struct tls_session *s, s64 now_s, struct failure *f);

/* All of @len is taken; 0 or a negative errno. */
int tls_send(struct tls_session *s, const void *data, size_t len);
/* Bytes read, 0 at a proper end, -EAGAIN, -ECONNRESET without a proper end,
 * -EACCES when the peer refused us (TLS 1.3 tells a client only after its
 * handshake is done), or -EPROTO. @f says what (may be NULL).
 */
ssize_t tls_recv(struct tls_session *s, void *data, size_t len,
		 struct failure *f);

/*
 * Gives the keys of @s to the kernel, which from then on reads and writes the
 * records of TCP socket @fd by itself (kTLS), in both directions. Only right
 * after the handshake, before anything was sent or received; @s forgets its keys
 * and is good for tls_session_peer() and tls_session_current() only. -ENOENT: the kernel has no TLS; -EPROTO: bytes of
 * the peer are here already, or a cipher that the kernel does not know. The peer
 * must send nothing but data from now on: no tickets, no change of keys.
 */
int tls_to_kernel(struct tls_session *s, int fd, struct failure *f);

#endif
