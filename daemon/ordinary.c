// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which accounts are ordinary; the contract is in users.h. Apart from the rest of
 * users.c because it asks no user data base: virgo-spawn needs it in a program
 * that is as small as can be.
 */
#include "users.h"

#include <stdio.h>

enum { UID_MIN_DEFAULT = 1000, UID_NOBODY = 65534 };

u32 users_uid_min(const char *login_defs)
{
	FILE *f = fopen(login_defs ? login_defs : LOGIN_DEFS, "re");
	u32 min = UID_MIN_DEFAULT;
	char line[256];
	u32 value;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " UID_MIN %u", &value) == 1)
			min = value;
	if (f)
		fclose(f);
	return min;
}

int user_ordinary(const struct user *u, u32 uid_min, const char *login_defs,
		  const char *object, struct failure *f)
{
	u32 min = uid_min ? uid_min : users_uid_min(login_defs);
	char remedy[200];

	if (u->uid && u->uid >= min && u->uid != UID_NOBODY)
		return 0;
	snprintf(remedy, sizeof(remedy),
		 "use an ordinary account, or name %.60s in system_users of "
		 "[jobs] in virgo_cloud.conf there", u->name);
	return failure_set(f, -EPERM, object, remedy,
			   u->uid ? "%.60s (uid %u) is a system account" :
				    "%.60s (uid %u) is root", u->name, u->uid);
}
