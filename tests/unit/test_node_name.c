// SPDX-License-Identifier: GPL-2.0-or-later
/* Which strings may be a node's name, and what is proposed instead. */
#include <criterion/criterion.h>

#include "node_name.h"
#include "tls.h"

Test(node_name, labels_are_valid)
{
	cr_assert(node_name_valid("alpha"));
	cr_assert(node_name_valid("a"));
	cr_assert(node_name_valid("node-07"));
	cr_assert(node_name_valid("7"));
}

Test(node_name, everything_else_is_refused)
{
	static const char *const bad[] = {
		"",	 "Alpha",  "a b",     "a;reboot", "$(reboot)", "a/b",
		"..",	 "-a",	   "a-",      "a_b",	  "a.b",       "\xc3\xa4",
		"a\nb", "a`id`b", "a|b", "a'b", "\"a\"", "a*", "a\x01",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert(!node_name_valid(bad[i]), "%s", bad[i]);
}

Test(node_name, sixty_three_characters_at_most)
{
	char name[NODE_NAME_MAX + 2];

	memset(name, 'a', sizeof(name));
	name[NODE_NAME_MAX] = '\0';
	cr_assert(node_name_valid(name));
	name[NODE_NAME_MAX] = 'a';
	name[NODE_NAME_MAX + 1] = '\0';
	cr_assert(!node_name_valid(name));
}

Test(node_name, refusal_names_the_nearest)
{
	struct failure f = { 0 };

	cr_assert_eq(node_name_check("My Node!", &f), -EINVAL);
	cr_assert_str_eq(f.remedy, "my-node");
	cr_assert(strstr(f.what, "only a-z"));
}

Test(node_name, nearest)
{
	char out[NODE_NAME_MAX + 1];

	node_name_near("Beta.lan.example", out);
	cr_assert_str_eq(out, "beta");
	node_name_near("--__--", out);
	cr_assert_str_eq(out, "node");
	node_name_near("a;rm -rf /", out);
	cr_assert_str_eq(out, "a-rm-rf");
}
