// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo-account: who a user is here, and whether the account may be used, for
 * virgo-spawn, which starts it and reads the answer (account.h) from its standard
 * output.
 *
 *	virgo-account name NAME PAM NODE	asks PAM too, about a caller on NODE
 *	virgo-account uid UID
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account.h"

static bool put(const void *data, size_t len)
{
	return fwrite(data, 1, len, stdout) == len;
}

static int answer(const struct user *u, struct account_answer *a)
{
	a->uid = u->uid;
	a->gid = u->gid;
	a->group_count = (u32)u->group_count;
	a->name_len = (u32)strlen(u->name) + 1;
	a->home_len = (u32)strlen(u->home) + 1;
	a->shell_len = (u32)strlen(u->shell) + 1;
	return !(put(a, sizeof(*a)) &&
		 put(u->groups, a->group_count * sizeof(*u->groups)) &&
		 put(u->name, a->name_len) && put(u->home, a->home_len) &&
		 put(u->shell, a->shell_len) && !fflush(stdout));
}

int main(int argc, char **argv)
{
	struct account_answer a = { 0 };
	struct user *u = NULL;
	int ret;

	if (argc == 5 && !strcmp(argv[1], "name")) {
		ret = user_find(&u, argv[2], "run", &a.why);
		if (!ret)
			ret = user_account(u, (enum user_pam)atoi(argv[3]), NULL,
					   argv[4], "run", &a.why);
	} else if (argc == 3 && !strcmp(argv[1], "uid")) {
		ret = user_find_uid(&u, (uid_t)strtoul(argv[2], NULL, 10), "run",
				    &a.why);
	} else {
		fputs("virgo-account: started by virgo-spawn only\n", stderr);
		return 2;
	}
	if (ret)
		ret = !put(&a, sizeof(a)) || fflush(stdout);
	else
		ret = answer(u, &a);
	free(u);
	return ret;
}
