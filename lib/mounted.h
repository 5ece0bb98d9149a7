/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which mounts are ours. */
#ifndef VIRGO_LIB_MOUNTED_H
#define VIRGO_LIB_MOUNTED_H

#include <stdbool.h>

/* True when a mount of mount.virgo is on top at @point, a full path without links
 * as the kernel shows it. Asks nobody but the kernel, so it does not matter
 * whether the mount still works.
 */
bool mounted_by_us(const char *point);

#endif
