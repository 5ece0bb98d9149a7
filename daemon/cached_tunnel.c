// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A loopback port for the cache of another node: what a local client writes goes
 * there over the connection between the two virgods, each client as an exchange
 * of its own (msg_cache.h), and is not looked at here.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "cached_impl.h"
#include "peers.h"

struct tunnel_port {
	struct listener listener;
	LIST_ENTRY(tunnel_port) entry;
	LIST_HEAD(, tunnel) tunnels;
	struct cached *cached;
	u32 count;
	char node[NODE_NAME_MAX + 1];
};

struct tunnel {
	struct watch watch;
	LIST_ENTRY(tunnel) entry;
	struct tunnel_port *port;
	u64 tag; /* of the exchange; 0 when it is over */
	u64 window; /* bytes that may be sent to the node */
	bool read_end; /* the client writes no more */
	u8 *out; /* answers that the client has not taken */
	u32 out_len;
};

static struct node *node_of(const struct tunnel *t)
{
	return t->port->cached->node;
}

static void tunnel_free(struct tunnel *t)
{
	struct node *n = node_of(t);
	const struct frame f = { .type = MSG_CACHE_CLOSE };

	if (t->tag) {
		peers_send(n->peers, t->tag, &f, NULL, 0);
		peers_forget(n->peers, t->tag);
	}
	loop_unwatch(n->loop, &t->watch);
	close(t->watch.fd);
	LIST_REMOVE(t, entry);
	t->port->count--;
	free(t->out);
	free(t);
}

static void watch_anew(struct tunnel *t)
{
	u32 events = t->out_len ? EPOLLOUT : 0;

	if (t->tag && t->window && !t->read_end)
		events |= EPOLLIN;
	loop_rewatch(node_of(t)->loop, &t->watch, events);
}

static void send_to_node(struct tunnel *t, u16 type, u32 credit,
			 const void *data, size_t len)
{
	const struct frame f = { .type = type, .credit = credit };

	peers_send(node_of(t)->peers, t->tag, &f, data, len);
}

/* Bytes that the client took; false when it is gone. */
static bool send_to_client(struct tunnel *t, const u8 *data, size_t len,
			   size_t *sent)
{
	ssize_t n = send(t->watch.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	*sent = n > 0 ? (size_t)n : 0;
	if (n > 0 && t->tag)
		send_to_node(t, MSG_CACHE_DATA, (u32)n, NULL, 0);
	return n >= 0 || errno == EAGAIN;
}

/* False when @t was freed. */
static bool flush(struct tunnel *t)
{
	size_t sent = 0;

	if (t->out_len && !send_to_client(t, t->out, t->out_len, &sent)) {
		tunnel_free(t);
		return false;
	}
	t->out_len -= (u32)sent;
	memmove(t->out, t->out + sent, t->out_len);
	if (!t->out_len) {
		free(t->out);
		t->out = NULL;
		if (!t->tag) {
			tunnel_free(t);
			return false;
		}
	}
	watch_anew(t);
	return true;
}

static void answers_came(struct tunnel *t, const u8 *data, u32 len)
{
	size_t sent = 0;
	u8 *more;

	if (!t->out_len && !send_to_client(t, data, len, &sent)) {
		tunnel_free(t);
		return;
	}
	len -= (u32)sent;
	/* A node that sends more than it may would have us keep it. */
	more = t->out_len + len <= CACHE_WINDOW ?
		       realloc(t->out, t->out_len + len + 1) : NULL;
	if (!more) {
		tunnel_free(t);
		return;
	}
	memcpy(more + t->out_len, data + sent, len);
	t->out = more;
	t->out_len += len;
	watch_anew(t);
}

/* Why a client at @fd, which is to be closed, is not served. */
static void tell_client(struct tunnel_port *p, int fd, const char *what)
{
	char line[512];
	int len = snprintf(line, sizeof(line), "SERVER_ERROR %s: %.300s\r\n",
			   p->node, what);
	ssize_t n = send(fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);

	/* What is left unread at the end would make it a reset, which takes
	 * away what the client has not read yet.
	 */
	n = recv(fd, p->cached->receive, RECEIVE_BYTES, MSG_DONTWAIT);
	(void)n;
}

static void from_node(void *arg, const struct frame *f, const u8 *payload,
		      const struct failure *why)
{
	struct tunnel *t = arg;
	struct msg_error m;
	char what[300];

	if (f && f->flags & FRAME_MORE) {
		t->window += f->credit;
		if (f->type == MSG_CACHE_DATA && f->length)
			answers_came(t, payload, f->length);
		else
			watch_anew(t);
		return;
	}
	t->tag = 0;
	if (!f) {
		tell_client(t->port, t->watch.fd, why->what);
	} else if (f->type == MSG_ERROR &&
		   !msg_error_decode(&m, payload, f->length)) {
		snprintf(what, sizeof(what), "%.*s", (int)m.what.len,
			 (const char *)m.what.data);
		tell_client(t->port, t->watch.fd, what);
	}
	if (t->out_len)
		watch_anew(t);
	else
		tunnel_free(t);
}

static void from_client(struct tunnel *t)
{
	struct cached *c = t->port->cached;
	size_t most = t->window < RECEIVE_BYTES ? t->window : RECEIVE_BYTES;
	ssize_t n = recv(t->watch.fd, c->receive, most, MSG_DONTWAIT);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			tunnel_free(t);
		return;
	}
	if (n == 0) {
		/* Answers to what came before are still on their way. */
		t->read_end = true;
		send_to_node(t, MSG_CACHE_CLOSE, 0, NULL, 0);
	} else {
		t->window -= (u64)n;
		send_to_node(t, MSG_CACHE_DATA, 0, c->receive, (size_t)n);
	}
	watch_anew(t);
}

