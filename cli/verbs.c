// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of verbs, in the order in which `virgo --help` shows them. */
#include "verbs.h"

#include <stddef.h>

const struct verb verbs[] = {
	{ NULL, NULL, NULL },
};
