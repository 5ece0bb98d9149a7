// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses as people write them. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "address.h"

struct sample {
	char list[64];
	int count; /* or a negative errno */
	char last[ADDRESS_TEXT_MAX]; /* the last address */
};

ParameterizedTestParameters(address, resolves)
{
	static struct sample s[] = {
		{ "10.0.0.1", 1, "10.0.0.1:8747" },
		{ "10.0.0.1:99", 1, "10.0.0.1:99" },
		{ "fd00::1", 1, "[fd00::1]:8747" },
		{ "[fd00::1]:99", 1, "[fd00::1]:99" },
		{ "[fd00::1]", 1, "[fd00::1]:8747" },
		{ "10.0.0.1, 10.0.0.2:5", 2, "10.0.0.2:5" },
		{ "10.0.0.1,", 1, "10.0.0.1:8747" },
		{ "", -ENOENT, "" },
		{ ",", -EINVAL, "" },
		{ "10.0.0.1:0", -EINVAL, "" },
		{ "10.0.0.1:65536", -EINVAL, "" },
		{ "10.0.0.1:x", -EINVAL, "" },
		{ "[fd00::1", -EINVAL, "" },
		{ "[fd00::1]x", -EINVAL, "" },
		{ "a;b", -EINVAL, "" },
		{ "$(reboot)", -EINVAL, "" },
		{ "beta.lan", -EAGAIN, "" },
		{ "10.0.0.1,beta", -EAGAIN, "" },
	};

	return cr_make_param_array(struct sample, s, ARRAY_SIZE(s));
}

ParameterizedTest(struct sample *s, address, resolves)
{
	struct address a[ADDRESS_MAX];
	char text[ADDRESS_TEXT_MAX];
	int n = address_resolve(s->list, VIRGO_PORT, false, a, ADDRESS_MAX);

	cr_assert_eq(n, s->count, "%s: %d", s->list, n);
	if (n > 0)
		cr_assert_str_eq(address_text((struct sockaddr *)&a[n - 1].sa,
					      text),
				 s->last);
}

Test(address, stops_at_the_room_it_is_given)
{
	struct address a[1];

	cr_assert_eq(address_resolve("10.0.0.1,10.0.0.2", 1, false, a, 1), 1);
}

Test(address, looks_up_names_when_allowed)
{
	struct address a[ADDRESS_MAX];

	cr_assert_gt(address_resolve("localhost", 1, true, a, ADDRESS_MAX), 0);
}
