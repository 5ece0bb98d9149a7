// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo_cloud.conf in force: who is admitted as whom, and reloading. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node.h"
#include "policy.h"

static char dir[] = "/tmp/virgo-policy.XXXXXX";
static char path[64];

static void write_conf(const char *text)
{
	FILE *f = fopen(path, "w");

	cr_assert(f);
	fputs(text, f);
	fclose(f);
}

static void setup(void)
{
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/virgo_cloud.conf", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

TestSuite(policy, .init = setup, .fini = teardown);

Test(policy, without_a_file_every_user_is_admitted_as_himself)
{
	struct policy_grant g;
	struct policy *p;
	struct failure f;

	cr_assert_eq(policy_load(&p, path, "beta", &f), 0);
	cr_assert_eq(policy_conf(p)->node_port, 8747);
	cr_assert_eq(policy_admit(p, "alpha", "ann", "run", &g, &f), 0);
	cr_assert_str_eq(g.user, "ann");
	cr_assert_not(g.system);
	cr_assert_eq(policy_admit(p, "alpha", "root", "run", &g, &f), 0);
	cr_assert_not(g.system);
	policy_put(p);
}

struct admission {
	char conf[96];
	char node[16];
	char user[16];
	int want;
	char as[16];
	char remedy[80]; /* a part of it */
	bool system;
};

ParameterizedTestParameters(policy, admits)
{
	static struct admission s[] = {
		{ "[allow]\nalpha = ann\n", "alpha", "ann", 0, "ann", "", 0 },
		{ "[allow]\nalpha = ann\n", "alpha", "bob", -EACCES, "",
		  "add bob to the line of alpha in [allow] of /tmp/", 0 },
		{ "[allow]\nalpha = ann\n", "gamma", "ann", -EACCES, "",
		  "write gamma = ann below [allow] in /tmp/", 0 },
		/* A node's own line hides that of all. */
		{ "[allow]\nalpha = none\n* = *\n", "alpha", "ann", -EACCES,
		  "", "write alpha = ann below", 0 },
		{ "[allow]\nalpha = none\n* = *\n", "gamma", "ann", 0, "ann",
		  "", 0 },
		{ "[allow]\n* = ann\n", "gamma", "bob", -EACCES, "",
		  "write gamma = bob below", 0 },
		/* Own users, unless the file says otherwise. */
		{ "[allow]\n* = none\n", "beta", "ann", 0, "ann", "", 0 },
		{ "[allow]\nbeta = bob\n", "beta", "ann", -EACCES, "",
		  "add ann to the line of beta", 0 },
		{ "[idmap]\nann = anna\n", "alpha", "ann", 0, "anna", "", 0 },
		{ "[idmap]\nann = anna\n", "beta", "ann", 0, "ann", "", 0 },
		{ "[idmap]\nann = anna\n[allow]\nalpha = ann\n", "alpha",
		  "ann", 0, "anna", "", 0 },
		{ "[jobs]\nsystem_users = root\n", "alpha", "root", 0, "root",
		  "", 1 },
		{ "[jobs]\nsystem_users = root\n", "alpha", "daemon", 0,
		  "daemon", "", 0 },
		/* What counts is the account here. */
		{ "[jobs]\nsystem_users = backup\n[idmap]\nann = backup\n",
		  "alpha", "ann", 0, "backup", "", 1 },
		{ "[jobs]\nsystem_users = *\n", "alpha", "daemon", 0, "daemon",
		  "", 1 },
		{ "", "alpha", "", -EACCES, "", "", 0 },
		{ "", "alpha", "-x", -EACCES, "", "", 0 },
		{ "", "alpha", "../etc", -EACCES, "", "", 0 },
		{ "", "alpha", "a\nb", -EACCES, "", "", 0 },
		{ "", "alpha", "*", -EACCES, "", "", 0 },
	};

	return cr_make_param_array(struct admission, s, ARRAY_SIZE(s));
}

ParameterizedTest(struct admission *t, policy, admits)
{
	struct policy_grant g = { 0 };
	struct failure f = { 0 };
	struct policy *p;

	write_conf(t->conf);
	cr_assert_eq(policy_load(&p, path, "beta", &f), 0);
	cr_assert_eq(policy_admit(p, t->node, t->user, "run on beta", &g, &f),
		     t->want, "%s: %s@%s", t->conf, t->user, t->node);
	if (t->want) {
		cr_assert_str_eq(f.object, "run on beta");
		cr_assert(strstr(f.remedy, t->remedy), "%s", f.remedy);
	} else {
		cr_assert_str_eq(g.user, t->as);
		cr_assert_eq(g.system, t->system);
	}
	policy_put(p);
}

static int reloads;

static void reloaded(struct node *n)
{
	reloads++;
}

Test(policy, a_reload_swaps_whole_files_only)
{
	struct node n = { .conf_dir = dir, .local.node = "beta" };
	struct policy *kept;
	struct failure f;

	write_conf("[jobs]\nmax = 7\n");
	cr_assert_eq(policy_reload(&n, &f), 0);
	cr_assert_eq(policy_conf(n.policy)->jobs_max, 7);
	policy_on_reload(&n, reloaded);
	kept = policy_get(n.policy);

	write_conf("[jobs]\nmax = 8\nmost = 9\n");
	cr_assert_eq(policy_reload(&n, &f), -EINVAL);
	cr_assert_str_eq(f.what, "no key 'most' in [jobs]");
	cr_assert(strstr(f.object, "/virgo_cloud.conf:3"));
	cr_assert_eq(n.policy, kept);
	cr_assert_eq(policy_conf(n.policy)->jobs_max, 7);
	cr_assert_eq(reloads, 0);

	for (int i = 1; i < 4; i++) {
		write_conf("[jobs]\nmax = 8\n");
		cr_assert_eq(policy_reload(&n, &f), 0);
		cr_assert_eq(reloads, i);
	}
	cr_assert_eq(policy_conf(n.policy)->jobs_max, 8);
	cr_assert_eq(policy_conf(kept)->jobs_max, 7);
	policy_put(kept);
	policy_put(n.policy);
}

Test(policy, a_file_that_cannot_be_read_is_no_default)
{
	struct node n = { .conf_dir = dir, .local.node = "beta" };
	struct failure f;

	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(policy_reload(&n, &f), -EISDIR);
	cr_assert_null(n.policy);
	cr_assert_eq(rmdir(path), 0);
}
