/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of connections know of each other; see conn.h.
 *
 *	conn.c		what comes in, how they begin and end
 *	conn_send.c	what goes out
 */
#ifndef VIRGO_KMOD_CONN_IMPL_H
#define VIRGO_KMOD_CONN_IMPL_H

#include "conn.h"
#include "instance.h"

/* Not once the state is other than OPEN and the callbacks are gone. */
static inline void conn_wake(struct conn *c)
{
	queue_work(virgo_io, &c->io);
}

/* Whoever queues something sends or wakes io afterwards, so none may be seen without
 * the lock.
 */
static inline u32 conn_unsent(const struct conn *c)
{
	return READ_ONCE(c->unsent);
}

/*
 * Sends of what is queued as much as the peer takes now: 1 something, 0 nothing, or a
 * negative errno that is to close the connection. May sleep; without tx.
 */
int conn_send_queued(struct conn *c);
/* Frees all that is queued. Under tx. */
void conn_drop_queued(struct conn *c);

#endif
