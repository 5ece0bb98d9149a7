// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sample of both sides of a kernel function, and of a variable.
 *
 * "pressure" says how a machine is: 24 bytes, little-endian: free and all memory
 * in bytes, then 1 if it calls itself short of memory, which it does below the
 * variable "pressure.free_ppm" (default 50000: a twentieth).
 *
 * A node's name written to the parameter "ask" has this module ask that node,
 * without any program; "answer" then shows what came, or the error.
 */
#include <linux/err.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <net/net_namespace.h>

#include "virgo_module.h"

enum { ANSWER_BYTES = 24, DEADLINE_MS = 5000 };

static struct virgo_var *threshold;
static atomic_t changes = ATOMIC_INIT(0);

static ssize_t pressure(const struct virgo_fn_caller *caller, const void *arg,
			u32 arg_len, void *result, u32 result_size)
{
	struct sysinfo info;
	u64 free, all, ppm;

	if (result_size < ANSWER_BYTES)
		return -EMSGSIZE;
	si_meminfo(&info);
	free = (u64)info.freeram * info.mem_unit;
	all = (u64)info.totalram * info.mem_unit;
	/* Whatever it returns, ppm is what to act on. */
	virgo_var_get(threshold, &ppm);
	put_u64(result, free);
	put_u64(result + 8, all);
	put_u64(result + 16, div_u64(free, 1024) * 1000000 <
				     div_u64(all, 1024) * ppm);
	return ANSWER_BYTES;
}

static struct virgo_fn function = {
	.name = "pressure",
	.owner = THIS_MODULE,
	.max_result = ANSWER_BYTES,
	.call = pressure,
};

static char answer[80] = "nobody was asked";
static DEFINE_MUTEX(answer_lock);

static int ask_set(const char *text, const struct kernel_param *kp)
{
	u8 got[ANSWER_BYTES];
	char node[64];
	ssize_t ret;

	strscpy(node, text, sizeof(node));
	ret = virgo_fn_call(current->nsproxy->net_ns, strim(node), "pressure",
			    NULL, 0, got, sizeof(got), DEADLINE_MS);
	mutex_lock(&answer_lock);
	if (ret == ANSWER_BYTES)
		scnprintf(answer, sizeof(answer), "%llu %llu %llu",
			  get_u64(got), get_u64(got + 8), get_u64(got + 16));
	else
		scnprintf(answer, sizeof(answer), "error %zd", ret);
	mutex_unlock(&answer_lock);
	return 0;
}

static int answer_get(char *buffer, const struct kernel_param *kp)
{
	int ret;

	mutex_lock(&answer_lock);
	ret = scnprintf(buffer, PAGE_SIZE, "%s\n", answer);
	mutex_unlock(&answer_lock);
	return ret;
}

static int changes_get(char *buffer, const struct kernel_param *kp)
{
	return scnprintf(buffer, PAGE_SIZE, "%d\n", atomic_read(&changes));
}

static const struct kernel_param_ops ask_ops = { .set = ask_set };
static const struct kernel_param_ops answer_ops = { .get = answer_get };
static const struct kernel_param_ops changes_ops = { .get = changes_get };

module_param_cb(ask, &ask_ops, NULL, 0200);
MODULE_PARM_DESC(ask, "a node to ask for its pressure");
module_param_cb(answer, &answer_ops, NULL, 0400);
MODULE_PARM_DESC(answer, "free bytes, all bytes, short of memory; or an error");
module_param_cb(changes, &changes_ops, NULL, 0400);
MODULE_PARM_DESC(changes, "how often the variable's change was told");

static void on_change(struct virgo_var *v, void *data)
{
	atomic_inc(&changes);
}

static int __init sample_init(void)
{
	static const struct var_want want = {
		.type = VAR_U64,
		.max = 1000000,
		.fallback = 50000,
	};
	int ret;

	threshold = virgo_var_lookup(&init_net, "pressure.free_ppm", &want,
				     on_change, NULL);
	if (IS_ERR(threshold))
		return PTR_ERR(threshold);
	ret = virgo_register_fn(&function);
	if (ret)
		virgo_var_put(threshold);
	return ret;
}

static void __exit sample_exit(void)
{
	virgo_unregister_fn(&function);
	virgo_var_put(threshold);
}

module_init(sample_init);
module_exit(sample_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VIRGO sample: memory pressure as kernel function");
