/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * [calls] users of virgo_cloud.conf as numbers: which accounts of this machine may
 * call kernel functions, and what each is called in the cloud. Name services may
 * block, so they are asked in a thread.
 */
#ifndef VIRGO_DAEMON_CALLERS_H
#define VIRGO_DAEMON_CALLERS_H

#include "node.h"

struct callers;

struct caller_list {
	u32 count;
	struct caller_entry {
		u32 uid;
		char name[NODE_NAME_MAX + 1]; /* in the cloud */
	} *entries;
};

/* @found runs in the loop after each look. NULL when memory is out. */
struct callers *callers_new(struct node *n,
			    void (*found)(void *arg,
					  const struct caller_list *list),
			    void *arg);
/* Steps the loop until what is under way has ended. */
void callers_free(struct callers *c);
/* Looks the accounts up that n->policy now names. The last look counts. */
void callers_look(struct callers *c);

#endif
