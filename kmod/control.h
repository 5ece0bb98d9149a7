/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generic netlink family "virgo", described in uapi/linux/virgo.h. */
#ifndef VIRGO_KMOD_CONTROL_H
#define VIRGO_KMOD_CONTROL_H

struct net;
struct var;

int control_init(void);
void control_exit(void);

/* Tells programs in @net that @v was set. May sleep. */
void control_tell_var(struct net *net, const struct var *v);

#endif
