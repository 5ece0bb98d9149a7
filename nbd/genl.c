// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Generic netlink for nbd; the contract is in genl.h. Layouts are the kernel's
 * (linux/netlink.h, linux/genetlink.h, linux/nbd-netlink.h), in host order;
 * attributes are padded to four bytes, and their length does not count that.
 */
#include "genl.h"

#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ANSWER_MAX = 8192,
	REPLY_PATIENCE_S = 5,
};

struct message {
	u8 *data;
	size_t used;
};

static void put(struct message *m, const void *data, size_t len)
{
	memcpy(m->data + m->used, data, len);
	m->used += len;
	while (m->used % NLA_ALIGNTO)
		m->data[m->used++] = 0;
}

static void put_attribute(struct message *m, u16 type, const void *data,
			  size_t len)
{
	struct nlattr a = { .nla_len = (u16)(NLA_HDRLEN + len),
			    .nla_type = type };

	put(m, &a, sizeof(a));
	put(m, data, len);
}

static void put_u32_attribute(struct message *m, u16 type, u32 v)
{
	put_attribute(m, type, &v, sizeof(v));
}

static void put_u64_attribute(struct message *m, u16 type, u64 v)
{
	put_attribute(m, type, &v, sizeof(v));
}

static void put_text_attribute(struct message *m, u16 type, const char *s)
{
	size_t len = strnlen(s, GENL_IDENTIFIER_MAX);
	char text[GENL_IDENTIFIER_MAX + 1];

	memcpy(text, s, len);
	text[len] = '\0';
	put_attribute(m, type, text, len + 1);
}

/* Where the nest begins, for nest_end(). */
static size_t nest_begin(struct message *m, u16 type)
{
	size_t at = m->used;

	put_attribute(m, type | NLA_F_NESTED, NULL, 0);
	return at;
}

static void nest_end(struct message *m, size_t at)
{
	u16 len = (u16)(m->used - at);

	memcpy(m->data + at, &len, sizeof(len));
}

static struct message begin(u8 *out, u16 type, u16 flags, u32 sequence,
			    u8 command, u8 version)
{
	struct nlmsghdr h = { .nlmsg_type = type,
			      .nlmsg_flags = (u16)(NLM_F_REQUEST | flags),
			      .nlmsg_seq = sequence };
	struct genlmsghdr g = { .cmd = command, .version = version };
	struct message m = { .data = out };

	put(&m, &h, sizeof(h));
	put(&m, &g, sizeof(g));
	return m;
}

static size_t end(struct message *m)
{
	u32 len = (u32)m->used;

	memcpy(m->data, &len, sizeof(len));
	return m->used;
}

size_t genl_family_encode(u8 *out, u32 sequence)
{
	struct message m = begin(out, GENL_ID_CTRL, NLM_F_ACK, sequence,
				 CTRL_CMD_GETFAMILY, 1);

	put_text_attribute(&m, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME);
	return end(&m);
}

static void put_sockets(struct message *m, const int *sockets, u32 count)
{
	size_t all = nest_begin(m, NBD_ATTR_SOCKETS);
	u32 i;

	for (i = 0; i < count && i < GENL_SOCKETS_MAX; i++) {
		size_t one = nest_begin(m, NBD_SOCK_ITEM);

		put_u32_attribute(m, NBD_SOCK_FD, (u32)sockets[i]);
		nest_end(m, one);
	}
	nest_end(m, all);
}

size_t genl_connect_encode(u8 *out, u16 family, u32 sequence,
			   const struct genl_device *d)
{
	struct message m = begin(out, family, NLM_F_ACK, sequence,
				 NBD_CMD_CONNECT, NBD_GENL_VERSION);

	if (d->index >= 0)
		put_u32_attribute(&m, NBD_ATTR_INDEX, (u32)d->index);
	put_u64_attribute(&m, NBD_ATTR_SIZE_BYTES, d->size_bytes);
	put_u64_attribute(&m, NBD_ATTR_BLOCK_SIZE_BYTES, d->block_bytes);
	put_u64_attribute(&m, NBD_ATTR_SERVER_FLAGS, d->server_flags);
	put_u64_attribute(&m, NBD_ATTR_TIMEOUT, d->timeout_s);
	put_u64_attribute(&m, NBD_ATTR_DEAD_CONN_TIMEOUT, d->patience_s);
	put_text_attribute(&m, NBD_ATTR_BACKEND_IDENTIFIER, d->identifier);
	put_sockets(&m, d->sockets, d->count);
	return end(&m);
}

