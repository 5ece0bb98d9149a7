// SPDX-License-Identifier: LGPL-2.1-or-later
/* What /proc/self/mountinfo says of a folder; the contract is in mounted.h. */
#include "mounted.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

bool mounted_by_us(const char *point)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[PATH_MAX * 2];
	bool ours = false;

	while (f && fgets(line, sizeof(line), f)) {
		char at[PATH_MAX];
		char *rest = strstr(line, " - ");

		if (rest && sscanf(line, "%*s %*s %*s %*s %4095s", at) == 1 &&
		    !strcmp(at, point))
			ours = !strncmp(rest, " - fuse.virgo ", 14);
	}
	if (f)
		fclose(f);
	return ours;
}
