// SPDX-License-Identifier: GPL-2.0-or-later
/* room: ends the biggest program of the machine, as `virgo swap off --force` does
 * when memory does not suffice. For a guest, where the kernel, which may be quicker,
 * leaves it to us.
 */
#include <stdio.h>

#include "swap_room.h"

static void told(const char *text)
{
	puts(text);
}

int main(void)
{
	return swap_room_make(told) ? 1 : 0;
}
