// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Generic netlink for nbd; the contract is in genl.h. The attributes are the
 * kernel's (linux/nbd-netlink.h).
 */
#include "genl.h"

#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

enum {
	ANSWER_MAX = 8192,
	REPLY_PATIENCE_S = 5,
};

static void put_identifier(struct nl_message *m, const char *s)
{
	char text[GENL_IDENTIFIER_MAX + 1];

	snprintf(text, sizeof(text), "%s", s);
	nl_put_text(m, NBD_ATTR_BACKEND_IDENTIFIER, text);
}

static struct nl_message begin(u8 *out, u16 family, u32 sequence, u8 command)
{
	return nl_begin(out, GENL_MESSAGE_MAX, family, NLM_F_ACK, sequence,
			command, NBD_GENL_VERSION);
}

size_t genl_family_encode(u8 *out, u32 sequence)
{
	return nl_family_encode(out, GENL_MESSAGE_MAX, sequence,
				NBD_GENL_FAMILY_NAME);
}

static void put_sockets(struct nl_message *m, const int *sockets, u32 count)
{
	size_t all = nl_nest_begin(m, NBD_ATTR_SOCKETS);
	u32 i;

	for (i = 0; i < count && i < GENL_SOCKETS_MAX; i++) {
		size_t one = nl_nest_begin(m, NBD_SOCK_ITEM);

		nl_put_u32(m, NBD_SOCK_FD, (u32)sockets[i]);
		nl_nest_end(m, one);
	}
	nl_nest_end(m, all);
}

size_t genl_connect_encode(u8 *out, u16 family, u32 sequence,
			   const struct genl_device *d)
{
	struct nl_message m = begin(out, family, sequence, NBD_CMD_CONNECT);

	if (d->index >= 0)
		nl_put_u32(&m, NBD_ATTR_INDEX, (u32)d->index);
	nl_put_u64(&m, NBD_ATTR_SIZE_BYTES, d->size_bytes);
	nl_put_u64(&m, NBD_ATTR_BLOCK_SIZE_BYTES, d->block_bytes);
	nl_put_u64(&m, NBD_ATTR_SERVER_FLAGS, d->server_flags);
	nl_put_u64(&m, NBD_ATTR_TIMEOUT, d->timeout_s);
	nl_put_u64(&m, NBD_ATTR_DEAD_CONN_TIMEOUT, d->patience_s);
	put_identifier(&m, d->identifier);
	put_sockets(&m, d->sockets, d->count);
	return nl_end(&m);
}

size_t genl_reconfigure_encode(u8 *out, u16 family, u32 sequence, int index,
			       const char *identifier, const int *sockets,
			       u32 count)
{
	struct nl_message m = begin(out, family, sequence, NBD_CMD_RECONFIGURE);

	nl_put_u32(&m, NBD_ATTR_INDEX, (u32)index);
	put_identifier(&m, identifier);
	put_sockets(&m, sockets, count);
	return nl_end(&m);
}

static size_t encode_index(u8 *out, u16 family, u32 sequence, u8 command,
			   int index)
{
	struct nl_message m = begin(out, family, sequence, command);

	nl_put_u32(&m, NBD_ATTR_INDEX, (u32)index);
	return nl_end(&m);
}

size_t genl_disconnect_encode(u8 *out, u16 family, u32 sequence, int index)
{
	return encode_index(out, family, sequence, NBD_CMD_DISCONNECT, index);
}

size_t genl_status_encode(u8 *out, u16 family, u32 sequence, int index)
{
	return encode_index(out, family, sequence, NBD_CMD_STATUS, index);
}

/* NBD_ATTR_DEVICE_LIST with one item. */
static void decode_status(struct nl_rest items, struct genl_answer *a)
{
	struct nl_rest item;
	struct nl_rest value;
	int type;

	while (nl_next(&items, &item) >= 0) {
		while ((type = nl_next(&item, &value)) >= 0) {
			if (type == NBD_DEVICE_INDEX)
				a->index = (int)nl_u32(&value);
			else if (type == NBD_DEVICE_CONNECTED && value.left)
				a->connected = value.at[0] != 0;
		}
	}
}

static void decode_nbd(struct nl_rest r, struct genl_answer *a)
{
	struct nl_rest value;
	int type;

	while ((type = nl_next(&r, &value)) >= 0) {
		if (type == NBD_ATTR_INDEX)
			a->index = (int)nl_u32(&value);
		else if (type == NBD_ATTR_DEVICE_LIST)
			decode_status(value, a);
	}
}