static void tunnel_ready(struct watch *w, u32 events)
{
	struct tunnel *t =
		(struct tunnel *)((char *)w - offsetof(struct tunnel, watch));

	if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN)) {
		tunnel_free(t);
		return;
	}
	if (events & EPOLLOUT && !flush(t))
		return;
	if (events & EPOLLIN)
		from_client(t);
}

static void refuse(struct tunnel_port *p, int fd, const char *what)
{
	tell_client(p, fd, what);
	close(fd);
}

static bool is_full(const struct tunnel_port *p)
{
	const struct conf_cloud *conf = policy_conf(p->cached->node->policy);

	return p->count >= conf->cache_connections ||
	       p->count >= TUNNEL_SESSIONS_MAX;
}

static void tunnel_came(struct listener *l, int fd)
{
	struct tunnel_port *p = (struct tunnel_port *)l;
	struct msg_cache_open m = { .user = span_of("nobody"),
				    .window_bytes = CACHE_WINDOW };
	u8 buf[64];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	struct tunnel *t;
	int ret = -ENOMEM;

	if (is_full(p)) {
		refuse(p, fd, "too many connections to its cache");
		return;
	}
	t = calloc(1, sizeof(*t));
	if (!t) {
		refuse(p, fd, "out of memory");
		return;
	}
	msg_cache_open_encode(&w, &m);
	t->port = p;
	t->watch.fd = fd;
	t->watch.ready = tunnel_ready;
	LIST_INSERT_HEAD(&p->tunnels, t, entry);
	p->count++;
	t->tag = peers_call(l->node->peers, p->node, TLS_KERNEL, MSG_CACHE_OPEN,
			    buf, wcursor_len(&w), from_node, t);
	if (t->tag)
		ret = loop_watch(l->node->loop, &t->watch, 0);
	if (ret) {
		tell_client(p, fd, strerror(-ret));
		tunnel_free(t);
	}
}

static struct tunnel_port *port_find(struct cached *c, const char *node)
{
	struct tunnel_port *p;

	LIST_FOREACH(p, &c->ports, entry)
		if (!strcmp(p->node, node))
			return p;
	return NULL;
}

int tunnel_open(struct cached *c, const char *node, u16 port, struct failure *f)
{
	struct tunnel_port *p;
	int ret;

	if (port_find(c, node))
		return failure_set(f, -EEXIST, node, "'virgo cache stop --of "
				   "NODE' first", "its cache has a port here");
	p = calloc(1, sizeof(*p));
	if (!p)
		return failure_set(f, -ENOMEM, node, NULL, "out of memory");
	snprintf(p->node, sizeof(p->node), "%s", node);
	p->cached = c;
	p->listener.came = tunnel_came;
	ret = listener_open(&p->listener, c->node, port, f);
	if (ret) {
		free(p);
		return ret;
	}
	LIST_INSERT_HEAD(&c->ports, p, entry);
	return 0;
}

static void port_free(struct tunnel_port *p)
{
	while (!LIST_EMPTY(&p->tunnels))
		tunnel_free(LIST_FIRST(&p->tunnels));
	listener_close(&p->listener);
	LIST_REMOVE(p, entry);
	free(p);
}

int tunnel_close(struct cached *c, const char *node)
{
	struct tunnel_port *p = port_find(c, node);

	if (!p)
		return -ENOENT;
	port_free(p);
	return 0;
}

u8 *tunnel_list(struct cached *c, size_t *len)
{
	struct tunnel_port *p;
	struct rec_cache_port r;
	struct wcursor w;
	u8 *out;

	*len = 0;
	LIST_FOREACH(p, &c->ports, entry) {
		r.node = span_of(p->node);
		*len += 4 + rec_cache_port_size(&r);
	}
	out = malloc(*len + 1);
	w = wcursor_of(out, out ? *len : 0);
	LIST_FOREACH(p, &c->ports, entry) {
		if (!out)
			break;
		r = (struct rec_cache_port){ span_of(p->node),
					     p->listener.port };
		rec_cache_port_append(&w, &r);
	}
	return out;
}

void tunnel_close_all(struct cached *c)
{
	while (!LIST_EMPTY(&c->ports))
		port_free(LIST_FIRST(&c->ports));
}
