// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /dev/virgo. An open file holds the instance of the namespace it was opened in,
 * whoever it is passed to later, and a connection to virgod once that is needed; the
 * file operations hold the module.
 */
#include "device.h"

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include <linux/virgo.h>
#include <linux/vmalloc.h>

#include "call.h"
#include "compat.h"
#include "instance.h"
#include "local.h"
#include "memory.h"
#include "peer.h"
#include "vars.h"
#include "virgo_module.h"

static_assert(VIRGO_VARS_BYTES == VAR_TABLE_BYTES);
static_assert(VIRGO_CALL_BYTES_MAX == VIRGO_FN_BYTES_MAX);

struct opened {
	struct instance *in;
	struct local local;
};

static int device_open(struct inode *inode, struct file *file)
{
	struct instance *in = instance_of(current->nsproxy->net_ns);
	struct opened *o;

	if (IS_ERR(in))
		return PTR_ERR(in);
	o = kzalloc(sizeof(*o), GFP_KERNEL_ACCOUNT);
	if (!o) {
		instance_put(in);
		return -ENOMEM;
	}
	o->in = in;
	local_init(&o->local, in);
	file->private_data = o;
	return nonseekable_open(inode, file);
}

static int device_release(struct inode *inode, struct file *file)
{
	struct opened *o = file->private_data;

	local_end(&o->local);
	instance_put(o->in);
	kfree(o);
	return 0;
}

static long get_info(void __user *arg)
{
	const struct virgo_info info = {
		.abi = 1,
		.features = VIRGO_FEATURE_VARS | VIRGO_FEATURE_CALLS |
			    VIRGO_FEATURE_CACHE | VIRGO_FEATURE_JOBS |
			    VIRGO_FEATURE_MEMORY,
	};

	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

/* A name that ends within its field. */
static bool is_text(const char *text, size_t size)
{
	return strnlen(text, size) < size;
}

static long adopt(struct instance *in, const void __user *arg)
{
	struct virgo_adopt a;

	if (!capable(CAP_NET_ADMIN))
		return -EPERM;
	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.flags & ~VIRGO_ADOPT_AGENT || !a.node[0] || !is_text(a.node, sizeof(a.node)))
		return -EINVAL;
	return peer_adopt(in, a.fd, a.node, a.flags & VIRGO_ADOPT_AGENT);
}

static long call_between(struct instance *in, const struct virgo_call *c,
			 const char *user, void *argument, void *result)
{
	const struct call_request r = {
		.node = c->node,
		.user = user,
		.name = c->name,
		.arg = argument,
		.arg_len = c->argument_len,
		.result = result,
		.result_size = c->result_size,
		.deadline_ms = c->deadline_ms,
	};
	ssize_t ret;

	if (copy_from_user(argument, u64_to_user_ptr(c->argument),
			   c->argument_len))
		return -EFAULT;
	ret = call_fn(in, &r);
	if (ret > 0 && copy_to_user(u64_to_user_ptr(c->result), result, ret))
		return -EFAULT;
	return ret;
}

/* Who has the right to everything is the machine itself, without a name. */
static int caller_name(struct instance *in, char *user)
{
	*user = 0;
	if (ns_capable_noaudit(&init_user_ns, CAP_NET_ADMIN))
		return 0;
	return fn_user_name(in, current_euid(), user);
}

