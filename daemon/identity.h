/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who this node is while virgod runs: its certificate, renewed at two thirds of
 * its life without closing anything, the authority it trusts, and its copy of
 * the catalog. A certificate of a removed node is refused in every handshake;
 * a connection under one that expires and was not renewed is cut then.
 */
#ifndef VIRGO_DAEMON_IDENTITY_H
#define VIRGO_DAEMON_IDENTITY_H

#include "failure.h"
#include "node.h"

struct renewal;

/* Sets n->identity, n->authority, n->catalog and n->local.node from the state
 * folder. -ENOENT and @f when this machine is no node; -EKEYEXPIRED when its
 * certificate is too old to be renewed.
 */
int identity_open(struct node *n, struct failure *f);
void identity_close(struct node *n);

/* Renews from now on. NULL when memory is out. */
struct renewal *renewal_new(struct node *n);
void renewal_free(struct renewal *r);
/* The clock was set, or is believed again: is it time now? */
void renewal_look(struct renewal *r);

/* When a certificate valid from @issued_s to @expires_s is to be renewed. */
s64 renewal_due_s(s64 issued_s, s64 expires_s);

#endif
