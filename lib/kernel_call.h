/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calling a function of a kernel module, of this node or another (virgo(4)). */
#ifndef VIRGO_LIB_KERNEL_CALL_H
#define VIRGO_LIB_KERNEL_CALL_H

#include "failure.h"

enum { KERNEL_CALL_BYTES = 64 << 10 }; /* most of an argument, or a result */

/*
 * Calls function @name of @node (NULL or "": this one) and waits for @timeout_ms
 * at most. Bytes of the result, or a negative errno with @f: what the function
 * gave, or why it was not called (see virgo_call(3)).
 */
ssize_t kernel_call(const char *node, const char *name, const void *argument,
		    size_t argument_len, void *result, size_t result_size,
		    u32 timeout_ms, struct failure *f);

#endif
