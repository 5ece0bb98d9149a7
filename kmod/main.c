// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo.ko comes and goes. What programs reach is made last and goes first; then
 * the namespaces' instances with all they run, then the queues they ran on.
 */
#include <linux/module.h>
#include <linux/workqueue.h>

#include "control.h"
#include "device.h"
#include "instance.h"

/* Control work, which may sleep. */
struct workqueue_struct *virgo_ctl;

static int __init virgo_init(void)
{
	int ret;

	virgo_ctl = alloc_workqueue("virgo_ctl", WQ_UNBOUND, 0);
	if (!virgo_ctl)
		return -ENOMEM;
	ret = instances_init();
	if (ret)
		goto destroy_ctl;
	ret = control_init();
	if (ret)
		goto exit_instances;
	ret = device_init();
	if (ret)
		goto exit_control;
	return 0;

exit_control:
	control_exit();
exit_instances:
	instances_exit();
destroy_ctl:
	destroy_workqueue(virgo_ctl);
	return ret;
}

static void __exit virgo_exit(void)
{
	device_exit();
	control_exit();
	instances_exit();
	destroy_workqueue(virgo_ctl);
	rcu_barrier();
}

module_init(virgo_init);
module_exit(virgo_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VIRGO: several machines used as one");
MODULE_VERSION(VIRGO_VERSION);
