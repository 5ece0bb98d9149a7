/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections that virgod makes for virgo.ko. Where both nodes have the module,
 * one of class TLS_MODULE does its handshake here, is judged like any other, and
 * is then handed over with its keys. virgod keeps the descriptor that ends it.
 *
 *	virgo.ko wants beta -> DIALLING -> handed over -> ended -> DIALLING ...
 *			          '------ failed, callers are told
 *
 * A connection is made when a caller in the kernel first wants one, by whichever
 * side that is, and is renewed when it ends, at growing intervals, until that has
 * failed for GIVE_UP_US; then only a caller brings it back. Nodes that call
 * nothing have none, however large the cloud. Jobs that come over one are read from
 * its descriptor, of which virgod is the agent, and served like any peer's.
 *
 * One of a removed node is ended at once, one whose certificate runs out within a
 * second, and all with virgod: nobody would be there to end them otherwise.
 */
#ifndef VIRGO_DAEMON_HANDOVER_H
#define VIRGO_DAEMON_HANDOVER_H

#include "node.h"

struct handover;
struct module;

/* Needs n->peers and n->policy. NULL when memory is out. */
struct handover *handover_new(struct node *n);
/* Ends all: no job comes any more. Before the job service goes. */
void handover_end(struct handover *h);
/* Before n->peers goes, after the listeners have. */
void handover_free(struct handover *h);

/* The link to virgo.ko, as long as @h is there. */
struct module *handover_module(const struct handover *h);

/* Whether connections of class TLS_MODULE are to be accepted. */
bool handover_possible(const struct handover *h);
/* One that was accepted: takes over @fd and @tls. */
void handover_take(struct handover *h, int fd, struct tls_session *tls);
/* Ends those about whose certificate @cut gives true. */
void handover_cut_if(struct handover *h,
		     bool (*cut)(const struct tls_peer *peer, void *arg),
		     void *arg);

#endif
