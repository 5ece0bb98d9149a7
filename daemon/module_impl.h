/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the link to virgo.ko know of each other: module.c has its
 * sockets, and tells it who may call; module_accept.c takes programs from it;
 * module_cache.c is about its caches.
 */
#ifndef VIRGO_DAEMON_MODULE_IMPL_H
#define VIRGO_DAEMON_MODULE_IMPL_H

#include "callers.h"
#include "module.h"
#include "policy.h"

enum { MESSAGE_MAX = 512 }; /* a request of ours */

struct module {
	struct node *node;
	struct watch news;
	struct timer accept; /* armed when somebody may wait for us there */
	int fd; /* requests */
	u32 sequence;
	u16 family; /* 0: not there */
	struct policy *told; /* whose rules the module has; NULL: none */
	struct callers *callers;
	u32 *uids; /* which accounts it was told may call */
	u32 uid_count;
	void (*wanted)(void *arg, const char *node);
	void *arg;
	void (*gone)(void *arg);
	void *gone_arg;
};

/* Serves all who wait; of module.accept. */
void module_accept(struct timer *t);

#endif
