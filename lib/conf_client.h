/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virgo_client.conf: what this machine mounts and borrows of the cloud. How to
 * read the table is in conf.h. virgo and mount.virgo follow it; options on
 * their command lines are stronger.
 */
#ifndef VIRGO_LIB_CONF_CLIENT_H
#define VIRGO_LIB_CONF_CLIENT_H

#include "conf.h"

#define CONF_CLIENT(K, M)                                                      \
	K(mount, path, PATH, (), "/virgo",                                     \
	  "Where virgo mount shows the cloud's volumes.")                      \
	K(mount, timeout, DURATION, (1000, 86400000), "60s",                   \
	  "How long a file operation waits for a node that does not answer "   \
	  "before it fails with ETIMEDOUT.")                                   \
	K(mount, wait, CHOICE, ("timeout|hard|soft"), "timeout",               \
	  "What an operation on a node that is away does: wait for timeout, "  \
	  "wait for ever (hard), or fail at once (soft).")                     \
	K(run, nodes, NODES, (256), "*",                                       \
	  "Nodes that virgo run may choose from when it is not told where, by "\
	  "name or address.")                                                  \
	K(run, policy, CHOICE, ("service|idle|round-robin|random"), "service", \
	  "How virgo run chooses among them; see virgo-run(1).")

CONF_STRUCT(conf_client, CONF_CLIENT);
enum { CONF_WAIT_TIMEOUT, CONF_WAIT_HARD, CONF_WAIT_SOFT };

extern const struct conf_schema conf_client_schema;

#endif
