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

static ssize_t call_here(struct instance *in, const struct call_request *r)
{
	const struct virgo_fn_caller caller = {
		.node = "",
		.user = r->user,
		.deadline = ktime_add_ms(ktime_get(), r->deadline_ms),
		.in = in,
	};
	struct virgo_fn *fn;
	ssize_t ret;

	if (*r->user && !fn_allowed(in, r->name, "", r->user))
		return -EACCES;
	fn = fn_enter(r->name);
	if (!fn)
		return -ENOENT;
	ret = fn_run(fn, &caller, r->arg, r->arg_len, r->result,
		     r->result_size);
	fn_leave(fn);
	return ret;
}

ssize_t call_fn(struct instance *in, const struct call_request *r)
{
	if (fn_is_self(in, r->node))
		return call_here(in, r);
	return peer_call(in, r);
}

ssize_t virgo_fn_call(struct net *net, const char *node, const char *name,
		      const void *arg, u32 arg_len, void *result,
		      u32 result_size, u32 deadline_ms)
{
	const struct call_request r = {
		.node = node,
		.user = "",
		.name = name,
		.arg = arg,
		.arg_len = arg_len,
		.result = result,
		.result_size = min_t(u32, result_size, VIRGO_FN_BYTES_MAX),
		.deadline_ms = clamp(deadline_ms, 1u, (u32)CALL_MS_MAX),
	};
	struct instance *in;
	ssize_t ret;

	if (arg_len > VIRGO_FN_BYTES_MAX)
		return -E2BIG;
	in = instance_of(net);
	if (IS_ERR(in))
		return PTR_ERR(in);
	ret = call_fn(in, &r);
	instance_put(in);
	return ret;
}
EXPORT_SYMBOL_GPL(virgo_fn_call);
