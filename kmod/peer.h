/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections to other nodes. A program with the right to (virgod) makes them,
 * with TLS 1.3 in both directions by the kernel, says which node is at the other
 * end, and hands them over: from then on VIRGO's frames (core/frame.h) are read
 * and answered here, whether or not the program runs. It keeps a descriptor;
 * closing that ends the connection.
 *
 * Locks: peer.lock around the calls that wait for answers; inside it conn.lock.
 */
#ifndef VIRGO_KMOD_PEER_H
#define VIRGO_KMOD_PEER_H

#include <linux/types.h>

struct call_request;
struct instance;

/*
 * Takes the socket @fd of the current process for the node @node. A new
 * descriptor, or: -EBADF, -ENOTSOCK; -EOPNOTSUPP no TCP, or TLS 1.3 is not done
 * by the kernel in both directions; -EXDEV of another namespace; and as
 * conn_start(). May sleep.
 */
int peer_adopt(struct instance *in, int fd, const char *node);

/* Calls a function of another node and waits for the result; interrupted only by
 * what kills the caller. As virgo_fn_call().
 */
ssize_t peer_call(struct instance *in, const struct call_request *r);

#endif
