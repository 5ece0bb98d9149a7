// SPDX-License-Identifier: LGPL-2.1-or-later
/* Generic netlink; the contract is in netlink.h. */
#include "netlink.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUESTION_BYTES = 128, ANSWER_BYTES = 8192 };

static void put(struct nl_message *m, const void *data, size_t len)
{
	if (m->full || len + NLA_ALIGNTO > m->size - m->used) {
		m->full = true;
		return;
	}
	if (len)
		memcpy(m->data + m->used, data, len);
	m->used += len;
	while (m->used % NLA_ALIGNTO)
		m->data[m->used++] = 0;
}

void nl_put(struct nl_message *m, u16 type, const void *data, size_t len)
{
	struct nlattr a = { .nla_len = (u16)(NLA_HDRLEN + len),
			    .nla_type = type };

	put(m, &a, sizeof(a));
	put(m, data, len);
}

void nl_put_u32(struct nl_message *m, u16 type, u32 v)
{
	nl_put(m, type, &v, sizeof(v));
}

void nl_put_u64(struct nl_message *m, u16 type, u64 v)
{
	nl_put(m, type, &v, sizeof(v));
}

void nl_put_text(struct nl_message *m, u16 type, const char *text)
{
	nl_put(m, type, text, strlen(text) + 1);
}

size_t nl_nest_begin(struct nl_message *m, u16 type)
{
	size_t at = m->used;

	nl_put(m, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void nl_nest_end(struct nl_message *m, size_t at)
{
	u16 len = (u16)(m->used - at);

	if (!m->full)
		memcpy(m->data + at, &len, sizeof(len));
}

struct nl_message nl_begin(u8 *out, size_t size, u16 type, u16 flags,
			   u32 sequence, u8 command, u8 version)
{
	struct nlmsghdr h = { .nlmsg_type = type,
			      .nlmsg_flags = (u16)(NLM_F_REQUEST | flags),
			      .nlmsg_seq = sequence };
	struct genlmsghdr g = { .cmd = command, .version = version };
	struct nl_message m = { .data = out, .size = size };

	put(&m, &h, sizeof(h));
	put(&m, &g, sizeof(g));
	return m;
}

size_t nl_end(struct nl_message *m)
{
	u32 len = (u32)m->used;

	if (m->full)
		return 0;
	memcpy(m->data, &len, sizeof(len));
	return m->used;
}

int nl_next(struct nl_rest *r, struct nl_rest *value)
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

u32 nl_u32(const struct nl_rest *value)
{
	u32 v = 0;

	memcpy(&v, value->at, value->left < sizeof(v) ? value->left :
							sizeof(v));
	return v;
}

u64 nl_u64(const struct nl_rest *value)
{
	u64 v = 0;

	memcpy(&v, value->at, value->left < sizeof(v) ? value->left :
							sizeof(v));
	return v;
}

bool nl_is(const struct nl_rest *value, const char *text)
{
	return value->left == strlen(text) + 1 &&
	       !memcmp(value->at, text, value->left);
}

int nl_decode(const void *data, size_t len, struct nl_header *out)
{
	struct nlmsghdr h;
	struct genlmsghdr g;
	struct nl_rest r;

	*out = (struct nl_header){ 0 };
	if (len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, data, sizeof(h));
	if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > len)
		return -EBADMSG;
	out->type = h.nlmsg_type;
	out->sequence = h.nlmsg_seq;
	r.at = (const u8 *)data + sizeof(h);
	r.left = h.nlmsg_len - sizeof(h);
	len = NLMSG_ALIGN(h.nlmsg_len) < len ? NLMSG_ALIGN(h.nlmsg_len) : len;
	if (h.nlmsg_type == NLMSG_ERROR || h.nlmsg_type == NLMSG_DONE) {
		if (r.left < sizeof(out->error))
			return -EBADMSG;
		memcpy(&out->error, r.at, sizeof(out->error));
		return (int)len;
	}
	if (h.nlmsg_type < NLMSG_MIN_TYPE)
		return (int)len;
	if (r.left < sizeof(g))
		return -EBADMSG;
	memcpy(&g, r.at, sizeof(g));
	out->command = g.cmd;
	out->attributes.at = r.at + sizeof(g);
	out->attributes.left = r.left - sizeof(g);
	return (int)len;
}

size_t nl_family_encode(u8 *out, size_t size, u32 sequence, const char *name)
{
	struct nl_message m = nl_begin(out, size, GENL_ID_CTRL, NLM_F_ACK,
				       sequence, CTRL_CMD_GETFAMILY, 1);

	nl_put_text(&m, CTRL_ATTR_FAMILY_NAME, name);
	return nl_end(&m);
}

/* The number of the group @name among @groups, or 0. */
static u32 group_number(struct nl_rest groups, const char *name)
{
	struct nl_rest one, value;

	while (nl_next(&groups, &one) >= 0) {
		bool ours = false;
		u32 id = 0;
		int type;

		while ((type = nl_next(&one, &value)) >= 0) {
			if (type == CTRL_ATTR_MCAST_GRP_ID)
				id = nl_u32(&value);
			else if (type == CTRL_ATTR_MCAST_GRP_NAME)
				ours = nl_is(&value, name);
		}
		if (ours)
			return id;
	}
	return 0;
}

void nl_family_decode(struct nl_rest r, const char *name, const char *group,
		      struct nl_family *out)
{
	struct nl_rest value;
	int type;

	*out = (struct nl_family){ 0 };
	while ((type = nl_next(&r, &value)) >= 0) {
		if (type == CTRL_ATTR_FAMILY_ID)
			out->id = (u16)nl_u32(&value);
		else if (type == CTRL_ATTR_FAMILY_NAME)
			out->named = nl_is(&value, name);
		else if (type == CTRL_ATTR_MCAST_GROUPS)
			out->group = group_number(value, group);
	}
}

int nl_open(int flags)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags,
			NETLINK_GENERIC);
	int err;

	if (fd < 0)
		return -errno;
	if (!bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	err = errno;
	close(fd);
	return -err;
}

