/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Callers that wait for a connection to a node. virgod is told which node is
 * wanted, over netlink; it hands a connection over, or says that there is none.
 * Without a listener nobody waits.
 *
 * Locks: wants.lock around the list and what is in it; conns.lock may be taken
 * inside it, nothing else.
 */
#ifndef VIRGO_KMOD_WANT_H
#define VIRGO_KMOD_WANT_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct instance;

enum { WANT_MS_MAX = 5000 };

struct wants {
	spinlock_t lock; /* of the list */
	struct list_head list;
	wait_queue_head_t news;
};

void wants_init(struct wants *ws);
/*
 * Asks for a connection to @node and waits until @find gives something, for
 * @ms and WANT_MS_MAX at most. What it gave, or ERR_PTR: -EHOSTDOWN there is
 * none, -EINTR killed. @find must not sleep. May sleep.
 */
void *want_wait(struct instance *in, const char *node, u32 ms,
		void *(*find)(struct instance *in, const char *node));
/* Those who wait look again. Any context. */
void want_news(struct instance *in);
/* Nobody waits for @node any longer. Any context. */
void want_failed(struct instance *in, const char *node);

#endif
