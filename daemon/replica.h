/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps this node's copy of the catalog current and acts on what it says: pulls
 * from the home node when told that there is more and at intervals, gives rows
 * to those who pull from us, and cuts the connections of removed nodes.
 */
#ifndef VIRGO_DAEMON_REPLICA_H
#define VIRGO_DAEMON_REPLICA_H

#include "node.h"

struct replica;

/* Registers the services and begins. NULL when memory is out. */
struct replica *replica_new(struct node *n);
void replica_free(struct replica *r);

/* Somebody (the membership's datagrams, a HELLO) said that the catalog has come
 * to @change; @from, which may be NULL, is the node that said it. Harmless to
 * call often.
 */
void replica_heard(struct replica *r, u64 change, const char *from);
/* False on a home node for the short time after its start in which it asks some
 * other nodes whether another home took over while it was away.
 */
bool replica_is_sure(const struct replica *r);
/* Pulls soon, for instance as a datagram came under an unknown group key. */
void replica_poke(struct replica *r);

#endif
