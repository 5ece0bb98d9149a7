/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A port of the loopback: whoever connects is given to its owner. One work item
 * accepts; the listening socket's callback queues it.
 */
#ifndef VIRGO_KMOD_LISTEN_H
#define VIRGO_KMOD_LISTEN_H

#include <linux/net.h>
#include <linux/workqueue.h>
#include <net/sock.h>

struct listener {
	/* Takes @sock, or releases it. In a work item, one at a time. */
	void (*accepted)(struct listener *l, struct socket *sock);
	struct socket *sock;
	struct delayed_work accept;
	void (*data_ready)(struct sock *sk); /* as it was before us */
};

/* With accepted set. -EADDRINUSE and what sockets give. May sleep. */
int listen_start(struct listener *l, struct net *net, u16 port);
/* No more are accepted once it returns. May sleep. */
void listen_stop(struct listener *l);

#endif
