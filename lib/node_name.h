/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of nodes and clouds: DNS labels, 1 to 63 of a-z, 0-9 and '-', with no
 * '-' at either end. Such a name is safe in a path, a shell and a certificate;
 * nothing else may become a node's name anywhere in VIRGO.
 */
#ifndef VIRGO_LIB_NODE_NAME_H
#define VIRGO_LIB_NODE_NAME_H

#include "failure.h"

/* "" when @name is such a name, else what is wrong with it. */
const char *node_name_fault(const char *name);
static inline bool node_name_valid(const char *name)
{
	return !*node_name_fault(name);
}
/* -EINVAL and @f, with the nearest valid name as remedy, unless valid. */
int node_name_check(const char *name, struct failure *f);
/* The nearest valid name to @from (a host name's first label); "node" when
 * nothing of it is left. @out has room for 64 bytes.
 */
void node_name_near(const char *from, char *out);

#endif
