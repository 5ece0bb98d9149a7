// SPDX-License-Identifier: GPL-2.0-or-later
/* Accounts of this machine and the rules about them. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <unistd.h>

#include "users.h"

Test(users, root_is_found_with_his_groups)
{
	struct failure f;
	struct user *u;
	bool primary = false;

	cr_assert_eq(user_find(&u, "root", "x", &f), 0);
	cr_assert_eq(u->uid, 0);
	cr_assert_str_eq(u->name, "root");
	cr_assert_eq(u->home[0], '/');
	cr_assert_neq(u->shell[0], '\0');
	for (int i = 0; i < u->group_count; i++)
		primary |= u->groups[i] == u->gid;
	cr_assert(primary);
	free(u);
	cr_assert_eq(user_find_uid(&u, 0, "x", &f), 0);
	cr_assert_str_eq(u->name, "root");
	free(u);
}

Test(users, a_missing_user_is_refused_in_the_words_of_the_design)
{
	struct failure f;
	struct user *u = NULL;

	cr_assert_eq(user_find(&u, "no-such-ann", "run on beta", &f), -ENOENT);
	cr_assert_null(u);
	cr_assert_str_eq(f.object, "run on beta");
	cr_assert_str_eq(f.what, "no user 'no-such-ann' there");
	cr_assert_str_eq(f.remedy, "create it, or map it with idmap");
	cr_assert_eq(user_find_uid(&u, 4000000000u, "x", &f), -ENOENT);
	cr_assert_str_eq(f.what, "no user with id 4000000000 there");
}

static char dir[] = "/tmp/virgo-users.XXXXXX";

static const char *file(const char *name, const char *text)
{
	static char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (text) {
		f = fopen(path, "w");
		cr_assert(f);
		fputs(text, f);
		fclose(f);
	}
	return path;
}

static void setup(void)
{
	cr_assert(mkdtemp(dir));
}

static void teardown(void)
{
	unlink(file("virgo", NULL));
	unlink(file("login.defs", NULL));
	rmdir(dir);
}

struct ordinary {
	u32 uid;
	u32 uid_min;
	char defs[64];
	int want;
	char what[48];
};

ParameterizedTestParameters(users, ordinary)
{
	static struct ordinary s[] = {
		{ 1000, 0, "UID_MIN 1000\n", 0, "" },
		{ 999, 0, "UID_MIN 1000\n", -EPERM,
		  "ann (uid 999) is a system account" },
		{ 999, 0, "#UID_MIN 5\n\tUID_MIN\t\t 500\nUID_MAX 9\n", 0,
		  "" },
		{ 499, 0, "UID_MIN 500\n", -EPERM,
		  "ann (uid 499) is a system account" },
		{ 999, 0, "", -EPERM, "ann (uid 999) is a system account" },
		{ 500, 400, "UID_MIN 1000\n", 0, "" },
		{ 1000, 2000, "UID_MIN 1000\n", -EPERM,
		  "ann (uid 1000) is a system account" },
		{ 0, 0, "UID_MIN 0\n", -EPERM, "ann (uid 0) is root" },
		{ 65534, 0, "UID_MIN 1000\n", -EPERM,
		  "ann (uid 65534) is a system account" },
		{ 3000000000u, 0, "UID_MIN 1000\n", 0, "" },
	};

	return cr_make_param_array(struct ordinary, s, ARRAY_SIZE(s));
}

ParameterizedTest(struct ordinary *t, users, ordinary,
		  .init = setup, .fini = teardown)
{
	const struct user u = { .uid = t->uid, .name = "ann" };
	struct failure f = { 0 };

	cr_assert_eq(user_ordinary(&u, t->uid_min, file("login.defs", t->defs),
				   "run on beta", &f), t->want);
	cr_assert_str_eq(f.what, t->what);
	if (t->want)
		cr_assert_str_eq(f.remedy, "use an ordinary account, or name "
			"ann in system_users of [jobs] in virgo_cloud.conf "
			"there");
}

struct account {
	enum user_pam pam;
	char service[64]; /* "": none */
	int want;
	char what[80];
	char remedy[40]; /* a part of it */
};

ParameterizedTestParameters(users, account)
{
	static struct account s[] = {
		{ USER_PAM_AUTO, "account required pam_permit.so\n", 0, "",
		  "" },
		{ USER_PAM_YES, "account required pam_permit.so\n", 0, "",
		  "" },
		{ USER_PAM_AUTO, "account required pam_deny.so\n", -EACCES,
		  "PAM refuses user 'root': ", "/etc/pam.d/virgo" },
		{ USER_PAM_NO, "account required pam_deny.so\n", 0, "", "" },
		{ USER_PAM_AUTO, "account required no-such-module.so\n",
		  -EACCES, "PAM refuses user 'root': ", "/etc/pam.d/virgo" },
		{ USER_PAM_AUTO, "", 0, "", "" },
		{ USER_PAM_YES, "", -EACCES,
		  "policy asks PAM, which has no service virgo there",
		  "pam = auto" },
	};

	return cr_make_param_array(struct account, s, ARRAY_SIZE(s));
}

ParameterizedTest(struct account *t, users, account,
		  .init = setup, .fini = teardown)
{
	struct failure f = { 0 };
	struct user *u;

	cr_assert_eq(user_find(&u, "root", "x", &f), 0);
	if (t->service[0])
		file("virgo", t->service);
	cr_assert_eq(user_account(u, t->pam, dir, "alpha", "run on beta", &f),
		     t->want, "%s", f.what);
	cr_assert(strstr(f.what, t->what), "%s", f.what);
	cr_assert(strstr(f.remedy, t->remedy), "%s", f.remedy);
	free(u);
}
