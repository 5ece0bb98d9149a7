// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo backup: seals authority and catalog; done by `virgod backup`. */
#include "once.h"

int verb_backup(const struct globals *g, int argc, char **argv)
{
	return once_exec(g, argc, argv);
}
