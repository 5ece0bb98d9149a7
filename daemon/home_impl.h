/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by home.c, home_nodes.c and promote.c only. */
#ifndef VIRGO_DAEMON_HOME_IMPL_H
#define VIRGO_DAEMON_HOME_IMPL_H

#include "attempts.h"
#include "home.h"

struct home {
	struct attempts attempts; /* to join, that failed */
	struct conn *leaver; /* asked to leave; virgod ends when it closes */
	struct handover *handover; /* to the heir, while it goes on */
	struct promotion *promotion; /* from a backup, while it arrives */
	struct placing *placings; /* volumes that look for a node */
};

/* Changes of nodes: drain, undrain, remove, leave; the list of nodes. */
void home_nodes_serve(struct node *n);
/* Moving the home: handing it over, taking it over. */
void promote_serve(struct node *n);
/* Goes on with what a crash interrupted. */
void promote_resume(struct node *n);
void promote_end(struct node *n);

#endif
