// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages to and from the kernel's nbd driver, byte by byte. */
#include <criterion/criterion.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>

#include "genl.h"

/* The attribute of type @type among @len bytes at @at; its length in *@out. */
static const u8 *attribute(const u8 *at, size_t len, u16 type, size_t *out)
{
	while (len >= NLA_HDRLEN) {
		struct nlattr a;

		memcpy(&a, at, sizeof(a));
		cr_assert(a.nla_len >= NLA_HDRLEN && a.nla_len <= len);
		if ((a.nla_type & NLA_TYPE_MASK) == type) {
			*out = a.nla_len - NLA_HDRLEN;
			return at + NLA_HDRLEN;
		}
		if ((size_t)NLA_ALIGN(a.nla_len) > len)
			break;
		at += NLA_ALIGN(a.nla_len);
		len -= NLA_ALIGN(a.nla_len);
	}
	return NULL;
}

static u64 number(const u8 *m, size_t len, u16 type)
{
	const size_t head = NLMSG_HDRLEN + GENL_HDRLEN;
	size_t size;
	const u8 *at = attribute(m + head, len - head, type, &size);
	u64 v = 0;

	cr_assert(at && (size == 4 || size == 8), "attribute %u", type);
	memcpy(&v, at, size);
	return v;
}

Test(genl, connect)
{
	const int sockets[] = { 7, 300 };
	const struct genl_device d = { .index = -1,
				       .size_bytes = 1ull << 40,
				       .block_bytes = 4096,
				       .timeout_s = 3,
				       .patience_s = 30,
				       .server_flags = 0x165,
				       .identifier = "virgo:swap:1",
				       .sockets = sockets,
				       .count = 2 };
	const size_t head = NLMSG_HDRLEN + GENL_HDRLEN;
	u8 m[GENL_MESSAGE_MAX];
	size_t len = genl_connect_encode(m, 0x1c, 5, &d);
	struct nlmsghdr h;
	const u8 *list, *item, *fd;
	size_t size;
	u32 v;

	memcpy(&h, m, sizeof(h));
	cr_assert_eq(h.nlmsg_len, len);
	cr_assert_eq(h.nlmsg_type, 0x1c);
	cr_assert_eq(h.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
	cr_assert_eq(h.nlmsg_seq, 5);
	cr_assert_eq(m[NLMSG_HDRLEN], NBD_CMD_CONNECT);
	cr_assert_eq(number(m, len, NBD_ATTR_SIZE_BYTES), 1ull << 40);
	cr_assert_eq(number(m, len, NBD_ATTR_BLOCK_SIZE_BYTES), 4096);
	cr_assert_eq(number(m, len, NBD_ATTR_TIMEOUT), 3);
	cr_assert_eq(number(m, len, NBD_ATTR_DEAD_CONN_TIMEOUT), 30);
	cr_assert_eq(number(m, len, NBD_ATTR_SERVER_FLAGS), 0x165);
	cr_assert_null(attribute(m + head, len - head, NBD_ATTR_INDEX, &size));
	cr_assert_str_eq((const char *)attribute(m + head, len - head,
						 NBD_ATTR_BACKEND_IDENTIFIER,
						 &size), "virgo:swap:1");
	list = attribute(m + head, len - head, NBD_ATTR_SOCKETS, &size);
	cr_assert_not_null(list);
	cr_assert_eq(size, 2 * (NLA_HDRLEN + NLA_HDRLEN + 4));
	item = attribute(list, size, NBD_SOCK_ITEM, &size);
	fd = attribute(item, size, NBD_SOCK_FD, &size);
	memcpy(&v, fd, sizeof(v));
	cr_assert_eq(v, 7);
	fd = attribute(item + 8 + NLA_HDRLEN, 8, NBD_SOCK_FD, &size);
	memcpy(&v, fd, sizeof(v));
	cr_assert_eq(v, 300);
}

/* Size or block size in a reconfiguration would freeze the queue. */
Test(genl, reconfigure_says_nothing_but_sockets)
{
	const size_t head = NLMSG_HDRLEN + GENL_HDRLEN;
	const int one = 9;
	u8 m[GENL_MESSAGE_MAX];
	size_t len = genl_reconfigure_encode(m, 0x1c, 1, 4, "virgo:d:2", &one,
					     1);
	size_t size;

	cr_assert_eq(number(m, len, NBD_ATTR_INDEX), 4);
	for (u16 t = NBD_ATTR_SIZE_BYTES; t <= NBD_ATTR_CLIENT_FLAGS; t++)
		cr_assert_null(attribute(m + head, len - head, t, &size));
	cr_assert_null(attribute(m + head, len - head,
				 NBD_ATTR_DEAD_CONN_TIMEOUT, &size));
	cr_assert_not_null(attribute(m + head, len - head, NBD_ATTR_SOCKETS,
				     &size));
}

Test(genl, all_sockets_fit)
{
	int sockets[GENL_SOCKETS_MAX + 4];
	char name[300];
	struct genl_device d = { .identifier = name, .sockets = sockets,
				 .count = ARRAY_SIZE(sockets), .index = 1 };
	u8 m[GENL_MESSAGE_MAX + 64];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memset(sockets, 0, sizeof(sockets));
	memset(m, 0xa5, sizeof(m));
	cr_assert_leq(genl_connect_encode(m, 1, 1, &d), GENL_MESSAGE_MAX);
	cr_assert_eq(m[GENL_MESSAGE_MAX], 0xa5);
}

static size_t append(u8 *at, u16 type, const void *data, u16 len)
{
	struct nlattr a = { .nla_len = (u16)(NLA_HDRLEN + len),
			    .nla_type = type };

	memcpy(at, &a, sizeof(a));
	memcpy(at + sizeof(a), data, len);
	return NLA_ALIGN(NLA_HDRLEN + len);
}

/* A datagram of @type whose attributes are the @len bytes of @body. */
static size_t datagram(u8 *out, u16 type, u8 command, u32 sequence,
		       const u8 *body, size_t len)
{
	struct nlmsghdr h = { .nlmsg_type = type, .nlmsg_seq = sequence };
	struct genlmsghdr g = { .cmd = command };

	h.nlmsg_len = (u32)(sizeof(h) + sizeof(g) + len);
	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), &g, sizeof(g));
	memcpy(out + sizeof(h) + sizeof(g), body, len);
	return h.nlmsg_len;
}