int nl_join(int fd, u32 group)
{
	return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
			  sizeof(group)) ? -errno : 0;
}

static int await(int fd, u32 sequence,
		 void (*answer)(const struct nl_header *h, void *arg),
		 void *arg)
{
	u8 data[ANSWER_BYTES];
	struct nl_header h;

	for (;;) {
		ssize_t n = recv(fd, data, sizeof(data), 0);
		ssize_t at = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		while (at < n) {
			int took = nl_decode(data + at, (size_t)(n - at), &h);

			if (took < 0)
				return took;
			at += took;
			if (h.sequence != sequence)
				continue;
			if (h.type == NLMSG_ERROR || h.type == NLMSG_DONE)
				return h.error;
			if (answer)
				answer(&h, arg);
		}
	}
}

int nl_ask(int fd, const u8 *data, size_t len, u32 sequence,
	   void (*answer)(const struct nl_header *h, void *arg), void *arg)
{
	ssize_t n;

	if (!len)
		return -EMSGSIZE;
	do
		n = send(fd, data, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : await(fd, sequence, answer, arg);
}

struct find {
	const char *name, *group;
	struct nl_family *out;
};

static void found(const struct nl_header *h, void *arg)
{
	const struct find *f = arg;

	nl_family_decode(h->attributes, f->name, f->group, f->out);
}

int nl_find_family(int fd, u32 sequence, const char *name, const char *group,
		   struct nl_family *out)
{
	struct find f = { .name = name, .group = group, .out = out };
	u8 data[QUESTION_BYTES];
	size_t len = nl_family_encode(data, sizeof(data), sequence, name);
	int ret;

	*out = (struct nl_family){ 0 };
	ret = nl_ask(fd, data, len, sequence, found, &f);
	return ret ? ret : out->id ? 0 : -ENOENT;
}
