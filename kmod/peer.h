/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections to other nodes. A program with the right to (virgod) makes them,
 * with TLS 1.3 in both directions by the kernel, says which node is at the other
 * end, and hands them over: from then on VIRGO's frames (core/frame.h) are read
 * and answered here, whether or not the program runs. It keeps a descriptor;
 * closing that ends the connection.
 *
 * Locks: peer.lock around the calls that wait for answers, programs.lock around
 * programs, never both; inside each conn.lock.
 */
#ifndef VIRGO_KMOD_PEER_H
#define VIRGO_KMOD_PEER_H

#include <linux/types.h>

struct call_request;
struct conn_out;
struct frame;
struct instance;
struct programs;

/*
 * Takes the socket @fd of the current process for the node @node; with @agent
 * the descriptor serves the programs that the node asks for (program.h). A new
 * descriptor, or: -EBADF, -ENOTSOCK; -EOPNOTSUPP no TCP, or TLS 1.3 is not done
 * by the kernel in both directions; -EXDEV of another namespace; and as
 * conn_start(). May sleep.
 */
int peer_adopt(struct instance *in, int fd, const char *node, bool agent);

/* Calls a function of another node and waits for the result; interrupted only by
 * what kills the caller. As virgo_fn_call().
 */
ssize_t peer_call(struct instance *in, const struct call_request *r);

/*
 * A descriptor for a program that @user wants run on @node (program.h). Waits at
 * most @wait_ms for a connection; 0: not at all, but virgod is told that one is
 * wanted. -EHOSTDOWN there is none, -EINTR, -EMFILE and so on.
 */
int peer_program(struct instance *in, const char *node, const char *user,
		 u32 wait_ms);

/* A frame whose payload is to be filled in; NULL. May sleep. */
struct conn_out *peer_frame(const struct frame *f);
/* A tag for a new exchange on the connection of @ps. */
u64 peer_tag(struct programs *ps);

#endif
