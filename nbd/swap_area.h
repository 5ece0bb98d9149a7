/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A block device as swap space. */
#ifndef VIRGO_NBD_SWAP_AREA_H
#define VIRGO_NBD_SWAP_AREA_H

#include "failure.h"

/* Writes what mkswap(8) would, and uses it. @priority < 0: the kernel's choice.
 * What the kernel does not need any more is trimmed, so that the lender has its
 * memory back.
 */
int swap_area_on(const char *device, u64 size_bytes, int priority,
		 struct failure *f);
/*
 * Brings everything back into memory. Where that does not fit (swap_room.h),
 * -ENOMEM, or with @force programs are ended until it does, the biggest first;
 * each is told, but for those that the kernel ends at a cgroup's limit. 0 also when
 * it is not in use.
 */
int swap_area_off(const char *device, bool force,
		  void (*told)(const char *text), struct failure *f);
/* Bytes in use, or -ENOENT when it is no swap space. */
s64 swap_area_used(const char *device);

#endif
