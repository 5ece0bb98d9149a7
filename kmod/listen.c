// SPDX-License-Identifier: GPL-2.0-or-later
/* Listening; see listen.h. */
#include "listen.h"

#include <linux/in.h>
#include <linux/tcp.h>
#include <net/tcp_states.h>

#include "instance.h"

enum { BACKLOG = 128, ACCEPTS = 64, AGAIN_MS = 100 };

/* Connections that are being accepted inherit it: they are not listening. */
static void on_connection(struct sock *sk)
{
	struct listener *l;

	read_lock_bh(&sk->sk_callback_lock);
	l = sk->sk_user_data;
	if (l && sk->sk_state == TCP_LISTEN)
		queue_delayed_work(virgo_ctl, &l->accept, 0);
	read_unlock_bh(&sk->sk_callback_lock);
}

/* What was inherited from the listening socket goes. */
static void make_ordinary(struct listener *l, struct sock *sk)
{
	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_data_ready = l->data_ready;
	sk->sk_user_data = NULL;
	write_unlock_bh(&sk->sk_callback_lock);
}

static void accept(struct work_struct *work)
{
	struct listener *l = container_of(to_delayed_work(work),
					  struct listener, accept);
	struct socket *sock;
	int i, ret;

	for (i = 0; i < ACCEPTS; i++) {
		ret = kernel_accept(l->sock, &sock, O_NONBLOCK);
		/* Nothing else calls for those that wait already. */
		if (ret == -ENOMEM || ret == -ENOBUFS)
			queue_delayed_work(virgo_ctl, &l->accept,
					   msecs_to_jiffies(AGAIN_MS));
		if (ret < 0)
			return;
		make_ordinary(l, sock->sk);
		tcp_sock_set_nodelay(sock->sk);
		l->accepted(l, sock);
		cond_resched();
	}
	queue_delayed_work(virgo_ctl, &l->accept, 0);
}

int listen_start(struct listener *l, struct net *net, u16 port)
{
	struct sockaddr_in here = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct sock *sk;
	int ret;

	INIT_DELAYED_WORK(&l->accept, accept);
	ret = sock_create_kern(net, AF_INET, SOCK_STREAM, IPPROTO_TCP,
			       &l->sock);
	if (ret)
		return ret;
	sk = l->sock->sk;
	sock_set_reuseaddr(sk);
	ret = kernel_bind(l->sock, (struct sockaddr *)&here, sizeof(here));
	if (ret)
		goto release_socket;
	write_lock_bh(&sk->sk_callback_lock);
	l->data_ready = sk->sk_data_ready;
	sk->sk_user_data = l;
	sk->sk_data_ready = on_connection;
	write_unlock_bh(&sk->sk_callback_lock);
	ret = kernel_listen(l->sock, BACKLOG);
	if (ret)
		listen_stop(l);
	return ret;

release_socket:
	sock_release(l->sock);
	return ret;
}

void listen_stop(struct listener *l)
{
	struct sock *sk = l->sock->sk;

	make_ordinary(l, sk);
	/* Callbacks also run where the socket is owned by a process. */
	lock_sock(sk);
	release_sock(sk);
	cancel_delayed_work_sync(&l->accept);
	sock_release(l->sock);
}