static long call(struct instance *in, const void __user *arg)
{
	void *argument, *result;
	char user[USER_NAME_BYTES];
	struct virgo_call c;
	long ret;

	ret = caller_name(in, user);
	if (ret)
		return ret;
	if (copy_from_user(&c, arg, sizeof(c)))
		return -EFAULT;
	if (c.flags || !c.name[0] || !is_text(c.node, sizeof(c.node)) ||
	    !is_text(c.name, sizeof(c.name)) || !c.deadline_ms ||
	    c.deadline_ms > CALL_MS_MAX)
		return -EINVAL;
	if (c.argument_len > VIRGO_CALL_BYTES_MAX ||
	    c.result_size > VIRGO_CALL_BYTES_MAX)
		return -E2BIG;
	argument = kvmalloc(c.argument_len + 1, GFP_KERNEL_ACCOUNT);
	result = kvzalloc(c.result_size + 1, GFP_KERNEL_ACCOUNT);
	ret = -ENOMEM;
	if (argument && result)
		ret = call_between(in, &c, user, argument, result);
	kvfree(result);
	kvfree(argument);
	return ret;
}

/* A program always runs for somebody. Root needs no leave to be called so. */
static int asker_name(struct instance *in, char *user)
{
	int ret = fn_user_name(in, current_euid(), user);

	if (!ret || !uid_eq(current_euid(), GLOBAL_ROOT_UID))
		return ret;
	strscpy(user, "root", USER_NAME_BYTES);
	return 0;
}

static long clone(struct instance *in, const void __user *arg)
{
	char user[USER_NAME_BYTES];
	struct virgo_clone c;
	u32 size;
	long ret;

	if (get_user(size, (const u32 __user *)arg))
		return -EFAULT;
	if (size < VIRGO_CLONE_SIZE_1)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&c, sizeof(c), arg, size);
	if (ret)
		return ret;
	if (c.flags || c.reserved || !c.node[0] ||
	    !is_text(c.node, sizeof(c.node)) || c.wait_ms > CALL_MS_MAX)
		return -EINVAL;
	ret = asker_name(in, user);
	if (ret)
		return ret;
	if (fn_is_self(in, c.node))
		return -EDESTADDRREQ;
	return peer_program(in, c.node, user, c.wait_ms);
}

static long accept(struct instance *in, unsigned long arg)
{
	if (!capable(CAP_NET_ADMIN))
		return -EPERM;
	return arg ? -EINVAL : local_accept(in);
}

static long device_ioctl(struct file *file, unsigned int request,
			 unsigned long arg)
{
	struct opened *o = file->private_data;
	struct instance *in = o->in;

	if (READ_ONCE(in->dead))
		return -ENODEV;
	switch (request) {
	case VIRGO_IOC_INFO:
		return get_info((void __user *)arg);
	case VIRGO_IOC_ADOPT:
		return adopt(in, (void __user *)arg);
	case VIRGO_IOC_CALL:
		return call(in, (void __user *)arg);
	case VIRGO_IOC_CLONE:
		return clone(in, (void __user *)arg);
	case VIRGO_IOC_MALLOC:
		return memory_malloc(&o->local, (void __user *)arg);
	case VIRGO_IOC_SET:
		return memory_set(&o->local, (void __user *)arg);
	case VIRGO_IOC_GET:
		return memory_get(&o->local, (void __user *)arg);
	case VIRGO_IOC_FREE:
		return memory_free(&o->local, (void __user *)arg);
	case VIRGO_IOC_ACCEPT:
		return accept(in, arg);
	default:
		return -ENOTTY;
	}
}

/* The pages stay while they are mapped, for the mapping holds the file. */
static int device_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct opened *o = file->private_data;
	struct instance *in = o->in;
	void *table;

	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EPERM;
	if (vma->vm_pgoff ||
	    vma->vm_end - vma->vm_start > VAR_TABLE_BYTES)
		return -EINVAL;
	table = vars_table(&in->vars);
	if (!table)
		return -ENOMEM;
	vm_flags_clear(vma, VM_MAYWRITE | VM_MAYEXEC);
	return remap_vmalloc_range(vma, table, 0);
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = device_mmap,
};

/* For everybody: what needs a privilege asks for it. */
static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "virgo",
	.fops = &operations,
	.mode = 0666,
};

int device_init(void)
{
	return misc_register(&device);
}

void device_exit(void)
{
	misc_deregister(&device);
}
