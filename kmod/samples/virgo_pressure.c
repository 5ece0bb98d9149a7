// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sample of both sides of a kernel function, of a variable, and of a cache.
 *
 * "pressure" says how a machine is: 24 bytes, little-endian: free and all memory
 * in bytes, then 1 if it calls itself short of memory, which it does below the
 * variable "pressure.free_ppm" (default 50000: a twentieth).
 *
 * A node's name written to the parameter "ask" has this module ask that node,
 * without any program; "answer" then shows what came, or the error. Written to
 * "keep" it has the answer also put into that node's cache, under "pressure" for a
 * minute, and read back from there: "kept" shows it.
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

enum { ANSWER_BYTES = 24, DEADLINE_MS = 5000, KEPT_S = 60 };

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

enum { TEXT_BYTES = 80 };

static char answer[TEXT_BYTES] = "nobody was asked";
static char kept[TEXT_BYTES] = "nothing was kept";
static DEFINE_MUTEX(texts_lock);

static void show(char *where, const char *text)
{
	mutex_lock(&texts_lock);
	strscpy(where, text, TEXT_BYTES);
	mutex_unlock(&texts_lock);
}

static void ask(const char *node, char *text)
{
	u8 got[ANSWER_BYTES];
	ssize_t ret;

	ret = virgo_fn_call(current->nsproxy->net_ns, node, "pressure", NULL, 0,
			    got, sizeof(got), DEADLINE_MS);
	if (ret == ANSWER_BYTES)
		scnprintf(text, TEXT_BYTES, "%llu %llu %llu", get_u64(got),
			  get_u64(got + 8), get_u64(got + 16));
	else
		scnprintf(text, TEXT_BYTES, "error %zd", ret);
	show(answer, text);
}

static int ask_set(const char *param, const struct kernel_param *kp)
{
	char node[64], text[TEXT_BYTES];

	strscpy(node, param, sizeof(node));
	ask(strim(node), text);
	return 0;
}

static void keep(const char *node, const char *text)
{
	static const char key[] = "pressure";
	const struct virgo_cache_at at = {
		.net = current->nsproxy->net_ns,
		.node = node,
		.deadline_ms = DEADLINE_MS,
	};
	char back[TEXT_BYTES] = "";
	ssize_t ret;

	ret = virgo_cache_set(&at, key, strlen(key), text, strlen(text), 0,
			      KEPT_S);
	if (!ret)
		ret = virgo_cache_get(&at, key, strlen(key), back,
				      sizeof(back) - 1, NULL);
	if (ret < 0)
		scnprintf(back, sizeof(back), "error %zd", ret);
	show(kept, back);
}

static int keep_set(const char *param, const struct kernel_param *kp)
{
	char node[64], text[TEXT_BYTES];

	strscpy(node, param, sizeof(node));
	ask(strim(node), text);
	keep(strim(node), text);
	return 0;
}

static int text_get(char *buffer, const struct kernel_param *kp)
{
	int ret;

	mutex_lock(&texts_lock);
	ret = scnprintf(buffer, PAGE_SIZE, "%s\n", (char *)kp->arg);
	mutex_unlock(&texts_lock);
	return ret;
}

static int changes_get(char *buffer, const struct kernel_param *kp)
{
	return scnprintf(buffer, PAGE_SIZE, "%d\n", atomic_read(&changes));
}

static const struct kernel_param_ops ask_ops = { .set = ask_set };
static const struct kernel_param_ops keep_ops = { .set = keep_set };
static const struct kernel_param_ops text_ops = { .get = text_get };
static const struct kernel_param_ops changes_ops = { .get = changes_get };

module_param_cb(ask, &ask_ops, NULL, 0200);
MODULE_PARM_DESC(ask, "a node to ask for its pressure");
module_param_cb(answer, &text_ops, answer, 0400);
MODULE_PARM_DESC(answer, "free bytes, all bytes, short of memory; or an error");
module_param_cb(keep, &keep_ops, NULL, 0200);
MODULE_PARM_DESC(keep, "the same, and into that node's cache");
module_param_cb(kept, &text_ops, kept, 0400);
MODULE_PARM_DESC(kept, "what was read back from there; or an error");
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
