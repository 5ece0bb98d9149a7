// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listening sockets of virgod; the contract is in listen.h.
 *
 * Limits against a flood: NET_MAX connections in all from the network, of which
 * GREETING_MAX may be in their handshake; a new one then replaces the one that
 * has been greeting longest, so that a flood of half-open connections delays
 * nobody who greets promptly. conn.c closes those that do not greet in time.
 * When descriptors run out, accepting stops for a moment instead of spinning.
 */
#include "listen.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "handover.h"
#include "log.h"

enum {
	LISTEN_MAX = 8,
	BACKLOG = 512,
	NET_MAX = 8192,
	GREETING_MAX = 1024,
	ACCEPTS_PER_WAKE = 64,
	EXHAUSTED_US = 100000,
};

struct link {
	TAILQ_ENTRY(link) all_entry;
	TAILQ_ENTRY(link) greeting_entry; /* while net and not greeted */
	struct conn *conn;
	struct listeners *all;
	bool net;
	bool greeted;
};

TAILQ_HEAD(link_list, link);

struct listener {
	struct watch watch;
	struct timer again;
	struct listeners *all;
	bool net;
};

struct listeners {
	struct node *node;
	struct listener list[LISTEN_MAX];
	int count;
	struct link_list links;
	struct link_list greeting; /* longest first */
	u32 net_links;
	u32 greeting_links;
	bool ending; /* nobody is taken any more */
};

/* A connection from the network is counted as greeting until it has, or ends. */
static void link_greeted(struct link *k)
{
	if (!k->net || k->greeted)
		return;
	k->greeted = true;
	k->all->greeting_links--;
	TAILQ_REMOVE(&k->all->greeting, k, greeting_entry);
}

static void link_opened(struct conn *c)
{
	link_greeted(conn_arg(c));
}

static void link_secured(struct conn *c, int fd, struct tls_session *tls)
{
	struct link *k = conn_arg(c);

	handover_take(k->all->node->handover, fd, tls);
}

static void link_frame(struct conn *c, const struct frame *f, const u8 *payload)
{
	struct link *k = conn_arg(c);

	service_dispatch(k->all->node, c, f, payload);
}

static void link_drained(struct conn *c)
{
	struct link *k = conn_arg(c);

	service_drained(k->all->node, c);
}

static void link_closed(struct conn *c, const struct failure *why)
{
	struct link *k = conn_arg(c);
	struct listeners *l = k->all;

	if (why->code && k->net)
		log_line(why->code == -EKEYEXPIRED ? LOG_LEVEL_NOTICE :
						     LOG_LEVEL_INFO,
			 "connection from %s: %s",
			 why->object[0] ? why->object : "the network",
			 why->what);
	service_closed(l->node, c);
	link_greeted(k);
	if (k->net)
		l->net_links--;
	TAILQ_REMOVE(&l->links, k, all_entry);
	free(k);
}

static const struct conn_ops link_ops = {
	.on_open = link_opened,
	.on_secured = link_secured,
	.on_frame = link_frame,
	.on_drained = link_drained,
	.on_closed = link_closed,
};

static void drop_oldest(struct listeners *l)
{
	struct link *k = TAILQ_FIRST(&l->greeting);
	struct failure f;

	failure_set(&f, -EUSERS, "", NULL,
		    "too many connections that do not greet");
	link_greeted(k); /* its slot is free from now, not when it has closed */
	conn_close(k->conn, &f);
}

static unsigned int classes(const struct node *n)
{
	return 1u << TLS_CONTROL | 1u << TLS_KERNEL | 1u << TLS_JOIN |
	       (handover_possible(n->handover) ? 1u << TLS_MODULE : 0);
}

static void link_add(struct listeners *l, int fd, bool net)
{
	struct link *k = calloc(1, sizeof(*k));
	struct node *n = l->node;

	if (!k || l->ending || (net && l->net_links >= NET_MAX)) {
		close(fd);
		free(k);
		return;
	}
	if (net && l->greeting_links >= GREETING_MAX)
		drop_oldest(l);
	k->all = l;
	k->net = net;
	k->conn = conn_accept(n->loop, fd, net ? n->identity : NULL,
			      classes(n), &n->local, &link_ops, k);
	if (!k->conn) {
		free(k);
		return;
	}
	TAILQ_INSERT_TAIL(&l->links, k, all_entry);
	if (k->net) {
		TAILQ_INSERT_TAIL(&l->greeting, k, greeting_entry);
		l->net_links++;
		l->greeting_links++;
	}
}

void listeners_take(struct listeners *l, int fd)
{
	link_add(l, fd, false);
}

static void accept_ready(struct watch *w, u32 events)
{
	struct listener *li =
		(struct listener *)((char *)w - offsetof(struct listener,
							 watch));
	int i;

	for (i = 0; i < ACCEPTS_PER_WAKE; i++) {
		int fd = accept4(w->fd, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			link_add(li->all, fd, li->net);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS) {
			log_warning("cannot accept: %s", strerror(errno));
			loop_rewatch(li->all->node->loop, w, 0);
			loop_arm(li->all->node->loop, &li->again, EXHAUSTED_US);
			return;
		}
		if (errno == EAGAIN)
			return;
	}
}

