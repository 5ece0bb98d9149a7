/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSG_STATUS: what this node knows of the cloud. In a cloud of up to
 * STATUS_ASK_MAX nodes those that are not down are asked for their load first;
 * who has not answered within STATUS_WAIT_MS is shown as membership last heard
 * of it, so the answer always comes. A node that answered has a round trip: the
 * question's own where neither membership nor a heartbeat has measured one yet.
 */
#ifndef VIRGO_DAEMON_STATUS_H
#define VIRGO_DAEMON_STATUS_H

#include "node.h"

enum { STATUS_ASK_MAX = 64, STATUS_WAIT_MS = 1000 };

/* Registers the service. Needs n->membership, loads and peers when it answers.
 */
void status_serve(struct node *n);
/* Ends questions that are still open, before the peers go. */
void status_end(struct node *n);

#endif
