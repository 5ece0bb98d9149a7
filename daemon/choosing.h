/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSG_CHOOSE: which node should run a job (core/choose.h on what membership
 * knows and on how long jobs took). Used in the loop's thread only.
 */
#ifndef VIRGO_DAEMON_CHOOSING_H
#define VIRGO_DAEMON_CHOOSING_H

#include "failure.h"
#include "node.h"

struct choosing;

enum { CHOOSING_ALL_MAX = 4 }; /* more candidates: two at random compete */

/* Registers the service, and learns from n->jobs how long jobs take. Needs
 * n->membership and loads when it answers. NULL when memory is out.
 */
struct choosing *choosing_new(struct node *n);
void choosing_free(struct choosing *c);

/*
 * The best of @candidates ("" or "*": all; names or addresses, with commas)
 * under @policy ("" for service) into @name. -EINVAL: no such policy;
 * -EHOSTDOWN: none can be taken, and @f says why for each.
 */
int choosing_pick(struct choosing *c, const char *policy,
		  const char *candidates, char name[64], struct failure *f);

#endif
