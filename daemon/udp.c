// SPDX-License-Identifier: GPL-2.0-or-later
/* The UDP sockets of a node; the contract is in udp.h. */
#include "udp.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

enum { PACKETS_PER_WAKE = 64 };

struct socket {
	struct watch watch;
	struct udp *all;
	sa_family_t family;
};

struct udp {
	struct loop *loop;
	udp_receive_fn *receive;
	void *arg;
	struct socket socket[ADDRESS_MAX];
	int count;
	struct address source; /* of what is being received */
	int source_fd;
};

static void on_ready(struct watch *w, u32 events)
{
	struct socket *s =
		(struct socket *)((char *)w - offsetof(struct socket, watch));
	struct udp *u = s->all;
	u8 data[UDP_PACKET_MAX + 1];
	int i;

	for (i = 0; i < PACKETS_PER_WAKE; i++) {
		ssize_t n;

		u->source.len = sizeof(u->source.sa);
		u->source_fd = w->fd;
		n = recvfrom(w->fd, data, sizeof(data), 0,
			     (struct sockaddr *)&u->source.sa, &u->source.len);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n > 0 && n <= UDP_PACKET_MAX)
			u->receive(u->arg, data, (size_t)n);
	}
}

static int open_one(struct udp *u, const struct address *a)
{
	struct socket *s = &u->socket[u->count];
	int room = 1 << 20, off = 0, ret = 0;
	int fd = socket(a->sa.ss_family,
			SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (a->sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	*s = (struct socket){ .watch = { .fd = fd, .ready = on_ready },
			      .all = u,
			      .family = a->sa.ss_family };
	if (bind(fd, (const struct sockaddr *)&a->sa, a->len))
		ret = -errno;
	else
		ret = loop_watch(u->loop, &s->watch, EPOLLIN);
	if (ret)
		close(fd);
	else
		u->count++;
	return ret;
}

static int open_failed(struct failure *f, int ret, const char *text)
{
	return failure_set(
		f, ret, text,
		ret == -EADDRINUSE
			? "ss -lunp to see who has the port, or give "
			  "this node another with --port"
			: "ip address to see this machine's addresses",
		"cannot listen for datagrams: %s", strerror(-ret));
}

static int open_all(struct udp *u, const char *listen, u16 port,
		    struct failure *f)
{
	struct address a[ADDRESS_MAX];
	char text[ADDRESS_TEXT_MAX];
	int n, i, ret;

	if (!listen[0]) {
		/* "::" takes IPv4 too, unless the machine has no IPv6. */
		address_resolve("::", port, false, a, 1);
		ret = open_one(u, a);
		if (!ret)
			return 0;
		if (ret != -EAFNOSUPPORT && ret != -EADDRNOTAVAIL)
			return open_failed(f, ret,
					   address_text((void *)&a->sa, text));
		listen = "0.0.0.0";
	}
	n = address_resolve(listen, port, true, a, ADDRESS_MAX);
	if (n < 0)
		return failure_set(f, n, listen,
				   "name addresses of this machine",
				   "not an address to listen on");
	for (i = 0; i < n; i++) {
		ret = open_one(u, &a[i]);
		if (ret)
			return open_failed(
				f, ret, address_text((void *)&a[i].sa, text));
	}
	return 0;
}

int udp_open(struct udp **out, struct loop *l, const char *listen, u16 port,
	     udp_receive_fn *receive, void *arg, struct failure *f)
{
	struct udp *u = calloc(1, sizeof(*u));
	int ret;

	*out = NULL;
	if (!u)
		return failure_set(f, -ENOMEM, "virgod", NULL, "out of memory");
	u->loop = l;
	u->receive = receive;
	u->arg = arg;
	ret = open_all(u, listen, port, f);
	if (ret)
		udp_close(u);
	else
		*out = u;
	return ret;
}

void udp_close(struct udp *u)
{
	int i;

	if (!u)
		return;
	for (i = 0; i < u->count; i++) {
		loop_unwatch(u->loop, &u->socket[i].watch);
		close(u->socket[i].watch.fd);
	}
	free(u);
}

/* An IPv4 address as an IPv6 socket takes it. */
static void map_v4(struct address *out, const struct address *in)
{
	const struct sockaddr_in *v4 = (const void *)&in->sa;
	struct sockaddr_in6 *v6 = (void *)&out->sa;

	*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
				     .sin6_port = v4->sin_port };
	v6->sin6_addr.s6_addr[10] = 0xff;
	v6->sin6_addr.s6_addr[11] = 0xff;
	memcpy(&v6->sin6_addr.s6_addr[12], &v4->sin_addr, 4);
	out->len = sizeof(*v6);
}

static void send_to(int fd, const struct address *to, const void *data,
		    size_t len)
{
	ssize_t n = sendto(fd, data, len, MSG_NOSIGNAL,
			   (const struct sockaddr *)&to->sa, to->len);

	(void)n; /* lost, as datagrams may be */
}

bool udp_send(struct udp *u, const struct address *to, const void *data,
	      size_t len)
{
	struct address mapped;
	int i;

	for (i = 0; i < u->count; i++)
		if (u->socket[i].family == to->sa.ss_family) {
			send_to(u->socket[i].watch.fd, to, data, len);
			return true;
		}
	for (i = 0; i < u->count && to->sa.ss_family == AF_INET; i++)
		if (u->socket[i].family == AF_INET6) {
			map_v4(&mapped, to);
			send_to(u->socket[i].watch.fd, &mapped, data, len);
			return true;
		}
	return false;
}

void udp_reply(struct udp *u, const void *data, size_t len)
{
	send_to(u->source_fd, &u->source, data, len);
}

const struct address *udp_source(const struct udp *u)
{
	return &u->source;
}
