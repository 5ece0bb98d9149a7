// SPDX-License-Identifier: GPL-2.0-or-later
/* Loopback listeners, and sessions with local clients over plain sockets. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "cached_impl.h"

enum { ACCEPT_MAX = 64, BACKLOG = 1024 };

struct client {
	struct session session;
	struct watch watch;
};

/* --- listening --- */

static void accept_ready(struct listener *l, struct watch *w)
{
	int i;

	for (i = 0; i < ACCEPT_MAX; i++) {
		int one = 1;
		int fd = accept4(w->fd, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		l->came(l, fd);
	}
}

static void v4_ready(struct watch *w, u32 events)
{
	accept_ready((struct listener *)((char *)w -
					 offsetof(struct listener, watch[0])),
		     w);
}

static void v6_ready(struct watch *w, u32 events)
{
	accept_ready((struct listener *)((char *)w -
					 offsetof(struct listener, watch[1])),
		     w);
}

static int listen_at(struct listener *l, struct watch *w,
		     const struct sockaddr *address, socklen_t len)
{
	int one = 1, ret;

	w->fd = socket(address->sa_family,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (w->fd < 0)
		return -errno;
	setsockopt(w->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (address->sa_family == AF_INET6)
		setsockopt(w->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(w->fd, address, len) || listen(w->fd, BACKLOG))
		ret = -errno;
	else
		ret = loop_watch(l->node->loop, w, EPOLLIN);
	if (ret) {
		close(w->fd);
		w->fd = -1;
	}
	return ret;
}

int listener_open(struct listener *l, struct node *n, u16 port,
		  struct failure *f)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	char object[32];
	int ret;

	l->node = n;
	l->port = port;
	l->watch[0] = (struct watch){ .fd = -1, .ready = v4_ready };
	l->watch[1] = (struct watch){ .fd = -1, .ready = v6_ready };
	ret = listen_at(l, &l->watch[0], (struct sockaddr *)&v4, sizeof(v4));
	if (!ret) {
		/* A machine may be without IPv6. */
		ret = listen_at(l, &l->watch[1], (struct sockaddr *)&v6,
				sizeof(v6));
		if (ret == -EAFNOSUPPORT || ret == -EADDRNOTAVAIL)
			ret = 0;
	}
	if (!ret)
		return 0;
	listener_close(l);
	snprintf(object, sizeof(object), "127.0.0.1:%u", port);
	return failure_set(f, ret, object, "take another with --port",
			   "cannot listen: %s", strerror(-ret));
}

void listener_close(struct listener *l)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (!l->port || l->watch[i].fd < 0)
			continue;
		loop_unwatch(l->node->loop, &l->watch[i]);
		close(l->watch[i].fd);
		l->watch[i].fd = -1;
	}
	l->port = 0;
}

/* --- sessions --- */

static struct client *client_of(struct session *s)
{
	return (struct client *)s;
}

static ssize_t socket_send(struct session *s, const struct memcached_vec *vec,
			   u32 count)
{
	struct msghdr m = { .msg_iov = (struct iovec *)vec,
			    .msg_iovlen = count };
	ssize_t sent = sendmsg(client_of(s)->watch.fd, &m,
			       MSG_DONTWAIT | MSG_NOSIGNAL);

	_Static_assert(sizeof(struct iovec) == sizeof(*vec) &&
			       offsetof(struct iovec, iov_len) ==
				       offsetof(struct memcached_vec, len),
		       "vectors go to the kernel as they are");
	return sent < 0 ? -errno : sent;
}

static void socket_wait(struct session *s, bool to_send)
{
	struct client *c = client_of(s);

	loop_rewatch(s->cached->node->loop, &c->watch,
		     to_send ? EPOLLOUT : EPOLLIN);
}

static void socket_end(struct session *s)
{
	struct client *c = client_of(s);

	loop_unwatch(s->cached->node->loop, &c->watch);
	close(c->watch.fd);
	session_end(s);
	free(c);
}

static const struct session_ops socket_ops = { socket_send, socket_wait,
					       socket_end };

static void socket_ready(struct watch *w, u32 events)
{
	struct client *c =
		(struct client *)((char *)w - offsetof(struct client, watch));
	struct session *s = &c->session;
	struct cached *cached = s->cached;
	ssize_t n;

	if (events & EPOLLOUT) {
		session_drained(s);
		return;
	}
	n = recv(w->fd, cached->receive, RECEIVE_BYTES, MSG_DONTWAIT);
	if (n > 0)
		session_bytes(s, cached->receive, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		socket_end(s);
}

static void refuse(struct cached *c, int fd, const char *why)
{
	ssize_t n = send(fd, why, strlen(why), MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)n; /* who does not read it sees the end */
	c->server.rejected_connections++;
	close(fd);
}

void socket_came(struct listener *l, int fd)
{
	struct cached *cached = (struct cached *)((char *)l -
						  offsetof(struct cached,
							   listener));
	const struct conf_cloud *conf = policy_conf(l->node->policy);
	struct policy_grant grant;
	struct failure f;
	struct client *c;

	if (cached->server.curr_connections >= conf->cache_connections) {
		refuse(cached, fd, "ERROR Too many open connections\r\n");
		return;
	}
	if (policy_admit(l->node->policy, l->node->local.node, "nobody",
			 "cache", &grant, &f)) {
		refuse(cached, fd, "SERVER_ERROR not allowed here\r\n");
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		refuse(cached, fd, "SERVER_ERROR out of memory\r\n");
		return;
	}
	session_begin(&c->session, cached, &socket_ops);
	c->watch.fd = fd;
	c->watch.ready = socket_ready;
	if (loop_watch(l->node->loop, &c->watch, EPOLLIN))
		socket_end(&c->session);
}
