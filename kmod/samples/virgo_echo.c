// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sample of a call's price: the kernel function "echo" gives its argument back. "NODE
 * COUNT" written to the parameter "measure" has this module call that node's COUNT
 * times, 64 bytes one after the other, without any program; "took" then shows
 * nanoseconds: a call on average, the median and the 99th percentile; or the error.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/sort.h>
#include <net/net_namespace.h>

#include "virgo_module.h"

enum { ARGUMENT_BYTES = 64, COUNT_MAX = 1000000, DEADLINE_MS = 5000 };

static ssize_t echo(const struct virgo_fn_caller *caller, const void *arg,
		    u32 arg_len, void *result, u32 result_size)
{
	if (result_size < arg_len)
		return -EMSGSIZE;
	memcpy(result, arg, arg_len);
	return arg_len;
}

static struct virgo_fn function = {
	.name = "echo",
	.owner = THIS_MODULE,
	.max_arg = VIRGO_FN_BYTES_MAX,
	.max_result = VIRGO_FN_BYTES_MAX,
	.quick = true,
	.call = echo,
};

static char took[80] = "nothing was measured";
static DEFINE_MUTEX(took_lock);

static int call_once(const char *node)
{
	u8 arg[ARGUMENT_BYTES], got[ARGUMENT_BYTES];
	ssize_t ret;

	memset(arg, 'x', sizeof(arg));
	ret = virgo_fn_call(current->nsproxy->net_ns, node, "echo", arg,
			    sizeof(arg), got, sizeof(got), DEADLINE_MS);
	if (ret < 0)
		return ret;
	return ret == sizeof(arg) && !memcmp(arg, got, sizeof(arg)) ? 0 : -EIO;
}

static int by_size(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Fills in @each. */
static int call_often(const char *node, u64 *each, u32 count)
{
	u32 i;
	int ret;

	for (i = 0; i < count; i++) {
		u64 began = ktime_get_ns();

		ret = call_once(node);
		if (ret)
			return ret;
		each[i] = ktime_get_ns() - began;
	}
	return 0;
}

static int measure(const char *node, u64 *each, u32 count)
{
	u64 began = ktime_get_ns();
	int ret = call_often(node, each, count);
	u64 all = ktime_get_ns() - began;

	mutex_lock(&took_lock);
	if (ret) {
		scnprintf(took, sizeof(took), "error %d", ret);
	} else {
		sort(each, count, sizeof(*each), by_size, NULL);
		scnprintf(took, sizeof(took), "%llu %llu %llu",
			  div_u64(all, count), each[count / 2],
			  each[div_u64((u64)count * 99, 100)]);
	}
	mutex_unlock(&took_lock);
	return 0;
}

static int measure_set(const char *param, const struct kernel_param *kp)
{
	char node[64];
	u64 *each;
	u32 count;
	int ret;

	if (sscanf(param, "%63s %u", node, &count) != 2 || !count ||
	    count > COUNT_MAX)
		return -EINVAL;
	each = kvmalloc_array(count, sizeof(*each), GFP_KERNEL);
	if (!each)
		return -ENOMEM;
	ret = measure(node, each, count);
	kvfree(each);
	return ret;
}

static int took_get(char *buffer, const struct kernel_param *kp)
{
	int ret;

	mutex_lock(&took_lock);
	ret = scnprintf(buffer, PAGE_SIZE, "%s\n", took);
	mutex_unlock(&took_lock);
	return ret;
}

static const struct kernel_param_ops measure_ops = { .set = measure_set };
static const struct kernel_param_ops took_ops = { .get = took_get };

module_param_cb(measure, &measure_ops, NULL, 0200);
MODULE_PARM_DESC(measure, "a node to call, and how often");
module_param_cb(took, &took_ops, NULL, 0400);
MODULE_PARM_DESC(took, "nanoseconds a call: mean, median, 99th percentile");

static int __init sample_init(void)
{
	return virgo_register_fn(&function);
}

static void __exit sample_exit(void)
{
	virgo_unregister_fn(&function);
}

module_init(sample_init);
module_exit(sample_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VIRGO sample: what a call of a kernel function costs");