static void decode(const struct nl_header *h, u16 family, struct genl_answer *a)
{
	struct nl_family described;

	*a = (struct genl_answer){ .command = -1,
				   .index = -1,
				   .connected = -1,
				   .sequence = h->sequence };
	if (h->type == NLMSG_ERROR) {
		a->error = h->error;
		a->ended = true;
	} else if (h->type == GENL_ID_CTRL) {
		nl_family_decode(h->attributes, NBD_GENL_FAMILY_NAME,
				 NBD_GENL_MCAST_GROUP_NAME, &described);
		a->family = described.id;
		a->group = described.group;
	} else if (h->type == family) {
		a->command = h->command;
		decode_nbd(h->attributes, a);
	}
}

int genl_decode(const void *data, size_t len, u16 family, struct genl_answer *a)
{
	struct nl_header h;
	int took = nl_decode(data, len, &h);

	if (took < 0)
		return took;
	decode(&h, family, a);
	return took;
}

struct waiting {
	u16 family;
	struct genl_answer *out;
};

static void answered(const struct nl_header *h, void *arg)
{
	struct waiting *w = arg;

	decode(h, w->family, w->out);
}

static int request(struct genl *g, const u8 *data, size_t len,
		   struct genl_answer *out)
{
	struct waiting w = { .family = g->family, .out = out };

	*out = (struct genl_answer){ .command = -1,
				     .index = -1,
				     .connected = -1 };
	return nl_ask(g->fd, data, len, g->sequence, answered, &w);
}

int genl_open(struct genl *g, struct failure *f)
{
	struct timeval patience = { .tv_sec = REPLY_PATIENCE_S };
	u8 message[GENL_MESSAGE_MAX];
	struct genl_answer a;
	int ret;

	*g = (struct genl){ .fd = nl_open(0),
			    .events = nl_open(SOCK_NONBLOCK) };
	ret = g->fd < 0 ? g->fd : g->events;
	if (ret >= 0)
		setsockopt(g->fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
			   sizeof(patience));
	if (ret >= 0)
		ret = request(g, message,
			      genl_family_encode(message, ++g->sequence), &a);
	if (!ret && (!a.family || !a.group))
		ret = -ENOENT;
	if (!ret)
		ret = nl_join(g->events, a.group);
	if (ret) {
		genl_close(g);
		return failure_set(f, ret, "nbd", ret == -ENOENT ?
				   "modprobe nbd, as root and not inside a "
				   "network namespace" : NULL,
				   ret == -ENOENT ?
				   "the kernel has no nbd driver here" :
				   "generic netlink: %s", strerror(-ret));
	}
	g->family = a.family;
	return 0;
}

void genl_close(struct genl *g)
{
	if (g->fd >= 0)
		close(g->fd);
	if (g->events >= 0)
		close(g->events);
	g->fd = -1;
	g->events = -1;
}

int genl_connect(struct genl *g, const struct genl_device *d)
{
	u8 message[GENL_MESSAGE_MAX];
	struct genl_answer a;
	int ret = request(g, message, genl_connect_encode(message, g->family,
							  ++g->sequence, d),
			  &a);

	if (ret)
		return ret;
	return a.index >= 0 ? a.index : -EPROTO;
}

int genl_reconfigure(struct genl *g, int index, const char *identifier,
		     const int *sockets, u32 count)
{
	u8 message[GENL_MESSAGE_MAX];
	struct genl_answer a;

	return request(g, message,
		       genl_reconfigure_encode(message, g->family,
					       ++g->sequence, index,
					       identifier, sockets, count),
		       &a);
}

int genl_disconnect(struct genl *g, int index)
{
	u8 message[GENL_MESSAGE_MAX];
	struct genl_answer a;

	return request(g, message,
		       genl_disconnect_encode(message, g->family,
					      ++g->sequence, index), &a);
}

int genl_status(struct genl *g, int index)
{
	u8 message[GENL_MESSAGE_MAX];
	struct genl_answer a;
	int ret = request(g, message,
			  genl_status_encode(message, g->family, ++g->sequence,
					     index), &a);

	return ret ? ret : a.index == index && a.connected == 1;
}

int genl_next_dead(struct genl *g)
{
	u8 data[ANSWER_MAX];
	struct genl_answer a;

	for (;;) {
		ssize_t n = recv(g->events, data, sizeof(data), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (genl_decode(data, (size_t)n, g->family, &a) > 0 &&
		    a.command == NBD_CMD_LINK_DEAD && a.index >= 0)
			return a.index;
	}
}
