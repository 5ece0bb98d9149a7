/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory objects by /dev/virgo (virgo(4)): the module says it to this node's virgod.
 * What an open device has made is held until it is closed. Each function gives 0 or
 * a negative errno with @f, which has virgod's own words where it answered; or
 * -ENOTCONN without words: no virgod serves the module's callers.
 */
#ifndef VIRGO_LIB_KERNEL_MEMORY_H
#define VIRGO_LIB_KERNEL_MEMORY_H

#include "extent.h"
#include "failure.h"

/* A device that does it, close-on-exec, or a negative errno. */
int kernel_memory_open(void);

/* @handle: HANDLE_BYTES. */
int kernel_memory_malloc(int device, u64 bytes, u32 lease_ms, u8 *handle,
			 struct failure *f);
int kernel_memory_get(int device, const u8 *handle, void *buf, u64 len,
		      u64 offset, struct failure *f);
int kernel_memory_set(int device, const u8 *handle, const void *buf, u64 len,
		      u64 offset, struct failure *f);
int kernel_memory_free(int device, const u8 *handle, struct failure *f);

#endif
