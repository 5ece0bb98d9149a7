// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo swap and virgo disk: done by virgo-borrow, in our place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verbs.h"
#include "where.h"

static int become(const struct globals *g, int argc, char **argv)
{
	const char **args = calloc((size_t)argc + 4, sizeof(*args));
	char path[4096];
	int n = 0;

	if (!args || where_program("virgo-borrow", path, sizeof(path))) {
		fprintf(stderr, "virgo: %s: virgo-borrow is not installed\n",
			argv[0]);
		free(args);
		return 1;
	}
	args[n++] = "virgo-borrow";
	if (g->state) {
		args[n++] = "--state";
		args[n++] = g->state;
	}
	memcpy(args + n, argv, (size_t)argc * sizeof(*args));
	execv(path, (char **)args);
	perror("virgo: virgo-borrow");
	free(args);
	return 1;
}

int verb_swap(const struct globals *g, int argc, char **argv)
{
	return become(g, argc, argv);
}

int verb_disk(const struct globals *g, int argc, char **argv)
{
	return become(g, argc, argv);
}
