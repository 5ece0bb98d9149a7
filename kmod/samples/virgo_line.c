// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sample of a remote device: a line of this machine that other nodes read, set and
 * watch. It is a network interface of the first namespace, named by the parameter
 * "line", which is up (1) or down (0): as simple as a GPIO line, and there in every
 * kernel.
 *
 *	"line.get"	nothing
 *	"line.set"	0 or 1 (1 byte)
 *	"line.watch"	a count of changes (4 bytes): waits until it is another
 *
 * Each gives five bytes: 0 or 1, and the count of changes, little-endian.
 *
 * A node's name written to the parameter "follow" has this module watch the line of
 * that node, without any program; "followed" shows what it is there. An empty name
 * ends that.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>

#include "virgo_module.h"

enum {
	STATE_BYTES = 5,
	WATCHERS_MAX = 8, /* of all nodes: each keeps a call under way */
	FOLLOW_MS = 2000, /* one question; also how long an end may take */
};

static char line[IFNAMSIZ] = "line0";
module_param_string(line, line, sizeof(line), 0444);
MODULE_PARM_DESC(line, "the network interface");

static atomic_t changes = ATOMIC_INIT(0);
static atomic_t watchers = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(changed);

/* This node's line. */

static ssize_t state(u8 *result, u32 result_size)
{
	struct net_device *dev;
	bool up;

	if (result_size < STATE_BYTES)
		return -EMSGSIZE;
	dev = dev_get_by_name(&init_net, line);
	if (!dev)
		return -ENXIO;
	up = READ_ONCE(dev->flags) & IFF_UP;
	dev_put(dev);
	result[0] = up;
	put_u32(result + 1, atomic_read(&changes));
	return STATE_BYTES;
}

static ssize_t line_get(const struct virgo_fn_caller *caller, const void *arg,
			u32 arg_len, void *result, u32 result_size)
{
	return state(result, result_size);
}

static int set_up(bool up)
{
	struct net_device *dev;
	unsigned int flags;
	int ret = -ENXIO;

	rtnl_lock();
	dev = __dev_get_by_name(&init_net, line);
	if (dev) {
		flags = up ? dev->flags | IFF_UP : dev->flags & ~IFF_UP;
		ret = dev_change_flags(dev, flags, NULL);
	}
	rtnl_unlock();
	return ret;
}

static ssize_t line_set(const struct virgo_fn_caller *caller, const void *arg,
			u32 arg_len, void *result, u32 result_size)
{
	int ret;

	if (arg_len != 1 || *(const u8 *)arg > 1)
		return -EINVAL;
	ret = set_up(*(const u8 *)arg);
	return ret ? ret : state(result, result_size);
}

static ssize_t line_watch(const struct virgo_fn_caller *caller, const void *arg,
			  u32 arg_len, void *result, u32 result_size)
{
	s64 left_ms = ktime_ms_delta(caller->deadline, ktime_get());
	u32 seen;

	if (arg_len != 4)
		return -EINVAL;
	seen = get_u32(arg);
	if (atomic_inc_return(&watchers) > WATCHERS_MAX) {
		atomic_dec(&watchers);
		return -EBUSY;
	}
	/* Killable, since it may be a program of this machine that waits. */
	wait_event_killable_timeout(changed, atomic_read(&changes) != seen,
				    msecs_to_jiffies(max_t(s64, left_ms, 0)));
	atomic_dec(&watchers);
	return state(result, result_size);
}

static int on_device(struct notifier_block *block, unsigned long event,
		     void *info)
{
	struct net_device *dev = netdev_notifier_info_to_dev(info);

	if ((event == NETDEV_UP || event == NETDEV_DOWN) &&
	    net_eq(dev_net(dev), &init_net) && !strcmp(dev->name, line)) {
		atomic_inc(&changes);
		wake_up_all(&changed);
	}
	return NOTIFY_DONE;
}

static struct notifier_block devices = { .notifier_call = on_device };

