/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virgo.ko for other modules. All symbols are for GPL-compatible modules.
 */
#ifndef VIRGO_MODULE_H
#define VIRGO_MODULE_H

#include "core/var.h"

struct net;
struct virgo_var;

/*
 * A handle on the variable @name of the namespace @net (&init_net: the
 * machine's own). The variable need not exist yet. @want says which type the
 * caller expects, its own limits, the greatest age it acts on and its default.
 *
 * @changed, if not NULL, is called after the variable was set: in a work item,
 * where it may sleep; several changes may be told once, the last always is. It
 * must not look up or put handles. It is not called any more once
 * virgo_var_put() has returned.
 *
 * May sleep. ERR_PTR: -ENODEV no VIRGO in @net, -EINVAL the name or @want,
 * -EUSERS too many handles, -ENOMEM.
 */
struct virgo_var *virgo_var_lookup(struct net *net, const char *name,
				   const struct var_want *want,
				   void (*changed)(struct virgo_var *v,
						   void *data),
				   void *data);

/* Gives the handle back; NULL is allowed. May sleep. */
void virgo_var_put(struct virgo_var *v);

/*
 * Sets @value to what the caller should act on: the variable's value, or the
 * default in its @want, with the reason as var_judge() gives it; -ENODEV after
 * the namespace has ended. Any context, an NMI included; never blocks.
 */
int virgo_var_get(struct virgo_var *v, u64 *value);

#endif
