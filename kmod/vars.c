// SPDX-License-Identifier: GPL-2.0-or-later
/* Variables in the kernel; what is locked how is in vars.h. */
#include "vars.h"

#include <linux/bitops.h>
#include <linux/export.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>

#include "control.h"
#include "virgo_module.h"

struct virgo_var {
	struct list_head link; /* in vars.handles */
	struct instance *in;
	struct var_want want;
	void (*changed)(struct virgo_var *v, void *data);
	void *data;
	u32 slot; /* where it was found last, for var_get() */
	char name[VAR_NAME_BYTES];
};

static void tell_handles(struct vars *vs, const char *name)
{
	struct virgo_var *v;

	mutex_lock(&vs->handles_lock);
	list_for_each_entry(v, &vs->handles, link)
		if (v->changed && !strcmp(v->name, name))
			v->changed(v, v->data);
	mutex_unlock(&vs->handles_lock);
}

/* The bit is cleared before the value is read: a change in between sets it
 * again and is told again.
 */
static void tell(struct work_struct *work)
{
	struct vars *vs = container_of(work, struct vars, tell);
	struct instance *in = container_of(vs, struct instance, vars);
	unsigned long slot;
	struct var v;

	for_each_set_bit(slot, vs->changed, VAR_SLOTS) {
		if (!test_and_clear_bit(slot, vs->changed))
			continue;
		if (var_read(vs->table, slot, &v))
			continue;
		control_tell_var(in->net, &v);
		tell_handles(vs, v.name);
		cond_resched();
	}
}

void vars_init(struct vars *vs)
{
	mutex_init(&vs->write);
	mutex_init(&vs->handles_lock);
	INIT_LIST_HEAD(&vs->handles);
	INIT_WORK(&vs->tell, tell);
}

void vars_stop(struct vars *vs)
{
	cancel_work_sync(&vs->tell);
}

void vars_free(struct vars *vs)
{
	WARN_ON(!list_empty(&vs->handles));
	vfree(vs->table);
}

void *vars_table(struct vars *vs)
{
	/* The kernel's variables are of this boot by their nature. */
	static const u8 boot[VAR_BOOT_BYTES];
	void *table = vars_peek(vs);

	if (table)
		return table;
	mutex_lock(&vs->write);
	table = vs->table;
	if (!table) {
		table = vmalloc_user(VAR_TABLE_BYTES);
		if (table) {
			var_format(table, boot);
			/* Pairs with vars_peek(). */
			smp_store_release(&vs->table, table);
		}
	}
	mutex_unlock(&vs->write);
	return table;
}

int vars_set(struct instance *in, struct var *v)
{
	struct vars *vs = &in->vars;
	void *table = vars_table(vs);
	int ret;

	if (!table)
		return -ENOMEM;
	mutex_lock(&vs->write);
	v->updated_ns = ktime_get_boottime_ns();
	ret = var_write(table, v);
	mutex_unlock(&vs->write);
	if (ret < 0)
		return ret;
	set_bit(ret, vs->changed);
	queue_work(virgo_ctl, &vs->tell);
	return 0;
}

int vars_read(struct instance *in, const char *name, struct var *v)
{
	void *table = vars_peek(&in->vars);
	int ret;

	if (!table)
		return -ENOENT;
	ret = var_find(table, name);
	return ret < 0 ? ret : var_read(table, ret, v);
}

int vars_act_on(struct instance *in, u32 *slot, const char *name,
		const struct var_want *want, u64 *value)
{
	void *table = vars_peek(&in->vars);

	*value = want->fallback;
	if (READ_ONCE(in->dead))
		return -ENODEV;
	if (!table)
		return -ENOENT;
	return var_get(table, slot, name, want, ktime_get_boot_fast_ns(),
		       value);
}

struct virgo_var *virgo_var_lookup(struct net *net, const char *name,
				   const struct var_want *want,
				   void (*changed)(struct virgo_var *v,
						   void *data),
				   void *data)
{
	struct instance *in;
	struct virgo_var *v;
	struct vars *vs;
	int ret;

	if (!var_type_name(want->type) || !*name ||
	    strnlen(name, VAR_NAME_BYTES) == VAR_NAME_BYTES)
		return ERR_PTR(-EINVAL);
	in = instance_of(net);
	if (IS_ERR(in))
		return ERR_CAST(in);
	vs = &in->vars;
	v = kzalloc(sizeof(*v), GFP_KERNEL);
	if (!v) {
		ret = -ENOMEM;
		goto put_instance;
	}
	v->in = in;
	v->want = *want;
	v->changed = changed;
	v->data = data;
	strscpy(v->name, name, sizeof(v->name));
	mutex_lock(&vs->handles_lock);
	if (vs->handle_count >= instance_limit(in, LIMIT_HANDLES)) {
		mutex_unlock(&vs->handles_lock);
		ret = -EUSERS;
		goto free_handle;
	}
	vs->handle_count++;
	list_add_tail(&v->link, &vs->handles);
	mutex_unlock(&vs->handles_lock);
	return v;

free_handle:
	kfree(v);
put_instance:
	instance_put(in);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(virgo_var_lookup);

void virgo_var_put(struct virgo_var *v)
{
	struct vars *vs;

	if (!v)
		return;
	vs = &v->in->vars;
	mutex_lock(&vs->handles_lock);
	list_del(&v->link);
	vs->handle_count--;
	mutex_unlock(&vs->handles_lock);
	instance_put(v->in);
	kfree(v);
}
EXPORT_SYMBOL_GPL(virgo_var_put);

int virgo_var_get(struct virgo_var *v, u64 *value)
{
	return vars_act_on(v->in, &v->slot, v->name, &v->want, value);
}
EXPORT_SYMBOL_GPL(virgo_var_get);
