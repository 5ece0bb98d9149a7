/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The holder: a small process that does nothing but keep the pool's memfd, so
 * that its data outlives virgo-nbd. It listens on a unix socket in the state
 * folder and passes the memfd to one virgo-nbd at a time, which has it until it
 * closes the connection. While there is none, the holder itself maps the held
 * pages and keeps them locked.
 *
 * On the socket (SOCK_SEQPACKET) the holder sends one byte, with the descriptor
 * for 'P' (here is the pool), without for 'B' (busy: another has it). The other
 * side sends nothing but 'E', which ends the holder and with it the data.
 */
#ifndef VIRGO_NBD_HOLDER_H
#define VIRGO_NBD_HOLDER_H

#include "failure.h"

enum { HOLDER_POOL = 'P', HOLDER_BUSY = 'B', HOLDER_FORGET = 'E' };

/*
 * Connects to the holder of @state, starting one if there is none. @conn must be
 * kept as long as the pool is used. The pool's descriptor, or a negative errno
 * with @f; -EBUSY when another process has it.
 */
int holder_get(const char *state, int *conn, struct failure *f);

/* Ends the holder of @state, if any. */
int holder_forget(const char *state, struct failure *f);

/* The socket's path, from the state folder; 0 or -ENAMETOOLONG. */
int holder_path(const char *state, char *out, size_t size);

#endif
