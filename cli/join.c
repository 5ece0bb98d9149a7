// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo join: becomes a node of a cloud; done by `virgod join`. */
#include "once.h"

int verb_join(const struct globals *g, int argc, char **argv)
{
	return once_exec(g, argc, argv);
}