Test(genl, family_with_its_group)
{
	const u16 id = 29;
	const u32 group = 8;
	u8 one[64], list[128], body[256], m[512];
	struct genl_answer a;
	size_t n = append(one, CTRL_ATTR_MCAST_GRP_NAME, "nbd_mc_group", 13);
	size_t len;

	n += append(one + n, CTRL_ATTR_MCAST_GRP_ID, &group, 4);
	n = append(list, 1, one, (u16)n);
	len = append(body, CTRL_ATTR_FAMILY_ID, &id, 2);
	len += append(body + len, CTRL_ATTR_MCAST_GROUPS, list, (u16)n);
	len = datagram(m, GENL_ID_CTRL, CTRL_CMD_NEWFAMILY, 1, body, len);
	cr_assert_eq(genl_decode(m, len, 0, &a), len);
	cr_assert_eq(a.family, 29);
	cr_assert_eq(a.group, 8);
	/* Cut anywhere it is refused or says less, and nothing is read beyond. */
	for (size_t cut = 0; cut < len; cut++) {
		u8 *copy = malloc(cut + 1);

		memcpy(copy, m, cut);
		if (cut >= 4) {
			u32 short_len = (u32)cut;

			memcpy(copy, &short_len, 4);
		}
		genl_decode(copy, cut, 0, &a);
		free(copy);
	}
}

Test(genl, link_dead_and_errors)
{
	const u32 index = 3;
	struct nlmsghdr h = { .nlmsg_type = NLMSG_ERROR,
			      .nlmsg_len = NLMSG_HDRLEN + 4 + NLMSG_HDRLEN,
			      .nlmsg_seq = 6 };
	const int error = -ENODEV;
	u8 body[16], m[128] = { 0 };
	struct genl_answer a;
	size_t len = append(body, NBD_ATTR_INDEX, &index, 4);

	len = datagram(m, 0x1c, NBD_CMD_LINK_DEAD, 0, body, len);
	cr_assert_eq(genl_decode(m, len, 0x1c, &a), len);
	cr_assert_eq(a.command, NBD_CMD_LINK_DEAD);
	cr_assert_eq(a.index, 3);
	/* Of another family it says nothing to us. */
	cr_assert_eq(genl_decode(m, len, 0x1d, &a), len);
	cr_assert_eq(a.command, -1);
	memcpy(m, &h, sizeof(h));
	memcpy(m + sizeof(h), &error, 4);
	cr_assert_eq(genl_decode(m, h.nlmsg_len, 0x1c, &a), h.nlmsg_len);
	cr_assert(a.ended);
	cr_assert_eq(a.error, -ENODEV);
	cr_assert_eq(a.sequence, 6);
}