static struct virgo_fn functions[] = {
	{ .name = "line.get", .call = line_get },
	{ .name = "line.set", .call = line_set, .max_arg = 1 },
	{ .name = "line.watch", .call = line_watch, .max_arg = 4 },
};

/* Another node's line. */

static DEFINE_MUTEX(follow_lock); /* one at a time changes who is followed */
static struct net *follow_net; /* counted; NULL: nobody is followed */
static bool follow_ended; /* parameters outlive sample_exit() a little */
static char follow_node[64];
static u32 follow_seen; /* the work's own */
static char followed[32] = "nobody is followed";
static DEFINE_MUTEX(followed_lock);

static void follow(struct work_struct *work);
static DECLARE_DELAYED_WORK(follow_work, follow);

static void follow(struct work_struct *work)
{
	u8 seen[4], got[STATE_BYTES];
	unsigned long pause = 0;
	ssize_t ret;

	put_u32(seen, follow_seen);
	ret = virgo_fn_call(follow_net, follow_node, "line.watch", seen,
			    sizeof(seen), got, sizeof(got), FOLLOW_MS);
	mutex_lock(&followed_lock);
	if (ret == STATE_BYTES) {
		follow_seen = get_u32(got + 1);
		scnprintf(followed, sizeof(followed), "%u %u", got[0],
			  follow_seen);
	} else if (ret != -ETIMEDOUT) {
		scnprintf(followed, sizeof(followed), "error %zd", ret);
		pause = HZ;
	}
	mutex_unlock(&followed_lock);
	queue_delayed_work(system_unbound_wq, &follow_work, pause);
}

/* Under follow_lock. */
static void follow_stop(void)
{
	if (!follow_net)
		return;
	cancel_delayed_work_sync(&follow_work);
	put_net(follow_net);
	follow_net = NULL;
}

static int follow_set(const char *param, const struct kernel_param *kp)
{
	mutex_lock(&follow_lock);
	follow_stop();
	strscpy(follow_node, param, sizeof(follow_node));
	strim(follow_node);
	if (*follow_node && !follow_ended) {
		follow_net = get_net(current->nsproxy->net_ns);
		follow_seen = U32_MAX; /* so that the first answer is at once */
		queue_delayed_work(system_unbound_wq, &follow_work, 0);
	}
	mutex_unlock(&follow_lock);
	return 0;
}

static int followed_get(char *buffer, const struct kernel_param *kp)
{
	int ret;

	mutex_lock(&followed_lock);
	ret = scnprintf(buffer, PAGE_SIZE, "%s\n", followed);
	mutex_unlock(&followed_lock);
	return ret;
}

static const struct kernel_param_ops follow_ops = { .set = follow_set };
static const struct kernel_param_ops followed_ops = { .get = followed_get };

module_param_cb(follow, &follow_ops, NULL, 0200);
MODULE_PARM_DESC(follow, "a node whose line is watched");
module_param_cb(followed, &followed_ops, NULL, 0400);
MODULE_PARM_DESC(followed, "0 or 1 and the count of changes there; or an error");

static void unregister(int count)
{
	while (count--)
		virgo_unregister_fn(&functions[count]);
}

static int __init sample_init(void)
{
	int ret = register_netdevice_notifier(&devices);
	int i;

	for (i = 0; !ret && i < ARRAY_SIZE(functions); i++) {
		functions[i].owner = THIS_MODULE;
		functions[i].max_result = STATE_BYTES;
		ret = virgo_register_fn(&functions[i]);
		if (ret) {
			unregister(i);
			unregister_netdevice_notifier(&devices);
		}
	}
	return ret;
}

static void __exit sample_exit(void)
{
	mutex_lock(&follow_lock);
	follow_ended = true;
	follow_stop();
	mutex_unlock(&follow_lock);
	unregister(ARRAY_SIZE(functions));
	unregister_netdevice_notifier(&devices);
}

module_init(sample_init);
module_exit(sample_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VIRGO sample: a line of another node, read, set and watched");
