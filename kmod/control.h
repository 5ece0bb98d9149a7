/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generic netlink family "virgo", described in uapi/linux/virgo.h. */
#ifndef VIRGO_KMOD_CONTROL_H
#define VIRGO_KMOD_CONTROL_H

#include <linux/types.h>

struct instance;
struct net;
struct var;

int control_init(void);
void control_exit(void);

/* Tells programs in @net that @v was set. May sleep. */
void control_tell_var(struct net *net, const struct var *v);
/* Tells the programs of @in's namespace that make connections that one to @node is
 * wanted. Whether there are any. May sleep.
 */
bool control_tell_wanted(struct instance *in, const char *node);
/* Tells them that a local caller waits for virgod, or has them notice it. 0,
 * -ENOTCONN there are none, -ENOMEM. May sleep.
 */
int control_tell_caller(struct instance *in);

#endif
