/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How people name a job: "beta/17", or "17" on this node. */
#ifndef VIRGO_CLI_JOBREF_H
#define VIRGO_CLI_JOBREF_H

#include "client.h"

struct jobref {
	char node[64];
	u64 job;
};

/* False when @text is no such name. */
bool jobref_parse(struct jobref *r, const char *text, const struct client *c);

#endif
