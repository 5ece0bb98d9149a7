// SPDX-License-Identifier: GPL-2.0-or-later
/* Lists of nodes as people write them. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "hosts.h"

static char *expanded(const char *list, int *ret)
{
	struct hosts h = { 0 };
	struct failure f = { 0 };
	char *out = calloc(1, 1 << 20);
	int i;

	*ret = hosts_add(&h, list, &f);
	cr_assert_eq(f.code, *ret);
	for (i = 0; i < h.count; i++)
		strcat(strcat(out, i ? " " : ""), h.names[i]);
	hosts_free(&h);
	return out;
}

static void gives(const char *list, const char *want)
{
	int ret;
	char *got = expanded(list, &ret);

	cr_assert_eq(ret, 0, "%s", list);
	cr_assert_str_eq(got, want);
	free(got);
}

static void refused(const char *list)
{
	int ret;
	char *got = expanded(list, &ret);

	cr_assert_eq(ret, -EINVAL, "%s", list);
	free(got);
}

Test(hosts, expands)
{
	gives("alpha", "alpha");
	gives("alpha,beta", "alpha beta");
	gives("n[1-3]", "n1 n2 n3");
	gives("n[08-11]", "n08 n09 n10 n11");
	gives("n[1-2,5,07-08]x", "n1x n2x n5x n07x n08x");
	gives("r[1-2]n[1-2],x", "r1n1 r1n2 r2n1 r2n2 x");
	gives("[1-2]", "1 2");
}

Test(hosts, names_nothing_twice)
{
	gives("a,b,a", "a b");
	gives("n[1-3],n[2-4]", "n1 n2 n3 n4");
}

Test(hosts, refuses_what_is_malformed)
{
	refused("");
	refused("a,");
	refused(",a");
	refused("n[");
	refused("n[]");
	refused("n]");
	refused("n[1");
	refused("n[1-]");
	refused("n[-1]");
	refused("n[a-b]");
	refused("n[3-1]");
	refused("n[1,]");
	refused("n[[1]]");
	refused("n[1-9999]");
	refused("n[1-99999999999999999999]");
	refused("n[1-100]m[1-100]");
	refused("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}
