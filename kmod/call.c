// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls of functions: here at once, elsewhere by peer.c. */
#include "call.h"

#include <linux/err.h>
#include <linux/export.h>
#include <linux/ktime.h>

#include "fn.h"
#include "instance.h"
#include "peer.h"
#include "virgo_module.h"

static ssize_t call_here(const char *name, const void *arg, u32 arg_len,
			 void *result, u32 result_size, u32 deadline_ms)
{
	struct virgo_fn *fn = fn_enter(name);
	ssize_t ret;

	if (!fn)
		return -ENOENT;
	ret = fn_run(fn, "", ktime_add_ms(ktime_get(), deadline_ms), arg,
		     arg_len, result, result_size);
	fn_leave(fn);
	return ret;
}

ssize_t call_fn(struct instance *in, const char *node, const char *name,
		const void *arg, u32 arg_len, void *result, u32 result_size,
		u32 deadline_ms)
{
	if (*node)
		return peer_call(in, node, name, arg, arg_len, result,
				 result_size, deadline_ms);
	return call_here(name, arg, arg_len, result, result_size, deadline_ms);
}

ssize_t virgo_fn_call(struct net *net, const char *node, const char *name,
		      const void *arg, u32 arg_len, void *result,
		      u32 result_size, u32 deadline_ms)
{
	struct instance *in;
	ssize_t ret;

	if (arg_len > VIRGO_FN_BYTES_MAX)
		return -E2BIG;
	in = instance_of(net);
	if (IS_ERR(in))
		return PTR_ERR(in);
	ret = call_fn(in, node, name, arg, arg_len, result,
		      min_t(u32, result_size, VIRGO_FN_BYTES_MAX),
		      clamp(deadline_ms, 1u, (u32)CALL_MS_MAX));
	instance_put(in);
	return ret;
}
EXPORT_SYMBOL_GPL(virgo_fn_call);
