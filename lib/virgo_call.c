// SPDX-License-Identifier: LGPL-2.1-or-later
/* virgo_call(): functions of kernel modules, without virgod. */
#include "kernel_call.h"
#include "object.h"
#include "virgo.h"

static_assert((int)VIRGO_CALL_MAX == (int)KERNEL_CALL_BYTES, "as in virgo.h");

ssize_t virgo_call(const char *node, const char *name, const void *argument,
		   size_t argument_len, void *result, size_t result_size,
		   unsigned int timeout_ms)
{
	struct failure f = { 0 };
	ssize_t ret = kernel_call(node, name, argument, argument_len, result,
				  result_size, timeout_ms, &f);

	return ret < 0 ? api_fail(&f) : ret;
}
