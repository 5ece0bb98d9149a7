/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * md raid1 arrays over network block devices, without metadata on them: which
 * leg holds what is known as long as the kernel runs, and a leg that was lost is
 * never trusted again. Spoken to by ioctl and sysfs, so that mending needs no
 * other program. An array may have one leg only, so that it can be moved.
 */
#ifndef VIRGO_NBD_MIRROR_H
#define VIRGO_NBD_MIRROR_H

#include "failure.h"

enum { MIRROR_LEGS_MAX = 8 };

struct mirror_leg {
	int index; /* of the nbd device */
	bool in_sync;
	bool faulty;
	bool replaced; /* its data is moving to another leg */
};

struct mirror {
	u32 legs;
	struct mirror_leg leg[MIRROR_LEGS_MAX];
	u32 degraded; /* legs that are missing */
	bool busy; /* copying */
	u32 done_ppm; /* of the copying */
};

/* Makes an array of @slots legs of which @count are there, the first @clean of
 * those with equal contents; the others are filled. Its number or a negative
 * errno.
 */
int mirror_create(const int *index, u32 count, u32 clean, u32 slots,
		  u64 size_bytes, struct failure *f);
/* @index becomes a leg and is filled: in a free place, or in that of a leg that
 * is being replaced.
 */
int mirror_add(int md, int index, struct failure *f);
/* The next leg added takes over from @index, which stays in use until then. */
int mirror_replace(int md, int index, struct failure *f);
/* Removes a leg that is lost or replaced. 0 also when it is not there. */
int mirror_remove(int md, int index, struct failure *f);
/* Ends the array; its legs are free then. */
int mirror_stop(int md, struct failure *f);
/* How it is; -ENODEV when there is none. */
int mirror_look(int md, struct mirror *m);

#endif
