// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of guard_rules.h. */
#include "guard_rules.h"

#define SAME(state) { LEG_##state, ACT_NOTHING }
#define LOSE { LEG_LOST, ACT_DISCONNECT }

/* [state][event]: alone, with a twin. */
static const struct leg_rule rules[LEG_STATES][LEG_EVENTS][2] = {
	[LEG_DIALLING] = {
		[LEG_CONNECTED] = { SAME(UP), SAME(UP) },
		[LEG_REFUSED] = { { LEG_LOST, ACT_FORGET },
				  { LEG_LOST, ACT_FORGET } },
		[LEG_GONE] = { { LEG_LOST, ACT_FORGET },
			       { LEG_LOST, ACT_FORGET } },
		[LEG_LINK_DEAD] = { SAME(DIALLING), SAME(DIALLING) },
		[LEG_SILENT] = { SAME(DIALLING), SAME(DIALLING) },
		[LEG_OUT_OF_PATIENCE] = { SAME(DIALLING), SAME(DIALLING) },
	},
	[LEG_UP] = {
		[LEG_CONNECTED] = { SAME(UP), SAME(UP) },
		[LEG_REFUSED] = { SAME(UP), SAME(UP) },
		[LEG_GONE] = { SAME(UP), SAME(UP) },
		[LEG_LINK_DEAD] = { { LEG_HELD, ACT_DIAL }, LOSE },
		[LEG_SILENT] = { SAME(UP), LOSE },
		[LEG_OUT_OF_PATIENCE] = { SAME(UP), SAME(UP) },
	},
	[LEG_HELD] = {
		[LEG_CONNECTED] = { SAME(UP), SAME(UP) },
		[LEG_REFUSED] = { { LEG_HELD, ACT_DIAL_AGAIN }, LOSE },
		/* Nothing will bring the data back: do not make it wait. */
		[LEG_GONE] = { LOSE, LOSE },
		[LEG_LINK_DEAD] = { SAME(HELD), LOSE },
		[LEG_SILENT] = { SAME(HELD), LOSE },
		[LEG_OUT_OF_PATIENCE] = { LOSE, LOSE },
	},
	[LEG_LOST] = {
		[LEG_CONNECTED] = { SAME(LOST), SAME(LOST) },
		[LEG_REFUSED] = { SAME(LOST), SAME(LOST) },
		[LEG_GONE] = { SAME(LOST), SAME(LOST) },
		[LEG_LINK_DEAD] = { SAME(LOST), SAME(LOST) },
		[LEG_SILENT] = { SAME(LOST), SAME(LOST) },
		[LEG_OUT_OF_PATIENCE] = { SAME(LOST), SAME(LOST) },
	},
};

struct leg_rule leg_rule(enum leg_state s, enum leg_event e, bool twin)
{
	return rules[s][e][twin];
}

const char *leg_state_name(u32 s)
{
	static const char *const names[LEG_STATES] = {
		[LEG_DIALLING] = "dialling",
		[LEG_UP] = "up",
		[LEG_HELD] = "held",
		[LEG_LOST] = "lost",
	};

	return s < LEG_STATES ? names[s] : "unknown";
}
