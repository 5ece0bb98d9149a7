// SPDX-License-Identifier: GPL-2.0-or-later
/* From the catalog's rows to the volumes this node serves. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "catalog.h"
#include "exports.h"
#include "log.h"

enum { EXPORTS_MAX = 4096 };

/* The folder every node shares by default. Like /tmp, it is for all users, each
 * of whom owns what they make.
 */
static void make_default(const char *path)
{
	if (mkdir(path, 0700) == 0) {
		if (chmod(path, 01777))
			log_error("%s: %s", path, strerror(errno));
	} else if (errno != EEXIST) {
		log_error("%s: %s", path, strerror(errno));
	}
}

static void follow(void *arg)
{
	struct exports *e = arg;
	struct node *n = exports_node(e);
	const char *self = n->local.node;
	const struct rec_volume_row *r;
	struct rec_volume_row *rows = calloc(EXPORTS_MAX, sizeof(*rows));
	char path[4096];
	size_t count = 0;
	size_t at = 0;

	if (!rows)
		return;
	snprintf(path, sizeof(path), "%s/export", n->state);
	while ((r = catalog_next_volume(n->catalog, &at))) {
		if (!span_equal(r->node, span_of(self)) ||
		    !span_equal(r->kind, span_of("export")) ||
		    count == EXPORTS_MAX)
			continue;
		rows[count] = *r;
		if (span_equal(r->path, span_of(path)))
			make_default(path);
		count++;
	}
	exports_set(e, rows, count);
	free(rows);
}

void exports_follow_catalog(struct exports *e)
{
	catalog_watch(exports_node(e)->catalog, follow, e);
	follow(e);
}