size_t genl_reconfigure_encode(u8 *out, u16 family, u32 sequence, int index,
			       const char *identifier, const int *sockets,
			       u32 count)
{
	struct message m = begin(out, family, NLM_F_ACK, sequence,
				 NBD_CMD_RECONFIGURE, NBD_GENL_VERSION);

	put_u32_attribute(&m, NBD_ATTR_INDEX, (u32)index);
	put_text_attribute(&m, NBD_ATTR_BACKEND_IDENTIFIER, identifier);
	put_sockets(&m, sockets, count);
	return end(&m);
}

static size_t encode_index(u8 *out, u16 family, u32 sequence, u8 command,
			   int index)
{
	struct message m = begin(out, family, NLM_F_ACK, sequence, command,
				 NBD_GENL_VERSION);

	put_u32_attribute(&m, NBD_ATTR_INDEX, (u32)index);
	return end(&m);
}

size_t genl_disconnect_encode(u8 *out, u16 family, u32 sequence, int index)
{
	return encode_index(out, family, sequence, NBD_CMD_DISCONNECT, index);
}

size_t genl_status_encode(u8 *out, u16 family, u32 sequence, int index)
{
	return encode_index(out, family, sequence, NBD_CMD_STATUS, index);
}

/* Bytes of a message that are not read yet. */
struct rest {
	const u8 *at;
	size_t left;
};

/* The next attribute of @r: its type, or -1 at the end or where it is broken. */
static int next_attribute(struct rest *r, struct rest *value)
{
	struct nlattr a;
	size_t whole;

	if (r->left < sizeof(a))
		return -1;
	memcpy(&a, r->at, sizeof(a));
	if (a.nla_len < sizeof(a) || a.nla_len > r->left)
		return -1;
	value->at = r->at + sizeof(a);
	value->left = a.nla_len - sizeof(a);
	whole = NLA_ALIGN(a.nla_len);
	if (whole > r->left)
		whole = r->left;
	r->at += whole;
	r->left -= whole;
	return a.nla_type & NLA_TYPE_MASK;
}

static u32 value_u32(const struct rest *value)
{
	u32 v = 0;

	memcpy(&v, value->at, value->left < sizeof(v) ? value->left :
							sizeof(v));
	return v;
}

static bool value_is(const struct rest *value, const char *text)
{
	return value->left == strlen(text) + 1 &&
	       !memcmp(value->at, text, value->left);
}

static void decode_groups(struct rest groups, struct genl_answer *a)
{
	struct rest one;
	struct rest value;

	while (next_attribute(&groups, &one) >= 0) {
		bool ours = false;
		u32 id = 0;
		int type;

		while ((type = next_attribute(&one, &value)) >= 0) {
			if (type == CTRL_ATTR_MCAST_GRP_ID)
				id = value_u32(&value);
			else if (type == CTRL_ATTR_MCAST_GRP_NAME)
				ours = value_is(&value,
						NBD_GENL_MCAST_GROUP_NAME);
		}
		if (ours)
			a->group = id;
	}
}

static void decode_family(struct rest r, struct genl_answer *a)
{
	struct rest value;
	int type;

	while ((type = next_attribute(&r, &value)) >= 0) {
		if (type == CTRL_ATTR_FAMILY_ID)
			a->family = (u16)value_u32(&value);
		else if (type == CTRL_ATTR_MCAST_GROUPS)
			decode_groups(value, a);
	}
}

