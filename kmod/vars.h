/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The variables of an instance: core/var.h's table in pages that /dev/virgo
 * shows, written over netlink, read by modules through handles.
 *
 * Locks: vars.write around a change of the table; vars.handles_lock around the
 * list of handles and the calls of their owners. Neither is taken inside the
 * other. Readers take none.
 */
#ifndef VIRGO_KMOD_VARS_H
#define VIRGO_KMOD_VARS_H

#include <linux/mm_types.h>

#include "instance.h"

void vars_init(struct vars *vs);
/* The namespace ends: nobody is told of changes any more. May sleep. */
void vars_stop(struct vars *vs);
void vars_free(struct vars *vs);

/* The table, or NULL while there is none. Any context. */
static inline void *vars_peek(const struct vars *vs)
{
	/* Pairs with vars_table(): who sees the table sees it formatted. */
	return smp_load_acquire(&vs->table);
}

/* The table, made if there is none; NULL without memory. May sleep. */
void *vars_table(struct vars *vs);
/* Writes @v, its time set to now, and has it told. As var_write(), -ENOMEM. */
int vars_set(struct instance *in, struct var *v);
/* What to act on for the variable @name, as var_get(), now. Any context. */
int vars_act_on(struct instance *in, u32 *slot, const char *name,
		const struct var_want *want, u64 *value);
/* As var_find() with var_read(). */
int vars_read(struct instance *in, const char *name, struct var *v);

#endif
