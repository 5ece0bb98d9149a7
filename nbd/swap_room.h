/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether what lies in swap has room in memory, in the machine and in each cgroup
 * that has a limit, and making some.
 */
#ifndef VIRGO_NBD_SWAP_ROOM_H
#define VIRGO_NBD_SWAP_ROOM_H

#include "failure.h"

/* What a cgroup's files say, in bytes. */
struct swap_cgroup {
	s64 max; /* memory.max; negative: no limit */
	s64 current; /* memory.current */
	s64 swapped; /* memory.swap.current */
	s64 pages; /* of files, which can be had back: of memory.stat */
	s64 both; /* swapped and in memory: "swapcached" of memory.stat */
};

/* Bytes that would have to come back and for which it has no room. */
s64 swap_cgroup_lacks(const struct swap_cgroup *c);

/*
 * -ENOMEM when @used bytes of @device do not fit: into the machine's memory and
 * @other bytes of other swap, or, without that, into the limit of a cgroup that has
 * something in swap; its programs would be killed, however much memory is free.
 */
int swap_room_check(const char *device, s64 used, s64 other, struct failure *f);

/*
 * Ends the program that the kernel would end first, not an essential one
 * (protect.h) and not one with less than 4 MiB of its own, whose end would bring
 * nothing; waits until it is gone, and tells. -ESRCH when there is none.
 */
int swap_room_make(void (*told)(const char *text));

#endif