static void accept_again(struct timer *t)
{
	struct listener *li =
		(struct listener *)((char *)t - offsetof(struct listener,
							 again));

	loop_rewatch(li->all->node->loop, &li->watch, EPOLLIN);
}

static int listener_add(struct listeners *l, int fd, bool net)
{
	struct listener *li = &l->list[l->count];
	int ret;

	if (l->count == LISTEN_MAX)
		return -E2BIG;
	*li = (struct listener){ .all = l, .net = net };
	li->watch = (struct watch){ .fd = fd, .ready = accept_ready };
	li->again.fire = accept_again;
	ret = loop_watch(l->node->loop, &li->watch, EPOLLIN);
	if (!ret)
		l->count++;
	return ret;
}

/* STATE/run/virgod.sock, open to every user: who may do what is decided by the
 * credentials of each connection.
 */
static int open_local(struct listeners *l, struct failure *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/virgod.sock",
			 l->node->state);
	int fd;
	int ret;

	if (n >= (int)sizeof(sa.sun_path))
		return failure_set(f, -ENAMETOOLONG, l->node->state,
				   "use a state folder with a shorter path",
				   "the path of the socket in it is too long");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return failure_set(f, -errno, "socket", NULL, "%s",
				   strerror(errno));
	unlink(sa.sun_path); /* the state folder is locked: it is ours */
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    chmod(sa.sun_path, 0666) || listen(fd, BACKLOG))
		ret = -errno;
	else
		ret = listener_add(l, fd, false);
	if (ret) {
		close(fd);
		return failure_set(f, ret, sa.sun_path, NULL,
				   "cannot listen: %s", strerror(-ret));
	}
	return 0;
}

static int open_one(struct listeners *l, const struct address *a,
		    struct failure *f)
{
	char text[ADDRESS_TEXT_MAX];
	int one = 1;
	int off = 0;
	int ret;
	int fd = socket(a->sa.ss_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	address_text((const struct sockaddr *)&a->sa, text);
	if (fd < 0)
		return failure_set(f, -errno, text, NULL, "cannot listen: %s",
				   strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, (const struct sockaddr *)&a->sa, a->len) ||
	    listen(fd, BACKLOG))
		ret = -errno;
	else
		ret = listener_add(l, fd, true);
	if (!ret)
		return 0;
	close(fd);
	return failure_set(f, ret, text,
			   ret == -EADDRINUSE ?
				   "ss -ltnp to see who has the port, or give "
				   "this node another with --port" :
				   "ip address to see this machine's addresses",
			   "cannot listen: %s", strerror(-ret));
}

int listeners_open_net(struct listeners *l, const char *list,
		       struct failure *f)
{
	struct address a[ADDRESS_MAX];
	int n;
	int i;

	if (!list[0]) {
		/* "::" takes IPv4 too, unless the machine has no IPv6. */
		address_resolve("::", l->node->port, false, a, 1);
		if (open_one(l, a, f) == 0)
			return 0;
		if (f->code != -EAFNOSUPPORT && f->code != -EADDRNOTAVAIL)
			return f->code;
		list = "0.0.0.0";
	}
	n = address_resolve(list, l->node->port, true, a, ADDRESS_MAX);
	if (n < 0)
		return failure_set(f, n, list, "name addresses of this machine",
				   "not an address to listen on");
	for (i = 0; i < n; i++) {
		int ret = open_one(l, &a[i], f);

		if (ret)
			return ret;
	}
	return 0;
}

int listeners_new(struct listeners **out, struct node *n, struct failure *f)
{
	struct listeners *l = calloc(1, sizeof(*l));
	int ret;

	*out = NULL;
	if (!l)
		return failure_set(f, -ENOMEM, "virgod", NULL, "out of memory");
	l->node = n;
	TAILQ_INIT(&l->links);
	TAILQ_INIT(&l->greeting);
	ret = open_local(l, f);
	if (ret)
		free(l);
	else
		*out = l;
	return ret;
}

void listeners_cut_if(struct listeners *l,
		      bool (*cut)(const struct tls_peer *peer, void *arg),
		      void *arg, const struct failure *why)
{
	struct link *k;

	TAILQ_FOREACH(k, &l->links, all_entry) {
		const struct tls_peer *p = conn_peer(k->conn);

		if (p && cut(p, arg))
			conn_close(k->conn, why);
	}
}

void listeners_free(struct listeners *l)
{
	struct link *k;
	int i;

	if (!l)
		return;
	l->ending = true;
	for (i = 0; i < l->count; i++) {
		loop_disarm(l->node->loop, &l->list[i].again);
		loop_unwatch(l->node->loop, &l->list[i].watch);
		close(l->list[i].watch.fd);
	}
	TAILQ_FOREACH(k, &l->links, all_entry)
		conn_close(k->conn, NULL);
	while (!TAILQ_EMPTY(&l->links))
		loop_step(l->node->loop, 0);
	free(l);
}
