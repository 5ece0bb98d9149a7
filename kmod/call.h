/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calling a function, wherever it is. */
#ifndef VIRGO_KMOD_CALL_H
#define VIRGO_KMOD_CALL_H

#include <linux/types.h>

struct instance;

enum { CALL_MS_MAX = 3600000 };

/* As virgo_fn_call(); the argument and the result may be at most
 * VIRGO_FN_BYTES_MAX long, @deadline_ms at most CALL_MS_MAX.
 */
ssize_t call_fn(struct instance *in, const char *node, const char *name,
		const void *arg, u32 arg_len, void *result, u32 result_size,
		u32 deadline_ms);

#endif
