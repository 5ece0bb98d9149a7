/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by home.c and home_nodes.c only. */
#ifndef VIRGO_DAEMON_HOME_IMPL_H
#define VIRGO_DAEMON_HOME_IMPL_H

#include "attempts.h"
#include "home.h"

struct home {
	struct attempts attempts; /* to join, that failed */
	struct conn *leaver; /* asked to leave; virgod ends when it closes */
};

/* Changes of nodes: drain, undrain, remove, leave; the list of nodes. */
void home_nodes_serve(struct node *n);

#endif
