// SPDX-License-Identifier: GPL-2.0-or-later
/* Becoming `virgod VERB`; see once.h. */
#include "once.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "where.h"

int once_exec(const struct globals *g, int argc, char **argv)
{
	char **args = calloc((size_t)argc + 6, sizeof(*args));
	char path[4096];
	int n = 0;

	if (!args || where_program("virgod", path, sizeof(path))) {
		fprintf(stderr, "virgo: %s: virgod is not installed\n",
			argv[0]);
		free(args);
		return 1;
	}
	args[n++] = "virgod";
	args[n++] = argv[0];
	if (g->state) {
		args[n++] = "--state";
		args[n++] = (char *)g->state;
	}
	if (g->conf_dir) {
		args[n++] = "--conf";
		args[n++] = (char *)g->conf_dir;
	}
	memcpy(args + n, argv + 1, (size_t)argc * sizeof(*args));
	execv(path, args);
	perror("virgo: virgod");
	free(args);
	return 1;
}