/* NBD_ATTR_DEVICE_LIST with one item. */
static void decode_status(struct rest items, struct genl_answer *a)
{
	struct rest item;
	struct rest value;
	int type;

	while (next_attribute(&items, &item) >= 0) {
		while ((type = next_attribute(&item, &value)) >= 0) {
			if (type == NBD_DEVICE_INDEX)
				a->index = (int)value_u32(&value);
			else if (type == NBD_DEVICE_CONNECTED && value.left)
				a->connected = value.at[0] != 0;
		}
	}
}

static void decode_nbd(struct rest r, struct genl_answer *a)
{
	struct rest value;
	int type;

	while ((type = next_attribute(&r, &value)) >= 0) {
		if (type == NBD_ATTR_INDEX)
			a->index = (int)value_u32(&value);
		else if (type == NBD_ATTR_DEVICE_LIST)
			decode_status(value, a);
	}
}

int genl_decode(const void *data, size_t len, u16 family,
		struct genl_answer *a)
{
	struct nlmsghdr h;
	struct genlmsghdr g;
	struct rest r;

	*a = (struct genl_answer){ .command = -1, .index = -1,
				   .connected = -1 };
	if (len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, data, sizeof(h));
	if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > len)
		return -EBADMSG;
	a->sequence = h.nlmsg_seq;
	r.at = (const u8 *)data + sizeof(h);
	r.left = h.nlmsg_len - sizeof(h);
	len = NLMSG_ALIGN(h.nlmsg_len) < len ? NLMSG_ALIGN(h.nlmsg_len) : len;
	if (h.nlmsg_type == NLMSG_ERROR) {
		if (r.left < sizeof(a->error))
			return -EBADMSG;
		memcpy(&a->error, r.at, sizeof(a->error));
		a->ended = true;
		return (int)len;
	}
	if (h.nlmsg_type != GENL_ID_CTRL && h.nlmsg_type != family)
		return (int)len;
	if (r.left < sizeof(g))
		return -EBADMSG;
	memcpy(&g, r.at, sizeof(g));
	r.at += sizeof(g);
	r.left -= sizeof(g);
	if (h.nlmsg_type == GENL_ID_CTRL) {
		decode_family(r, a);
	} else {
		a->command = g.cmd;
		decode_nbd(r, a);
	}
	return (int)len;
}

/* Reads answers until the one that ends @sequence; what they said into @out. */
static int await(struct genl *g, u32 sequence, struct genl_answer *out)
{
	u8 data[ANSWER_MAX];
	struct genl_answer a;

	*out = (struct genl_answer){ .command = -1, .index = -1,
				     .connected = -1 };
	for (;;) {
		ssize_t n = recv(g->fd, data, sizeof(data), 0);
		ssize_t at = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		while (at < n) {
			int took = genl_decode(data + at, (size_t)(n - at),
					       g->family, &a);

			if (took < 0)
				return took;
			at += took;
			if (a.sequence != sequence)
				continue;
			if (a.ended)
				return a.error;
			*out = a;
		}
	}
}

static int request(struct genl *g, const u8 *data, size_t len,
		   struct genl_answer *out)
{
	ssize_t n;

	do
		n = send(g->fd, data, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : await(g, g->sequence, out);
}

static int open_socket(int flags)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags,
			NETLINK_GENERIC);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		int err = errno;

		close(fd);
		errno = err;
		fd = -1;
	}
	return fd < 0 ? -errno : fd;
}

int genl_open(struct genl *g, struct failure *f)
{
	struct timeval patience = { .tv_sec = REPLY_PATIENCE_S };
	u8 message[GENL_MESSAGE_MAX];
	struct genl_answer a;
	int ret;

	*g = (struct genl){ .fd = open_socket(0),
			    .events = open_socket(SOCK_NONBLOCK) };
	ret = g->fd < 0 ? g->fd : g->events;
	if (ret >= 0)
		setsockopt(g->fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
			   sizeof(patience));
	if (ret >= 0)
		ret = request(g, message,
			      genl_family_encode(message, ++g->sequence), &a);
	if (!ret && (!a.family || !a.group))
		ret = -ENOENT;
	if (!ret && setsockopt(g->events, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
			       &a.group, sizeof(a.group)))
		ret = -errno;
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
