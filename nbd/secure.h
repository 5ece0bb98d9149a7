/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS 1.3 for NBD's STARTTLS, over a non-blocking socket: certificates (the
 * client must show one that the authority signed) or pre-shared keys. lib/tls.h
 * is for the cloud's own connections, which have classes and no PSK; here any
 * NBD client must be able to come in.
 *
 * No session tickets are sent: a client may hand its socket to the kernel, which
 * takes nothing but data.
 */
#ifndef VIRGO_NBD_SECURE_H
#define VIRGO_NBD_SECURE_H

#include <sys/uio.h>

#include "failure.h"

enum { SECURE_NAME_MAX = 127 };

struct secure_keys;
struct secure;

/*
 * @dir holds node.crt, node.key and authority.crt, or, as other NBD programs
 * name them, server-cert.pem, server-key.pem and ca-cert.pem; NULL: no
 * certificates. @psk is a file of lines NAME:HEXKEY; NULL: none.
 */
int secure_keys_load(struct secure_keys **out, const char *dir,
		     const char *psk, struct failure *f);
/* Counted: a session keeps its keys, so they can be replaced under it. */
void secure_keys_put(struct secure_keys *k);

/* NULL when memory is out. @fd stays the caller's. */
struct secure *secure_new(struct secure_keys *k, int fd);
void secure_free(struct secure *s);

/* 0 when done, -EAGAIN to be called again when bytes came, else give up; @why
 * gets what to log.
 */
int secure_handshake(struct secure *s, const char **why);

/* True when the peer is @owner: NAME, a certificate's common name or a key's, or NAME:STEM for a certificate whose serial
 * number begins with these hex digits, as all of one node's do and no other's.
 */
bool secure_peer_is(const struct secure *s, const char *owner);

/* Bytes, 0 at the end, -EAGAIN when neither the socket nor the buffers here have
 * any, or -ECONNRESET.
 */
ssize_t secure_recv(struct secure *s, void *data, size_t len);
/* Bytes taken of the vectors, or a negative errno; -EAGAIN when the socket is
 * full. What was taken may still be on its way: secure_flush().
 */
ssize_t secure_send(struct secure *s, const struct iovec *v, u32 count);
/* 0 when all is with the socket, -EAGAIN, or another negative errno. */
int secure_flush(struct secure *s);
/* Tells the peer that this is the end, as far as the socket takes it. */
void secure_bye(struct secure *s);

#endif
