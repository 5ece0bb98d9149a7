// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections that are handed over; the contract is in peer.h. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <net/inet_connection_sock.h>
#include <net/tls.h>

#include "instance.h"
#include "peer_impl.h"
#include "want.h"

/* Quiet for so long: ask; for twice as long: the node is gone. */
enum { PEER_IDLE_MS = 15000 };

static bool is_tls13(struct sock *sk)
{
	const struct tcp_ulp_ops *ulp = inet_csk(sk)->icsk_ulp_ops;
	struct tls_context *tls = tls_get_ctx(sk);

	return ulp && !strcmp(ulp->name, "tls") && tls &&
	       tls->tx_conf != TLS_BASE && tls->rx_conf != TLS_BASE &&
	       tls->crypto_send.info.version == TLS_1_3_VERSION &&
	       tls->crypto_recv.info.version == TLS_1_3_VERSION;
}

static int may_be_adopted(struct instance *in, struct socket *sock)
{
	struct sock *sk = sock->sk;
	bool secure;

	if ((sk->sk_family != AF_INET && sk->sk_family != AF_INET6) ||
	    sk->sk_type != SOCK_STREAM || sk->sk_protocol != IPPROTO_TCP)
		return -EOPNOTSUPP;
	if (sock_net(sk) != in->net)
		return -EXDEV;
	lock_sock(sk);
	secure = is_tls13(sk);
	release_sock(sk);
	return secure ? 0 : -EOPNOTSUPP;
}

/* The descriptor that the adopter keeps. */

static int handle_release(struct inode *inode, struct file *file)
{
	struct peer *p = file->private_data;

	conn_close(&p->conn);
	conn_put(&p->conn);
	return 0;
}

static __poll_t handle_poll(struct file *file, poll_table *wait)
{
	struct peer *p = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &p->conn.gone, wait);
	if (p->programs.agent)
		mask = programs_poll(&p->programs, file, wait);
	if (READ_ONCE(p->conn.state) == CONN_DEAD)
		mask |= EPOLLHUP | EPOLLIN;
	return mask;
}

static ssize_t handle_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct peer *p = iocb->ki_filp->private_data;

	return p->programs.agent ? programs_read(&p->programs, iocb, to) :
				   -EINVAL;
}

static ssize_t handle_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct peer *p = iocb->ki_filp->private_data;

	return p->programs.agent ? programs_write(&p->programs, iocb, from) :
				   -EINVAL;
}

static const struct file_operations handle_operations = {
	.owner = THIS_MODULE,
	.release = handle_release,
	.read_iter = handle_read,
	.write_iter = handle_write,
	.poll = handle_poll,
	.llseek = noop_llseek,
};

/* Takes over @sock with its file reference. */
static struct peer *peer_new(struct instance *in, struct socket *sock,
			     const char *node, bool agent)
{
	struct peer *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!p)
		return ERR_PTR(-ENOMEM);
	strscpy(p->node, node, sizeof(p->node));
	mutex_init(&p->lock);
	INIT_LIST_HEAD(&p->calls);
	programs_init(&p->programs, &p->conn, p->node, agent);
	ret = conn_start(&p->conn, in, sock, &peer_ops, PEER_IDLE_MS);
	if (ret) {
		kfree(p);
		return ERR_PTR(ret);
	}
	return p;
}

int peer_adopt(struct instance *in, int fd, const char *node, bool agent)
{
	struct socket *sock;
	struct peer *p;
	int ret;

	sock = sockfd_lookup(fd, &ret);
	if (!sock)
		return ret;
	ret = may_be_adopted(in, sock);
	if (ret)
		goto put_socket;
	p = peer_new(in, sock, node, agent);
	if (IS_ERR(p)) {
		ret = PTR_ERR(p);
		goto put_socket;
	}
	/* From here on release gives the socket back. */
	ret = anon_inode_getfd("[virgo-connection]", &handle_operations, p,
			       O_RDWR | O_CLOEXEC);
	if (ret < 0) {
		conn_close(&p->conn);
		conn_put(&p->conn);
	} else {
		want_news(in);
	}
	return ret;

put_socket:
	sockfd_put(sock);
	return ret;
}
