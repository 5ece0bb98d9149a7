/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generic netlink family "virgo", described in uapi/linux/virgo.h. */
#ifndef VIRGO_KMOD_CONTROL_H
#define VIRGO_KMOD_CONTROL_H

#include <linux/types.h>

struct net;
struct var;

int control_init(void);
void control_exit(void);

/* Tells programs in @net that @v was set. May sleep. */
void control_tell_var(struct net *net, const struct var *v);
/* Tells those programs in @net that make connections that one to @node is
 * wanted. Whether there are any. May sleep.
 */
bool control_tell_wanted(struct net *net, const char *node);

#endif
