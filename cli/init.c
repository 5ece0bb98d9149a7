// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo init: makes a cloud; done by `virgod init`. */
#include "once.h"

int verb_init(const struct globals *g, int argc, char **argv)
{
	return once_exec(g, argc, argv);
}
