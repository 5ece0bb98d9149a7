// SPDX-License-Identifier: LGPL-2.1-or-later
/* Finding our own programs; the contract is in where.h. */
#include "where.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>

#include "client.h"

/* @dir/@between@name if it can be executed. */
static int try(const char *dir, const char *between, const char *name,
	       char *out, size_t size)
{
	if (snprintf(out, size, "%s/%s%s", dir, between, name) >= (int)size)
		return -ENOENT;
	return access(out, X_OK) ? -ENOENT : 0;
}

int where_program(const char *name, char *out, size_t size)
{
	/* Folders of the build tree that hold programs, seen from a sibling. */
	static const char *const build[] = { "../daemon/", "../fs/", "../cli/",
					     "../nbd/" };
	static const char *const installed[] = { VIRGO_LIBEXECDIR,
						 VIRGO_SBINDIR, VIRGO_BINDIR };
	const char *named = getenv("VIRGO_LIBEXEC");
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t i;

	if (named && try(named, "", name, out, size) == 0)
		return 0;
	if (n > 0) {
		self[n] = '\0';
		*strrchr(self, '/') = '\0';
		if (try(self, "", name, out, size) == 0)
			return 0;
		for (i = 0; i < sizeof(build) / sizeof(build[0]); i++)
			if (try(self, build[i], name, out, size) == 0)
				return 0;
	}
	for (i = 0; i < sizeof(installed) / sizeof(installed[0]); i++)
		if (try(installed[i], "", name, out, size) == 0)
			return 0;
	return -ENOENT;
}

void where_conf_dir(const char *conf_dir, const char *state, char *out,
		    size_t size)
{
	if (conf_dir)
		snprintf(out, size, "%s", conf_dir);
	else if (!state || !strcmp(state, VIRGO_DEFAULT_STATE))
		snprintf(out, size, "/etc/virgo");
	else
		snprintf(out, size, "%s/etc", state);
}
