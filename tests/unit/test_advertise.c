// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses as people write them. */
#include <criterion/criterion.h>

#include "address.h"
#include "advertise.h"

static void same(const char *in, const char *out)
{
	char got[ADVERTISED_LIST_MAX + 1];
	struct failure f = { 0 };

	cr_assert_eq(advertised_list(in, VIRGO_PORT, got, sizeof(got), &f), 0,
		     "%s: %s", in, f.what);
	cr_assert_str_eq(got, out);
}

Test(advertise, full_form)
{
	same("10.0.0.1", "10.0.0.1:8747");
	same("10.0.0.1:99,beta.lan", "10.0.0.1:99,beta.lan:8747");
	same("fd00::1", "[fd00::1]:8747");
	same("[fd00::1]:1,[fd00::2]", "[fd00::1]:1,[fd00::2]:8747");
	same("fe80::1%eth0", "[fe80::1%eth0]:8747");
}

Test(advertise, full_form_is_stable)
{
	same("[fd00::1]:8747,a:1", "[fd00::1]:8747,a:1");
}

Test(advertise, malformed)
{
	static const char *const bad[] = {
		"",	    ",",	"a,,b",	      "a:0",	 "a:65536",
		"a:",	    ":1",	"[fd00::1",   "[fd00::1]x", "[a]:1",
		"a b",	    "a;b",	"1:2:zz",     "a:-1",	 "$(x)",
		"fe80::1%", "a:999999", "[]:1",
	};
	char got[ADVERTISED_LIST_MAX + 1];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(advertised_list(bad[i], VIRGO_PORT, got,
					     sizeof(got), NULL),
			     -EINVAL, "%s", bad[i]);
}

Test(advertise, too_many)
{
	char got[20];

	cr_assert_eq(advertised_list("10.0.0.1,10.0.0.2", VIRGO_PORT, got,
				     sizeof(got), NULL),
		     -E2BIG);
}
