// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo.ko comes and goes. What programs reach is made last and goes first; then
 * the namespaces' instances with all they run, then the queues they ran on.
 */
#include <linux/module.h>
#include <linux/workqueue.h>

#include "conn_buffer.h"
#include "control.h"
#include "device.h"
#include "instance.h"
#include "kcache_use.h"

enum { FUNCTIONS_AT_ONCE = 32 };

struct workqueue_struct *virgo_ctl, *virgo_io, *virgo_fn_queue;

/* No work is left, and none can come any more. */
static void destroy_queues(void)
{
	if (virgo_fn_queue)
		destroy_workqueue(virgo_fn_queue);
	if (virgo_io)
		destroy_workqueue(virgo_io);
	if (virgo_ctl)
		destroy_workqueue(virgo_ctl);
}

static int __init virgo_init(void)
{
	int ret = -ENOMEM;

	virgo_ctl = alloc_workqueue("virgo_ctl", WQ_UNBOUND, 0);
	virgo_io = alloc_workqueue("virgo_io", WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	virgo_fn_queue = alloc_workqueue("virgo_fn", WQ_UNBOUND,
					 FUNCTIONS_AT_ONCE);
	if (!virgo_ctl || !virgo_io || !virgo_fn_queue)
		goto destroy;
	ret = conn_buffers_init();
	if (ret)
		goto destroy;
	ret = instances_init();
	if (ret)
		goto exit_conn;
	ret = control_init();
	if (ret)
		goto exit_instances;
	ret = kcache_use_init();
	if (ret)
		goto exit_control;
	ret = device_init();
	if (ret)
		goto exit_kcache_use;
	return 0;

exit_kcache_use:
	kcache_use_exit();
exit_control:
	control_exit();
exit_instances:
	instances_exit();
exit_conn:
	conn_buffers_exit();
destroy:
	destroy_queues();
	return ret;
}

static void __exit virgo_exit(void)
{
	device_exit();
	kcache_use_exit();
	control_exit();
	instances_exit();
	destroy_queues();
	conn_buffers_exit();
	/* Whoever else could refer to one would hold the module. */
	WARN_ON(instances_living());
	/* Socket callbacks may be in their last instructions. */
	synchronize_rcu();
}

module_init(virgo_init);
module_exit(virgo_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VIRGO: several machines used as one");
MODULE_VERSION(VIRGO_VERSION);
