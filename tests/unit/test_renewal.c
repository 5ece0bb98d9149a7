// SPDX-License-Identifier: GPL-2.0-or-later
/* When a certificate is renewed. */
#include <criterion/criterion.h>

#include "identity.h"

Test(renewal, at_two_thirds)
{
	cr_assert_eq(renewal_due_s(0, 30 * 86400), 20 * 86400);
	cr_assert_eq(renewal_due_s(1000, 1030), 1020);
}

Test(renewal, dates_far_away_do_not_overflow)
{
	cr_assert_gt(renewal_due_s(1ll << 60, (1ll << 60) + 90), 1ll << 60);
}
