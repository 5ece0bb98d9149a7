// SPDX-License-Identifier: GPL-2.0-or-later
/* What becomes of a leg: the rules that must hold for the whole table. */
#include <criterion/criterion.h>

#include "guard_rules.h"

Test(guard, a_leg_with_a_twin_never_waits)
{
	struct leg_rule r = leg_rule(LEG_UP, LEG_LINK_DEAD, true);

	cr_assert_eq(r.next, LEG_LOST);
	cr_assert_eq(r.action, ACT_DISCONNECT);
	r = leg_rule(LEG_UP, LEG_SILENT, true);
	cr_assert_eq(r.action, ACT_DISCONNECT);
	for (int e = 0; e < LEG_EVENTS; e++)
		cr_assert_neq(leg_rule(LEG_UP, (enum leg_event)e, true).next,
			      LEG_HELD);
}

/* Only the lender's word that the data is gone, or the kernel's own patience,
 * ends the last leg.
 */
Test(guard, the_last_leg_is_given_up_last)
{
	for (int s = LEG_UP; s < LEG_LOST; s++)
		for (int e = 0; e < LEG_EVENTS; e++) {
			struct leg_rule r = leg_rule((enum leg_state)s,
						     (enum leg_event)e, false);

			if (r.action == ACT_DISCONNECT)
				cr_assert(s == LEG_HELD &&
						  (e == LEG_GONE ||
						   e == LEG_OUT_OF_PATIENCE),
					  "state %d event %d", s, e);
		}
	cr_assert_eq(leg_rule(LEG_UP, LEG_LINK_DEAD, false).next, LEG_HELD);
	cr_assert_eq(leg_rule(LEG_HELD, LEG_REFUSED, false).action,
		     ACT_DIAL_AGAIN);
	cr_assert_eq(leg_rule(LEG_UP, LEG_SILENT, false).next, LEG_UP);
}

Test(guard, whole_table)
{
	for (int s = 0; s < LEG_STATES; s++)
		for (int e = 0; e < LEG_EVENTS; e++)
			for (int twin = 0; twin < 2; twin++) {
				struct leg_rule r = leg_rule(
					(enum leg_state)s, (enum leg_event)e,
					twin);

				cr_assert_lt(r.next, LEG_STATES);
				/* Nothing comes back from LOST. */
				if (s == LEG_LOST)
					cr_assert(r.next == LEG_LOST &&
						  r.action == ACT_NOTHING);
				/* A device is disconnected when it is lost. */
				if (s != LEG_LOST && s != LEG_DIALLING)
					cr_assert_eq(r.next == LEG_LOST,
						     r.action ==
							     ACT_DISCONNECT);
				/* New connections are asked for on entering the
				 * state that needs them.
				 */
				if ((int)r.next != s && r.next == LEG_HELD)
					cr_assert_eq(r.action, ACT_DIAL);
			}
}
