// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of jobs; the contract is in jobref.h. */
#include "jobref.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

bool jobref_parse(struct jobref *r, const char *text, const struct client *c)
{
	const char *number = strrchr(text, '/');
	char *end;

	if (number) {
		if (number == text ||
		    (size_t)(number - text) >= sizeof(r->node))
			return false;
		snprintf(r->node, sizeof(r->node), "%.*s", (int)(number - text),
			 text);
		number++;
	} else {
		snprintf(r->node, sizeof(r->node), "%s", client_node(c));
		number = text;
	}
	if (!isdigit((unsigned char)*number))
		return false;
	errno = 0;
	r->job = strtoull(number, &end, 10);
	return !*end && !errno && r->job;
}
